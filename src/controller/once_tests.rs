//! A whole life, from slots to complete Backups, with the controller killed before and after every
//! single call that it makes to the API server and to the store, and with every call failing once.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::json;

use super::testing::faults::Fault;
use super::testing::world::{NAMESPACE, World};
use crate::api::Backup;
use crate::api::backup::Phase;
use crate::api::conditions::{is_true, types};
use crate::schedule::backup_name;

/// Lives one life; true where the planned fault has come.
async fn live(slots: usize, fault: Option<(usize, Fault)>) -> (World, bool) {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_schedule(json!({"every": "1m", "objectives": {"rpo": "5m"}}));
    if let Some((call, fault)) = fault {
        world.faults.plan(call, fault);
    }
    world.settle().await;
    for _ in 0..slots {
        world.clock.advance(30);
        world.settle().await;
        // What waits after a fault is looked at again.
        world.clock.advance(15);
        world.settle().await;
        world.run_pods().await;
        world.settle().await;
        world.clock.advance(15);
        world.settle().await;
    }
    let hit = world.faults.was_hit();
    (world, hit)
}

async fn check(world: &World, slots: usize, what: &str) {
    let wanted: BTreeSet<String> = (0..slots)
        .map(|n| {
            let slot = format!("2026-11-20T10:0{}:00Z", n + 1);
            backup_name("telemetry", slot.parse().unwrap())
        })
        .collect();
    let backups: Vec<Backup> = world.server.all(NAMESPACE);
    let names: BTreeSet<String> = backups.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, wanted, "{what}: one Backup for each slot");
    for backup in &backups {
        let status = backup.status.as_ref().unwrap();
        assert_eq!(status.phase, Phase::Complete, "{what}: {status:#?}");
        assert!(is_true(&status.conditions, types::COMPLETE), "{what}");
        assert!(!is_true(&status.conditions, types::RECONCILING), "{what}");
        assert_eq!(status.attempt, 1, "{what}: no attempt is made twice");
    }
    let manifests = world.slots().await;
    assert_eq!(manifests.len(), slots, "{what}: one manifest for each slot");
    let jobs: Vec<Job> = world.server.all(NAMESPACE);
    assert_eq!(jobs.len(), slots, "{what}: one Job for each slot");
    let schedule = world.schedule();
    let status = schedule.status.unwrap();
    assert_eq!(status.missed_slots, 0, "{what}");
    assert_eq!(status.active, Vec::<String>::new(), "{what}");
    assert_eq!(status.last_complete.as_ref(), wanted.last(), "{what}");
    assert!(is_true(&status.conditions, types::READY), "{what}");
    assert!(is_true(&status.conditions, types::RPO_MET), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_life_without_a_fault_and_what_it_writes() {
    let (world, _) = live(3, None).await;
    check(&world, 3, "no fault").await;
    assert_eq!(world.restarts, 0);
    // The first writes are the location's first word, its status and event, and the schedule's first
    // status. Then for each slot: a Backup, a Job, two statuses of the Backup and two of the schedule.
    let writes = world.faults.writes();
    assert_eq!(writes.len(), 4 + 3 * 6, "{writes:#?}");
}

#[tokio::test(start_paused = true)]
async fn two_controllers_at_once() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_schedule(json!({"every": "1m", "objectives": {"rpo": "5m"}}));
    world.settle_with_two().await;
    for _ in 0..3 {
        world.clock.advance(30);
        world.settle_with_two().await;
        world.run_pods().await;
        world.settle_with_two().await;
        world.clock.advance(30);
        world.settle_with_two().await;
    }
    check(&world, 3, "two controllers").await;
}

#[tokio::test(start_paused = true)]
async fn killed_before_every_call() {
    every_call(2, Fault::KillBefore).await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_every_call() {
    every_call(2, Fault::KillAfter).await;
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_lost_once() {
    every_call(1, Fault::LostAnswer).await;
}

#[tokio::test(start_paused = true)]
async fn every_write_meets_another_writer_once() {
    every_call(1, Fault::Conflict).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_is_turned_away_once() {
    every_call(1, Fault::TooManyRequests).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_fails_once() {
    every_call(1, Fault::ServerError).await;
}

async fn every_call(slots: usize, fault: Fault) {
    let mut call = 0;
    loop {
        let (world, hit) = live(slots, Some((call, fault))).await;
        if !hit {
            break;
        }
        check(&world, slots, &format!("{fault:?} at call {call}")).await;
        call += 1;
    }
    assert!(call > 40, "only {call} calls were tried");
}

#[tokio::test(start_paused = true)]
async fn pruning_is_cut_short_at_every_call() {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        let mut call = 0;
        loop {
            let mut world = World::new("2026-11-20T10:00:30Z");
            world.add_schedule(json!({"every": "20m", "retention": {"keepLast": 1}}));
            world.faults.plan(call, fault);
            for _ in 0..2 {
                world.clock.advance(20 * 60);
                // The Backup, the prune Job, and what waits after a fault.
                for _ in 0..4 {
                    world.settle().await;
                    world.run_pods().await;
                    world.clock.advance(15);
                }
                world.settle().await;
                world.clock.advance(-60);
            }
            if !world.faults.was_hit() {
                break;
            }
            let what = format!("{fault:?} at call {call}");
            let slots: Vec<String> = world.slots().await.into_iter().map(|e| e.slot).collect();
            assert_eq!(slots, ["20261120t104000z"], "{what}");
            let backups: Vec<Backup> = world.server.all(NAMESPACE);
            assert_eq!(backups.len(), 1, "{what}");
            call += 1;
        }
        assert!(call > 40, "only {call} calls were tried");
    }
}
