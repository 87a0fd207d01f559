//! What is known of a BackupSchedule: reads only.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::prune::{self, line_identity};
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
use crate::manifest::Commit;
use crate::manifest::line::manifest_key;
use crate::retention::{self, Item};
use crate::schedule::parse_slot_name;
use crate::storage::Location;
use crate::transfer::TransferError;
use crate::transfer::catalog;

/// The longest that reading all manifests of a line may take.
const LISTING: Duration = Duration::from_secs(120);
/// Manifests that are read at once.
const READS: usize = 8;

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
        pruning: Pruning::NotDue,
        cluster: context.cluster.name.clone(),
        cluster_uid: context.cluster.uid.clone(),
        schedule,
        namespace,
    };
    if prune::is_due(&seen.schedule, &seen.backups, now) {
        seen.pruning = look_at_pruning(context, &seen, now).await?;
    }
    Ok(seen)
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
        match ended {
            Some(ended) => what_is_gone(&location, &line, ended).await,
            None => items(&location, &line, &seen.backups)
                .await
                .map(|items| Pruning::Due {
                    storage: spec,
                    items,
                }),
        }
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
        .filter(|job| is_owned_by(job, &uid))
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
    job.spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref()?.annotations.as_ref())
        .and_then(|annotations| annotations.get(labels::ORDER))
        .and_then(|order| serde_json::from_str(order).ok())
        .map(|order| match order {
            Order::Prune(order) => order.delete,
            _ => Vec::new(),
        })
        .unwrap_or_default()
}

/// Every manifest of the line. One that can't be read stops the pruning: what it needs would look
/// as if nothing needed it.
async fn items(
    location: &Location,
    line: &str,
    backups: &[Child],
) -> Result<Vec<Item>, TransferError> {
    let slots = catalog::list_slots(location, line, None).await?;
    futures::stream::iter(slots)
        .map(|entry| async move {
            let key = manifest_key(line, &entry.slot);
            match catalog::read_commit(location, &key, None).await {
                Ok((commit, _)) => Ok(Some(item(entry.slot, &commit, backups))),
                Err(TransferError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(READS)
        .try_filter_map(|item| async move { Ok(item) })
        .try_collect()
        .await
}

fn item(slot: String, commit: &Commit, backups: &[Child]) -> Item {
    let hold = backups
        .iter()
        .any(|child| child.hold && child.slot_name.as_deref() == Some(&slot));
    let (time, complete, chain) = match commit {
        Commit::Backup(manifest) => (
            manifest.consistency_time,
            true,
            retention::Chain::from(&manifest.chain),
        ),
        Commit::Void(marker) => (
            parse_slot_name(&slot).unwrap_or(marker.time),
            false,
            retention::Chain::Full,
        ),
    };
    Item {
        id: slot,
        time,
        complete,
        hold,
        locked: false,
        chain,
        expire_after: None,
    }
}
