//! What the rules are and what they look at.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::backup_schedule::Retention;
use crate::api::common::{Span, SpanError};
use crate::manifest;

/// The rules of one schedule. A rule that is not set, or is zero, keeps nothing by itself; when no
/// rule is set everything is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The newest so many.
    pub keep_last: Option<u32>,
    /// All that are at most this much older than the newest.
    pub keep_within: Option<Duration>,
    /// The newest of each of the last so many days that have a backup.
    pub keep_daily: Option<u32>,
    /// The newest of each of the last so many ISO weeks (from Monday) that have a backup.
    pub keep_weekly: Option<u32>,
    /// The newest of each of the last so many months that have a backup.
    pub keep_monthly: Option<u32>,
    /// The newest of each of the last so many years that have a backup.
    pub keep_yearly: Option<u32>,
}

impl Rules {
    /// Whether no rule keeps anything by itself, which means that everything is kept.
    pub fn is_empty(&self) -> bool {
        let counts = [
            self.keep_last,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        counts.iter().all(|n| n.unwrap_or(0) == 0)
            && self.keep_within.unwrap_or(Duration::ZERO).is_zero()
    }
}

impl TryFrom<&Retention> for Rules {
    type Error = SpanError;

    fn try_from(spec: &Retention) -> Result<Self, SpanError> {
        Ok(Self {
            keep_last: spec.keep_last,
            keep_within: spec.keep_within.as_ref().map(Span::get).transpose()?,
            keep_daily: spec.keep_daily,
            keep_weekly: spec.keep_weekly,
            keep_monthly: spec.keep_monthly,
            keep_yearly: spec.keep_yearly,
        })
    }
}

/// One manifest of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The slot, as in the manifest's key. Unique.
    pub id: String,
    /// The consistency time, or that of the slot where nothing was committed.
    pub time: Timestamp,
    /// A backup was committed; otherwise this is the void marker of a lost run.
    pub complete: bool,
    /// A person wants it kept.
    pub hold: bool,
    /// Object lock holds it, so it can't be deleted now.
    pub locked: bool,
    /// What it builds on.
    pub chain: Chain,
    /// It may go after this time, whatever the rules say.
    pub expire_after: Option<Timestamp>,
}

/// What a backup builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// It stands alone.
    Full,
    /// It holds a window of changes.
    Incremental {
        /// The id of the full backup under it.
        base: String,
        /// The id of the backup just before it.
        previous: String,
    },
}

impl From<&manifest::Chain> for Chain {
    fn from(chain: &manifest::Chain) -> Self {
        match chain {
            manifest::Chain::Full => Self::Full,
            manifest::Chain::Incremental { base, previous, .. } => Self::Incremental {
                base: base.clone(),
                previous: previous.clone(),
            },
        }
    }
}
