//! The kinds of `lifeboat.dev/v1alpha1` and the documents that controller and job exchange.
//!
//! Pure: no client, no clock. Rules that the API server enforces stand beside the fields they guard.

// The derive of `KubeSchema` repeats each struct inside a private function.
#![allow(unreachable_pub)]
// The arguments of several printer columns look to the lint as one attribute given twice.
#![allow(clippy::duplicated_attributes)]

pub mod backup;
pub mod backup_schedule;
pub mod common;
pub mod conditions;
pub mod engines;
pub mod generate;
pub mod job_pod;
pub mod order;
pub mod outcome;
pub mod quiesce;
pub mod restore;
pub mod restore_schedule;
pub mod storage_location;
mod text;

pub use backup::{Backup, BackupSpec, BackupStatus};
pub use backup_schedule::{BackupSchedule, BackupScheduleSpec, BackupScheduleStatus};
pub use generate::{crds, crds_yaml};
pub use restore::{Restore, RestoreSpec, RestoreStatus};
pub use restore_schedule::{RestoreSchedule, RestoreScheduleSpec, RestoreScheduleStatus};
pub use storage_location::{StorageLocation, StorageLocationSpec, StorageLocationStatus};

/// The API group.
pub const GROUP: &str = "lifeboat.dev";
/// The only version so far; changes to it are additive.
pub const VERSION: &str = "v1alpha1";
/// Names the field manager of what Lifeboat applies.
pub const FIELD_MANAGER: &str = "lifeboat";

/// Labels and annotations that Lifeboat sets.
pub mod labels {
    /// The BackupSchedule that made a Backup.
    pub const BACKUP_SCHEDULE: &str = "lifeboat.dev/backup-schedule";
    /// The RestoreSchedule that made a Restore.
    pub const RESTORE_SCHEDULE: &str = "lifeboat.dev/restore-schedule";
    /// The uid of the schedule that made the object: tells a schedule from an earlier one of its name.
    pub const SCHEDULE_UID: &str = "lifeboat.dev/schedule-uid";
    /// The Backup that a Job belongs to.
    pub const BACKUP: &str = "lifeboat.dev/backup";
    /// The Restore that a Job belongs to.
    pub const RESTORE: &str = "lifeboat.dev/restore";
    /// What a Job does: `export`, `import`, `verify`, `prune` or `replicate`.
    pub const TASK: &str = "lifeboat.dev/task";
    /// The attempt number of a Job, counted from 1.
    pub const ATTEMPT: &str = "lifeboat.dev/attempt";
    /// Annotation on a Backup: the slot it was made for, RFC 3339 in UTC.
    pub const SLOT: &str = "lifeboat.dev/slot";
    /// Annotation on a Backup: the trigger value that it was made for.
    pub const TRIGGER: &str = "lifeboat.dev/trigger";
    /// Annotation on a job pod: its orders, one JSON document.
    pub const ORDER: &str = "lifeboat.dev/order";
    /// On a lease that records what a workload's replicas were.
    pub const QUIESCE: &str = "lifeboat.dev/quiesce";
    /// Set on everything Lifeboat makes.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
}
