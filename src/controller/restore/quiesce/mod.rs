//! Workloads that stand still during an import: scaled to zero before it, and back after it.
//!
//! What a workload goes back to is recorded in a `Lease` in the controller's own namespace, named
//! by the workload, and in the Restore's status; both before anything is scaled. The lease outlives
//! the Restore, keeps two Restores from one workload, and needs no right to write workloads beyond
//! their `scale`. The steps, each of which may be the last one of a controller's life:
//!
//! 1. the status says that the workloads are being quiesced;
//! 2. the lease is created, then what the workload has now is written into it. Only who holds the
//!    lease reads that number, so it is never the zero of another Restore;
//! 3. the status takes the numbers over;
//! 4. the workload is scaled to zero, on the version of it that was read before the lease was
//!    seen to be held;
//! 5. no pod is left: the import starts, and runs, and ends;
//! 6. the lease says that the workload is given back, it is scaled back where it is at zero, and the
//!    lease is deleted;
//! 7. the Restore ends.
//!
//! A lease whose Restore is gone or has ended is found by [`sweep`].

mod hold;
pub(in crate::controller) mod sweep;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::state::Problem;
use crate::api::Restore;
use crate::api::conditions::Reason;
use crate::api::quiesce::Workload;
use crate::controller::context::Context;
use crate::controller::error::Error;
use hold::Hold;
pub(super) use hold::Record;

/// What is known of a workload before an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) workload: Workload,
    /// The replicas that it shall have; none where it does not exist.
    pub(super) replicas: Option<i32>,
    /// Its pods that have not ended.
    pub(super) pods: usize,
    /// The autoscaler that scales it.
    pub(super) autoscaler: Option<String>,
    /// Who holds it.
    pub(super) record: Record,
}

/// What is to be done with the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quieten {
    /// Record what they have.
    Claim,
    /// Scale them to zero.
    ScaleDown,
    /// Wait for their pods to end.
    Wait,
}

fn workloads(restore: &Restore) -> &[Workload] {
    let quiesce = restore.spec.parameters.quiesce.as_ref();
    quiesce.map_or(&[], |quiesce| &quiesce.workloads)
}

/// Looks at the workloads before an import. The inner error is a right that the controller lacks.
pub(super) async fn look(
    context: &Context,
    restore: &Restore,
) -> Result<Result<Vec<Seen>, Problem>, Error> {
    match read(context, restore).await {
        Err(error) if error.is_refusal() => Ok(Err(Problem::new(
            Reason::WorkloadForbidden,
            format!("quiesce needs a right that the controller does not have: {error}"),
        ))),
        read => read.map(Ok),
    }
}

async fn read(context: &Context, restore: &Restore) -> Result<Vec<Seen>, Error> {
    let workloads = workloads(restore);
    if workloads.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = restore.namespace().unwrap_or_default();
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(context.client.clone(), &namespace);
    let autoscalers = api
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list", "HorizontalPodAutoscalers"))?;
    let mut seen = Vec::with_capacity(workloads.len());
    for workload in workloads {
        let hold = Hold::of(context, restore, workload);
        let autoscaler = autoscalers.items.iter().find(|autoscaler| {
            let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
            target.is_some_and(|target| {
                target.kind == workload.kind.as_str() && target.name == workload.name
            })
        });
        let scale = hold.scale().await?;
        let pods = match &scale {
            Some(scale) => hold.pods(scale).await?,
            None => 0,
        };
        seen.push(Seen {
            workload: workload.clone(),
            replicas: scale.as_ref().map(hold::replicas),
            pods,
            autoscaler: autoscaler.map(ResourceExt::name_any),
            record: hold.record().await?,
        });
    }
    Ok(seen)
}

/// Looks during an import: the first workload that another hand has scaled up.
pub(super) async fn came_back(
    context: &Context,
    restore: &Restore,
) -> Result<Option<String>, Error> {
    for workload in workloads(restore) {
        let hold = Hold::of(context, restore, workload);
        let scale = match hold.scale().await {
            // A right that was taken away: what is held is told of at the end.
            Err(error) if error.is_refusal() => return Ok(None),
            scale => scale?,
        };
        // The record is read after: what this controller scaled back is not held any more.
        if scale.as_ref().map_or(0, hold::replicas) != 0
            && matches!(hold.record().await?, Record::Held(_))
        {
            return Ok(Some(workload.to_string()));
        }
    }
    Ok(None)
}

/// Does a step before the import.
pub(super) async fn quieten(
    context: &Context,
    restore: &Restore,
    step: Quieten,
) -> Result<(), Error> {
    for workload in workloads(restore) {
        let hold = Hold::of(context, restore, workload);
        match step {
            Quieten::Claim => hold.claim().await?,
            Quieten::ScaleDown => hold.scale_down().await?,
            Quieten::Wait => {}
        }
    }
    Ok(())
}

/// Scales back what the Restore holds. Gives what could not be brought back, and why.
pub(super) async fn scale_back(context: &Context, restore: &Restore) -> Result<Vec<String>, Error> {
    let status = restore.status.as_ref();
    let held = status.and_then(|status| status.quiesce.as_ref());
    let mut left = Vec::new();
    for workload in workloads(restore) {
        let known = held
            .and_then(|held| {
                held.workloads
                    .iter()
                    .find(|held| held.workload == *workload)
            })
            .map(|held| held.replicas);
        let hands = Hold::of(context, restore, workload);
        left.extend(hands.release(known).await?);
    }
    Ok(left)
}
