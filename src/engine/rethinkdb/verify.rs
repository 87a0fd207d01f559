//! Compares a target with a backup.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::answer::Shape;
use super::client::Client;
use super::connection::Connection;
use super::export::{Hasher, unreadable};
use super::json::{self, NoRow};
use super::lines::Lines;
use super::scan::Scan;
use super::slice::Slice;
use super::{fault, term};
use crate::engine::{ContainsReport, EngineError, TargetState};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSource;

/// Rows that are looked up at once.
const ROWS: usize = 200;
/// Bytes of rows that are looked up at once; a larger row goes alone.
const BYTES: usize = 256 * 1024;
/// Rows that are named where they are missing or different.
const EXAMPLES: usize = 5;

/// Whether there is a row.
pub(super) async fn state(client: &Client, slice: &Slice) -> Result<TargetState, EngineError> {
    let rows = term::limit(&slice.rows(), 1);
    Ok(match number(client, &term::count(&rows)).await? {
        0 => TargetState::Empty,
        _ => TargetState::Holds(format!("rows in {}", slice.name)),
    })
}

/// How many rows there are.
pub(super) async fn count(client: &Client, slice: &Slice) -> Result<u64, EngineError> {
    number(client, &term::count(&slice.rows())).await
}

/// A number; 0 where the table is not there.
async fn number(client: &Client, term: &str) -> Result<u64, EngineError> {
    let mut connection = client.connect().await?;
    match client.atom(&mut connection, term).await {
        Err(EngineError::NotFound { .. }) => Ok(0),
        other => other,
    }
}

/// Fingerprint of all rows that are there.
pub(super) async fn fingerprint(
    client: &Client,
    slice: &Slice,
) -> Result<Fingerprint, EngineError> {
    let mut hasher = Hasher::default();
    let mut scan = Scan::new(client, slice);
    loop {
        match scan.next().await {
            Ok(Some(values)) => {
                for row in values.iter() {
                    hasher
                        .add(row)
                        .map_err(|problem| unreadable(client, &slice.name, problem))?;
                }
            }
            Ok(None) | Err(EngineError::NotFound { .. }) => return Ok(hasher.fingerprint()),
            Err(error) => return Err(error),
        }
    }
}

/// The canonical form of a key, and the digest of that of its row.
type Entry = (Vec<u8>, [u8; 32]);

/// Rows that wait to be looked up.
#[derive(Default)]
struct Wanted {
    keys: Vec<String>,
    entries: Vec<Entry>,
    bytes: usize,
}

/// Looks each row up by its primary key. Further rows may be there.
pub(super) async fn contains(
    client: &Client,
    slice: &Slice,
    records: &mut dyn RecordSource,
) -> Result<ContainsReport, EngineError> {
    let lookup = Lookup {
        client,
        slice,
        table: slice.table(),
    };
    let mut connection = client.connect().await?;
    let mut report = ContainsReport::default();
    let mut lines = Lines::default();
    let (mut wanted, mut pass) = (Wanted::default(), None);
    while let Some(piece) = records.next().await? {
        let mut full = Vec::new();
        let mut bad = None;
        lines.push(&piece, |row| {
            match lookup.entry(row) {
                Ok((key, entry)) => {
                    wanted.bytes += row.len();
                    wanted.keys.push(key);
                    wanted.entries.push(entry);
                }
                Err(problem) => bad = Some(problem),
            }
            if wanted.keys.len() >= ROWS || wanted.bytes >= BYTES {
                full.push(std::mem::take(&mut wanted));
            }
            Ok(())
        })?;
        if let Some(problem) = bad {
            return Err(lines.no_row(problem));
        }
        if !full.is_empty() {
            // Of a large row that ended nothing is held but its digest, and answers need the pass.
            pass = None;
        }
        for wanted in full {
            lookup.batch(&mut connection, wanted, &mut report).await?;
        }
        if pass.is_none() {
            pass = client.gate().enter(lines.held()).await;
        }
    }
    drop(pass);
    lines.finish()?;
    lookup.batch(&mut connection, wanted, &mut report).await?;
    Ok(report)
}

struct Lookup<'a> {
    client: &'a Client,
    slice: &'a Slice,
    table: String,
}

impl Lookup<'_> {
    /// The key of a row as a term, and its entry.
    fn entry(&self, row: &str) -> Result<(String, Entry), NoRow> {
        let key = json::field(row, &self.slice.primary_key).ok_or(NoRow::NoObject)?;
        let mut form = Vec::new();
        json::canonical(key, &mut form)?;
        let name = std::mem::take(&mut form);
        json::canonical(row, &mut form)?;
        Ok((json::term(key), (name, Sha256::digest(&form).into())))
    }

    async fn batch(
        &self,
        connection: &mut Connection,
        wanted: Wanted,
        report: &mut ContainsReport,
    ) -> Result<(), EngineError> {
        if wanted.keys.is_empty() {
            return Ok(());
        }
        let there = match self.there(connection, &wanted.keys).await {
            Err(EngineError::NotFound { .. }) => HashMap::new(),
            other => other?,
        };
        for (key, digest) in wanted.entries {
            let how = match there.get(&key) {
                Some(found) if *found == digest => {
                    report.found += 1;
                    continue;
                }
                Some(_) => {
                    report.different += 1;
                    "different"
                }
                None => {
                    report.missing += 1;
                    "missing"
                }
            };
            if report.examples.len() < EXAMPLES {
                let key = String::from_utf8_lossy(&key);
                report.examples.push(fault::word(&format!("{how}: {key}")));
            }
        }
        Ok(())
    }

    async fn there(
        &self,
        connection: &mut Connection,
        keys: &[String],
    ) -> Result<HashMap<Vec<u8>, [u8; 32]>, EngineError> {
        let mut there = HashMap::with_capacity(keys.len());
        let mut answer = connection.start(&term::get_all(&self.table, keys)).await?;
        loop {
            let (shape, values) = answer;
            for row in values.iter() {
                let (_, (key, digest)) = self
                    .entry(row)
                    .map_err(|problem| unreadable(self.client, &self.slice.name, problem))?;
                there.insert(key, digest);
            }
            match shape {
                Shape::Partial => answer = connection.more().await?,
                Shape::End => return Ok(there),
                Shape::Atom => {
                    let server = self.client.server();
                    return Err(fault::garbled(server, "one value where rows were due"));
                }
            }
        }
    }
}
