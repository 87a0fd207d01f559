//! The flows of a location, over stores that fail, lie or forbid.

#![allow(clippy::unwrap_used)]

use super::testing::{FailingStore, Failure, Op, tamper};
use super::*;
use crate::api::conditions::Reason;
use crate::api::storage_location::{AccessMode, LocalLocation, S3Location, StorageLocationSpec};

const KEY: &str = "lifeboat/v1/prod/iot/schedules/t/manifests/1.json";

#[tokio::test(start_paused = true)]
async fn create_only_puts() {
    use Failure::{AnswerLost, Forbidden, Unavailable};
    for (before, script, expected, puts) in [
        (None, vec![], Ok(Created::Created), 1),
        (Some("mine"), vec![], Ok(Created::Created), 1),
        (Some("other"), vec![], Ok(Created::Exists), 1),
        (Some("othr"), vec![], Ok(Created::Exists), 1),
        (None, vec![(Op::Put, AnswerLost)], Ok(Created::Created), 2),
        (
            None,
            vec![(Op::Put, Unavailable); 2],
            Ok(Created::Created),
            3,
        ),
        (
            Some("other"),
            vec![(Op::Put, Unavailable)],
            Ok(Created::Exists),
            2,
        ),
        (
            None,
            vec![(Op::Put, AnswerLost), (Op::Get, Unavailable)],
            Ok(Created::Created),
            3,
        ),
        (
            None,
            vec![(Op::Put, Unavailable); 3],
            Err(Reason::StoreError),
            3,
        ),
        (
            None,
            vec![(Op::Put, Forbidden)],
            Err(Reason::AccessDenied),
            1,
        ),
    ] {
        let plain = FailingStore::new(&[]);
        if let Some(before) = before {
            plain.location().put(KEY, before.into()).await.unwrap();
        }
        let store = plain.with_script(&script);
        let got = store.location().put_create(KEY, b"mine".to_vec()).await;
        assert_eq!(got.map_err(|e| e.reason), expected, "{script:?}");
        assert_eq!(store.calls(Op::Put), puts, "{script:?}");
        assert_eq!(store.left(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn small_reads_are_bounded_and_tried_again() {
    let store = FailingStore::new(&[]);
    let location = store.location();
    assert_eq!(location.get_small(KEY, 10).await.unwrap(), None);
    assert_eq!(location.size(KEY).await.unwrap(), None);
    location.put(KEY, "0123456789".into()).await.unwrap();
    assert_eq!(location.size(KEY).await.unwrap(), Some(10));
    assert_eq!(
        location.get_small(KEY, 10).await.unwrap().unwrap(),
        b"0123456789"
    );
    let error = location.get_small(KEY, 9).await.unwrap_err();
    assert_eq!(error.reason, Reason::ManifestInvalid);
    let failing = store.with_script(&[
        (Op::Get, Failure::Unavailable),
        (Op::Get, Failure::CutAfter(3)),
    ]);
    let read = failing.location().get_small(KEY, 10).await.unwrap();
    assert_eq!(read.unwrap(), b"0123456789");
    let failing = store.with_script(&[(Op::Get, Failure::Forbidden)]);
    let error = failing.location().get_small(KEY, 10).await.unwrap_err();
    assert_eq!(error.reason, Reason::AccessDenied);
    assert!(error.message.contains(KEY) && !error.retryable, "{error}");
    location.delete(KEY).await.unwrap();
    location.delete(KEY).await.unwrap();
}

#[tokio::test]
async fn a_read_only_location_is_never_written() {
    let store = FailingStore::new(&[]);
    let location = store.location().into_read_only();
    let refused = [
        location.put(KEY, "x".into()).await.unwrap_err(),
        location.put_create(KEY, vec![1]).await.unwrap_err(),
        location.delete(KEY).await.unwrap_err(),
        location.begin_multipart(KEY).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.reason, Reason::StorageReadOnly);
    }
    for op in [Op::Put, Op::Delete, Op::Begin] {
        assert_eq!(store.calls(op), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn listings() {
    let store = FailingStore::new(&[]);
    let location = store.location();
    let dir = "lifeboat/v1/prod/iot/schedules/t/manifests";
    for slot in ["3", "1", "2"] {
        location
            .put(&format!("{dir}/{slot}.json"), "x".into())
            .await
            .unwrap();
    }
    location
        .put("lifeboat/v1/prod/iot2/x", "x".into())
        .await
        .unwrap();
    // An object that Lifeboat would never write.
    let foreign = object_store::path::Path::parse("prefix/lifeboat/v1/prod/iot/a b").unwrap();
    object_store::ObjectStoreExt::put(&store, &foreign, "x".into())
        .await
        .unwrap();

    let store = store.with_script(&[
        (Op::List, Failure::Unavailable),
        (Op::List, Failure::Unavailable),
    ]);
    let location = store.location();
    let keys = |entries: Vec<Entry>| -> Vec<String> {
        entries
            .into_iter()
            .map(|e| e.key.rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    let all = location.list_sorted(dir, None, 3).await.unwrap();
    assert_eq!(keys(all), ["1.json", "2.json", "3.json"]);
    let after = location
        .list_sorted(dir, Some(&format!("{dir}/1.json")), 3)
        .await
        .unwrap();
    assert_eq!(keys(after), ["2.json", "3.json"]);
    assert!(location.list_sorted(dir, None, 2).await.is_err());
    assert!(
        location
            .list_sorted("lifeboat/v1/none", None, 2)
            .await
            .unwrap()
            .is_empty()
    );
    let below = location
        .list_sorted("lifeboat/v1/prod/iot", None, 10)
        .await
        .unwrap();
    assert_eq!(
        below.len(),
        3,
        "neither the namespace iot2 nor foreign keys"
    );
    assert_eq!(location.list_dirs("lifeboat/v1").await.unwrap(), ["prod"]);
    assert_eq!(
        location.list_dirs("lifeboat/v1/prod").await.unwrap(),
        ["iot", "iot2"]
    );
    for dir in ["", "lifeboat", "lifeboat/v1/..", "lifeboat/v1/"] {
        assert!(location.list(dir, None).is_err(), "{dir}");
    }
}

fn local_spec(prefix: &str) -> StorageLocationSpec {
    StorageLocationSpec {
        local: Some(LocalLocation {
            claim_name: "backups".to_owned(),
            prefix: prefix.to_owned(),
        }),
        ..StorageLocationSpec::default()
    }
}

#[tokio::test]
async fn a_local_location() {
    let dir = tempfile::tempdir().unwrap();
    let location = open(&local_spec("team"), None, None, dir.path()).unwrap();
    let racing = (0..16).map(|n| {
        let location = location.clone();
        async move {
            location
                .put_create(KEY, format!("run {n}").into_bytes())
                .await
                .unwrap()
        }
    });
    let won = futures::future::join_all(racing).await;
    assert_eq!(won.iter().filter(|c| **c == Created::Created).count(), 1);
    assert!(dir.path().join("team").join(KEY).is_file());
    for key in [
        "lifeboat/v1/../../../escaped",
        "../escaped",
        "/etc/escaped",
        "lifeboat/v1/.hidden",
    ] {
        assert!(location.put(key, "x".into()).await.is_err(), "{key}");
        assert!(location.get_small(key, 10).await.is_err(), "{key}");
        assert!(location.delete(key).await.is_err(), "{key}");
    }
    let told = location.server_date().await.unwrap();
    assert!(
        told.duration_since(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_secs(60)
    );
    let forbidden = location.clone().into_read_only();
    assert!(forbidden.server_date().await.is_none());
    let entries = location.list_sorted("lifeboat/v1", None, 10).await.unwrap();
    assert_eq!(entries.len(), 1);

    let error = open(&local_spec(""), None, None, &dir.path().join("none")).unwrap_err();
    assert_eq!(error.reason, Reason::Unreachable);
    assert!(error.message.contains("backups"), "{error}");
}

#[tokio::test]
async fn a_volume_that_forbids_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // A file where a directory should be: not even root can write below it.
    std::fs::write(dir.path().join("lifeboat"), "x").unwrap();
    let location = open(&local_spec(""), None, None, dir.path()).unwrap();
    let error = location
        .without_patience()
        .put(KEY, "x".into())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ManifestInvalid);
    assert!(
        error.message.contains("who can write to the volume"),
        "{error}"
    );
}

#[test]
fn specs_that_slipped_past_the_api_server() {
    let keys = StorageCredentials::S3(S3Keys {
        access_key_id: "id".to_owned(),
        secret_access_key: "secret".into(),
        session_token: None,
    });
    let good = S3Location {
        bucket: "dr-exports".to_owned(),
        endpoint: Some("http://127.0.0.1:9000".to_owned()),
        force_path_style: true,
        ..S3Location::default()
    };
    let with = |change: &dyn Fn(&mut S3Location)| {
        let mut s3 = good.clone();
        change(&mut s3);
        s3
    };
    let root = std::path::Path::new("/");
    for (s3, problem) in [
        (good.clone(), None),
        (with(&|s| s.prefix = "a/b-c".to_owned()), None),
        (with(&|s| s.endpoint = None), None),
        (
            with(&|s| {
                s.force_path_style = false;
                s.endpoint = Some("http://s3.example.com".to_owned());
            }),
            None,
        ),
        (
            with(&|s| s.force_path_style = false),
            Some("forcePathStyle"),
        ),
        (with(&|s| s.bucket = "a".to_owned()), Some("bucket takes")),
        (
            with(&|s| s.bucket = "../../x".to_owned()),
            Some("bucket takes"),
        ),
        (
            with(&|s| s.prefix = "../x".to_owned()),
            Some("prefix takes"),
        ),
        (with(&|s| s.prefix = "/x".to_owned()), Some("prefix takes")),
        (
            with(&|s| s.endpoint = Some("ftp://x".to_owned())),
            Some("http://"),
        ),
        (
            with(&|s| s.endpoint = Some("nonsense".to_owned())),
            Some("not a URL"),
        ),
        (
            with(&|s| s.endpoint = Some("http://u:p@h".to_owned())),
            Some("no user"),
        ),
        (
            with(&|s| s.endpoint = Some("http://h/?a=b".to_owned())),
            Some("no query"),
        ),
    ] {
        let spec = StorageLocationSpec {
            s3: Some(s3.clone()),
            access_mode: AccessMode::ReadOnly,
            ..StorageLocationSpec::default()
        };
        match (open(&spec, Some(&keys), None, root), problem) {
            (Ok(location), None) => assert!(location.read_only()),
            (Err(error), Some(part)) => {
                assert_eq!(error.reason, Reason::InvalidSpec);
                assert!(error.message.contains(part), "{error}");
                assert!(!error.message.contains("u:p"), "{error}");
            }
            (result, problem) => panic!("{s3:?}: {result:?}, expected {problem:?}"),
        }
    }
    let without = StorageLocationSpec {
        s3: Some(good),
        ..StorageLocationSpec::default()
    };
    assert_eq!(
        open(&without, None, None, root).unwrap_err().reason,
        Reason::SecretNotFound
    );
    assert_eq!(
        open(&without, Some(&keys), Some(b"x"), root)
            .unwrap_err()
            .reason,
        Reason::CaBundleInvalid
    );
    let none = StorageLocationSpec::default();
    assert_eq!(
        open(&none, Some(&keys), None, root).unwrap_err().reason,
        Reason::InvalidSpec
    );
}

const ME: Claimant<'static> = Claimant {
    cluster: "prod",
    cluster_uid: "uid-a",
    take_over_from: None,
};

#[tokio::test]
async fn validation_of_a_writable_location() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let store = FailingStore::new(&[]);
    let checked = validate(&store.location(), &ME, now).await.unwrap();
    assert_eq!(
        checked.claim,
        Some(Claimed {
            number: 1,
            new: true
        })
    );
    let entries = store
        .location()
        .list_sorted("lifeboat/v1", None, 10)
        .await
        .unwrap();
    assert_eq!(entries.len(), 1, "only the claim is left: {entries:?}");

    // A second time nothing is written.
    let again = validate(&store.location(), &ME, now).await.unwrap();
    assert_eq!(
        again.claim,
        Some(Claimed {
            number: 1,
            new: false
        })
    );

    for (script, reason) in [
        (
            (Op::Put, Failure::ConditionIgnored),
            Reason::StoreUnsuitable,
        ),
        ((Op::Put, Failure::Forbidden), Reason::AccessDenied),
        ((Op::Get, Failure::Forbidden), Reason::AccessDenied),
        ((Op::List, Failure::Unavailable), Reason::StoreError),
    ] {
        let failing = store.with_script(&[script]);
        let error = validate(&failing.location(), &ME, now).await.unwrap_err();
        assert_eq!(error.reason, reason, "{script:?}");
    }
    let other = Claimant {
        cluster_uid: "uid-b",
        ..ME
    };
    let error = validate(&store.location(), &other, now).await.unwrap_err();
    assert_eq!(error.reason, Reason::ClaimedByAnother);
}

#[tokio::test]
async fn validation_never_writes_to_a_read_only_location() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    for filled in [false, true] {
        let store = FailingStore::new(&[]);
        if filled {
            store.location().put(KEY, "x".into()).await.unwrap();
        }
        let store = store.with_script(&[]);
        let checked = validate(&store.location().into_read_only(), &ME, now)
            .await
            .unwrap();
        assert_eq!(checked.claim, None);
        for op in [Op::Put, Op::Delete, Op::Begin] {
            assert_eq!(store.calls(op), 0);
        }
        assert_eq!((store.calls(Op::List), store.calls(Op::Get)), (1, 1));
        for script in [
            (Op::List, Failure::Unavailable),
            (Op::Get, Failure::Forbidden),
        ] {
            let failing = store.with_script(&[script]);
            assert!(
                validate(&failing.location().into_read_only(), &ME, now)
                    .await
                    .is_err()
            );
        }
    }
}

#[tokio::test]
async fn tampering_helper_changes_bytes() {
    let location = Location::in_memory();
    location.put(KEY, "abc".into()).await.unwrap();
    tamper(&location, KEY, |bytes| bytes[0] ^= 1).await;
    assert_eq!(location.get_small(KEY, 3).await.unwrap().unwrap(), b"`bc");
}
