//! Storage and transfer against a real S3 server, such as versitygw.
//!
//! Runs where these are set, and is skipped where they are not:
//!
//! - `LIFEBOAT_TEST_S3_ENDPOINT`: for example `http://127.0.0.1:7070`
//! - `LIFEBOAT_TEST_S3_BUCKET`: a bucket that is there and may be filled
//! - `LIFEBOAT_TEST_S3_ACCESS_KEY`, `LIFEBOAT_TEST_S3_SECRET_KEY`: keys that may write to it
//! - `LIFEBOAT_TEST_S3_READ_ACCESS_KEY`, `LIFEBOAT_TEST_S3_READ_SECRET_KEY`: keys that may only read
//!   it; without them the tests of reading are skipped
//! - `LIFEBOAT_TEST_S3_TLS_ENDPOINT`, `LIFEBOAT_TEST_S3_TLS_CA`: the same server by TLS, and the path
//!   of its CA's certificate; without them the tests of TLS are skipped
//!
//! The image has no system certificates. `SSL_CERT_FILE=/none SSL_CERT_DIR=/none` makes a machine
//! look like that; all tests must pass with it too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod copies;
mod faults;
mod proxy;
mod setup;

use jiff::Timestamp;
use lifeboat::api::common::Codec;
use lifeboat::api::conditions::Reason;
use lifeboat::api::restore::Preflight;
use lifeboat::api::storage_location::AccessMode;
use lifeboat::storage::{Claimant, Created, validate};
use lifeboat::transfer::{RecordSink, check_file};
use setup::{DIR, ME, Setup, noise, read_all, var, writer};

#[tokio::test]
async fn parts_go_round_in_pieces() {
    let Some(setup) = Setup::get() else { return };
    let location = setup.open().unwrap();
    for size in [1, 4 << 20, (12 << 20) + 17] {
        let records = noise(size);
        let mut writer = writer(&location, &format!("size-{size}"));
        for start in (0..size).step_by(1 << 20) {
            let end = size.min(start + (1 << 20));
            writer.write(records.slice(start..end)).await.unwrap();
        }
        let files = writer.finish().await.unwrap();
        assert!(
            read_all(&location, &files).await.unwrap() == records,
            "{size}"
        );
        for mode in [Preflight::Digests, Preflight::Sizes] {
            check_file(&location, DIR, &files[0], Codec::Zstd, mode)
                .await
                .unwrap();
        }
        let mut other = files[0].clone();
        other.path = "size-none.0001.lp.zst".to_owned();
        let error = check_file(&location, DIR, &other, Codec::Zstd, Preflight::Digests).await;
        assert_eq!(error.unwrap_err().reason(), Reason::DataCorrupt);
    }
    let skew = location
        .server_date()
        .await
        .unwrap()
        .duration_since(Timestamp::now());
    assert!(skew.abs() < jiff::SignedDuration::from_mins(2), "{skew:?}");
}

#[tokio::test]
async fn an_aborted_upload_leaves_no_object() {
    let Some(setup) = Setup::get() else { return };
    let location = setup.open().unwrap();
    let mut writer = writer(&location, "aborted");
    writer.write(noise(12 << 20)).await.unwrap();
    writer.abort().await;
    let left = location.list_sorted("lifeboat/v1", None, 10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn of_sixteen_creators_one_wins() {
    let Some(setup) = Setup::get() else { return };
    let location = setup.open().unwrap();
    let key = "lifeboat/v1/prod/iot/schedules/t/manifests/20261120t101500z.json";
    let racing = (0..16).map(|n| {
        let location = location.clone();
        async move {
            location
                .put_create(key, format!("run {n}").into_bytes())
                .await
        }
    });
    let results = futures::future::join_all(racing).await;
    let won: Vec<usize> = results
        .iter()
        .enumerate()
        .filter(|(_, r)| *r.as_ref().unwrap() == Created::Created)
        .map(|(n, _)| n)
        .collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let stored = location.get_small(key, 100).await.unwrap().unwrap();
    assert_eq!(stored, format!("run {}", won[0]).into_bytes());
    // The same bytes once more: an answer that was lost.
    assert_eq!(
        location.put_create(key, stored).await.unwrap(),
        Created::Created
    );
    location.delete(key).await.unwrap();
    assert_eq!(location.get_small(key, 100).await.unwrap(), None);
    location.delete(key).await.unwrap();
}

#[tokio::test]
async fn listings_go_on_after_a_key() {
    let Some(setup) = Setup::get() else { return };
    let location = setup.open().unwrap();
    let dir = "lifeboat/v1/prod/iot/schedules/t/manifests";
    for n in 0..25 {
        location
            .put_create(&format!("{dir}/{n:03}.json"), vec![b'x'])
            .await
            .unwrap();
    }
    let after = format!("{dir}/019.json");
    let keys: Vec<String> = location
        .list_sorted(dir, Some(&after), 100)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    let expected: Vec<String> = (20..25).map(|n| format!("{dir}/{n:03}.json")).collect();
    assert_eq!(keys, expected);
    assert_eq!(
        location.list_dirs("lifeboat/v1/prod").await.unwrap(),
        ["iot"]
    );
    assert!(
        location
            .list_sorted("lifeboat/v1/none", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn each_fault_has_its_reason() {
    let Some(setup) = Setup::get() else { return };
    let location = setup.open().unwrap();
    let checked = validate(&location, &ME, Timestamp::now()).await.unwrap();
    assert!(checked.claim.unwrap().new);
    assert!(checked.clock_skew.is_some());
    let again = validate(&location, &ME, Timestamp::now()).await.unwrap();
    assert!(!again.claim.unwrap().new);

    let with = |change: &dyn Fn(&mut Setup)| {
        let mut changed = setup.clone();
        change(&mut changed);
        changed
    };
    for (changed, reason) in [
        (
            with(&|s| s.access_key = "nobody-knows-me".to_owned()),
            Reason::InvalidAccessKey,
        ),
        (
            with(&|s| s.secret_key = "this-is-wrong-1".to_owned()),
            Reason::InvalidSecretKey,
        ),
        (
            with(&|s| s.bucket = "no-such-bucket-here".to_owned()),
            Reason::BucketNotFound,
        ),
        (
            with(&|s| s.endpoint = "http://127.0.0.1:1".to_owned()),
            Reason::Unreachable,
        ),
        (
            with(&|s| s.endpoint = "http://nowhere.invalid".to_owned()),
            Reason::Unreachable,
        ),
        (
            with(&|s| s.endpoint = s.endpoint.replace("http://", "https://")),
            Reason::TlsFailed,
        ),
    ] {
        let started = std::time::Instant::now();
        let error = changed.fault().await;
        assert_eq!(error.reason, reason, "{error}");
        assert!(
            started.elapsed().as_secs() < 45,
            "{reason}: {:?}",
            started.elapsed()
        );
    }
    let other = Claimant {
        cluster_uid: "7d9b0e7a-0000-4000-8000-000000000002",
        ..ME
    };
    let error = validate(&location, &other, Timestamp::now())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ClaimedByAnother);
}

#[tokio::test]
async fn keys_that_can_only_read() {
    let Some(setup) = Setup::get() else { return };
    let (Some(access_key), Some(secret_key)) = (var("READ_ACCESS_KEY"), var("READ_SECRET_KEY"))
    else {
        return;
    };
    let key = "lifeboat/v1/prod/x";
    let reader = Setup {
        access_key,
        secret_key,
        mode: AccessMode::ReadOnly,
        ..setup.clone()
    };
    // Empty, then with an object.
    validate(&reader.open().unwrap(), &ME, Timestamp::now())
        .await
        .unwrap();
    setup
        .open()
        .unwrap()
        .put_create(key, vec![b'x'])
        .await
        .unwrap();
    let location = reader.open().unwrap();
    assert_eq!(
        validate(&location, &ME, Timestamp::now())
            .await
            .unwrap()
            .claim,
        None
    );
    assert_eq!(location.get_small(key, 10).await.unwrap().unwrap(), b"x");
    let error = location.put_create(key, vec![b'y']).await.unwrap_err();
    assert_eq!(error.reason, Reason::StorageReadOnly);

    // The store itself refuses, whatever the access mode says.
    let writing = Setup {
        mode: AccessMode::ReadWrite,
        ..reader
    };
    let location = writing.open().unwrap();
    for error in [
        location
            .put_create("lifeboat/v1/prod/y", vec![b'y'])
            .await
            .unwrap_err(),
        location.delete(key).await.unwrap_err(),
        writing.fault().await,
    ] {
        assert_eq!(error.reason, Reason::AccessDenied, "{error}");
        assert!(!error.retryable);
    }
}

#[tokio::test]
async fn tls_with_and_without_the_ca() {
    let Some(setup) = Setup::get() else { return };
    let (Some(endpoint), Some(ca)) = (var("TLS_ENDPOINT"), var("TLS_CA")) else {
        return;
    };
    let with = Setup {
        endpoint,
        ca: Some(std::fs::read(ca).unwrap()),
        ..setup
    };
    validate(&with.open().unwrap(), &ME, Timestamp::now())
        .await
        .unwrap();
    let without = Setup {
        ca: None,
        ..with.clone()
    };
    assert_eq!(without.fault().await.reason, Reason::TlsFailed);
    let plain = Setup {
        endpoint: with.endpoint.replace("https://", "http://"),
        ..with
    };
    let error = plain.fault().await;
    assert!(
        matches!(
            error.reason,
            Reason::Unreachable | Reason::StoreError | Reason::TlsFailed
        ),
        "{error}"
    );
}
