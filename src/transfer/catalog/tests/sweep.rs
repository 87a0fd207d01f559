use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Reason;
use crate::manifest::Manifest;
use crate::manifest::line::manifest_key;
use crate::manifest::samples::{LINE, full, slot};
use crate::storage::testing::Failure::{CutAfter, Forbidden};
use crate::storage::testing::{FailingStore, Op, tamper};
use crate::transfer::catalog::{Deleted, delete_backup, delete_run, unreferenced_data};

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

fn run(minute: i64, id: &str) -> Manifest {
    Manifest {
        run_id: id.to_owned(),
        ..full(minute)
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_no_manifest_names() {
    for (location, _dir) in super::locations() {
        super::filled(&location).await;
        // A zombie of a committed slot, runs of a void slot and of one without a manifest.
        for lost in [run(0, "zombie"), run(3, "lost"), run(4, "under-way")] {
            super::put_data(&location, &lost, "parts.jsonl.zst").await;
            super::put_data(&location, &lost, "parts/000000.0001.lp").await;
        }
        // The slot of a manifest that can't be read is left alone.
        super::put_data(&location, &run(5, "zombie"), "parts.jsonl.zst").await;
        tamper(&location, &manifest_key(LINE, &slot(5)), |bytes| {
            bytes.truncate(9);
        })
        .await;

        assert_eq!(
            unreferenced_data(&location, LINE, in_hours(-1))
                .await
                .unwrap(),
            []
        );
        let found = unreferenced_data(&location, LINE, in_hours(1))
            .await
            .unwrap();
        let names: Vec<(&str, &str, u64, u64)> = found
            .iter()
            .map(|run| (run.slot.as_str(), run.run_id.as_str(), run.files, run.bytes))
            .collect();
        let (zero, three, four) = (slot(0), slot(3), slot(4));
        assert_eq!(
            names,
            [
                (zero.as_str(), "zombie", 2, 8),
                (&three, "lost", 2, 8),
                (&four, "under-way", 2, 8)
            ]
        );

        let before = super::keys(&location).await.len();
        for run in &found {
            let deleted = delete_run(&location, run).await.unwrap();
            assert_eq!(
                deleted,
                Deleted {
                    manifest: false,
                    files: 2,
                    bytes: 8
                }
            );
        }
        assert_eq!(super::keys(&location).await.len(), before - 6);
        assert_eq!(
            unreferenced_data(&location, LINE, in_hours(1))
                .await
                .unwrap(),
            []
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_goes_with_its_files_and_no_others() {
    for (location, _dir) in super::locations() {
        super::filled(&location).await;
        super::put_data(&location, &run(1, "zombie"), "parts.jsonl.zst").await;
        let before = super::keys(&location).await;
        let key = manifest_key(LINE, &slot(1));
        let deleted = delete_backup(&location, &key).await.unwrap();
        assert_eq!(
            deleted,
            Deleted {
                manifest: true,
                files: 2,
                bytes: 8
            }
        );
        let after = super::keys(&location).await;
        let gone: Vec<&String> = before.iter().filter(|key| !after.contains(key)).collect();
        assert_eq!(gone.len(), 3);
        assert!(
            gone.iter()
                .all(|gone| **gone == key || gone.contains(&format!("/data/{}/run-1/", slot(1))))
        );
        assert_eq!(
            delete_backup(&location, &key).await.unwrap(),
            Deleted::default(),
            "again"
        );
        let marker = manifest_key(LINE, &slot(3));
        let deleted = delete_backup(&location, &marker).await.unwrap();
        assert_eq!(
            deleted,
            Deleted {
                manifest: true,
                files: 0,
                bytes: 0
            },
            "a void marker"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_manifests_are_deleted_by_key() {
    let location = FailingStore::new(&[]).location();
    super::filled(&location).await;
    let before = super::keys(&location).await;
    for key in [
        LINE.to_owned(),
        "lifeboat/v1".to_owned(),
        "lifeboat/v1/prod/claims/1.json".to_owned(),
        format!("{LINE}/data/{}/run-1/parts.jsonl.zst", slot(0)),
        format!("{LINE}/manifests/../manifests/{}.json", slot(0)),
        manifest_key(LINE, "latest"),
    ] {
        let error = delete_backup(&location, &key).await.unwrap_err();
        assert_eq!(error.reason(), Reason::BackupNotFound, "{key}");
    }
    assert_eq!(super::keys(&location).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_pruning_that_stops_leaves_nothing_that_looks_restorable() {
    let key = manifest_key(LINE, &slot(1));
    let store = FailingStore::new(&[]);
    super::filled(&store.location()).await;
    let held = store.with_script(&[(Op::Delete, Forbidden)]).location();
    let before = super::keys(&held).await;
    assert!(delete_backup(&held, &key).await.is_err());
    assert_eq!(
        super::keys(&held).await,
        before,
        "the manifest stays, and so does all of it"
    );

    let stopped = store
        .with_script(&[(Op::Delete, CutAfter(0)), (Op::Delete, Forbidden)])
        .location();
    assert!(delete_backup(&stopped, &key).await.is_err());
    assert!(!super::keys(&stopped).await.contains(&key));
    let rest = unreferenced_data(&stopped, LINE, in_hours(1))
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].slot, slot(1), "the sweep finds what was left");
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_was_edited_goes_and_its_data_is_swept() {
    let location = FailingStore::new(&[]).location();
    super::filled(&location).await;
    let key = manifest_key(LINE, &slot(1));
    tamper(&location, &key, |bytes| bytes.truncate(9)).await;
    let deleted = delete_backup(&location, &key).await.unwrap();
    assert_eq!(
        deleted,
        Deleted {
            manifest: true,
            files: 0,
            bytes: 0
        }
    );
    let rest = unreferenced_data(&location, LINE, in_hours(1))
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
}
