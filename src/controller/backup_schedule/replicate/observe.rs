//! Where the copies of each location stand: reads only, and of the API server alone.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::super::observe::order_of;
use super::super::state::{Observed, Replica, ReplicaState};
use super::{Due, due, job_name, known, newest_slot};
use crate::api::conditions::Reason;
use crate::api::order::Order;
use crate::api::storage_location::StorageLocationSpec;
use crate::controller::children::{self, is_owned_by};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::job_pod::JOB_NAME;
use crate::controller::retry::Retry;
use crate::controller::run_state::assess;
use crate::controller::store::{self, LocationState, StoreFault, is_writable};

/// Looks at each location of `replicateTo`.
pub(in super::super) async fn look_at_replicas(
    context: &Context,
    seen: &Observed,
    now: Timestamp,
) -> Result<Vec<Replica>, Error> {
    let mut replicas = Vec::new();
    for spec in seen.schedule.spec.replicate_to.iter().flatten() {
        replicas.push(Replica {
            name: spec.name.clone(),
            state: look_at(context, seen, &spec.name, now).await?,
        });
    }
    Ok(replicas)
}

async fn look_at(
    context: &Context,
    seen: &Observed,
    name: &str,
    now: Timestamp,
) -> Result<ReplicaState, Error> {
    let status = seen.schedule.status.clone().unwrap_or_default();
    let replica = known(&status, name);
    let uid = seen.schedule.uid().ok_or(Error::Incomplete("uid"))?;
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &seen.namespace);
    let job_name = job_name(&seen.schedule, &replica);
    let job = jobs
        .get_opt(&job_name)
        .await
        .map_err(Error::api("get", format!("Job {job_name}")))?;
    if let Some(job) = job.filter(|job| is_owned_by(job, &uid)) {
        let pods: Api<Pod> = Api::namespaced(context.client.clone(), &seen.namespace);
        let pods = children::list(&pods, JOB_NAME, &job_name).await?;
        let run = assess(Some(&job), &pods, now);
        if !run.has_ended() {
            return Ok(ReplicaState::Running(run));
        }
        let order = match order_of(&job) {
            Some(Order::Replicate(order)) => Some(order),
            _ => None,
        };
        return Ok(ReplicaState::Ended { run, order });
    }
    let newest = newest_slot(&status, &seen.backups);
    let retry = Retry::of(seen.schedule.spec.template.spec.retry.as_ref());
    if due(&replica, newest.as_deref(), &retry, now) != Due::Now {
        return Ok(ReplicaState::Idle);
    }
    let source = &seen.schedule.spec.template.spec.storage.name;
    let from = usable(context, seen, source).await?;
    let to = usable(context, seen, name).await?;
    Ok(match (from, to) {
        (Err(fault), _) | (_, Err(fault)) => ReplicaState::Blocked(fault),
        (Ok(from), Ok(to)) => match unfit(&from, &to, source, name) {
            Some(fault) => ReplicaState::Blocked(fault),
            None => ReplicaState::Due { from, to },
        },
    })
}

async fn usable(
    context: &Context,
    seen: &Observed,
    name: &str,
) -> Result<Result<Box<StorageLocationSpec>, StoreFault>, Error> {
    let fault = |reason, message: &str| StoreFault {
        reason,
        message: format!("the StorageLocation {name} {message}"),
        retryable: true,
    };
    Ok(
        match store::look_up(context, &seen.namespace, name).await? {
            LocationState::Ready(spec) => Ok(spec),
            LocationState::Missing => Err(fault(
                Reason::StorageNotFound,
                "does not exist in this namespace; create it",
            )),
            LocationState::NotReady { message, .. } => Err(fault(
                Reason::StorageNotReady,
                &format!("is not Ready: {message}"),
            )),
        },
    )
}

fn unfit(
    from: &StorageLocationSpec,
    to: &StorageLocationSpec,
    source: &str,
    name: &str,
) -> Option<StoreFault> {
    let fault = |reason, message| StoreFault {
        reason,
        message,
        retryable: false,
    };
    if from.is_same_place(to) {
        let message = format!(
            "the StorageLocations {source} and {name} are one place; give the copies a bucket or a prefix of their own"
        );
        return Some(fault(Reason::InvalidSpec, message));
    }
    if !is_writable(to) {
        let message = format!("the StorageLocation {name} is ReadOnly; copies need ReadWrite");
        return Some(fault(Reason::StorageReadOnly, message));
    }
    None
}
