//! What to do about a RestoreSchedule. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::child::{self, Child};
use crate::api::common::Span;
use crate::api::conditions::{self, Reason, State, types};
use crate::api::restore_schedule::Mode;
use crate::api::{Restore, RestoreSchedule, RestoreScheduleStatus};
use crate::manifest::chain::{Head, Next};
use crate::schedule::{self, Schedule, ScheduleInput};

/// How often the bucket is asked for new backups.
const POLL: Duration = Duration::from_secs(5);
/// The longest wait before a backup that failed to be replayed is tried again.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// The wait after the first failure.
const MIN_BACKOFF: Duration = Duration::from_secs(15);
/// Ended Restores that are kept where the spec does not say.
const HISTORY: usize = 20;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The RestoreSchedule.
    pub schedule: RestoreSchedule,
    /// Its Restores, oldest first.
    pub restores: Vec<Restore>,
    /// What the bucket holds, or what stands in the way.
    pub bucket: Result<Bucket, Blocked>,
}

/// What the bucket holds of the line.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The newest backup, if there is one.
    pub newest: Option<Head>,
    /// What to replay next.
    pub next: Next,
}

/// What stands in the way, for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The reason.
    pub reason: Reason,
    /// What to do.
    pub message: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// A Restore to make, before the status is written.
    pub create: Option<Box<Restore>>,
    /// Ended Restores that are not kept, by name and uid.
    pub delete: Vec<(String, String)>,
    /// The status to write.
    pub status: RestoreScheduleStatus,
    /// When to look again.
    pub requeue: Option<Duration>,
    /// An event to tell, where the state changed.
    pub event: Option<(Reason, String)>,
}

/// Decides.
pub fn decide(observed: &Observed, now: Timestamp) -> Plan {
    let schedule = &observed.schedule;
    let mut step = Step {
        observed,
        now,
        plan: Plan {
            create: None,
            delete: Vec::new(),
            status: schedule.status.clone().unwrap_or_default(),
            requeue: None,
            event: None,
        },
    };
    step.plan.status.observed_generation = schedule.metadata.generation;
    step.fold_ended();
    if schedule.spec.promoted || step.plan.status.promotion_requested_time.is_some() {
        step.promote();
    } else {
        match schedule.spec.mode {
            Mode::Continuous => step.replay(),
            Mode::Drill => step.drill(),
        }
        let promoted = (State::False, Reason::NothingYet, "the standby follows the primary");
        step.set(types::PROMOTED, promoted.0, promoted.1, promoted.2);
    }
    step.objectives();
    step.prune_history();
    step.plan
}

struct Step<'a> {
    observed: &'a Observed,
    now: Timestamp,
    plan: Plan,
}

impl Step<'_> {
    fn children(&self) -> impl DoubleEndedIterator<Item = Child<'_>> {
        self.observed.restores.iter().map(Child)
    }

    /// Takes over what ended Restores proved, each once: they are told apart by their slot.
    fn fold_ended(&mut self) {
        let mut status = self.plan.status.clone();
        for child in self.observed.restores.iter().map(Child) {
            let (Some(result), Some(slot)) = (child.success(), child.slot()) else {
                continue;
            };
            if status.last_slot.as_deref().is_some_and(|last| last >= slot) {
                continue;
            }
            status.last_slot = Some(slot.to_owned());
            status.last_manifest = result.manifests.last().cloned();
            status.last_consistency_time = result.consistency_time;
            status.last_replay_time = result.completion_time;
            status.last_rto_seconds = result.rto_seconds;
            status.replays += 1;
        }
        status.active = self.children().rfind(|c| !c.has_ended()).map(|c| c.name());
        self.plan.status = status;
    }

    /// The fence: nothing new is made, and it is closed once every import is known to be over. A
    /// Restore ends only then, so it is enough that none is under way.
    fn promote(&mut self) {
        let now = self.now;
        self.plan.status.promotion_requested_time.get_or_insert(now);
        let active: Vec<String> = self.children().filter(|c| !c.has_ended()).map(|c| c.name()).collect();
        if active.is_empty() {
            if self.plan.status.promoted_time.is_none() {
                self.plan.status.promoted_time = Some(now);
                self.plan.event = Some((Reason::Promoted, "the standby is fenced for good; no replay will touch it".to_owned()));
            }
            let message = "the standby is fenced for good; no replay will touch it. To fail back, create a RestoreSchedule in the other direction";
            self.set(types::PROMOTED, State::True, Reason::Promoted, message);
            self.set(types::READY, State::True, Reason::Promoted, message);
            conditions::remove(&mut self.plan.status.conditions, types::RECONCILING);
            conditions::remove(&mut self.plan.status.conditions, types::STALLED);
            self.set(types::IN_SYNC, State::Unknown, Reason::Promoted, "the standby no longer follows the primary");
        } else {
            let message = format!("waits for {} to be over", active.join(", "));
            self.set(types::PROMOTED, State::False, Reason::Fencing, &message);
            self.set(types::READY, State::False, Reason::Fencing, &message);
            self.set(types::RECONCILING, State::True, Reason::Fencing, &message);
            self.plan.requeue = Some(POLL);
        }
    }

    fn replay(&mut self) {
        self.plan.requeue = Some(POLL);
        let bucket = match &self.observed.bucket {
            Ok(bucket) => bucket.clone(),
            Err(blocked) => {
                self.not_ready(blocked.reason, &blocked.message.clone());
                self.set(types::IN_SYNC, State::Unknown, blocked.reason, &blocked.message);
                return;
            }
        };
        self.plan.status.newest_slot = bucket.newest.as_ref().map(|head| head.slot.clone());
        self.in_sync();
        if self.plan.status.active.is_some() {
            self.ready_unless_failing();
            return;
        }
        let head = match bucket.next {
            Next::UpToDate => {
                self.ready_unless_failing();
                return;
            }
            Next::Broken(problem) => {
                self.not_ready(Reason::ChainBroken, &problem.to_string());
                return;
            }
            Next::Window(head) => Some((head, child::Scope::Window)),
            Next::Full(head) => Some((head, child::Scope::Chain)),
            Next::Reseed(set) => set.into_iter().next_back().map(|head| (head, child::Scope::Chain)),
        };
        let Some((head, scope)) = head else {
            self.not_ready(Reason::NothingYet, "no backup is in the bucket yet");
            return;
        };
        if self.observed.schedule.spec.suspend {
            self.set(types::READY, State::True, Reason::Suspended, "suspended: new backups are not replayed");
            return;
        }
        self.next_attempt(&head, scope);
    }

    /// Makes the Restore of a backup; after a failure only when its wait is over, under a new name.
    fn next_attempt(&mut self, head: &Head, scope: child::Scope) {
        let failures = self.children().rev().take_while(|c| c.failure().is_some()).count();
        let last_failure = self.children().next_back().and_then(|c| c.ended_at()).filter(|_| failures > 0);
        // A failed window may have been applied in part; the whole chain brings it right.
        let scope = if failures > 0 { child::Scope::Chain } else { scope };
        if let Some(ended) = last_failure {
            let due = later(ended, backoff(failures));
            if due > self.now {
                self.ready_unless_failing();
                self.plan.requeue = Some(until(self.now, due));
                return;
            }
        }
        let attempt = self.children().filter(|c| c.slot() == Some(head.slot.as_str())).count();
        let restore = child::of_backup(&self.observed.schedule, head, scope, attempt);
        self.plan.status.active = restore.metadata.name.clone();
        self.plan.create = Some(Box::new(restore));
        self.ready_unless_failing();
    }

    fn drill(&mut self) {
        let spec = &self.observed.schedule.spec;
        let parsed = Schedule::parse(
            spec.cron.as_deref(),
            spec.every.as_ref().map(|every| every.0.as_str()),
            spec.time_zone.as_deref(),
        );
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                self.stalled(error.reason(), &error.to_string());
                return;
            }
        };
        let created = self.observed.schedule.metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        let due = schedule::decide(&ScheduleInput {
            schedule: &parsed,
            now: self.now,
            last_slot: self.plan.status.last_slot_time,
            effective_since: created,
            jitter: Duration::ZERO,
            jitter_key: "",
            starting_deadline: None,
            suspend: spec.suspend,
        });
        self.plan.status.next_slot_time = due.next_slot;
        self.plan.requeue = due.next.map(|next| until(self.now, next));
        self.ready_unless_failing();
        let Some(slot) = due.run else { return };
        if self.plan.status.active.is_some() {
            self.plan.requeue = Some(POLL);
            return;
        }
        let restore = child::of_drill(&self.observed.schedule, slot.slot);
        self.plan.status.active = restore.metadata.name.clone();
        self.plan.create = Some(Box::new(restore));
        self.plan.status.last_slot_time = due.settled;
    }

    fn in_sync(&mut self) {
        let status = &self.plan.status;
        let verdict = match (&status.newest_slot, &status.last_slot) {
            (None, _) => (State::Unknown, Reason::NothingYet, "no backup is in the bucket yet".to_owned()),
            (Some(newest), Some(last)) if last >= newest => (
                State::True,
                Reason::Succeeded,
                format!("the newest backup in the bucket, {newest}, is in the standby"),
            ),
            (Some(newest), _) => (State::False, Reason::ReplayPending, format!("the backup {newest} is not in the standby yet")),
        };
        self.set(types::IN_SYNC, verdict.0, verdict.1, &verdict.2);
    }

    /// Ready as long as the newest Restore did not fail.
    fn ready_unless_failing(&mut self) {
        let failure = self
            .children()
            .rfind(Child::has_ended)
            .and_then(|c| c.failure().map(|(reason, message)| (c.name(), reason.to_owned(), message.to_owned())));
        match failure {
            Some((name, reason, message)) => {
                let reason = Reason::parse(&reason).unwrap_or(Reason::InternalError);
                self.not_ready(reason, &format!("{name} failed: {message}"));
            }
            None => {
                self.set(types::READY, State::True, Reason::Succeeded, "new backups are replayed as they come");
                conditions::remove(&mut self.plan.status.conditions, types::RECONCILING);
                conditions::remove(&mut self.plan.status.conditions, types::STALLED);
            }
        }
    }

    /// It goes on trying.
    fn not_ready(&mut self, reason: Reason, message: &str) {
        self.set(types::READY, State::False, reason, message);
        self.set(types::RECONCILING, State::True, reason, message);
        conditions::remove(&mut self.plan.status.conditions, types::STALLED);
    }

    /// Only a person can help.
    fn stalled(&mut self, reason: Reason, message: &str) {
        self.set(types::READY, State::False, reason, message);
        self.set(types::STALLED, State::True, reason, message);
        conditions::remove(&mut self.plan.status.conditions, types::RECONCILING);
    }

    /// RPO and RTO against what was promised, and when the RPO will be missed.
    fn objectives(&mut self) {
        let objectives = self.observed.schedule.spec.objectives.clone().unwrap_or_default();
        let (rpo, rto) = (span(objectives.rpo.as_ref()), span(objectives.rto.as_ref()));
        let verdict = match (rpo, self.plan.status.last_consistency_time) {
            (None, _) => (State::Unknown, Reason::NoObjective, "set objectives.rpo to have it judged".to_owned()),
            (Some(_), None) => (State::False, Reason::NothingYet, "nothing was replayed yet".to_owned()),
            (Some(rpo), Some(consistent)) => {
                let missed_at = later(consistent, rpo);
                if missed_at > self.now {
                    let left = until(self.now, missed_at);
                    self.plan.requeue = Some(self.plan.requeue.map_or(left, |wait| wait.min(left)));
                    (State::True, Reason::ObjectiveMet, format!("the standby is at most {} s behind", rpo.as_secs()))
                } else {
                    (State::False, Reason::ObjectiveMissed, format!("the standby has nothing newer than {consistent}; {} s were promised", rpo.as_secs()))
                }
            }
        };
        self.set(types::RPO_MET, verdict.0, verdict.1, &verdict.2);
        let verdict = match (rto, self.plan.status.last_rto_seconds) {
            (None, _) => (State::Unknown, Reason::NoObjective, "set objectives.rto to have it judged".to_owned()),
            (Some(_), None) => (State::Unknown, Reason::NothingYet, "no restore was verified yet".to_owned()),
            (Some(rto), Some(took)) if took <= rto.as_secs() => (State::True, Reason::ObjectiveMet, format!("the last restore took {took} s of {} s", rto.as_secs())),
            (Some(rto), Some(took)) => (State::False, Reason::ObjectiveMissed, format!("the last restore took {took} s; {} s were promised", rto.as_secs())),
        };
        self.set(types::RTO_MET, verdict.0, verdict.1, &verdict.2);
    }

    fn prune_history(&mut self) {
        let keep = self.observed.schedule.spec.history_limit.map_or(HISTORY, |limit| limit as usize);
        let ended: Vec<Child<'_>> = self.observed.restores.iter().map(Child).filter(Child::has_ended).collect();
        let surplus = ended.len().saturating_sub(keep);
        self.plan.delete = ended[..surplus].iter().map(|c| (c.name(), c.uid())).collect();
    }

    fn set(&mut self, type_: &str, state: State, reason: Reason, message: &str) {
        let generation = self.observed.schedule.metadata.generation;
        conditions::set(&mut self.plan.status.conditions, type_, state, reason, message, generation, self.now);
    }
}

fn span(span: Option<&Span>) -> Option<Duration> {
    span.and_then(|span| span.get().ok())
}

fn backoff(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (MIN_BACKOFF * 2u32.pow(doublings)).min(MAX_BACKOFF)
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
