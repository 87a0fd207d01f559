//! One workload, as one Restore holds it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
    Preconditions,
};
use kube::{Api, ResourceExt};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::api::quiesce::{Workload, WorkloadKind};
use crate::api::{Restore, labels};
use crate::controller::context::Context;
use crate::controller::error::Error;

/// Annotation with the workload that a lease stands for: namespace, kind and name.
pub(super) const WORKLOAD: &str = "lifeboat.dev/workload";
/// Annotation with the replicas that the workload goes back to.
const REPLICAS: &str = "lifeboat.dev/replicas";
/// Annotation: the workload is being given back, so what scales it up is this controller.
const GIVEN_BACK: &str = "lifeboat.dev/given-back";

/// What is recorded of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller::restore) enum Record {
    /// Nothing: nobody holds it.
    Free,
    /// This Restore holds it, and has not written yet what it goes back to.
    Claimed,
    /// This Restore holds it; it goes back to so many replicas.
    Held(i32),
    /// This Restore is giving it back to so many replicas.
    GivenBack(i32),
    /// Another Restore holds it: its namespace and name.
    Other(String),
}

/// One workload and the lease that records it, as one Restore sees them.
pub(super) struct Hold {
    scales: Api<DynamicObject>,
    pods: Api<Pod>,
    leases: Api<Lease>,
    lease: String,
    namespace: String,
    workload: Workload,
    holder: String,
    now: jiff::Timestamp,
}

impl Hold {
    /// A workload of a Restore's namespace, as that Restore sees it.
    pub(super) fn of(context: &Context, restore: &Restore, workload: &Workload) -> Self {
        let namespace = restore.namespace().unwrap_or_default();
        let (name, uid) = (restore.name_any(), restore.uid().unwrap_or_default());
        let holder = format!("{namespace}/{name}/{uid}");
        Self::held_by(context, &namespace, workload.clone(), holder)
    }

    /// A workload as this holder sees it.
    pub(super) fn held_by(
        context: &Context,
        namespace: &str,
        workload: Workload,
        holder: String,
    ) -> Self {
        let resource = match workload.kind {
            WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
            WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        };
        let client = || context.client.clone();
        let mut hold = Self {
            scales: Api::namespaced_with(client(), namespace, &resource),
            pods: Api::namespaced(client(), namespace),
            leases: Api::namespaced(client(), &context.namespace),
            lease: String::new(),
            namespace: namespace.to_owned(),
            workload,
            holder,
            now: context.clock.now(),
        };
        let hash = hex::encode(&Sha256::digest(hold.place().as_bytes())[..8]);
        hold.lease = format!("lifeboat-quiesce-{hash}");
        hold
    }

    fn place(&self) -> String {
        let Workload { kind, name } = &self.workload;
        format!("{}/{}/{name}", self.namespace, kind.as_str())
    }

    /// What the workload is scaled to; none where it does not exist.
    pub(super) async fn scale(&self) -> Result<Option<Scale>, Error> {
        match self.scales.get_scale(&self.workload.name).await {
            Ok(scale) => Ok(Some(scale)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(self.error("get the scale of")(error)),
        }
    }

    /// How many pods of the workload have not ended. One that is being deleted still runs, and the
    /// scale does not count it.
    pub(super) async fn pods(&self, scale: &Scale) -> Result<usize, Error> {
        let Some(status) = &scale.status else {
            return Ok(0);
        };
        let counted = usize::try_from(status.replicas).unwrap_or(0);
        // An empty selector would be every pod of the namespace.
        let Some(selector) = status.selector.as_deref().filter(|it| !it.is_empty()) else {
            return Ok(counted);
        };
        let params = ListParams::default().labels(selector);
        let listed = self.pods.list(&params).await;
        let listed = listed.map_err(self.error("list the pods of"))?;
        let open = listed.items.iter().filter(|pod| !has_ended(pod)).count();
        Ok(open.max(counted))
    }

    /// Who holds the workload.
    pub(super) async fn record(&self) -> Result<Record, Error> {
        Ok(self.judge(self.read().await?.as_ref()))
    }

    /// Takes the workload, and records what it has. Does nothing where another Restore has it: that
    /// is seen at the next look.
    pub(super) async fn claim(&self) -> Result<(), Error> {
        let found = self.read().await?;
        let mut lease = match (self.judge(found.as_ref()), found) {
            (Record::Claimed, Some(mine)) => mine,
            // What was over goes on after all; the number stands.
            (Record::GivenBack(_), Some(mut mine)) => {
                mine.annotations_mut().remove(GIVEN_BACK);
                self.write(&mine).await?;
                return Ok(());
            }
            (Record::Free, _) => {
                let (params, lease) = (PostParams::default(), self.new_lease());
                match self.leases.create(&params, &lease).await {
                    Ok(made) => made,
                    Err(kube::Error::Api(status)) if status.is_already_exists() => return Ok(()),
                    Err(error) => return Err(self.error("record the replicas of")(error)),
                }
            }
            _ => return Ok(()),
        };
        // Read under the lease: it is not the zero of another Restore.
        let Some(scale) = self.scale().await? else {
            return Ok(());
        };
        lease
            .annotations_mut()
            .insert(REPLICAS.to_owned(), replicas(&scale).to_string());
        self.write(&lease).await.map(drop)
    }

    /// Scales the workload to zero, where this Restore holds it.
    pub(super) async fn scale_down(&self) -> Result<(), Error> {
        let Some(scale) = self.scale().await?.filter(|scale| replicas(scale) != 0) else {
            return Ok(());
        };
        // Seen to be held after the scale was read: who has scaled since, makes this a conflict.
        let Record::Held(before) = self.record().await? else {
            return Ok(());
        };
        let scaled = self.set(&scale, 0).await;
        let scaled = scaled.map_err(self.error("scale"))?;
        // A controller that was slow may have been overtaken by another, which gave it back.
        if !matches!(self.record().await?, Record::Held(_)) {
            self.set(&scaled, before)
                .await
                .map_err(self.error("scale"))?;
        }
        Ok(())
    }

    /// Scales the workload back where it is at zero, and gives it free. `known` is what it goes back
    /// to where the lease is lost. Gives a sentence where it stays as it is.
    pub(super) async fn release(&self, known: Option<i32>) -> Result<Option<String>, Error> {
        let scale = match self.scale().await {
            Err(error) if error.is_refusal() => return Ok(Some(self.left(known, &error))),
            scale => scale?,
        };
        let mut found = self.read().await?;
        let record = self.judge(found.as_ref());
        let before = match record {
            Record::Other(_) => return Ok(None),
            Record::Held(before) | Record::GivenBack(before) => before,
            Record::Claimed => 0,
            Record::Free => known.unwrap_or(0),
        };
        let mut left = None;
        match scale {
            Some(scale) if replicas(&scale) == 0 && before > 0 => {
                if let (Record::Held(_), Some(mine)) = (record, &mut found) {
                    let word = (GIVEN_BACK.to_owned(), "true".to_owned());
                    mine.annotations_mut().extend([word]);
                    *mine = self.write(mine).await?;
                }
                let scaled = self.set(&scale, before).await;
                match scaled.map_err(self.error("scale")) {
                    // The lease stays: it is tried again later.
                    Err(error) if error.is_refusal() => {
                        return Ok(Some(self.left(Some(before), &error)));
                    }
                    scaled => scaled?,
                };
            }
            None if before > 0 => {
                left = Some(format!(
                    "the {} is gone; it had {before} replicas",
                    self.workload
                ));
            }
            _ => {}
        }
        if let Some(mine) = found {
            self.delete(mine).await?;
        }
        Ok(left)
    }

    fn left(&self, before: Option<i32>, error: &Error) -> String {
        let to = before.map_or(String::new(), |before| format!(" to {before}"));
        format!(
            "the {} could not be scaled back{to}, scale it by hand: {error}",
            self.workload
        )
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, Error> {
        let params = PostParams::default();
        let written = self.leases.replace(&self.lease, &params, lease).await;
        written.map_err(self.error("write the record of"))
    }

    /// On the version that was read: what was scaled since is a conflict.
    async fn set(&self, scale: &Scale, replicas: i32) -> Result<Scale, kube::Error> {
        let patch = json!({
            "metadata": {"resourceVersion": scale.metadata.resource_version},
            "spec": {"replicas": replicas},
        });
        self.scales
            .patch_scale(
                &self.workload.name,
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await
    }

    async fn delete(&self, mine: Lease) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: mine.metadata.uid,
                resource_version: mine.metadata.resource_version,
            }),
            ..DeleteParams::default()
        };
        match self.leases.delete(&self.lease, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(self.error("give free")(error)),
        }
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        let found = self.leases.get_opt(&self.lease).await;
        found.map_err(self.error("read the record of"))
    }

    fn judge(&self, found: Option<&Lease>) -> Record {
        let Some(found) = found else {
            return Record::Free;
        };
        match holder(found) {
            Some(holder) if holder == self.holder => {
                let notes = found.annotations();
                let replicas = notes.get(REPLICAS).and_then(|it| it.parse().ok());
                match replicas {
                    None => Record::Claimed,
                    Some(replicas) if notes.contains_key(GIVEN_BACK) => Record::GivenBack(replicas),
                    Some(replicas) => Record::Held(replicas),
                }
            }
            other => {
                let named = other.and_then(|other| other.rsplit_once('/'));
                Record::Other(named.map_or("somebody", |(name, _)| name).to_owned())
            }
        }
    }

    fn new_lease(&self) -> Lease {
        let managed = (labels::MANAGED_BY.to_owned(), "lifeboat".to_owned());
        let record = (labels::QUIESCE.to_owned(), "true".to_owned());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.lease.clone()),
                labels: Some(BTreeMap::from([managed, record])),
                annotations: Some(BTreeMap::from([(WORKLOAD.to_owned(), self.place())])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.clone()),
                acquire_time: Some(MicroTime(self.now)),
                ..LeaseSpec::default()
            }),
        }
    }

    fn error(&self, action: &'static str) -> impl FnOnce(kube::Error) -> Error + use<> {
        Error::api(action, self.workload.to_string())
    }
}

/// Who holds the workload of a lease: namespace, name and uid of a Restore.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// What a workload shall have.
pub(super) fn replicas(scale: &Scale) -> i32 {
    scale
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(0)
}

/// Only what has ended for good: a pod that can't be reached may still run.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
