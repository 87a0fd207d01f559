//! Which slot to run now, which were missed, and when to look again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Count, Schedule};

/// What is known when a schedule is looked at.
#[derive(Debug, Clone)]
pub struct ScheduleInput<'a> {
    /// The schedule as its spec says now.
    pub schedule: &'a Schedule,
    /// The controller's clock.
    pub now: Timestamp,
    /// The newest slot that was run or counted as missed, from the status or from the Backups
    /// that exist, whichever is later.
    pub last_slot: Option<Timestamp>,
    /// Since when the schedule holds as it is: its creation, the last change of its times or zone
    /// (see [`Schedule::digest`]), or the end of its suspension. Earlier slots never fire.
    pub effective_since: Timestamp,
    /// The range from which the stable delay of this schedule is taken.
    pub jitter: Duration,
    /// What tells this schedule from others: namespace, name and uid.
    pub jitter_key: &'a str,
    /// A slot that could not be started within this time after its start (jitter included) is
    /// skipped. Without it the newest missed slot is always run.
    pub starting_deadline: Option<Duration>,
    /// No slot fires; a trigger still does.
    pub suspend: bool,
}

/// One time at which the schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The nominal time. It names the Backup and its manifest.
    pub slot: Timestamp,
    /// The nominal time plus the schedule's own delay.
    pub start_at: Timestamp,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The slot to run now: at most one, the newest.
    pub run: Option<Slot>,
    /// Slots that will not be run, found since `last_slot`. To be added to the status once,
    /// together with `settled`.
    pub missed: Count,
    /// What `last_slot` becomes once the run exists and the misses are counted; nothing when no
    /// new slot has come.
    pub settled: Option<Timestamp>,
    /// When to look again for the next slot: its start. Nothing while suspended.
    pub next: Option<Timestamp>,
    /// The nominal time of that next slot.
    pub next_slot: Option<Timestamp>,
    /// The clock is before a slot that has already run, so it was set back, or was ahead when
    /// that slot ran. No slot fires until the clock has passed it; a person should know.
    pub clock_behind: bool,
}

/// Decides what is due. The delay by jitter is a shift of the clock: a slot exists for this
/// schedule once `now` less the delay has reached it, so a delay close to the interval can't
/// starve it.
///
/// One run at most comes out, for the newest slot, whatever was missed: after a day, a year, or a
/// step of the clock. A slot that is not after `last_slot` never comes again.
pub fn decide(input: &ScheduleInput<'_>) -> Due {
    let clock_behind = input.last_slot.is_some_and(|last| last > input.now);
    if input.suspend {
        return Due {
            run: None,
            missed: Count::default(),
            settled: None,
            next: None,
            next_slot: None,
            clock_behind,
        };
    }
    let schedule = input.schedule;
    let delay = schedule.jitter_offset(input.jitter, input.jitter_key);
    let now = shift(input.now, -signed(delay));
    let floor = input
        .last_slot
        .map_or(input.effective_since, |t| t.max(input.effective_since));

    let newest = schedule
        .latest_at_or_before(now, floor)
        .filter(|slot| *slot > floor);
    let run = newest
        .map(|slot| Slot {
            slot,
            start_at: shift(slot, signed(delay)),
        })
        .filter(|slot| in_time(slot, input.now, input.starting_deadline));
    let passed = newest.map_or_else(Count::default, |slot| schedule.count(floor, slot));
    let next_slot = schedule.next_after(now.max(floor));
    Due {
        run,
        missed: if run.is_some() {
            passed.less_one()
        } else {
            passed
        },
        settled: newest,
        next: next_slot.map(|slot| shift(slot, signed(delay))),
        next_slot,
        clock_behind,
    }
}

fn in_time(slot: &Slot, now: Timestamp, deadline: Option<Duration>) -> bool {
    deadline.is_none_or(|deadline| now.duration_since(slot.start_at) <= signed(deadline))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Moves a time and stops at the end of what a timestamp can hold.
fn shift(t: Timestamp, by: SignedDuration) -> Timestamp {
    t.saturating_add(by).unwrap_or(t)
}
