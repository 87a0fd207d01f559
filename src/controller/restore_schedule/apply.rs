//! Does what was decided, in an order that may be cut short anywhere.

use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use super::child;
use super::state::{Observed, Plan};
use crate::api::{Restore, RestoreSchedule};
use crate::controller::children::{self, create_or_adopt};
use crate::controller::context::Context;
use crate::controller::error::{Error, Stopped};
use crate::controller::status;

/// Does what was decided. The Restore goes before the status: it is found again by its label
/// where the status could not be written. Nothing is deleted before the status holds what it told.
pub(super) async fn apply(
    context: &Context,
    seen: &Observed,
    plan: Plan,
) -> Result<Action, Stopped> {
    let Plan {
        create,
        status: next,
        delete,
        note,
        requeue,
    } = plan;
    let namespace = seen
        .schedule
        .namespace()
        .ok_or(Error::Incomplete("namespace"))?;
    let restores: Api<Restore> = Api::namespaced(context.client.clone(), &namespace);
    if let Some(wanted) = create {
        create_or_adopt(&restores, wanted.as_ref(), |found| {
            child::check(found, &wanted)
        })
        .await
        .map_err(Stopped::of)?;
    }
    let api: Api<RestoreSchedule> = Api::namespaced(context.client.clone(), &namespace);
    let schedule = status::replace(&api, &seen.schedule, next).await?;
    if let Some(note) = note {
        context.events.publish(&schedule, note).await;
    }
    for (name, uid) in delete {
        children::delete(&restores, &name, &uid).await?;
    }
    Ok(requeue.map_or_else(Action::await_change, Action::requeue))
}
