use super::*;
use crate::api::conditions::Reason;
use crate::manifest::Chain;
use crate::storage::testing::{FailingStore, Op};

#[tokio::test]
async fn a_backup_is_committed_with_all_that_was_read() {
    let (bucket, engine) = (Bucket::new(), source());
    let run = new_run("a1");
    let exported = run_export(&run, SLOTS[0], &bucket, &engine).await.unwrap();
    assert!(!exported.adopted);
    let manifest = bucket.manifest(SLOTS[0]).await;
    assert_eq!(manifest.totals.records, 520);
    // Three tables and what is made before them; the empty table has no file.
    assert_eq!((manifest.totals.parts, manifest.totals.files), (4, 2));
    assert_eq!(manifest.chain, Chain::Full);
    assert_eq!(manifest.source.engine, "influxdb");
    assert!(manifest.consistency_time >= now());
    let data = bucket.keys_with("/data/").await;
    assert_eq!(data.len(), 3, "{data:?}");
    assert!(data.iter().all(|key| key.contains("/a1/")));
    assert!(engine.called("finish_export"));
    assert!(engine.called("clean_up"));
}

#[tokio::test]
async fn a_slot_that_is_committed_is_adopted_before_anything_is_read() {
    let (bucket, engine) = (Bucket::new(), source());
    let first = run_export(&new_run("a1"), SLOTS[0], &bucket, &engine)
        .await
        .unwrap();
    let second = source();
    let again = run_export(&new_run("b2"), SLOTS[0], &bucket, &second)
        .await
        .unwrap();
    assert!(again.adopted);
    assert_eq!(again.manifest, first.manifest);
    assert!(!second.called("probe"));
    assert!(bucket.keys_with("/b2/").await.is_empty());
}

#[tokio::test]
async fn who_loses_the_race_adopts_the_winner() {
    let bucket = Bucket::new();
    let slow = Arc::new(StandInEngine {
        hangs_in: Some("cpu".to_owned()),
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 50)
    });
    let run = new_run("a1");
    let (exported, ()) = tokio::join!(run_export(&run, SLOTS[0], &bucket, &slow), async {
        slow.half_way.notified().await;
        run_export(&new_run("b2"), SLOTS[0], &bucket, &source())
            .await
            .unwrap();
        slow.go_on.notify_one();
    });
    let exported = exported.unwrap();
    assert!(exported.adopted);
    assert_eq!(bucket.manifest(SLOTS[0]).await.run_id, "b2");
}

#[tokio::test]
async fn a_void_slot_stays_void() {
    let (bucket, engine) = (Bucket::new(), source());
    catalog::void(
        &bucket.location,
        &identity(SLOTS[0]),
        "the run was lost",
        now(),
    )
    .await
    .unwrap();
    let error = run_export(&new_run("a1"), SLOTS[0], &bucket, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::SlotVoid);
    assert!(!error.retryable());
    assert!(bucket.keys_with("/data/").await.is_empty());
}

#[tokio::test]
async fn another_clusters_claim_stops_an_export_before_it_writes() {
    let (bucket, engine) = (Bucket::new(), source());
    let mut other = export_order(SLOTS[0]);
    other.identity.cluster_uid = "ffff".to_owned();
    let theirs = Order::Export(Box::new(other));
    let done = outcome(&new_run("a1"), theirs, &bucket, &engine).await;
    assert!(matches!(done.result, RunResult::Exported(_)), "{done:?}");
    let error = run_export(&new_run("b2"), SLOTS[1], &bucket, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::ClaimedByAnother);
    assert!(bucket.keys_with("/b2/").await.is_empty());
}

#[tokio::test]
async fn a_stop_in_the_middle_leaves_no_manifest_and_no_data() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        hangs_in: Some("cpu".to_owned()),
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 50)
    });
    let run = new_run("a1");
    let stop = run.clock.stop_token().clone();
    let (result, ()) = tokio::join!(run_export(&run, SLOTS[0], &bucket, &engine), async {
        engine.half_way.notified().await;
        stop.cancel();
    });
    let error = result.unwrap_err();
    assert!(matches!(error, JobError::Stopped), "{error}");
    assert!(error.retryable());
    assert!(engine.called("clean_up"));
    assert!(bucket.keys_with("/manifests/").await.is_empty());
    assert!(bucket.keys_with("/data/").await.is_empty());
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_file_aborts_its_upload() {
    let store = FailingStore::new(&[]);
    let bucket = Bucket {
        store: Arc::new(InMemory::new()),
        location: store.location(),
    };
    // Half of it is more than one piece of an upload.
    let record = "x".repeat(10_000);
    let table = (0..1400).map(|n| (format!("k{n:04}"), record.clone()));
    let engine = Arc::new(StandInEngine {
        hangs_in: Some("cpu".to_owned()),
        ..StandInEngine::new("http://primary:8086").with_records("cpu", table)
    });
    let mut order = export_order(SLOTS[0]);
    order.compression.codec = Codec::None;
    let run = new_run("a1");
    let stop = run.clock.stop_token().clone();
    let order = Order::Export(Box::new(order));
    let (outcome, ()) = tokio::join!(outcome(&run, order, &bucket, &engine), async {
        engine.half_way.notified().await;
        stop.cancel();
    });
    assert!(
        matches!(outcome.result, RunResult::Failed(_)),
        "{outcome:?}"
    );
    assert_eq!(store.calls(Op::Begin), 1);
    assert_eq!(store.aborted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_stopped() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        hangs_in: Some("cpu".to_owned()),
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 50)
    });
    let error = run_export(&new_run("a1"), SLOTS[0], &bucket, &engine)
        .await
        .unwrap_err();
    assert!(
        matches!(error, JobError::TimedOut { seconds: 600 }),
        "{error}"
    );
    assert!(bucket.keys_with("/manifests/").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_fails_the_run() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        breaks_in: Some("disk".to_owned()),
        ..StandInEngine::new("http://primary:8086")
            .with_table("cpu", 50)
            .with_table("disk", 5)
    });
    let error = run_export(&new_run("a1"), SLOTS[0], &bucket, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseError);
    assert!(error.retryable());
    assert!(bucket.keys_with("/manifests/").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_for_a_moment_is_read_again() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        breaks_in: Some("disk".to_owned()),
        breaks: 2.into(),
        ..StandInEngine::new("http://primary:8086")
            .with_table("cpu", 50)
            .with_table("disk", 5)
    });
    run_export(&new_run("a1"), SLOTS[0], &bucket, &engine)
        .await
        .unwrap();
    assert_eq!(bucket.manifest(SLOTS[0]).await.totals.records, 55);
    let files = bucket.keys_with("again3").await;
    assert_eq!(files.len(), 1, "{files:?}");
    run_import(import_order_of(&bucket, SLOTS[0]).await, &bucket, &target())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_window_builds_on_the_newest_backup() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        incremental: true,
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 5)
    });
    for slot in SLOTS {
        run_export(&new_run("a1"), slot, &bucket, &engine)
            .await
            .unwrap();
    }
    assert_eq!(bucket.manifest(SLOTS[0]).await.chain, Chain::Full);
    let chain = bucket.manifest(SLOTS[2]).await.chain;
    assert!(
        matches!(&chain, Chain::Incremental { base, previous, .. } if base == SLOTS[0] && previous == SLOTS[1]),
        "{chain:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_servers_words_does_not_get_out() {
    let bucket = Bucket::new();
    let engine = Arc::new(StandInEngine {
        breaks_in: Some("cpu".to_owned()),
        break_text: "login of admin with pa55w0rd failed".to_owned(),
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 5)
    });
    let order = Order::Export(Box::new(export_order(SLOTS[0])));
    let outcome = outcome(&new_run("a1"), order, &bucket, &engine).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let secrets = crate::secrets::Secrets::from_values(["pa55w0rd".to_owned()]);
    crate::job::report::write(&outcome, &secrets, file.path());
    let written = std::fs::read_to_string(file.path()).unwrap();
    assert!(!written.contains("pa55w0rd"), "{written}");
    let read: Outcome = serde_json::from_str(&written).unwrap();
    assert!(matches!(read.result, RunResult::Failed(_)));
}
