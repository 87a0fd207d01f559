//! When and what to copy into the locations of `replicateTo`. Pure, but for `observe`.
//!
//! A Job copies; it alone speaks to the second location, and the controller takes its word, which is
//! only shown. So a location that hangs or fails delays nothing. One Job of a schedule and a location
//! is at work at a time: the next one has a name of its own only once the end of this one was noted.

mod observe;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::prune::{PRUNE_EVERY, SWEEP_AGE, SWEEP_EVERY, line_identity};
use super::state::{Child, End, Observed, Plan, ReplicaState, Work};
use crate::api::backup_schedule::{ReplicaSpec, ReplicaStatus};
use crate::api::conditions::{self, Reason, State, types};
use crate::api::order::{Bounds, Order, ReplicateOrder};
use crate::api::outcome::RunResult;
use crate::api::storage_location::StorageLocationSpec;
use crate::api::{BackupSchedule, BackupScheduleStatus};
use crate::controller::events::Note;
use crate::controller::retry::Retry;
use crate::controller::run_state::RunState;
use crate::controller::time::after;
use crate::manifest::line::parse_manifest_key;
use crate::schedule::bounded_name;

pub(super) use observe::look_at_replicas;

/// The longest that a Job may copy. The next one goes on where it stopped.
const COPY_TIME: Duration = Duration::from_secs(2 * 3600);
/// How often a location that can't be used is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The most held slots that are told to a Job.
const HELD: usize = 1000;
/// The most letters of a status' message.
const MESSAGE: usize = 512;

/// When a location gets its next copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has all.
    No,
    Now,
    /// A failure is waited out, or a run that was lost.
    At(Timestamp),
}

/// When the location of `replica` gets its next copies; `newest` is the newest slot to copy.
pub(super) fn due(
    replica: &ReplicaStatus,
    newest: Option<&str>,
    retry: &Retry,
    now: Timestamp,
) -> Due {
    let behind = newest.is_some_and(|newest| replica.slot.as_deref() < Some(newest));
    if !behind && replica.failures == 0 {
        return Due::No;
    }
    let failed = replica.last_run_time.filter(|_| replica.failures > 0);
    let waited = failed.map(|time| after(time, retry.backoff(replica.failures)));
    match waited.max(replica.lost_until).filter(|time| *time > now) {
        Some(time) => Due::At(time),
        None => Due::Now,
    }
}

/// Slot of the newest complete backup of the schedule.
pub(super) fn newest_slot(status: &BackupScheduleStatus, backups: &[Child]) -> Option<String> {
    let noted = status
        .last_manifest
        .as_ref()
        .and_then(|manifest| parse_manifest_key(&manifest.path))
        .map(|(_, slot)| slot);
    backups
        .iter()
        .filter(|child| child.end == End::Complete)
        .filter_map(|child| child.slot_name.clone())
        .chain(noted)
        .max()
}

/// What is known of a location so far.
pub(super) fn known(status: &BackupScheduleStatus, name: &str) -> ReplicaStatus {
    let found = status.replicas.iter().find(|replica| replica.name == name);
    found.cloned().unwrap_or_else(|| ReplicaStatus {
        name: name.to_owned(),
        ..ReplicaStatus::default()
    })
}

/// Name of the Job that copies into a location after so many runs.
pub(super) fn job_name(schedule: &BackupSchedule, replica: &ReplicaStatus) -> String {
    let uid = schedule.uid().unwrap_or_default();
    let hash = Sha256::digest(format!("{uid}/{}", replica.name));
    let suffix = format!("copy-{}-{}", hex::encode(&hash[..4]), replica.runs);
    bounded_name(&schedule.name_any(), &suffix)
}

/// Adds to the plan what `replicateTo` asks for, and says when to look again.
pub(super) fn plan(
    seen: &Observed,
    plan: &mut Plan,
    next: &mut BackupScheduleStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    let specs = seen.schedule.spec.replicate_to.as_deref().unwrap_or(&[]);
    let newest = newest_slot(next, &seen.backups);
    let retry = Retry::of(seen.schedule.spec.template.spec.retry.as_ref());
    let mut look_again = None;
    let mut replicas = Vec::new();
    for spec in specs {
        let mut replica = known(next, &spec.name);
        let state = seen.replicas.iter().find(|seen| seen.name == spec.name);
        let again = match state.map(|seen| &seen.state) {
            None | Some(ReplicaState::Idle) => None,
            Some(ReplicaState::Running(run)) => {
                not_starting(&mut replica, run);
                None
            }
            Some(ReplicaState::Ended { run, order }) => {
                plan.notes
                    .extend(end(&mut replica, run, order.as_deref(), now));
                match due(&replica, newest.as_deref(), &retry, now) {
                    Due::Now => Some(now),
                    Due::At(time) => Some(time),
                    Due::No => None,
                }
            }
            Some(ReplicaState::Due { from, to }) => {
                let up_to = newest.clone().unwrap_or_default();
                plan.copies
                    .push(work(seen, spec, &replica, (from, to), up_to, now));
                None
            }
            Some(ReplicaState::Blocked(fault)) => {
                trouble(&mut replica, fault.reason, &fault.message);
                Some(after(now, LOOK_AGAIN))
            }
        };
        let waits = match due(&replica, newest.as_deref(), &retry, now) {
            Due::At(time) => Some(time),
            Due::No | Due::Now => None,
        };
        look_again = [look_again, again, waits].into_iter().flatten().min();
        replicas.push(replica);
    }
    next.replicas = replicas;
    conclude(next, seen.schedule.metadata.generation, now);
    look_again
}

/// A Job has ended: what it says of the location, and what people are told.
fn end(
    replica: &mut ReplicaStatus,
    run: &RunState,
    order: Option<&ReplicateOrder>,
    now: Timestamp,
) -> Option<Note> {
    replica.runs = replica.runs.saturating_add(1);
    replica.last_run_time = Some(now);
    replica.lost_until = None;
    let problem = match run {
        RunState::EndedByWord(outcome) => match &outcome.result {
            RunResult::Replicated(done) => {
                replica.failures = 0;
                replica.reason = None;
                replica.message = None;
                replica.consistency_time = done.consistency_time.or(replica.consistency_time);
                let reached = order.map(|order| order.up_to.clone());
                replica.slot = reached.max(done.slot.clone()).max(replica.slot.take());
                if order.is_some_and(|order| order.prune) {
                    replica.last_prune_time = Some(now);
                }
                if order.is_some_and(|order| order.sweep_before.is_some()) {
                    replica.last_sweep_time = Some(now);
                }
                // The same backups will be left out until something newer takes their place.
                let failure = done.left_out.as_ref()?;
                (failure.reason, failure.message.clone())
            }
            RunResult::Failed(failure) => {
                replica.failures = replica.failures.saturating_add(1);
                (failure.reason, failure.message.clone())
            }
            _ => {
                replica.failures = replica.failures.saturating_add(1);
                let message = "the pod told the outcome of another task".to_owned();
                (Reason::InternalError, message)
            }
        },
        RunState::EndedSilently(silent) => {
            replica.failures = replica.failures.saturating_add(1);
            if !silent.known_dead && !silent.never_ran {
                replica.lost_until = order.map(|order| order.bounds.not_after);
            }
            (silent.reason, silent.message.clone())
        }
        _ => return None,
    };
    let (reason, message) = problem;
    trouble(replica, reason, &message);
    let message = format!("copies into {}: {message}", replica.name);
    Some(Note::warning(reason, "Replicate", message))
}

fn not_starting(replica: &mut ReplicaStatus, run: &RunState) {
    if let RunState::NotStarting { reason, message } = run {
        trouble(replica, *reason, message);
    }
}

fn trouble(replica: &mut ReplicaStatus, reason: Reason, message: &str) {
    replica.reason = Some(reason.to_string());
    replica.message = Some(message.chars().take(MESSAGE).collect());
}

fn work(
    seen: &Observed,
    spec: &ReplicaSpec,
    replica: &ReplicaStatus,
    (from, to): (&StorageLocationSpec, &StorageLocationSpec),
    up_to: String,
    now: Timestamp,
) -> Work {
    let template = &seen.schedule.spec.template.spec;
    let is_time =
        |last: Option<Timestamp>, every| last.is_none_or(|last| now.duration_since(last) >= every);
    let sweep = is_time(replica.last_sweep_time, SWEEP_EVERY);
    let held = seen.backups.iter().filter(|child| child.hold);
    Work {
        job_name: job_name(&seen.schedule, replica),
        order: Order::Replicate(Box::new(ReplicateOrder {
            identity: line_identity(seen),
            storage: from.clone(),
            replica: to.clone(),
            up_to,
            prune: spec.retention.is_some() && is_time(replica.last_prune_time, PRUNE_EVERY),
            retention: spec.retention.clone(),
            time_zone: seen.schedule.spec.time_zone.clone(),
            held: held
                .filter_map(|child| child.slot_name.clone())
                .take(HELD)
                .collect(),
            sweep_before: sweep.then(|| now.saturating_sub(SWEEP_AGE).unwrap_or(Timestamp::MIN)),
            limits: template.limits.clone().unwrap_or_default(),
            bounds: Bounds {
                timeout_seconds: COPY_TIME.as_secs(),
                not_after: after(now, COPY_TIME),
            },
        })),
        timeout: COPY_TIME,
    }
}

fn conclude(status: &mut BackupScheduleStatus, generation: Option<i64>, now: Timestamp) {
    let list = &mut status.conditions;
    if status.replicas.is_empty() {
        conditions::remove(list, types::REPLICATED);
        return;
    }
    let in_trouble = |replica: &&ReplicaStatus| replica.reason.is_some();
    let first = status.replicas.iter().find(in_trouble);
    let reason = first.and_then(|replica| Reason::parse(replica.reason.as_deref()?));
    let told: Vec<String> = status
        .replicas
        .iter()
        .filter(in_trouble)
        .map(|replica| {
            let message = replica.message.as_deref().unwrap_or_default();
            format!("{}: {message}", replica.name)
        })
        .collect();
    let (state, reason, message) = if let Some(reason) = reason {
        (State::False, reason, told.join("; "))
    } else if status.replicas.iter().any(|replica| replica.slot.is_none()) {
        let message = "not every location has had its first copies".to_owned();
        (State::Unknown, Reason::NothingYet, message)
    } else {
        let message = "the last copies into each location went well".to_owned();
        (State::True, Reason::Succeeded, message)
    };
    conditions::set(
        list,
        types::REPLICATED,
        state,
        reason,
        &message,
        generation,
        now,
    );
}
