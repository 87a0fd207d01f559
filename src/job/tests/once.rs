//! An export is killed, or the store fails, at every single call that it makes to the store.

use super::*;
use crate::storage::testing::{FailingStore, Failure};

/// Runs the export until it ends or its pod is killed.
async fn first_run(store: &FailingStore, engine: &Arc<StandInEngine>) -> Option<RunResult> {
    let run = new_run("a1");
    let order = Order::Export(Box::new(export_order(SLOTS[0])));
    let location = store.location();
    let engine = Arc::clone(engine) as Arc<dyn Engine>;
    tokio::select! {
        biased;
        result = execute(&run, &order, &location, Some(engine)) => Some(run.outcome(result).result),
        () = store.killed() => None,
    }
}

/// The slot has one manifest, its backup is whole, and it is what the source held.
async fn check(bucket: &Bucket, what: &str) {
    let slots = catalog::list_slots(&bucket.location, &identity("").line(), None)
        .await
        .unwrap();
    assert_eq!(slots.len(), 1, "{what}");
    let target = target();
    let mut order = import_order_of(bucket, SLOTS[0]).await;
    order.verify = Verify::Equal;
    run_import(order, bucket, &target)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut expected = source().tables();
    expected.remove("empty");
    assert_eq!(target.tables(), expected, "{what}");
}

#[tokio::test(start_paused = true)]
async fn one_backup_a_slot_whatever_call_fails() {
    let clean = FailingStore::new(&[]);
    first_run(&clean, &source()).await;
    let calls = clean.all_calls();
    assert!(calls >= 8, "{calls}");
    let failures = [
        Failure::KilledBefore,
        Failure::KilledAfter,
        Failure::Unavailable,
        Failure::AnswerLost,
        Failure::Forbidden,
    ];
    for failure in failures {
        for number in 1..=calls {
            let what = format!("{failure:?} at call {number} of {calls}");
            let store = FailingStore::at_call(number, failure);
            let first = first_run(&store, &source()).await;
            let killed = matches!(failure, Failure::KilledBefore | Failure::KilledAfter);
            assert_eq!(first.is_none(), killed, "{what}: {first:?}");
            let bucket = Bucket {
                store: Arc::new(InMemory::new()),
                location: store.with_script(&[]).location(),
            };
            if let Some(RunResult::Exported(_)) = &first {
                check(&bucket, &what).await;
            }
            // The controller tries again, also after a success that it did not hear of.
            let again = run_export(&new_run("b2"), SLOTS[0], &bucket, &source())
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let committed = matches!(first, Some(RunResult::Exported(_)));
            assert!(again.adopted || !committed, "{what}");
            check(&bucket, &what).await;
        }
    }
}
