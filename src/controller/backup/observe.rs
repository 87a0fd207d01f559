//! What is known of a Backup: reads only.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, ResourceExt};

use super::state::{Commit, Observed, Storage};
use crate::api::{Backup, conditions, labels};
use crate::controller::children::{self, is_owned_by};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::job_pod::{JOB_NAME, database_secret, label_value};
use crate::controller::run_state::{RunState, assess};
use crate::controller::store::{self, LocationState};
use crate::manifest::Identity;
use crate::schedule::slot_name;

/// Reads what [`super::decide::decide`] needs to know. An ended Backup costs no call.
pub(super) async fn observe(context: &Context, backup: Backup) -> Result<Observed, Error> {
    let namespace = backup.namespace().ok_or(Error::Incomplete("namespace"))?;
    let uid = backup.uid().ok_or(Error::Incomplete("uid"))?;
    let identity = identity(context, &backup, &namespace, &uid)?;
    let mut observed = Observed {
        image: context.image.clone(),
        identity,
        job: None,
        attempt: 0,
        run: RunState::NoJob,
        storage: Storage::NotLooked,
        commit: Commit::NotLooked,
        missing_secret: None,
        backup,
    };
    if observed.has_ended() {
        return Ok(observed);
    }
    let now = context.clock.now();
    observed
        .look_at_runs(context, &namespace, &uid, now)
        .await?;
    if observed.needs_storage(now) {
        observed.look_at_storage(context, &namespace).await?;
    }
    Ok(observed)
}

impl Observed {
    async fn look_at_runs(
        &mut self,
        context: &Context,
        namespace: &str,
        uid: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let jobs: Api<Job> = Api::namespaced(context.client.clone(), namespace);
        let owner = label_value(&self.backup.name_any());
        let newest = children::list(&jobs, labels::BACKUP, &owner)
            .await?
            .into_iter()
            .filter(|job| is_owned_by(job, uid))
            .filter_map(|job| Some((attempt_of(&job)?, job)))
            .max_by_key(|(attempt, _)| *attempt);
        let told = self
            .backup
            .status
            .as_ref()
            .map_or(0, |status| status.attempt);
        let Some((attempt, job)) = newest.filter(|(attempt, _)| *attempt >= told) else {
            self.attempt = told;
            return Ok(());
        };
        let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
        let name = job.name_any();
        let pods = children::list(&pods, JOB_NAME, &name).await?;
        self.attempt = attempt;
        self.run = assess(Some(&job), &pods, now);
        self.job = Some(job);
        Ok(())
    }

    async fn look_at_storage(&mut self, context: &Context, namespace: &str) -> Result<(), Error> {
        let name = &self.backup.spec.storage.name;
        match store::look_up(context, namespace, name).await? {
            LocationState::Missing => self.storage = Storage::Missing,
            LocationState::NotReady {
                spec,
                reason,
                message,
            } => {
                self.storage = Storage::NotReady {
                    spec,
                    reason,
                    message,
                };
            }
            LocationState::Ready(spec) => {
                self.commit = match store::open(context, namespace, &spec).await? {
                    Ok(location) => store::read_slot(&location, &self.identity).await,
                    Err(fault) => Commit::Fault(fault),
                };
                self.storage = Storage::Ready(spec);
            }
        }
        if let Some(secret) = database_secret(&self.backup.spec.source) {
            // Its metadata only: the controller never sees what is in it.
            let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
            let found = secrets
                .get_metadata_opt(secret)
                .await
                .map_err(Error::api("get", format!("Secret {secret}")))?;
            if found.is_none() {
                self.missing_secret = Some(secret.to_owned());
            }
        }
        Ok(())
    }

    /// True once `Complete` or `Failed` is True.
    pub(super) fn has_ended(&self) -> bool {
        let status = self.backup.status.as_ref();
        status.is_some_and(|status| conditions::has_ended(&status.conditions))
    }

    /// A run that goes on needs no look at the bucket.
    fn needs_storage(&self, now: Timestamp) -> bool {
        if self.backup.spec.cancel {
            return true;
        }
        if let Some(time) = self.waits_until() {
            return now >= time;
        }
        match &self.run {
            RunState::Starting | RunState::NotStarting { .. } | RunState::Running => {
                self.is_overdue(now)
            }
            RunState::NoJob | RunState::EndedByWord(_) | RunState::EndedSilently(_) => true,
        }
    }
}

fn attempt_of(job: &Job) -> Option<u32> {
    job.labels().get(labels::ATTEMPT)?.parse().ok()
}

/// Whose backup it is. A Backup of a schedule carries its slot; any other has the moment of its
/// creation as its slot.
fn identity(
    context: &Context,
    backup: &Backup,
    namespace: &str,
    uid: &str,
) -> Result<Identity, Error> {
    let created = backup
        .creation_timestamp()
        .ok_or(Error::Incomplete("creationTimestamp"))?
        .0;
    let slot: Option<Timestamp> = backup
        .annotations()
        .get(labels::SLOT)
        .and_then(|slot| slot.parse().ok());
    let schedule = backup.labels().get(labels::BACKUP_SCHEDULE);
    // Without a slot the label alone does not put it into the schedule's line.
    let schedule = schedule.filter(|_| slot.is_some()).cloned();
    let time = slot.filter(|_| schedule.is_some()).unwrap_or(created);
    Ok(Identity {
        cluster: context.cluster.name.clone(),
        cluster_uid: context.cluster.uid.clone(),
        namespace: namespace.to_owned(),
        schedule,
        backup: backup.name_any(),
        backup_uid: uid.to_owned(),
        slot: slot_name(time),
    })
}
