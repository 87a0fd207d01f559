//! Writes one part.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::batch::{Batch, Batcher, Malformed};
use super::client::{Client, Written};
use super::fault;
use crate::engine::{EngineError, ImportReport};
use crate::transfer::RecordSource;

/// Bytes of a batch; the server's own limit is 25 MB.
const BATCH: usize = 512 * 1024;
/// Batches of one part that are under way.
const IN_FLIGHT: usize = 3;
/// Attempts of one write.
const ATTEMPTS: u32 = 6;
/// Wait before the second attempt; doubled each time.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Further requests of a part that are spent on finding out which records were refused.
const SEARCHES: usize = 2000;
/// Refusals that are told in the server's words.
const EXAMPLES: usize = 5;

/// Where records go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// Bounds what all parts together have under way.
    pub(super) permits: &'a Semaphore,
    /// Wait before the second attempt of a write.
    pub(super) first_wait: Duration,
    /// The database there.
    pub(super) database: &'a str,
    /// The retention policy there.
    pub(super) policy: &'a str,
}

/// Writes all records of a part.
pub(super) async fn import(
    target: Target<'_>,
    records: &mut dyn RecordSource,
) -> Result<ImportReport, EngineError> {
    let mut report = ImportReport::default();
    let mut batcher = Batcher::with_room(BATCH + BATCH / 4);
    let mut under_way = FuturesUnordered::new();
    let mut ended = false;
    while !ended {
        let piece = {
            // The next piece is read while batches are written.
            let mut next = records.next();
            loop {
                tokio::select! {
                    piece = &mut next => break piece?,
                    Some(done) = under_way.next() => add(&mut report, done?),
                }
            }
        };
        let batch = if let Some(bytes) = piece {
            batcher.push(&bytes).map_err(malformed)?;
            (batcher.waiting() >= BATCH).then(|| batcher.take())
        } else {
            ended = true;
            Some(std::mem::take(&mut batcher).finish().map_err(malformed)?)
        };
        for batch in batch.into_iter().filter(|batch| batch.records > 0) {
            // The permit comes first, so that few batches are held in memory, by all parts together.
            let mut permit = pin!(target.permits.acquire());
            let permit = loop {
                let full = under_way.len() >= IN_FLIGHT;
                tokio::select! {
                    permit = &mut permit, if !full => break permit.ok(),
                    Some(done) = under_way.next() => add(&mut report, done?),
                }
            };
            under_way.push(async move {
                let _permit = permit;
                write(target, batch).await
            });
        }
    }
    while let Some(done) = under_way.next().await {
        add(&mut report, done?);
    }
    Ok(report)
}

pub(super) fn malformed(problem: Malformed) -> EngineError {
    EngineError::BadBackup {
        problem: format!("a file of it is not line protocol: {problem}"),
    }
}

fn add(total: &mut ImportReport, one: ImportReport) {
    total.written += one.written;
    total.refused += one.refused;
    total.expired += one.expired;
    for example in one.examples {
        if total.examples.len() < EXAMPLES && !total.examples.contains(&example) {
            total.examples.push(example);
        }
    }
}

/// Writes a batch. Where some of it is refused, halves are written until what was refused is known:
/// the server tells but one of several reasons, and does not wait for the rest.
async fn write(target: Target<'_>, batch: Batch) -> Result<ImportReport, EngineError> {
    let mut report = ImportReport::default();
    let mut searches = SEARCHES;
    let mut waiting = VecDeque::from([batch]);
    while let Some(batch) = waiting.pop_front() {
        let body = Bytes::from(batch.bytes);
        let answer = send(target, body.clone()).await?;
        let batch = Batch {
            bytes: body.into(),
            records: batch.records,
        };
        match answer {
            Written::All => report.written += batch.records,
            Written::TooLarge => match batch.halves() {
                Some((a, b)) => waiting.extend([a, b]),
                None => refuse(&mut report, 1, "the record is larger than the server takes"),
            },
            Written::Refused(text) => {
                let refusal = Refusal::read(&text);
                let dropped = refusal.dropped.min(batch.records);
                if refusal.expired {
                    report.expired += dropped;
                    report.written += batch.records - dropped;
                } else if dropped == batch.records || batch.records == 1 {
                    refuse(&mut report, batch.records, &text);
                } else if let (Some((a, b)), true) = (batch.halves(), searches > 0) {
                    searches -= 1;
                    waiting.extend([a, b]);
                } else {
                    let dropped = dropped.max(1);
                    refuse(&mut report, dropped, &text);
                    report.written += batch.records - dropped;
                }
            }
        }
    }
    Ok(report)
}

fn refuse(report: &mut ImportReport, records: u64, text: &str) {
    report.refused += records;
    // The number differs from batch to batch; the reason is what a person needs.
    let reason = text
        .rsplit_once(" dropped=")
        .map_or(text, |(reason, _)| reason);
    let example = fault::word(reason);
    if report.examples.len() < EXAMPLES && !report.examples.contains(&example) {
        report.examples.push(example);
    }
}

async fn send(target: Target<'_>, body: Bytes) -> Result<Written, EngineError> {
    let mut wait = target.first_wait;
    for attempt in 1.. {
        let write = target
            .client
            .write(target.database, Some(target.policy), body.clone());
        match write.await {
            Err(error) if attempt < ATTEMPTS && error.retryable() => {
                tracing::warn!(attempt, %error, "a write failed and is tried again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
    Ok(Written::All)
}

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    expired: bool,
    dropped: u64,
}

impl Refusal {
    /// Reads `partial write: points beyond retention policy dropped=5`.
    fn read(text: &str) -> Self {
        let dropped = text
            .rsplit_once("dropped=")
            .map(|(_, rest)| {
                rest.trim()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            })
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        Self {
            expired: text.contains("points beyond retention policy") && dropped > 0,
            dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        for (text, expired, dropped) in [
            (
                "partial write: points beyond retention policy dropped=5",
                true,
                5,
            ),
            (
                "partial write: field type conflict: input field \"f\" dropped=2",
                false,
                2,
            ),
            (
                "partial write: unable to parse 'x': missing fields dropped=0",
                false,
                0,
            ),
            ("unable to parse 'x'", false, 0),
        ] {
            assert_eq!(Refusal::read(text), Refusal { expired, dropped }, "{text}");
        }
    }
}
