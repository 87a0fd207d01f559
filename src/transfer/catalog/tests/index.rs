use bytes::Bytes;

use crate::api::conditions::Reason;
use crate::manifest::samples::{full, part};
use crate::manifest::{Manifest, Part};
use crate::storage::Location;
use crate::storage::testing::{FailingStore, Failure, Op, tamper};
use crate::transfer::{IndexReader, IndexWriter, TransferError, UploadBudget};

fn key() -> String {
    let manifest = full(0);
    format!(
        "{}/parts.jsonl.zst",
        manifest.identity.data_dir(&manifest.run_id)
    )
}

async fn write(location: &Location, parts: &[Part]) -> Manifest {
    let mut manifest = full(0);
    let dir = manifest.identity.data_dir(&manifest.run_id);
    let budget = UploadBudget::new(1);
    let mut writer = IndexWriter::create(location.clone(), &dir, budget).unwrap();
    for part in parts {
        writer.push(part).await.unwrap();
    }
    (manifest.index, manifest.totals) = writer.finish().await.unwrap();
    manifest
}

async fn read(location: &Location, manifest: &Manifest) -> Result<Vec<Part>, TransferError> {
    let mut reader = IndexReader::open(location.clone(), manifest)?;
    let mut parts = Vec::new();
    while let Some(part) = reader.next().await? {
        parts.push(part);
    }
    assert!(reader.next().await?.is_none(), "the end stays the end");
    Ok(parts)
}

#[tokio::test(start_paused = true)]
async fn an_index_goes_round() {
    for (location, _dir) in super::locations() {
        for count in [0, 1, 10_000] {
            let parts: Vec<Part> = (0..count).map(|n| part(n, n)).collect();
            let manifest = write(&location, &parts).await;
            assert_eq!(read(&location, &manifest).await.unwrap(), parts);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_resumed() {
    let parts: Vec<Part> = (0..5000).map(|n| part(n, n)).collect();
    let store = FailingStore::new(&[]);
    let manifest = write(&store.location(), &parts).await;
    let cut = store.with_script(&[
        (Op::Get, Failure::CutAfter(1000)),
        (Op::Get, Failure::Unavailable),
    ]);
    assert_eq!(read(&cut.location(), &manifest).await.unwrap(), parts);
    assert_eq!(cut.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_was_changed_is_corrupt() {
    type Change = fn(&mut Vec<u8>);
    let rows: [(&str, Change); 4] = [
        ("a flipped bit", |bytes| bytes[60] ^= 1),
        ("a flipped bit at the end", |bytes| {
            *bytes.last_mut().unwrap() ^= 1;
        }),
        ("cut", |bytes| bytes.truncate(100)),
        ("longer", |bytes| bytes.push(0)),
    ];
    for (name, change) in rows {
        let location = FailingStore::new(&[]).location();
        let parts: Vec<Part> = (0..100).map(|n| part(n, n)).collect();
        let manifest = write(&location, &parts).await;
        tamper(&location, &key(), change).await;
        let error = read(&location, &manifest).await.unwrap_err();
        assert_eq!(error.reason(), Reason::DataCorrupt, "{name}: {error}");
        assert!(error.to_string().contains(&key()), "{name}: {error}");
    }
    let location = FailingStore::new(&[]).location();
    let manifest = write(&location, &[]).await;
    location.delete(&key()).await.unwrap();
    let error = read(&location, &manifest).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DataCorrupt, "gone: {error}");
    location.put(&key(), Bytes::new()).await.unwrap();
    let error = read(&location, &manifest).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DataCorrupt, "empty: {error}");
}

#[tokio::test(start_paused = true)]
async fn parts_that_no_reader_takes_are_not_written() {
    let location = FailingStore::new(&[]).location();
    let dir = full(0).identity.data_dir("run-1");
    let mut writer = IndexWriter::create(location.clone(), &dir, UploadBudget::new(1)).unwrap();
    writer.push(&part(0, 1)).await.unwrap();
    let error = writer.push(&part(0, 1)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the part number 0 is used twice"),
        "{error}"
    );
    writer.abort().await;
    let mut writer = IndexWriter::create(location.clone(), &dir, UploadBudget::new(1)).unwrap();
    writer.push(&part(7, 1)).await.unwrap();
    assert!(
        writer.finish().await.is_err(),
        "the number is above the count"
    );
    assert_eq!(super::keys(&location).await, [""; 0]);
}
