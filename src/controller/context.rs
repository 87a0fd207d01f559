//! What every reconcile is given.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;

use super::events::Events;
use super::metrics::Metrics;
use super::store::StoreOpener;

/// The clock, so that tests set the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The cluster that this operator runs in, as it stands in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name: a required value of the installation.
    pub name: String,
    /// Uid of its kube-system namespace: tells it from another of its name.
    pub uid: String,
}

/// What every reconcile is given.
#[derive(Clone)]
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// The cluster that this operator runs in.
    pub cluster: Cluster,
    /// The controller's own namespace: leases of targets lie there.
    pub namespace: String,
    /// Image of job pods: the controller's own.
    pub image: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Opens storage locations.
    pub stores: Arc<dyn StoreOpener>,
    /// Publishes events.
    pub events: Events,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
}
