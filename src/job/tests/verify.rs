use object_store::ObjectStoreExt;

use super::*;
use crate::api::conditions::Reason;
use crate::api::order::VerifyOrder;

#[tokio::test]
async fn every_backup_is_looked_at_and_those_that_are_not_whole_are_named() {
    let bucket = Bucket::new();
    let mut manifests = Vec::new();
    for (slot, run) in SLOTS.iter().zip(["a1", "b2", "c3"]) {
        let exported = run_export(&new_run(run), slot, &bucket, &source())
            .await
            .unwrap();
        manifests.push(exported.manifest);
    }
    let order = VerifyOrder {
        storage: StorageLocationSpec::default(),
        manifests,
        bounds: bounds(),
    };
    let run = |order: VerifyOrder| async {
        let run = new_run("ab12");
        let result = execute(&run, &Order::Verify(order), &bucket.location, None).await;
        run.outcome(result).result
    };
    let whole = run(order.clone()).await;
    assert!(
        matches!(&whole, RunResult::Done { totals } if totals.records == 3 * 520),
        "{whole:?}"
    );

    let mut gone = bucket.keys_with("/parts/").await;
    gone.retain(|key| key.contains("/a1/") || key.contains("/c3/"));
    for key in &gone {
        let path = format!("prefix/{key}").into();
        bucket.store.delete(&path).await.unwrap();
    }
    let RunResult::Failed(failure) = run(order).await else {
        panic!("two backups lack their files")
    };
    assert_eq!(failure.reason, Reason::DataCorrupt);
    assert!(
        failure.message.contains("2 of 3 backups"),
        "{}",
        failure.message
    );
    assert!(failure.message.contains(SLOTS[0]) && failure.message.contains(SLOTS[2]));
    assert!(!failure.retryable);
}
