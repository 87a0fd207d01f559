//! A small world: one namespace with a StorageLocation that is Ready, and controllers that are
//! called for everything that is there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use serde_json::json;

use super::SetClock;
use super::api_server::StandInApiServer;
use super::faults::Faults;
use super::pods;
use super::store::StandInStore;
use crate::api::conditions::{is_true, types};
use crate::api::order::Order;
use crate::api::{Backup, BackupSchedule, Restore, RestoreSchedule, StorageLocation};
use crate::controller::context::{Clock, Cluster, Context};
use crate::controller::error::Error;
use crate::controller::events::Events;
use crate::controller::metrics::Metrics;
use crate::controller::{backup, backup_schedule, restore, restore_schedule, storage_location};
use crate::storage::Location;
use crate::transfer::catalog::{self, SlotEntry};

pub(crate) const NAMESPACE: &str = "iot";
const LINE: &str = "lifeboat/v1/prod/iot/schedules/telemetry";
/// The controller's own.
pub(crate) const OWN_NAMESPACE: &str = "lifeboat";

/// The world.
pub(crate) struct World {
    pub(crate) server: StandInApiServer,
    pub(crate) store: StandInStore,
    /// Where copies go.
    replica: Location,
    pub(crate) faults: Arc<Faults>,
    pub(crate) clock: Arc<SetClock>,
    /// How often a controller was started anew.
    pub(crate) restarts: usize,
}

impl World {
    pub(crate) fn new(now: &str) -> Self {
        let faults = Arc::new(Faults::default());
        let clock = Arc::new(SetClock::at(now));
        let world = Self {
            server: StandInApiServer::new(faults.clone(), clock.clone()),
            store: StandInStore::new(faults.clone()),
            replica: Location::in_memory(),
            faults,
            clock,
            restarts: 0,
        };
        world.add_secret();
        world.add_location("dr-bucket");
        world
    }

    fn add_location(&self, name: &str) {
        let location: StorageLocation = serde_json::from_value(json!({
            "apiVersion": "lifeboat.dev/v1alpha1", "kind": "StorageLocation",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "s3": {"bucket": name},
                "credentials": {"secretRef": {"name": "dr-bucket"}},
            },
        }))
        .unwrap();
        self.server.put(&location);
    }

    /// A second location, for copies.
    pub(crate) fn add_replica(&self) {
        self.add_location("dr-copies");
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The bucket's keys.
    pub(crate) fn add_secret(&self) {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "dr-bucket", "namespace": NAMESPACE},
            "data": {"accessKeyId": "YQ==", "secretAccessKey": "Yg=="},
        }))
        .unwrap();
        self.server.put(&secret);
    }

    /// A schedule with this spec beside its template.
    pub(crate) fn add_schedule(&self, spec: serde_json::Value) {
        let mut spec = spec;
        spec["template"] = json!({"spec": backup_spec()});
        let schedule: BackupSchedule = serde_json::from_value(json!({
            "apiVersion": "lifeboat.dev/v1alpha1", "kind": "BackupSchedule",
            "metadata": {"name": "telemetry", "namespace": NAMESPACE},
            "spec": spec,
        }))
        .unwrap();
        self.server.put(&schedule);
    }

    /// A Backup that a person made.
    pub(crate) fn add_backup(&self, name: &str, change: impl FnOnce(&mut Backup)) {
        let mut backup: Backup = serde_json::from_value(json!({
            "apiVersion": "lifeboat.dev/v1alpha1", "kind": "Backup",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": backup_spec(),
        }))
        .unwrap();
        change(&mut backup);
        self.server.put(&backup);
    }

    /// A controller that has just started.
    pub(crate) fn context(&self) -> Context {
        let client = self.server.client();
        Context {
            client: client.clone(),
            cluster: Cluster {
                name: "prod".to_owned(),
                uid: "5c6f4ad4-0b5e-4d5e-9c36-0c1f2f0f8a11".to_owned(),
            },
            namespace: OWN_NAMESPACE.to_owned(),
            image: "lifeboat:test".to_owned(),
            clock: self.clock.clone(),
            stores: Arc::new(self.store.clone()),
            events: Events::new(client, None),
            metrics: Arc::new(Metrics::default()),
        }
    }

    /// Lets the controllers look at everything, again and again until nothing changes. One that
    /// was killed is started anew.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..30 {
            let before = self.server.version();
            match Box::pin(self.look_at_everything()).await {
                Err(_) => {
                    self.faults.revive();
                    self.restarts += 1;
                }
                Ok(false) if self.server.version() == before => return,
                Ok(_) => {}
            }
        }
        panic!(
            "the controllers don't come to rest: {:#?}",
            self.faults.writes()
        );
    }

    /// As [`settle`](Self::settle), with two controllers that look at the same time. An error of
    /// one is a conflict with the other.
    pub(crate) async fn settle_with_two(&mut self) {
        for _ in 0..30 {
            let before = self.server.version();
            let (one, other) = tokio::join!(
                Box::pin(self.look_at_everything()),
                Box::pin(self.look_at_everything())
            );
            let quiet = matches!((one, other), (Ok(false), Ok(false)));
            if quiet && self.server.version() == before {
                return;
            }
        }
        panic!("two controllers don't come to rest");
    }

    /// Says whether a controller wants to look again at once.
    async fn look_at_everything(&self) -> Result<bool, Error> {
        let context = self.context();
        let at_once = Action::requeue(Duration::ZERO);
        let mut again = false;
        // One that is Ready is looked at every few minutes only.
        let mut locations: Vec<StorageLocation> = self.server.all(NAMESPACE);
        locations.retain(|location| !is_ready(location));
        for location in locations {
            let name = location.name_any();
            again |= storage_location::reconcile(NAMESPACE, &name, &context).await? == at_once;
        }
        for schedule in self.server.all::<BackupSchedule>(NAMESPACE) {
            let name = schedule.name_any();
            again |= backup_schedule::reconcile(NAMESPACE, &name, &context).await? == at_once;
        }
        for backup in self.server.all::<Backup>(NAMESPACE) {
            let name = backup.name_any();
            again |= backup::reconcile(NAMESPACE, &name, &context).await? == at_once;
        }
        for schedule in self.server.all::<RestoreSchedule>(NAMESPACE) {
            let name = schedule.name_any();
            again |= restore_schedule::reconcile(NAMESPACE, &name, &context).await? == at_once;
        }
        for restore in self.server.all::<Restore>(NAMESPACE) {
            let name = restore.name_any();
            again |= restore::reconcile(NAMESPACE, &name, &context).await? == at_once;
        }
        if !self.server.all::<Lease>(OWN_NAMESPACE).is_empty() {
            restore::sweep(&context, None).await?;
        }
        Ok(again)
    }

    /// Lets every Job that has not ended do what it was told.
    pub(crate) async fn run_pods(&self) {
        self.run_jobs(|_| true).await;
    }

    /// As [`run_pods`](Self::run_pods), for exports only.
    pub(crate) async fn run_exports(&self) {
        self.run_jobs(|order| matches!(order, Order::Export(_)))
            .await;
    }

    async fn run_jobs(&self, wanted: impl Fn(&Order) -> bool) {
        let bucket = self.store.behind_the_back();
        for job in self.server.all::<Job>(NAMESPACE) {
            let order = pods::order_of(&job);
            if pods::has_ended(&job) || !wanted(&order) {
                continue;
            }
            match order {
                Order::Replicate(_) => {
                    pods::replicate(&self.server, &bucket, &self.replica, &job).await;
                }
                _ => pods::run(&self.server, &bucket, &job, self.now()).await,
            }
        }
    }

    /// The only schedule.
    pub(crate) fn schedule(&self) -> BackupSchedule {
        self.server.all(NAMESPACE).pop().unwrap()
    }

    /// A Backup.
    pub(crate) fn backup(&self, name: &str) -> Backup {
        let all: Vec<Backup> = self.server.all(NAMESPACE);
        all.into_iter()
            .find(|backup| backup.name_any() == name)
            .unwrap()
    }

    /// What is committed in the schedule's line.
    pub(crate) async fn slots(&self) -> Vec<SlotEntry> {
        catalog::list_slots(&self.store.behind_the_back(), LINE, None)
            .await
            .unwrap()
    }

    /// The slots of the copies.
    pub(crate) async fn copied_slots(&self) -> Vec<String> {
        let slots = catalog::list_slots(&self.replica, LINE, None).await;
        slots.unwrap().into_iter().map(|entry| entry.slot).collect()
    }
}

fn is_ready(location: &StorageLocation) -> bool {
    location
        .status
        .as_ref()
        .is_some_and(|status| is_true(&status.conditions, types::READY))
}

fn backup_spec() -> serde_json::Value {
    json!({
        "source": {"influxdb": {"url": "http://influxdb:8086"}},
        "storage": {"name": "dr-bucket"},
        "timeout": "10m",
    })
}
