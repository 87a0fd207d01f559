//! Does what was decided, in an order that may be cut short anywhere.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use super::lease::{self, Target};
use super::state::{Observed, Plan, Start, TargetLease, has_ended};
use super::{quiesce, status, stop};
use crate::api::conditions::{self, types};
use crate::api::{Restore, labels};
use crate::controller::children::{check_label, check_owner, create_or_adopt, owned_by};
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use crate::controller::job_pod::{self, JobRequest};
use crate::controller::status::replace;

/// How soon a target that was taken at the last moment is looked at again.
const TAKEN: std::time::Duration = std::time::Duration::from_secs(2);

/// A refusal: the Restore as it is now, and why.
type Refusal = (Box<Restore>, String);

/// Does what was decided. The status goes before what is started, so that it is known of whatever
/// happens next; and after what is given back, so that nothing is held for a Restore that ended.
pub(super) async fn apply(
    context: &Context,
    seen: &Observed,
    plan: Plan,
) -> Result<Action, Stopped<Refusal>> {
    let Plan {
        release,
        scale_back,
        status: mut next,
        quieten,
        start,
        stop: unwanted,
        note,
        requeue,
    } = plan;
    let namespace = seen
        .restore
        .namespace()
        .ok_or(Error::Incomplete("namespace"))?;
    let target = lease::normalised(&seen.restore.spec.parameters.target)
        .map(|normalised| Target::new(context, normalised, &seen.restore));
    let mut left = None;
    if scale_back {
        let at_zero = quiesce::scale_back(context, &seen.restore).await?;
        if !at_zero.is_empty() {
            let now = context.clock.now();
            left = Some(status::left_at_zero(seen, &mut next, &at_zero, now));
        }
    }
    if let Some(target) = target.as_ref().filter(|_| release) {
        target.release().await?;
    }
    let api: Api<Restore> = Api::namespaced(context.client.clone(), &namespace);
    let restore = replace(&api, &seen.restore, next).await?;
    if has_ended(&restore) && !seen.has_ended() {
        let complete = restore
            .status
            .as_ref()
            .is_some_and(|status| conditions::is_true(&status.conditions, types::COMPLETE));
        context.metrics.ended("Restore", complete);
    }
    for note in note.into_iter().chain(left) {
        context.events.publish(&restore, note).await;
    }
    if let Some(step) = quieten {
        quiesce::quieten(context, &restore, step).await?;
    }
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    if let (Some(start), Some(target)) = (start, &target) {
        let now = context.clock.now();
        if !begin(context, &jobs, &restore, target, &start, now).await? {
            return Ok(Action::requeue(TAKEN));
        }
    }
    if let Some((name, uid)) = unwanted {
        let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
        if stop::stop(&jobs, &pods, &name, &uid).await? {
            let mut next = restore.status.clone().unwrap_or_default();
            next.not_after = next.not_after.min(Some(context.clock.now()));
            replace(&api, &restore, next).await?;
        }
    }
    Ok(requeue.map_or_else(Action::await_change, Action::requeue))
}

/// Takes the lease, then makes the Job. False where another Restore has the target, or this one
/// is not what it was.
async fn begin(
    context: &Context,
    jobs: &Api<Job>,
    restore: &Restore,
    target: &Target,
    start: &Start,
    now: Timestamp,
) -> Result<bool, Stopped<Refusal>> {
    let Start {
        attempt,
        job_name,
        order,
        timeout,
        not_after,
    } = start;
    let refused = |why: String| Stopped::Refused((Box::new(restore.clone()), why));
    let job = job_pod::build(&JobRequest {
        name: job_name.clone(),
        namespace: &restore.namespace().unwrap_or_default(),
        owner: owned_by(restore)?,
        owner_label: labels::RESTORE,
        attempt: *attempt,
        order,
        template: restore.spec.parameters.job.as_ref(),
        image: &context.image,
        timeout: *timeout,
    })
    .map_err(|error| refused(error.to_string()))?;
    if target.take(*not_after, now).await? != TargetLease::Free {
        return Ok(false);
    }
    // A controller that was slow may have been overtaken by another: once the lease is held, the
    // Restore must still be what it was.
    match there(context, restore).await? {
        Some(found) if found.resource_version() == restore.resource_version() => {}
        Some(found) if has_ended(&found) => {
            target.release().await?;
            return Ok(true);
        }
        _ => return Ok(false),
    }
    let uid = restore.uid().unwrap_or_default();
    let made = create_or_adopt(jobs, &job, |found| {
        check_owner(found, &uid)?;
        check_label(found, labels::ATTEMPT, &attempt.to_string())
    })
    .await;
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.is_refusal() => Err(refused(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The Restore as it is now; none where it is gone, or another took its name.
async fn there(context: &Context, restore: &Restore) -> Result<Option<Restore>, Error> {
    let namespace = restore.namespace().unwrap_or_default();
    let name = restore.name_any();
    let api: Api<Restore> = Api::namespaced(context.client.clone(), &namespace);
    let found = api
        .get_opt(&name)
        .await
        .map_err(Error::api("get", format!("Restore {name}")))?;
    Ok(found.filter(|found| found.uid() == restore.uid()))
}
