//! Writes the rows of a table.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::client::Client;
use super::connection::Connection;
use super::lines::{Batch, Lines};
use super::mirror::Sweep;
use super::slice::Slice;
use super::{fault, large, term};
use crate::engine::{EngineError, ImportReport};
use crate::transfer::RecordSource;

/// Bytes of a batch; a larger row goes alone.
const BATCH: usize = 256 * 1024;
/// Rows of a batch.
const ROWS: u64 = 500;
/// Batches of one table that are under way, each on a connection of its own.
const IN_FLIGHT: usize = 3;
/// KiB of all tables together that are under way.
pub(super) const IN_FLIGHT_KIB: u32 = 4096;
/// Attempts of one write.
const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Refusals that are told in the server's words.
const EXAMPLES: usize = 5;

/// Where rows go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// Bounds what all tables together have under way, in KiB.
    pub(super) permits: &'a Semaphore,
    /// The table, and which of its rows.
    pub(super) slice: &'a Slice,
    /// Whether each write waits for the disk.
    pub(super) hard: bool,
    /// Whether rows that the backup does not hold are deleted.
    pub(super) mirror: bool,
}

/// What the server says of a write.
#[derive(Debug, Default, Deserialize)]
struct Counts {
    #[serde(default)]
    inserted: u64,
    #[serde(default)]
    replaced: u64,
    #[serde(default)]
    unchanged: u64,
    #[serde(default)]
    skipped: u64,
    #[serde(default)]
    errors: u64,
    #[serde(default)]
    first_error: String,
}

/// What is done at once.
enum Work {
    /// Rows are written.
    Write(Batch),
    /// What should not be there is deleted.
    Sweep(Sweep),
}

/// What became of it, and the connection if it can be used again.
type Done = (Result<ImportReport, EngineError>, Option<Connection>);

/// Writes all rows of a part.
pub(super) async fn import(
    target: Target<'_>,
    records: &mut dyn RecordSource,
) -> Result<ImportReport, EngineError> {
    let mut writer = Writer::new(target);
    let (mut lines, mut batch, mut pass) = (Lines::default(), Batch::default(), None);
    while let Some(piece) = records.next().await? {
        let (mut full, mut bad) = (Vec::new(), None);
        lines.push(&piece, |row| {
            if batch.rows > 0 && batch.terms.len() + row.len() > BATCH {
                full.push(std::mem::take(&mut batch));
            }
            batch.add(row);
            if target.mirror {
                let known = batch.keys.add(row, &target.slice.primary_key);
                bad = known.err().or(bad.take());
            }
            if batch.rows >= ROWS || batch.terms.len() >= BATCH {
                full.push(std::mem::take(&mut batch));
            }
            Ok(())
        })?;
        if let Some(problem) = bad {
            return Err(lines.no_row(problem));
        }
        for batch in full {
            writer.write(batch).await?;
        }
        let large = large::is(lines.held());
        if large && pass.is_none() {
            writer.settle_all().await?;
            pass = target.client.gate().enter(lines.held()).await;
        } else if !large && pass.is_some() {
            // The large row is among those that are under way.
            writer.settle_all().await?;
            pass = None;
        }
    }
    lines.finish()?;
    if batch.rows > 0 {
        writer.write(batch).await?;
    }
    writer.finish().await
}

/// Batches of one part that are under way.
struct Writer<'a> {
    target: Target<'a>,
    under_way: FuturesUnordered<BoxFuture<'a, Done>>,
    idle: Vec<Connection>,
    report: ImportReport,
    /// Where rows were written last: it ends where the next are.
    sweep: Sweep,
}

impl<'a> Writer<'a> {
    fn new(target: Target<'a>) -> Self {
        Self {
            target,
            under_way: FuturesUnordered::new(),
            idle: Vec::new(),
            report: ImportReport::default(),
            sweep: Sweep::whole(target.slice),
        }
    }

    /// Begins to write a batch, once there is room.
    async fn write(&mut self, mut batch: Batch) -> Result<(), EngineError> {
        let keys = std::mem::take(&mut batch.keys);
        self.begin(Work::Write(batch)).await?;
        if self.sweep.keys.first().is_none() {
            // From where the part begins.
            self.sweep.keys = keys;
            return Ok(());
        }
        let from = keys.first().map(str::to_owned);
        let next = Sweep {
            keys,
            from: from.clone(),
            to: self.sweep.to.clone(),
        };
        let mut done = std::mem::replace(&mut self.sweep, next);
        done.to = from;
        self.begin(Work::Sweep(done)).await
    }

    async fn begin(&mut self, work: Work) -> Result<(), EngineError> {
        while self.under_way.len() >= IN_FLIGHT {
            self.settle().await?;
        }
        let connection = self.idle.pop();
        self.under_way
            .push(Box::pin(perform(self.target, work, connection)));
        Ok(())
    }

    async fn settle_all(&mut self) -> Result<(), EngineError> {
        while !self.under_way.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }

    /// Waits until one batch is written.
    async fn settle(&mut self) -> Result<(), EngineError> {
        let Some((result, connection)) = self.under_way.next().await else {
            return Ok(());
        };
        let (one, total) = (result?, &mut self.report);
        total.written += one.written;
        total.refused += one.refused;
        total.deleted += one.deleted;
        for example in one.examples {
            if total.examples.len() < EXAMPLES && !total.examples.contains(&example) {
                total.examples.push(example);
            }
        }
        self.idle.extend(connection);
        Ok(())
    }

    /// Waits until all is written, and on disk.
    async fn finish(mut self) -> Result<ImportReport, EngineError> {
        if self.target.mirror {
            let rest = std::mem::take(&mut self.sweep);
            self.begin(Work::Sweep(rest)).await?;
        }
        self.settle_all().await?;
        if self.report.written + self.report.deleted > 0 && !self.target.hard {
            sync(self.target, self.idle.pop()).await?;
        }
        Ok(self.report)
    }
}

/// Deletes all rows of a part that has none.
pub(super) async fn empty(client: &Client, slice: &Slice, hard: bool) -> Result<(), EngineError> {
    let mut connection = client.connect().await?;
    let sweep = Sweep::whole(slice);
    let deleted = sweep.run(client, &mut connection, slice, hard).await?;
    if deleted > 0 {
        tracing::info!(table = %slice.name, deleted, "rows that the backup does not hold were deleted");
    }
    Ok(())
}

async fn perform(target: Target<'_>, work: Work, connection: Option<Connection>) -> Done {
    let bytes = match &work {
        Work::Write(batch) => batch.terms.len(),
        Work::Sweep(_) => 0,
    };
    let size = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    let _permit = target.permits.acquire_many(size.min(IN_FLIGHT_KIB)).await;
    let mut connection = connection;
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        match attempt_work(target, &work, &mut connection).await {
            Err(error) if error.retryable() && attempt < ATTEMPTS => {
                // Same key, same row: what was written is written again, and what was deleted is gone.
                tracing::warn!(attempt, %error, "a write failed and is tried again");
                connection = None;
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            result => return (result, connection),
        }
    }
    (Ok(ImportReport::default()), connection)
}

async fn attempt_work(
    target: Target<'_>,
    work: &Work,
    connection: &mut Option<Connection>,
) -> Result<ImportReport, EngineError> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => target.client.connect().await?,
    };
    let client = target.client;
    let done = match work {
        Work::Write(batch) => {
            let (before, behind) = term::insert(&target.slice.table(), target.hard);
            let query = [before.as_str(), &batch.terms, &behind];
            let counts: Counts = client.read(&open.atom_of(&query).await?)?;
            report(client.server(), batch.rows, &counts)
        }
        Work::Sweep(sweep) => {
            let deleted = sweep
                .run(client, &mut open, target.slice, target.hard)
                .await;
            Ok(ImportReport {
                deleted: deleted?,
                ..ImportReport::default()
            })
        }
    };
    *connection = Some(open);
    done
}

fn report(server: &str, rows: u64, counts: &Counts) -> Result<ImportReport, EngineError> {
    let sum = |numbers: &[u64]| numbers.iter().fold(0u64, |a, b| a.saturating_add(*b));
    let written = sum(&[counts.inserted, counts.replaced, counts.unchanged]);
    let refused = sum(&[counts.errors, counts.skipped]);
    if sum(&[written, refused]) != rows {
        return Err(fault::garbled(
            server,
            &format!("of {rows} rows it counts {written} as written and {refused} as refused"),
        ));
    }
    // A table that can't be written for now refuses rows one by one.
    if counts.errors > 0 && fault::is_passing(&counts.first_error) {
        return Err(EngineError::Server {
            server: server.to_owned(),
            problem: fault::word(&counts.first_error),
            retryable: true,
        });
    }
    Ok(ImportReport {
        written,
        refused,
        examples: (refused > 0)
            .then(|| fault::word(&counts.first_error))
            .into_iter()
            .collect(),
        ..ImportReport::default()
    })
}

/// What was acknowledged from memory is brought to disk, so that complete means durable.
async fn sync(target: Target<'_>, connection: Option<Connection>) -> Result<(), EngineError> {
    let mut connection = match connection {
        Some(open) => open,
        None => target.client.connect().await?,
    };
    let term = term::sync(&target.slice.table());
    connection.atom(&term).await.map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_counts() {
        let read = |text: &str| report("h:1", 5, &serde_json::from_str(text).unwrap());
        let fine =
            read(r#"{"inserted":2,"replaced":2,"unchanged":1,"errors":0,"skipped":0,"deleted":0}"#);
        assert_eq!(fine.unwrap().written, 5);
        let some = read(r#"{"inserted":3,"errors":2,"first_error":"too deep"}"#).unwrap();
        assert_eq!((some.written, some.refused), (3, 2));
        assert_eq!(some.examples, ["too deep"]);
        for (text, retryable) in [
            (r#"{"inserted":4}"#, false),
            (r#"{"inserted":18446744073709551615,"errors":1}"#, false),
            (
                r#"{"errors":5,"first_error":"Cannot perform write: primary replica for shard not available"}"#,
                true,
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.retryable(), retryable, "{error}");
        }
    }
}
