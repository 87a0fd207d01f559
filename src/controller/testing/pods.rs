//! A stand-in for Kubernetes' Job controller, its kubelet, and the job pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

use super::api_server::StandInApiServer;
use crate::api::common::Totals;
use crate::api::labels;
use crate::api::order::{ExportOrder, Order, PruneOrder};
use crate::api::outcome::{Exported, Outcome, Replicated, RunResult};
use crate::manifest::{Manifest, samples};
use crate::storage::Location;
use crate::transfer::catalog::{self, Committed};

/// The order of a Job.
pub(crate) fn order_of(job: &Job) -> Order {
    let template = &job.spec.as_ref().unwrap().template;
    let annotations = template.metadata.as_ref().unwrap().annotations.as_ref();
    serde_json::from_str(&annotations.unwrap()[labels::ORDER]).unwrap()
}

/// True where the Job has ended.
pub(crate) fn has_ended(job: &Job) -> bool {
    job.status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| !conditions.is_empty())
}

/// The manifest that an export of this order writes at this time.
pub(crate) fn manifest(order: &ExportOrder, run_id: &str, now: Timestamp) -> Manifest {
    let mut manifest = samples::full(0);
    manifest.identity = order.identity.clone();
    run_id.clone_into(&mut manifest.run_id);
    manifest.start_time = now;
    manifest.consistency_time = now;
    manifest.end_time = now;
    manifest
}

/// The Job's own labels, as its template has them, and the one that Kubernetes sets.
fn job_labels(job: &Job) -> BTreeMap<String, String> {
    let mut labels = job.labels().clone();
    let name = "batch.kubernetes.io/job-name".to_owned();
    labels.insert(name, job.name_any());
    labels
}

/// Makes the pod of a Job.
pub(crate) fn start(server: &StandInApiServer, job: &Job) -> Pod {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": format!("{}-x", job.name_any()),
            "namespace": job.namespace(),
            "labels": job_labels(job),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": job.uid(), "controller": true}],
        },
        "spec": {"containers": [], "nodeName": "n1"},
    }))
    .unwrap();
    server.put(&pod)
}

/// What the Job's order asks for is done, by a pod that ends well.
pub(crate) async fn run(server: &StandInApiServer, bucket: &Location, job: &Job, now: Timestamp) {
    match order_of(job) {
        Order::Export(_) => {
            export(server, bucket, job, now).await;
        }
        Order::Prune(order) => prune(server, bucket, job, &order).await,
        other => panic!("{other:?}"),
    }
}

/// Copies manifests alone: these backups have no files.
pub(crate) async fn replicate(
    server: &StandInApiServer,
    bucket: &Location,
    replica: &Location,
    job: &Job,
) {
    let Order::Replicate(order) = order_of(job) else {
        panic!("copies");
    };
    let pod = start(server, job);
    let line = order.identity.line();
    for entry in catalog::list_slots(bucket, &line, None).await.unwrap() {
        if let Some((_, bytes)) = catalog::read_to_copy(bucket, &entry.key).await.unwrap() {
            catalog::put_copy(replica, &entry.key, bytes).await.unwrap();
        }
    }
    let newest = catalog::newest(replica, &line).await.unwrap().unwrap();
    let outcome = Outcome {
        run_id: pod.uid().unwrap(),
        result: RunResult::Replicated(Replicated {
            slot: Some(newest.manifest.identity.slot.clone()),
            consistency_time: Some(newest.manifest.consistency_time),
            ..Replicated::default()
        }),
        phases: Vec::new(),
        warnings: Vec::new(),
    };
    end(server, job, &pod, 0, Some(&outcome));
}

async fn prune(server: &StandInApiServer, bucket: &Location, job: &Job, order: &PruneOrder) {
    let pod = start(server, job);
    for key in &order.delete {
        catalog::delete_backup(bucket, key).await.unwrap();
    }
    let outcome = Outcome {
        run_id: pod.uid().unwrap(),
        result: RunResult::Done {
            totals: Totals::default(),
        },
        phases: Vec::new(),
        warnings: Vec::new(),
    };
    end(server, job, &pod, 0, Some(&outcome));
}

/// The export of a Job runs to its end: the manifest is committed and the outcome told.
pub(crate) async fn export(
    server: &StandInApiServer,
    bucket: &Location,
    job: &Job,
    now: Timestamp,
) -> Committed {
    let Order::Export(order) = order_of(job) else {
        panic!("an export");
    };
    let pod = start(server, job);
    let run_id = pod.uid().unwrap();
    let committed = catalog::commit(bucket, &manifest(&order, &run_id, now))
        .await
        .unwrap();
    let (reference, adopted) = match &committed {
        Committed::Written(reference) => (reference.clone(), false),
        Committed::Lost(stored) => (stored.reference.clone(), true),
    };
    let outcome = Outcome {
        run_id,
        result: RunResult::Exported(Exported {
            manifest: reference,
            adopted,
        }),
        phases: Vec::new(),
        warnings: Vec::new(),
    };
    end(server, job, &pod, 0, Some(&outcome));
    committed
}

/// The pod ends, with or without a word, and the Job with it.
pub(crate) fn end(
    server: &StandInApiServer,
    job: &Job,
    pod: &Pod,
    exit_code: i32,
    outcome: Option<&Outcome>,
) {
    let namespace = job.namespace().unwrap();
    let message = outcome.map(|outcome| serde_json::to_string(outcome).unwrap());
    let phase = if exit_code == 0 {
        "Succeeded"
    } else {
        "Failed"
    };
    server.change::<Pod>(&namespace, &pod.name_any(), |pod| {
        pod.status = serde_json::from_value(json!({
            "phase": phase,
            "containerStatuses": [{
                "name": "lifeboat", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": exit_code, "message": message}},
            }],
        }))
        .unwrap();
    });
    let type_ = if exit_code == 0 { "Complete" } else { "Failed" };
    server.change::<Job>(&namespace, &job.name_any(), |job| {
        job.status = serde_json::from_value(json!({
            "conditions": [{"type": type_, "status": "True"}],
        }))
        .unwrap();
    });
}
