//! What the controller serves: whether it lives, whether it works, and what it counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// The API server must have answered within this time for the controller to call itself ready.
const CONTACT: SignedDuration = SignedDuration::from_secs(60);

/// What readiness rests on.
#[derive(Debug)]
pub struct Health {
    missing: AtomicUsize,
    contact: AtomicI64,
}

impl Health {
    /// Not ready until so many watches are filled, and the API server has answered.
    pub fn new(watches: usize) -> Self {
        Self {
            missing: AtomicUsize::new(watches),
            contact: AtomicI64::new(0),
        }
    }

    /// One more watch has seen everything that is there.
    pub fn watch_filled(&self) {
        let down = |left: usize| Some(left.saturating_sub(1));
        let _ = self
            .missing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, down);
    }

    /// The API server has answered.
    pub fn contact(&self, now: Timestamp) {
        self.contact.store(now.as_second(), Ordering::SeqCst);
    }

    /// Nothing where the controller works, else what it lacks.
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let missing = self.missing.load(Ordering::SeqCst);
        if missing > 0 {
            return Some(format!(
                "{missing} watches are not filled yet; are the CRDs installed?"
            ));
        }
        let contact = Timestamp::from_second(self.contact.load(Ordering::SeqCst)).ok()?;
        let age = now.duration_since(contact);
        (age > CONTACT).then(|| format!("the API server gave no answer for {} s", age.as_secs()))
    }
}

#[derive(Clone)]
struct Served {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Served { health, metrics })
}

async fn ready(State(served): State<Served>) -> (StatusCode, String) {
    match served.health.problem(Timestamp::now()) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn metrics_text(State(served): State<Served>) -> (StatusCode, String) {
    match served.metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

/// Serves until the token is cancelled.
pub async fn serve(
    listen: SocketAddr,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    axum::serve(listener, router(health, metrics))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn ready_means_that_it_works() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let health = Health::new(2);
        health.contact(at(1000));
        assert!(health.problem(at(1000)).unwrap().contains("2 watches"));
        health.watch_filled();
        health.watch_filled();
        assert_eq!(health.problem(at(1060)), None);
        assert!(health.problem(at(1100)).unwrap().contains("100 s"));
        health.contact(at(1100));
        assert_eq!(health.problem(at(1100)), None);
    }

    #[tokio::test]
    async fn what_is_served() {
        let health = Arc::new(Health::new(1));
        let metrics = Arc::new(Metrics::default());
        metrics.ended("Backup", true);
        let status = |path: &'static str| {
            let router = router(health.clone(), metrics.clone());
            async move {
                let request = Request::get(path).body(Body::empty()).unwrap();
                router.oneshot(request).await.unwrap().status()
            }
        };
        assert_eq!(status("/healthz").await, StatusCode::OK);
        assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status("/metrics").await, StatusCode::OK);
        health.watch_filled();
        health.contact(Timestamp::now());
        assert_eq!(status("/readyz").await, StatusCode::OK);
        let text = metrics.text().unwrap();
        assert!(
            text.contains("lifeboat_ended_total{kind=\"Backup\",result=\"complete\"} 1"),
            "{text}"
        );
    }
}
