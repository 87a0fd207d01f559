//! Which backups are restored together, and what a standby replays next.
//!
//! A chain is a full backup and the windows on top of it. Each window names the backup just before
//! it (`previous`), so a chain is walked link by link and a gap can't be overlooked. Pure: it works
//! on [`Head`]s that were read before.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Chain, Manifest, SourceInfo};
use crate::api::common::ManifestRef;

/// The most backups of a chain: so many are named in the status of a Restore and in the order of
/// its pod, which Kubernetes takes up to 256 KiB.
pub const MAX_CHAIN: usize = 512;

/// What chains need to know of a committed backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its slot. Sorts by time.
    pub slot: String,
    /// What it builds on.
    pub chain: Chain,
    /// Every write acknowledged before this is in it.
    pub consistency_time: Timestamp,
    /// SHA-256, in hex, of the server, the engine, the method and the scope: heads stay small.
    pub source: String,
    /// Key of its manifest.
    pub path: String,
    /// SHA-256 of its manifest, in hex.
    pub sha256: String,
}

const OTHER_SOURCE: &str = "they come from different servers or were asked for different things";

impl Head {
    /// The head of a manifest that was read from `reference`.
    pub fn new(manifest: &Manifest, reference: &ManifestRef) -> Self {
        Self {
            slot: manifest.identity.slot.clone(),
            chain: manifest.chain.clone(),
            consistency_time: manifest.consistency_time,
            source: source_digest(&manifest.source),
            path: reference.path.clone(),
            sha256: reference.sha256.clone(),
        }
    }

    /// Where its manifest is, and what it must be.
    pub fn reference(&self) -> ManifestRef {
        ManifestRef {
            path: self.path.clone(),
            sha256: self.sha256.clone(),
        }
    }

    /// The event time, in nanoseconds, that the next window must not begin after.
    fn reach(&self) -> i128 {
        match self.chain {
            Chain::Incremental {
                window_end: Some(end),
                ..
            } => i128::from(end),
            Chain::Full | Chain::Incremental { .. } => self.consistency_time.as_nanosecond(),
        }
    }
}

/// What the newest backup of a line covers: what a window may build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainState {
    /// Slot of the full backup at the chain's root.
    pub base: String,
    /// Consistency time of that full backup.
    pub base_consistency: Timestamp,
    /// Slot of the newest backup of the chain.
    pub newest: String,
    /// Its consistency time.
    pub newest_consistency: Timestamp,
    /// Its chain entry: a window's declared end is the next one's watermark.
    pub newest_chain: Chain,
    /// What it was made of; another scope, or another server, needs a full backup.
    pub scope: BTreeMap<String, String>,
    /// The server it was read from.
    pub server_id: String,
}

/// Why backups can't be restored together.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChainError {
    /// The backup itself is not there.
    #[error("no backup of slot {slot} is in the bucket; choose another one")]
    NotFound {
        /// The slot that was asked for.
        slot: String,
    },
    /// One that it builds on is not there.
    #[error(
        "the backup {slot} builds on {missing}, which is not in the bucket; restore one that is older than {missing}, or wait for the next full backup"
    )]
    Gap {
        /// The window.
        slot: String,
        /// What is missing.
        missing: String,
    },
    /// Two neighbours don't fit.
    #[error(
        "the backup {slot} can't follow {previous}: {problem}; restore {previous} or older, or wait for the next full backup"
    )]
    Mismatch {
        /// The window.
        slot: String,
        /// What it says that it follows.
        previous: String,
        /// What does not fit.
        problem: &'static str,
    },
}

/// What a standby already holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Slot of the last backup that was imported and verified.
    pub slot: String,
    /// SHA-256 of its manifest, in hex.
    pub sha256: String,
}

/// What a standby replays next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is newer than what it holds.
    UpToDate,
    /// The next full backup, in order.
    Full(Head),
    /// The next window, in order.
    Window(Head),
    /// The standby can't go on from what it holds (or holds nothing): everything, in this order.
    Reseed(Vec<Head>),
    /// Newer backups are there, but none that could be restored.
    Broken(ChainError),
}

/// The backups that bring a target to `slot`: its full backup, then each window up to it.
pub fn restore_set(heads: &[Head], slot: &str) -> Result<Vec<Head>, ChainError> {
    let by_slot = by_slot(heads);
    let mut newer = *by_slot.get(slot).ok_or_else(|| ChainError::NotFound {
        slot: slot.to_owned(),
    })?;
    let mut set = vec![newer.clone()];
    while let Chain::Incremental { previous, .. } = &newer.chain {
        let older = *by_slot
            .get(previous.as_str())
            .ok_or_else(|| ChainError::Gap {
                slot: newer.slot.clone(),
                missing: previous.clone(),
            })?;
        // A link only leads to an older slot, so the walk ends.
        check_link(newer, older)?;
        set.push(older.clone());
        newer = older;
    }
    set.reverse();
    Ok(set)
}

/// What the next window may build on, from the newest backup and the full at its root.
pub fn state(newest: &Manifest, base: &Head) -> Result<ChainState, ChainError> {
    let slot = &newest.identity.slot;
    let root = match &newest.chain {
        Chain::Full => slot,
        Chain::Incremental { base, .. } => base,
    };
    let mismatch = |problem| ChainError::Mismatch {
        slot: slot.clone(),
        previous: base.slot.clone(),
        problem,
    };
    if *root != base.slot {
        return Err(ChainError::Gap {
            slot: slot.clone(),
            missing: root.clone(),
        });
    }
    if base.chain != Chain::Full {
        return Err(mismatch("that is not a full backup"));
    }
    if source_digest(&newest.source) != base.source {
        return Err(mismatch(OTHER_SOURCE));
    }
    Ok(ChainState {
        base: base.slot.clone(),
        base_consistency: base.consistency_time,
        newest: slot.clone(),
        newest_consistency: newest.consistency_time,
        newest_chain: newest.chain.clone(),
        scope: newest.source.scope.clone(),
        server_id: newest.source.server_id.clone(),
    })
}

/// What a standby replays next, given what it holds and the backups of the line.
///
/// Backups are replayed in the order of their slots, one at a time. `heads` holds those after
/// `last` (void markers left out), and as many older ones as were read: they are only needed to
/// reseed, and to see that a window whose `previous` is older than `last` still fits.
pub fn next_to_replay(last: Option<&Replayed>, heads: &[Head]) -> Next {
    let by_slot = by_slot(heads);
    let Some(last) = last else {
        return reseed(heads, None);
    };
    let held = by_slot.get(last.slot.as_str()).copied();
    if held.is_some_and(|head| head.sha256 != last.sha256) {
        // Nothing is ever rewritten: this is another line under the same name.
        return reseed(heads, None);
    }
    let next = heads
        .iter()
        .filter(|head| head.slot > last.slot)
        .min_by(|a, b| a.slot.cmp(&b.slot));
    match next {
        None => Next::UpToDate,
        Some(next) if next.chain == Chain::Full => Next::Full(next.clone()),
        Some(next) if follows(next, last, held, &by_slot) => Next::Window(next.clone()),
        Some(_) => reseed(heads, Some(&last.slot)),
    }
}

/// Whether a target that holds `last` holds all that `window` builds on.
fn follows(
    window: &Head,
    last: &Replayed,
    held: Option<&Head>,
    by_slot: &HashMap<&str, &Head>,
) -> bool {
    let Chain::Incremental { previous, .. } = &window.chain else {
        return false;
    };
    if let (Some(older), Some(held)) = (by_slot.get(previous.as_str()), held) {
        // Each complete backup covers all that was acknowledged before its consistency time, so
        // a window also fits on one that is newer than its `previous`.
        return older.consistency_time <= held.consistency_time
            && check_link(window, older).is_ok()
            && check_source(window, held).is_ok();
    }
    *previous == last.slot
}

/// The newest backup after `after` that can be restored, with all it builds on.
fn reseed(heads: &[Head], after: Option<&str>) -> Next {
    let mut sorted: Vec<&Head> = heads.iter().collect();
    sorted.sort_by(|a, b| a.slot.cmp(&b.slot));
    let newer = |head: &Head| after.is_none_or(|after| head.slot.as_str() > after);
    // Oldest first, so that what a window builds on is judged before it: one pass.
    let mut whole: HashMap<&str, (&Head, bool)> = HashMap::new();
    let mut target = None;
    for head in &sorted {
        let restorable = match &head.chain {
            Chain::Full => true,
            Chain::Incremental { previous, .. } => whole
                .get(previous.as_str())
                .is_some_and(|(older, whole)| *whole && check_link(head, older).is_ok()),
        };
        whole.insert(&head.slot, (head, restorable));
        if restorable && newer(head) {
            target = Some(&head.slot);
        }
    }
    let newest = sorted.last().filter(|head| newer(head));
    match (target, newest) {
        (Some(slot), _) => restore_set(heads, slot).map_or_else(Next::Broken, Next::Reseed),
        (None, Some(head)) => {
            restore_set(heads, &head.slot).map_or_else(Next::Broken, Next::Reseed)
        }
        (None, None) => Next::UpToDate,
    }
}

fn by_slot(heads: &[Head]) -> HashMap<&str, &Head> {
    heads
        .iter()
        .map(|head| (head.slot.as_str(), head))
        .collect()
}

/// Whether `newer`, which names `older` as the one before it, fits on top of it.
fn check_link(newer: &Head, older: &Head) -> Result<(), ChainError> {
    let Chain::Incremental {
        base, window_start, ..
    } = &newer.chain
    else {
        return Ok(());
    };
    let root = match &older.chain {
        Chain::Full => &older.slot,
        Chain::Incremental { base, .. } => base,
    };
    if older.slot >= newer.slot {
        return Err(mismatch(newer, older, "that is not older"));
    }
    if root != base {
        return Err(mismatch(newer, older, "that belongs to another chain"));
    }
    if older.consistency_time > newer.consistency_time {
        return Err(mismatch(newer, older, "its consistency time is earlier"));
    }
    if i128::from(*window_start) > older.reach() {
        return Err(mismatch(
            newer,
            older,
            "its window begins after the end of what that covers",
        ));
    }
    check_source(newer, older)
}

fn check_source(newer: &Head, older: &Head) -> Result<(), ChainError> {
    if newer.source == older.source {
        Ok(())
    } else {
        Err(mismatch(newer, older, OTHER_SOURCE))
    }
}

/// Each text goes in with its length, so that no two sources look alike.
fn source_digest(source: &SourceInfo) -> String {
    let mut hash = Sha256::new();
    let words = [&source.engine, &source.method, &source.server_id];
    let scope = source.scope.iter().flat_map(|(name, value)| [name, value]);
    for text in words.into_iter().chain(scope) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(hash.finalize())
}

fn mismatch(newer: &Head, older: &Head, problem: &'static str) -> ChainError {
    ChainError::Mismatch {
        slot: newer.slot.clone(),
        previous: older.slot.clone(),
        problem,
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
