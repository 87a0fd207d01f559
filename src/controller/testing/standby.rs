//! The standby's side of the world: a line of backups in the bucket, and pods that import.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::pods;
use super::world::{NAMESPACE, OWN_NAMESPACE, World};
use crate::api::common::Totals;
use crate::api::conditions::Reason;
use crate::api::order::{ImportOrder, Order};
use crate::api::outcome::{Failure, Imported, Outcome, RunResult};
use crate::api::{Restore, RestoreSchedule, labels};
use crate::manifest::Manifest;
use crate::transfer::catalog;

/// How an import ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// All is in the target.
    Imported,
    /// It says that it failed.
    Failed(Reason, bool),
    /// It ends without a word, and its kubelet tells so.
    Killed,
}

impl World {
    /// Commits a backup behind the controllers' back.
    pub(crate) async fn commit(&self, manifest: Manifest) {
        let bucket = self.store.behind_the_back();
        catalog::commit(&bucket, &manifest).await.unwrap();
    }

    /// A Restore of the newest backup, changed by these fields of the spec.
    pub(crate) fn add_restore(&self, name: &str, fields: &Value) {
        let mut spec = json!({
            "source": {"latest": line()},
            "target": {"influxdb": {"url": "http://influxdb-b:8086"}},
            "timeout": "10m",
        });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let restore: Restore = serde_json::from_value(json!({
            "apiVersion": "lifeboat.dev/v1alpha1", "kind": "Restore",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }))
        .unwrap();
        self.server.put(&restore);
    }

    /// The standing replay.
    pub(crate) fn add_standby(&self) {
        let schedule: RestoreSchedule = serde_json::from_value(json!({
            "apiVersion": "lifeboat.dev/v1alpha1", "kind": "RestoreSchedule",
            "metadata": {"name": "standby", "namespace": NAMESPACE},
            "spec": {
                "source": line(),
                "objectives": {"rpo": "1h", "rto": "5m"},
                "template": {"spec": {
                    "target": {"influxdb": {"url": "http://influxdb-b:8086"}},
                    "conflictPolicy": "Overwrite",
                    "confirm": "http://influxdb-b:8086",
                    "verify": "Contains",
                    "timeout": "10m",
                }},
            },
        }))
        .unwrap();
        self.server.put(&schedule);
    }

    pub(crate) fn change_standby(&self, change: impl FnOnce(&mut RestoreSchedule)) {
        self.server.change(NAMESPACE, "standby", change);
    }

    pub(crate) fn standby(&self) -> RestoreSchedule {
        self.server.all(NAMESPACE).pop().unwrap()
    }

    /// All Restores, the oldest first.
    pub(crate) fn restores(&self) -> Vec<Restore> {
        self.server.all(NAMESPACE)
    }

    pub(crate) fn restore(&self, name: &str) -> Restore {
        let all = self.restores();
        all.into_iter()
            .find(|restore| restore.name_any() == name)
            .unwrap()
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.server.all(NAMESPACE)
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.server.all(OWN_NAMESPACE)
    }

    /// The Jobs of Restores that have not ended. There is never more than one for a target.
    pub(crate) fn open_imports(&self) -> Vec<Job> {
        let jobs = self.jobs();
        let open: Vec<Job> = jobs
            .into_iter()
            .filter(|job| job.labels().contains_key(labels::RESTORE) && !pods::has_ended(job))
            .collect();
        assert!(open.len() <= 1, "{open:#?}");
        open
    }

    /// Lets the import that is under way end; gives its order. A pod that comes after its deadline
    /// does nothing.
    pub(crate) fn run_import(&self, end: End) -> Option<ImportOrder> {
        let job = self.open_imports().pop()?;
        let Order::Import(order) = pods::order_of(&job) else {
            panic!("an import")
        };
        assert!(order.bounds.not_after > self.now(), "a late pod");
        let pod = pods::start(&self.server, &job);
        let told = |result| Outcome {
            run_id: pod.uid().unwrap(),
            result,
            phases: Vec::new(),
            warnings: Vec::new(),
        };
        let (code, outcome) = match end {
            End::Killed => (137, None),
            End::Failed(reason, retryable) => {
                let failure = Failure {
                    reason,
                    message: "what to do".to_owned(),
                    retryable,
                    applied_parts: 0,
                };
                (1, Some(told(RunResult::Failed(failure))))
            }
            End::Imported => {
                let imported = Imported {
                    consistency_time: Some(self.now()),
                    verified: order.verify,
                    totals: Totals::default(),
                    refused_records: 0,
                    expired_records: 0,
                };
                (0, Some(told(RunResult::Imported(imported))))
            }
        };
        pods::end(&self.server, &job, &pod, code, outcome.as_ref());
        Some(*order)
    }

    /// Settles, and again after each of these waits.
    pub(crate) async fn settle_over(&mut self, waits: &[i64]) {
        self.settle().await;
        for wait in waits {
            self.clock.advance(*wait);
            self.settle().await;
        }
    }
}

fn line() -> Value {
    json!({
        "storage": {"name": "dr-bucket"},
        "cluster": "prod", "namespace": "iot", "schedule": "telemetry",
    })
}
