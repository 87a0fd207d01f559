//! The controller of `Restore`: one import, from the choice of its backups to what was proven.

mod apply;
mod decide;
mod lease;
mod observe;
mod order;
mod quiesce;
mod source;
mod state;
mod status;
mod stop;

use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use crate::api::Restore;
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use crate::controller::job_pod;
use apply::apply;

pub(super) use lease::{normalised, who_works};
pub(super) use observe::is_promoted;
pub(super) use quiesce::sweep::sweep;
pub(super) use source::line_of;
pub(super) use state::{Problem, TargetLease, has_ended};

/// One look at a Restore: observe → decide → apply. What is there now is read first.
pub async fn reconcile(namespace: &str, name: &str, context: &Context) -> Result<Action, Error> {
    let api: Api<Restore> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("Restore {name}")))?;
    // What is being deleted has its Jobs collected with it.
    let Some(restore) = found.filter(|restore| restore.metadata.deletion_timestamp.is_none())
    else {
        return Ok(Action::await_change());
    };
    let mut seen = observe::observe(context, restore).await?;
    let now = context.clock.now();
    let plan = decide::decide(&seen, now);
    match Box::pin(apply(context, &seen, plan)).await {
        Ok(action) => Ok(action),
        Err(Stopped::Error(error)) => Err(error),
        Err(Stopped::Refused((restore, message))) => {
            seen.restore = *restore;
            let plan = decide::job_refused(&seen, &message, now);
            match Box::pin(apply(context, &seen, plan)).await {
                Ok(action) => Ok(action),
                Err(Stopped::Error(error)) => Err(error),
                Err(Stopped::Refused(_)) => Ok(Action::await_change()),
            }
        }
    }
}

/// Name of the Job of an attempt.
fn job_name(restore: &Restore, attempt: u32) -> String {
    job_pod::job_name(
        &restore.name_any(),
        &restore.uid().unwrap_or_default(),
        attempt,
    )
}

#[cfg(test)]
mod tests;
