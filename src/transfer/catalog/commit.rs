//! The commit, and the word that there will never be one.

use jiff::Timestamp;

use super::read::{Stored, find_commit};
use crate::api::common::ManifestRef;
use crate::api::conditions::Reason;
use crate::manifest::{Commit, Identity, Manifest, VoidMarker, sha256_hex};
use crate::storage::{Created, Location, StorageError};
use crate::transfer::TransferError;

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// This run's manifest is the slot's.
    Written(ManifestRef),
    /// Another run had committed the slot: its backup is adopted.
    Lost(Stored),
}

/// What a slot that was to be given up turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voided {
    /// No run can commit it any more.
    Void,
    /// A run did commit it.
    Committed(Stored),
}

/// Commits a backup, after all its files are written: a create-only put, once per slot.
///
/// A put whose answer was lost is found by comparing what is there. Where the slot is void, the
/// error is [`TransferError::SlotVoid`].
pub async fn commit(store: &Location, manifest: &Manifest) -> Result<Committed, TransferError> {
    let key = manifest.identity.manifest_key();
    let bytes = manifest
        .to_bytes()
        .map_err(|problem| TransferError::Manifest {
            path: key.clone(),
            problem,
        })?;
    let reference = ManifestRef {
        path: key.clone(),
        sha256: sha256_hex(&bytes),
    };
    match put_once(store, &key, bytes).await? {
        None => Ok(Committed::Written(reference)),
        Some((Commit::Backup(_), found)) if found == reference => Ok(Committed::Written(reference)),
        Some((Commit::Backup(manifest), reference)) => Ok(Committed::Lost(Stored {
            manifest,
            reference,
        })),
        Some((Commit::Void(marker), _)) => Err(TransferError::SlotVoid {
            slot: marker.identity.slot,
            why: marker.void,
        }),
    }
}

/// Gives a slot up: after [`Voided::Void`] no late run can commit it.
///
/// An error leaves it open which of the two it is: try again before the slot is called lost.
pub async fn void(
    store: &Location,
    identity: &Identity,
    why: &str,
    now: Timestamp,
) -> Result<Voided, TransferError> {
    let key = identity.manifest_key();
    let marker = VoidMarker::new(identity.clone(), why, now);
    let bytes = marker
        .to_bytes()
        .map_err(|problem| TransferError::Manifest {
            path: key.clone(),
            problem,
        })?;
    Ok(match put_once(store, &key, bytes).await? {
        None | Some((Commit::Void(_), _)) => Voided::Void,
        Some((Commit::Backup(manifest), reference)) => Voided::Committed(Stored {
            manifest,
            reference,
        }),
    })
}

/// Commits a copy: the bytes of a manifest at its own key, create-only, after all its files are copied.
pub async fn put_copy(store: &Location, key: &str, bytes: Vec<u8>) -> Result<(), TransferError> {
    match store.put_create(key, bytes).await? {
        Created::Created => Ok(()),
        Created::Exists => Err(StorageError::lasting(
            Reason::ManifestInvalid,
            format!(
                "{key} in the {} is not a copy of this backup: nothing is written over it; see who put it there",
                store.place()
            ),
        )
        .into()),
    }
}

/// Puts bytes at a key where nothing is, or gives what is there. None: they were put.
async fn put_once(
    store: &Location,
    key: &str,
    bytes: Vec<u8>,
) -> Result<Option<(Commit, ManifestRef)>, TransferError> {
    let put = store.put_create(key, bytes).await;
    if matches!(put, Ok(Created::Created)) {
        return Ok(None);
    }
    match (find_commit(store, key, None).await, put) {
        (Ok(Some(found)), _) => Ok(Some(found)),
        // The put failed, and nothing says that it went through: its own words tell more.
        (_, Err(error)) => Err(error.into()),
        (Ok(None), Ok(_)) => Err(TransferError::Internal(format!(
            "{key} was there and is gone: something deletes manifests while backups run"
        ))),
        (Err(error), Ok(_)) => Err(error),
    }
}
