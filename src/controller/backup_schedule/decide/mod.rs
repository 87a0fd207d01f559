//! What to do about a BackupSchedule. Pure.
//!
//! One Backup runs at a time, and in the order of their slots: a window builds on the backup just
//! before it. A slot that is due while a Backup runs waits until that has ended. Within an explicit
//! `startingDeadline` those that waited then run one after another; without one the newest runs,
//! and those that it passed are counted as missed.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::child;
use super::held;
use super::prune;
use super::replicate;
use super::spec::Spec;
use super::state::{End, Gate, Observed, Plan};
use super::status::{self, Outlook, Overdue};
use crate::api::BackupScheduleStatus;
use crate::api::conditions::Reason;
use crate::controller::events::Note;
use crate::schedule::{Due, ScheduleInput, decide as decide_slots, trigger_due};

/// A slot whose Backup is not there so long after its start is overdue.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Decides.
pub(super) fn decide(seen: &Observed, now: Timestamp) -> Plan {
    let spec = match Spec::read(&seen.schedule) {
        Ok(spec) => spec,
        Err(bad) => return status::stalled(seen, &bad, now),
    };
    let mut next = seen.schedule.status.clone().unwrap_or_default();
    status::note_children(&mut next, &seen.backups);
    if let Some(newest) = &seen.newest {
        status::note_found(&mut next, newest);
    }
    let open = seen.gate == Gate::Open;
    let inactive = seen.schedule.spec.suspend || !open;
    let since = note_timing(&mut next, seen, &spec, inactive, now);

    let due = decide_slots(&ScheduleInput {
        schedule: &spec.times,
        now,
        last_slot: next.last_slot_time,
        effective_since: since,
        jitter: spec.jitter,
        jitter_key: &spec.jitter_key,
        starting_deadline: spec.starting_deadline,
        suspend: inactive,
    });
    let due = held::prefer_waiting(seen, &spec, due, next.last_slot_time, now);
    next.next_slot_time = due.next_slot;
    next.jitter_seconds = (!spec.jitter.is_zero()).then(|| spec.delay().as_secs());

    let mut plan = Plan::default();
    let mut outlook = Outlook::default();
    act_on_slots(seen, &due, &mut plan, &mut next, &mut outlook, now);
    if plan.create.is_none() && !is_busy(seen) && open {
        act_on_trigger(seen, &spec, &mut plan, &mut next, now);
    }
    if due.settled.is_none() && plan.create.is_none() {
        outlook.overdue = status::still_overdue(&next, &seen.backups);
    }
    outlook.clock_behind = due.clock_behind;
    outlook.next = due.next;
    prune::plan(seen, &spec, &mut plan, &mut next, now);
    outlook.copies = replicate::plan(seen, &mut plan, &mut next, now);
    plan.requeue = status::conclude(&mut next, seen, &spec, &outlook, now);
    plan.status = next;
    plan
}

/// Since when the schedule holds as it is. A schedule that was edited, suspended or not yet
/// promoted never fires for the time before.
fn note_timing(
    next: &mut BackupScheduleStatus,
    seen: &Observed,
    spec: &Spec,
    inactive: bool,
    now: Timestamp,
) -> Timestamp {
    if inactive {
        next.timing_digest = None;
        next.timing_since = None;
        return now;
    }
    let digest = spec.times.digest();
    let since = match (&seen.schedule.status, next.timing_since) {
        (Some(_), Some(since)) if next.timing_digest.as_ref() == Some(&digest) => since,
        // Never looked at: nothing is lost while the controller is away.
        (None, _) => seen
            .schedule
            .creation_timestamp()
            .map_or(now, |created| created.0),
        (Some(_), _) => now,
    };
    next.timing_digest = Some(digest);
    next.timing_since = Some(since);
    since
}

/// Runs the newest slot that is due, or lets it wait while a Backup runs; notes down the others.
fn act_on_slots(
    seen: &Observed,
    due: &Due,
    plan: &mut Plan,
    next: &mut BackupScheduleStatus,
    outlook: &mut Outlook,
    now: Timestamp,
) {
    let Some(settled) = due.settled else {
        return;
    };
    let exists = |slot: Timestamp| seen.backups.iter().any(|child| child.slot == Some(slot));
    // A Backup that was made before its slot could be noted down is no miss.
    let found = exists(settled);
    if let (Some(run), false, true) = (due.run, found, is_busy(seen)) {
        let overdue_at = run
            .start_at
            .saturating_add(OVERDUE_AFTER)
            .unwrap_or(run.start_at);
        outlook.overdue = (now >= overdue_at).then(|| Overdue {
            reason: Reason::SlotsMissed,
            message: format!(
                "the slot {} waits for the Backup before it to end",
                run.slot
            ),
        });
        outlook.overdue_at = Some(overdue_at);
        return;
    }
    let floor = next.last_slot_time.unwrap_or(Timestamp::MIN);
    let unnoted = seen
        .backups
        .iter()
        .filter_map(|child| child.slot)
        .filter(|slot| *slot > floor && *slot < settled)
        .count();
    let mut missed = due
        .missed
        .slots
        .saturating_sub(u64::try_from(unnoted).unwrap_or(u64::MAX));
    if found && due.run.is_none() {
        missed = missed.saturating_sub(1);
    }
    next.last_slot_time = Some(settled);
    next.missed_slots = next.missed_slots.saturating_add(missed);
    if missed > 0 {
        let more = if due.missed.or_more { "at least " } else { "" };
        let message = format!(
            "{more}{missed} slots up to {settled} were skipped: the controller was away, a Backup ran too long, or spec.startingDeadline had passed"
        );
        plan.notes
            .push(Note::warning(Reason::SlotsMissed, "Schedule", message));
    }
    match due.run {
        Some(run) if !found => {
            let backup = child::of_slot(&seen.schedule, run.slot);
            status::note_started(next, &backup.name_any());
            plan.create = Some(Box::new(backup));
        }
        None if !found => {
            outlook.overdue = Some(Overdue {
                reason: Reason::SlotsMissed,
                message: format!("the slot {settled} was skipped"),
            });
        }
        _ => {}
    }
}

/// A Backup of the schedule has not ended.
fn is_busy(seen: &Observed) -> bool {
    seen.backups.iter().any(|child| child.end == End::Active)
}

/// A new value of `trigger` makes one Backup, also while the schedule is suspended.
fn act_on_trigger(
    seen: &Observed,
    spec: &Spec,
    plan: &mut Plan,
    next: &mut BackupScheduleStatus,
    now: Timestamp,
) {
    let asked = seen.schedule.spec.trigger.as_deref();
    let Some(trigger) = trigger_due(asked, next.last_trigger.as_deref()) else {
        return;
    };
    let backup = child::of_trigger(&seen.schedule, trigger, manual_slot(seen, spec, now));
    next.last_trigger = Some(trigger.to_owned());
    status::note_started(next, &backup.name_any());
    plan.create = Some(Box::new(backup));
}

/// The place of a trigger's Backup in the line: now, by the schedule's own shifted clock, and
/// after all that were made.
fn manual_slot(seen: &Observed, spec: &Spec, now: Timestamp) -> Timestamp {
    let delay = SignedDuration::try_from(spec.delay()).unwrap_or(SignedDuration::ZERO);
    let shifted = now.saturating_sub(delay).unwrap_or(now);
    let mut slot = Timestamp::from_second(shifted.as_second()).unwrap_or(now);
    let second = SignedDuration::from_secs(1);
    let newest = seen.backups.iter().filter_map(|child| child.slot).max();
    if let Some(newest) = newest.filter(|newest| *newest >= slot) {
        slot = newest.saturating_add(second).unwrap_or(newest);
    }
    if spec.times.latest_at_or_before(slot, slot).is_some() {
        slot = slot.saturating_add(second).unwrap_or(slot);
    }
    slot
}

/// The API server would not have the Backup: the slot is over, and the next one tries again.
pub(super) fn refused(seen: &Observed, plan: Plan, message: &str, now: Timestamp) -> Plan {
    let message = format!("a Backup could not be made: {message}");
    let mut status = plan.status;
    if let Some(backup) = &plan.create {
        let name = backup.name_any();
        status.active.retain(|active| *active != name);
        status.missed_slots = status.missed_slots.saturating_add(1);
    }
    status::set_refused(&mut status, seen, &message, now);
    Plan {
        create: None,
        notes: vec![Note::warning(Reason::BackupRefused, "Schedule", message)],
        status,
        ..plan
    }
}

#[cfg(test)]
mod tests;
