//! What to do about a Backup. Pure.
//!
//! The bucket is the truth: a manifest at the slot's key means Complete, whatever became of the
//! pod. A run that went without a word may still be at work somewhere; it can spoil nothing (its
//! files lie below its own run id and only one manifest can be), so the next attempt need not
//! wait for it. But `Failed` is not said before the slot is void or every run is known to be over.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::order;
use super::state::{Commit, MakeVoid, Observed, Plan, Start, Storage};
use super::status;
use crate::api::conditions::Reason;
use crate::api::outcome::{Outcome, RunResult};
use crate::controller::job_pod::job_name;
use crate::controller::retry::Retry;
use crate::controller::run_state::{RunState, SilentEnd};
use crate::controller::store::is_writable;
use crate::controller::time::{after, until};

/// How soon what is waited for is looked at again: a location, a Secret, a store.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How soon a pod that does not run yet is looked at again; its changes are watched too.
const POD_START: Duration = Duration::from_secs(20);

/// Why a Backup can't go on now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Decides.
pub(super) fn decide(seen: &Observed, now: Timestamp) -> Plan {
    if seen.has_ended() {
        return Plan {
            status: status::observed(seen),
            ..Plan::default()
        };
    }
    if let Commit::Committed {
        manifest,
        reference,
    } = &seen.commit
    {
        return status::complete(seen, manifest, reference, now);
    }
    if let Some(problem) = order::unreadable_spec(&seen.backup.spec) {
        return fail(seen, &problem, now);
    }
    if seen.backup.spec.cancel {
        let problem = Problem::new(Reason::Cancelled, "spec.cancel was set");
        return fail(seen, &problem, now);
    }
    if let Some(time) = seen.waits_until() {
        return if now < time {
            Plan {
                requeue: Some(until(time, now)),
                status: status::observed(seen),
                ..Plan::default()
            }
        } else {
            start(seen, seen.attempt + 1, now)
        };
    }
    if seen.attempt == 0 {
        return start(seen, 1, now);
    }
    match &seen.run {
        RunState::NoJob => {
            let end = SilentEnd {
                reason: Reason::PodLost,
                message: "the Job was deleted before its pod told how it ended".to_owned(),
                known_dead: false,
                never_ran: false,
            };
            ended_silently(seen, &end, now)
        }
        RunState::Starting | RunState::Running | RunState::NotStarting { .. } => {
            going_on(seen, now)
        }
        RunState::EndedByWord(outcome) => ended_by_word(seen, outcome, now),
        RunState::EndedSilently(end) => ended_silently(seen, end, now),
    }
}

/// The API server would not have the Job.
pub(super) fn job_refused(seen: &Observed, message: &str, now: Timestamp) -> Plan {
    let problem = Problem::new(
        Reason::JobRefused,
        format!("the Job could not be made: {message}"),
    );
    wait(seen, &problem, now)
}

/// Starts an attempt, once everything that it needs is there.
fn start(seen: &Observed, attempt: u32, now: Timestamp) -> Plan {
    let storage = match &seen.storage {
        Storage::Ready(spec) if is_writable(spec) => spec,
        Storage::NotLooked => {
            return Plan {
                requeue: Some(Duration::ZERO),
                ..Plan::default()
            };
        }
        other => return wait(seen, &storage_problem(seen, other), now),
    };
    match &seen.commit {
        Commit::Absent | Commit::NotLooked | Commit::Committed { .. } => {}
        Commit::Void(_) | Commit::Unusable(_) => return taken(seen, now),
        Commit::Fault(fault) => {
            let problem = Problem::new(fault.reason, fault.message.clone());
            return wait(seen, &problem, now);
        }
    }
    if let Some(secret) = &seen.missing_secret {
        let problem = Problem::new(
            Reason::SecretNotFound,
            format!(
                "the Secret {secret} with the database's login does not exist in this namespace; create it with the keys username and password"
            ),
        );
        return wait(seen, &problem, now);
    }
    let name = job_name(&seen.backup.name_any(), &seen.identity.backup_uid, attempt);
    Plan {
        status: Some(status::running(seen, attempt, &name, None, now)),
        start: Some(Start {
            attempt,
            order: order::export(seen, storage, now),
            timeout: seen.timeout(),
            job_name: name,
        }),
        requeue: Some(POD_START),
        ..Plan::default()
    }
}

fn storage_problem(seen: &Observed, storage: &Storage) -> Problem {
    let name = &seen.backup.spec.storage.name;
    match storage {
        Storage::Missing => Problem::new(
            Reason::StorageNotFound,
            format!("the StorageLocation {name} does not exist in this namespace; create it"),
        ),
        Storage::NotReady { message, .. } => Problem::new(
            Reason::StorageNotReady,
            format!("the StorageLocation {name} is not Ready: {message}"),
        ),
        Storage::Ready(_) | Storage::NotLooked => Problem::new(
            Reason::StorageReadOnly,
            format!("the StorageLocation {name} is ReadOnly; name one that is ReadWrite"),
        ),
    }
}

/// Something that is not this Backup's manifest lies at its key.
fn taken(seen: &Observed, now: Timestamp) -> Plan {
    let problem = match &seen.commit {
        Commit::Void(marker) => Problem::new(
            Reason::SlotVoid,
            format!(
                "the slot was given up: {}; create another Backup",
                marker.void
            ),
        ),
        Commit::Unusable(message) => Problem::new(Reason::ManifestInvalid, message.clone()),
        _ => Problem::new(Reason::InternalError, "the slot's key could not be read"),
    };
    status::failed(seen, &problem, now)
}

fn going_on(seen: &Observed, now: Timestamp) -> Plan {
    if seen.is_overdue(now) {
        let end = SilentEnd {
            reason: Reason::RunLost,
            message:
                "the run is beyond its deadline and its pod does not end; its node may be gone"
                    .to_owned(),
            known_dead: false,
            never_ran: false,
        };
        return ended_silently(seen, &end, now);
    }
    let problem = match &seen.run {
        RunState::NotStarting { reason, message } => Some(Problem::new(*reason, message.clone())),
        _ => None,
    };
    let bound = until(seen.run_bound(now), now);
    let name = seen.job.as_ref().map(ResourceExt::name_any);
    Plan {
        status: Some(status::running(
            seen,
            seen.attempt,
            &name.unwrap_or_default(),
            problem.as_ref(),
            now,
        )),
        requeue: Some(match &seen.run {
            RunState::Running => bound,
            _ => POD_START.min(bound),
        }),
        ..Plan::default()
    }
}

fn ended_by_word(seen: &Observed, outcome: &Outcome, now: Timestamp) -> Plan {
    match &outcome.result {
        RunResult::Failed(failure) => {
            let problem = Problem::new(failure.reason, failure.message.clone());
            if failure.retryable {
                again_or_fail(seen, &problem, true, now)
            } else {
                fail(seen, &problem, now)
            }
        }
        // It says that it is done, and the manifest was not found (that is decided before).
        _ => match (&seen.commit, unread(seen)) {
            (_, Some(problem)) if now < seen.run_bound(now) => {
                let message = format!(
                    "the run is over and its manifest can't be read yet: {}",
                    problem.message
                );
                Plan {
                    status: Some(status::waiting(
                        seen,
                        &Problem::new(problem.reason, message),
                        now,
                    )),
                    requeue: Some(LOOK_AGAIN),
                    ..Plan::default()
                }
            }
            (_, Some(problem)) => status::failed(seen, &problem, now),
            (Commit::Void(_) | Commit::Unusable(_), None) => taken(seen, now),
            _ => {
                let problem = Problem::new(
                    Reason::RunLost,
                    "the pod said that it committed the backup, and there is no manifest in the bucket",
                );
                again_or_fail(seen, &problem, true, now)
            }
        },
    }
}

/// Why it can't be said what lies at the slot's key.
fn unread(seen: &Observed) -> Option<Problem> {
    match &seen.commit {
        Commit::Fault(fault) => Some(Problem::new(fault.reason, fault.message.clone())),
        Commit::NotLooked => Some(storage_problem(seen, &seen.storage)),
        _ => None,
    }
}

fn ended_silently(seen: &Observed, end: &SilentEnd, now: Timestamp) -> Plan {
    let problem = Problem::new(end.reason, end.message.clone());
    // What could not be started within its whole time needs a person.
    if end.never_ran && end.reason == Reason::TimedOut {
        let last = seen
            .backup
            .status
            .as_ref()
            .and_then(status::last_problem)
            .filter(|last| last.reason == Reason::PodNotStarting);
        let problem = last.map_or(problem.clone(), |last| {
            Problem::new(
                last.reason,
                format!("{}: {}", problem.message, last.message),
            )
        });
        return fail_after(seen, &problem, end.known_dead, now);
    }
    again_or_fail(seen, &problem, end.known_dead, now)
}

/// Another attempt later, or the end where none is left.
fn again_or_fail(seen: &Observed, problem: &Problem, known_dead: bool, now: Timestamp) -> Plan {
    if matches!(seen.commit, Commit::Void(_) | Commit::Unusable(_)) {
        return fail_after(seen, problem, known_dead, now);
    }
    let retry = Retry::of(seen.backup.spec.retry.as_ref());
    let Some(wait) = retry.wait_after(seen.attempt) else {
        return fail_after(seen, problem, known_dead, now);
    };
    let lost_until = (!known_dead).then(|| seen.run_bound(now));
    status::backing_off(seen, problem, wait, lost_until, now)
}

fn fail_after(seen: &Observed, problem: &Problem, known_dead: bool, now: Timestamp) -> Plan {
    if known_dead {
        return fail(seen, problem, now);
    }
    fail_unless_committed(seen, problem, seen.run_bound(now), now)
}

/// The end, unless a run that may still be at work makes a void marker necessary.
fn fail(seen: &Observed, problem: &Problem, now: Timestamp) -> Plan {
    let runs = !seen.run.has_ended() && seen.attempt > 0 && seen.waits_until().is_none();
    let lost = seen.backup.status.as_ref().and_then(|s| s.lost_until);
    let bound = runs.then(|| seen.run_bound(now)).max(lost);
    match bound {
        Some(bound) => fail_unless_committed(seen, problem, bound, now),
        None => status::failed(seen, problem, now),
    }
}

/// A run may commit until `bound`: the slot is made void first. Where the store does not let that
/// happen, the end is said after `bound`.
fn fail_unless_committed(
    seen: &Observed,
    problem: &Problem,
    bound: Timestamp,
    now: Timestamp,
) -> Plan {
    if matches!(seen.commit, Commit::Void(_) | Commit::Unusable(_)) {
        return status::failed(seen, problem, now);
    }
    let otherwise = if now >= bound {
        status::failed(seen, problem, now)
    } else {
        let message = format!(
            "{}; a run may still commit and the store can't be asked, so Failed is said at {bound} at the latest",
            problem.message
        );
        Plan {
            status: Some(status::waiting(
                seen,
                &Problem::new(problem.reason, message),
                now,
            )),
            delete_job: status::unwanted_job(seen),
            requeue: Some(LOOK_AGAIN.min(until(bound, now))),
            ..Plan::default()
        }
    };
    match (&seen.commit, &seen.storage) {
        (Commit::Absent, Storage::Ready(spec)) if is_writable(spec) => Plan {
            void: Some(MakeVoid {
                why: format!("{}: {}", problem.reason, problem.message),
                otherwise: Box::new(otherwise),
            }),
            requeue: Some(Duration::ZERO),
            ..Plan::default()
        },
        _ => otherwise,
    }
}

/// Waits for something that a person or another controller can bring about, until the Backup's
/// time is over.
fn wait(seen: &Observed, problem: &Problem, now: Timestamp) -> Plan {
    let from = seen.waits_until().unwrap_or_else(|| seen.created(now));
    let bound = after(from, seen.timeout());
    if now >= bound {
        return fail(seen, problem, now);
    }
    Plan {
        status: Some(status::waiting(seen, problem, now)),
        requeue: Some(LOOK_AGAIN.min(until(bound, now))),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests;
