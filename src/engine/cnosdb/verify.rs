//! Compares a target with a backup.

use std::collections::HashMap;

use super::catalog;
use super::client::Client;
use super::import::{Cutter, bad};
use super::read::{self, Place, Reader, Visit};
use super::row::{Layout, Row, put};
use super::sql::{Range, ident};
use super::time;
use crate::engine::http::word;
use crate::engine::{ContainsReport, EngineError, TargetState};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSource;

/// Records that are looked up at once.
const LOOKED_UP: usize = 2000;
/// Bytes of records that are looked up at once.
const BYTES: usize = 256 * 1024;
/// Records that are named where they are missing or different.
const EXAMPLES: usize = 5;

/// Whether a place holds any row.
pub(super) async fn state(client: &Client, place: &Place) -> Result<TargetState, EngineError> {
    let statement = format!("SELECT * FROM {} LIMIT 1", ident(&place.table));
    let rows = absent(
        client
            .list::<serde_json::Value>(place.at(), &statement)
            .await,
    )?;
    Ok(match rows {
        Some(rows) if !rows.is_empty() => TargetState::Holds(format!(
            "rows in {:?}.{:?}.{:?}",
            place.tenant, place.database, place.table
        )),
        _ => TargetState::Empty,
    })
}

/// None for what is not there.
fn absent<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Counts the rows of a place.
pub(super) async fn count(client: &Client, place: &Place) -> Result<u64, EngineError> {
    Ok(absent(read::count(client, place).await)?.unwrap_or(0))
}

/// The columns that the target has.
pub(super) async fn layout(client: &Client, place: &Place) -> Result<Option<Layout>, EngineError> {
    let table = absent(catalog::table(client, place.at(), &place.table).await)?;
    Ok(table.map(Layout::new))
}

struct Hash<'a> {
    layout: &'a Layout,
    canonical: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Visit for Hash<'_> {
    fn row(&mut self, _: &[u8], row: &Row<'_>) -> Result<(), EngineError> {
        self.canonical.clear();
        self.layout.canonical(row, &mut self.canonical);
        self.fingerprint.add(&self.canonical);
        Ok(())
    }
}

/// Fingerprint of all that a place holds.
pub(super) async fn fingerprint(
    client: &Client,
    place: &Place,
) -> Result<Fingerprint, EngineError> {
    let Some(layout) = layout(client, place).await? else {
        return Ok(Fingerprint::default());
    };
    let mut hash = Hash {
        layout: &layout,
        canonical: Vec::new(),
        fingerprint: Fingerprint::default(),
    };
    let mut reader = Reader::new(client, place, &layout).await?;
    while reader.next(&mut hash).await? {}
    Ok(hash.fingerprint)
}

/// Looks each record up. A record is there when the target has its series and time, and each of its
/// fields with the same value; the target may have further fields there, as it may have further
/// records.
pub(super) async fn contains(
    client: &Client,
    place: &Place,
    layout: &Layout,
    records: &mut dyn RecordSource,
) -> Result<ContainsReport, EngineError> {
    let target = self::layout(client, place).await?;
    let horizon = horizon(client, place).await?;
    let mut report = ContainsReport::default();
    let mut cutter = Cutter::default();
    let mut ended = false;
    let mut batch = Batch::new(layout);
    while !ended {
        let piece = records.next().await?;
        ended = piece.is_none();
        let mut full = Vec::new();
        cutter.push(piece.as_deref(), |line| {
            batch.take(line)?;
            if batch.is_full() {
                full.push(std::mem::replace(&mut batch, Batch::new(layout)));
            }
            Ok(())
        })?;
        if ended {
            full.push(std::mem::replace(&mut batch, Batch::new(layout)));
        }
        for mut batch in full {
            if let Some(target) = &target {
                batch.look_up(client, place, target).await?;
            }
            batch.report(horizon, &mut report);
        }
    }
    Ok(report)
}

/// Records before this are past the retention of the target.
pub(super) async fn horizon(client: &Client, place: &Place) -> Result<Option<i128>, EngineError> {
    let options = absent(catalog::options(client, &place.tenant, &place.database).await)?;
    let ttl = options.and_then(|options| time::span_seconds(options.get("ttl")?));
    Ok(ttl.map(|seconds| jiff::Timestamp::now().as_nanosecond() - seconds * 1_000_000_000))
}

/// What was found of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Nothing,
    Other,
    Same,
}

struct Wanted {
    time: i128,
    /// Where a field is in the backup's layout, and its value in the canonical form.
    fields: Vec<(usize, Vec<u8>)>,
    /// How often the backup has it.
    times: u64,
    found: Found,
}

struct Batch<'a> {
    layout: &'a Layout,
    records: HashMap<Vec<u8>, Wanted>,
    bytes: usize,
    canonical: Vec<u8>,
}

impl<'a> Batch<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            records: HashMap::new(),
            bytes: 0,
            canonical: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= LOOKED_UP || self.bytes >= BYTES
    }

    fn take(&mut self, line: &[u8]) -> Result<(), EngineError> {
        let row = self.layout.read(line).map_err(|problem| bad(&problem))?;
        self.canonical.clear();
        let key = self.layout.canonical(&row, &mut self.canonical);
        let fields = self.layout.fields().iter().filter_map(|at| {
            let mut text = Vec::new();
            put(&mut text, row.values[*at].as_ref()?);
            Some((*at, text))
        });
        let fields = fields.collect();
        self.bytes += line.len();
        let wanted = self
            .records
            .entry(self.canonical[key].to_vec())
            .or_insert(Wanted {
                time: row.time,
                fields: Vec::new(),
                times: 0,
                found: Found::Nothing,
            });
        // Where a backup has a record twice, the last one is what the target keeps.
        wanted.fields = fields;
        wanted.times += 1;
        Ok(())
    }

    async fn look_up(
        &mut self,
        client: &Client,
        place: &Place,
        target: &Layout,
    ) -> Result<(), EngineError> {
        let times = || self.records.values().map(|wanted| wanted.time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(());
        };
        let unit = target.table.precision.unit();
        let place = Place {
            window: Range {
                start: i64::try_from(first).ok(),
                end: i64::try_from(last + unit).ok(),
            },
            ..place.clone()
        };
        let mut compare = Compare {
            batch: self,
            target,
            canonical: Vec::new(),
        };
        let mut reader = Reader::new(client, &place, target).await?;
        while reader.next(&mut compare).await? {}
        Ok(())
    }

    fn report(self, horizon: Option<i128>, report: &mut ContainsReport) {
        for (key, wanted) in self.records {
            let count = match wanted.found {
                Found::Same => &mut report.found,
                _ if horizon.is_some_and(|horizon| wanted.time < horizon) => &mut report.expired,
                Found::Other => &mut report.different,
                Found::Nothing => &mut report.missing,
            };
            *count += wanted.times;
            let expired = horizon.is_some_and(|horizon| wanted.time < horizon);
            if wanted.found != Found::Same && !expired && report.examples.len() < EXAMPLES {
                let how = match wanted.found {
                    Found::Other => "different",
                    _ => "missing",
                };
                let name = String::from_utf8_lossy(&key);
                report.examples.push(word(&format!("{how}: {name}")));
            }
        }
    }
}

struct Compare<'b, 'l> {
    batch: &'b mut Batch<'l>,
    target: &'b Layout,
    canonical: Vec<u8>,
}

impl Visit for Compare<'_, '_> {
    fn row(&mut self, _: &[u8], row: &Row<'_>) -> Result<(), EngineError> {
        self.canonical.clear();
        let key = self.target.canonical(row, &mut self.canonical);
        let Some(wanted) = self.batch.records.get_mut(&self.canonical[key]) else {
            return Ok(());
        };
        let same = wanted.fields.iter().all(|(at, text)| {
            let there = self.target.find(self.batch.layout.name(*at));
            let value = there.and_then(|at| row.values[at].as_ref());
            value.is_some_and(|value| {
                self.canonical.clear();
                put(&mut self.canonical, value);
                self.canonical == *text
            })
        });
        wanted.found = if same { Found::Same } else { Found::Other };
        Ok(())
    }
}
