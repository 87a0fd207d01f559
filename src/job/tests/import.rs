use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;
use crate::api::conditions::Reason;

/// A backup in a bucket, and the reference to it.
async fn backup() -> (Bucket, ManifestRef) {
    let bucket = Bucket::new();
    let exported = run_export(&new_run("a1"), SLOTS[0], &bucket, &source())
        .await
        .unwrap();
    (bucket, exported.manifest)
}

fn path_of(key: &str) -> Path {
    Path::from(format!("prefix/{key}"))
}

#[tokio::test]
async fn what_was_exported_is_imported_and_proven() {
    let (bucket, reference) = backup().await;
    for verify in [
        Verify::None,
        Verify::Counts,
        Verify::Contains,
        Verify::Equal,
    ] {
        let engine = target();
        let mut order = import_order(vec![reference.clone()]);
        order.verify = verify;
        let imported = run_import(order, &bucket, &engine).await.unwrap();
        assert_eq!(imported.totals.records, 520);
        assert_eq!(imported.verified, verify);
        let manifest = bucket.manifest(SLOTS[0]).await;
        assert_eq!(imported.consistency_time, Some(manifest.consistency_time));
        let (mut expected, seen) = (source().tables(), engine.tables());
        expected.remove("empty");
        assert_eq!(seen, expected, "{verify:?}");
    }
}

#[tokio::test]
async fn damage_is_found_before_the_target_is_touched() {
    type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;
    let damages: [(&str, Damage); 3] = [
        ("missing", |_| None),
        ("truncated", |mut bytes| {
            bytes.truncate(bytes.len() / 2);
            Some(bytes)
        }),
        ("flipped", |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Some(bytes)
        }),
    ];
    for (name, damage) in damages {
        for part in ["/parts/", "parts.jsonl.zst"] {
            let (bucket, reference) = backup().await;
            let key = bucket.keys_with(part).await.remove(0);
            let path = path_of(&key);
            let bytes = bucket
                .store
                .get(&path)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            match damage(bytes.to_vec()) {
                Some(bytes) => {
                    bucket
                        .store
                        .put(&path, PutPayload::from(bytes))
                        .await
                        .unwrap();
                }
                None => bucket.store.delete(&path).await.unwrap(),
            }
            let engine = target();
            let error = run_import(import_order(vec![reference]), &bucket, &engine)
                .await
                .unwrap_err();
            assert_eq!(
                error.reason(),
                Reason::DataCorrupt,
                "{name} {part}: {error}"
            );
            assert!(error.to_string().contains(&key), "{name} {part}: {error}");
            assert!(!engine.touched(), "{name} {part}");
            assert!(!error.retryable());
        }
    }
}

#[tokio::test]
async fn a_manifest_edited_by_hand_is_refused() {
    let (bucket, reference) = backup().await;
    let path = path_of(&reference.path);
    let bytes = bucket
        .store
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let edited = text.replace("\"records\": 520", "\"records\": 521");
    assert_ne!(edited, text);
    bucket
        .store
        .put(&path, PutPayload::from(edited))
        .await
        .unwrap();
    let engine = target();
    let error = run_import(import_order(vec![reference]), &bucket, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::ManifestInvalid, "{error}");
    assert!(!engine.touched());
}

#[tokio::test]
async fn a_target_that_holds_data_is_left_alone() {
    use ConflictPolicy::{Fail, Overwrite, Replace};
    let (bucket, reference) = backup().await;
    let url = Some(TARGET_URL);
    let cases = [
        (Fail, None, Some(Reason::TargetNotEmpty)),
        (Overwrite, None, Some(Reason::ConfirmationMissing)),
        (Replace, None, Some(Reason::ConfirmationMissing)),
        (Overwrite, url, None),
        (Replace, url, None),
    ];
    for (policy, confirm, expected) in cases {
        let engine = Arc::new(StandInEngine::new(TARGET_URL).with_table("disk", 30));
        let mut order = import_order(vec![reference.clone()]);
        order.conflict_policy = policy;
        order.confirm = confirm.map(str::to_owned);
        let result = run_import(order, &bucket, &engine).await;
        assert_eq!(
            result.as_ref().err().map(JobError::reason),
            expected,
            "{policy:?}: {result:?}"
        );
        assert_eq!(engine.touched(), expected.is_none(), "{policy:?}");
        let left = engine
            .tables()
            .get("disk")
            .map(std::collections::BTreeMap::len);
        let records = if policy == Replace && expected.is_none() {
            20
        } else {
            30
        };
        assert_eq!(left, Some(records), "{policy:?}");
    }
}

#[tokio::test]
async fn a_restore_into_its_own_source_needs_the_word() {
    let (bucket, reference) = backup().await;
    let own = "http://primary:8086";
    for (confirm, good) in [
        (None, false),
        (Some(own), false),
        (Some("source http://primary:8086"), true),
    ] {
        let engine = Arc::new(StandInEngine::new(own));
        let mut order = import_order(vec![reference.clone()]);
        order.target.influxdb.as_mut().unwrap().url = own.to_owned();
        order.confirm = confirm.map(str::to_owned);
        let result = run_import(order, &bucket, &engine).await;
        let reason = result.err().map(|error| error.reason());
        assert_eq!(
            reason,
            (!good).then_some(Reason::TargetIsSource),
            "{confirm:?}"
        );
        assert_eq!(engine.touched(), good);
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_happen() {
    let (bucket, reference) = backup().await;
    let engine = target();
    let mut order = import_order(vec![reference]);
    order.dry_run = true;
    let run = new_run("ab12");
    let outcome = outcome(&run, Order::Import(Box::new(order)), &bucket, &engine).await;
    assert!(
        matches!(outcome.result, RunResult::Imported(_)),
        "{outcome:?}"
    );
    assert!(!engine.touched());
    let words = outcome.warnings.join("\n");
    assert!(words.contains("would import 520 records"), "{words}");
    assert!(words.contains("cpu comes in"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_import_says_how_many_parts_were_applied() {
    let (bucket, reference) = backup().await;
    let engine = Arc::new(StandInEngine {
        breaks_in: Some("disk".to_owned()),
        ..StandInEngine::new(TARGET_URL)
    });
    let mut order = import_order(vec![reference]);
    order.limits.parallelism = Some(1);
    let error = run_import(order.clone(), &bucket, &engine)
        .await
        .unwrap_err();
    let failure = error.failure();
    assert_eq!(failure.reason, Reason::DatabaseError);
    assert_eq!(failure.applied_parts, 1);
    assert!(
        failure.message.contains("1 part was applied before"),
        "{}",
        failure.message
    );
    // Another attempt would find the target not empty.
    assert!(!failure.retryable);

    order.conflict_policy = ConflictPolicy::Overwrite;
    order.confirm = Some(TARGET_URL.to_owned());
    let error = run_import(order, &bucket, &engine).await.unwrap_err();
    assert!(error.failure().retryable);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_for_a_moment_is_written_again() {
    let (bucket, reference) = backup().await;
    let engine = Arc::new(StandInEngine {
        breaks_in: Some("cpu".to_owned()),
        breaks: 2.into(),
        ..StandInEngine::new(TARGET_URL)
    });
    let imported = run_import(import_order(vec![reference]), &bucket, &engine)
        .await
        .unwrap();
    assert_eq!(imported.totals.records, 520);
}

#[tokio::test]
async fn refused_records_are_counted_and_named() {
    let (bucket, reference) = backup().await;
    let engine = Arc::new(StandInEngine {
        refuses: vec!["k000003".to_owned(), "k000004".to_owned()],
        ..StandInEngine::new(TARGET_URL)
    });
    let failure = run_import(import_order(vec![reference]), &bucket, &engine)
        .await
        .unwrap_err()
        .failure();
    assert_eq!(failure.reason, Reason::RecordsRefused);
    // In both tables.
    assert!(
        failure.message.contains("refused 4 records"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("k000003: type conflict"),
        "{}",
        failure.message
    );
    assert_eq!(failure.applied_parts, 2);
    assert!(!failure.retryable);
}

#[tokio::test]
async fn a_target_that_lost_a_record_is_not_verified() {
    let (bucket, reference) = backup().await;
    for verify in [Verify::Counts, Verify::Contains, Verify::Equal] {
        let engine = Arc::new(StandInEngine {
            loses: Some("k000007".to_owned()),
            ..StandInEngine::new(TARGET_URL)
        });
        let mut order = import_order(vec![reference.clone()]);
        order.verify = verify;
        let failure = run_import(order, &bucket, &engine)
            .await
            .unwrap_err()
            .failure();
        assert_eq!(failure.reason, Reason::VerificationFailed, "{verify:?}");
        assert!(
            failure.message.contains("2 parts differ"),
            "{}",
            failure.message
        );
        assert!(!engine.called("finish_import"));
    }
}

#[tokio::test]
async fn what_a_target_lost_once_is_written_again() {
    let (bucket, reference) = backup().await;
    for verify in [Verify::Counts, Verify::Contains, Verify::Equal] {
        let engine = Arc::new(StandInEngine {
            loses_once: std::sync::Mutex::new(Some("k000007".to_owned())),
            ..StandInEngine::new(TARGET_URL)
        });
        let mut order = import_order(vec![reference.clone()]);
        order.verify = verify;
        run_import(order, &bucket, &engine).await.unwrap();
        assert!(engine.loses_once.lock().unwrap().is_none(), "{verify:?}");
        assert!(engine.called("finish_import"));
    }
}

#[tokio::test]
async fn a_chain_is_imported_in_order_and_proven_link_by_link() {
    let bucket = Bucket::new();
    let mut references = Vec::new();
    for (number, slot) in SLOTS.iter().enumerate() {
        let engine = Arc::new(StandInEngine {
            incremental: true,
            ..StandInEngine::new("http://primary:8086").with_table("cpu", 10 * (number + 1))
        });
        let exported = run_export(&new_run("a1"), slot, &bucket, &engine)
            .await
            .unwrap();
        references.push(exported.manifest);
    }
    let engine = Arc::new(StandInEngine::new(TARGET_URL).with_table("old", 3));
    let mut order = import_order(references.clone());
    order.conflict_policy = ConflictPolicy::Replace;
    order.confirm = Some(TARGET_URL.to_owned());
    order.verify = Verify::Contains;
    run_import(order, &bucket, &engine).await.unwrap();
    // Dropped once, not again before each window.
    assert_eq!(
        engine
            .tables()
            .get("cpu")
            .map(std::collections::BTreeMap::len),
        Some(30)
    );
    assert!(!engine.tables().contains_key("old"));

    // A gap, and a window before its full backup.
    for wrong in [vec![0, 2], vec![1, 0]] {
        let engine = target();
        let some = wrong.iter().map(|n| references[*n].clone()).collect();
        let error = run_import(import_order(some), &bucket, &engine)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::ChainBroken, "{wrong:?}");
        assert!(!engine.touched());
    }
}

#[tokio::test(start_paused = true)]
async fn a_drill_drops_what_it_made_and_nothing_else() {
    let (bucket, reference) = backup().await;
    let mut order = import_order(vec![reference]);
    order.drill_prefix = Some("drill_77aa_".to_owned());

    let engine = target();
    run_import(order.clone(), &bucket, &engine).await.unwrap();
    assert!(engine.called("drop_drill"));

    let broken = Arc::new(StandInEngine {
        breaks_in: Some("disk".to_owned()),
        ..StandInEngine::new(TARGET_URL)
    });
    run_import(order.clone(), &bucket, &broken)
        .await
        .unwrap_err();
    assert!(broken.called("drop_drill"));

    let taken = Arc::new(StandInEngine::new(TARGET_URL).with_table("cpu", 1));
    let error = run_import(order, &bucket, &taken).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    assert!(!taken.called("drop_drill"));
    assert_eq!(taken.tables().len(), 1);
}

/// The pod of an earlier attempt was killed before it dropped what it made.
#[tokio::test(start_paused = true)]
async fn a_drill_that_is_tried_again_drops_what_its_earlier_attempt_left() {
    let (bucket, reference) = backup().await;
    let mut order = import_order(vec![reference]);
    order.drill_prefix = Some("drill_77aa_".to_owned());
    order.drill_again = true;
    let engine = Arc::new(StandInEngine::new(TARGET_URL).with_table("cpu", 1));
    run_import(order.clone(), &bucket, &engine).await.unwrap();
    let calls = engine.calls.lock().unwrap().clone();
    let drops = calls.iter().filter(|call| call.starts_with("drop_drill"));
    assert_eq!(drops.count(), 2, "{calls:?}");
    let first = |what: &str| calls.iter().position(|call| call.starts_with(what));
    assert!(first("drop_drill") < first("target_state"), "{calls:?}");

    // Without a drill's own names nothing is dropped, whatever the order says.
    order.drill_prefix = None;
    let taken = Arc::new(StandInEngine::new(TARGET_URL).with_table("cpu", 1));
    let error = run_import(order.clone(), &bucket, &taken)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    assert!(!taken.called("drop_drill"));
    // And nothing before every file was looked at.
    order.drill_prefix = Some("drill_77aa_".to_owned());
    order.manifests[0].sha256 = "0".repeat(64);
    run_import(order, &bucket, &taken).await.unwrap_err();
    assert!(!taken.called("drop_drill"));
}

#[tokio::test]
async fn a_pod_that_comes_late_imports_nothing() {
    let late: jiff::Timestamp = "2026-11-20T11:00:00Z".parse().unwrap();
    let error = Run::start("ab12".to_owned(), &bounds(), late).unwrap_err();
    assert_eq!(error.reason(), Reason::TimedOut);
    assert!(error.to_string().contains("nothing was done"), "{error}");
}
