//! When and what to prune. Pure.
//!
//! The rules are applied to what the bucket holds, not to the objects in Kubernetes: those may be
//! gone. A Job deletes; the objects of deleted backups go when the bucket shows that they are.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::spec::Spec;
use super::state::{Child, End, Observed, Plan, Pruning, Work};
use crate::api::conditions::Reason;
use crate::api::order::{Bounds, Order, PruneOrder};
use crate::api::outcome::RunResult;
use crate::api::{BackupSchedule, BackupScheduleStatus};
use crate::controller::events::Note;
use crate::controller::run_state::RunState;
use crate::manifest::Identity;
use crate::manifest::line::manifest_key;
use crate::retention::{FailedBackup, plan as plan_retention, plan_failed};
use crate::schedule::bounded_name;

/// Pruning reads every manifest of the line and starts a pod: not after each of many backups.
pub(super) const PRUNE_EVERY: SignedDuration = SignedDuration::from_mins(15);
/// The longest a prune Job may take.
const PRUNE_TIME: Duration = Duration::from_secs(3600);
/// The most backups that one prune Job deletes: an order is bounded, the rest goes next time.
const PRUNE_AT_ONCE: usize = 500;
/// How often a location is swept.
pub(super) const SWEEP_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Data without a manifest is swept when it is older: no run lasts that long.
pub(super) const SWEEP_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// True where a Backup was completed since the last pruning, and that is long enough ago, or where it
/// is time to sweep. A schedule without rules is swept too: runs that were killed leave files.
pub(super) fn is_due(schedule: &BackupSchedule, backups: &[Child], now: Timestamp) -> bool {
    rules_are_due(schedule, backups, now) || sweep_is_due(schedule, now)
}

/// True where it is a day since the last sweep, or since the schedule was made.
fn sweep_is_due(schedule: &BackupSchedule, now: Timestamp) -> bool {
    let status = schedule.status.as_ref();
    let last = status
        .and_then(|status| status.last_sweep_time)
        .or_else(|| schedule.creation_timestamp().map(|time| time.0));
    last.is_some_and(|last| now.duration_since(last) >= SWEEP_EVERY)
}

fn rules_are_due(schedule: &BackupSchedule, backups: &[Child], now: Timestamp) -> bool {
    let has_rules = Spec::read(schedule).is_ok_and(|spec| spec.rules.is_some());
    let newest = backups
        .iter()
        .filter(|child| child.end == End::Complete)
        .filter_map(|child| child.completed)
        .max();
    let last = schedule
        .status
        .as_ref()
        .and_then(|status| status.last_prune_time);
    let (true, Some(newest)) = (has_rules, newest) else {
        return false;
    };
    last.is_none_or(|last| newest > last && now.duration_since(last) >= PRUNE_EVERY)
}

/// Adds to the plan what retention asks for.
pub(super) fn plan(
    seen: &Observed,
    spec: &Spec,
    plan: &mut Plan,
    next: &mut BackupScheduleStatus,
    now: Timestamp,
) {
    plan.delete = failed_backups(seen, spec);
    match &seen.pruning {
        Pruning::NotDue | Pruning::Running => {}
        // The location says so itself.
        Pruning::Blocked(fault) if fault.reason == Reason::StorageNotReady => {}
        Pruning::Blocked(fault) => plan.notes.push(Note::warning(
            fault.reason,
            "Prune",
            format!("nothing is pruned: {}", fault.message),
        )),
        Pruning::Due { storage, items } => {
            let rules = spec.rules.clone().unwrap_or_default();
            let retained = plan_retention(&rules, items, spec.times.time_zone(), now);
            let delete: Vec<String> = retained.delete.into_iter().take(PRUNE_AT_ONCE).collect();
            if delete.is_empty() && !sweep_is_due(&seen.schedule, now) {
                next.last_prune_time = Some(now);
                return;
            }
            plan.prune = Some(job(seen, storage, &delete, now));
        }
        Pruning::Ended { run, gone } => {
            next.last_prune_time = Some(now);
            // Each prune Job sweeps. One that failed does so with the next pruning, or in a day.
            next.last_sweep_time = Some(now);
            if let Some(note) = note_of(run) {
                plan.notes.push(note);
            }
            let gone = seen.backups.iter().filter(|child| {
                child.end == End::Complete
                    && !child.hold
                    && child
                        .manifest
                        .as_ref()
                        .is_some_and(|manifest| gone.contains(&manifest.path))
            });
            plan.delete
                .extend(gone.map(|child| (child.name.clone(), child.uid.clone())));
        }
    }
}

fn failed_backups(seen: &Observed, spec: &Spec) -> Vec<(String, String)> {
    let failed: Vec<FailedBackup> = seen
        .backups
        .iter()
        .filter(|child| child.end == End::Failed)
        .filter_map(|child| {
            Some(FailedBackup {
                name: child.name.clone(),
                finished: child.completed?,
                hold: child.hold,
            })
        })
        .collect();
    let delete = plan_failed(Some(spec.keep_failed), &failed);
    seen.backups
        .iter()
        .filter(|child| delete.contains(&child.name))
        .map(|child| (child.name.clone(), child.uid.clone()))
        .collect()
}

/// Whose backups they are.
pub(super) fn line_identity(seen: &Observed) -> Identity {
    Identity {
        cluster: seen.cluster.clone(),
        cluster_uid: seen.cluster_uid.clone(),
        namespace: seen.namespace.clone(),
        schedule: Some(seen.schedule.name_any()),
        ..Identity::default()
    }
}

fn job(
    seen: &Observed,
    storage: &crate::api::StorageLocationSpec,
    delete: &[String],
    now: Timestamp,
) -> Work {
    let identity = line_identity(seen);
    let line = identity.line();
    let delete: Vec<String> = delete
        .iter()
        .map(|slot| manifest_key(&line, slot))
        .collect();
    // The same pruning has the same name: it is not started twice. One that only sweeps has that of
    // its day.
    let what = if delete.is_empty() {
        (now.as_second() / SWEEP_EVERY.as_secs()).to_string()
    } else {
        delete.join("\n")
    };
    let hash = hex::encode(&Sha256::digest(what)[..4]);
    let bound = SignedDuration::try_from(PRUNE_TIME).unwrap_or(SignedDuration::MAX);
    Work {
        job_name: bounded_name(&seen.schedule.name_any(), &format!("prune-{hash}")),
        order: Order::Prune(PruneOrder {
            storage: storage.clone(),
            identity,
            delete,
            sweep_before: now.saturating_sub(SWEEP_AGE).unwrap_or(Timestamp::MIN),
            bounds: Bounds {
                timeout_seconds: PRUNE_TIME.as_secs(),
                not_after: now.saturating_add(bound).unwrap_or(Timestamp::MAX),
            },
        }),
        timeout: PRUNE_TIME,
    }
}

/// What people are told of a pruning that did not go as it should.
fn note_of(run: &RunState) -> Option<Note> {
    let (reason, message) = match run {
        RunState::EndedByWord(outcome) => match &outcome.result {
            RunResult::Failed(failure) => (failure.reason, failure.message.clone()),
            _ => return None,
        },
        RunState::EndedSilently(end) => (end.reason, end.message.clone()),
        _ => (Reason::PodLost, "the prune Job is gone".to_owned()),
    };
    Some(Note::warning(
        reason,
        "Prune",
        format!("pruning failed and is tried again later: {message}"),
    ))
}
