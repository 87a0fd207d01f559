//! A dump that a vendor's tool made goes the way of a backup.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;
use crate::api::conditions::Reason;

const PATH: &str = "dumps/2026-11-20";

/// A bucket with a dump of the tables that [`source`] has.
async fn bucket() -> Bucket {
    let bucket = Bucket::new();
    for (table, records) in source().tables() {
        let lines: Vec<String> = records
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        put(&bucket, &table, lines.concat().into_bytes()).await;
    }
    bucket
}

async fn put(bucket: &Bucket, name: &str, bytes: Vec<u8>) {
    let path = Path::from(format!("prefix/{PATH}/{name}"));
    let store = &bucket.store;
    store.put(&path, PutPayload::from(bytes)).await.unwrap();
}

fn order(path: &str) -> ImportOrder {
    ImportOrder {
        vendor_dump: Some(path.to_owned()),
        ..import_order(vec![])
    }
}

#[tokio::test]
async fn a_dump_is_imported_and_proven() {
    for verify in [
        Verify::None,
        Verify::Counts,
        Verify::Contains,
        Verify::Equal,
    ] {
        let (bucket, engine) = (bucket().await, target());
        let mut order = order(PATH);
        order.verify = verify;
        let imported = run_import(order, &bucket, &engine).await.unwrap();
        assert_eq!(imported.totals.records, 520);
        assert_eq!(imported.verified, verify);
        assert_eq!(imported.consistency_time, None);
        assert_eq!(engine.tables(), source().tables(), "{verify:?}");
    }
}

#[tokio::test]
async fn a_lost_record_is_found() {
    for verify in [Verify::Counts, Verify::Contains, Verify::Equal] {
        let bucket = bucket().await;
        let engine = Arc::new(StandInEngine {
            loses: Some("k000007".to_owned()),
            ..StandInEngine::new(TARGET_URL)
        });
        let mut order = order(PATH);
        order.verify = verify;
        let error = run_import(order, &bucket, &engine).await.unwrap_err();
        assert_eq!(error.reason(), Reason::VerificationFailed);
        let text = error.to_string();
        assert!(text.contains("vendor's dump dumps/2026-11-20"), "{text}");
    }
}

#[tokio::test]
async fn what_is_refused_before_the_target_is_touched() {
    type Change = fn(&mut ImportOrder);
    let cases: [(Change, Reason); 6] = [
        (
            |o| o.vendor_dump = Some("dumps/other".to_owned()),
            Reason::BackupNotFound,
        ),
        (
            |o| o.vendor_dump = Some("lifeboat/v1".to_owned()),
            Reason::NotSupported,
        ),
        (
            |o| o.vendor_dump = Some("../dumps".to_owned()),
            Reason::NotSupported,
        ),
        (|o| o.preflight = Preflight::Sizes, Reason::NotSupported),
        (
            |o| o.conflict_policy = ConflictPolicy::Replace,
            Reason::ConfirmationMissing,
        ),
        (|o| o.verify = Verify::Equal, Reason::NotSupported),
    ];
    let bucket = bucket().await;
    put(&bucket, "no-fingerprint", b"a=1\n".to_vec()).await;
    for (number, (change, reason)) in cases.into_iter().enumerate() {
        let engine = target();
        let mut order = order(PATH);
        change(&mut order);
        let error = run_import(order, &bucket, &engine).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{number}: {error}");
        assert!(!error.retryable());
        assert!(!engine.touched(), "{number}");
    }
    // Nobody knows whose dump it is, so what the target holds is asked about by `confirm`.
    let held = || Arc::new(StandInEngine::new(TARGET_URL).with_table("disk", 30));
    for (policy, confirm, reason) in [
        (ConflictPolicy::Fail, None, Some(Reason::TargetNotEmpty)),
        (
            ConflictPolicy::Overwrite,
            None,
            Some(Reason::ConfirmationMissing),
        ),
        (ConflictPolicy::Overwrite, Some(TARGET_URL), None),
    ] {
        let mut order = order(PATH);
        order.conflict_policy = policy;
        order.confirm = confirm.map(str::to_owned);
        let result = run_import(order, &bucket, &held()).await;
        assert_eq!(result.err().map(|error| error.reason()), reason);
    }
}

#[tokio::test]
async fn a_damaged_file_is_found_before_the_target_is_touched() {
    let bucket = bucket().await;
    put(&bucket, "cut", vec![0x1f, 0x8b, 8]).await;
    let engine = target();
    let error = run_import(order(PATH), &bucket, &engine).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DataCorrupt);
    assert!(error.to_string().contains("\"cut\""), "{error}");
    assert!(!engine.touched());
}

#[tokio::test]
async fn a_dry_run_and_a_drill() {
    let (bucket, engine) = (bucket().await, target());
    let mut dry = order(PATH);
    dry.dry_run = true;
    let run = new_run("a1");
    let found = outcome(&run, Order::Import(Box::new(dry)), &bucket, &engine).await;
    let said = found.warnings.join("\n");
    assert!(
        said.contains("520 records in 4 parts of the vendor's dump dumps/2026-11-20\n"),
        "{said}"
    );
    assert!(said.contains("said of the dump"), "{said}");
    assert!(!engine.touched());
    let mut drill = order(PATH);
    drill.drill_prefix = Some("lifeboat_drill_0a1b_".to_owned());
    run_import(drill, &bucket, &engine).await.unwrap();
    assert!(engine.called("drop_drill"));
}
