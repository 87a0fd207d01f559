//! Storage and transfer on Azure Blob Storage and Google Cloud Storage.
//!
//! Runs where these are set, and is skipped where they are not:
//!
//! - `LIFEBOAT_TEST_AZURE_ENDPOINT`: a real azurite with its account, for example
//!   `http://127.0.0.1:10000/devstoreaccount1`
//! - `LIFEBOAT_TEST_GCS_ENDPOINT`: the stand-in for Google Cloud Storage in `e2e/standin`
//!
//! No cloud is spoken to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod azure;
mod gcs;
#[path = "../s3/setup.rs"]
#[allow(dead_code)] // It has what is S3's alone, too.
mod setup;

use jiff::Timestamp;
use lifeboat::api::common::Codec;
use lifeboat::api::conditions::Reason;
use lifeboat::api::restore::Preflight;
use lifeboat::storage::{Claimant, Created, Location, validate};
use lifeboat::transfer::{RecordSink, check_file};
use setup::{DIR, ME, noise, read_all, writer};

const LINE: &str = "lifeboat/v1/prod/iot/schedules/t/manifests";

/// All that a store has to keep its word on. The location is empty, below a prefix of its own.
async fn keeps_its_word(location: &Location) {
    let checked = validate(location, &ME, Timestamp::now()).await.unwrap();
    assert!(checked.claim.unwrap().new);
    assert!(checked.clock_skew.unwrap().abs() < jiff::SignedDuration::from_mins(2));
    let again = validate(location, &ME, Timestamp::now()).await.unwrap();
    assert!(!again.claim.unwrap().new);
    let other = Claimant {
        cluster_uid: "7d9b0e7a-0000-4000-8000-000000000002",
        ..ME
    };
    let claimed = validate(location, &other, Timestamp::now()).await;
    assert_eq!(claimed.unwrap_err().reason, Reason::ClaimedByAnother);

    parts_go_round(location).await;
    one_creator_wins(location).await;
    listings_go_on(location).await;
}

async fn parts_go_round(location: &Location) {
    for size in [1, (12 << 20) + 17] {
        let records = noise(size);
        let mut writer = writer(location, &format!("size-{size}"));
        for start in (0..size).step_by(1 << 20) {
            let end = size.min(start + (1 << 20));
            writer.write(records.slice(start..end)).await.unwrap();
        }
        let files = writer.finish().await.unwrap();
        assert!(read_all(location, &files).await.unwrap() == records);
        for mode in [Preflight::Digests, Preflight::Sizes] {
            check_file(location, DIR, &files[0], Codec::Zstd, mode)
                .await
                .unwrap();
        }
    }
    let mut aborted = writer(location, "aborted");
    aborted.write(noise(12 << 20)).await.unwrap();
    aborted.abort().await;
    let stored = location.list_sorted(DIR, None, 100).await.unwrap();
    assert!(stored.iter().all(|entry| !entry.key.contains("aborted")));
}

async fn one_creator_wins(location: &Location) {
    let key = format!("{LINE}/20261120t101500z.json");
    let racing = (0..16).map(|n| location.put_create(&key, format!("run {n}").into_bytes()));
    let results = futures::future::join_all(racing).await;
    let won: Vec<usize> = (0..16)
        .filter(|n| matches!(results[*n], Ok(Created::Created)))
        .collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let stored = location.get_small(&key, 100).await.unwrap().unwrap();
    assert_eq!(stored, format!("run {}", won[0]).into_bytes());
    // The same bytes once more: an answer that was lost.
    let again = location.put_create(&key, stored).await.unwrap();
    assert_eq!(again, Created::Created);
    for _ in 0..2 {
        location.delete(&key).await.unwrap();
        assert_eq!(location.get_small(&key, 100).await.unwrap(), None);
    }
}

async fn listings_go_on(location: &Location) {
    for n in 0..25 {
        let key = format!("{LINE}/{n:03}.json");
        location.put_create(&key, vec![b'x']).await.unwrap();
    }
    let after = format!("{LINE}/019.json");
    let entries = location.list_sorted(LINE, Some(&after), 100).await.unwrap();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let expected: Vec<String> = (20..25).map(|n| format!("{LINE}/{n:03}.json")).collect();
    assert_eq!(keys, expected);
    let all = location.list_sorted(LINE, None, 100).await.unwrap();
    assert_eq!(all.len(), 25);
    let dirs = location.list_dirs("lifeboat/v1/prod").await.unwrap();
    assert_eq!(dirs, ["claims", "iot"]);
}
