//! Lives of Backups in which something goes wrong outside the controller.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use serde_json::json;

use super::testing::pods;
use super::testing::world::{NAMESPACE, World};
use crate::api::backup::Phase;
use crate::api::conditions::{is_true, types};
use crate::api::order::Order;
use crate::api::{Backup, BackupSchedule, StorageLocation};
use crate::manifest::Commit;
use crate::transfer::TransferError;
use crate::transfer::catalog;

const NAME: &str = "before-upgrade";

/// A world with one Backup whose first Job is made.
async fn begun() -> World {
    let mut world = World::new("2026-11-20T10:00:00Z");
    world.settle().await;
    world.add_backup(NAME, |_| {});
    world.settle().await;
    world
}

fn job(world: &World) -> Job {
    let mut jobs: Vec<Job> = world.server.all(NAMESPACE);
    jobs.sort_by_key(ResourceExt::creation_timestamp);
    jobs.pop().unwrap()
}

fn ready(world: &World) -> (Phase, String) {
    let status = world.backup(NAME).status.unwrap();
    let list = status.conditions;
    let ready = list.into_iter().find(|c| c.type_ == types::READY).unwrap();
    (status.phase, ready.reason)
}

/// What lies at the Backup's key.
async fn at_key(world: &World) -> Option<Commit> {
    let Order::Export(order) = pods::order_of(&job(world)) else {
        panic!("an export");
    };
    let bucket = world.store.behind_the_back();
    match catalog::read_commit(&bucket, &order.identity.manifest_key(), None).await {
        Ok((commit, _)) => Some(commit),
        Err(TransferError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_can_commit_nothing_any_more() {
    let mut world = begun().await;
    let before = job(&world);
    world
        .server
        .change::<Backup>(NAMESPACE, NAME, |backup| backup.spec.cancel = true);
    world.settle().await;
    assert_eq!(ready(&world), (Phase::Failed, "Cancelled".to_owned()));
    assert!(world.server.all::<Job>(NAMESPACE).is_empty());

    // Its pod comes back late.
    let Order::Export(order) = pods::order_of(&before) else {
        panic!("an export");
    };
    let bucket = world.store.behind_the_back();
    let late = pods::manifest(&order, "late-run", world.now());
    let refused = catalog::commit(&bucket, &late).await;
    assert!(matches!(refused, Err(TransferError::SlotVoid { .. })));
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_committed_before_it_was_cancelled_is_complete() {
    let mut world = begun().await;
    let Order::Export(order) = pods::order_of(&job(&world)) else {
        panic!("an export");
    };
    let bucket = world.store.behind_the_back();
    catalog::commit(&bucket, &pods::manifest(&order, "run-1", world.now()))
        .await
        .unwrap();
    world
        .server
        .change::<Backup>(NAMESPACE, NAME, |backup| backup.spec.cancel = true);
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_costs_an_attempt_and_its_zombie_is_adopted() {
    let mut world = begun().await;
    let first = job(&world);
    let Order::Export(order) = pods::order_of(&first) else {
        panic!("an export");
    };
    // The Job controller gave the pod up; nobody saw it end.
    world
        .server
        .change::<Job>(NAMESPACE, &first.name_any(), |job| {
            job.status = serde_json::from_value(json!({
                "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
            }))
            .unwrap();
        });
    world.settle().await;
    assert_eq!(ready(&world), (Phase::Pending, "PodLost".to_owned()));
    assert!(world.backup(NAME).status.unwrap().lost_until.is_some());

    // It commits while the second attempt waits.
    let bucket = world.store.behind_the_back();
    catalog::commit(&bucket, &pods::manifest(&order, "zombie", world.now()))
        .await
        .unwrap();
    world.clock.advance(31);
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Complete);
    assert_eq!(world.server.all::<Job>(NAMESPACE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_never_comes_back_ends_failed_and_void() {
    let mut world = begun().await;
    for _ in 0..4 {
        let lost = job(&world);
        world.server.change::<Job>(NAMESPACE, &lost.name_any(), |job| {
            job.status = serde_json::from_value(json!({
                "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
            }))
            .unwrap();
        });
        world.settle().await;
        world.clock.advance(125);
        world.settle().await;
    }
    assert_eq!(ready(&world), (Phase::Failed, "PodLost".to_owned()));
    assert_eq!(world.backup(NAME).status.unwrap().attempt, 4);
    assert!(matches!(at_key(&world).await, Some(Commit::Void(_))));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_killed_is_run_again() {
    let mut world = begun().await;
    let first = job(&world);
    let pod = pods::start(&world.server, &first);
    pods::end(&world.server, &first, &pod, 137, None);
    world.settle().await;
    assert_eq!(ready(&world), (Phase::Pending, "PodLost".to_owned()));
    world.clock.advance(31);
    world.settle().await;
    assert_eq!(world.server.all::<Job>(NAMESPACE).len(), 2);
    world.run_pods().await;
    world.settle().await;
    let status = world.backup(NAME).status.unwrap();
    assert_eq!((status.phase, status.attempt), (Phase::Complete, 2));
}

#[tokio::test(start_paused = true)]
async fn objects_that_were_lost_are_found_in_the_bucket_again() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_schedule(json!({"every": "1m"}));
    world.settle().await;
    let old = world.schedule();
    world.clock.advance(30);
    world.settle().await;
    world.run_pods().await;
    world.settle().await;
    let name = world.schedule().status.unwrap().last_complete.unwrap();

    // etcd as it was before the slot: no Backup, no Job, and the schedule's old status.
    world.server.delete::<Backup>(NAMESPACE, &name);
    world
        .server
        .change::<BackupSchedule>(NAMESPACE, "telemetry", |schedule| {
            schedule.status.clone_from(&old.status);
        });
    world.clock.advance(5);
    world.settle().await;
    assert_eq!(world.backup(&name).status.unwrap().phase, Phase::Complete);
    assert_eq!(world.server.all::<Job>(NAMESPACE).len(), 0, "no second run");
    assert_eq!(world.slots().await.len(), 1);
    assert_eq!(world.schedule().status.unwrap().last_complete, Some(name));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_was_made_anew_knows_the_age_of_its_backups() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    let spec =
        || json!({"every": "1m", "suspend": true, "trigger": "now", "objectives": {"rpo": "5m"}});
    world.add_schedule(spec());
    world.settle().await;
    world.run_pods().await;
    world.settle().await;
    let before = world.schedule().status.unwrap();
    assert!(before.last_consistency_time.is_some());

    // All objects are lost, and the schedule is made anew, without its trigger.
    world
        .server
        .delete::<BackupSchedule>(NAMESPACE, "telemetry");
    for backup in world.server.all::<Backup>(NAMESPACE) {
        world.server.delete::<Backup>(NAMESPACE, &backup.name_any());
    }
    world.clock.advance(240);
    let mut anew = spec();
    anew["trigger"] = serde_json::Value::Null;
    world.add_schedule(anew);
    world.settle().await;
    let status = world.schedule().status.unwrap();
    assert_eq!(status.last_consistency_time, before.last_consistency_time);
    assert_eq!(status.last_manifest, before.last_manifest);
    assert!(is_true(&status.conditions, types::RPO_MET));
    world.clock.advance(60);
    world.settle().await;
    let status = world.schedule().status.unwrap();
    let told = status.conditions.iter().find(|c| c.type_ == types::RPO_MET);
    assert_eq!(told.unwrap().reason, "ObjectiveMissed");
}

#[tokio::test(start_paused = true)]
async fn a_location_that_is_not_there_yet_is_waited_for() {
    let mut world = World::new("2026-11-20T10:00:00Z");
    world.server.delete::<Secret>(NAMESPACE, "dr-bucket");
    world.add_backup(NAME, |_| {});
    world.settle().await;
    assert_eq!(
        ready(&world),
        (Phase::Pending, "StorageNotReady".to_owned())
    );
    let location: StorageLocation = world.server.all(NAMESPACE).pop().unwrap();
    let status = location.status.unwrap();
    assert!(!is_true(&status.conditions, types::READY));
    assert_eq!(status.conditions[0].reason, "SecretNotFound");

    world.add_secret();
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Running);
    world.run_pods().await;
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Complete);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_ever_fails_at_its_timeout() {
    let mut world = World::new("2026-11-20T10:00:00Z");
    world.server.delete::<Secret>(NAMESPACE, "dr-bucket");
    world.add_backup(NAME, |_| {});
    world.settle().await;
    world.clock.advance(599);
    world.settle().await;
    assert_eq!(ready(&world).0, Phase::Pending);
    world.clock.advance(1);
    world.settle().await;
    assert_eq!(ready(&world), (Phase::Failed, "StorageNotReady".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_start_is_told_and_another_backup_goes_on() {
    let mut world = begun().await;
    let first = job(&world);
    let pod = pods::start(&world.server, &first);
    world
        .server
        .change::<Pod>(NAMESPACE, &pod.name_any(), |pod| {
            pod.status = serde_json::from_value(json!({
            "phase": "Pending",
            "containerStatuses": [{
                "name": "lifeboat", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            }],
        }))
        .unwrap();
        });
    world.settle().await;
    assert_eq!(ready(&world), (Phase::Running, "PodNotStarting".to_owned()));

    world.add_backup("another", |_| {});
    world.settle().await;
    let jobs: Vec<Job> = world.server.all(NAMESPACE);
    let other = jobs
        .iter()
        .find(|job| job.name_any().starts_with("another"));
    let bucket = world.store.behind_the_back();
    pods::export(&world.server, &bucket, other.unwrap(), world.now()).await;
    world.settle().await;
    assert_eq!(
        world.backup("another").status.unwrap().phase,
        Phase::Complete
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_of_ours_is_not_taken_from_somebody_else() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_schedule(json!({"every": "1m"}));
    world.settle().await;
    // A person's Backup has the name of the next slot.
    world.add_backup("telemetry-20261120t100100z", |_| {});
    world.clock.advance(30);
    world.settle().await;
    let status = world.schedule().status.unwrap();
    assert_eq!(status.missed_slots, 1);
    let list = &status.conditions;
    let ready = list.iter().find(|c| c.type_ == types::READY).unwrap();
    assert_eq!(ready.reason, "BackupRefused");
    assert!(
        ready.message.contains("delete or rename"),
        "{}",
        ready.message
    );
    let found = world.backup("telemetry-20261120t100100z");
    assert!(found.labels().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_retention_does_not_keep_goes_from_the_bucket_and_then_from_the_cluster() {
    let mut world = World::new("2026-11-20T10:00:30Z");
    world.add_schedule(json!({"every": "20m", "retention": {"keepLast": 2}}));
    world.settle().await;
    let names = |world: &World| -> Vec<String> {
        let backups: Vec<Backup> = world.server.all(NAMESPACE);
        backups.iter().map(ResourceExt::name_any).collect()
    };
    for _ in 0..4 {
        world.clock.advance(20 * 60);
        // The Backup, then the prune Job that its end may lead to.
        for _ in 0..2 {
            world.settle().await;
            world.run_pods().await;
        }
        world.settle().await;
    }
    let kept = ["telemetry-20261120t110000z", "telemetry-20261120t112000z"];
    let slots: Vec<String> = world
        .slots()
        .await
        .into_iter()
        .map(|entry| entry.slot)
        .collect();
    assert_eq!(slots, ["20261120t110000z", "20261120t112000z"]);
    assert_eq!(names(&world), kept);

    // A hold keeps the files and the object.
    world
        .server
        .change::<Backup>(NAMESPACE, kept[0], |backup| backup.spec.hold = true);
    world.clock.advance(20 * 60);
    for _ in 0..2 {
        world.settle().await;
        world.run_pods().await;
    }
    world.settle().await;
    world.clock.advance(20 * 60);
    for _ in 0..2 {
        world.settle().await;
        world.run_pods().await;
    }
    world.settle().await;
    assert!(names(&world).contains(&kept[0].to_owned()));
    assert_eq!(world.slots().await.len(), 3);
}
