//! Writes one part. Same series and time, same record: the server overwrites it, so writing a part
//! again changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::client::{Client, ROW_LIMIT, Written};
use super::encode::{self, Encoder};
use super::read::Place;
use super::row::Layout;
use super::time::Precision;
use crate::engine::http::word;
use crate::engine::{EngineError, ImportReport};
use crate::transfer::RecordSource;

/// Bytes of a batch.
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
    /// The table there.
    pub(super) place: &'a Place,
    /// What its times are counted in.
    pub(super) precision: Precision,
    /// Records before this, in nanoseconds, are past its retention: the server takes them and then
    /// does not keep them.
    pub(super) horizon: Option<i128>,
}

/// Records that are written at once.
#[derive(Debug)]
enum Batch {
    /// Line protocol, and where each record ends.
    Lines { bytes: Vec<u8>, ends: Vec<usize> },
    /// One record, as a statement.
    Statement(String),
}

impl Batch {
    fn records(&self) -> u64 {
        match self {
            Self::Lines { ends, .. } => ends.len() as u64,
            Self::Statement(_) => 1,
        }
    }

    /// Two halves; none where there is but one record.
    fn halves(&self) -> Option<(Self, Self)> {
        let Self::Lines { bytes, ends } = self else {
            return None;
        };
        let first = ends.len() / 2;
        let at = *ends.get(first.checked_sub(1)?)?;
        Some((
            Self::Lines {
                bytes: bytes[..at].to_vec(),
                ends: ends[..first].to_vec(),
            },
            Self::Lines {
                bytes: bytes[at..].to_vec(),
                ends: ends[first..].iter().map(|end| end - at).collect(),
            },
        ))
    }
}

/// Whole lines of a stream that is cut anywhere.
#[derive(Default)]
pub(super) struct Cutter {
    kept: Vec<u8>,
}

impl Cutter {
    /// Takes a piece and gives each whole line to `take`. None is the end.
    pub(super) fn push(
        &mut self,
        piece: Option<&[u8]>,
        mut take: impl FnMut(&[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        match piece {
            Some(piece) => self.kept.extend_from_slice(piece),
            // A vendor's tool may leave out the last newline.
            None if self.kept.last().is_some_and(|byte| *byte != b'\n') => self.kept.push(b'\n'),
            None => {}
        }
        let mut start = 0;
        while let Some(len) = memchr::memchr(b'\n', &self.kept[start..]) {
            let line = self.kept[start..start + len].trim_ascii();
            if !line.is_empty() {
                take(line)?;
            }
            start += len + 1;
        }
        self.kept.drain(..start);
        if self.kept.len() > ROW_LIMIT {
            return Err(bad("a record is larger than 32 MiB"));
        }
        Ok(())
    }
}

/// A record that is not one.
pub(super) fn bad(problem: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("a record is not a row of its table: {}", word(problem)),
    }
}

/// Collects rows into batches.
struct Batcher<'a> {
    layout: &'a Layout,
    encoder: Encoder<'a>,
    horizon: Option<i128>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    ready: Vec<Batch>,
    report: ImportReport,
}

impl Batcher<'_> {
    fn take(&mut self, line: &[u8]) -> Result<(), EngineError> {
        let row = self.layout.read(line).map_err(|problem| bad(&problem))?;
        if self.horizon.is_some_and(|horizon| row.time < horizon) {
            self.report.expired += 1;
            return Ok(());
        }
        match self.encoder.row(&row, &mut self.bytes) {
            encode::Written::Line => self.ends.push(self.bytes.len()),
            encode::Written::Statement(text) => self.ready.push(Batch::Statement(text)),
            encode::Written::Not(why) => refuse(&mut self.report, 1, why),
        }
        if self.bytes.len() >= BATCH {
            self.cut();
        }
        Ok(())
    }

    fn cut(&mut self) {
        if !self.ends.is_empty() {
            self.ready.push(Batch::Lines {
                bytes: std::mem::take(&mut self.bytes),
                ends: std::mem::take(&mut self.ends),
            });
        }
    }
}

/// Writes all records of a part.
pub(super) async fn import(
    target: Target<'_>,
    layout: &Layout,
    records: &mut dyn RecordSource,
) -> Result<ImportReport, EngineError> {
    let mut batcher = Batcher {
        layout,
        encoder: Encoder::new(layout, &target.place.table, target.precision),
        horizon: target.horizon,
        bytes: Vec::new(),
        ends: Vec::new(),
        ready: Vec::new(),
        report: ImportReport::default(),
    };
    let mut cutter = Cutter::default();
    let mut under_way = FuturesUnordered::new();
    let mut report = ImportReport::default();
    let mut ended = false;
    while !ended {
        let piece = records.next().await?;
        ended = piece.is_none();
        // Small steps keep what waits small, whatever the piece's size.
        let steps: Vec<Option<&[u8]>> = match &piece {
            Some(piece) => piece.chunks(BATCH).map(Some).collect(),
            None => vec![None],
        };
        for step in steps {
            cutter.push(step, |line| batcher.take(line))?;
            if ended {
                batcher.cut();
            }
            for batch in std::mem::take(&mut batcher.ready) {
                while under_way.len() >= IN_FLIGHT {
                    if let Some(done) = under_way.next().await {
                        add(&mut report, done?);
                    }
                }
                under_way.push(write(target, batch));
            }
        }
    }
    while let Some(done) = under_way.next().await {
        add(&mut report, done?);
    }
    add(&mut report, batcher.report);
    Ok(report)
}

fn add(report: &mut ImportReport, more: ImportReport) {
    report.written += more.written;
    report.refused += more.refused;
    report.expired += more.expired;
    for example in more.examples {
        if report.examples.len() < EXAMPLES && !report.examples.contains(&example) {
            report.examples.push(example);
        }
    }
}

/// Writes a batch. The server takes all of it or nothing, so what it refuses is halved until the
/// records that it means are alone.
async fn write(target: Target<'_>, batch: Batch) -> Result<ImportReport, EngineError> {
    let mut report = ImportReport::default();
    let mut searches = SEARCHES;
    let mut waiting = VecDeque::from([batch]);
    while let Some(batch) = waiting.pop_front() {
        let records = batch.records();
        let said = match send(target, &batch).await? {
            Written::All => {
                report.written += records;
                continue;
            }
            Written::TooLarge => None,
            Written::Refused(said) => Some(said),
        };
        if let (Some((a, b)), true) = (batch.halves(), searches > 0) {
            searches -= 1;
            waiting.extend([a, b]);
            continue;
        }
        match said {
            None => refuse(
                &mut report,
                records,
                "the record is larger than the server takes",
            ),
            Some(said) if said.code == "050025" || said.message.contains("expired timestamp") => {
                report.expired += records;
            }
            Some(said) => refuse(&mut report, records, &said.words()),
        }
    }
    Ok(report)
}

fn refuse(report: &mut ImportReport, records: u64, why: &str) {
    report.refused += records;
    let example = word(why);
    if report.examples.len() < EXAMPLES && !report.examples.contains(&example) {
        report.examples.push(example);
    }
}

async fn send(target: Target<'_>, batch: &Batch) -> Result<Written, EngineError> {
    let mut wait = target.first_wait;
    for attempt in 1.. {
        let answer = {
            let _permit = target.permits.acquire().await;
            let at = target.place.at();
            match batch {
                Batch::Lines { bytes, .. } => {
                    let body = Bytes::copy_from_slice(bytes);
                    target.client.write(at, target.precision, body).await
                }
                Batch::Statement(text) => target.client.insert(at, text).await,
            }
        };
        match answer {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_lines() {
        let text = "{\"a\":\"é\"}\r\n\n{\"b\":2}\n{}";
        for step in 1..text.len() {
            let mut lines = Vec::new();
            let mut cutter = Cutter::default();
            let pieces = text.as_bytes().chunks(step).map(Some).chain([None]);
            for piece in pieces {
                cutter
                    .push(piece, |line| {
                        lines.push(String::from_utf8(line.to_vec()).unwrap());
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(lines, ["{\"a\":\"é\"}", "{\"b\":2}", "{}"]);
        }
    }

    #[test]
    fn halves() {
        let batch = Batch::Lines {
            bytes: b"a\nb\"\n\"\nc\n".to_vec(),
            ends: vec![2, 7, 9],
        };
        let (a, b) = batch.halves().unwrap();
        assert_eq!((a.records(), b.records()), (1, 2));
        assert!(a.halves().is_none());
        let (b, c) = b.halves().unwrap();
        let Batch::Lines { bytes, ends } = c else {
            panic!("lines");
        };
        assert_eq!((bytes.as_slice(), ends.as_slice()), (&b"c\n"[..], &[2][..]));
        assert_eq!(b.records(), 1);
        assert!(Batch::Statement("x".into()).halves().is_none());
    }
}
