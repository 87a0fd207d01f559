//! What is known of a Restore, and what is to be done.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::quiesce::{Quieten, Seen};
use crate::api::common::ManifestRef;
use crate::api::conditions::{self, Reason};
use crate::api::order::Order;
use crate::api::storage_location::StorageLocationSpec;
use crate::api::{Restore, RestoreStatus};
use crate::controller::events::Note;
use crate::controller::run_state::RunState;
use crate::controller::store::StoreFault;

/// The longest one attempt takes where the spec does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// What is known of a Restore.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The Restore, as the API server has it.
    pub(super) restore: Restore,
    /// The Job of the attempt that is not settled yet.
    pub(super) job: Option<Job>,
    /// That attempt's run.
    pub(super) run: RunState,
    /// True where the RestoreSchedule that made it was promoted.
    pub(super) fenced: bool,
    /// The location that the source names.
    pub(super) storage: Storage,
    /// What the source comes to; looked at only while the status does not name all manifests.
    pub(super) resolved: Option<Resolved>,
    /// The Secret with the target's login, where it does not exist.
    pub(super) missing_secret: Option<String>,
    /// Who works on the target.
    pub(super) target: TargetLease,
    /// The workloads of `spec.quiesce`; looked at where an attempt may start.
    pub(super) workloads: Result<Vec<Seen>, Problem>,
    /// The first of them that another hand has scaled up; looked at while a run is there.
    pub(super) came_back: Option<String>,
}

/// The location that the source names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Storage {
    /// There was no need to look.
    NotLooked,
    /// It can't be read now.
    Blocked(Problem),
    /// It can be read.
    Ready(Box<StorageLocationSpec>),
}

/// What `spec.source` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// These manifests, in this order.
    Manifests(Vec<ManifestRef>),
    /// It can't be restored, and trying again does not help.
    Refused(Problem),
    /// It can't be said yet.
    Waiting(Problem),
}

/// Who works on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetLease {
    /// Nobody, one whose deadline has passed, or this Restore itself.
    Free,
    /// Another Restore.
    Busy {
        /// Its namespace and name.
        holder: String,
        /// When its own deadline passes.
        until: Timestamp,
    },
}

/// Why a Restore can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The reason.
    pub(crate) reason: Reason,
    /// A sentence that says what to do.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl From<StoreFault> for Problem {
    fn from(fault: StoreFault) -> Self {
        Self::new(fault.reason, fault.message)
    }
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Give the target's lease back: no run of this Restore is under way.
    pub(super) release: bool,
    /// Scale back what is held, before the status says that it is over.
    pub(super) scale_back: bool,
    /// What the status becomes.
    pub(super) status: RestoreStatus,
    /// What is done with the workloads of `spec.quiesce`.
    pub(super) quieten: Option<Quieten>,
    /// Take the target's lease, then make the Job. Its attempt and deadline stand in the status
    /// before: an attempt is made again with the same orders, or not at all.
    pub(super) start: Option<Box<Start>>,
    /// Delete this Job and see its pod end: its name and uid.
    pub(super) stop: Option<(String, String)>,
    /// What people are told.
    pub(super) note: Option<Note>,
    /// When to look again, where nothing happens before.
    pub(super) requeue: Option<Duration>,
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Start {
    /// Counted from 1.
    pub(super) attempt: u32,
    /// Name of the Job.
    pub(super) job_name: String,
    /// What the pod is told.
    pub(super) order: Order,
    /// The longest the run may take.
    pub(super) timeout: Duration,
    /// No pod of the attempt acts on the target after this.
    pub(super) not_after: Timestamp,
}

impl Observed {
    /// True once `Complete` or `Failed` is True.
    pub(super) fn has_ended(&self) -> bool {
        has_ended(&self.restore)
    }

    pub(super) fn status(&self) -> RestoreStatus {
        self.restore.status.clone().unwrap_or_default()
    }

    pub(super) fn created(&self, now: Timestamp) -> Timestamp {
        self.restore.creation_timestamp().map_or(now, |time| time.0)
    }

    /// The longest one attempt may take. A span that can't be read is refused before it is used.
    pub(super) fn timeout(&self) -> Duration {
        self.restore
            .spec
            .parameters
            .timeout
            .as_ref()
            .and_then(|span| span.get().ok())
            .unwrap_or(DEFAULT_TIMEOUT)
    }

    /// True where nothing runs and nothing has to be waited for: what an attempt needs is to be
    /// looked at.
    pub(super) fn may_start(&self, now: Timestamp) -> bool {
        let status = self.restore.status.as_ref();
        self.run == RunState::NoJob
            && status.is_none_or(|status| {
                status.job.is_none() && status.next_attempt_time.is_none_or(|time| time <= now)
            })
            && !self.restore.spec.cancel
            && !self.fenced
    }
}

/// True where a Restore has ended: `Complete` or `Failed` is True.
pub(crate) fn has_ended(restore: &Restore) -> bool {
    let status = restore.status.as_ref();
    status.is_some_and(|status| conditions::has_ended(&status.conditions))
}

/// The attempt whose Job is there or may come: none before the first, and none once the attempt
/// is settled and the next one waits for its time.
pub(super) fn open_attempt(status: &RestoreStatus) -> Option<u32> {
    (status.attempt > 0 && status.next_attempt_time.is_none()).then_some(status.attempt)
}
