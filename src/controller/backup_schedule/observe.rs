//! What is known of a BackupSchedule: reads only.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::prune::{self, line_identity};
use super::replicate::look_at_replicas;
use super::state::{Child, Gate, Observed, PruneJob, Pruning};
use crate::api::conditions::{self, Reason, types};
use crate::api::order::Order;
use crate::api::{Backup, BackupSchedule, RestoreSchedule, labels};
use crate::controller::children::{self, is_owned_by};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::job_pod::JOB_NAME;
use crate::controller::run_state::assess;
use crate::controller::store::{self, LocationState, StoreFault};
use crate::storage::Location;
use crate::transfer::TransferError;
use crate::transfer::catalog::{self, Stored};

/// The longest that reading all manifests of a line may take.
const LISTING: Duration = Duration::from_secs(120);

/// Reads what [`super::decide::decide`] needs to know.
pub(super) async fn observe(
    context: &Context,
    schedule: BackupSchedule,
    now: Timestamp,
) -> Result<Observed, Error> {
    let namespace = schedule.namespace().ok_or(Error::Incomplete("namespace"))?;
    let backups: Api<Backup> = Api::namespaced(context.client.clone(), &namespace);
    let backups = children::list(&backups, labels::BACKUP_SCHEDULE, &schedule.name_any()).await?;
    let mut seen = Observed {
        backups: backups.iter().map(Child::of).collect(),
        gate: gate(context, &schedule, &namespace).await?,
        newest: None,
        pruning: Pruning::NotDue,
        replicas: Vec::new(),
        cluster: context.cluster.name.clone(),
        cluster_uid: context.cluster.uid.clone(),
        schedule,
        namespace,
    };
    if knows_of_none(&seen) {
        seen.newest = newest_in_bucket(context, &seen).await?.map(Box::new);
    }
    if prune::is_due(&seen.schedule, &seen.backups, now) {
        seen.pruning = look_at_pruning(context, &seen, now).await?;
    }
    seen.replicas = look_at_replicas(context, &seen, now).await?;
    Ok(seen)
}

/// The schedule's objects were lost, or it is new: only the bucket knows how old its backups are.
fn knows_of_none(seen: &Observed) -> bool {
    let status = seen.schedule.status.as_ref();
    status.is_none_or(|status| status.last_consistency_time.is_none()) && seen.backups.is_empty()
}

/// The newest backup in the bucket. None also where the bucket can't be read now: it is asked again.
async fn newest_in_bucket(context: &Context, seen: &Observed) -> Result<Option<Stored>, Error> {
    let name = &seen.schedule.spec.template.spec.storage.name;
    let LocationState::Ready(spec) = store::look_up(context, &seen.namespace, name).await? else {
        return Ok(None);
    };
    let Ok(location) = store::open(context, &seen.namespace, &spec).await? else {
        return Ok(None);
    };
    let line = line_identity(seen).line();
    let reading = catalog::newest(&location, &line);
    let newest = store::within(store::ANSWER, &location, Box::pin(reading)).await;
    Ok(newest.unwrap_or_else(|error| {
        tracing::warn!(line, %error, "the newest backup can't be read");
        None
    }))
}

async fn gate(
    context: &Context,
    schedule: &BackupSchedule,
    namespace: &str,
) -> Result<Gate, Error> {
    let Some(wanted) = &schedule.spec.active_when_promoted else {
        return Ok(Gate::Open);
    };
    let api: Api<RestoreSchedule> = Api::namespaced(context.client.clone(), namespace);
    let found = api.get_opt(&wanted.name).await.map_err(Error::api(
        "get",
        format!("RestoreSchedule {}", wanted.name),
    ))?;
    let promoted = found
        .and_then(|found| found.status)
        .is_some_and(|status| conditions::is_true(&status.conditions, types::PROMOTED));
    Ok(if promoted {
        Gate::Open
    } else {
        Gate::Closed(wanted.name.clone())
    })
}

async fn look_at_pruning(
    context: &Context,
    seen: &Observed,
    now: Timestamp,
) -> Result<Pruning, Error> {
    let newest = newest_prune_job(context, seen, now).await?;
    let ended = match newest {
        Some(newest) if !newest.run.has_ended() => return Ok(Pruning::Running),
        // One that was looked at before says nothing new.
        Some(newest) => Some(newest).filter(|newest| {
            let last = seen
                .schedule
                .status
                .as_ref()
                .and_then(|s| s.last_prune_time);
            let made = newest.job.creation_timestamp().map(|time| time.0);
            last.is_none_or(|last| made.is_some_and(|made| made > last))
        }),
        None => None,
    };
    let name = &seen.schedule.spec.template.spec.storage.name;
    let spec = match store::look_up(context, &seen.namespace, name).await? {
        LocationState::Ready(spec) => spec,
        LocationState::Missing => return Ok(blocked(name, "it does not exist")),
        LocationState::NotReady { message, .. } => return Ok(blocked(name, &message)),
    };
    let location = match store::open(context, &seen.namespace, &spec).await? {
        Ok(location) => location,
        Err(fault) => return Ok(Pruning::Blocked(fault)),
    };
    let line = line_identity(seen).line();
    let looking = async {
        if let Some(ended) = ended {
            return what_is_gone(&location, &line, ended).await;
        }
        let held = |slot: &str| held(&seen.backups, slot);
        let items = catalog::items(&location, &line, held).await?;
        Ok(Pruning::Due {
            storage: spec,
            items,
        })
    };
    let looked = store::within(LISTING, &location, Box::pin(looking)).await;
    Ok(looked.unwrap_or_else(|error| Pruning::Blocked(error.into())))
}

fn blocked(name: &str, message: &str) -> Pruning {
    Pruning::Blocked(StoreFault {
        reason: Reason::StorageNotReady,
        message: format!("the StorageLocation {name} is not Ready: {message}"),
        retryable: true,
    })
}

async fn newest_prune_job(
    context: &Context,
    seen: &Observed,
    now: Timestamp,
) -> Result<Option<PruneJob>, Error> {
    let uid = seen.schedule.uid().ok_or(Error::Incomplete("uid"))?;
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &seen.namespace);
    let name = seen.schedule.name_any();
    let newest = children::list(&jobs, labels::BACKUP_SCHEDULE, &name)
        .await?
        .into_iter()
        .filter(|job| is_owned_by(job, &uid) && is_pruning(job))
        .max_by_key(ResourceExt::creation_timestamp);
    let Some(job) = newest else {
        return Ok(None);
    };
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &seen.namespace);
    let pods = children::list(&pods, JOB_NAME, &job.name_any()).await?;
    Ok(Some(PruneJob {
        run: assess(Some(&job), &pods, now),
        job,
    }))
}

/// Jobs that copy are the schedule's as well.
fn is_pruning(job: &Job) -> bool {
    job.labels().get(labels::TASK).map(String::as_str) == Some("prune")
}

/// Which of the manifests that a prune Job was to delete are gone.
async fn what_is_gone(
    location: &Location,
    line: &str,
    ended: PruneJob,
) -> Result<Pruning, TransferError> {
    let there: Vec<String> = catalog::list_slots(location, line, None)
        .await?
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    let mut gone = wanted_gone(&ended.job);
    gone.retain(|key| !there.contains(key));
    Ok(Pruning::Ended {
        run: ended.run,
        gone,
    })
}

/// What the Job's order was to delete.
fn wanted_gone(job: &Job) -> Vec<String> {
    match order_of(job) {
        Some(Order::Prune(order)) => order.delete,
        _ => Vec::new(),
    }
}

/// What the Job was told.
pub(super) fn order_of(job: &Job) -> Option<Order> {
    let template = &job.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    serde_json::from_str(annotations.get(labels::ORDER)?).ok()
}

fn held(backups: &[Child], slot: &str) -> bool {
    backups
        .iter()
        .any(|child| child.hold && child.slot_name.as_deref() == Some(slot))
}
