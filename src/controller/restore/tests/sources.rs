use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::Backup;
use crate::api::backup::Phase;
use crate::api::common::ManifestRef;
use crate::api::conditions::{self, Reason, State, types};
use crate::controller::testing::world::{NAMESPACE, World};
use crate::manifest::line::manifest_key;
use crate::manifest::samples::{LINE, full, slot, window};
use crate::transfer::catalog;

/// A bucket with two chains: 0, 1, 2 and 5, 7, of which 7 builds on one that is not there; 3 is
/// void.
async fn world() -> World {
    let world = World::new("2026-11-20T10:30:00Z");
    for manifest in [
        full(0),
        window(1, 0, 0),
        window(2, 0, 1),
        full(5),
        window(7, 5, 6),
    ] {
        world.commit(manifest).await;
    }
    let bucket = world.store.behind_the_back();
    catalog::void(&bucket, &full(3).identity, "its run was lost", world.now())
        .await
        .unwrap();
    world
}

async fn reference(world: &World, minute: i64) -> ManifestRef {
    let bucket = world.store.behind_the_back();
    let key = manifest_key(LINE, &slot(minute));
    let stored = catalog::read_backup(&bucket, &key, None).await.unwrap();
    stored.reference
}

fn line(schedule: &str) -> Value {
    json!({
        "storage": {"name": "dr-bucket"},
        "cluster": "prod", "namespace": "iot", "schedule": schedule,
    })
}

fn as_of(time: &str) -> Value {
    let mut line = line("telemetry");
    line["time"] = json!(time);
    json!({"asOf": line})
}

fn manifest(minute: i64, more: &Value) -> Value {
    let mut source = json!({
        "storage": {"name": "dr-bucket"},
        "path": manifest_key(LINE, &slot(minute)),
    });
    source
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"manifest": source})
}

/// Adds a Backup of this name that ended with this condition.
fn add_ended_backup(world: &World, type_: &str, manifest: Option<ManifestRef>) {
    world.add_backup(type_, |_| {});
    world.server.change::<Backup>(NAMESPACE, type_, |backup| {
        let status = backup.status.get_or_insert_default();
        let now: Timestamp = "2026-11-20T10:10:00Z".parse().unwrap();
        let reason = Reason::Succeeded;
        conditions::set(
            &mut status.conditions,
            type_,
            State::True,
            reason,
            "",
            None,
            now,
        );
        status.manifest = manifest;
    });
}

/// What a source comes to: the minutes of the backups that are restored, or phase and reason.
type Comes = Result<Vec<i64>, (Phase, &'static str)>;

#[tokio::test(start_paused = true)]
async fn what_each_source_comes_to() {
    let gone = Err((Phase::Failed, "BackupNotFound"));
    let first = reference(&world().await, 2).await;
    let rows: Vec<(Value, Comes)> = vec![
        (as_of("2026-11-20T10:02:30Z"), Ok(vec![0, 1, 2])),
        (as_of("2026-11-20T10:02:10Z"), Ok(vec![0, 1, 2])),
        (as_of("2026-11-20T10:02:09Z"), Ok(vec![0, 1])),
        (as_of("2026-11-20T10:04:00Z"), Ok(vec![0, 1, 2])),
        (as_of("2026-11-20T10:05:30Z"), Ok(vec![5])),
        (as_of("2026-11-20T09:00:00Z"), gone.clone()),
        (
            json!({"latest": line("telemetry")}),
            Err((Phase::Failed, "ChainBroken")),
        ),
        (json!({"latest": line("other")}), gone.clone()),
        (manifest(2, &json!({})), Ok(vec![0, 1, 2])),
        (manifest(2, &json!({"scope": "Window"})), Ok(vec![2])),
        (
            manifest(2, &json!({"sha256": first.sha256})),
            Ok(vec![0, 1, 2]),
        ),
        (
            manifest(2, &json!({"sha256": "0".repeat(64)})),
            Err((Phase::Failed, "ManifestInvalid")),
        ),
        (manifest(3, &json!({})), Err((Phase::Failed, "SlotVoid"))),
        (manifest(4, &json!({})), gone.clone()),
        (manifest(7, &json!({"scope": "Window"})), Ok(vec![7])),
        (
            manifest(0, &json!({"storage": {"name": "other"}})),
            Err((Phase::Pending, "StorageNotFound")),
        ),
        (json!({"backup": {"name": "none"}}), gone.clone()),
        (
            json!({"backup": {"name": "running"}}),
            Err((Phase::Pending, "BackupNotComplete")),
        ),
        (
            json!({"backup": {"name": types::COMPLETE}}),
            Ok(vec![0, 1, 2]),
        ),
        (
            json!({"backup": {"name": types::FAILED}}),
            Err((Phase::Failed, "BackupNotComplete")),
        ),
        (json!({}), Err((Phase::Failed, "InvalidSpec"))),
    ];
    for (source, wanted) in rows {
        let mut world = world().await;
        world.add_backup("running", |_| {});
        add_ended_backup(&world, types::COMPLETE, Some(first.clone()));
        add_ended_backup(&world, types::FAILED, None);
        world.add_restore("again", &json!({"source": source}));
        world.settle().await;
        let status = world.restore("again").status.unwrap();
        let ready = &status.conditions[0];
        let found: Comes = if status.manifests.is_empty() {
            let known = wanted.as_ref().err().map(|(_, reason)| *reason);
            let reason = known
                .filter(|reason| *reason == ready.reason)
                .unwrap_or("another");
            Err((status.phase, reason))
        } else {
            let minutes = (0..10).filter(|minute| {
                status
                    .manifests
                    .iter()
                    .any(|found| found.path.contains(&slot(*minute)))
            });
            Ok(minutes.collect())
        };
        assert_eq!(found, wanted, "{source} {ready:?}");
        assert!(!ready.message.is_empty(), "{source}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_chosen_stays_chosen() {
    let mut world = world().await;
    world.add_restore(
        "again",
        &json!({"source": as_of("2026-11-20T11:00:00Z"), "retry": {"limit": 1}}),
    );
    // The newest can't be restored: the Restore fails, and a later backup does not change that.
    world.settle().await;
    assert_eq!(world.restore("again").status.unwrap().phase, Phase::Failed);
    world.commit(full(8)).await;
    world.settle().await;
    assert_eq!(world.restore("again").status.unwrap().phase, Phase::Failed);
    world.add_restore("anew", &json!({"source": as_of("2026-11-20T11:00:00Z")}));
    world.settle().await;
    world.commit(full(9)).await;
    world.run_import(crate::controller::testing::standby::End::Killed);
    world.settle_over(&[30]).await;
    let status = world.restore("anew").status.unwrap();
    assert_eq!(status.attempt, 2);
    assert_eq!(status.manifests, [reference(&world, 8).await]);
}

#[tokio::test(start_paused = true)]
async fn a_vendors_dump_is_handed_to_the_pod_unseen() {
    let mut world = world().await;
    let source = |storage: &str| json!({"source": {"vendorDump": {"storage": {"name": storage}, "path": "dumps/kuzzle"}}});
    world.add_restore("again", &source("dr-bucket"));
    world.add_restore("nowhere", &source("other"));
    world.settle().await;
    let order = world.run_import(crate::controller::testing::standby::End::Imported);
    assert_eq!(order.unwrap().vendor_dump.as_deref(), Some("dumps/kuzzle"));
    world.settle_over(&[30]).await;
    let status = world.restore("again").status.unwrap();
    assert_eq!((status.phase, status.attempt), (Phase::Complete, 1));
    assert!(status.manifests.is_empty());
    let status = world.restore("nowhere").status.unwrap();
    assert_eq!(status.conditions[0].reason, "StorageNotFound");
}
