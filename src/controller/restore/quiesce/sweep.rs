//! Finds workloads that are held for a Restore that is gone or has ended, and scales them back.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::hold::{self, Hold};
use crate::api::order::Order;
use crate::api::quiesce::{Workload, WorkloadKind};
use crate::api::{Restore, labels};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::restore::has_ended;

/// Looks at all records once. What goes wrong with one does not stop the others: it is logged, and
/// tried again at the next sweep.
pub(in crate::controller) async fn sweep(
    context: &Context,
    only: Option<&str>,
) -> Result<(), Error> {
    let api: Api<Lease> = Api::namespaced(context.client.clone(), &context.namespace);
    let listed = api
        .list(&ListParams::default().labels(labels::QUIESCE))
        .await
        .map_err(Error::api("list", "records of held workloads"))?;
    let mut result = Ok(());
    for lease in &listed.items {
        let Some(held) = Held::read(lease) else {
            tracing::warn!(lease = lease.name_any(), "this record can't be read");
            continue;
        };
        if only.is_some_and(|only| only != held.namespace) {
            continue;
        }
        match held.look(context).await {
            Ok(Some(left)) => tracing::warn!(restore = held.holder, "{left}"),
            Ok(None) => {}
            Err(error) => result = Err(error),
        }
    }
    result
}

/// A record that can be read.
struct Held {
    namespace: String,
    workload: Workload,
    restore: String,
    uid: String,
    holder: String,
}

impl Held {
    fn read(lease: &Lease) -> Option<Self> {
        let place = lease.annotations().get(hold::WORKLOAD)?;
        let (namespace, place) = place.split_once('/')?;
        let (kind, name) = place.split_once('/')?;
        let kind = [WorkloadKind::Deployment, WorkloadKind::StatefulSet]
            .into_iter()
            .find(|known| known.as_str() == kind)?;
        let holder = hold::holder(lease)?;
        let (named, uid) = holder.rsplit_once('/')?;
        let (_, restore) = named.split_once('/')?;
        Some(Self {
            namespace: namespace.to_owned(),
            workload: Workload {
                kind,
                name: name.to_owned(),
            },
            restore: restore.to_owned(),
            uid: uid.to_owned(),
            holder: holder.to_owned(),
        })
    }

    /// Scales back where nobody else will. Gives a sentence where that can't be done.
    async fn look(&self, context: &Context) -> Result<Option<String>, Error> {
        let api: Api<Restore> = Api::namespaced(context.client.clone(), &self.namespace);
        let found = api
            .get_opt(&self.restore)
            .await
            .map_err(Error::api("get", format!("Restore {}", self.restore)))?
            .filter(|found| found.uid().as_ref() == Some(&self.uid));
        let goes_on = match &found {
            Some(restore) => !has_ended(restore),
            // Its Job is collected with it, and its pod is given half a minute to end.
            None => self.may_be_at_work(context).await?,
        };
        if goes_on {
            return Ok(None);
        }
        let hold = Hold::held_by(
            context,
            &self.namespace,
            self.workload.clone(),
            self.holder.clone(),
        );
        let left = hold.release(None).await?;
        if left.is_none() {
            tracing::info!(workload = %self.workload, restore = self.holder, "scaled back");
        }
        Ok(left)
    }

    /// True while a pod of the Restore is listed and its own deadline has not passed.
    async fn may_be_at_work(&self, context: &Context) -> Result<bool, Error> {
        let api: Api<Pod> = Api::namespaced(context.client.clone(), &self.namespace);
        let label = format!("{}={}", labels::RESTORE, self.restore);
        let listed = api
            .list(&ListParams::default().labels(&label))
            .await
            .map_err(Error::api(
                "list",
                format!("Pods of Restore {}", self.restore),
            ))?;
        let now = context.clock.now();
        Ok(listed.items.iter().any(|pod| {
            let order = pod.annotations().get(labels::ORDER);
            let order = order.and_then(|order| serde_json::from_str(order).ok());
            let over = matches!(order, Some(Order::Import(order)) if order.bounds.not_after <= now);
            !over && !hold::has_ended(pod)
        }))
    }
}
