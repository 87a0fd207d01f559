//! Does what was decided, in an order that may be cut short anywhere: the slot is noted down only
//! after its Backup exists.

use k8s_openapi::api::batch::v1::Job;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use super::child;
use super::state::{Observed, Plan, Work};
use crate::api::{Backup, BackupSchedule, labels};
use crate::controller::children::{self, check_owner, create_or_adopt, owned_by};
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use crate::controller::job_pod::{self, JobRequest};
use crate::controller::status;

/// Does what was decided.
pub(super) async fn apply(
    context: &Context,
    seen: &Observed,
    plan: Plan,
) -> Result<Action, Stopped> {
    let Plan {
        create,
        prune,
        copies,
        delete,
        status: next,
        notes,
        requeue,
    } = plan;
    let backups: Api<Backup> = Api::namespaced(context.client.clone(), &seen.namespace);
    if let Some(backup) = create {
        create_or_adopt(&backups, &*backup, |found| child::check(&backup, found))
            .await
            .map_err(Stopped::of)?;
    }
    for work in prune.into_iter().chain(copies) {
        start(context, seen, work).await?;
    }
    for (name, uid) in delete {
        children::delete(&backups, &name, &uid).await?;
    }
    let api: Api<BackupSchedule> = Api::namespaced(context.client.clone(), &seen.namespace);
    status::replace(&api, &seen.schedule, next).await?;
    for note in notes {
        context.events.publish(&seen.schedule, note).await;
    }
    Ok(requeue.map_or_else(Action::await_change, Action::requeue))
}

async fn start(context: &Context, seen: &Observed, work: Work) -> Result<(), Error> {
    let Work {
        job_name,
        order,
        timeout,
    } = work;
    let job = job_pod::build(&JobRequest {
        name: job_name,
        namespace: &seen.namespace,
        owner: owned_by(&seen.schedule)?,
        owner_label: labels::BACKUP_SCHEDULE,
        attempt: 1,
        order: &order,
        template: seen.schedule.spec.template.spec.job.as_ref(),
        image: &context.image,
        timeout,
    })?;
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &seen.namespace);
    let uid = seen.schedule.uid().unwrap_or_default();
    create_or_adopt(&jobs, &job, |found| check_owner(found, &uid)).await?;
    Ok(())
}
