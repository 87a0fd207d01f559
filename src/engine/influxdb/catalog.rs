//! What a server holds: databases, retention policies, measurements, shards.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ql::{self, Range};
use super::table::{Cell, Table};
use crate::engine::EngineError;
pub(super) use crate::engine::window::nanoseconds;

/// The server's own statistics; never exported.
const INTERNAL: &str = "_internal";

/// A retention policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    /// Its name.
    pub(super) name: String,
    /// How long points are kept; 0: for ever.
    pub(super) duration_seconds: u64,
    /// What one shard group spans.
    pub(super) shard_duration_seconds: u64,
    /// Copies of each shard, in a cluster.
    pub(super) replication: u32,
    /// Whether writes that name none go here.
    #[serde(default)]
    pub(super) default: bool,
}

impl Policy {
    /// `DURATION … REPLICATION … SHARD DURATION …`.
    pub(super) fn clauses(&self) -> String {
        let shard = match self.shard_duration_seconds {
            0 => String::new(),
            seconds => format!(" SHARD DURATION {seconds}s"),
        };
        format!(
            "DURATION {}s REPLICATION {}{shard}",
            self.duration_seconds,
            self.replication.max(1)
        )
    }

    /// The statement that makes it.
    pub(super) fn create(&self, database: &str) -> String {
        format!(
            "CREATE RETENTION POLICY {} ON {} {}{}",
            ql::ident(&self.name),
            ql::ident(database),
            self.clauses(),
            if self.default { " DEFAULT" } else { "" }
        )
    }
}

/// A continuous query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContinuousQuery {
    /// Its name.
    pub(super) name: String,
    /// The statement that made it.
    pub(super) query: String,
}

/// A measurement of one retention policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Measurement {
    /// Its name.
    pub(super) name: String,
    /// Fields that have more than one type, in different shards.
    pub(super) mixed: Vec<String>,
}

/// Whether a database is the server's own.
pub(super) fn is_internal(database: &str) -> bool {
    database == INTERNAL
}

/// All databases but the server's own.
pub(super) async fn databases(client: &Client) -> Result<Vec<String>, EngineError> {
    let mut names = Vec::new();
    for table in client.table("SHOW DATABASES").await? {
        for row in &table.rows {
            names.push(text(client, &table, row, "name")?.to_owned());
        }
    }
    names.retain(|name| !is_internal(name));
    names.sort();
    Ok(names)
}

/// The retention policies of a database.
pub(super) async fn policies(client: &Client, database: &str) -> Result<Vec<Policy>, EngineError> {
    let query = format!("SHOW RETENTION POLICIES ON {}", ql::ident(database));
    let mut found = Vec::new();
    for table in client.table(&query).await? {
        for row in &table.rows {
            let span = |column| {
                let word = text(client, &table, row, column)?;
                seconds(word).ok_or_else(|| odd(client, "a duration of a retention policy"))
            };
            let replication = match table.cell(row, "replicaN") {
                Some(Cell::Int(number)) => u32::try_from(*number).unwrap_or(1),
                _ => 1,
            };
            found.push(Policy {
                name: text(client, &table, row, "name")?.to_owned(),
                duration_seconds: span("duration")?,
                shard_duration_seconds: span("shardGroupDuration")?,
                replication,
                default: table.cell(row, "default") == Some(&Cell::Bool(true)),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The continuous queries of a database.
pub(super) async fn continuous_queries(
    client: &Client,
    database: &str,
) -> Result<Vec<ContinuousQuery>, EngineError> {
    let mut found = Vec::new();
    for table in client.table_in(database, "SHOW CONTINUOUS QUERIES").await? {
        if table.name != database.as_bytes() {
            continue;
        }
        for row in &table.rows {
            found.push(ContinuousQuery {
                name: text(client, &table, row, "name")?.to_owned(),
                query: text(client, &table, row, "query")?.to_owned(),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The measurements that have fields in a retention policy, and the names that are not UTF-8, made
/// readable. SHOW MEASUREMENTS knows no retention policy; a measurement without fields has no points.
pub(super) async fn measurements(
    client: &Client,
    database: &str,
    policy: &str,
) -> Result<(Vec<Measurement>, Vec<String>), EngineError> {
    let from = format!("{}.{}./.*/", ql::ident(database), ql::ident(policy));
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    for table in field_keys(client, database, &from).await? {
        match std::str::from_utf8(&table.name) {
            Ok(name) => found.push(Measurement {
                name: name.to_owned(),
                mixed: mixed(&table),
            }),
            Err(_) => unreadable.push(String::from_utf8_lossy(&table.name).into_owned()),
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((found, unreadable))
}

/// Whether a database is there and has a measurement.
pub(super) async fn holds_any(client: &Client, database: &str) -> Result<bool, EngineError> {
    let query = format!("SHOW MEASUREMENTS ON {} LIMIT 1", ql::ident(database));
    match client.table(&query).await {
        Err(EngineError::NotFound { .. }) => Ok(false),
        Err(other) => Err(other),
        Ok(tables) => Ok(tables.iter().any(|table| !table.rows.is_empty())),
    }
}

/// The names that the index knows, whatever the retention policy, made readable.
pub(super) async fn indexed(client: &Client, database: &str) -> Result<Vec<String>, EngineError> {
    let query = format!("SHOW MEASUREMENTS ON {}", ql::ident(database));
    let mut names = Vec::new();
    for table in client.table(&query).await? {
        for row in &table.rows {
            if let Some(Cell::Text(name)) = table.cell(row, "name") {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(names)
}

/// The fields of one measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// One of them, where its name is UTF-8.
    pub(super) one: Option<String>,
    /// Those that have more than one type.
    pub(super) mixed: Vec<String>,
}

/// Looks at the fields of one measurement.
pub(super) async fn fields(
    client: &Client,
    database: &str,
    source: &str,
) -> Result<Fields, EngineError> {
    let tables = field_keys(client, database, source).await?;
    let mut rows = tables.iter().flat_map(|table| {
        table
            .rows
            .iter()
            .map(move |row| table.cell(row, "fieldKey"))
    });
    Ok(Fields {
        one: rows.find_map(|name| name?.text().map(str::to_owned)),
        mixed: tables.iter().flat_map(mixed).collect(),
    })
}

async fn field_keys(
    client: &Client,
    database: &str,
    source: &str,
) -> Result<Vec<Table>, EngineError> {
    let query = format!("SHOW FIELD KEYS ON {} FROM {source}", ql::ident(database));
    client.table(&query).await
}

fn mixed(table: &Table) -> Vec<String> {
    let mut names: Vec<&[u8]> = table
        .rows
        .iter()
        .filter_map(|row| match table.cell(row, "fieldKey") {
            Some(Cell::Text(name)) => Some(name.as_slice()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    let mut twice: Vec<String> = names
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| String::from_utf8_lossy(pair[0]).into_owned())
        .collect();
    twice.dedup();
    twice
}

/// The tag keys of one measurement; those that are not UTF-8 are left out.
pub(super) async fn tag_keys(
    client: &Client,
    database: &str,
    source: &str,
) -> Result<Vec<String>, EngineError> {
    let query = format!("SHOW TAG KEYS ON {} FROM {source}", ql::ident(database));
    let mut keys = Vec::new();
    for table in client.table(&query).await? {
        for row in &table.rows {
            keys.extend(
                table
                    .cell(row, "tagKey")
                    .and_then(Cell::text)
                    .map(str::to_owned),
            );
        }
    }
    Ok(keys)
}

/// The values of a tag, at most `limit` of them; none where one is not UTF-8.
pub(super) async fn tag_values(
    client: &Client,
    database: &str,
    source: &str,
    key: &str,
    limit: usize,
) -> Result<Option<Vec<String>>, EngineError> {
    let query = format!(
        "SHOW TAG VALUES ON {} FROM {source} WITH KEY = {} LIMIT {limit}",
        ql::ident(database),
        ql::ident(key)
    );
    let mut values = Vec::new();
    for table in client.table(&query).await? {
        for row in &table.rows {
            match table.cell(row, "value").and_then(Cell::text) {
                Some(value) => values.push(value.to_owned()),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(values))
}

/// About how many rows a measurement has: points that have the field `key`.
pub(super) async fn rows(client: &Client, source: &str, key: &str) -> Result<u64, EngineError> {
    let query = format!(
        "SELECT count({}::field) AS points FROM {source}",
        ql::ident(key)
    );
    let mut rows = 0;
    for table in client.table(&query).await? {
        for row in &table.rows {
            if let Some(Cell::Int(points)) = table.cell(row, "points") {
                rows += u64::try_from(*points).unwrap_or(0);
            }
        }
    }
    Ok(rows)
}

/// All of time, cut where shard groups of a retention policy begin and end, and whether a group has
/// several shards, as in a cluster. Within one shard a field has one type. Needs the right to see
/// shards (an admin).
pub(super) async fn shard_ranges(
    client: &Client,
    database: &str,
    policy: &str,
) -> Result<(Vec<Range>, bool), EngineError> {
    let mut cuts = Vec::new();
    let mut groups = BTreeSet::new();
    let mut shared = false;
    for table in client.table("SHOW SHARDS").await? {
        if table.name != database.as_bytes() {
            continue;
        }
        for row in &table.rows {
            if table.cell(row, "retention_policy").and_then(Cell::text) != Some(policy) {
                continue;
            }
            if let Some(Cell::Int(group)) = table.cell(row, "shard_group") {
                shared |= !groups.insert(*group);
            }
            for column in ["start_time", "end_time"] {
                let time: jiff::Timestamp = text(client, &table, row, column)?
                    .parse()
                    .map_err(|_| odd(client, "a time of a shard"))?;
                cuts.push(nanoseconds(time));
            }
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    Ok((pieces(&cuts), shared))
}

fn pieces(cuts: &[i64]) -> Vec<Range> {
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    starts
        .zip(ends)
        .map(|(start, end)| Range { start, end })
        .collect()
}

/// When the server was started, by its own word; none where the user may not see it.
pub(super) async fn started(client: &Client) -> Option<String> {
    let tables = client.table("SHOW DIAGNOSTICS").await.ok()?;
    let table = tables.iter().find(|table| table.name == b"system")?;
    let row = table.rows.first()?;
    table.cell(row, "started")?.text().map(str::to_owned)
}

/// Reads `168h0m0s`.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, None);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let next: u64 = number.unwrap_or(0);
            number = Some(next.checked_mul(10)?.checked_add(u64::from(digit))?);
        } else {
            let unit = match c {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
            total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        }
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

fn text<'a>(
    client: &Client,
    table: &Table,
    row: &'a [Cell],
    column: &str,
) -> Result<&'a str, EngineError> {
    table
        .cell(row, column)
        .and_then(Cell::text)
        .ok_or_else(|| odd(client, &format!("a list without a readable {column}")))
}

fn odd(client: &Client, what: &str) -> EngineError {
    EngineError::Server {
        server: client.server().to_owned(),
        problem: format!("its answer is not as the protocol says: {what}"),
        retryable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("0s", Some(0)),
            ("168h0m0s", Some(604_800)),
            ("1h30m0s", Some(5400)),
            ("", None),
            ("5", None),
            ("h", None),
            ("1.5s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    #[test]
    fn pieces_cover_all_of_time() {
        let range = |start, end| Range { start, end };
        assert_eq!(pieces(&[]), [range(None, None)]);
        assert_eq!(
            pieces(&[1, 5]),
            [
                range(None, Some(1)),
                range(Some(1), Some(5)),
                range(Some(5), None)
            ]
        );
    }

    #[test]
    fn statements() {
        let policy = Policy {
            name: "a \"b\"".into(),
            duration_seconds: 3600,
            shard_duration_seconds: 60,
            replication: 2,
            default: true,
        };
        assert_eq!(
            policy.create("d"),
            "CREATE RETENTION POLICY \"a \\\"b\\\"\" ON \"d\" DURATION 3600s REPLICATION 2 SHARD DURATION 60s DEFAULT"
        );
    }
}
