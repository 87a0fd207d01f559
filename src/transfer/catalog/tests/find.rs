use bytes::Bytes;

use crate::api::conditions::Reason;
use crate::manifest::chain::{Head, MAX_CHAIN};
use crate::manifest::line::manifest_key;
use crate::manifest::samples::{LINE, full, slot, time, window};
use crate::manifest::{Chain, Commit};
use crate::schedule::slot_name;
use crate::storage::testing::{FailingStore, Failure, Op, tamper};
use crate::transfer::TransferError;
use crate::transfer::catalog::{
    as_of, delete_backup, lines, list_slots, newest, newest_chain, read_backup, read_commit,
    restore_set,
};

fn slots(heads: &[Head]) -> Vec<String> {
    heads.iter().map(|head| head.slot.clone()).collect()
}

fn of(minutes: &[i64]) -> Vec<String> {
    minutes.iter().map(|minute| slot(*minute)).collect()
}

#[tokio::test(start_paused = true)]
async fn slots_are_listed_in_order() {
    for (location, _dir) in super::locations() {
        assert_eq!(list_slots(&location, LINE, None).await.unwrap(), []);
        super::filled(&location).await;
        for odd in [
            "latest.json",
            "20261120t101000z.json.tmp",
            "x/20261120t101000z.json",
            "20261399t101000z.json",
        ] {
            let key = format!("{LINE}/manifests/{odd}");
            location.put(&key, Bytes::from_static(b"{}")).await.unwrap();
        }
        // Another line whose name begins the same.
        let mut other = full(9);
        other.identity.schedule = Some("telemetry-2".to_owned());
        super::fill(&location, &[other]).await;
        for (after, expected) in [
            (None, of(&[0, 1, 2, 3, 5, 6])),
            (Some(2), of(&[3, 5, 6])),
            (Some(4), of(&[5, 6])),
            (Some(6), vec![]),
        ] {
            let after = after.map(slot);
            let found = list_slots(&location, LINE, after.as_deref()).await.unwrap();
            let found: Vec<String> = found.into_iter().map(|entry| entry.slot).collect();
            assert_eq!(found, expected, "{after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn newest_and_as_of() {
    let location = FailingStore::new(&[]).location();
    assert_eq!(newest(&location, LINE).await.unwrap(), None);
    super::filled(&location).await;
    super::void(&location, &full(7).identity, "lost", time(500))
        .await
        .unwrap();
    assert_eq!(
        super::slot_of(newest(&location, LINE).await.unwrap()),
        Some(slot(6))
    );
    for (second, expected) in [
        (9, None),
        (10, Some(0)),
        (69, Some(0)),
        (70, Some(1)),
        (200, Some(2)),
        (309, Some(2)),
        (310, Some(5)),
        (100_000, Some(6)),
    ] {
        let found = as_of(&location, LINE, time(second)).await.unwrap();
        assert_eq!(super::slot_of(found), expected.map(slot), "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn restore_sets_are_read_from_the_bucket() {
    for (location, _dir) in super::locations() {
        super::filled(&location).await;
        for (target, expected) in [
            (0, vec![0]),
            (2, vec![0, 1, 2]),
            (5, vec![5]),
            (6, vec![5, 6]),
        ] {
            let set = restore_set(&location, LINE, &slot(target)).await.unwrap();
            assert_eq!(slots(&set), of(&expected), "{target}");
            let last = set.last().unwrap().reference();
            assert!(
                read_backup(&location, &last.path, Some(&last.sha256))
                    .await
                    .is_ok()
            );
        }
        delete_backup(&location, &manifest_key(LINE, &slot(1)))
            .await
            .unwrap();
        for (target, reason, message) in [
            (
                2,
                Reason::ChainBroken,
                "20261120t100200z builds on 20261120t100100z",
            ),
            (
                1,
                Reason::BackupNotFound,
                "there is no backup at lifeboat/v1/prod/iot",
            ),
            (3, Reason::SlotVoid, "is void: its node went away"),
        ] {
            let error = restore_set(&location, LINE, &slot(target))
                .await
                .unwrap_err();
            assert_eq!(error.reason(), reason, "{target}");
            assert!(error.to_string().contains(message), "{error}");
            assert!(!error.retryable());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_window_may_build_on() {
    type Change = fn(&mut Vec<u8>);
    let edit: Change = |bytes| bytes.truncate(10);
    for (name, delete, tampered, base) in [
        ("whole", vec![], vec![], Some(5)),
        (
            "a window before the chain is gone",
            vec![1],
            vec![],
            Some(5),
        ),
        ("the newest is gone", vec![6], vec![], Some(5)),
        ("the full is gone", vec![5], vec![], None),
        ("the newest was edited", vec![], vec![6], None),
        ("the full was edited", vec![], vec![5], None),
        ("the newest two are gone", vec![6, 5], vec![], Some(0)),
        ("and the one before the newest", vec![6, 5, 1], vec![], None),
        ("all are gone", vec![0, 1, 2, 5, 6], vec![], None),
    ] {
        let location = FailingStore::new(&[]).location();
        super::filled(&location).await;
        for minute in delete {
            delete_backup(&location, &manifest_key(LINE, &slot(minute)))
                .await
                .unwrap();
        }
        for minute in tampered {
            tamper(&location, &manifest_key(LINE, &slot(minute)), edit).await;
        }
        let state = newest_chain(&location, LINE).await.unwrap();
        assert_eq!(state.map(|state| state.base), base.map(slot), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_ends_where_one_restore_could_not_bring_it() {
    let location = FailingStore::new(&[]).location();
    super::fill(&location, &[full(0), window(59, 0, 0)]).await;
    for (count, goes_on) in [(MAX_CHAIN - 3, true), (MAX_CHAIN - 2, false)] {
        for second in 1..=count {
            let between = slot_name(time(second.try_into().unwrap()));
            let key = manifest_key(LINE, &between);
            location.put(&key, Bytes::from_static(b"{}")).await.unwrap();
        }
        let state = newest_chain(&location, LINE).await.unwrap();
        assert_eq!(state.is_some(), goes_on, "{count} between");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_no_reason_for_a_full_backup() {
    let store = FailingStore::new(&[]);
    super::filled(&store.location()).await;
    let forbidden = store.with_script(&[(Op::Get, Failure::Forbidden)]);
    let error = newest_chain(&forbidden.location(), LINE).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn manifests_that_can_not_be_trusted() {
    let location = FailingStore::new(&[]).location();
    super::fill(&location, &[full(0), window(1, 0, 0)]).await;
    let key = manifest_key(LINE, &slot(1));
    let good = location.get_small(&key, 1 << 20).await.unwrap().unwrap();
    let (commit, reference) = read_commit(&location, &key, None).await.unwrap();
    let Commit::Backup(manifest) = commit else {
        panic!("no backup");
    };
    assert!(matches!(manifest.chain, Chain::Incremental { .. }));
    let moved = manifest_key(LINE, &slot(9));
    location.put(&moved, Bytes::from(good)).await.unwrap();
    let error = read_commit(&location, &moved, None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ManifestInvalid);
    assert!(
        error.to_string().contains("it was moved or edited"),
        "{error}"
    );
    delete_backup(&location, &moved).await.unwrap();

    // A change that is still a manifest shows by its digest, any other by itself.
    tamper(&location, &key, |bytes| bytes.push(b' ')).await;
    assert!(read_commit(&location, &key, None).await.is_ok());
    let error = read_commit(&location, &key, Some(&reference.sha256))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it was edited after it was written"),
        "{error}"
    );
    assert_eq!(error.reason(), Reason::ManifestInvalid);
    tamper(&location, &key, |bytes| bytes[0] = b'[').await;
    for error in [
        read_commit(&location, &key, None).await.map(|_| ()),
        newest(&location, LINE).await.map(|_| ()),
        restore_set(&location, LINE, &slot(1)).await.map(|_| ()),
    ] {
        assert!(matches!(error, Err(TransferError::Manifest { path, .. }) if path == key));
    }
    let large = Bytes::from(vec![b' '; 70_000]);
    location.put(&key, large).await.unwrap();
    let error = read_commit(&location, &key, None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ManifestInvalid);
}

#[tokio::test(start_paused = true)]
async fn the_bucket_alone_says_what_is_in_it() {
    for (location, _dir) in super::locations() {
        assert_eq!(lines(&location, None).await.unwrap(), []);
        super::filled(&location).await;
        let mut single = full(8);
        single.identity.schedule = None;
        let mut other = full(9);
        other.identity.cluster = "edge".to_owned();
        super::fill(&location, &[single, other]).await;
        for odd in [
            "prod/claims/1.json",
            "prod/iot/other/x/y.json",
            "Prod/iot/schedules/x/manifests/y.json",
        ] {
            let key = format!("lifeboat/v1/{odd}");
            location.put(&key, Bytes::from_static(b"{}")).await.unwrap();
        }
        let single = format!("lifeboat/v1/prod/iot/backups/telemetry-{}", slot(8));
        let edge = "lifeboat/v1/edge/iot/schedules/telemetry";
        for (cluster, expected) in [
            (None, vec![edge, LINE, &single]),
            (Some("edge"), vec![edge]),
            (Some("prod"), vec![LINE, &single]),
            (Some("other"), vec![]),
        ] {
            let found = lines(&location, cluster).await.unwrap();
            let found: Vec<String> = found.iter().map(crate::manifest::Line::path).collect();
            assert_eq!(found, expected, "{cluster:?}");
        }
    }
}
