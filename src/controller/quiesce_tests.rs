//! Whole lives of Restores whose workloads stand still, with the controller killed before and
//! after every single call that it makes, and with every write in conflict once.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::testing::faults::Fault;
use super::testing::standby::End;
use super::testing::world::{NAMESPACE, World};
use crate::api::backup::Phase;
use crate::api::conditions::{Reason, types};
use crate::api::{Restore, RestoreStatus};
use crate::manifest::samples::{full, window};

/// Nothing is kept in memory between two looks, so a call that fails is as a controller that dies
/// after the call before it, but for an answer that means something.
const FAULTS: [Fault; 2] = [Fault::KillAfter, Fault::Conflict];

fn quiesce() -> Value {
    json!({"workloads": [{"kind": "Deployment", "name": "kuzzle"}, {"kind": "Deployment", "name": "plugin"}]})
}

/// Two workloads, one of which is at zero already, and a Restore that waits for their pods.
async fn asked_for(fault: Option<(usize, Fault)>, fields: &Value) -> World {
    let mut world = World::new("2026-11-20T10:05:00Z");
    world.commit(full(0)).await;
    if let Some((call, fault)) = fault {
        world.faults.plan(call, fault);
    }
    world.add_workload("kuzzle", 2);
    world.add_workload("plugin", 0);
    let mut all = json!({"quiesce": quiesce()});
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    world.add_restore("again", &all);
    world.settle_over(&[10]).await;
    world
}

/// Their pods have ended, and the import is under way.
async fn importing(fault: Option<(usize, Fault)>) -> World {
    let mut world = asked_for(fault, &json!({})).await;
    assert_eq!(world.jobs().len(), 0, "pods still run");
    world.run_workloads();
    world.settle_over(&[10]).await;
    assert_eq!(world.open_imports().len(), 1);
    assert_eq!(world.replicas("kuzzle"), 0);
    world
}

async fn lived(fault: Option<(usize, Fault)>, end: End) -> World {
    let mut world = importing(fault).await;
    world.run_import(end);
    world.settle_over(&[10]).await;
    world
}

fn status(world: &World) -> RestoreStatus {
    world.restore("again").status.unwrap()
}

fn reason(status: &RestoreStatus, type_: &str) -> String {
    let found = status.conditions.iter().find(|c| c.type_ == type_);
    found.map_or(String::new(), |c| c.reason.clone())
}

fn check_back(world: &World, phase: Phase, what: &str) {
    let status = status(world);
    assert_eq!(status.phase, phase, "{what}: {status:#?}");
    assert_eq!(reason(&status, types::QUIESCED), "ScaledBack", "{what}");
    assert_eq!(world.replicas("kuzzle"), 2, "{what}");
    assert_eq!(world.replicas("plugin"), 0, "{what}");
    assert_eq!(world.leases().len(), 0, "{what}: nothing is held");
    assert_eq!(world.jobs().len(), 1, "{what}: one Job");
}

#[tokio::test(start_paused = true)]
async fn workloads_come_back_whatever_call_fails() {
    let failed = End::Failed(Reason::DataCorrupt, false);
    for (end, phase, faults) in [
        (End::Imported, Phase::Complete, &FAULTS[..]),
        (failed, Phase::Failed, &[Fault::KillAfter]),
    ] {
        let world = lived(None, end).await;
        check_back(&world, phase, "no fault");
        for fault in faults.iter().copied() {
            for call in 0.. {
                let world = lived(Some((call, fault)), end).await;
                if !world.faults.was_hit() {
                    assert!(call > 50, "only {call} calls were tried");
                    break;
                }
                check_back(&world, phase, &format!("{fault:?} at call {call}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_are_recorded_twice_before_they_change() {
    let world = lived(None, End::Imported).await;
    let writes = world.faults.writes();
    let scaled: Vec<usize> = (0..writes.len())
        .filter(|at| writes[*at].ends_with("deployments/kuzzle/scale"))
        .collect();
    assert_eq!(scaled.len(), 2, "down and up: {writes:#?}");
    let before = |what: &str| {
        let found = writes[..scaled[0]].iter();
        found.filter(|write| write.contains(what)).count()
    };
    assert_eq!(before("PUT /apis/coordination.k8s.io"), 2, "{writes:#?}");
    assert_eq!(before("restores/again/status"), 2, "{writes:#?}");
    let status = status(&world);
    let quiesce = status.quiesce.unwrap();
    let had: Vec<i32> = quiesce.workloads.iter().map(|held| held.replicas).collect();
    assert_eq!(had, [2, 0]);
    assert!(quiesce.quiet_time.is_some());
}

/// The Restore is deleted in the middle of its import; its pod takes a while to end.
async fn deleted(fault: Option<(usize, Fault)>) -> World {
    let mut world = importing(fault).await;
    let pod = super::testing::pods::start(&world.server, &world.jobs()[0]);
    let mut pod_again = pod.clone();
    world.server.delete::<Restore>(NAMESPACE, "again");
    pod_again.metadata.owner_references = None;
    world.server.put(&pod_again);
    world.settle_over(&[10]).await;
    assert_eq!(world.replicas("kuzzle"), 0, "the pod may be at work");
    world.server.delete::<Pod>(NAMESPACE, &pod.name_any());
    world.settle_over(&[30]).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_was_deleted_leaves_nothing_at_zero() {
    for call in 0.. {
        let world = deleted(Some((call, Fault::KillAfter))).await;
        assert_eq!(world.replicas("kuzzle"), 2, "at call {call}");
        let held = world.leases();
        let held = held.iter().filter(|it| it.name_any().contains("quiesce"));
        assert_eq!(held.count(), 0, "at call {call}");
        if !world.faults.was_hit() {
            assert!(call > 40, "only {call} calls were tried");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn they_stand_still_until_the_last_attempt_is_over() {
    let mut world = lived(None, End::Killed).await;
    assert_eq!(status(&world).phase, Phase::Pending);
    assert_eq!(world.replicas("kuzzle"), 0);
    // Somebody scales it meanwhile: it is scaled to zero again before the second attempt.
    world.scale("kuzzle", 1);
    world.run_workloads();
    world.settle_over(&[30]).await;
    assert_eq!(
        (world.replicas("kuzzle"), world.open_imports().len()),
        (0, 0)
    );
    world.run_workloads();
    world.settle_over(&[10]).await;
    world.run_import(End::Imported);
    world.settle().await;
    let after = status(&world);
    assert_eq!((after.phase, after.attempt), (Phase::Complete, 2));
    assert_eq!(world.replicas("kuzzle"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_cancelled_gives_them_back() {
    let mut world = asked_for(None, &json!({})).await;
    assert_eq!(world.replicas("kuzzle"), 0);
    let cancel = |restore: &mut Restore| restore.spec.cancel = true;
    world.server.change::<Restore>(NAMESPACE, "again", cancel);
    world.settle().await;
    assert_eq!(reason(&status(&world), types::READY), "Cancelled");
    assert_eq!((world.replicas("kuzzle"), world.leases().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_import_is_not_trusted_where_a_workload_came_back() {
    let mut world = importing(None).await;
    world.scale("kuzzle", 3);
    // The run is stopped; none of its pods was seen to end, so its deadline is waited for.
    world.settle_over(&[10, 720]).await;
    assert_eq!(reason(&status(&world), types::FAILED), "WorkloadCameBack");
    assert_eq!(world.replicas("kuzzle"), 3, "another hand's number stands");
    assert_eq!((world.leases().len(), world.jobs().len()), (0, 0));

    // Seen at the end only.
    let mut world = importing(None).await;
    world.scale("kuzzle", 3);
    world.run_import(End::Imported);
    world.settle().await;
    assert_eq!(reason(&status(&world), types::FAILED), "WorkloadCameBack");
}

#[tokio::test(start_paused = true)]
async fn what_an_autoscaler_scales_is_refused() {
    let mut world = World::new("2026-11-20T10:05:00Z");
    world.commit(full(0)).await;
    world.add_workload("kuzzle", 2);
    world.add_workload("plugin", 1);
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "keda-hpa-plugin", "namespace": NAMESPACE},
        "spec": {
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "plugin"},
        },
    }))
    .unwrap();
    world.server.put(&autoscaler);
    world.add_restore("again", &json!({"quiesce": quiesce()}));
    world.settle().await;
    let after = status(&world);
    assert_eq!(reason(&after, types::FAILED), "WorkloadAutoscaled");
    assert!(
        after
            .conditions
            .iter()
            .any(|c| c.message.contains("keda-hpa-plugin"))
    );
    assert_eq!((world.replicas("kuzzle"), world.replicas("plugin")), (2, 1));
    assert_eq!((world.leases().len(), world.jobs().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn two_restores_hold_one_workload_one_after_the_other() {
    let mut world = asked_for(None, &json!({})).await;
    world.add_restore(
        "second",
        &json!({"quiesce": quiesce(), "target": {"influxdb": {"url": "http://other:8086"}}}),
    );
    world.settle_over(&[10]).await;
    let second = world.restore("second").status.unwrap();
    assert_eq!(reason(&second, types::READY), "WorkloadBusy");
    world.run_workloads();
    world.settle().await;
    world.run_import(End::Imported);
    world.settle().await;
    assert_eq!(status(&world).phase, Phase::Complete);
    world.run_workloads();
    world.settle_over(&[10]).await;
    world.run_import(End::Imported);
    world.settle().await;
    let second = world.restore("second").status.unwrap();
    assert_eq!(second.phase, Phase::Complete);
    assert_eq!(second.quiesce.unwrap().workloads[0].replicas, 2);
    assert_eq!((world.replicas("kuzzle"), world.leases().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn pods_that_stay_are_not_waited_for_for_ever() {
    let mut world = asked_for(None, &json!({})).await;
    let waiting = status(&world);
    assert_eq!(reason(&waiting, types::READY), "Quiescing");
    assert_eq!(reason(&waiting, types::QUIESCED), "Quiescing");
    assert!(
        waiting
            .conditions
            .iter()
            .any(|c| c.message.contains("2 pod(s) of the Deployment kuzzle"))
    );
    world.settle_over(&[300]).await;
    assert_eq!(reason(&status(&world), types::FAILED), "WorkloadStays");
    assert_eq!((world.replicas("kuzzle"), world.leases().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_gone_is_said() {
    let mut world = importing(None).await;
    world.server.delete::<Deployment>(NAMESPACE, "kuzzle");
    world.run_import(End::Imported);
    world.settle().await;
    let after = status(&world);
    assert_eq!(after.phase, Phase::Complete);
    assert_eq!(reason(&after, types::QUIESCED), "WorkloadLeftAtZero");
    assert_eq!(world.leases().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_scales_nothing() {
    let mut world = asked_for(None, &json!({"dryRun": true})).await;
    assert_eq!(world.open_imports().len(), 1);
    world.run_import(End::Imported);
    world.settle().await;
    assert_eq!(status(&world).phase, Phase::Complete);
    assert_eq!((world.replicas("kuzzle"), world.leases().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_standby_is_quiesced_for_each_replay() {
    let mut world = World::new("2026-11-20T10:05:00Z");
    world.commit(full(0)).await;
    world.add_workload("kuzzle", 2);
    world.add_workload("plugin", 1);
    world.add_standby();
    world.change_standby(|standby| {
        let spec = &mut standby.spec.template.spec;
        spec.quiesce = serde_json::from_value(quiesce()).unwrap();
    });
    for replay in 1..=2 {
        world.settle().await;
        assert_eq!((world.replicas("kuzzle"), world.replicas("plugin")), (0, 0));
        world.run_workloads();
        world.settle_over(&[10]).await;
        assert!(world.run_import(End::Imported).is_some(), "{replay}");
        world.settle().await;
        assert_eq!((world.replicas("kuzzle"), world.replicas("plugin")), (2, 1));
        world.run_workloads();
        world.commit(window(replay, 0, replay - 1)).await;
    }
    let status = world.standby().status.unwrap();
    assert_eq!(status.replays, 2);
}
