//! Parts on their way to a store and back, over one that fails.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;

use super::budget::PIECE;
use super::upload::FileUpload;
use super::*;
use crate::api::common::{Codec, Compression};
use crate::api::conditions::Reason;
use crate::api::restore::Preflight;
use crate::manifest::PartFile;
use crate::storage::Location;
use crate::storage::testing::{FailingStore, Failure, Op, tamper};

const DIR: &str = "lifeboat/v1/prod/iot/schedules/t/data/20261120t101500z/run-1";
const HEADER: &[u8] = b"# DML\n# CONTEXT-DATABASE: telemetry\n";

fn format(codec: Codec, max_file_bytes: u64) -> PartFormat {
    PartFormat {
        stem: "parts/0001".to_owned(),
        extension: "lp".to_owned(),
        file_name: None,
        header: Bytes::from_static(HEADER),
        compression: Compression { codec, level: None },
        max_file_bytes,
    }
}

fn writer(location: &Location, codec: Codec, budget: &Arc<UploadBudget>) -> PartWriter {
    let (location, format) = (location.clone(), format(codec, PartFormat::MAX_FILE_BYTES));
    PartWriter::create(location, DIR, format, budget.clone(), Throttle::unlimited())
}

/// Bytes that no codec makes smaller, as lines.
fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = Vec::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(&state.to_le_bytes());
    }
    text.truncate(bytes);
    text.into()
}

async fn write(location: &Location, codec: Codec, records: &Bytes) -> Vec<PartFile> {
    let mut writer = writer(location, codec, &UploadBudget::new(1));
    for start in (0..records.len()).step_by(300_000) {
        let end = records.len().min(start + 300_000);
        writer.write(records.slice(start..end)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(
    location: &Location,
    files: &[PartFile],
    codec: Codec,
) -> Result<Vec<u8>, TransferError> {
    let mut reader = PartReader::open(location.clone(), DIR, files, codec, Throttle::unlimited());
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

#[tokio::test]
async fn round_trips_of_all_sizes_and_codecs() {
    for codec in [Codec::Zstd, Codec::Gzip, Codec::None] {
        let large = [PIECE - HEADER.len(), PIECE + 12_345];
        let large = if codec == Codec::Zstd {
            &large[1..]
        } else {
            &large[..]
        };
        for size in [1, 100_000].iter().chain(large).copied() {
            let store = FailingStore::new(&[]);
            let location = store.location();
            let records = noise(size);
            let files = write(&location, codec, &records).await;
            assert_eq!(files.len(), 1);
            let plain = [HEADER, &records[..]].concat();
            assert_eq!(files[0].plain_size, plain.len() as u64);
            let key = format!("{DIR}/{}", files[0].path);
            assert_eq!(
                location.size(&key).await.unwrap(),
                Some(files[0].stored_size)
            );
            assert!(
                read(&location, &files, codec).await.unwrap() == plain,
                "{codec:?} {size}"
            );
            let pieces = store.calls(Op::Piece);
            if files[0].stored_size < PIECE as u64 {
                assert_eq!((pieces, store.calls(Op::Put)), (0, 1));
            } else {
                assert_eq!(pieces as u64, files[0].stored_size.div_ceil(PIECE as u64));
                assert_eq!(store.calls(Op::Put), 0);
            }
            for mode in [Preflight::Digests, Preflight::Sizes] {
                check_file(&location, DIR, &files[0], codec, mode)
                    .await
                    .unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_part_without_records_has_no_file() {
    let location = Location::in_memory();
    let mut writer = writer(&location, Codec::Zstd, &UploadBudget::new(1));
    writer.write(Bytes::new()).await.unwrap();
    assert!(writer.finish().await.unwrap().is_empty());
    assert!(read(&location, &[], Codec::Zstd).await.unwrap().is_empty());
}

#[tokio::test]
async fn files_are_cut_between_records_and_each_has_the_header() {
    let location = Location::in_memory();
    let mut writer = PartWriter::create(
        location.clone(),
        DIR,
        format(Codec::Gzip, 200),
        UploadBudget::new(1),
        Throttle::unlimited(),
    );
    let mut expected = Vec::new();
    for n in 0..40 {
        let line = format!("cpu,host=h{n} usage={n} {n}\n");
        expected.push(line.clone());
        writer.write(line.into()).await.unwrap();
    }
    // Larger than a file may be: it has one of its own, for a record is never cut.
    let long = format!("cpu,host={} usage=1 1\n", "x".repeat(500));
    expected.push(long.clone());
    writer.write(long.into()).await.unwrap();
    let files = writer.finish().await.unwrap();
    assert!(files.len() > 5, "{}", files.len());
    let mut lines = Vec::new();
    for (n, file) in files.iter().enumerate() {
        assert_eq!(file.path, format!("parts/0001.{:04}.lp.gz", n + 1));
        let text = read(&location, std::slice::from_ref(file), Codec::Gzip)
            .await
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let records = text
            .strip_prefix(std::str::from_utf8(HEADER).unwrap())
            .unwrap();
        assert!(file.plain_size <= 200 || records.lines().count() == 1);
        lines.extend(records.split_inclusive('\n').map(ToOwned::to_owned));
    }
    assert_eq!(lines, expected);
    let header = HEADER.len() * files.len();
    let records: usize = expected.iter().map(String::len).sum();
    assert_eq!(
        read(&location, &files, Codec::Gzip).await.unwrap().len(),
        header + records
    );
}

#[tokio::test(start_paused = true)]
async fn spoiled_files_are_told() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 6] = [
        ("first byte", |b| b[0] ^= 1),
        ("middle", |b| {
            let at = b.len() / 2;
            b[at] ^= 0x10;
        }),
        ("last byte", |b| *b.last_mut().unwrap() ^= 0x80),
        ("cut", |b| b.truncate(b.len() - 1)),
        ("longer", |b| b.push(0)),
        ("empty", Vec::clear),
    ];
    for codec in [Codec::Zstd, Codec::Gzip, Codec::None] {
        for (name, change) in changes {
            let location = Location::in_memory();
            let files = write(&location, codec, &noise(400_000)).await;
            let key = format!("{DIR}/{}", files[0].path);
            tamper(&location, &key, change).await;
            for error in [
                read(&location, &files, codec).await.unwrap_err(),
                check_file(&location, DIR, &files[0], codec, Preflight::Digests)
                    .await
                    .unwrap_err(),
            ] {
                assert_eq!(
                    error.reason(),
                    Reason::DataCorrupt,
                    "{codec:?} {name}: {error}"
                );
                assert!(error.to_string().contains(&key), "{error}");
                assert!(!error.retryable());
            }
            let sizes = check_file(&location, DIR, &files[0], codec, Preflight::Sizes).await;
            assert_eq!(
                sizes.is_err(),
                ["cut", "longer", "empty"].contains(&name),
                "{name}"
            );
            location.delete(&key).await.unwrap();
            for mode in [Preflight::Digests, Preflight::Sizes] {
                let error = check_file(&location, DIR, &files[0], codec, mode)
                    .await
                    .unwrap_err();
                assert_eq!(error.reason(), Reason::DataCorrupt);
                assert!(error.to_string().contains("missing"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_manifest_that_lies_is_told_and_bombs_stay_shut() {
    type Lie = fn(&mut PartFile);
    let location = Location::in_memory();
    let zeros = Bytes::from(vec![0; 3 << 20]);
    for codec in [Codec::Zstd, Codec::Gzip] {
        let files = write(&location, codec, &zeros).await;
        let lies: [(&str, Lie); 6] = [
            ("unpacks to more", |f| f.plain_size = 1 << 20),
            ("instead of", |f| f.plain_size += 1),
            ("plain bytes have another", |f| {
                f.plain_sha256 = "0".repeat(64);
            }),
            ("stored bytes have another", |f| {
                f.stored_sha256 = "0".repeat(64);
            }),
            ("instead of", |f| f.stored_size += 1),
            ("instead of", |f| f.stored_size -= 1),
        ];
        for (words, lie) in lies {
            let mut lying = files.clone();
            lie(&mut lying[0]);
            let mut reader =
                PartReader::open(location.clone(), DIR, &lying, codec, Throttle::unlimited());
            let mut given = 0;
            let error = loop {
                match reader.next().await {
                    Ok(Some(bytes)) => given += bytes.len() as u64,
                    Ok(None) => panic!("{codec:?}: the lie went through"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.reason(), Reason::DataCorrupt);
            assert!(error.to_string().contains(words), "{words}: {error}");
            assert!(given <= lying[0].plain_size, "{codec:?}");
        }
        let mut escaping = files.clone();
        escaping[0].path = "../../../../x".to_owned();
        let error = read(&location, &escaping, codec).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ManifestInvalid);
    }
}

#[tokio::test(start_paused = true)]
async fn reads_go_on_where_the_connection_broke() {
    use Failure::{AnswerLost, CutAfter, Forbidden, Unavailable};
    let plain = FailingStore::new(&[]);
    let records = noise(1_000_000);
    let files = write(&plain.location(), Codec::Zstd, &records).await;
    for (failures, gets, outcome) in [
        (vec![CutAfter(100_000); 5], 6, None),
        (
            vec![CutAfter(1), Unavailable, CutAfter(500_000), AnswerLost],
            5,
            None,
        ),
        (vec![CutAfter(0); 3], 4, None),
        (vec![CutAfter(0); 9], 4, Some(Reason::Unreachable)),
        (vec![Unavailable; 9], 4, Some(Reason::StoreError)),
        (vec![CutAfter(10), Forbidden], 2, Some(Reason::AccessDenied)),
    ] {
        let script: Vec<_> = failures.iter().map(|f| (Op::Get, *f)).collect();
        let store = plain.with_script(&script);
        let got = read(&store.location(), &files, Codec::Zstd).await;
        assert_eq!(store.calls(Op::Get), gets, "{failures:?}");
        match (got, outcome) {
            (Ok(all), None) => assert!(all[HEADER.len()..] == records),
            (Err(error), Some(reason)) => assert_eq!(error.reason(), reason, "{failures:?}"),
            (got, _) => panic!("{failures:?}: {:?}", got.map(|all| all.len())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn uploads_that_fail_leave_nothing_behind() {
    use Failure::{AnswerLost, Forbidden, Unavailable};
    let large = PIECE + 1000;
    for (size, script, outcome, aborted) in [
        (large, vec![(Op::Begin, Unavailable)], None, 0),
        (large, vec![(Op::Complete, AnswerLost)], None, 0),
        (
            1000,
            vec![(Op::Put, Unavailable), (Op::Put, AnswerLost)],
            None,
            0,
        ),
        (
            large,
            vec![(Op::Begin, Forbidden)],
            Some(Reason::AccessDenied),
            0,
        ),
        (
            large,
            vec![(Op::Piece, Forbidden)],
            Some(Reason::AccessDenied),
            1,
        ),
        (
            large,
            vec![(Op::Complete, Unavailable)],
            Some(Reason::StoreError),
            1,
        ),
        (
            1000,
            vec![(Op::Put, Forbidden)],
            Some(Reason::AccessDenied),
            0,
        ),
    ] {
        let store = FailingStore::new(&script);
        let budget = UploadBudget::new(1);
        let all_free = budget.free_slots();
        let mut writer = writer(&store.location(), Codec::None, &budget);
        let records = noise(size);
        let written = writer.write(records.clone()).await;
        let result = match written {
            Ok(()) => writer.finish().await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        };
        match (result, outcome) {
            (Ok(files), None) => {
                let all = read(&store.location(), &files, Codec::None).await.unwrap();
                assert!(all[HEADER.len()..] == records, "{script:?}");
            }
            (Err(error), Some(reason)) => assert_eq!(error.reason(), reason, "{script:?}"),
            (result, _) => panic!("{script:?}: {result:?}"),
        }
        assert_eq!(store.aborted(), aborted, "{script:?}");
        assert_eq!(budget.free_slots(), all_free, "{script:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_dropped_is_aborted() {
    let store = FailingStore::new(&[]);
    let budget = UploadBudget::new(1);
    let all_free = budget.free_slots();
    let mut writer = writer(&store.location(), Codec::None, &budget);
    writer.write(noise(PIECE + 1000)).await.unwrap();
    drop(writer);
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while store.aborted() == 0 || budget.free_slots() < all_free {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(
        store
            .location()
            .list_sorted("lifeboat/v1", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn many_writers_share_a_small_budget() {
    let location = Location::in_memory();
    let budget = UploadBudget::new(4);
    let writing = (0..4).map(|n| {
        let (location, budget) = (location.clone(), budget.clone());
        async move {
            let mut format = format(Codec::None, PartFormat::MAX_FILE_BYTES);
            format.stem = format!("parts/{n:04}");
            let mut writer =
                PartWriter::create(location, DIR, format, budget, Throttle::unlimited());
            for _ in 0..9 {
                writer.write(noise(700_000)).await.unwrap();
            }
            writer.finish().await.unwrap()
        }
    });
    let all = futures::future::join_all(writing).await;
    assert!(
        all.iter()
            .flatten()
            .all(|f| f.plain_size == (9 * 700_000 + HEADER.len()) as u64)
    );
}

/// The index has begun a buffer and waits for the parts, which have what is left.
#[tokio::test]
async fn parts_do_not_lock_up_beside_an_index_that_is_open_all_the_time() {
    for parts in [1, 4] {
        let store = FailingStore::new(&[]);
        let (location, budget) = (store.location(), UploadBudget::new(parts));
        let key = format!("{DIR}/parts.jsonl.zst");
        let mut index = FileUpload::new(location.clone(), key, budget.clone());
        index.push(b"begun").await.unwrap();
        let records = noise(PIECE * 3 + 17);
        let writing = (0..parts).map(|n| {
            let (location, records) = (location.clone(), records.clone());
            let format = PartFormat {
                stem: format!("parts/{n}"),
                ..format(Codec::None, PartFormat::MAX_FILE_BYTES)
            };
            let throttle = Throttle::unlimited();
            let mut writer = PartWriter::create(location, DIR, format, budget.clone(), throttle);
            async move {
                writer.write(records).await.unwrap();
                // All parts hold a buffer that is begun when the others want one.
                tokio::task::yield_now().await;
                writer.finish().await.unwrap()
            }
        });
        let all = futures::future::join_all(writing);
        let files = tokio::time::timeout(std::time::Duration::from_secs(60), all)
            .await
            .unwrap();
        assert!(files.iter().all(|files| files.len() == 1));
        index.finish().await.unwrap();
        assert_eq!(budget.free_slots(), parts + 2);
    }
}
