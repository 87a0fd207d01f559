//! The controller of `Backup`: one export, from its first look at the bucket to its manifest.

mod apply;
mod decide;
mod observe;
mod order;
mod state;
mod status;

use kube::Api;
use kube::runtime::controller::Action;

use crate::api::Backup;
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use apply::apply;

/// One look at a Backup: observe → decide → apply. What is there now is read first: what
/// triggered the look may be stale.
pub async fn reconcile(namespace: &str, name: &str, context: &Context) -> Result<Action, Error> {
    let api: Api<Backup> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("Backup {name}")))?;
    // What is being deleted has its Jobs collected with it.
    let Some(backup) = found.filter(|backup| backup.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let seen = observe::observe(context, backup).await?;
    let now = context.clock.now();
    let plan = decide::decide(&seen, now);
    match apply(context, &seen, plan).await {
        Ok(action) => Ok(action),
        Err(Stopped::Error(error)) => Err(error),
        Err(Stopped::Refused(message)) => {
            let plan = decide::job_refused(&seen, &message, now);
            match apply(context, &seen, plan).await {
                Ok(action) => Ok(action),
                Err(Stopped::Error(error)) => Err(error),
                Err(Stopped::Refused(_)) => Ok(Action::await_change()),
            }
        }
    }
}
