#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::items_after_statements
)]

mod find;
mod index;
mod once;
mod replay;
mod sweep;

use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use tempfile::TempDir;

use super::{Committed, Stored, commit, void};
use crate::manifest::Manifest;
use crate::manifest::samples::{full, time, window};
use crate::storage::Location;
use crate::storage::testing::FailingStore;

/// A location in memory, and one in a directory.
pub(super) fn locations() -> Vec<(Location, Option<TempDir>)> {
    let dir = TempDir::new().unwrap();
    let local = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
    vec![
        (FailingStore::new(&[]).location(), None),
        (Location::on(Arc::new(local)), Some(dir)),
    ]
}

/// Commits backups with a data file each.
pub(super) async fn fill(location: &Location, manifests: &[Manifest]) {
    for manifest in manifests {
        put_data(location, manifest, "parts.jsonl.zst").await;
        put_data(location, manifest, "parts/000000.0001.lp").await;
        let done = commit(location, manifest).await.unwrap();
        assert!(matches!(done, Committed::Written(_)));
    }
}

pub(super) async fn put_data(location: &Location, manifest: &Manifest, path: &str) {
    let dir = manifest.identity.data_dir(&manifest.run_id);
    let bytes = Bytes::from_static(b"data");
    location.put(&format!("{dir}/{path}"), bytes).await.unwrap();
}

/// A full at 0 with windows at 1 and 2, a void slot at 3, a full at 5 and a window at 6.
pub(super) async fn filled(location: &Location) {
    fill(location, &[full(0), window(1, 0, 0), window(2, 0, 1)]).await;
    void(location, &full(3).identity, "its node went away", time(300))
        .await
        .unwrap();
    fill(location, &[full(5), window(6, 5, 5)]).await;
}

pub(super) async fn keys(location: &Location) -> Vec<String> {
    let entries = location.list_sorted("lifeboat/v1", None, 1000).await;
    entries
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect()
}

pub(super) fn slot_of(stored: Option<Stored>) -> Option<String> {
    stored.map(|stored| stored.manifest.identity.slot)
}
