use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::{Count, Due, Schedule, ScheduleInput, Slot, decide};
use super::{at, cron, every};

const CREATED: &str = "2026-11-20T09:00:00Z";

/// A schedule as it was created, never run, without jitter and deadline.
fn input<'a>(schedule: &'a Schedule, now: &str) -> ScheduleInput<'a> {
    ScheduleInput {
        schedule,
        now: at(now),
        last_slot: None,
        effective_since: at(CREATED),
        jitter: Duration::ZERO,
        jitter_key: "iot/telemetry/uid",
        starting_deadline: None,
        suspend: false,
    }
}

fn missed(slots: u64) -> Count {
    Count {
        slots,
        or_more: false,
    }
}

#[test]
fn which_slot_runs() {
    let schedule = cron("*/15 * * * *", "Etc/UTC");
    // now, last slot, deadline in minutes -> run, missed, settled, next
    let table = [
        // Created on a slot or between two: no slot from before its creation.
        ("09:00:00", None, None, None, 0, None, "09:15:00"),
        ("09:14:59", None, None, None, 0, None, "09:15:00"),
        (
            "09:15:00",
            None,
            None,
            Some("09:15:00"),
            0,
            Some("09:15:00"),
            "09:30:00",
        ),
        // Done already.
        (
            "09:15:01",
            Some("09:15:00"),
            None,
            None,
            0,
            None,
            "09:30:00",
        ),
        (
            "09:29:59",
            Some("09:15:00"),
            None,
            None,
            0,
            None,
            "09:30:00",
        ),
        // The next one, late.
        (
            "09:44:59",
            Some("09:15:00"),
            None,
            Some("09:30:00"),
            0,
            Some("09:30:00"),
            "09:45:00",
        ),
        // Several missed: the newest runs, once.
        (
            "10:50:00",
            Some("09:15:00"),
            None,
            Some("10:45:00"),
            5,
            Some("10:45:00"),
            "11:00:00",
        ),
        // Too late for the newest: it is missed as well, and settled so that it counts once.
        (
            "10:50:01",
            Some("09:15:00"),
            Some(5),
            None,
            6,
            Some("10:45:00"),
            "11:00:00",
        ),
        (
            "10:50:00",
            Some("09:15:00"),
            Some(5),
            Some("10:45:00"),
            5,
            Some("10:45:00"),
            "11:00:00",
        ),
        (
            "10:50:02",
            Some("10:45:00"),
            Some(5),
            None,
            0,
            None,
            "11:00:00",
        ),
    ];
    let time = |t: &str| at(&format!("2026-11-20T{t}Z"));
    for (now, last, deadline, run, count, settled, next) in table {
        let due = decide(&ScheduleInput {
            now: time(now),
            last_slot: last.map(time),
            starting_deadline: deadline.map(|minutes| Duration::from_secs(60 * minutes)),
            ..input(&schedule, CREATED)
        });
        let expected = Due {
            run: run.map(|t| Slot {
                slot: time(t),
                start_at: time(t),
            }),
            missed: missed(count),
            settled: settled.map(time),
            next: Some(time(next)),
            next_slot: Some(time(next)),
            clock_behind: false,
        };
        assert_eq!(due, expected, "at {now}, last {last:?}");
    }
}

#[test]
fn a_changed_schedule_fires_nothing_from_before_the_change() {
    let schedule = cron("0 * * * *", "Etc/UTC");
    let due = decide(&ScheduleInput {
        last_slot: Some(at("2026-11-20T10:00:00Z")),
        effective_since: at("2026-11-20T12:00:30Z"),
        ..input(&schedule, "2026-11-20T12:00:31Z")
    });
    assert_eq!((due.run, due.missed, due.settled), (None, missed(0), None));
    assert_eq!(due.next, Some(at("2026-11-20T13:00:00Z")));
}

#[test]
fn a_suspended_schedule_does_nothing() {
    let schedule = every("5s");
    let suspended = ScheduleInput {
        suspend: true,
        ..input(&schedule, "2026-11-20T12:00:00Z")
    };
    let due = decide(&suspended);
    assert_eq!(
        (due.run, due.missed, due.settled, due.next),
        (None, missed(0), None, None)
    );
}

#[test]
fn the_clock_steps() {
    let schedule = every("1m");
    let last = Some(at("2026-11-20T12:00:00Z"));
    // An hour back: nothing runs again, the next slot is the one after the last.
    let back = decide(&ScheduleInput {
        last_slot: last,
        ..input(&schedule, "2026-11-20T11:00:10Z")
    });
    assert_eq!(
        (back.run, back.missed, back.settled),
        (None, missed(0), None)
    );
    assert_eq!(back.next, Some(at("2026-11-20T12:01:00Z")));
    assert!(back.clock_behind);
    // A year ahead: one run, the others are counted.
    let ahead = decide(&ScheduleInput {
        last_slot: last,
        ..input(&schedule, "2027-11-20T12:00:10Z")
    });
    assert_eq!(ahead.run.unwrap().slot, at("2027-11-20T12:00:00Z"));
    assert_eq!(ahead.missed, missed(365 * 24 * 60 - 1));
    assert!(!ahead.clock_behind);
    // The same by cron: counted up to a bound.
    let schedule = cron("* * * * *", "Etc/UTC");
    let ahead = decide(&ScheduleInput {
        last_slot: last,
        ..input(&schedule, "2027-11-20T12:00:10Z")
    });
    assert_eq!(ahead.run.unwrap().slot, at("2027-11-20T12:00:00Z"));
    assert_eq!(
        ahead.missed,
        Count {
            slots: 9_999,
            or_more: true
        }
    );
}

#[test]
fn jitter_delays_the_start_and_not_the_slot() {
    let schedule = every("15m");
    let jitter = Duration::from_secs(300);
    let delay = schedule.jitter_offset(jitter, "iot/telemetry/uid");
    assert!(
        delay > Duration::from_secs(1) && delay < jitter,
        "pick another key: {delay:?}"
    );
    let slot = at("2026-11-20T09:15:00Z");
    let start_at = slot + SignedDuration::try_from(delay).unwrap();
    let with = |now: Timestamp, last_slot| {
        let at_creation = input(&schedule, CREATED);
        decide(&ScheduleInput {
            now,
            last_slot,
            jitter,
            ..at_creation
        })
    };
    let early = with(start_at - SignedDuration::from_millis(1), None);
    assert_eq!((early.run, early.settled), (None, None));
    assert_eq!((early.next, early.next_slot), (Some(start_at), Some(slot)));
    let due = with(start_at, None);
    assert_eq!(due.run, Some(Slot { slot, start_at }));
    let after = with(start_at, due.settled);
    assert_eq!(after.run, None);
    assert_eq!(after.next, Some(start_at + SignedDuration::from_mins(15)));
}

/// A controller that always wakes a little late runs every slot, though each starts only just
/// before the next slot.
#[test]
fn jitter_close_to_the_interval_starves_nothing() {
    let schedule = every("5s");
    let jitter = Duration::from_secs(5);
    let key = (0..10_000)
        .map(|n| n.to_string())
        .find(|key| schedule.jitter_offset(jitter, key) > Duration::from_secs(3))
        .unwrap();
    let mut last_slot = None;
    let mut now = at(CREATED);
    for _ in 0..50 {
        let due = decide(&ScheduleInput {
            now,
            last_slot,
            jitter,
            jitter_key: &key,
            ..input(&schedule, CREATED)
        });
        if let Some(run) = due.run {
            let interval = SignedDuration::from_secs(5);
            assert!(last_slot.is_none_or(|last| run.slot == last + interval));
            last_slot = Some(run.slot);
        }
        assert_eq!(due.missed, missed(0));
        now = due.next.unwrap() + SignedDuration::from_millis(1_030);
    }
    assert_eq!(last_slot, Some(at("2026-11-20T09:04:05Z")));
}

#[test]
fn the_deadline_counts_from_the_start() {
    let schedule = every("1h");
    let jitter = Duration::from_secs(1800);
    let delay =
        SignedDuration::try_from(schedule.jitter_offset(jitter, "iot/telemetry/uid")).unwrap();
    let start = at("2026-11-20T10:00:00Z") + delay;
    for (late, runs) in [(0, true), (10, true), (11, false)] {
        let due = decide(&ScheduleInput {
            now: start + SignedDuration::from_secs(late),
            jitter,
            starting_deadline: Some(Duration::from_secs(10)),
            ..input(&schedule, CREATED)
        });
        assert_eq!(due.run.is_some(), runs, "{late} s late");
        assert_eq!(due.missed, missed(u64::from(!runs)), "{late} s late");
    }
}

#[test]
fn jitter_is_stable_spread_and_below_the_interval() {
    let minute = Duration::from_secs(60);
    let schedule = every("1m");
    let keys: Vec<String> = (0..1000).map(|n| format!("ns/schedule-{n}/uid")).collect();
    let mut quarters = [0_u32; 4];
    for key in &keys {
        let delay = schedule.jitter_offset(Duration::from_secs(3600), key);
        assert_eq!(
            delay,
            schedule.jitter_offset(Duration::from_secs(3600), key)
        );
        assert!(delay < minute, "{delay:?}");
        quarters[usize::try_from(delay.as_secs() / 15).unwrap()] += 1;
        assert!(schedule.jitter_offset(Duration::from_secs(2), key) < Duration::from_secs(2));
        for none in [Duration::ZERO, Duration::from_millis(999)] {
            assert_eq!(schedule.jitter_offset(none, key), Duration::ZERO);
        }
    }
    assert!(
        quarters.iter().all(|n| (200..300).contains(n)),
        "{quarters:?}"
    );
    // A known value: it may never change, or slots would run twice or move after an upgrade.
    assert_eq!(
        every("1h").jitter_offset(Duration::from_secs(600), "iot/telemetry/uid"),
        Duration::from_secs(510)
    );
}

#[test]
fn extremes_do_not_panic() {
    for schedule in [
        every("1s"),
        every("366d"),
        cron("0 0 29 2 *", "Europe/Berlin"),
    ] {
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            for last_slot in [None, Some(Timestamp::MIN), Some(Timestamp::MAX)] {
                let due = decide(&ScheduleInput {
                    now,
                    last_slot,
                    effective_since: Timestamp::MIN,
                    jitter: Duration::MAX,
                    starting_deadline: Some(Duration::MAX),
                    ..input(&schedule, CREATED)
                });
                assert!(due.run.is_none_or(|run| run.slot <= now));
            }
        }
    }
}

proptest! {
    /// Whatever the clock does between two looks, no slot runs twice, none runs early, slots only
    /// go forward, and each slot that has passed is either run or counted.
    #[test]
    fn each_slot_once(
        interval in 1..200_u32,
        by_cron in any::<bool>(),
        jitter in 0..400_u64,
        deadline in proptest::option::of(0..400_u64),
        steps in proptest::collection::vec(-300..900_i64, 1..60),
    ) {
        let schedule = if by_cron {
            cron(&format!("*/{} * * * *", interval % 60 + 1), "Australia/Lord_Howe")
        } else {
            every(&format!("{interval}s"))
        };
        let created = at("2026-04-04T13:30:00Z");
        let mut now = created;
        let mut last_slot = None;
        let (mut runs, mut skipped) = (0, 0);
        for step in steps {
            now = now.saturating_add(SignedDuration::from_secs(step)).unwrap();
            let due = decide(&ScheduleInput {
                now,
                last_slot,
                effective_since: created,
                jitter: Duration::from_secs(jitter),
                starting_deadline: deadline.map(Duration::from_secs),
                ..input(&schedule, CREATED)
            });
            if let Some(run) = due.run {
                prop_assert!(run.slot > created && last_slot.is_none_or(|last| run.slot > last));
                prop_assert!(run.start_at <= now && run.slot <= run.start_at);
                prop_assert_eq!(due.settled, Some(run.slot));
                runs += 1;
            }
            skipped += due.missed.slots;
            prop_assert!(due.settled.is_some() || due.missed.slots == 0);
            prop_assert!(due.next.is_some_and(|next| next > now));
            prop_assert!(due.next_slot > due.settled.max(last_slot));
            last_slot = due.settled.or(last_slot);
        }
        let passed = last_slot.map_or(0, |last| schedule.count(created, last).slots);
        prop_assert_eq!(runs + skipped, passed);
    }
}
