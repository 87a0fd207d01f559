#![allow(clippy::unwrap_used)]

use std::io::Write;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::api::conditions::Reason;

struct Store {
    store: Arc<InMemory>,
    location: Location,
}

impl Store {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let location = Location::on(Arc::clone(&store) as Arc<dyn ObjectStore>);
        Self { store, location }
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        let path = Path::parse(format!("prefix/{name}")).unwrap();
        self.store.put(&path, bytes.into().into()).await.unwrap();
    }

    async fn find(&self, path: &str) -> Result<Dump, TransferError> {
        Dump::find(&self.location, path, Throttle::unlimited()).await
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

async fn read(mut reader: DumpReader) -> Result<Vec<u8>, TransferError> {
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test]
async fn packed_or_not_by_what_is_in_it() {
    let store = Store::new();
    let text = b"{\"a\":1}\n".repeat(50_000);
    let joined = [gzip(&text[..80]), gzip(&text[80..])].concat();
    store.put("d/plain.json.gz", text.clone()).await;
    store.put("d/packed.json", gzip(&text)).await;
    store.put("d/joined.json.gz", joined.clone()).await;
    store.put("d/empty.json", "").await;
    store.put("d/one.json", "x").await;
    let dump = store.find("d").await.unwrap();
    let names: Vec<_> = dump.files().iter().map(|file| &file.name).collect();
    assert_eq!(
        names,
        [
            "empty.json",
            "joined.json.gz",
            "one.json",
            "packed.json",
            "plain.json.gz"
        ]
    );
    for (file, want) in dump
        .files()
        .iter()
        .zip([&b""[..], &text, b"x", &text, &text])
    {
        // Twice: the second reading is held to the version of the first.
        for _ in 0..2 {
            assert_eq!(read(dump.read(file)).await.unwrap(), want, "{}", file.name);
        }
    }
    let stored = read(dump.read_stored(&dump.files()[1])).await.unwrap();
    assert_eq!(stored, joined);
}

#[tokio::test]
async fn a_dump_is_a_directory_or_a_file() {
    let store = Store::new();
    store.put("a/dump.tar.gz", "x").await;
    store.put("a/dump/b", "y").await;
    store.put("top", "z").await;
    for (path, want) in [
        ("a/dump.tar.gz", "dump.tar.gz"),
        ("a/dump", "b"),
        ("top", "top"),
    ] {
        let dump = store.find(path).await.unwrap();
        assert_eq!(dump.files().len(), 1, "{path}");
        assert_eq!(dump.files()[0].name, want);
        assert_eq!(read(dump.read(&dump.files()[0])).await.unwrap().len(), 1);
    }
    let error = store.find("a/du").await.unwrap_err();
    assert_eq!(error.reason(), Reason::BackupNotFound);
    assert!(error.to_string().contains("a/du"), "{error}");
    for path in ["lifeboat/v1", "../prefix", "a/../a", ""] {
        assert!(store.find(path).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn damage_has_a_name() {
    let store = Store::new();
    let whole = gzip(&b"0123456789".repeat(1000));
    let mut flipped = whole.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 1;
    store
        .put("d/cut.gz", whole[..whole.len() - 9].to_vec())
        .await;
    store.put("d/flipped.gz", flipped).await;
    store.put("d/tail.gz", [&whole[..], b"tail"].concat()).await;
    store.put("d/bomb.gz", gzip(&vec![0; 80 << 20])).await;
    let dump = store.find("d").await.unwrap();
    for file in dump.files() {
        let error = read(dump.read(file)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::DataCorrupt, "{error}");
        assert!(error.to_string().contains(&file.name), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_written_anew_is_an_error() {
    let store = Store::new();
    store.put("d/same-size", "first").await;
    store.put("d/longer", "first").await;
    let dump = store.find("d").await.unwrap();
    for file in dump.files() {
        assert_eq!(read(dump.read(file)).await.unwrap(), b"first");
    }
    store.put("d/same-size", "other").await;
    store.put("d/longer", "something").await;
    for (file, want) in dump.files().iter().zip(["9 bytes", "written anew"]) {
        let error = read(dump.read(file)).await.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(!error.retryable());
    }
}
