//! What was observed, and what is to be done.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use crate::api::common::ManifestRef;
use crate::api::conditions::{self, types};
use crate::api::order::{Order, ReplicateOrder};
use crate::api::storage_location::StorageLocationSpec;
use crate::api::{Backup, BackupSchedule, BackupScheduleStatus, labels};
use crate::controller::events::Note;
use crate::controller::run_state::RunState;
use crate::controller::store::StoreFault;
use crate::retention::Item;
use crate::transfer::catalog::Stored;

/// What is known of a BackupSchedule.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) schedule: BackupSchedule,
    pub(super) namespace: String,
    pub(super) cluster: String,
    pub(super) cluster_uid: String,
    /// Its Backups, those of an earlier schedule of its name included.
    pub(super) backups: Vec<Child>,
    /// The newest backup in the bucket; looked for where no object knows of one.
    pub(super) newest: Option<Box<Stored>>,
    pub(super) gate: Gate,
    pub(super) pruning: Pruning,
    /// The locations of `replicateTo`, in the spec's order.
    pub(super) replicas: Vec<Replica>,
}

/// A Backup of the schedule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) slot: Option<Timestamp>,
    pub(super) slot_name: Option<String>,
    pub(super) hold: bool,
    pub(super) end: End,
    pub(super) completed: Option<Timestamp>,
    pub(super) consistency: Option<Timestamp>,
    pub(super) manifest: Option<ManifestRef>,
    /// What its `Ready` says: a reason and a message.
    pub(super) word: Option<(String, String)>,
}

/// How a Backup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has not.
    Active,
    Complete,
    Failed,
}

impl Child {
    pub(super) fn of(backup: &Backup) -> Self {
        let status = backup.status.clone().unwrap_or_default();
        let is = |type_| conditions::is_true(&status.conditions, type_);
        let word = status
            .conditions
            .iter()
            .find(|c| c.type_ == types::READY)
            .map(|c| (c.reason.clone(), c.message.clone()));
        Self {
            name: backup.name_any(),
            uid: backup.uid().unwrap_or_default(),
            slot: backup
                .annotations()
                .get(labels::SLOT)
                .and_then(|slot| slot.parse().ok()),
            slot_name: status.slot,
            hold: backup.spec.hold,
            end: if is(types::COMPLETE) {
                End::Complete
            } else if is(types::FAILED) {
                End::Failed
            } else {
                End::Active
            },
            completed: status.completion_time,
            consistency: status.consistency_time,
            manifest: status.manifest,
            word,
        }
    }
}

/// Whether the schedule may run (`activeWhenPromoted`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Not yet: the RestoreSchedule's name.
    Closed(String),
}

/// What is known for pruning.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pruning {
    /// It is not time for it.
    NotDue,
    /// A prune Job is under way.
    Running,
    /// A prune Job has ended: its pod's word, what it was to delete, and what is left of that.
    Ended { run: RunState, gone: Vec<String> },
    /// It is time: what the bucket holds.
    Due {
        storage: Box<StorageLocationSpec>,
        items: Vec<Item>,
    },
    /// It is time, and the bucket can't be read.
    Blocked(StoreFault),
}

/// A location of `replicateTo`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) state: ReplicaState,
}

/// Where the copies of a location stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ReplicaState {
    /// There is nothing to do now.
    Idle,
    /// A Job copies.
    Running(RunState),
    /// A Job has ended: how, and its order.
    Ended {
        run: RunState,
        order: Option<Box<ReplicateOrder>>,
    },
    /// It is time to copy.
    Due {
        from: Box<StorageLocationSpec>,
        to: Box<StorageLocationSpec>,
    },
    /// It is time, and one of the two locations can't be used.
    Blocked(StoreFault),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Make this Backup.
    pub(super) create: Option<Box<Backup>>,
    /// Start pruning.
    pub(super) prune: Option<Work>,
    /// Start copying.
    pub(super) copies: Vec<Work>,
    /// Delete these Backups: names and uids.
    pub(super) delete: Vec<(String, String)>,
    /// What the status becomes.
    pub(super) status: BackupScheduleStatus,
    /// What people are told.
    pub(super) notes: Vec<Note>,
    /// When to look again, where nothing happens before.
    pub(super) requeue: Option<Duration>,
}

/// A Job to start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Work {
    pub(super) job_name: String,
    pub(super) order: Order,
    pub(super) timeout: Duration,
}

/// A prune Job of the schedule.
#[derive(Clone, Debug)]
pub(super) struct PruneJob {
    pub(super) job: Job,
    pub(super) run: RunState,
}
