//! Compares a target with a backup.

use std::collections::{BTreeMap, HashMap};

use super::batch::{Batch, Batcher};
use super::catalog;
use super::client::Client;
use super::encode::Encoder;
use super::export::{self, Place};
use super::fault;
use super::import::malformed;
use super::line::{self, Line};
use super::ql::{self, Range};
use super::response::{Fault, Head, Row, Visit};
use crate::engine::{ContainsReport, EngineError, TargetState};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSource;

/// Records that are looked up at once.
const LOOKED_UP: u64 = 4000;
/// Bytes of records that are looked up at once.
const BYTES: usize = 512 * 1024;
/// Series that are asked for in one request.
const STATEMENTS: usize = 50;
/// Records that are named where they are missing or different.
const EXAMPLES: usize = 5;

/// Whether a place holds any point.
pub(super) async fn state(client: &Client, place: &Place) -> Result<TargetState, EngineError> {
    let query = format!("SELECT *::field FROM {} LIMIT 1", place.source());
    match client.table(&query).await {
        Err(EngineError::NotFound { .. }) => Ok(TargetState::Empty),
        Err(other) => Err(other),
        Ok(tables) if tables.iter().all(|table| table.rows.is_empty()) => Ok(TargetState::Empty),
        Ok(_) => Ok(TargetState::Holds(format!(
            "points in {:?}.{:?}.{:?}",
            place.database, place.policy, place.measurement
        ))),
    }
}

struct Count(u64);

impl Visit for Count {
    fn head(&mut self, _: &Head) -> Result<(), Fault> {
        Ok(())
    }
    fn row(&mut self, _: Row<'_>) -> Result<(), Fault> {
        self.0 += 1;
        Ok(())
    }
}

/// Counts the records of a place: rows, each a series and a time. The server can count only the
/// values of one field, and a point may have any of them, so the rows are streamed.
pub(super) async fn count(client: &Client, place: &Place) -> Result<u64, EngineError> {
    let mut count = Count(0);
    match export::read(client, place, &mut count).await {
        Err(EngineError::NotFound { .. }) => Ok(0),
        Err(other) => Err(other),
        Ok(()) => Ok(count.0),
    }
}

struct Hash(Encoder);

impl Visit for Hash {
    fn head(&mut self, head: &Head) -> Result<(), Fault> {
        self.0.head(head)
    }
    fn row(&mut self, row: Row<'_>) -> Result<(), Fault> {
        self.0.row(row)?;
        self.0.clear();
        Ok(())
    }
}

/// Fingerprint of all that a place holds.
pub(super) async fn fingerprint(
    client: &Client,
    place: &Place,
) -> Result<Fingerprint, EngineError> {
    let mut hash = Hash(Encoder::default());
    match export::read(client, place, &mut hash).await {
        Err(EngineError::NotFound { .. }) => Ok(Fingerprint::default()),
        Err(other) => Err(other),
        Ok(()) => Ok(hash.0.fingerprint()),
    }
}

/// Looks each record up. A record is there when the target has its series and time, and each of its
/// fields with the same value; the target may have further fields there, as it may have further
/// records.
pub(super) async fn contains(
    client: &Client,
    place: &Place,
    records: &mut dyn RecordSource,
) -> Result<ContainsReport, EngineError> {
    let ranges = match export::ranges(client, place).await {
        Err(EngineError::NotFound { .. }) => Vec::new(),
        other => other?.ranges,
    };
    let lookup = Lookup {
        client,
        place,
        cuts: ranges.iter().filter_map(|range| range.start).collect(),
        tag_keys: match catalog::tag_keys(client, &place.database, &place.source()).await {
            Err(EngineError::NotFound { .. }) => Vec::new(),
            other => other?,
        },
        horizon: horizon(client, place).await?,
    };
    let mut report = ContainsReport::default();
    let mut batcher = Batcher::default();
    while let Some(piece) = records.next().await? {
        // Small steps keep what is held in memory small.
        for step in piece.chunks(BYTES / 2) {
            batcher.push(step).map_err(malformed)?;
            if batcher.records() >= LOOKED_UP || batcher.waiting() >= BYTES {
                lookup.batch(&batcher.take(), &mut report).await?;
            }
        }
    }
    lookup
        .batch(&batcher.finish().map_err(malformed)?, &mut report)
        .await?;
    Ok(report)
}

/// Points before this are past the retention of the target.
async fn horizon(client: &Client, place: &Place) -> Result<Option<i64>, EngineError> {
    let policies = match catalog::policies(client, &place.database).await {
        Err(EngineError::NotFound { .. }) => return Ok(None),
        other => other?,
    };
    let now = catalog::nanoseconds(jiff::Timestamp::now());
    Ok(policies
        .iter()
        .find(|policy| policy.name == place.policy && policy.duration_seconds > 0)
        .and_then(|policy| i64::try_from(policy.duration_seconds).ok())
        .map(|seconds| now.saturating_sub(seconds.saturating_mul(1_000_000_000))))
}

/// Field texts of a record, by key, as the canonical form has them.
type Fields<'a> = HashMap<&'a [u8], &'a [u8]>;

/// Records of one series, by time.
type Lines<'a> = BTreeMap<i64, Line<'a>>;

struct Lookup<'a> {
    client: &'a Client,
    place: &'a Place,
    /// Where shard groups begin and end, if a field has several types: see [`export::ranges`].
    cuts: Vec<i64>,
    tag_keys: Vec<String>,
    horizon: Option<i64>,
}

impl Lookup<'_> {
    async fn batch(&self, batch: &Batch, report: &mut ContainsReport) -> Result<(), EngineError> {
        let mut series: BTreeMap<(&[u8], usize), Lines<'_>> = BTreeMap::new();
        let mut at = 0;
        while let Some(len) = line::end(&batch.bytes[at..]) {
            let record = &batch.bytes[at..at + len - 1];
            at += len;
            let line = Line::parse(record).ok_or_else(|| EngineError::BadBackup {
                problem: format!(
                    "a record is not line protocol with a time: {}",
                    fault::word(&String::from_utf8_lossy(record))
                ),
            })?;
            let piece = self.cuts.partition_point(|cut| *cut <= line.time);
            let lines = series.entry((line.key, piece)).or_default();
            lines.insert(line.time, line);
        }
        let all: Vec<_> = series.into_values().collect();
        for some in all.chunks(STATEMENTS) {
            let query: Vec<String> = some.iter().filter_map(|lines| self.query(lines)).collect();
            let mut found = Encoder::default();
            let statements = i64::try_from(query.len()).unwrap_or(i64::MAX);
            let answer = self.client.rows(&query.join(";"), statements).await;
            match answer {
                Err(error) => return Err(error),
                Ok(mut rows) => loop {
                    match rows.next(&mut found).await {
                        Ok(true) => {}
                        Ok(false) | Err(EngineError::NotFound { .. }) => break,
                        Err(other) => return Err(other),
                    }
                },
            }
            self.compare(some, &found.take(), report);
        }
        Ok(())
    }

    /// Asks for one series between its first and last time in the batch.
    fn query(&self, lines: &Lines<'_>) -> Option<String> {
        let (first, line) = lines.first_key_value()?;
        let (last, _) = lines.last_key_value()?;
        let (_, tags) = line.series();
        let mut conditions = Vec::new();
        for (key, value) in &tags {
            // A tag that can't be said widens what is asked for; the comparison is by whole series.
            if let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value)) {
                conditions.extend(ql::tag_is(key, value));
            }
        }
        for key in &self.tag_keys {
            if !tags.iter().any(|(have, _)| have == key.as_bytes()) {
                conditions.extend(ql::tag_is(key, ""));
            }
        }
        let range = Range {
            start: Some(*first),
            end: Some(last.saturating_add(1)),
        };
        Some(ql::select_rows(&self.place.source(), range, &conditions))
    }

    fn compare(&self, wanted: &[Lines<'_>], found: &[u8], report: &mut ContainsReport) {
        let mut there: HashMap<(&[u8], i64), Fields<'_>> = HashMap::new();
        let mut at = 0;
        while let Some(len) = line::end(&found[at..]) {
            if let Some(line) = Line::parse(&found[at..at + len - 1]) {
                there
                    .entry((line.key, line.time))
                    .or_default()
                    .extend(line.fields());
            }
            at += len;
        }
        for lines in wanted {
            for (time, line) in lines {
                let have = there.get(&(line.key, *time));
                if have.is_some_and(|have| holds(have, line)) {
                    report.found += 1;
                    continue;
                }
                if self.horizon.is_some_and(|horizon| *time < horizon) {
                    report.expired += 1;
                    continue;
                }
                if have.is_some() {
                    report.different += 1;
                } else {
                    report.missing += 1;
                }
                if report.examples.len() < EXAMPLES {
                    let how = if have.is_some() {
                        "different"
                    } else {
                        "missing"
                    };
                    let name = String::from_utf8_lossy(line.key);
                    report
                        .examples
                        .push(fault::word(&format!("{how}: {name} {time}")));
                }
            }
        }
    }
}

/// Whether all fields of a record are there with the same value.
fn holds(have: &Fields<'_>, line: &Line<'_>) -> bool {
    line.fields()
        .all(|(key, value)| have.get(key).is_some_and(|there| same(there, value)))
}

/// Whether two texts are one value. Both are in the canonical form, as a rule; a file that another
/// tool wrote may say `1.50` or `true`.
fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || (value(one).is_some() && value(one) == value(other))
}

/// A float's bits, or a boolean.
fn value(text: &[u8]) -> Option<(bool, u64)> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some((true, 1)),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some((true, 0)),
        _ => {
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            Some((false, number.to_bits()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_several_texts() {
        for (one, other, want) in [
            ("1.5", "1.5", true),
            ("1.5", "1.50", true),
            ("1", "1e0", true),
            ("0", "-0", false),
            ("1", "1i", false),
            ("t", "true", true),
            ("t", "f", false),
            ("t", "1", false),
            ("\"1\"", "1", false),
            ("\"a\"", "\"b\"", false),
        ] {
            assert_eq!(
                same(one.as_bytes(), other.as_bytes()),
                want,
                "{one} {other}"
            );
        }
    }
}
