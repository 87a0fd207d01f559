//! The lease of a target: two Restores that name one target never run at once.
//!
//! It is a `Lease` in the controller's own namespace, named by the target, and held until the
//! run's own deadline. Nobody renews it: a run that is over gives it back, and one that vanished
//! loses it when it can't be at work any more.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use sha2::{Digest, Sha256};
use url::Url;

use super::state::TargetLease;
use crate::api::engines::TargetSpec;
use crate::api::{Restore, labels};
use crate::controller::context::Context;
use crate::controller::error::Error;

/// Annotation with the target that a lease stands for.
const TARGET: &str = "lifeboat.dev/target";

/// What a target is called, whichever way its URL is written: the engine, its host in lower case
/// and its port. Two databases of one server are one target. What has no host and port is called as
/// it is written.
pub(crate) fn normalised(target: &TargetSpec) -> Option<String> {
    let spec = target.named()?;
    let name = host_and_port(spec.url()).unwrap_or_else(|| spec.url().trim().to_owned());
    (!name.is_empty()).then(|| format!("{}/{name}", spec.engine()))
}

fn host_and_port(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    let port = url.port_or_known_default()?;
    Some(format!("{host}:{port}"))
}

/// Who works on a target, as somebody sees it who never does. Free where the target can't be read.
pub(crate) async fn who_works(
    context: &Context,
    target: &TargetSpec,
    now: Timestamp,
) -> Result<TargetLease, Error> {
    match normalised(target) {
        Some(normalised) => {
            Target::held_by(context, normalised, String::new())
                .look(now)
                .await
        }
        None => Ok(TargetLease::Free),
    }
}

/// The lease of one target, as one Restore sees it.
pub(super) struct Target {
    api: Api<Lease>,
    name: String,
    normalised: String,
    holder: String,
}

impl Target {
    /// The lease of `normalised`, for this Restore.
    pub(super) fn new(context: &Context, normalised: String, restore: &Restore) -> Self {
        let holder = format!(
            "{}/{}/{}",
            restore.namespace().unwrap_or_default(),
            restore.name_any(),
            restore.uid().unwrap_or_default()
        );
        Self::held_by(context, normalised, holder)
    }

    fn held_by(context: &Context, normalised: String, holder: String) -> Self {
        let hash = hex::encode(&Sha256::digest(normalised.as_bytes())[..8]);
        Self {
            api: Api::namespaced(context.client.clone(), &context.namespace),
            name: format!("lifeboat-target-{hash}"),
            normalised,
            holder,
        }
    }

    /// Who works on the target.
    pub(super) async fn look(&self, now: Timestamp) -> Result<TargetLease, Error> {
        Ok(self.judge(self.read().await?.as_ref(), now))
    }

    /// Takes the lease until `until`, or says who has it.
    pub(super) async fn take(
        &self,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<TargetLease, Error> {
        let found = self.read().await?;
        let judged = self.judge(found.as_ref(), now);
        if judged != TargetLease::Free {
            return Ok(judged);
        }
        let wanted = self.lease(until, now);
        let post = PostParams::default();
        match found {
            // Somebody who takes it in between has changed the resourceVersion: a conflict.
            Some(found) => {
                if self.is_mine(&found) && held_until(&found).is_some_and(|held| held >= until) {
                    return Ok(TargetLease::Free);
                }
                let mut next = wanted;
                next.metadata.resource_version = found.metadata.resource_version;
                self.api
                    .replace(&self.name, &post, &next)
                    .await
                    .map_err(self.error("take"))?;
            }
            None => {
                self.api
                    .create(&post, &wanted)
                    .await
                    .map_err(self.error("create"))?;
            }
        }
        Ok(TargetLease::Free)
    }

    /// Gives the lease back, where this Restore has it.
    pub(super) async fn release(&self) -> Result<(), Error> {
        let Some(found) = self.read().await?.filter(|found| self.is_mine(found)) else {
            return Ok(());
        };
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.metadata.uid,
                resource_version: found.metadata.resource_version,
            }),
            ..DeleteParams::default()
        };
        match self.api.delete(&self.name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            // A conflict too: whether another took it since is seen at the next look.
            Err(error) => Err(self.error("delete")(error)),
        }
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        self.api
            .get_opt(&self.name)
            .await
            .map_err(self.error("get"))
    }

    fn error(&self, action: &'static str) -> impl FnOnce(kube::Error) -> Error + use<> {
        Error::api(action, format!("Lease {}", self.name))
    }

    fn judge(&self, found: Option<&Lease>, now: Timestamp) -> TargetLease {
        let Some(found) = found.filter(|found| !self.is_mine(found)) else {
            return TargetLease::Free;
        };
        match (holder(found), held_until(found)) {
            (Some(holder), Some(until)) if until > now => TargetLease::Busy {
                holder: shown(holder),
                until,
            },
            _ => TargetLease::Free,
        }
    }

    fn is_mine(&self, found: &Lease) -> bool {
        holder(found) == Some(&self.holder)
    }

    fn lease(&self, until: Timestamp, now: Timestamp) -> Lease {
        let left = until.duration_since(now);
        // Rounded up to whole seconds, at least one: what a lease can hold.
        let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
        let seconds = i32::try_from(seconds.max(1)).unwrap_or(i32::MAX);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                annotations: Some(BTreeMap::from([(
                    TARGET.to_owned(),
                    self.normalised.clone(),
                )])),
                labels: Some(BTreeMap::from([(
                    labels::MANAGED_BY.to_owned(),
                    "lifeboat".to_owned(),
                )])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.clone()),
                acquire_time: Some(MicroTime(now)),
                renew_time: Some(MicroTime(now)),
                lease_duration_seconds: Some(seconds),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref()
}

fn held_until(lease: &Lease) -> Option<Timestamp> {
    let spec = lease.spec.as_ref()?;
    let taken = spec.renew_time.as_ref()?.0;
    let held = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds?));
    taken.saturating_add(held).ok()
}

/// Namespace and name of a holder, without its uid.
fn shown(holder: &str) -> String {
    holder
        .rsplit_once('/')
        .map_or(holder, |(name, _)| name)
        .to_owned()
}
