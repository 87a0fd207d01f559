//! Writes one part: the documents of an index.

use std::pin::pin;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};

use super::bulk::{self, Batch, Target};
use super::catalog;
use super::client::Client;
use super::hit::Hit;
use super::lines::{self, Lines, Step};
use super::names;
use crate::engine::{EngineError, ImportReport};
use crate::transfer::RecordSource;

/// Requests of one part that are under way.
const IN_FLIGHT: usize = 3;
/// Documents below which a load is over before settings would help it.
const TUNED_FROM: u64 = 10_000;

/// Writes all documents of a part, of which there should be `expected`.
pub(super) async fn import(
    target: Target<'_>,
    expected: u64,
    records: &mut dyn RecordSource,
) -> Result<ImportReport, EngineError> {
    let before = tune(target.client, target.index, expected).await?;
    let result = load(target, records).await;
    // Also after a failure: an index that never refreshes shows nothing new.
    let back = match before {
        Some(before) => put(target.client, target.index, &before).await,
        None => Ok(()),
    };
    let report = result?;
    back?;
    catalog::refresh(target.client, target.index).await?;
    Ok(report)
}

/// Settings that make a load faster, for an empty index that is about to get many documents. Gives
/// those that were there.
async fn tune(client: &Client, index: &str, expected: u64) -> Result<Option<Value>, EngineError> {
    if expected < TUNED_FROM || catalog::count(client, index).await? != Some(0) {
        return Ok(None);
    }
    let settings = catalog::settings(client, index).await?;
    let now = |name: &str| settings.get(name).cloned().unwrap_or(Value::Null);
    let before = json!({
        "index.number_of_replicas": now("index.number_of_replicas"),
        "index.refresh_interval": now("index.refresh_interval"),
    });
    put(client, index, &loading()).await?;
    Ok(Some(before))
}

/// The settings while documents are loaded.
pub(super) fn loading() -> Value {
    json!({"index.number_of_replicas": "0", "index.refresh_interval": "-1"})
}

/// Sets settings of an index; null stands for the default.
pub(super) async fn put(client: &Client, index: &str, settings: &Value) -> Result<(), EngineError> {
    let path = format!("{}/_settings", names::escape(index));
    client.change(Method::PUT, &path, Some(settings)).await
}

async fn load(
    target: Target<'_>,
    records: &mut dyn RecordSource,
) -> Result<ImportReport, EngineError> {
    let mut report = ImportReport::default();
    let mut lines = Lines::new(records);
    let mut batch = Batch::default();
    let mut under_way = FuturesUnordered::new();
    let mut held = None;
    loop {
        let step = {
            // The next line is read while requests are under way.
            let mut next = pin!(lines.next());
            loop {
                tokio::select! {
                    step = &mut next => break step?,
                    Some(done) = under_way.next() => bulk::add(&mut report, done?),
                }
            }
        };
        let ended = step.is_none();
        match step {
            Some(Step::Waiting(bytes)) => {
                if held.is_none() {
                    // Whoever has it may be one of the requests that are under way.
                    let mut large = pin!(target.client.large(bytes));
                    held = loop {
                        tokio::select! {
                            large = &mut large => break large,
                            Some(done) = under_way.next() => bulk::add(&mut report, done?),
                        }
                    };
                }
                continue;
            }
            Some(Step::Line(line)) if line.is_empty() => continue,
            Some(Step::Line(line)) => {
                let hit = Hit::parse(&line).map_err(|problem| lines::bad(&problem))?;
                if !batch.push(&hit) {
                    return Err(lines::bad("a document has no _source"));
                }
            }
            None => {}
        }
        if batch.is_full() || (ended && !batch.is_empty()) {
            let batch = std::mem::take(&mut batch);
            // The permit comes first, so that few requests are held in memory, by all parts together.
            let mut permit = pin!(target.permits.acquire_many(batch.weight()));
            let permit = loop {
                let full = under_way.len() >= IN_FLIGHT;
                tokio::select! {
                    permit = &mut permit, if !full => break permit.ok(),
                    Some(done) = under_way.next() => bulk::add(&mut report, done?),
                }
            };
            let large = held.take();
            under_way.push(async move {
                let _held = (permit, large);
                bulk::write(target, batch).await
            });
        }
        if ended {
            break;
        }
    }
    while let Some(done) = under_way.next().await {
        bulk::add(&mut report, done?);
    }
    Ok(report)
}
