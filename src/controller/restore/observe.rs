//! What is known of a Restore: reads only.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::lease::{self, Target};
use super::quiesce;
use super::source;
use super::state::{Observed, Problem, Resolved, Storage, TargetLease, open_attempt};
use crate::api::conditions::Reason;
use crate::api::{Restore, RestoreSchedule, labels};
use crate::controller::children::is_owned_by;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::job_pod::target_secret;
use crate::controller::run_state::{RunState, assess};
use crate::controller::store::{self, LocationState};

/// Reads what [`super::decide::decide`] needs to know: all of it from the API server and the
/// bucket, nothing from a cache. An ended Restore costs no call, one that runs three, and
/// two for each workload that it holds.
pub(super) async fn observe(context: &Context, restore: Restore) -> Result<Observed, Error> {
    let namespace = restore.namespace().ok_or(Error::Incomplete("namespace"))?;
    let now = context.clock.now();
    let mut seen = Observed {
        restore,
        job: None,
        run: RunState::NoJob,
        fenced: false,
        storage: Storage::NotLooked,
        resolved: None,
        missing_secret: None,
        target: TargetLease::Free,
        workloads: Ok(Vec::new()),
        came_back: None,
    };
    if seen.has_ended() {
        return Ok(seen);
    }
    seen.look_at_run(context, &namespace, now).await?;
    seen.fenced = is_fenced(context, &namespace, &seen.restore).await?;
    if seen.may_start(now) {
        seen.look_at_source(context, &namespace).await?;
        seen.look_at_target(context, &namespace, now).await?;
        seen.workloads = quiesce::look(context, &seen.restore).await?;
    } else if seen.run != RunState::NoJob && seen.status().quiesce.is_some() {
        seen.came_back = quiesce::came_back(context, &seen.restore).await?;
    }
    Ok(seen)
}

impl Observed {
    async fn look_at_run(
        &mut self,
        context: &Context,
        namespace: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(attempt) = open_attempt(&self.status()) else {
            return Ok(());
        };
        let uid = self.restore.uid().ok_or(Error::Incomplete("uid"))?;
        let name = super::job_name(&self.restore, attempt);
        let jobs: Api<Job> = Api::namespaced(context.client.clone(), namespace);
        let job = jobs
            .get_opt(&name)
            .await
            .map_err(Error::api("get", format!("Job {name}")))?;
        let Some(job) = job.filter(|job| is_owned_by(job, &uid)) else {
            return Ok(());
        };
        let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
        let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
        let pods = pods
            .list(&params)
            .await
            .map_err(Error::api("list", format!("Pods of Job {name}")))?;
        self.run = assess(Some(&job), &pods.items, now);
        self.job = Some(job);
        Ok(())
    }

    async fn look_at_source(&mut self, context: &Context, namespace: &str) -> Result<(), Error> {
        let source = match source::named(context, &self.restore).await? {
            Ok(source) => source,
            // Once the manifests are known, a source that is gone only hides the location.
            Err(Resolved::Refused(problem) | Resolved::Waiting(problem))
                if !self.status().manifests.is_empty() =>
            {
                self.storage = Storage::Blocked(problem);
                return Ok(());
            }
            Err(Resolved::Waiting(problem)) => {
                self.storage = Storage::Blocked(problem);
                return Ok(());
            }
            Err(resolved) => {
                self.resolved = Some(resolved);
                return Ok(());
            }
        };
        let name = &source.storage;
        let spec = match store::look_up(context, namespace, name).await? {
            LocationState::Ready(spec) => spec,
            LocationState::Missing => {
                self.storage = Storage::Blocked(Problem::new(
                    Reason::StorageNotFound,
                    format!("there is no StorageLocation {name} in this namespace; create it"),
                ));
                return Ok(());
            }
            LocationState::NotReady {
                reason, message, ..
            } => {
                self.storage = Storage::Blocked(Problem::new(
                    reason,
                    format!("the StorageLocation {name} is not Ready: {message}"),
                ));
                return Ok(());
            }
        };
        if !self.status().names_all() {
            let wanted = source::chosen(&self.status()).unwrap_or(source.wanted);
            match store::open(context, namespace, &spec).await? {
                Ok(location) => {
                    self.resolved = Some(source::resolve(&location, &wanted).await);
                }
                Err(fault) => {
                    self.storage = Storage::Blocked(fault.into());
                    return Ok(());
                }
            }
        }
        self.storage = Storage::Ready(spec);
        Ok(())
    }

    async fn look_at_target(
        &mut self,
        context: &Context,
        namespace: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let spec = &self.restore.spec.parameters.target;
        let Some(normalised) = lease::normalised(spec) else {
            self.resolved = Some(Resolved::Refused(Problem::new(
                Reason::InvalidSpec,
                "the target's url can't be read; write for example http://influxdb:8086",
            )));
            return Ok(());
        };
        if let Some(secret) = target_secret(spec) {
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
        let target = Target::new(context, normalised, &self.restore);
        self.target = target.look(now).await?;
        Ok(())
    }
}

/// True where the RestoreSchedule that made the Restore was promoted: by its spec, or by the latch
/// in its status. One that was made anew under the same name speaks for its standby too.
async fn is_fenced(context: &Context, namespace: &str, restore: &Restore) -> Result<bool, Error> {
    let Some(name) = restore.labels().get(labels::RESTORE_SCHEDULE) else {
        return Ok(false);
    };
    let api: Api<RestoreSchedule> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("RestoreSchedule {name}")))?;
    Ok(found.is_some_and(|schedule| is_promoted(&schedule)))
}

/// True from the moment that promotion was asked for.
pub(crate) fn is_promoted(schedule: &RestoreSchedule) -> bool {
    let latched = schedule
        .status
        .as_ref()
        .is_some_and(|status| status.promotion_requested_time.is_some());
    schedule.spec.promoted || latched
}
