//! Deleting backups, and the files of runs that never committed.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::read::find_commit;
use super::{AT_ONCE, MAX_SLOTS};
use crate::manifest::Commit;
use crate::manifest::line::{manifest_key, parse_data_key, parse_manifest_key};
use crate::storage::Location;
use crate::transfer::TransferError;

/// The files of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    /// Name of the slot.
    pub slot: String,
    /// The run's id.
    pub run_id: String,
    /// Key below which the files lie.
    pub dir: String,
    /// How many there are.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest was written, by the store's clock.
    pub newest: Timestamp,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// True where a manifest or a void marker was deleted.
    pub manifest: bool,
    /// Data files deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The files of a line's runs that no manifest names, each older than `before`.
///
/// A run that is under way looks like this too: `before` must lie further back than a run may
/// take. What the manifest of a slot names can't be known when it can't be read: then the files
/// of that slot are left out.
pub async fn unreferenced_data(
    store: &Location,
    line: &str,
    before: Timestamp,
) -> Result<Vec<RunDir>, TransferError> {
    let mut runs = list_runs(store, line).await?;
    runs.retain(|run| run.newest < before);
    futures::stream::iter(runs)
        .map(|run| async move {
            let unnamed = match find_commit(store, &manifest_key(line, &run.slot), None).await {
                Ok(Some((Commit::Backup(manifest), _))) => manifest.run_id != run.run_id,
                Ok(Some((Commit::Void(_), _)) | None) => true,
                Err(TransferError::Manifest { .. }) => false,
                Err(error) => return Err(error),
            };
            Ok(unnamed.then_some(run))
        })
        .buffered(AT_ONCE)
        .try_filter_map(|run| async move { Ok(run) })
        .try_collect()
        .await
}

/// Deletes the files of a run that [`unreferenced_data`] gave.
pub async fn delete_run(store: &Location, run: &RunDir) -> Result<Deleted, TransferError> {
    delete_below(store, &run.dir).await
}

/// Deletes a backup or a void marker by the key of its manifest: the manifest first, so that
/// nothing ever looks restorable that is not, then the files of its run. Files of other runs of
/// the slot, and those of a manifest that can't be read, are left to [`unreferenced_data`].
pub async fn delete_backup(store: &Location, key: &str) -> Result<Deleted, TransferError> {
    if parse_manifest_key(key).is_none() {
        return Err(TransferError::NotFound {
            path: key.to_owned(),
        });
    }
    let data = match find_commit(store, key, None).await {
        Ok(None) => return Ok(Deleted::default()),
        Ok(Some((Commit::Backup(manifest), _))) => {
            Some(manifest.identity.data_dir(&manifest.run_id))
        }
        Ok(Some((Commit::Void(_), _))) | Err(TransferError::Manifest { .. }) => None,
        Err(error) => return Err(error),
    };
    store.delete(key).await?;
    let files = match data {
        Some(dir) => delete_below(store, &dir).await?,
        None => Deleted::default(),
    };
    Ok(Deleted {
        manifest: true,
        ..files
    })
}

async fn list_runs(store: &Location, line: &str) -> Result<Vec<RunDir>, TransferError> {
    let mut runs: BTreeMap<String, RunDir> = BTreeMap::new();
    let mut files = store.list(&format!("{line}/data"), None)?;
    while let Some(entry) = files.try_next().await? {
        let Some((slot, run_id)) = parse_data_key(line, &entry.key) else {
            continue;
        };
        let dir = format!("{line}/data/{slot}/{run_id}");
        if let Some(run) = runs.get_mut(&dir) {
            run.files += 1;
            run.bytes += entry.size;
            run.newest = run.newest.max(entry.last_modified);
            continue;
        }
        if runs.len() >= MAX_SLOTS {
            // The rest is found by the next sweep, once these are gone.
            continue;
        }
        let run = RunDir {
            slot: slot.to_owned(),
            run_id: run_id.to_owned(),
            dir: dir.clone(),
            files: 1,
            bytes: entry.size,
            newest: entry.last_modified,
        };
        runs.insert(dir, run);
    }
    Ok(runs.into_values().collect())
}

async fn delete_below(store: &Location, dir: &str) -> Result<Deleted, TransferError> {
    store
        .list(dir, None)?
        .map_ok(|entry| async move {
            store.delete(&entry.key).await?;
            Ok(entry.size)
        })
        .try_buffer_unordered(AT_ONCE)
        .try_fold(Deleted::default(), |mut deleted, size| async move {
            deleted.files += 1;
            deleted.bytes += size;
            Ok(deleted)
        })
        .await
        .map_err(TransferError::from)
}
