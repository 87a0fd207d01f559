//! What was observed, and what is to be done.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use crate::api::conditions::Reason;
use crate::api::order::Order;
use crate::api::storage_location::StorageLocationSpec;
use crate::api::{Backup, BackupStatus};
use crate::controller::events::Note;
use crate::controller::run_state::RunState;
use crate::controller::time::after;
use crate::manifest::Identity;

pub(super) use crate::controller::store::Commit;

/// The longest one attempt may take where the spec does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
/// What a run may be late: its Job's margin, and the Job controller's and kubelet's own delays.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// What is known of a Backup.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) backup: Backup,
    /// The controller's own image.
    pub(super) image: String,
    pub(super) identity: Identity,
    /// The Job of the newest attempt.
    pub(super) job: Option<Job>,
    /// The newest attempt that was begun; 0 for none.
    pub(super) attempt: u32,
    pub(super) run: RunState,
    pub(super) storage: Storage,
    /// What lies at the slot's key in the bucket.
    pub(super) commit: Commit,
    /// The Secret with the database's login, where it does not exist.
    pub(super) missing_secret: Option<String>,
}

/// The StorageLocation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Storage {
    /// There was no need to look.
    NotLooked,
    /// It does not exist.
    Missing,
    /// It can't be used now.
    NotReady {
        spec: Box<StorageLocationSpec>,
        reason: Reason,
        message: String,
    },
    /// It can be used.
    Ready(Box<StorageLocationSpec>),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Take the slot's key first.
    pub(super) void: Option<MakeVoid>,
    /// Start an attempt.
    pub(super) start: Option<Start>,
    /// Delete the Job of a run that is no longer wanted: its name and uid.
    pub(super) delete_job: Option<(String, String)>,
    /// What the status becomes.
    pub(super) status: Option<BackupStatus>,
    /// What people are told.
    pub(super) note: Option<Note>,
    /// When to look again, where nothing happens before.
    pub(super) requeue: Option<Duration>,
}

/// Put a void marker at the slot's key, and look again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MakeVoid {
    /// The marker's words.
    pub(super) why: String,
    /// What is to be done where the store does not let it happen.
    pub(super) otherwise: Box<Plan>,
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Start {
    pub(super) attempt: u32,
    pub(super) job_name: String,
    pub(super) order: Order,
    pub(super) timeout: Duration,
}

impl Observed {
    pub(super) fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap_or_default()
    }

    pub(super) fn created(&self, now: Timestamp) -> Timestamp {
        self.backup.creation_timestamp().map_or(now, |time| time.0)
    }

    /// The longest one attempt may take. The API server let the text through, or it is refused
    /// when the Backup is looked at first.
    pub(super) fn timeout(&self) -> Duration {
        self.backup
            .spec
            .timeout
            .as_ref()
            .and_then(|span| span.get().ok())
            .unwrap_or(DEFAULT_TIMEOUT)
    }

    /// The next attempt's time, while it is not begun.
    pub(super) fn waits_until(&self) -> Option<Timestamp> {
        let status = self.backup.status.as_ref()?;
        status
            .next_attempt_time
            .filter(|_| self.attempt == status.attempt)
    }

    /// When the newest attempt's Job was made.
    pub(super) fn run_started(&self) -> Option<Timestamp> {
        let job = self.job.as_ref()?;
        job.creation_timestamp().map(|time| time.0)
    }

    /// After this the newest attempt is over by its own deadline, whatever is seen of it.
    pub(super) fn run_bound(&self, now: Timestamp) -> Timestamp {
        let started = self
            .run_started()
            .or_else(|| self.backup.status.as_ref()?.start_time)
            .unwrap_or_else(|| self.created(now));
        after(started, self.timeout())
            .saturating_add(LATE)
            .unwrap_or(Timestamp::MAX)
    }

    /// True where a run is seen to go on beyond its bound.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.job.is_some() && now >= self.run_bound(now)
    }
}
