//! Commits, listings and sweeps on a real S3 server, where a conditional put and an offset listing
//! are the server's to keep. Runs where the variables of `tests/s3.rs` are set.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lifeboat::api::common::{Codec, Totals};
use lifeboat::api::storage_location::{S3Location, StorageLocationSpec};
use lifeboat::manifest::chain::{Next, Replayed};
use lifeboat::manifest::{
    Chain, FORMAT_VERSION, Identity, Line, Manifest, Part, PartFile, SourceInfo, part_stem,
    sha256_hex,
};
use lifeboat::schedule::slot_name;
use lifeboat::storage::{Location, S3Keys, StorageCredentials, open};
use lifeboat::transfer::catalog::{self, Committed, Voided};
use lifeboat::transfer::{IndexReader, IndexWriter, TransferError, UploadBudget};

const LINE: &str = "lifeboat/v1/prod/iot/schedules/telemetry";

fn location() -> Option<Location> {
    let var = |name: &str| std::env::var(format!("LIFEBOAT_TEST_S3_{name}")).ok();
    let endpoint = var("ENDPOINT")?;
    let spec = StorageLocationSpec {
        s3: Some(S3Location {
            bucket: var("BUCKET").expect("LIFEBOAT_TEST_S3_BUCKET"),
            prefix: format!("test-{}", uuid::Uuid::new_v4()),
            endpoint: Some(endpoint),
            force_path_style: true,
            region: None,
        }),
        ..StorageLocationSpec::default()
    };
    let keys = StorageCredentials::S3(S3Keys {
        access_key_id: var("ACCESS_KEY").expect("LIFEBOAT_TEST_S3_ACCESS_KEY"),
        secret_access_key: var("SECRET_KEY")
            .expect("LIFEBOAT_TEST_S3_SECRET_KEY")
            .into(),
        session_token: None,
    });
    Some(open(&spec, Some(&keys), None, Path::new("/")).unwrap())
}

fn identity(minute: i64) -> Identity {
    let slot = slot_name(time(minute));
    Identity {
        cluster: "prod".to_owned(),
        cluster_uid: "uid-of-the-cluster".to_owned(),
        namespace: "iot".to_owned(),
        schedule: Some("telemetry".to_owned()),
        backup: format!("telemetry-{slot}"),
        backup_uid: "uid-of-the-backup".to_owned(),
        slot,
    }
}

fn time(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_168_800 + minute * 60).unwrap()
}

/// Stores an index with as many parts, without their files, and gives the manifest to commit.
async fn written(location: &Location, minute: i64, run_id: &str, parts: u64) -> Manifest {
    let identity = identity(minute);
    let dir = identity.data_dir(run_id);
    let mut writer = IndexWriter::create(location.clone(), &dir, UploadBudget::new(1)).unwrap();
    for number in 0..parts {
        writer.push(&part(number)).await.unwrap();
    }
    let (index, totals): (_, Totals) = writer.finish().await.unwrap();
    Manifest {
        format_version: FORMAT_VERSION,
        identity,
        run_id: run_id.to_owned(),
        source: SourceInfo {
            engine: "influxdb".to_owned(),
            method: "lineProtocol".to_owned(),
            engine_version: "1.8.10".to_owned(),
            server_id: "http://influxdb:8086".to_owned(),
            scope: BTreeMap::new(),
        },
        tools: BTreeMap::new(),
        consistency_time: time(minute),
        start_time: time(minute),
        end_time: time(minute),
        totals,
        chain: Chain::Full,
        codec: Codec::Zstd,
        encryption: None,
        index,
        warnings: Vec::new(),
    }
}

fn part(number: u64) -> Part {
    Part {
        kind: "measurement".to_owned(),
        records: number,
        files: vec![PartFile {
            path: format!("{}.0001.lp.zst", part_stem(number)),
            stored_size: 1,
            stored_sha256: sha256_hex(&number.to_le_bytes()),
            plain_size: 1,
            plain_sha256: sha256_hex(&number.to_be_bytes()),
        }],
        ..Part::default()
    }
}

#[tokio::test]
async fn of_many_runs_and_a_void_marker_one_takes_the_slot() {
    let Some(location) = location() else { return };
    for minute in 0..10 {
        let ids: Vec<String> = (0..6).map(|n| format!("run-{n}")).collect();
        let runs = join_all(ids.iter().map(|id| written(&location, minute, id, 0))).await;
        let identity = identity(minute);
        let commits = join_all(runs.iter().map(|run| catalog::commit(&location, run)));
        let give_up = catalog::void(&location, &identity, "its node went away", time(60));
        let (commits, voided) = futures::join!(commits, give_up);
        let written = commits
            .iter()
            .filter(|done| matches!(done, Ok(Committed::Written(_))))
            .count();
        let void = usize::from(voided.unwrap() == Voided::Void);
        assert_eq!(written + void, 1, "{commits:?}");
        for done in commits {
            let fine = matches!(&done, Ok(_) | Err(TransferError::SlotVoid { .. }));
            assert!(fine, "{done:?}");
        }
    }
}

#[tokio::test]
async fn a_line_is_found_followed_and_deleted() {
    let Some(location) = location() else { return };
    assert_eq!(catalog::lines(&location, None).await.unwrap(), []);
    for minute in 0..30 {
        let manifest = written(&location, minute, "run-1", 0).await;
        catalog::commit(&location, &manifest).await.unwrap();
    }
    let lost = written(&location, 30, "run-2", 0).await;
    catalog::void(&location, &lost.identity, "its node went away", time(31))
        .await
        .unwrap();

    let lines = catalog::lines(&location, None).await.unwrap();
    assert_eq!(lines.iter().map(Line::path).collect::<Vec<_>>(), [LINE]);
    let slots = catalog::list_slots(&location, LINE, None).await.unwrap();
    assert_eq!(slots.len(), 31);
    let after = &slots[25].slot;
    let newer = catalog::list_slots(&location, LINE, Some(after))
        .await
        .unwrap();
    assert_eq!(newer, slots[26..]);

    let newest = catalog::newest(&location, LINE).await.unwrap().unwrap();
    assert_eq!(newest.manifest.identity, identity(29));
    let held = Replayed {
        slot: newest.manifest.identity.slot.clone(),
        sha256: newest.reference.sha256.clone(),
    };
    let next = catalog::next_to_replay(&location, LINE, Some(&held)).await;
    assert_eq!(next.unwrap(), Next::UpToDate);

    let deleted = catalog::delete_backup(&location, &newest.reference.path)
        .await
        .unwrap();
    assert_eq!((deleted.manifest, deleted.files), (true, 1));
    let soon = Timestamp::now() + SignedDuration::from_hours(1);
    let unnamed = catalog::unreferenced_data(&location, LINE, soon)
        .await
        .unwrap();
    assert_eq!(unnamed.len(), 1);
    assert_eq!(unnamed[0].run_id, "run-2");
    catalog::delete_run(&location, &unnamed[0]).await.unwrap();
    let unnamed = catalog::unreferenced_data(&location, LINE, soon)
        .await
        .unwrap();
    assert_eq!(unnamed, []);
}

/// Their index is an upload in several pieces.
const PARTS: u64 = 100_000;

#[tokio::test]
async fn a_long_index_goes_round() {
    let Some(location) = location() else { return };
    let manifest = written(&location, 0, "run-1", PARTS).await;
    assert!(manifest.index.stored_size > 6 << 20, "{:?}", manifest.index);
    let mut reader = IndexReader::open(location.clone(), &manifest).unwrap();
    for number in 0..PARTS {
        assert_eq!(reader.next().await.unwrap(), Some(part(number)));
    }
    assert_eq!(reader.next().await.unwrap(), None);

    let key = format!("{}/parts.jsonl.zst", manifest.identity.data_dir("run-1"));
    location
        .put(&key, Bytes::from_static(b"other"))
        .await
        .unwrap();
    let mut reader = IndexReader::open(location, &manifest).unwrap();
    let error = reader.next().await.unwrap_err();
    assert!(
        error.to_string().contains("it has 5 bytes instead of"),
        "{error}"
    );
}
