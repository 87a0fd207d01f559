//! What a standby replays next, read from the bucket.

use super::read::{SlotEntry, find_commit, list_slots, read_heads};
use crate::api::common::ManifestRef;
use crate::manifest::chain::{self, Head, Next, Replayed};
use crate::manifest::line::manifest_key;
use crate::manifest::{Chain, Commit, Manifest};
use crate::storage::Location;
use crate::transfer::TransferError;

/// What a standby that holds `last` replays next. One listing where nothing is new, and two small
/// reads where the next backup simply follows.
///
/// A manifest that can't be trusted counts as missing, as long as a later full backup leads past
/// it; otherwise it is the error.
pub async fn next_to_replay(
    store: &Location,
    line: &str,
    last: Option<&Replayed>,
) -> Result<Next, TransferError> {
    let newer = list_slots(store, line, last.map(|last| last.slot.as_str())).await?;
    if newer.is_empty() {
        return Ok(Next::UpToDate);
    }
    if let Some(last) = last
        && let Some(next) = in_order(store, line, last, &newer).await?
    {
        return Ok(next);
    }
    let slots = list_slots(store, line, None).await?;
    let root = newest_root(store, &slots).await?;
    let held = last.map_or(root, |last| {
        slots.partition_point(|entry| entry.slot < last.slot)
    });
    let from = root.min(held);
    let (next, _) = decide(store, last, &slots[from..]).await?;
    if matches!(next, Next::Reseed(_) | Next::Full(_) | Next::Window(_)) {
        return Ok(next);
    }
    match decide(store, last, &slots).await? {
        (Next::UpToDate | Next::Broken(_), Some(invalid)) => Err(invalid),
        (next, _) => Ok(next),
    }
}

/// The next backup where it simply follows what the standby holds. None: look closer.
async fn in_order(
    store: &Location,
    line: &str,
    last: &Replayed,
    newer: &[SlotEntry],
) -> Result<Option<Next>, TransferError> {
    let held = match find(store, &manifest_key(line, &last.slot)).await {
        Ok(held) => held,
        Err(TransferError::Manifest { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut known: Vec<Head> = Vec::new();
    if let Some((manifest, reference)) = held {
        known.push(Head::new(&manifest, &reference));
    }
    for entry in newer {
        match find(store, &entry.key).await {
            Ok(None) => {}
            Ok(Some((manifest, reference))) => {
                known.push(Head::new(&manifest, &reference));
                let next = chain::next_to_replay(Some(last), &known);
                return Ok(matches!(next, Next::Full(_) | Next::Window(_)).then_some(next));
            }
            Err(TransferError::Manifest { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    // Void markers only.
    Ok(Some(Next::UpToDate))
}

/// Index of the full backup that the newest readable backup builds on; 0 where there is none.
async fn newest_root(store: &Location, slots: &[SlotEntry]) -> Result<usize, TransferError> {
    for (index, entry) in slots.iter().enumerate().rev() {
        match find(store, &entry.key).await {
            Ok(None) | Err(TransferError::Manifest { .. }) => {}
            Ok(Some((manifest, _))) => {
                return Ok(match &manifest.chain {
                    Chain::Full => index,
                    Chain::Incremental { base, .. } => slots
                        .iter()
                        .position(|entry| entry.slot == *base)
                        .unwrap_or(0),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

async fn decide(
    store: &Location,
    last: Option<&Replayed>,
    slots: &[SlotEntry],
) -> Result<(Next, Option<TransferError>), TransferError> {
    let read = read_heads(store, slots).await?;
    Ok((chain::next_to_replay(last, &read.heads), read.invalid))
}

/// A backup's manifest; none where nothing is there, or a void marker.
async fn find(
    store: &Location,
    key: &str,
) -> Result<Option<(Box<Manifest>, ManifestRef)>, TransferError> {
    Ok(match find_commit(store, key, None).await? {
        Some((Commit::Backup(manifest), reference)) => Some((manifest, reference)),
        Some((Commit::Void(_), _)) | None => None,
    })
}
