//! Does what was decided, in an order that may be cut short anywhere.

use k8s_openapi::api::batch::v1::Job;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use super::state::{MakeVoid, Observed, Plan, Start, Storage};
use crate::api::conditions::{self, types};
use crate::api::{Backup, BackupStatus, labels};
use crate::controller::children::{self, check_owner, create_or_adopt, owned_by};
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use crate::controller::job_pod::{self, JobRequest};
use crate::controller::{status, store};
use crate::transfer::catalog;

/// Does what was decided.
pub(super) async fn apply(
    context: &Context,
    seen: &Observed,
    plan: Plan,
) -> Result<Action, Stopped> {
    let plan = settle_void(context, seen, plan).await?;
    let Plan {
        void: _,
        start,
        delete_job,
        status: next,
        note,
        requeue,
    } = plan;
    let namespace = &seen.identity.namespace;
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    if let Some(start) = start {
        start_job(&jobs, seen, start).await?;
    }
    if let Some((name, uid)) = delete_job {
        children::delete(&jobs, &name, &uid).await?;
    }
    if let Some(next) = next {
        let ended = newly_ended(seen, &next);
        let api: Api<Backup> = Api::namespaced(context.client.clone(), namespace);
        status::replace(&api, &seen.backup, next).await?;
        if let Some(complete) = ended {
            context.metrics.ended("Backup", complete);
        }
    }
    if let Some(note) = note {
        context.events.publish(&seen.backup, note).await;
    }
    Ok(requeue.map_or_else(Action::await_change, Action::requeue))
}

/// Takes the slot's key where the plan asks for it, so that no run can commit it any more. That
/// one did commit is no error: the next look finds its manifest.
async fn settle_void(context: &Context, seen: &Observed, plan: Plan) -> Result<Plan, Error> {
    let Some(MakeVoid { why, otherwise }) = plan.void else {
        return Ok(plan);
    };
    let Storage::Ready(spec) = &seen.storage else {
        return Ok(*otherwise);
    };
    let Ok(location) = store::open(context, &seen.identity.namespace, spec).await? else {
        return Ok(*otherwise);
    };
    let voiding = catalog::void(&location, &seen.identity, &why, context.clock.now());
    match store::within(store::ANSWER, &location, voiding).await {
        Ok(_) => Ok(Plan { void: None, ..plan }),
        Err(error) => {
            tracing::warn!(slot = seen.identity.slot, %error, "a slot could not be made void");
            Ok(*otherwise)
        }
    }
}

async fn start_job(jobs: &Api<Job>, seen: &Observed, start: Start) -> Result<(), Stopped> {
    let Start {
        attempt,
        job_name,
        order,
        timeout,
    } = start;
    let job = job_pod::build(&JobRequest {
        name: job_name,
        namespace: &seen.identity.namespace,
        owner: owned_by(&seen.backup)?,
        owner_label: labels::BACKUP,
        attempt,
        order: &order,
        template: seen.backup.spec.job.as_ref(),
        image: &seen.image,
        timeout,
    })
    .map_err(|error| Stopped::Refused(error.to_string()))?;
    let uid = seen.backup.uid().unwrap_or_default();
    create_or_adopt(jobs, &job, |found| {
        check_owner(found, &uid)?;
        children::check_label(found, labels::ATTEMPT, &attempt.to_string())
    })
    .await
    .map(|_| ())
    .map_err(Stopped::of)
}

fn newly_ended(seen: &Observed, next: &BackupStatus) -> Option<bool> {
    let newly = !seen.has_ended() && conditions::has_ended(&next.conditions);
    newly.then(|| conditions::is_true(&next.conditions, types::COMPLETE))
}
