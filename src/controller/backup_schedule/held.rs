//! Slots that came due while a Backup ran. Pure.
//!
//! One Backup of a schedule runs at a time. A slot that waited for the one before it was not
//! missed: where `startingDeadline` leaves time for it, it runs, one after another in their order.
//! That is no catch-up of what was missed while the controller was away: only slots up to the end
//! of the last Backup count.

use jiff::{SignedDuration, Timestamp};

use super::spec::Spec;
use super::state::Observed;
use crate::schedule::{Count, Due, Slot};

/// What is due, with the oldest slot that waited in the place of the newest.
pub(super) fn prefer_waiting(
    seen: &Observed,
    spec: &Spec,
    due: Due,
    floor: Option<Timestamp>,
    now: Timestamp,
) -> Due {
    match oldest(seen, spec, &due, floor, now) {
        Some((run, missed)) => Due {
            run: Some(run),
            settled: Some(run.slot),
            missed,
            ..due
        },
        None => due,
    }
}

/// The oldest slot that waited and may still start, and how many before it may not.
fn oldest(
    seen: &Observed,
    spec: &Spec,
    due: &Due,
    floor: Option<Timestamp>,
    now: Timestamp,
) -> Option<(Slot, Count)> {
    let (newest, floor) = (due.run?, floor?);
    let deadline = SignedDuration::try_from(spec.starting_deadline?).ok()?;
    let delay = SignedDuration::try_from(spec.delay()).ok()?;
    let last = seen
        .backups
        .iter()
        .find(|child| child.slot == Some(floor))?;
    // While it runs the next one waits: then the oldest is the one that is waited with.
    let busy_until = last.completed.unwrap_or(now);
    let second = SignedDuration::from_secs(1);
    let in_time = now.checked_sub(deadline.checked_add(delay)?.checked_add(second)?);
    let slot = spec.times.next_after(floor.max(in_time.ok()?))?;
    let start_at = slot.checked_add(delay).ok()?;
    let waited =
        slot < newest.slot && start_at <= busy_until && now.duration_since(start_at) <= deadline;
    let passed = spec.times.count(floor, slot);
    let missed = Count {
        slots: passed.slots.saturating_sub(1),
        ..passed
    };
    waited.then_some((Slot { slot, start_at }, missed))
}
