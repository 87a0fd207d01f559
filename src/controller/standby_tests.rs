//! Whole lives of Restores and of a standby, with the controller killed before and after every
//! single call that it makes to the API server and to the store, and with every call failing once.
#![allow(clippy::unwrap_used)]

use kube::ResourceExt;
use serde_json::json;

use super::testing::faults::Fault;
use super::testing::standby::End;
use super::testing::world::{NAMESPACE, World};
use crate::api::backup::Phase;
use crate::api::conditions::{Reason, is_true, types};
use crate::api::{Restore, RestoreSchedule};
use crate::manifest::samples::{full, slot, window};

const FAULTS: [Fault; 5] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::LostAnswer,
    Fault::Conflict,
    Fault::ServerError,
];

/// A world at 10:05 with a full backup and a window in its bucket.
async fn world(fault: Option<(usize, Fault)>) -> World {
    let world = World::new("2026-11-20T10:05:00Z");
    world.commit(full(0)).await;
    world.commit(window(1, 0, 0)).await;
    if let Some((call, fault)) = fault {
        world.faults.plan(call, fault);
    }
    world
}

fn ready(object: &RestoreSchedule) -> String {
    let status = object.status.as_ref().unwrap();
    let found = status.conditions.iter().find(|c| c.type_ == types::READY);
    found.map_or(String::new(), |c| format!("{} {}", c.status, c.reason))
}

fn reason(restore: &Restore) -> &str {
    let status = restore.status.as_ref().unwrap();
    let found = status.conditions.iter().find(|c| c.type_ == types::READY);
    found.map_or("", |c| &c.reason)
}

fn phase(restore: &Restore) -> Phase {
    restore.status.as_ref().unwrap().phase
}

async fn restored(fault: Option<(usize, Fault)>) -> World {
    let mut world = world(fault).await;
    world.add_restore("again", &json!({}));
    world.settle_over(&[10]).await;
    world.run_import(End::Imported);
    world.settle_over(&[10]).await;
    world
}

fn check_restored(world: &World, what: &str) {
    let restore = world.restore("again");
    let status = restore.status.as_ref().unwrap();
    assert_eq!(status.phase, Phase::Complete, "{what}: {restore:#?}");
    assert!(is_true(&status.conditions, types::COMPLETE), "{what}");
    assert!(!is_true(&status.conditions, types::RECONCILING), "{what}");
    let slots: Vec<bool> = [0, 1]
        .into_iter()
        .zip(&status.manifests)
        .map(|(minute, manifest)| manifest.path.contains(&slot(minute)))
        .collect();
    assert_eq!(slots, [true, true], "{what}");
    assert_eq!(status.attempt, 1, "{what}: no attempt is made twice");
    assert_eq!(world.jobs().len(), 1, "{what}: one Job");
    assert_eq!(world.leases().len(), 0, "{what}: the target is free");
}

#[tokio::test(start_paused = true)]
async fn a_restore_ends_the_same_whatever_call_fails() {
    let world = restored(None).await;
    check_restored(&world, "no fault");
    assert_eq!(world.restarts, 0);
    let writes = world.faults.writes();
    let about = |what: &str| writes.iter().filter(|write| write.contains(what)).count();
    // The status when it starts, when its Job is there, and at the end; the Job; the lease, taken
    // and given back.
    assert_eq!(about("restores/again"), 3, "{writes:#?}");
    assert_eq!((about("jobs"), about("leases")), (1, 2), "{writes:#?}");
    for fault in FAULTS {
        for call in 0.. {
            let world = restored(Some((call, fault))).await;
            if !world.faults.was_hit() {
                assert!(call > 25, "only {call} calls were tried");
                break;
            }
            check_restored(&world, &format!("{fault:?} at call {call}"));
        }
    }
}

async fn replayed(fault: Option<(usize, Fault)>) -> World {
    let mut world = world(fault).await;
    world.add_standby();
    world.settle_over(&[10]).await;
    world.run_import(End::Imported);
    world.commit(window(2, 0, 1)).await;
    world.settle_over(&[10]).await;
    world.change_standby(|standby| standby.spec.promoted = true);
    world.settle().await;
    world.run_import(End::Imported);
    world.commit(window(3, 0, 2)).await;
    world.settle_over(&[10]).await;
    world
}

fn check_replayed(world: &World, what: &str) {
    let standby = world.standby();
    let status = standby.status.as_ref().unwrap();
    assert_eq!(status.replays, 2, "{what}: {standby:#?}");
    assert_eq!(status.last_slot, Some(slot(2)), "{what}");
    assert_eq!(status.active, None, "{what}");
    assert!(is_true(&status.conditions, types::PROMOTED), "{what}");
    assert_eq!(ready(&standby), "True Promoted", "{what}");
    let names: Vec<String> = world.restores().iter().map(ResourceExt::name_any).collect();
    let wanted = [1, 2].map(|minute| format!("standby-{}", slot(minute)));
    assert_eq!(names, wanted, "{what}: one Restore for each replay");
    for restore in world.restores() {
        let status = restore.status.unwrap();
        assert_eq!(
            (status.phase, status.attempt),
            (Phase::Complete, 1),
            "{what}"
        );
    }
    assert_eq!(world.jobs().len(), 2, "{what}: one Job for each replay");
    assert_eq!(world.leases().len(), 0, "{what}: the target is free");
}

#[tokio::test(start_paused = true)]
async fn a_standby_follows_and_is_promoted_whatever_call_fails() {
    let world = replayed(None).await;
    check_replayed(&world, "no fault");
    assert_eq!(world.restarts, 0);
    // Nothing is kept in memory between two looks, so a call that fails is as a controller that
    // dies, but for the answers that mean something.
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::Conflict] {
        for call in 0.. {
            let world = replayed(Some((call, fault))).await;
            if !world.faults.was_hit() {
                assert!(call > 60, "only {call} calls were tried");
                break;
            }
            check_replayed(&world, &format!("{fault:?} at call {call}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_vanished_holds_back_the_next_until_its_deadline() {
    let mut world = world(None).await;
    world.add_restore("again", &json!({}));
    world.settle().await;
    let job = world.open_imports().pop().unwrap();
    world
        .server
        .delete::<k8s_openapi::api::batch::v1::Job>(NAMESPACE, &job.name_any());
    // Ten minutes, and two for its start.
    world.settle_over(&[10, 300, 300, 100]).await;
    let restore = world.restore("again");
    assert_eq!(
        (phase(&restore), reason(&restore)),
        (Phase::Pending, "PodLost")
    );
    assert_eq!(world.jobs().len(), 0);
    assert_eq!(world.leases().len(), 1, "the target is not free");
    world.settle_over(&[10]).await;
    assert_eq!(world.leases().len(), 0);
    world.settle_over(&[30]).await;
    assert!(world.run_import(End::Imported).is_some());
    world.settle().await;
    let restore = world.restore("again");
    assert_eq!(phase(&restore), Phase::Complete);
    assert_eq!(restore.status.unwrap().attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_pod_or_its_kubelet_told_is_believed_at_once() {
    for (end, next, word) in [
        (End::Killed, true, "PodLost"),
        (
            End::Failed(Reason::DatabaseUnreachable, true),
            true,
            "DatabaseUnreachable",
        ),
        (
            End::Failed(Reason::TargetNotEmpty, false),
            false,
            "TargetNotEmpty",
        ),
    ] {
        let mut world = world(None).await;
        world.add_restore("again", &json!({}));
        world.settle().await;
        world.run_import(end);
        world.settle().await;
        assert_eq!(reason(&world.restore("again")), word);
        assert_eq!(world.leases().len(), 0, "{word}");
        world.settle_over(&[30]).await;
        assert_eq!(world.open_imports().len(), usize::from(next), "{word}");
        let wanted = if next { Phase::Running } else { Phase::Failed };
        assert_eq!(phase(&world.restore("again")), wanted, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_restores_of_one_target_run_one_after_the_other() {
    let mut world = world(None).await;
    world.add_restore("first", &json!({}));
    world.add_restore(
        "second",
        &json!({"target": {"influxdb": {"url": "https://INFLUXDB-B.:8086/"}}}),
    );
    world.add_restore(
        "elsewhere",
        &json!({"target": {"influxdb": {"url": "http://influxdb-c:8086"}}, "cancel": true}),
    );
    world.settle_over(&[10]).await;
    assert_eq!(reason(&world.restore("second")), "TargetBusy");
    assert_eq!(phase(&world.restore("elsewhere")), Phase::Failed);
    assert!(world.run_import(End::Imported).is_some());
    world.settle_over(&[10]).await;
    assert_eq!(phase(&world.restore("first")), Phase::Complete);
    assert!(world.run_import(End::Imported).is_some());
    world.settle().await;
    assert_eq!(phase(&world.restore("second")), Phase::Complete);
    assert_eq!(world.leases().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_deleted_loses_the_target_at_its_deadline() {
    let mut world = world(None).await;
    world.add_restore("first", &json!({}));
    world.settle().await;
    world.server.delete::<Restore>(NAMESPACE, "first");
    world.add_restore("second", &json!({"timeout": "1h"}));
    world.settle_over(&[10, 600]).await;
    assert_eq!(reason(&world.restore("second")), "TargetBusy");
    world.settle_over(&[111]).await;
    assert_eq!(world.open_imports().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_waits_for_an_import_that_may_be_at_work() {
    let mut world = world(None).await;
    world.add_standby();
    world.settle().await;
    let job = world.open_imports().pop().unwrap();
    world.change_standby(|standby| standby.spec.promoted = true);
    world.settle_over(&[10]).await;
    assert_eq!(ready(&world.standby()), "False Fencing");
    // Its Job is deleted, and then the Restore itself: the pod may be on a node that can't be
    // reached.
    world
        .server
        .delete::<k8s_openapi::api::batch::v1::Job>(NAMESPACE, &job.name_any());
    world.settle_over(&[10]).await;
    assert_eq!(ready(&world.standby()), "False Fencing");
    let name = world.restores().pop().unwrap().name_any();
    world.server.delete::<Restore>(NAMESPACE, &name);
    // A tool sets it back: the latch holds.
    world.change_standby(|standby| standby.spec.promoted = false);
    world.settle_over(&[10, 600]).await;
    assert_eq!(ready(&world.standby()), "False Fencing");
    world.settle_over(&[100]).await;
    assert_eq!(ready(&world.standby()), "True Promoted");
    assert_eq!((world.restores().len(), world.jobs().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_promotion_ends_a_restore_that_waits() {
    let mut world = world(None).await;
    world.add_standby();
    world.settle().await;
    world.run_import(End::Killed);
    world.settle().await;
    assert_eq!(reason(&world.restores().pop().unwrap()), "PodLost");
    world.change_standby(|standby| standby.spec.promoted = true);
    world.settle().await;
    assert_eq!(reason(&world.restores().pop().unwrap()), "Promoted");
    assert_eq!(ready(&world.standby()), "True Promoted");
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_fails_comes_right_by_itself() {
    let mut world = world(None).await;
    world.add_standby();
    world.settle().await;
    let first = world.run_import(End::Imported).unwrap();
    assert_eq!(first.manifests.len(), 2, "the whole chain");
    world.settle().await;
    world.commit(window(2, 0, 1)).await;
    world.settle().await;
    let second = world
        .run_import(End::Failed(Reason::DataCorrupt, false))
        .unwrap();
    assert_eq!(second.manifests.len(), 1, "the window alone");
    world.settle().await;
    assert_eq!(ready(&world.standby()), "False DataCorrupt");
    // What can't be restored is not tried for ever: the next full one leads past it.
    world.settle_over(&[15]).await;
    let third = world.run_import(End::Failed(Reason::DataCorrupt, false));
    assert_eq!(third.unwrap().manifests.len(), 3, "the newest chain");
    world.commit(full(3)).await;
    world.settle_over(&[30]).await;
    let fourth = world.run_import(End::Imported).unwrap();
    assert_eq!(
        fourth.manifests.len(),
        1,
        "the newest chain is the full one"
    );
    world.settle().await;
    assert_eq!(ready(&world.standby()), "True Succeeded");
    assert_eq!(world.standby().status.unwrap().last_slot, Some(slot(3)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_status_is_told_by_the_restores_or_starts_over() {
    let mut world = world(None).await;
    world.add_standby();
    world.settle().await;
    world.run_import(End::Imported);
    world.settle().await;
    world.change_standby(|standby| standby.status = None);
    world.settle().await;
    let status = world.standby().status.unwrap();
    assert_eq!((status.last_slot, status.replays), (Some(slot(1)), 1));
    assert_eq!(world.open_imports().len(), 0);

    let name = world.restores().pop().unwrap().name_any();
    world.server.delete::<Restore>(NAMESPACE, &name);
    world.change_standby(|standby| standby.status = None);
    world.settle().await;
    assert_eq!(world.run_import(End::Imported).unwrap().manifests.len(), 2);
    world.settle().await;
    assert_eq!(world.standby().status.unwrap().last_slot, Some(slot(1)));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_restore_ends() {
    let mut world = world(None).await;
    world.add_restore("again", &json!({}));
    world.settle().await;
    world
        .server
        .change::<Restore>(NAMESPACE, "again", |restore| restore.spec.cancel = true);
    world.settle().await;
    assert_eq!(world.jobs().len(), 0);
    // No pod was seen to end, so the word comes when none can be at work.
    assert_eq!(phase(&world.restore("again")), Phase::Pending);
    world.settle_over(&[720]).await;
    let restore = world.restore("again");
    assert_eq!(
        (phase(&restore), reason(&restore)),
        (Phase::Failed, "Cancelled")
    );
}
