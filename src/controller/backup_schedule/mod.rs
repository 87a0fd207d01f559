//! The controller of `BackupSchedule`: makes the Backup of each slot, keeps the promised RPO in
//! sight, and prunes.

mod apply;
mod child;
mod decide;
mod held;
mod observe;
mod prune;
mod replicate;
mod spec;
mod state;
mod status;

use kube::Api;
use kube::runtime::controller::Action;

use crate::api::BackupSchedule;
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use apply::apply;

/// One look at a BackupSchedule: observe → decide → apply. What is there now is read first:
/// what triggered the look may be stale.
pub async fn reconcile(namespace: &str, name: &str, context: &Context) -> Result<Action, Error> {
    let api: Api<BackupSchedule> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("BackupSchedule {name}")))?;
    let Some(schedule) = found.filter(|found| found.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let now = context.clock.now();
    let seen = Box::pin(observe::observe(context, schedule, now)).await?;
    let plan = decide::decide(&seen, now);
    match apply(context, &seen, plan.clone()).await {
        Ok(action) => Ok(action),
        Err(Stopped::Error(error)) => Err(error),
        Err(Stopped::Refused(message)) => {
            let plan = decide::refused(&seen, plan, &message, now);
            match apply(context, &seen, plan).await {
                Ok(action) => Ok(action),
                Err(Stopped::Error(error)) => Err(error),
                Err(Stopped::Refused(_)) => Ok(Action::await_change()),
            }
        }
    }
}
