//! What to do about a RestoreSchedule. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::child::{self, Child};
use super::state::{Bucket, Observed, Plan};
use super::status;
use crate::api::conditions::{self, Reason, State, types};
use crate::api::restore::ChainScope;
use crate::api::restore_schedule::Mode;
use crate::controller::events::Note;
use crate::controller::restore::{Problem, TargetLease};
use crate::controller::time::{after, until};
use crate::manifest::Chain;
use crate::manifest::chain::{Head, Next};
use crate::schedule::{self, Schedule, ScheduleInput};

/// How often the bucket is asked for new backups, and a promotion looks at the last import.
const POLL: Duration = Duration::from_secs(5);
/// How soon a Restore that was refused is tried again.
const REFUSED: Duration = Duration::from_secs(60);
/// The wait after the first failed Restore; doubled with each further one.
const MIN_BACKOFF: Duration = Duration::from_secs(15);
/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// Ended Restores that are kept where the spec does not say.
const HISTORY: usize = 20;
/// Failures in a row that are kept whatever the spec says: the wait is told by their number.
const KEPT_FAILURES: usize = 8;

/// Decides.
pub(super) fn decide(seen: &Observed, now: Timestamp) -> Plan {
    let mut step = Step::new(seen, now);
    status::fold_ended(seen, &mut step.plan.status);
    if seen.is_promoted() {
        step.promote();
    } else {
        match seen.schedule.spec.mode {
            Mode::Continuous => {
                step.replay();
                let message = "the standby is not promoted";
                step.set(types::PROMOTED, State::False, Reason::NothingYet, message);
            }
            Mode::Drill => step.drill(),
        }
        step.objectives();
    }
    step.prune_history();
    step.plan
}

/// The API server took no Restore.
pub(super) fn restore_refused(seen: &Observed, message: &str, now: Timestamp) -> Plan {
    let mut step = Step::new(seen, now);
    status::fold_ended(seen, &mut step.plan.status);
    step.stalled(
        Reason::InvalidSpec,
        &format!("the Restore was refused: {message}; change spec.template"),
    );
    step.plan.requeue = Some(REFUSED);
    step.plan
}

struct Step<'a> {
    seen: &'a Observed,
    now: Timestamp,
    plan: Plan,
}

impl<'a> Step<'a> {
    fn new(seen: &'a Observed, now: Timestamp) -> Self {
        let mut status = seen.schedule.status.clone().unwrap_or_default();
        status.observed_generation = seen.schedule.metadata.generation;
        Self {
            seen,
            now,
            plan: Plan {
                create: None,
                status,
                delete: Vec::new(),
                note: None,
                requeue: None,
            },
        }
    }

    /// The fence: nothing new is made, and it is closed once every import is known to be over. A
    /// Restore ends only then; a Restore that was deleted while it ran leaves its lease.
    fn promote(&mut self) {
        let (seen, now) = (self.seen, self.now);
        self.plan.status.promotion_requested_time.get_or_insert(now);
        let mut waits_for: Vec<String> = seen
            .children()
            .filter(|child| !child.has_ended())
            .map(Child::name)
            .collect();
        if let TargetLease::Busy { holder, until } = &seen.target
            && waits_for.is_empty()
        {
            waits_for.push(format!(
                "{holder}, which works on the target until {until:.0} at the latest"
            ));
        }
        // Closed once, closed for good: what a person restores later opens nothing.
        if waits_for.is_empty() || self.plan.status.promoted_time.is_some() {
            let message = "the standby is fenced for good; no replay will touch it. To fail back, create a RestoreSchedule in the other direction";
            if self.plan.status.promoted_time.is_none() {
                self.plan.status.promoted_time = Some(now);
                self.plan.note = Some(Note::normal(Reason::Promoted, "Promote", message));
            }
            self.set(types::PROMOTED, State::True, Reason::Promoted, message);
            self.ready(Reason::Promoted, message);
            let over = "the standby no longer follows the primary";
            for type_ in [types::IN_SYNC, types::RPO_MET, types::RTO_MET] {
                self.set(type_, State::Unknown, Reason::Promoted, over);
            }
            return;
        }
        let message = format!("waits for {} to be over", waits_for.join(", "));
        self.set(types::PROMOTED, State::False, Reason::Fencing, &message);
        self.not_ready(Reason::Fencing, &message);
        self.plan.requeue = Some(POLL);
        self.objectives();
    }

    fn replay(&mut self) {
        let seen = self.seen;
        self.plan.requeue = Some(POLL);
        let (newer, next) = match &seen.bucket {
            Bucket::Read { newer, next } => (newer, next),
            Bucket::Blocked(problem) => {
                self.not_ready(problem.reason, &problem.message);
                let (reason, message) = (problem.reason, &problem.message);
                self.set(types::IN_SYNC, State::Unknown, reason, message);
                return;
            }
            Bucket::NotLooked => return,
        };
        let status = &mut self.plan.status;
        status.newest_slot = newer.clone().or_else(|| status.last_slot.clone());
        self.in_sync(newer.as_deref());
        let problem = match next {
            None | Some(Next::UpToDate) => None,
            Some(Next::Broken(problem)) => Some(problem.to_string()),
            Some(Next::Window(head)) => {
                self.attempt(head, ChainScope::Window);
                None
            }
            Some(Next::Full(head)) => {
                self.attempt(head, ChainScope::Chain);
                None
            }
            Some(Next::Reseed(set)) => {
                if let Some(head) = set.last() {
                    self.attempt(head, ChainScope::Chain);
                }
                None
            }
        };
        match problem {
            Some(problem) => self.not_ready(Reason::ChainBroken, &problem),
            None => self.ready_unless_failing(),
        }
    }

    /// Makes the Restore of a backup; after a failure when its wait is over, under a new name.
    fn attempt(&mut self, head: &Head, scope: ChainScope) {
        let seen = self.seen;
        if self.plan.status.active.is_some() || seen.schedule.spec.suspend {
            return;
        }
        let failures = seen.failures();
        if let Some(ended) = failures.last.and_then(Child::ended_at) {
            let due = after(ended, backoff(failures.count));
            if due > self.now {
                self.plan.requeue = Some(until(due, self.now).min(POLL));
                return;
            }
        }
        let tried = seen
            .children()
            .filter(|child| child.slot() == Some(&head.slot))
            .map(Child::attempt)
            .max()
            .unwrap_or(0);
        let restore = child::of_backup(&seen.schedule, head, scope, tried + 1);
        let follows = scope == ChainScope::Window || head.chain == Chain::Full;
        if !follows && self.plan.status.last_slot.is_some() {
            self.plan.note = Some(Note::warning(
                Reason::ChainBroken,
                "Replay",
                format!(
                    "the standby can't go on from what it holds; it starts over with the chain up to {}",
                    head.slot
                ),
            ));
        }
        self.plan.status.active.clone_from(&restore.metadata.name);
        self.plan.create = Some(Box::new(restore));
    }

    fn drill(&mut self) {
        let (seen, now) = (self.seen, self.now);
        let spec = &seen.schedule.spec;
        self.remove(types::IN_SYNC);
        self.remove(types::PROMOTED);
        let parsed = Schedule::parse(
            spec.cron.as_deref(),
            spec.every.as_ref().map(|every| every.0.as_str()),
            spec.time_zone.as_deref(),
        );
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let reason = Reason::parse(error.reason()).unwrap_or(Reason::InvalidSpec);
                self.stalled(reason, &error.to_string());
                return;
            }
        };
        let since = self.holds_since(&parsed.digest());
        let due = schedule::decide(&ScheduleInput {
            schedule: &parsed,
            now,
            last_slot: self.plan.status.last_slot_time,
            effective_since: since,
            jitter: Duration::ZERO,
            jitter_key: "",
            starting_deadline: None,
            suspend: spec.suspend,
        });
        self.plan.status.next_slot_time = due.next_slot;
        self.plan.requeue = due.next.map(|next| until(next, now));
        self.ready_unless_failing();
        let Some(slot) = due.run else { return };
        if self.plan.status.active.is_some() {
            // One drill at a time: this slot's begins when the one before is over.
            self.plan.requeue = Some(POLL);
            return;
        }
        let restore = child::of_drill(&seen.schedule, slot.slot);
        self.plan.status.active.clone_from(&restore.metadata.name);
        self.plan.create = Some(Box::new(restore));
        self.plan.status.last_slot_time = due.settled;
    }

    /// Since when the timing holds as it is: the schedule's creation, the last change of its
    /// timing, or the end of its suspension.
    fn holds_since(&mut self, digest: &str) -> Timestamp {
        let created = self.seen.schedule.creation_timestamp();
        let status = &mut self.plan.status;
        if self.seen.schedule.spec.suspend {
            status.timing_digest = None;
            status.timing_since = None;
            return self.now;
        }
        let known = status.timing_digest.as_deref();
        let since = match (known, status.timing_since) {
            (Some(known), Some(since)) if known == digest => since,
            (None, None) if status.last_slot_time.is_none() && status.conditions.is_empty() => {
                created.map_or(self.now, |time| time.0)
            }
            _ => self.now,
        };
        status.timing_digest = Some(digest.to_owned());
        status.timing_since = Some(since);
        since
    }

    fn in_sync(&mut self, newer: Option<&str>) {
        let last = self.plan.status.last_slot.clone();
        let (state, reason, message) = match (newer, last) {
            (Some(newer), _) => (
                State::False,
                Reason::ReplayPending,
                format!("the backup {newer} is not in the standby yet"),
            ),
            (None, Some(last)) => (
                State::True,
                Reason::Succeeded,
                format!("the newest backup, {last}, is in the standby"),
            ),
            (None, None) => (State::Unknown, Reason::NothingYet, NO_BACKUP.to_owned()),
        };
        self.set(types::IN_SYNC, state, reason, &message);
    }

    /// Ready as long as the newest Restore did not fail.
    fn ready_unless_failing(&mut self) {
        let seen = self.seen;
        let failure = seen.failures().last.and_then(|child| {
            let (reason, message) = child.failure()?;
            let reason = Reason::parse(reason).unwrap_or(Reason::InternalError);
            Some((reason, format!("{} failed: {message}", child.name())))
        });
        if let Some((reason, message)) = failure {
            self.not_ready(reason, &message);
            return;
        }
        if seen.schedule.spec.suspend {
            self.ready(Reason::Suspended, "suspended: nothing new is restored");
            return;
        }
        if seen.schedule.spec.mode == Mode::Drill {
            self.ready(Reason::Succeeded, "drills are made at their times");
            return;
        }
        match (&self.plan.status.last_slot, &self.plan.status.active) {
            (Some(_), _) => self.ready(Reason::Succeeded, "new backups are replayed as they come"),
            (None, Some(_)) => {
                self.not_ready(Reason::Running, "the first backup is being restored");
            }
            (None, None) => self.not_ready(Reason::NothingYet, NO_BACKUP),
        }
    }

    /// RPO and RTO against what was promised; the RPO is looked at again when it will be missed.
    fn objectives(&mut self) {
        let missed_at = status::judge_objectives(self.seen, &mut self.plan.status, self.now);
        if let Some(missed_at) = missed_at {
            let left = until(missed_at, self.now);
            self.plan.requeue = Some(self.plan.requeue.map_or(left, |wait| wait.min(left)));
        }
    }

    /// Ended Restores beyond the limit, the oldest first. The one that the standby's state comes
    /// from stays, and so do as many failures as the next wait is told by.
    fn prune_history(&mut self) {
        let limit = self.seen.schedule.spec.history_limit;
        let limit = limit.map_or(HISTORY, |limit| usize::try_from(limit).unwrap_or(HISTORY));
        let keep = limit.max(self.seen.failures().count.min(KEPT_FAILURES));
        let last_slot = self.plan.status.last_slot.as_deref();
        let ended: Vec<_> = self
            .seen
            .children()
            .filter(|child| child.has_ended())
            .collect();
        let surplus = ended.len().saturating_sub(keep);
        self.plan.delete = ended
            .into_iter()
            .take(surplus)
            .filter(|child| child.success().is_none() || child.slot() != last_slot)
            .filter_map(|child| Some((child.name(), child.0.uid()?)))
            .collect();
    }

    fn ready(&mut self, reason: Reason, message: &str) {
        self.set(types::READY, State::True, reason, message);
        self.remove(types::RECONCILING);
        self.remove(types::STALLED);
    }

    /// It goes on trying.
    fn not_ready(&mut self, reason: Reason, message: &str) {
        self.set(types::READY, State::False, reason, message);
        self.set(types::RECONCILING, State::True, reason, message);
        self.remove(types::STALLED);
    }

    /// Only a person can help.
    fn stalled(&mut self, reason: Reason, message: &str) {
        self.set(types::READY, State::False, reason, message);
        self.set(types::STALLED, State::True, reason, message);
        self.remove(types::RECONCILING);
    }

    fn remove(&mut self, type_: &str) {
        conditions::remove(&mut self.plan.status.conditions, type_);
    }

    fn set(&mut self, type_: &str, state: State, reason: Reason, message: &str) {
        let word = Problem::new(reason, message);
        status::set(
            self.seen,
            &mut self.plan.status,
            type_,
            state,
            &word,
            self.now,
        );
    }
}

const NO_BACKUP: &str = "no backup of the line is in the bucket yet; check source.cluster, namespace and schedule if there should be one";

fn backoff(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    MIN_BACKOFF
        .saturating_mul(1 << doublings.min(10))
        .min(MAX_BACKOFF)
}
