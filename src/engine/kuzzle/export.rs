//! Reads all documents of an index: scrolls, in slices that are read at once.
//!
//! A scroll sees the index as it was when the scroll was begun, and every version of Elasticsearch
//! and OpenSearch has it, also 7.10.2 without the vendor's licensed parts, which has no point in time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::future::try_join_all;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{SemaphorePermit, mpsc};

use super::catalog::{self, Shards};
use super::client::{Client, Elements};
use super::fault;
use super::hit::{Hit, into_line};
use super::names;
use super::split;
use crate::engine::{EngineError, PartSummary};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSink;

/// How long a server keeps a scroll between two pages: uploads are slower than a database at times.
const KEEP: &str = "10m";
/// The most documents of a page.
const MAX_PAGE: u64 = 2000;
/// Bytes that a page should have: the server builds it in its memory.
const PAGE_BYTES: u64 = 4 << 20;
/// How much smaller documents are on disk, as a rule.
const COMPRESSION: u64 = 4;
/// Documents below which slices are not worth their scrolls.
const SLICED_FROM: u64 = 20_000;
/// Bytes that are handed on at once.
const PIECE: usize = 256 * 1024;

/// Documents of a page, by index: smaller after a server could not make one.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<BTreeMap<String, u64>>);

impl Pages {
    async fn size(&self, client: &Client, index: &str) -> Result<u64, EngineError> {
        let known = self.sizes().get(index).copied();
        if let Some(size) = known {
            return Ok(size);
        }
        let size = page_size(catalog::document_size(client, index).await?);
        self.sizes().insert(index.to_owned(), size);
        Ok(size)
    }

    /// After a failure: the next attempt asks for less at once.
    fn shrink(&self, index: &str) {
        if let Some(size) = self.sizes().get_mut(index) {
            *size = (*size / 8).max(1);
        }
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn page_size(on_disk: u64) -> u64 {
    let bytes = on_disk.saturating_mul(COMPRESSION).max(1);
    (PAGE_BYTES / bytes).clamp(2, MAX_PAGE)
}

/// An index that is read.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// What is known of pages.
    pub(super) pages: &'a Pages,
    /// The index there.
    pub(super) index: &'a str,
    /// The most slices that are read at once.
    pub(super) slices: u32,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll: String,
    #[serde(default)]
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    #[serde(default)]
    total: Option<Total>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

/// Records that a slice gives, and what they add up to.
#[derive(Default)]
struct Batch<'a> {
    lines: Vec<u8>,
    fingerprint: Fingerprint,
    /// The leave to hold a large document, until it is written.
    held: Option<SemaphorePermit<'a>>,
}

/// Reads an index and writes its documents, one a line.
pub(super) async fn export(
    place: Place<'_>,
    sink: &mut dyn RecordSink,
) -> Result<PartSummary, EngineError> {
    let fingerprint = read(place, Some(sink)).await?;
    Ok(PartSummary {
        records: fingerprint.records(),
        fingerprint: Some(fingerprint),
        ..PartSummary::default()
    })
}

/// Fingerprint of all documents of an index.
pub(super) async fn fingerprint(place: Place<'_>) -> Result<Fingerprint, EngineError> {
    read(place, None).await
}

async fn read(
    place: Place<'_>,
    sink: Option<&mut dyn RecordSink>,
) -> Result<Fingerprint, EngineError> {
    let documents = catalog::count(place.client, place.index).await?;
    let count = if documents.unwrap_or(0) < SLICED_FROM {
        1
    } else {
        place.slices
    };
    let size = place.pages.size(place.client, place.index).await?;
    let (sender, receiver) = mpsc::channel(1);
    let mut slices = Vec::new();
    for number in 0..count {
        let slice = Slice {
            place,
            number,
            of: count,
            size,
            lines: sink.is_some(),
            sender: sender.clone(),
        };
        slices.push(slice.read());
    }
    drop(sender);
    match tokio::try_join!(try_join_all(slices), hand_on(receiver, sink)) {
        Ok((_, fingerprint)) => Ok(fingerprint),
        Err(error) => {
            if error.retryable() {
                place.pages.shrink(place.index);
            }
            Err(error)
        }
    }
}

/// Takes what the slices give, as it comes.
async fn hand_on(
    mut receiver: mpsc::Receiver<Batch<'_>>,
    mut sink: Option<&mut dyn RecordSink>,
) -> Result<Fingerprint, EngineError> {
    let mut fingerprint = Fingerprint::default();
    while let Some(batch) = receiver.recv().await {
        fingerprint.merge(&batch.fingerprint);
        if let Some(sink) = &mut sink
            && !batch.lines.is_empty()
        {
            sink.write(Bytes::from(batch.lines)).await?;
        }
    }
    Ok(fingerprint)
}

struct Slice<'a> {
    place: Place<'a>,
    number: u32,
    of: u32,
    size: u64,
    lines: bool,
    sender: mpsc::Sender<Batch<'a>>,
}

impl<'a> Slice<'a> {
    async fn read(self) -> Result<(), EngineError> {
        let client = self.place.client;
        let mut search = json!({"size": self.size, "sort": ["_doc"], "track_total_hits": true});
        if self.of > 1 {
            search["slice"] = json!({"id": self.number, "max": self.of});
        }
        let path = format!(
            "{}/_search?scroll={KEEP}&allow_partial_search_results=false",
            names::escape(self.place.index)
        );
        let answer = client.stream(&path, body(&search), split::HITS).await?;
        let (page, mut records) = self.page(answer).await?;
        let total = page.hits.total.map_or(0, |total| total.value);
        let mut scroll = page.scroll;
        let mut last = records;
        let result = loop {
            if last == 0 {
                break Ok(());
            }
            let next = json!({"scroll": KEEP, "scroll_id": scroll});
            let path = "_search/scroll";
            let page = match client.stream(path, body(&next), split::HITS).await {
                Ok(answer) => self.page(answer).await,
                Err(error) => Err(error),
            };
            match page {
                Ok((page, found)) => {
                    scroll = page.scroll;
                    records += found;
                    last = found;
                }
                Err(error) => break Err(error),
            }
        };
        // It would end by itself, later.
        let clear = json!({"scroll_id": [scroll]});
        if let Err(error) = client
            .change(Method::DELETE, "_search/scroll", Some(&clear))
            .await
        {
            tracing::debug!(%error, "a scroll was not cleared");
        }
        result?;
        if records == total {
            return Ok(());
        }
        Err(EngineError::Server {
            server: client.server().to_owned(),
            problem: format!(
                "a scroll of {:?} gave {records} of {total} documents",
                self.place.index
            ),
            retryable: true,
        })
    }

    async fn page(&self, mut answer: Elements<'a>) -> Result<(Page, u64), EngineError> {
        let client = self.place.client;
        let mut batch = Batch::default();
        let mut records = 0;
        while let Some(element) = answer.next().await? {
            let hit = Hit::parse(&element.json)
                .map_err(|problem| fault::garbled(client.server(), &problem))?;
            if hit.source.is_none() {
                return Err(no_source(self.place.index, &hit.id));
            }
            batch.fingerprint.add(&hit.canonical());
            records += 1;
            if element.held.is_some() && self.lines {
                self.hand_on(std::mem::take(&mut batch)).await;
                batch.lines = into_line(element.json);
                batch.held = element.held;
            } else if self.lines {
                hit.write_line(self.place.index, &mut batch.lines);
            }
            if batch.lines.len() >= PIECE {
                self.hand_on(std::mem::take(&mut batch)).await;
            }
        }
        self.hand_on(batch).await;
        let page: Page = answer.envelope()?;
        page.shards.check(client)?;
        if page.timed_out {
            return Err(EngineError::Server {
                server: client.server().to_owned(),
                problem: "a search timed out".to_owned(),
                retryable: true,
            });
        }
        Ok((page, records))
    }

    async fn hand_on(&self, batch: Batch<'a>) {
        // The receiver is gone only after a failure, which is told elsewhere.
        let _ = self.sender.send(batch).await;
    }
}

fn body(json: &serde_json::Value) -> Bytes {
    Bytes::from(json.to_string())
}

fn no_source(index: &str, id: &str) -> EngineError {
    EngineError::NotSupported {
        problem: format!(
            "the index {index:?} does not keep the content of the document {:?} (_source); take it out with kuzzle.exclude",
            fault::word(id)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_a_few_megabytes() {
        for (on_disk, want) in [
            (0, 2000),
            (100, 2000),
            (1000, 1048),
            (100_000, 10),
            (10 << 20, 2),
            (u64::MAX, 2),
        ] {
            assert_eq!(page_size(on_disk), want, "{on_disk}");
        }
    }

    #[test]
    fn pages_shrink_after_a_failure() {
        let pages = Pages::default();
        pages.sizes().insert("i".to_owned(), 20);
        for want in [2, 1, 1] {
            pages.shrink("i");
            assert_eq!(pages.sizes().get("i"), Some(&want));
        }
    }
}
