//! What to do about a Restore. Pure.
//!
//! A run that ended without a word may still be at work on a node that can't be reached. So a
//! further attempt, and the word Failed, wait until its own deadline (`status.notAfter`) has
//! passed. Only what a pod said itself, or its kubelet of it, makes that wait shorter.

mod quiesce;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::order;
use super::state::{Observed, Plan, Problem, Resolved, Start, Storage, TargetLease, open_attempt};
use super::status;
use crate::api::RestoreStatus;
use crate::api::common::ManifestRef;
use crate::api::conditions::Reason;
use crate::api::outcome::{Failure, Outcome, RunResult};
use crate::api::storage_location::StorageLocationSpec;
use crate::controller::retry::Retry;
use crate::controller::run_state::{RunState, SilentEnd};
use crate::controller::time::{after, until};

/// What a pod is given to be scheduled and started, beyond its timeout.
const START_MARGIN: Duration = Duration::from_secs(120);
/// What Kubernetes is given to stop a run that has passed its deadline, before this does it.
const LATE: Duration = Duration::from_secs(60);
/// How soon what is waited for is looked at again: a location, a backup, the target's lease.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How soon a pod that starts or ends is looked at again.
const POD_CHANGE: Duration = Duration::from_secs(2);

/// Decides.
pub(super) fn decide(seen: &Observed, now: Timestamp) -> Plan {
    if seen.has_ended() {
        return status::seen_again(seen);
    }
    let step = Step { seen, now };
    match &seen.run {
        RunState::EndedByWord(outcome) => step.ended_by_word(outcome),
        RunState::EndedSilently(end) => step.ended_silently(end),
        RunState::Starting | RunState::Running => step.under_way(None),
        RunState::NotStarting { reason, message } => {
            step.under_way(Some(Problem::new(*reason, message.clone())))
        }
        RunState::NoJob if seen.status().job.is_some() => step.vanished(),
        RunState::NoJob => step.idle(),
    }
}

/// The API server took no Job for the attempt.
pub(super) fn job_refused(seen: &Observed, message: &str, now: Timestamp) -> Plan {
    let failure = Failure {
        reason: Reason::JobRefused,
        message: format!("the Job was refused: {message}; check spec.job, quotas and policies"),
        retryable: true,
        applied_parts: 0,
    };
    Step { seen, now }.failed_run(seen.status(), &failure)
}

struct Step<'a> {
    seen: &'a Observed,
    now: Timestamp,
}

impl Step<'_> {
    fn cancelled(&self) -> bool {
        self.seen.restore.spec.cancel
    }

    /// A Job is there and has not ended.
    fn under_way(&self, trouble: Option<Problem>) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let mut status = status::with_job(seen, now);
        let deadline = status.not_after.map(|end| after(end, LATE));
        let stop = if deadline.is_some_and(|end| end <= now) {
            Some(Problem::new(
                Reason::TimedOut,
                "the run has passed its deadline and is being stopped",
            ))
        } else if self.cancelled() {
            Some(Problem::new(
                Reason::Cancelled,
                "cancelled; the run is being stopped",
            ))
        } else if let Some(problem) = self.came_back(&mut status) {
            Some(problem)
        } else if seen.fenced && trouble.is_some() {
            Some(Problem::new(
                Reason::Promoted,
                "the standby was promoted and the pod does not start; it is being stopped",
            ))
        } else {
            None
        };
        if let Some(why) = stop {
            status::progress(seen, &mut status, &why, now);
            let job = seen
                .job
                .as_ref()
                .and_then(|job| Some((job.name_any(), job.uid()?)));
            return Plan {
                stop: job,
                ..status::plan(status, POD_CHANGE)
            };
        }
        let wait = deadline.map_or(LOOK_AGAIN, |end| until(end, now));
        let wait = match (&seen.run, &trouble) {
            (_, Some(_)) => wait.min(LOOK_AGAIN),
            (RunState::Starting, _) => wait.min(POD_CHANGE),
            _ => wait,
        };
        let word = trouble.unwrap_or_else(|| {
            let attempt = status.attempt;
            Problem::new(Reason::Running, format!("attempt {attempt} is under way"))
        });
        let wait = match status.quiesce {
            Some(_) => wait.min(quiesce::LOOK),
            None => wait,
        };
        status::progress(seen, &mut status, &word, now);
        status::plan(status, wait)
    }

    fn ended_by_word(&self, outcome: &Outcome) -> Plan {
        let mut status = status::with_job(self.seen, self.now);
        status::take_outcome(self.seen, &mut status, outcome);
        match &outcome.result {
            RunResult::Imported(imported) => self.imported(status, imported),
            RunResult::Failed(failure) => self.failed_run(status, failure),
            RunResult::Exported(_) | RunResult::Replicated(_) | RunResult::Done { .. } => self.fail(
                status,
                &Problem::new(
                    Reason::InternalError,
                    "the pod answered as if it had been asked for something else; its image is of another version than the controller",
                ),
            ),
        }
    }

    fn ended_silently(&self, end: &SilentEnd) -> Plan {
        let mut status = status::with_job(self.seen, self.now);
        if !end.known_dead
            && let Some(not_after) = status.not_after.filter(|end| *end > self.now)
        {
            let word = Problem::new(
                end.reason,
                format!(
                    "{}; it may still be at work on a node that can't be reached, so nothing more is done before its own deadline at {not_after:.0}",
                    end.message
                ),
            );
            status::progress(self.seen, &mut status, &word, self.now);
            return status::plan(status, until(not_after, self.now).min(LOOK_AGAIN));
        }
        let failure = Failure {
            reason: end.reason,
            message: end.message.clone(),
            retryable: true,
            applied_parts: 0,
        };
        self.failed_run(status, &failure)
    }

    /// The Job was there and is gone.
    fn vanished(&self) -> Plan {
        let over = self
            .seen
            .status()
            .not_after
            .is_none_or(|end| end <= self.now);
        self.ended_silently(&SilentEnd {
            reason: Reason::PodLost,
            message: if over {
                "the run was stopped, or its Job deleted, before it told how it ended".to_owned()
            } else {
                "the Job was deleted before its pod told how it ended".to_owned()
            },
            known_dead: false,
            never_ran: false,
        })
    }

    /// Nothing runs.
    fn idle(&self) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let status = seen.status();
        if self.cancelled() {
            let word = Problem::new(Reason::Cancelled, "cancelled before a run was started");
            return self.fail(status, &word);
        }
        if seen.fenced {
            let word = Problem::new(
                Reason::Promoted,
                "the standby was promoted: nothing more is replayed into it",
            );
            return self.fail(status, &word);
        }
        if let Some(problem) = order::unreadable_spec(&seen.restore) {
            return self.fail(status, &problem);
        }
        if let Some(next) = status.next_attempt_time.filter(|next| *next > now) {
            // A promotion meanwhile ends it.
            return status::plan(status, until(next, now).min(LOOK_AGAIN));
        }
        if open_attempt(&status).is_some() && status.not_after.is_none_or(|end| end <= now) {
            let failure = Failure {
                reason: Reason::JobRefused,
                message: "the Job could not be made before its deadline".to_owned(),
                retryable: true,
                applied_parts: 0,
            };
            return self.failed_run(status, &failure);
        }
        match self.ready_to_start(&status) {
            Err(Stop::Wait(problem)) => self.wait(status, &problem),
            Err(Stop::Fail(problem)) => self.fail(status, &problem),
            Ok((storage, manifests)) => self.start_in_quiet(status, storage, &manifests),
        }
    }

    /// What an attempt needs, or what it still lacks.
    fn ready_to_start(
        &self,
        status: &RestoreStatus,
    ) -> Result<(&StorageLocationSpec, Vec<ManifestRef>), Stop> {
        if let Some(Resolved::Refused(problem)) = &self.seen.resolved {
            return Err(Stop::Fail(problem.clone()));
        }
        let storage = match &self.seen.storage {
            Storage::Ready(storage) => storage.as_ref(),
            Storage::Blocked(problem) => return Err(Stop::Wait(problem.clone())),
            Storage::NotLooked => return Err(Stop::Wait(not_looked())),
        };
        let manifests = if status.names_all() {
            status.manifests.clone()
        } else {
            match &self.seen.resolved {
                Some(Resolved::Manifests(manifests)) => manifests.clone(),
                Some(Resolved::Waiting(problem)) => return Err(Stop::Wait(problem.clone())),
                Some(Resolved::Refused(_)) | None => return Err(Stop::Wait(not_looked())),
            }
        };
        if let Some(secret) = &self.seen.missing_secret {
            return Err(Stop::Wait(Problem::new(
                Reason::SecretNotFound,
                format!(
                    "the Secret {secret} with the database's login does not exist in this namespace; create it with the keys username and password"
                ),
            )));
        }
        if let TargetLease::Busy { holder, until } = &self.seen.target {
            return Err(Stop::Wait(Problem::new(
                Reason::TargetBusy,
                format!(
                    "the Restore {holder} works on the target; this one starts when that is over, at {until:.0} at the latest"
                ),
            )));
        }
        Ok((storage, manifests))
    }

    fn start(
        &self,
        mut status: RestoreStatus,
        storage: &StorageLocationSpec,
        manifests: &[ManifestRef],
    ) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let timeout = seen.timeout();
        if open_attempt(&status).is_none() {
            status.attempt += 1;
            status.next_attempt_time = None;
            status.not_after = Some(after(after(now, timeout), START_MARGIN));
        }
        let not_after = status.not_after.unwrap_or(now);
        status.choose(manifests);
        let (attempt, count) = (status.attempt, manifests.len());
        let word = match count {
            0 => format!("attempt {attempt} starts, with a vendor's dump"),
            _ => format!("attempt {attempt} starts, with {count} backup(s)"),
        };
        status::progress(
            seen,
            &mut status,
            &Problem::new(Reason::Running, word.clone()),
            now,
        );
        let start = Start {
            attempt,
            job_name: super::job_name(&seen.restore, attempt),
            order: order::import(seen, storage, manifests, attempt, not_after),
            timeout,
            not_after,
        };
        Plan {
            start: Some(Box::new(start)),
            note: status::told(seen, Reason::Running, word).filter(|_| attempt == 1),
            ..status::plan(status, POD_CHANGE)
        }
    }

    /// Waits for what is not there yet, but not for ever.
    fn wait(&self, mut status: RestoreStatus, problem: &Problem) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let since = status
            .next_attempt_time
            .unwrap_or_else(|| seen.created(now));
        let end = match open_attempt(&status) {
            Some(_) => status.not_after.unwrap_or(now),
            None => after(since, seen.timeout()),
        };
        if end <= now {
            let message = format!(
                "nothing could be started within {} s: {}",
                seen.timeout().as_secs(),
                problem.message
            );
            return self.fail(status, &Problem::new(problem.reason, message));
        }
        status::progress(seen, &mut status, problem, now);
        status::plan(status, until(end, now).min(LOOK_AGAIN))
    }

    /// An attempt is over and did not succeed.
    fn failed_run(&self, mut status: RestoreStatus, failure: &Failure) -> Plan {
        if self.cancelled() {
            let word = Problem::new(Reason::Cancelled, "cancelled; the run was stopped");
            return self.fail(status, &word);
        }
        if let Some(problem) = quiesce::known_to_be_back(&status) {
            return self.fail(status, &problem);
        }
        let message = told(failure, status.attempt);
        let retry = Retry::of(self.seen.restore.spec.parameters.retry.as_ref());
        let wait = retry
            .wait_after(status.attempt)
            .filter(|_| failure.retryable && !self.seen.fenced);
        let Some(wait) = wait else {
            return self.fail(status, &Problem::new(failure.reason, message));
        };
        status.job = None;
        status.not_after = None;
        status.next_attempt_time = Some(after(self.now, wait));
        let word = Problem::new(
            failure.reason,
            format!(
                "attempt {} of {} failed, the next is made in {} s: {message}",
                status.attempt,
                retry.attempts(),
                wait.as_secs()
            ),
        );
        status::progress(self.seen, &mut status, &word, self.now);
        Plan {
            release: true,
            note: Some(status::warn(&word)),
            ..status::plan(status, wait.min(LOOK_AGAIN))
        }
    }

    fn fail(&self, status: RestoreStatus, problem: &Problem) -> Plan {
        status::failed(self.seen, status, problem, self.now)
    }
}

/// What the pod said, and what it can't know of earlier attempts.
fn told(failure: &Failure, attempt: u32) -> String {
    let message = &failure.message;
    if failure.applied_parts > 0 {
        return format!(
            "{message} ({} parts were applied before)",
            failure.applied_parts
        );
    }
    if failure.reason == Reason::TargetNotEmpty && attempt > 1 {
        return format!(
            "{message}. An earlier attempt of this Restore was cut short and may have left it there"
        );
    }
    message.clone()
}

fn not_looked() -> Problem {
    Problem::new(Reason::Pending, "the source is being looked at")
}

/// Why an attempt does not start.
enum Stop {
    /// What is missing may come.
    Wait(Problem),
    /// It will not.
    Fail(Problem),
}
