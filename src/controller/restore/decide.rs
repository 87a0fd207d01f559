//! What to do about a Restore. Pure.
//!
//! A run that ended without a word may still be at work on a node that can't be reached. So a
//! further attempt, and the word Failed, wait until its own deadline (`status.notAfter`) has passed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::backup::Phase;
use crate::api::common::{ManifestRef, PhaseTiming, RetryPolicy, SpanError};
use crate::api::conditions::{self, Reason, State, types};
use crate::api::outcome::{Failure, Imported, Outcome, RunResult};
use crate::api::restore::RestoreParameters;
use crate::api::{Restore, RestoreStatus};
use crate::controller::backoff;
use crate::controller::run_state::{RunState, SilentEnd};

/// The longest an attempt takes where the spec does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
/// What a pod is given to be scheduled and started, beyond its timeout.
const START_MARGIN: SignedDuration = SignedDuration::from_secs(120);
/// When to look again while something outside Kubernetes is awaited.
const RECHECK: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The Restore.
    pub restore: Restore,
    /// The location, or what stands in the way.
    pub storage: Result<(), Blocked>,
    /// The manifests to restore, in order: read only while the status names none.
    pub resolved: Option<Resolved>,
    /// The run of the attempt that the status names.
    pub run: RunState,
    /// Who works on the target.
    pub target: TargetLease,
    /// True where the RestoreSchedule that made it was promoted.
    pub fenced: bool,
}

/// What stands in the way, for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The reason.
    pub reason: Reason,
    /// What to do.
    pub message: String,
}

/// What `spec.source` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// These, in this order.
    Manifests(Vec<ManifestRef>),
    /// It can't be restored, and trying again does not help.
    Refused(Blocked),
    /// It can't be said yet.
    Waiting(Blocked),
}

/// Who works on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetLease {
    /// Nobody, or one whose deadline has passed.
    Free,
    /// This Restore.
    Mine,
    /// Another Restore.
    Busy,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The status to write, before anything else is done.
    pub status: RestoreStatus,
    /// Then this.
    pub act: Act,
    /// When to look again, if nothing else happens.
    pub requeue: Option<Duration>,
    /// An event to tell, where the state changed.
    pub event: Option<Event>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The reason.
    pub reason: Reason,
    /// What happened.
    pub message: String,
    /// True for what a person should look at.
    pub warning: bool,
}

/// What is done after the status was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Take the target's lease until `status.notAfter`, then make the Job of `status.attempt`.
    Start,
    /// Delete the Job: its pod gets a signal and ends.
    Stop,
    /// Give the target's lease back, before the status is written: the run is over.
    Release,
}

/// Decides.
pub fn decide(observed: &Observed, now: Timestamp) -> Plan {
    let step = Step {
        observed,
        now,
        generation: observed.restore.metadata.generation,
        status: observed.restore.status.clone().unwrap_or_default(),
    };
    step.decide()
}

/// True where a Restore has ended.
pub fn has_ended(restore: &Restore) -> bool {
    restore.status.as_ref().is_some_and(|status| {
        conditions::is_true(&status.conditions, types::COMPLETE)
            || conditions::is_true(&status.conditions, types::FAILED)
    })
}

/// The longest one attempt takes.
pub fn timeout(parameters: &RestoreParameters) -> Result<Duration, SpanError> {
    parameters
        .timeout
        .as_ref()
        .map_or(Ok(DEFAULT_TIMEOUT), crate::api::common::Span::get)
}

struct Step<'a> {
    observed: &'a Observed,
    now: Timestamp,
    generation: Option<i64>,
    status: RestoreStatus,
}

impl Step<'_> {
    fn decide(mut self) -> Plan {
        if has_ended(&self.observed.restore) {
            return self.plan(Act::Nothing, None, None);
        }
        self.status.observed_generation = self.generation;
        match &self.observed.run {
            RunState::EndedByWord(outcome) => return self.ended_by_word(outcome),
            RunState::EndedSilently(end) => return self.ended_silently(end),
            RunState::Starting | RunState::Running | RunState::NotStarting { .. } => {
                return self.under_way();
            }
            RunState::NoJob => {}
        }
        if self.status.job.is_some() {
            return self.ended_silently(&SilentEnd {
                reason: Reason::PodLost,
                message: "the Job was deleted before it told how it ended".to_owned(),
                known_dead: false,
                never_ran: false,
            });
        }
        if self.observed.restore.spec.cancel {
            return self.fail(Reason::Cancelled, "cancelled before a run was started".to_owned());
        }
        if self.observed.fenced {
            return self.fail(
                Reason::Promoted,
                "the standby was promoted: nothing more is replayed into it".to_owned(),
            );
        }
        self.start()
    }

    fn under_way(mut self) -> Plan {
        if self.observed.restore.spec.cancel {
            self.progress(Reason::Cancelled, "cancelled; the run is being stopped".to_owned());
            return self.plan(Act::Stop, Some(RECHECK), None);
        }
        self.adopt_job();
        match &self.observed.run {
            RunState::NotStarting { reason, message } => {
                let (reason, message) = (*reason, message.clone());
                self.status.phase = Phase::Pending;
                self.progress(reason, message);
            }
            RunState::Running => {
                self.status.phase = Phase::Running;
                self.progress(Reason::Running, format!("attempt {} runs", self.status.attempt));
            }
            _ => {
                self.status.phase = Phase::Running;
                self.progress(Reason::Running, format!("attempt {} starts", self.status.attempt));
            }
        }
        let left = self.status.not_after.map(|end| until(self.now, end));
        self.plan(Act::Nothing, left, None)
    }

    /// The Job is known to exist: from now on its absence means that it was deleted.
    fn adopt_job(&mut self) {
        let job = super::job_name(&self.observed.restore, self.status.attempt);
        self.status.job = Some(job);
        self.status.start_time.get_or_insert(self.now);
        self.status.next_attempt_time = None;
    }

    fn start(mut self) -> Plan {
        let timeout = match timeout(&self.observed.restore.spec.parameters) {
            Ok(timeout) => timeout,
            Err(error) => return self.fail(Reason::InvalidSpec, format!("spec.timeout: {error}")),
        };
        if let Err(blocked) = &self.observed.storage {
            return self.wait(blocked.clone(), timeout);
        }
        if self.status.manifests.is_empty() {
            match &self.observed.resolved {
                Some(Resolved::Manifests(manifests)) => self.status.manifests.clone_from(manifests),
                Some(Resolved::Refused(blocked)) => {
                    return self.fail(blocked.reason, blocked.message.clone());
                }
                Some(Resolved::Waiting(blocked)) => return self.wait(blocked.clone(), timeout),
                None => return self.plan(Act::Nothing, Some(RECHECK), None),
            }
        }
        if let Some(next) = self.status.next_attempt_time
            && next > self.now
        {
            let left = until(self.now, next);
            return self.plan(Act::Nothing, Some(left), None);
        }
        if self.observed.target == TargetLease::Busy {
            return self.wait(
                Blocked {
                    reason: Reason::TargetBusy,
                    message: "another Restore works on the target; this one starts when it is over".to_owned(),
                },
                timeout,
            );
        }
        // Written before the Job is made, so that the Job of an attempt can be made again with the
        // same orders, and its deadline is known whatever happens to it.
        if self.status.not_after.is_none_or(|end| end <= self.now) {
            self.status.attempt += 1;
            self.status.not_after = Some(later(later(self.now, timeout), START_MARGIN.unsigned_abs()));
        }
        let attempt = self.status.attempt;
        self.progress(Reason::Running, format!("attempt {attempt} starts"));
        let event = (attempt == 1).then(|| Event {
            reason: Reason::Running,
            message: format!("restores {} backup(s)", self.status.manifests.len()),
            warning: false,
        });
        self.plan(Act::Start, Some(RECHECK), event)
    }

    /// Waits for what is not there yet, but not for ever.
    fn wait(mut self, blocked: Blocked, timeout: Duration) -> Plan {
        let created = self
            .observed
            .restore
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(self.now, |time| time.0);
        let end = later(created, timeout);
        if end <= self.now {
            return self.fail(
                blocked.reason,
                format!("nothing was started within {} s: {}", timeout.as_secs(), blocked.message),
            );
        }
        self.status.phase = Phase::Pending;
        self.progress(blocked.reason, blocked.message);
        let left = until(self.now, end).min(RECHECK);
        self.plan(Act::Nothing, Some(left), None)
    }

    fn ended_by_word(mut self, outcome: &Outcome) -> Plan {
        self.adopt_job();
        self.status.phases = self.with_wait(outcome.phases.clone());
        self.status.warnings.clone_from(&outcome.warnings);
        match &outcome.result {
            RunResult::Imported(imported) => self.complete(imported),
            RunResult::Failed(failure) => self.failed_run(failure),
            RunResult::Exported(_) | RunResult::Done { .. } => self.fail(
                Reason::InternalError,
                "the pod answered as if it had been asked for something else".to_owned(),
            ),
        }
    }

    fn ended_silently(mut self, end: &SilentEnd) -> Plan {
        if !end.known_dead
            && let Some(not_after) = self.status.not_after
            && not_after > self.now
        {
            self.progress(
                end.reason,
                format!("{}; waits until its own deadline has passed, as it may still be at work", end.message),
            );
            let left = until(self.now, not_after);
            return self.plan(Act::Nothing, Some(left), None);
        }
        let failure = Failure {
            reason: end.reason,
            message: end.message.clone(),
            retryable: true,
            applied_parts: 0,
        };
        self.failed_run(&failure)
    }

    fn failed_run(mut self, failure: &Failure) -> Plan {
        if self.observed.restore.spec.cancel {
            return self.fail(Reason::Cancelled, "cancelled; the run was stopped".to_owned());
        }
        let message = if failure.applied_parts > 0 {
            format!("{} ({} parts were applied)", failure.message, failure.applied_parts)
        } else {
            failure.message.clone()
        };
        let default = RetryPolicy::default();
        let policy = self.observed.restore.spec.parameters.retry.as_ref().unwrap_or(&default);
        let wait = match backoff::wait_before(policy, self.status.attempt) {
            Ok(wait) => wait,
            Err(error) => return self.fail(Reason::InvalidSpec, format!("spec.retry: {error}")),
        };
        let Some(wait) = wait.filter(|_| failure.retryable && !self.observed.fenced) else {
            return self.fail(failure.reason, message);
        };
        self.status.phase = Phase::Pending;
        self.status.job = None;
        self.status.not_after = None;
        self.status.next_attempt_time = Some(later(self.now, wait));
        self.progress(
            failure.reason,
            format!("attempt {} failed: {message}; the next one starts in {} s", self.status.attempt, wait.as_secs()),
        );
        let event = Event {
            reason: failure.reason,
            message,
            warning: true,
        };
        self.plan(Act::Release, Some(wait), Some(event))
    }

    /// The wait for the pod, before the phases that the pod tells.
    fn with_wait(&self, mut phases: Vec<PhaseTiming>) -> Vec<PhaseTiming> {
        let first = phases.iter().map(|phase| phase.start_time).min();
        if let (Some(first), Some(created)) = (first, &self.observed.restore.metadata.creation_timestamp) {
            let wait = PhaseTiming {
                name: "wait".to_owned(),
                start_time: created.0,
                end_time: Some(first.max(created.0)),
            };
            phases.insert(0, wait);
        }
        phases
    }

    fn complete(mut self, imported: &Imported) -> Plan {
        self.status.consistency_time = Some(imported.consistency_time);
        self.status.verified = Some(imported.verified);
        self.status.totals = Some(imported.totals.clone());
        self.status.refused_records = imported.refused_records;
        self.status.expired_records = imported.expired_records;
        if let Some(created) = &self.observed.restore.metadata.creation_timestamp {
            let took = self.now.duration_since(created.0);
            self.status.rto_seconds = Some(took.as_secs().try_into().unwrap_or(0));
        }
        let message = if self.observed.restore.spec.parameters.dry_run {
            "the dry run changed nothing; status.warnings says what a restore would do".to_owned()
        } else {
            format!("{} records are in the target, verified: {:?}", imported.totals.records, imported.verified)
        };
        self.end(Phase::Complete, Reason::Succeeded, message)
    }

    fn fail(self, reason: Reason, message: String) -> Plan {
        self.end(Phase::Failed, reason, message)
    }

    fn end(mut self, phase: Phase, reason: Reason, message: String) -> Plan {
        let complete = phase == Phase::Complete;
        self.status.observed_generation = self.generation;
        self.status.phase = phase;
        self.status.completion_time = Some(self.now);
        self.status.next_attempt_time = None;
        let verdict = if complete { types::COMPLETE } else { types::FAILED };
        self.set(verdict, State::True, reason, &message);
        self.set(types::READY, complete.into(), reason, &message);
        if !complete {
            self.set(types::STALLED, State::True, reason, &message);
        }
        conditions::remove(&mut self.status.conditions, types::RECONCILING);
        let event = Event {
            reason,
            message,
            warning: !complete,
        };
        self.plan(Act::Release, None, Some(event))
    }

    /// Not over yet: kstatus reads it as in progress.
    fn progress(&mut self, reason: Reason, message: String) {
        self.set(types::READY, State::False, reason, &message);
        self.set(types::RECONCILING, State::True, reason, &message);
    }

    fn set(&mut self, type_: &str, state: State, reason: Reason, message: &str) {
        conditions::set(
            &mut self.status.conditions,
            type_,
            state,
            reason,
            message,
            self.generation,
            self.now,
        );
    }

    fn plan(self, act: Act, requeue: Option<Duration>, event: Option<Event>) -> Plan {
        Plan {
            status: self.status,
            act,
            requeue,
            event,
        }
    }
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    then.duration_since(now).try_into().unwrap_or(Duration::ZERO)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
