//! Compares a target with a backup.

use bytes::Bytes;
use serde::Serialize;

use super::canonical;
use super::catalog;
use super::client::Client;
use super::fault::{self, word};
use super::hit::{Hit, Key};
use super::lines::{self, Lines, Step};
use super::names;
use super::places::usual_alias;
use super::split::DOCS;
use crate::engine::{ContainsReport, EngineError, TargetState};
use crate::transfer::RecordSource;

/// Documents that are looked up at once.
const DOCUMENTS: usize = 1000;
/// Bytes of documents that are looked up at once.
const BYTES: usize = 4 << 20;
/// Documents that are named where they are missing or different.
const EXAMPLES: usize = 5;

/// Documents of an index, all that were written before; 0 where it is not there.
pub(super) async fn count(client: &Client, index: &str) -> Result<u64, EngineError> {
    match catalog::refresh(client, index).await {
        Ok(()) => Ok(catalog::count(client, index).await?.unwrap_or(0)),
        Err(EngineError::NotFound { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether an index, or the one that Kuzzle finds in its place, holds any document.
pub(super) async fn state(client: &Client, index: &str) -> Result<TargetState, EngineError> {
    let alias = usual_alias(index);
    Ok(match catalog::count_any(client, &[index, &alias]).await? {
        0 => TargetState::Empty,
        count => TargetState::Holds(format!("{count} documents in the index {index:?}")),
    })
}

/// A document of the backup: its key, and what its canonical form is.
struct Wanted {
    id: String,
    routing: Option<String>,
    canonical: Vec<u8>,
}

#[derive(Serialize)]
struct Lookup<'a> {
    docs: Vec<Key<'a>>,
}

/// Looks each document of a part up.
pub(super) async fn contains(
    client: &Client,
    index: &str,
    records: &mut dyn RecordSource,
) -> Result<ContainsReport, EngineError> {
    let mut report = ContainsReport::default();
    count(client, index).await?;
    let mut lines = Lines::new(records);
    let mut batch: Vec<Wanted> = Vec::new();
    let mut bytes = 0;
    let mut held = None;
    while let Some(step) = lines.next().await? {
        let line = match step {
            Step::Waiting(bytes) => {
                if held.is_none() {
                    held = client.large(bytes).await;
                }
                continue;
            }
            Step::Line(line) if line.is_empty() => continue,
            Step::Line(line) => line,
        };
        let hit = Hit::parse(&line).map_err(|problem| lines::bad(&problem))?;
        bytes += line.len();
        batch.push(Wanted {
            canonical: hit.canonical(),
            id: hit.id.into_owned(),
            routing: hit.routing,
        });
        // Only digests are kept: a large document is let go before it is looked up.
        drop(line);
        held = None;
        if batch.len() >= DOCUMENTS || bytes >= BYTES {
            look_up(client, index, &batch, &mut report).await?;
            batch.clear();
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        look_up(client, index, &batch, &mut report).await?;
    }
    Ok(report)
}

async fn look_up(
    client: &Client,
    index: &str,
    batch: &[Wanted],
    report: &mut ContainsReport,
) -> Result<(), EngineError> {
    let lookup = Lookup {
        docs: batch
            .iter()
            .map(|wanted| Key {
                id: &wanted.id,
                routing: wanted.routing.as_deref(),
            })
            .collect(),
    };
    let body = serde_json::to_vec(&lookup).map_err(|error| lines::bad(&error.to_string()))?;
    let path = format!("{}/_mget?realtime=false", names::escape(index));
    let mut answer = client.stream(&path, Bytes::from(body), DOCS).await?;
    let mut wanted = batch.iter();
    while let Some(element) = answer.next().await? {
        let there = Hit::parse(&element.json)
            .map_err(|problem| fault::garbled(client.server(), &problem))?;
        let Some(wanted) = wanted.next().filter(|wanted| wanted.id == there.id) else {
            return Err(fault::garbled(
                client.server(),
                "a multi-get was answered for other documents than were asked for",
            ));
        };
        compare(client, wanted, &there, report)?;
    }
    answer.envelope::<serde::de::IgnoredAny>()?;
    if wanted.next().is_some() {
        return Err(fault::garbled(
            client.server(),
            "a multi-get was answered in part",
        ));
    }
    Ok(())
}

fn compare(
    client: &Client,
    wanted: &Wanted,
    there: &Hit<'_>,
    report: &mut ContainsReport,
) -> Result<(), EngineError> {
    let how = match &there.error {
        Some(said) if said.kind == "index_not_found_exception" => "missing",
        Some(said) => {
            return Err(EngineError::Server {
                server: client.server().to_owned(),
                problem: said.words(),
                retryable: true,
            });
        }
        None if !there.found => "missing",
        None => {
            let content = there.content();
            let routing = there.routing.as_deref();
            if canonical::record(&there.id, routing, &content) == wanted.canonical {
                report.found += 1;
                return Ok(());
            }
            "different"
        }
    };
    if how == "missing" {
        report.missing += 1;
    } else {
        report.different += 1;
    }
    if report.examples.len() < EXAMPLES {
        report.examples.push(word(&format!("{how}: {}", wanted.id)));
    }
    Ok(())
}
