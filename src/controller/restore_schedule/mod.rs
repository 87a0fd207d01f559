//! The controller of `RestoreSchedule`: the standing replay into a standby, its promotion, and
//! drills.

mod apply;
mod child;
mod decide;
mod observe;
mod state;
mod status;

use kube::Api;
use kube::runtime::controller::Action;

use crate::api::RestoreSchedule;
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use apply::apply;

/// One look at a RestoreSchedule: observe → decide → apply. What is there now is read first.
pub async fn reconcile(namespace: &str, name: &str, context: &Context) -> Result<Action, Error> {
    let api: Api<RestoreSchedule> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("RestoreSchedule {name}")))?;
    let Some(schedule) = found.filter(|schedule| schedule.metadata.deletion_timestamp.is_none())
    else {
        return Ok(Action::await_change());
    };
    let seen = observe::observe(context, schedule).await?;
    let now = context.clock.now();
    let plan = decide::decide(&seen, now);
    match apply(context, &seen, plan).await {
        Ok(action) => Ok(action),
        Err(Stopped::Error(error)) => Err(error),
        Err(Stopped::Refused(message)) => {
            let plan = decide::restore_refused(&seen, &message, now);
            match apply(context, &seen, plan).await {
                Ok(action) => Ok(action),
                Err(Stopped::Error(error)) => Err(error),
                Err(Stopped::Refused(_)) => Ok(Action::await_change()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
