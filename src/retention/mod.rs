//! Which backups to keep and which to delete.
//!
//! Pure: the caller lists the manifests of one schedule and gets a plan. Rules are joined: what
//! any rule keeps stays. Ages count from the newest backup, not from the clock, so a schedule that
//! stopped keeps what it has, and a clock that runs ahead deletes nothing.

mod chain;
mod failed;
mod plan;
mod rules;

#[cfg(test)]
mod tests;

pub use failed::{DEFAULT_KEEP_FAILED, FailedBackup, plan_failed};
pub use plan::{Kept, Plan, Reason, plan};
pub use rules::{Chain, Item, Rules};

use jiff::{SignedDuration, Timestamp};

/// How far the clock may be from the store's before pruning stops.
pub const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whether the clock is too far from the store's `Date` to delete anything.
pub fn clock_skew_stops(store_date: Timestamp, now: Timestamp) -> bool {
    now.duration_since(store_date).abs() >= MAX_CLOCK_SKEW
}

/// Whether a single Backup, one that no schedule made, is past its `expireAfter`. There is no
/// newer backup to count from, so this one counts from the clock: ask [`clock_skew_stops`] first.
pub fn standalone_expired(item: &Item, now: Timestamp) -> bool {
    !item.hold && !item.locked && item.expire_after.is_some_and(|end| end <= now)
}
