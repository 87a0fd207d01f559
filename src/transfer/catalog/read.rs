//! Finding and reading backups.

use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use super::{AT_ONCE, MAX_SLOTS};
use crate::api::common::ManifestRef;
use crate::manifest::chain::{self, ChainError, ChainState, Head};
use crate::manifest::line::{manifest_key, parse_manifest_key};
use crate::manifest::{Chain, Commit, HEAD_LIMIT, Manifest, ManifestError, sha256_hex};
use crate::schedule::slot_name;
use crate::storage::Location;
use crate::transfer::TransferError;

/// How far a slot may lie after the consistency time of its own backup: clocks differ.
const SLOT_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// One entry of a line's listing: a backup or a void marker, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotEntry {
    /// Name of the slot.
    pub slot: String,
    /// Key of its manifest.
    pub key: String,
    /// When it was committed, by the store's clock.
    pub last_modified: Timestamp,
}

/// A committed backup that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The manifest.
    pub manifest: Box<Manifest>,
    /// Where it is, and what its bytes are.
    pub reference: ManifestRef,
}

impl Stored {
    /// What chains need to know of it.
    pub fn head(&self) -> Head {
        Head::new(&self.manifest, &self.reference)
    }
}

/// The slots of a line that come after the slot `after`, oldest first: one listing. Objects that
/// are not named as a manifest are left out.
pub async fn list_slots(
    store: &Location,
    line: &str,
    after: Option<&str>,
) -> Result<Vec<SlotEntry>, TransferError> {
    let after = after.map(|slot| manifest_key(line, slot));
    let entries = store
        .list_sorted(&format!("{line}/manifests"), after.as_deref(), MAX_SLOTS)
        .await?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| {
            let (found, slot) = parse_manifest_key(&entry.key)?;
            (found.path() == line).then_some(SlotEntry {
                slot,
                key: entry.key,
                last_modified: entry.last_modified,
            })
        })
        .collect())
}

/// Reads and checks what lies at a manifest's key. With `expect_sha256` its bytes must be those.
pub async fn read_commit(
    store: &Location,
    key: &str,
    expect_sha256: Option<&str>,
) -> Result<(Commit, ManifestRef), TransferError> {
    find_commit(store, key, expect_sha256)
        .await?
        .ok_or_else(|| TransferError::NotFound {
            path: key.to_owned(),
        })
}

/// Reads and checks a backup's manifest; a void marker is an error.
pub async fn read_backup(
    store: &Location,
    key: &str,
    expect_sha256: Option<&str>,
) -> Result<Stored, TransferError> {
    match read_commit(store, key, expect_sha256).await? {
        (Commit::Backup(manifest), reference) => Ok(Stored {
            manifest,
            reference,
        }),
        (Commit::Void(marker), _) => Err(TransferError::SlotVoid {
            slot: marker.identity.slot,
            why: marker.void,
        }),
    }
}

/// The newest backup of a line. A manifest that can't be trusted is an error, not a reason to
/// take an older one in silence.
pub async fn newest(store: &Location, line: &str) -> Result<Option<Stored>, TransferError> {
    let slots = list_slots(store, line, None).await?;
    newest_of(store, &slots, |_| true).await
}

/// The newest backup that shows a state not after `time`.
pub async fn as_of(
    store: &Location,
    line: &str,
    time: Timestamp,
) -> Result<Option<Stored>, TransferError> {
    let mut slots = list_slots(store, line, None).await?;
    if let Ok(last) = time.checked_add(SLOT_SKEW) {
        let last = slot_name(last);
        slots.retain(|entry| entry.slot <= last);
    }
    newest_of(store, &slots, |manifest| manifest.consistency_time <= time).await
}

/// What the next window of a line may build on. None where there is no backup yet, where the
/// newest can't be trusted or restored, and where its chain is as long as one restore can bring:
/// then the next one has to be a full backup.
///
/// Only the newest backup, the one before it and its full are looked at: each was looked at in
/// the same way when it was made.
pub async fn newest_chain(
    store: &Location,
    line: &str,
) -> Result<Option<ChainState>, TransferError> {
    let slots = list_slots(store, line, None).await?;
    match chain_state(store, line, &slots).await {
        Ok(state) => Ok(state.filter(|state| {
            let chain = slots.iter().filter(|entry| entry.slot >= state.base);
            chain.count() < chain::MAX_CHAIN
        })),
        Err(error @ (TransferError::Manifest { .. } | TransferError::Chain { .. })) => {
            tracing::warn!(line, %error, "the newest chain can't be continued; a full backup is made");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn chain_state(
    store: &Location,
    line: &str,
    slots: &[SlotEntry],
) -> Result<Option<ChainState>, TransferError> {
    let Some(newest) = newest_of(store, slots, |_| true).await? else {
        return Ok(None);
    };
    let broken = |problem| TransferError::Chain {
        line: line.to_owned(),
        problem,
    };
    let base = match &newest.manifest.chain {
        Chain::Full => newest.head(),
        Chain::Incremental { base, previous, .. } => {
            let gap = |missing: &str| {
                broken(ChainError::Gap {
                    slot: newest.manifest.identity.slot.clone(),
                    missing: missing.to_owned(),
                })
            };
            if !slots.iter().any(|entry| entry.slot == *previous) {
                return Err(gap(previous));
            }
            match find_commit(store, &manifest_key(line, base), None).await? {
                Some((Commit::Backup(manifest), reference)) => Head::new(&manifest, &reference),
                Some((Commit::Void(_), _)) | None => return Err(gap(base)),
            }
        }
    };
    chain::state(&newest.manifest, &base)
        .map(Some)
        .map_err(broken)
}

/// The backups that bring a target to `slot`, in the order in which they are imported.
pub async fn restore_set(
    store: &Location,
    line: &str,
    slot: &str,
) -> Result<Vec<Head>, TransferError> {
    let target = read_backup(store, &manifest_key(line, slot), None).await?;
    let mut heads = vec![target.head()];
    if let Chain::Incremental { base, .. } = &target.manifest.chain {
        let mut slots = list_slots(store, line, None).await?;
        slots.retain(|entry| *base <= entry.slot && entry.slot.as_str() < slot);
        heads.extend(read_heads(store, &slots).await?.heads);
    }
    chain::restore_set(&heads, slot).map_err(|problem| TransferError::Chain {
        line: line.to_owned(),
        problem,
    })
}

/// Heads that were read, and the first manifest that could not be trusted.
pub(super) struct Heads {
    pub(super) heads: Vec<Head>,
    pub(super) invalid: Option<TransferError>,
}

/// Reads the heads of slots, oldest first. Void markers are left out, and so are manifests that
/// can't be trusted: what builds on them shows as broken.
pub(super) async fn read_heads(
    store: &Location,
    slots: &[SlotEntry],
) -> Result<Heads, TransferError> {
    let mut read = Heads {
        heads: Vec::new(),
        invalid: None,
    };
    // Owned keys: a future over borrowed ones can't be sent to another thread by the compiler's rules.
    let keys: Vec<String> = slots.iter().map(|entry| entry.key.clone()).collect();
    let mut commits = futures::stream::iter(keys)
        .map(|key| async move {
            match find_commit(store, &key, None).await {
                Ok(Some((Commit::Backup(manifest), reference))) => {
                    Ok(Ok(Some(Head::new(&manifest, &reference))))
                }
                Ok(Some((Commit::Void(_), _)) | None) => Ok(Ok(None)),
                Err(error @ TransferError::Manifest { .. }) => Ok(Err(error)),
                Err(error) => Err(error),
            }
        })
        .buffered(AT_ONCE);
    while let Some(commit) = commits.try_next().await? {
        match commit {
            Ok(head) => read.heads.extend(head),
            Err(error) => read.invalid = read.invalid.or(Some(error)),
        }
    }
    Ok(read)
}

/// Reads and checks a backup's manifest, and gives its bytes as well. None where there is no backup:
/// nothing, or a void marker.
pub async fn read_to_copy(
    store: &Location,
    key: &str,
) -> Result<Option<(Box<Manifest>, Vec<u8>)>, TransferError> {
    let Some(bytes) = store.get_small(key, HEAD_LIMIT).await? else {
        return Ok(None);
    };
    Ok(match check_commit(&bytes, key, None)? {
        (Commit::Backup(manifest), _) => Some((manifest, bytes)),
        (Commit::Void(_), _) => None,
    })
}

/// Reads and checks what lies at a manifest's key; none where nothing does.
pub(super) async fn find_commit(
    store: &Location,
    key: &str,
    expect_sha256: Option<&str>,
) -> Result<Option<(Commit, ManifestRef)>, TransferError> {
    let Some(bytes) = store.get_small(key, HEAD_LIMIT).await? else {
        return Ok(None);
    };
    check_commit(&bytes, key, expect_sha256).map(Some)
}

pub(super) fn check_commit(
    bytes: &[u8],
    key: &str,
    expect_sha256: Option<&str>,
) -> Result<(Commit, ManifestRef), TransferError> {
    let untrusted = |problem| TransferError::Manifest {
        path: key.to_owned(),
        problem,
    };
    let sha256 = sha256_hex(bytes);
    if let Some(expected) = expect_sha256.filter(|expected| *expected != sha256) {
        return Err(untrusted(ManifestError::Edited {
            expected: expected.to_owned(),
            found: sha256,
        }));
    }
    let commit = Commit::parse(bytes, key).map_err(untrusted)?;
    Ok((
        commit,
        ManifestRef {
            path: key.to_owned(),
            sha256,
        },
    ))
}

async fn newest_of(
    store: &Location,
    slots: &[SlotEntry],
    wanted: impl Fn(&Manifest) -> bool,
) -> Result<Option<Stored>, TransferError> {
    for entry in slots.iter().rev() {
        // Nothing there: retention deleted it since the listing.
        if let Some((Commit::Backup(manifest), reference)) =
            find_commit(store, &entry.key, None).await?
            && wanted(&manifest)
        {
            return Ok(Some(Stored {
                manifest,
                reference,
            }));
        }
    }
    Ok(None)
}
