//! The controller of `StorageLocation`: can it be used, and if not, why not.

mod decide;

use std::time::Duration;

use kube::Api;
use kube::runtime::controller::Action;

use self::decide::{Observed, Plan};
use crate::api::StorageLocation;
use crate::api::conditions::Reason;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::status;
use crate::controller::store::{self, StoreFault};
use crate::storage::{Checked, Claimant, validate};

/// The longest one check may take, so that a dead endpoint holds up nothing else.
const CHECK_TIME: Duration = Duration::from_secs(45);

/// One look at a StorageLocation: observe → decide → apply.
pub async fn reconcile(namespace: &str, name: &str, context: &Context) -> Result<Action, Error> {
    let api: Api<StorageLocation> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("StorageLocation {name}")))?;
    let Some(location) = found.filter(|found| found.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let location = match decide::first_word(&location, context.clock.now()) {
        Some(status) => status::replace(&api, &location, status).await?,
        None => location,
    };
    let seen = Observed {
        check: check(context, namespace, &location).await?,
        cluster: context.cluster.name.clone(),
        location,
    };
    let Plan {
        status: next,
        note,
        requeue,
    } = decide::decide(&seen, context.clock.now());
    status::replace(&api, &seen.location, next).await?;
    if let Some(note) = note {
        context.events.publish(&seen.location, note).await;
    }
    Ok(Action::requeue(requeue))
}

async fn check(
    context: &Context,
    namespace: &str,
    location: &StorageLocation,
) -> Result<Result<Checked, StoreFault>, Error> {
    let spec = &location.spec;
    let opened = match store::open(context, namespace, spec).await? {
        Ok(opened) => opened,
        Err(fault) => return Ok(Err(fault)),
    };
    let claimant = Claimant {
        cluster: &context.cluster.name,
        cluster_uid: &context.cluster.uid,
        take_over_from: spec.take_over_from.as_deref(),
    };
    let checking = validate(&opened, &claimant, context.clock.now());
    Ok(match tokio::time::timeout(CHECK_TIME, checking).await {
        Ok(checked) => checked.map_err(StoreFault::from),
        Err(_) => Err(StoreFault {
            reason: Reason::Unreachable,
            message: format!(
                "the {} gave no answer in {} s; check the endpoint and the network",
                opened.place(),
                CHECK_TIME.as_secs()
            ),
            retryable: true,
        }),
    })
}
