//! Copies in a second location, with the controller killed before and after every call.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::json;

use super::testing::faults::Fault;
use super::testing::world::{NAMESPACE, World};
use crate::api::StorageLocation;
use crate::api::conditions::{is_true, types};

const SPEC: &str = r#"{"every": "1m", "replicateTo": [{"name": "dr-copies"}]}"#;

fn copying(world: &World) -> Vec<Job> {
    let mut jobs: Vec<Job> = world.server.all(NAMESPACE);
    jobs.retain(|job| job.name_any().contains("-copy-"));
    jobs
}

async fn live(fault: Option<(usize, Fault)>) -> (World, bool) {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_replica();
    world.add_schedule(serde_json::from_str(SPEC).unwrap());
    if let Some((call, fault)) = fault {
        world.faults.plan(call, fault);
    }
    world.settle().await;
    for _ in 0..2 {
        world.clock.advance(30);
        // The Backup, the copies, and what waits after a fault.
        for _ in 0..3 {
            world.settle().await;
            world.run_pods().await;
            world.clock.advance(5);
        }
        world.settle().await;
        world.clock.advance(15);
    }
    let hit = world.faults.was_hit();
    (world, hit)
}

async fn check(world: &World, what: &str) {
    let slots = ["20261120t100100z", "20261120t100200z"];
    assert_eq!(world.copied_slots().await, slots, "{what}");
    let status = world.schedule().status.unwrap();
    assert!(
        is_true(&status.conditions, types::REPLICATED),
        "{what}: {status:#?}"
    );
    assert!(is_true(&status.conditions, types::READY), "{what}");
    let replica = &status.replicas[0];
    assert_eq!(replica.slot.as_deref(), Some(slots[1]), "{what}");
    assert_eq!(
        replica.consistency_time, status.last_consistency_time,
        "{what}"
    );
    assert_eq!(status.missed_slots, 0, "{what}");
    assert_eq!(copying(world).len(), 2, "{what}: a Job for each backup");
}

#[tokio::test(start_paused = true)]
async fn each_backup_is_copied_whatever_call_is_the_last() {
    let (world, _) = live(None).await;
    check(&world, "no fault").await;
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        let mut call = 0;
        loop {
            let (world, hit) = live(Some((call, fault))).await;
            if !hit {
                break;
            }
            check(&world, &format!("{fault:?} at call {call}")).await;
            call += 1;
        }
        assert!(call > 40, "only {call} calls were tried");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_location_that_is_gone_delays_no_backup() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_replica();
    world.add_schedule(json!({"every": "1m", "replicateTo": [{"name": "dr-copies"}]}));
    world.settle().await;
    world
        .server
        .delete::<StorageLocation>(NAMESPACE, "dr-copies");
    for _ in 0..2 {
        world.clock.advance(30);
        world.settle().await;
        world.run_pods().await;
        world.settle().await;
        world.clock.advance(30);
    }
    assert_eq!(world.slots().await.len(), 2);
    assert!(copying(&world).is_empty());
    let status = world.schedule().status.unwrap();
    assert!(is_true(&status.conditions, types::READY));
    let list = &status.conditions;
    let told = list.iter().find(|c| c.type_ == types::REPLICATED).unwrap();
    assert_eq!(
        (told.status.as_str(), told.reason.as_str()),
        ("False", "StorageNotFound")
    );

    // It comes back: both are copied by one Job.
    world.add_replica();
    for _ in 0..2 {
        world.settle().await;
        world.run_pods().await;
        world.clock.advance(1);
    }
    world.settle().await;
    assert_eq!(world.copied_slots().await.len(), 2);
    let status = world.schedule().status.unwrap();
    assert!(
        is_true(&status.conditions, types::REPLICATED),
        "{status:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_job_at_a_time_and_a_lost_one_is_waited_out() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_replica();
    world.add_schedule(serde_json::from_str(SPEC).unwrap());
    world.settle().await;
    world.clock.advance(30);
    world.settle().await;
    world.run_exports().await;
    world.settle().await;
    let first = copying(&world).pop().unwrap();
    // Another Backup is complete, and the Job is at work still.
    world.clock.advance(60);
    world.settle().await;
    world.run_exports().await;
    world.settle().await;
    assert_eq!((world.slots().await.len(), copying(&world).len()), (2, 1));

    world
        .server
        .change::<Job>(NAMESPACE, &first.name_any(), |job| {
            job.status = serde_json::from_value(json!({
            "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
        }))
        .unwrap();
        });
    world.settle().await;
    world.clock.advance(3600);
    world.settle().await;
    assert_eq!(
        copying(&world).len(),
        1,
        "its pod may be at work on a lost node"
    );
    world.clock.advance(3600);
    world.settle().await;
    assert_eq!(copying(&world).len(), 2);
}
