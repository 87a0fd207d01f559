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

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use lifeboat::api::common::{Codec, Compression};
use lifeboat::api::conditions::Reason;
use lifeboat::api::restore::Preflight;
use lifeboat::api::storage_location::{AccessMode, S3Location, StorageLocationSpec};
use lifeboat::storage::{
    Claimant, Created, Location, StorageCredentials, StorageError, open, validate,
};
use lifeboat::transfer::{
    PartFormat, PartReader, PartWriter, RecordSink, RecordSource, Throttle, UploadBudget,
    check_file,
};

fn var(name: &str) -> Option<String> {
    std::env::var(format!("LIFEBOAT_TEST_S3_{name}")).ok()
}

/// What a test may change of a location.
#[derive(Clone)]
struct Setup {
    endpoint: String,
    bucket: String,
    access_key: String,
    secret_key: String,
    mode: AccessMode,
    ca: Option<Vec<u8>>,
    prefix: String,
}

impl Setup {
    /// The writable location below a prefix of its own; none where the tests are not asked for.
    fn get() -> Option<Self> {
        let endpoint = var("ENDPOINT")?;
        Some(Self {
            endpoint,
            bucket: var("BUCKET").expect("LIFEBOAT_TEST_S3_BUCKET"),
            access_key: var("ACCESS_KEY").expect("LIFEBOAT_TEST_S3_ACCESS_KEY"),
            secret_key: var("SECRET_KEY").expect("LIFEBOAT_TEST_S3_SECRET_KEY"),
            mode: AccessMode::ReadWrite,
            ca: None,
            prefix: format!("test-{}", uuid::Uuid::new_v4()),
        })
    }

    fn open(&self) -> Result<Location, StorageError> {
        let spec = StorageLocationSpec {
            s3: Some(S3Location {
                bucket: self.bucket.clone(),
                prefix: self.prefix.clone(),
                endpoint: Some(self.endpoint.clone()),
                force_path_style: true,
                region: None,
            }),
            access_mode: self.mode,
            ..StorageLocationSpec::default()
        };
        let keys = StorageCredentials {
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone().into(),
            session_token: None,
        };
        open(&spec, Some(&keys), self.ca.as_deref(), Path::new("/"))
    }

    async fn fault(&self) -> StorageError {
        let location = self.open().unwrap();
        let error = validate(&location, &ME, Timestamp::now())
            .await
            .unwrap_err();
        for secret in [&self.secret_key, &self.access_key] {
            assert!(!error.message.contains(secret.as_str()), "{error}");
            assert!(!format!("{error:?}").contains(secret.as_str()), "{error:?}");
        }
        error
    }
}

const ME: Claimant<'static> = Claimant {
    cluster: "prod",
    cluster_uid: "7d9b0e7a-0000-4000-8000-000000000001",
    take_over_from: None,
};
const DIR: &str = "lifeboat/v1/prod/iot/schedules/t/data/20261120t101500z/run-1";

fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = Vec::with_capacity(bytes + 8);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(&state.to_le_bytes());
    }
    text.truncate(bytes);
    text.into()
}

fn writer(location: &Location, stem: &str) -> PartWriter {
    let format = PartFormat {
        stem: stem.to_owned(),
        extension: "lp".to_owned(),
        header: Bytes::new(),
        compression: Compression {
            codec: Codec::Zstd,
            level: None,
        },
        max_file_bytes: PartFormat::MAX_FILE_BYTES,
    };
    PartWriter::create(
        location.clone(),
        DIR,
        format,
        UploadBudget::new(1),
        Throttle::unlimited(),
    )
}

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
        let throttle = Throttle::unlimited();
        let mut reader = PartReader::open(location.clone(), DIR, &files, Codec::Zstd, throttle);
        let mut all = Vec::new();
        while let Some(bytes) = reader.next().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        assert!(all == records, "{size}");
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
