use object_store::{ObjectStoreExt, PutPayload};

use super::*;
use crate::api::conditions::Reason;
use crate::api::order::PruneOrder;

/// A line with three full backups, and what is left of a run that never committed.
async fn line() -> Bucket {
    let bucket = Bucket::new();
    for (slot, run) in SLOTS.iter().zip(["a1", "b2", "c3"]) {
        run_export(&new_run(run), slot, &bucket, &source())
            .await
            .unwrap();
    }
    let left = format!(
        "prefix/{}/parts/000001.0001.lp.zst",
        identity(SLOTS[0]).data_dir("dead")
    );
    bucket
        .store
        .put(&left.into(), PutPayload::from("left"))
        .await
        .unwrap();
    bucket
}

fn order(delete: &[&str]) -> PruneOrder {
    PruneOrder {
        storage: StorageLocationSpec::default(),
        identity: identity(""),
        delete: delete
            .iter()
            .map(|slot| identity(slot).manifest_key())
            .collect(),
        sweep_before: jiff::Timestamp::UNIX_EPOCH,
        bounds: bounds(),
    }
}

async fn run_prune(order: PruneOrder, bucket: &Bucket) -> Outcome {
    let run = new_run("ab12");
    let result = execute(&run, &Order::Prune(order), &bucket.location, None).await;
    run.outcome(result)
}

#[tokio::test]
async fn what_retention_does_not_keep_goes_with_its_files() {
    let bucket = line().await;
    let outcome = run_prune(order(&SLOTS[..2]), &bucket).await;
    let RunResult::Done { totals } = &outcome.result else {
        panic!("{outcome:?}")
    };
    assert_eq!((totals.parts, totals.files), (2, 6));
    assert_eq!(bucket.keys_with("/manifests/").await.len(), 1);
    let data = bucket.keys_with("/data/").await;
    assert!(
        data.iter()
            .all(|key| key.contains("/c3/") || key.contains("/dead/")),
        "{data:?}"
    );
}

#[tokio::test]
async fn the_newest_backup_stays_whatever_the_order_says() {
    let bucket = line().await;
    let outcome = run_prune(order(&SLOTS), &bucket).await;
    assert!(
        matches!(outcome.result, RunResult::Done { .. }),
        "{outcome:?}"
    );
    assert!(
        outcome.warnings[0].contains(SLOTS[2]),
        "{:?}",
        outcome.warnings
    );
    let left = bucket.keys_with("/manifests/").await;
    assert_eq!(left, [identity(SLOTS[2]).manifest_key()]);
}

#[tokio::test]
async fn data_without_a_manifest_goes_once_it_is_old_enough() {
    let bucket = line().await;
    run_prune(order(&[]), &bucket).await;
    assert_eq!(bucket.keys_with("/dead/").await.len(), 1);
    let mut old = order(&[]);
    old.sweep_before = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    let outcome = run_prune(old, &bucket).await;
    assert!(matches!(&outcome.result, RunResult::Done { totals } if totals.files == 1));
    assert!(bucket.keys_with("/dead/").await.is_empty());
    assert_eq!(bucket.keys_with("/data/").await.len(), 9);
}

#[tokio::test]
async fn a_manifest_that_cant_be_read_stops_pruning() {
    let bucket = line().await;
    let key = format!("prefix/{}", identity(SLOTS[1]).manifest_key());
    bucket
        .store
        .put(&key.into(), PutPayload::from("{}"))
        .await
        .unwrap();
    let outcome = run_prune(order(&SLOTS[..1]), &bucket).await;
    assert!(
        matches!(&outcome.result, RunResult::Failed(failure) if failure.reason == Reason::ManifestInvalid),
        "{outcome:?}"
    );
    assert_eq!(bucket.keys_with("/manifests/").await.len(), 3);
}

#[tokio::test]
async fn another_clusters_line_is_not_pruned() {
    let bucket = line().await;
    let mut theirs = order(&SLOTS[..1]);
    theirs.identity.cluster_uid = "ffff".to_owned();
    let outcome = run_prune(theirs, &bucket).await;
    assert!(
        matches!(&outcome.result, RunResult::Failed(failure) if failure.reason == Reason::ClaimedByAnother),
        "{outcome:?}"
    );
    assert_eq!(bucket.keys_with("/manifests/").await.len(), 3);
}
