//! One bulk request: every item of its answer is looked at.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::client::Client;
use super::fault::{self, Said, word};
use super::hit::Hit;
use super::names;
use super::split::ITEMS;
use crate::engine::{EngineError, ImportReport};

/// Bytes of a request, unless one document is larger.
pub(super) const BYTES: usize = 1 << 20;
/// Documents of a request.
pub(super) const DOCUMENTS: usize = 2000;
/// Bytes of all requests together that are under way; a larger one goes alone.
pub(super) const IN_FLIGHT: u32 = 6 << 20;
/// Attempts in a row that wrote nothing.
const ATTEMPTS: u32 = 8;
/// Wait before the second attempt; doubled each time.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Refusals that are told in the server's words.
const EXAMPLES: usize = 5;

/// Where documents go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// Bytes that all parts together may have under way.
    pub(super) permits: &'a Semaphore,
    /// Wait before the second attempt of a request.
    pub(super) first_wait: Duration,
    /// The index there.
    pub(super) index: &'a str,
}

/// Documents that are written at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    documents: Vec<Range<usize>>,
}

impl Batch {
    /// Adds a document. False where it has no content.
    pub(super) fn push(&mut self, hit: &Hit<'_>) -> bool {
        let start = self.bytes.len();
        if !hit.write_action(&mut self.bytes) {
            self.bytes.truncate(start);
            return false;
        }
        self.documents.push(start..self.bytes.len());
        true
    }

    /// Whether it should be written.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES || self.documents.len() >= DOCUMENTS
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// What it takes of [`IN_FLIGHT`].
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.bytes.len()).map_or(IN_FLIGHT, |bytes| bytes.min(IN_FLIGHT))
    }
}

/// The body of a request, and which of its documents are to be written.
struct Work {
    documents: Vec<Range<usize>>,
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
}

#[derive(Deserialize)]
struct Item {
    index: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Option<Said>,
}

/// Writes a batch. What the server is too busy for is sent again; where it refuses the request as a
/// whole, halves are sent until what was meant is known.
pub(super) async fn write(target: Target<'_>, batch: Batch) -> Result<ImportReport, EngineError> {
    let mut report = ImportReport::default();
    let body = Bytes::from(batch.bytes);
    let mut waiting = VecDeque::from([Work {
        documents: batch.documents,
    }]);
    let mut failures = 0;
    let mut wait = target.first_wait;
    while let Some(work) = waiting.pop_front() {
        let before = report.written + report.refused;
        let (again, problem) = match send(target, &body, &work.documents).await {
            Ok(outcomes) => sort(&work, outcomes, &body, &mut report),
            Err(error) => match refused_whole(&error) {
                Some(_) if work.documents.len() > 1 => {
                    let half = work.documents.len() / 2;
                    let (one, other) = work.documents.split_at(half);
                    waiting.extend([one, other].map(|documents| Work {
                        documents: documents.to_vec(),
                    }));
                    continue;
                }
                Some(problem) => {
                    refuse(&mut report, &problem);
                    continue;
                }
                None if error.retryable() => (work.documents, Some(error)),
                None => return Err(error),
            },
        };
        if again.is_empty() {
            continue;
        }
        failures = if report.written + report.refused > before {
            wait = target.first_wait;
            1
        } else {
            failures + 1
        };
        let problem = problem.unwrap_or_else(|| busy(target.client, again.len()));
        if failures >= ATTEMPTS {
            return Err(problem);
        }
        tracing::warn!(failures, error = %problem, "a write failed and is tried again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        waiting.push_front(Work { documents: again });
    }
    Ok(report)
}

/// What the server said where it refused a request for what is in it.
fn refused_whole(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Server {
            problem, retryable, ..
        } if !retryable && (problem.starts_with("HTTP 400") || problem.starts_with("HTTP 413")) => {
            Some(problem.clone())
        }
        _ => None,
    }
}

async fn send(
    target: Target<'_>,
    body: &Bytes,
    documents: &[Range<usize>],
) -> Result<Vec<Outcome>, EngineError> {
    let client = target.client;
    // Pipelines of the target have no say: what comes in is what was stored.
    let path = format!(
        "{}/_bulk?pipeline=_none&filter_path=errors,items.*.status,items.*.error",
        names::escape(target.index)
    );
    let mut answer = client.stream(&path, chosen(body, documents), ITEMS).await?;
    let mut outcomes = Vec::with_capacity(documents.len());
    while let Some(element) = answer.next().await? {
        let item: Item = serde_json::from_slice(&element.json)
            .map_err(|error| fault::garbled(client.server(), &error.to_string()))?;
        if outcomes.len() == documents.len() {
            break;
        }
        outcomes.push(item.index);
    }
    let told: Answer = answer.envelope()?;
    let failed = outcomes.iter().any(|outcome| outcome.error.is_some());
    if outcomes.len() != documents.len() || told.errors != failed {
        return Err(fault::garbled(
            client.server(),
            "a bulk request was answered for other documents than were sent",
        ));
    }
    Ok(outcomes)
}

/// The bytes of some documents: all of them, as a rule.
fn chosen(body: &Bytes, documents: &[Range<usize>]) -> Bytes {
    let bytes: usize = documents.iter().map(Range::len).sum();
    let (Some(first), Some(last)) = (documents.first(), documents.last()) else {
        return Bytes::new();
    };
    if last.end - first.start == bytes {
        return body.slice(first.start..last.end);
    }
    let mut some = Vec::with_capacity(bytes);
    for document in documents {
        some.extend_from_slice(&body[document.clone()]);
    }
    some.into()
}

/// Counts what was written and refused; what is to be sent again, and why.
fn sort(
    work: &Work,
    outcomes: Vec<Outcome>,
    body: &Bytes,
    report: &mut ImportReport,
) -> (Vec<Range<usize>>, Option<EngineError>) {
    let mut again = Vec::new();
    for (document, outcome) in work.documents.iter().zip(outcomes) {
        match (outcome.status, outcome.error) {
            (200 | 201, None) => report.written += 1,
            (429 | 500..=599, _) => again.push(document.clone()),
            (status, error) => {
                let words = error.map_or_else(|| format!("status {status}"), |said| said.words());
                let id = action_id(&body[document.clone()]);
                refuse(report, &format!("{id}: {words}"));
            }
        }
    }
    (again, None)
}

fn action_id(document: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Action {
        index: Id,
    }
    #[derive(Deserialize)]
    struct Id {
        #[serde(rename = "_id")]
        id: String,
    }
    let line = document.split(|byte| *byte == b'\n').next();
    let action: Option<Action> = line.and_then(|line| serde_json::from_slice(line).ok());
    let id = action.map(|action| action.index.id).unwrap_or_default();
    format!("document {:?}", id.chars().take(80).collect::<String>())
}

fn refuse(report: &mut ImportReport, text: &str) {
    report.refused += 1;
    if report.examples.len() < EXAMPLES {
        report.examples.push(word(text));
    }
}

fn busy(client: &Client, documents: usize) -> EngineError {
    EngineError::Server {
        server: client.server().to_owned(),
        problem: format!("it is too busy for {documents} documents of a bulk request"),
        retryable: true,
    }
}

/// Adds what a request did to the part's sum.
pub(super) fn add(total: &mut ImportReport, one: ImportReport) {
    total.written += one.written;
    total.refused += one.refused;
    let room = EXAMPLES.saturating_sub(total.examples.len());
    total.examples.extend(one.examples.into_iter().take(room));
}
