//! How far a run is: counters, a log line every ten seconds, and a page for whoever asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use crate::transfer::{RecordSink, RecordSource, TransferError};

/// Where the page is served.
pub(super) const PORT: u16 = 8080;
/// Time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// How far a run is. Counters start anew with each phase.
#[derive(Debug)]
pub struct Progress {
    phase: Mutex<(&'static str, Instant)>,
    parts_total: AtomicU64,
    parts_done: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// What [`Progress`] says at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The phase that runs.
    pub phase: &'static str,
    /// Seconds since it began.
    pub seconds: u64,
    /// Parts that are done.
    pub parts_done: u64,
    /// Parts in all; 0 while that is not known.
    pub parts_total: u64,
    /// Records of the parts that are done.
    pub records: u64,
    /// Plain bytes moved.
    pub bytes: u64,
    /// Plain bytes a second, over the whole phase.
    pub bytes_per_second: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: Mutex::new(("start", Instant::now())),
            parts_total: AtomicU64::new(0),
            parts_done: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

impl Progress {
    /// A phase begins, with so many parts (0: not known).
    pub fn begin(&self, phase: &'static str, parts: u64) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
        self.parts_total.store(parts, Ordering::Relaxed);
        for counter in [&self.parts_done, &self.records, &self.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes were moved.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A part is done.
    pub fn part_done(&self, records: u64) {
        self.parts_done.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// How far the run is now.
    pub fn snapshot(&self) -> Snapshot {
        let (phase, begin) = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = begin.elapsed();
        let bytes = self.bytes.load(Ordering::Relaxed);
        let millis = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        Snapshot {
            phase,
            seconds: elapsed.as_secs(),
            parts_done: self.parts_done.load(Ordering::Relaxed),
            parts_total: self.parts_total.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes,
            bytes_per_second: bytes.saturating_mul(1000) / millis,
        }
    }
}

/// Logs how far the run is, until it is dropped.
pub(super) async fn log_regularly(progress: Arc<Progress>) {
    let mut ticks = tokio::time::interval(LOG_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = progress.snapshot();
        tracing::info!(
            phase = now.phase,
            parts_done = now.parts_done,
            parts_total = now.parts_total,
            records = now.records,
            bytes = now.bytes,
            bytes_per_second = now.bytes_per_second,
            "progress"
        );
    }
}

/// Serves `/progress` and `/healthz`, until it is dropped. Best effort: a run goes on without it.
pub(super) async fn serve(progress: Arc<Progress>) {
    let address = SocketAddr::from(([0, 0, 0, 0], PORT));
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%address, %error, "progress is not served");
            return;
        }
    };
    if let Err(error) = axum::serve(listener, router(progress)).await {
        tracing::warn!(%error, "progress is not served any more");
    }
}

fn router(progress: Arc<Progress>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/progress", get(page))
        .with_state(progress)
}

async fn page(State(progress): State<Arc<Progress>>) -> impl IntoResponse {
    let text = serde_json::to_string(&progress.snapshot()).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text)
}

/// Counts what goes into a sink.
pub(super) struct CountedSink<'a> {
    /// Where it goes.
    pub inner: &'a mut dyn RecordSink,
    /// Where it is counted.
    pub progress: &'a Progress,
}

#[async_trait::async_trait]
impl RecordSink for CountedSink<'_> {
    async fn write(&mut self, records: bytes::Bytes) -> Result<(), TransferError> {
        self.progress.add_bytes(records.len() as u64);
        self.inner.write(records).await
    }
}

/// Counts what comes out of a source.
pub(super) struct CountedSource<'a> {
    /// Where it comes from.
    pub inner: &'a mut dyn RecordSource,
    /// Where it is counted.
    pub progress: &'a Progress,
}

#[async_trait::async_trait]
impl RecordSource for CountedSource<'_> {
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, TransferError> {
        let piece = self.inner.next().await?;
        if let Some(piece) = &piece {
            self.progress.add_bytes(piece.len() as u64);
        }
        Ok(piece)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_page_says_how_far_the_run_is() {
        let progress = Arc::new(Progress::default());
        progress.add_bytes(5);
        progress.begin("export", 3);
        progress.add_bytes(4000);
        progress.part_done(17);
        tokio::time::advance(Duration::from_secs(2)).await;
        let request = http::Request::get("/progress").body(Body::empty()).unwrap();
        let answer = router(progress).oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            seen,
            serde_json::json!({
                "phase": "export", "seconds": 2, "partsDone": 1, "partsTotal": 3,
                "records": 17, "bytes": 4000, "bytesPerSecond": 2000,
            })
        );
    }
}
