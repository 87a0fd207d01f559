//! What the controller counts. No label holds an object's name: their number is not bounded.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    kind: &'static str,
    result: &'static str,
}

/// What the controller counts.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<KindLabel, Counter<u64, AtomicU64>>,
    failures: Family<KindLabel, Counter<u64, AtomicU64>>,
    seconds: Family<KindLabel, Histogram>,
    ended: Family<EndLabel, Counter<u64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lifeboat");
        let reconciles = Family::default();
        let failures = Family::default();
        let seconds = Family::<KindLabel, Histogram>::new_with_constructor(|| {
            Histogram::new([0.01, 0.05, 0.25, 1.0, 5.0, 30.0])
        });
        let ended = Family::default();
        registry.register("reconciles", "Reconciles done", reconciles.clone());
        registry.register(
            "reconcile_failures",
            "Reconciles that were stopped by an error",
            failures.clone(),
        );
        registry.register(
            "reconcile_seconds",
            "How long reconciles took",
            seconds.clone(),
        );
        registry.register("ended", "Backups and Restores that ended", ended.clone());
        Self {
            registry,
            reconciles,
            failures,
            seconds,
            ended,
        }
    }
}

impl Metrics {
    /// Counts a reconcile.
    pub fn reconciled(&self, kind: &'static str, took: Duration, ok: bool) {
        let label = KindLabel { kind };
        self.reconciles.get_or_create(&label).inc();
        self.seconds
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        if !ok {
            self.failures.get_or_create(&label).inc();
        }
    }

    /// Counts an ended Backup or Restore.
    pub fn ended(&self, kind: &'static str, complete: bool) {
        let result = if complete { "complete" } else { "failed" };
        self.ended.get_or_create(&EndLabel { kind, result }).inc();
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
