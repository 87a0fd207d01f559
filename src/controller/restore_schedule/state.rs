//! What is known of a RestoreSchedule, and what is to be done.

use std::time::Duration;

use super::child::Child;
use crate::api::conditions::Reason;
use crate::api::restore_schedule::Mode;
use crate::api::{Restore, RestoreSchedule, RestoreScheduleStatus};
use crate::controller::events::Note;
use crate::controller::restore::{Problem, TargetLease, is_promoted};
use crate::manifest::chain::{Next, Replayed};

/// After so many failures in a row the newest chain is replayed instead of the next backup.
const RESEED_AFTER: usize = 3;

/// What is known of a RestoreSchedule.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The RestoreSchedule.
    pub(super) schedule: RestoreSchedule,
    /// Its Restores, oldest first.
    pub(super) restores: Vec<Restore>,
    /// What the bucket holds, or what stands in the way.
    pub(super) bucket: Bucket,
    /// Who works on the target; looked at only for a promotion.
    pub(super) target: TargetLease,
}

/// What the bucket holds of the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bucket {
    /// There was no need to look.
    NotLooked,
    /// It can't be read now.
    Blocked(Problem),
    /// It was read.
    Read {
        /// The newest slot after the last one replayed; none where nothing is newer.
        newer: Option<String>,
        /// What to replay next; none where a Restore is under way.
        next: Option<Next>,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// A Restore to make.
    pub(super) create: Option<Box<Restore>>,
    /// What the status becomes.
    pub(super) status: RestoreScheduleStatus,
    /// Ended Restores that are not kept: name and uid.
    pub(super) delete: Vec<(String, String)>,
    /// What people are told.
    pub(super) note: Option<Note>,
    /// When to look again, where nothing happens before.
    pub(super) requeue: Option<Duration>,
}

/// The Restores that failed since the last one that did not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failures<'a> {
    /// How many.
    pub(super) count: usize,
    /// The last of them.
    pub(super) last: Option<Child<'a>>,
}

impl Observed {
    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = Child<'_>> {
        self.restores.iter().map(Child)
    }

    /// True from the moment that promotion was asked for.
    pub(super) fn is_promoted(&self) -> bool {
        is_promoted(&self.schedule)
    }

    /// The Restores that failed last, one after the other.
    pub(super) fn failures(&self) -> Failures<'_> {
        let mut failed = self
            .children()
            .rev()
            .skip_while(|child| !child.has_ended())
            .take_while(|child| child.failure().is_some());
        let last = failed.next();
        Failures {
            count: usize::from(last.is_some()) + failed.count(),
            last,
        }
    }

    /// True where the bucket decides what comes next.
    pub(super) fn needs_bucket(&self) -> bool {
        self.schedule.spec.mode == Mode::Continuous && !self.is_promoted()
    }

    /// True where the next backup in order fails and fails, or can't be restored at all: then the
    /// newest chain is replayed, whatever the standby holds.
    pub(super) fn starts_over(&self) -> bool {
        let failures = self.failures();
        let hopeless = failures
            .last
            .and_then(Child::failure)
            .and_then(|(reason, _)| Reason::parse(reason))
            .is_some_and(|reason| {
                matches!(
                    reason,
                    Reason::BackupNotFound
                        | Reason::ManifestInvalid
                        | Reason::DataCorrupt
                        | Reason::ChainBroken
                        | Reason::SlotVoid
                        | Reason::VerificationFailed
                )
            });
        hopeless || failures.count >= RESEED_AFTER
    }
}

/// What the standby holds, by its status.
pub(super) fn replayed(status: &RestoreScheduleStatus) -> Option<Replayed> {
    Some(Replayed {
        slot: status.last_slot.clone()?,
        sha256: status.last_manifest.as_ref()?.sha256.clone(),
    })
}
