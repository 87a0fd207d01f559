use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{Count, Schedule};
use super::{at, cron, every, next};

/// Recorded from the cron library that Kubernetes uses; `testdata/record.go` says how.
const CRONJOB: &str = include_str!("../testdata/cronjob.tsv");

#[test]
fn fires_as_kubernetes_cronjob() {
    let mut seen = 0;
    for line in CRONJOB.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if let [text, "refused"] = columns[..] {
            assert!(
                Schedule::parse(Some(text), None, None).is_err(),
                "{text} is taken"
            );
            seen += 1;
            continue;
        }
        let [zone, text, from, expected] = columns[..] else {
            panic!("odd line {line}")
        };
        let expected: Vec<Timestamp> = expected.split(' ').map(at).collect();
        assert_eq!(
            next(&cron(text, zone), at(from), 6),
            expected,
            "{text} in {zone} from {from}"
        );
        seen += 1;
    }
    assert!(seen > 200, "only {seen} lines");
}

/// One time a day: once on each day, where CronJob skips it in the gap and doubles it after.
#[test]
fn one_time_a_day_survives_both_changes_of_the_clock() {
    let table = [
        // Berlin, 02:00 to 03:00 doesn't exist on 29 March.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28",
            ["28T01:30", "29T01:30", "30T00:30"],
        ),
        (
            "0 2 * * *",
            "Europe/Berlin",
            "2026-03-28",
            ["28T01:00", "29T01:00", "30T00:00"],
        ),
        // Just after and just before the gap: still once, and nothing at its end.
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-03-28",
            ["28T02:00", "29T01:00", "30T01:00"],
        ),
        (
            "30 1 * * *",
            "Europe/Berlin",
            "2026-03-28",
            ["28T00:30", "29T00:30", "29T23:30"],
        ),
        (
            "30 3 * * *",
            "Europe/Berlin",
            "2026-03-28",
            ["28T02:30", "29T01:30", "30T01:30"],
        ),
        // 02:30 comes twice on 25 October: the first of them.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24",
            ["24T00:30", "25T00:30", "26T01:30"],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07",
            ["07T07:30", "08T07:30", "09T06:30"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-30",
            ["30T05:30", "31T05:30", "1101T05:30"],
        ),
        // A change of half an hour.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03",
            ["03T15:45", "04T15:15", "05T15:15"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04",
            ["04T14:45", "05T15:15", "06T15:15"],
        ),
        // A change of two hours.
        (
            "30 1 * * *",
            "Antarctica/Troll",
            "2026-03-28",
            ["28T01:30", "29T01:30", "29T23:30"],
        ),
        // Midnight doesn't exist; the last hour of a Saturday doesn't exist.
        (
            "0 0 * * *",
            "Africa/Cairo",
            "2026-04-23",
            ["23T22:00", "24T21:00", "25T21:00"],
        ),
        (
            "30 23 * * 6",
            "America/Nuuk",
            "2026-03-25",
            ["29T01:30", "0405T00:30", "0412T00:30"],
        ),
        // A whole day that doesn't exist: noon on 30 and on 31 December are the same moment.
        (
            "0 12 * * *",
            "Pacific/Apia",
            "2011-12-29",
            ["29T22:00", "30T22:00", "31T22:00"],
        ),
    ];
    for (text, zone, day, expected) in table {
        let schedule = cron(text, zone);
        let from = at(&format!("{day}T00:00:00Z"));
        let year = &day[..4];
        let expected = expected.map(|t| match t.len() {
            8 => at(&format!("{}-{t}:00Z", &day[..7])),
            _ => at(&format!("{year}-{}-{}:00Z", &t[..2], &t[2..])),
        });
        assert_eq!(next(&schedule, from, 3), expected, "{text} in {zone}");
        for slot in expected {
            assert_eq!(
                schedule.latest_at_or_before(slot, from),
                Some(slot),
                "{text} in {zone}"
            );
        }
    }
}

/// Half an hour is too small for the recorded library, which misses 02:00 on 5 April.
#[test]
fn several_times_a_day_follow_a_wall_clock_that_moves_half_an_hour() {
    let table = [
        // 02:00 to 02:30 doesn't exist.
        (
            "0 1,2,3 * * *",
            "2026-10-03T13:50:00Z",
            ["03T14:30", "03T16:00", "04T14:00"],
        ),
        (
            "*/20 2 * * *",
            "2026-10-03T13:50:00Z",
            ["03T15:40", "04T15:00", "04T15:20"],
        ),
        // 01:30 to 02:00 comes twice.
        (
            "0 */2 * * *",
            "2026-04-04T13:40:00Z",
            ["04T15:30", "04T17:30", "04T19:30"],
        ),
        (
            "30,45 1 * * *",
            "2026-04-04T13:40:00Z",
            ["04T14:30", "04T14:45", "04T15:00"],
        ),
        (
            "0 1-3 * * *",
            "2026-04-04T13:40:00Z",
            ["04T14:00", "04T15:30", "04T16:30"],
        ),
    ];
    for (text, from, expected) in table {
        let expected = expected.map(|t| at(&format!("{}-{t}:00Z", &from[..7])));
        assert_eq!(
            next(&cron(text, "Australia/Lord_Howe"), at(from), 3),
            expected,
            "{text}"
        );
    }
}

#[test]
fn wider_than_cronjob_only_with_sunday() {
    let from = at("2026-11-20T00:00:00Z");
    for (wide, plain) in [
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 0,7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * SAT-SUN", "0 0 * * 0,6"),
        ("0 0 * * SUN-SUN", "0 0 * * 0"),
        ("0 0 13 * 7", "0 0 13 * SUN"),
    ] {
        let (wide, plain) = (cron(wide, "Etc/UTC"), cron(plain, "Etc/UTC"));
        assert_eq!(next(&wide, from, 20), next(&plain, from, 20));
    }
}

#[test]
fn leap_days() {
    let slots = next(
        &cron("0 0 29 2 *", "Etc/UTC"),
        at("2095-01-01T00:00:00Z"),
        3,
    );
    // 2100 is no leap year.
    let expected = [
        "2096-02-29T00:00:00Z",
        "2104-02-29T00:00:00Z",
        "2108-02-29T00:00:00Z",
    ];
    assert_eq!(slots, expected.map(at));
}

#[test]
fn intervals_are_anchored_to_the_epoch() {
    let table = [
        (
            "15m",
            "2026-11-20T10:14:59.999Z",
            "2026-11-20T10:15:00Z",
            "2026-11-20T10:00:00Z",
        ),
        (
            "15m",
            "2026-11-20T10:15:00Z",
            "2026-11-20T10:30:00Z",
            "2026-11-20T10:15:00Z",
        ),
        (
            "15m",
            "2026-11-20T10:15:00.5Z",
            "2026-11-20T10:30:00Z",
            "2026-11-20T10:15:00Z",
        ),
        (
            "5s",
            "2026-11-20T10:15:03Z",
            "2026-11-20T10:15:05Z",
            "2026-11-20T10:15:00Z",
        ),
        (
            "1d",
            "2026-11-20T10:15:03Z",
            "2026-11-21T00:00:00Z",
            "2026-11-20T00:00:00Z",
        ),
        (
            "7d",
            "2026-11-20T10:15:03Z",
            "2026-11-26T00:00:00Z",
            "2026-11-19T00:00:00Z",
        ),
        (
            "1h",
            "1969-12-31T23:30:00.5Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:00:00Z",
        ),
    ];
    for (interval, t, after, before) in table {
        let schedule = every(interval);
        assert_eq!(
            schedule.next_after(at(t)),
            Some(at(after)),
            "{interval} after {t}"
        );
        let latest = schedule.latest_at_or_before(at(t), Timestamp::MIN);
        assert_eq!(latest, Some(at(before)), "{interval} before {t}");
    }
    // The zone and its changes make no difference.
    let berlin = Schedule::parse(None, Some("6h"), Some("Europe/Berlin")).unwrap();
    let from = at("2026-03-28T23:00:00Z");
    assert_eq!(next(&berlin, from, 5), next(&every("6h"), from, 5));
}

#[test]
fn the_lower_bound_of_a_look_back_is_included() {
    let schedule = cron("0 * * * *", "Etc/UTC");
    let t = at("2026-11-20T10:59:59Z");
    let slot = at("2026-11-20T10:00:00Z");
    assert_eq!(schedule.latest_at_or_before(t, slot), Some(slot));
    assert_eq!(
        schedule.latest_at_or_before(t, at("2026-11-20T10:00:01Z")),
        None
    );
    assert_eq!(schedule.latest_at_or_before(slot, t), None);
}

#[test]
fn the_shortest_interval() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    for (text, expected) in [
        ("* * * * *", minutes(1)),
        ("*/15 * * * *", minutes(15)),
        ("*/40 * * * *", minutes(20)),
        ("0 * * * *", minutes(60)),
        ("0 2,14 * * *", minutes(12 * 60)),
        ("0 1,23 * * *", minutes(120)),
        ("30 2 * * *", minutes(24 * 60)),
        ("0 0 1 * *", minutes(24 * 60)),
    ] {
        assert_eq!(cron(text, "Etc/UTC").min_interval(), expected, "{text}");
    }
}

#[test]
fn counting_a_long_time_is_bounded() {
    let (from, until) = (at("2025-11-20T00:00:00Z"), at("2026-11-20T00:00:00Z"));
    let count = |slots, or_more| Count { slots, or_more };
    assert_eq!(every("1s").count(from, until), count(365 * 86_400, false));
    assert_eq!(
        cron("* * * * *", "Etc/UTC").count(from, until),
        count(10_000, true)
    );
    assert_eq!(
        cron("0 * * * *", "Etc/UTC").count(from, until),
        count(365 * 24, false)
    );
    assert_eq!(
        cron("0 0 * * *", "Etc/UTC").count(until, from),
        count(0, false)
    );
    assert_eq!(every("1h").count(until, from), count(0, false));
    assert_eq!(every("1h").count(from, from), count(0, false));
}

#[test]
fn the_ends_of_time_are_no_slots_and_no_panics() {
    for schedule in [every("1s"), every("366d"), cron("0 0 1 1 *", "Etc/UTC")] {
        assert_eq!(schedule.next_after(Timestamp::MAX), None);
        let _ = schedule.next_after(Timestamp::MIN);
        let _ = schedule.latest_at_or_before(Timestamp::MIN, Timestamp::MIN);
        let _ = schedule.latest_at_or_before(Timestamp::MAX, Timestamp::MIN);
        let _ = schedule.count(Timestamp::MIN, Timestamp::MAX);
    }
}

const ZONES: [&str; 6] = [
    "Etc/UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Asia/Kathmandu",
];

fn expressions() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("*".to_owned()),
        (0..60_u32).prop_map(|m| m.to_string()),
        (1..60_u32).prop_map(|s| format!("*/{s}")),
        (0..60_u32, 0..60_u32).prop_map(|(a, b)| format!("{a},{b}")),
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        (0..5_u32).prop_map(|h| h.to_string()),
        (0..24_u32, 0..24_u32).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ];
    let day = prop_oneof![3 => Just("*".to_owned()), 1 => (1..29_u32).prop_map(|d| d.to_string())];
    let weekday =
        prop_oneof![3 => Just("*".to_owned()), 1 => (0..8_u32).prop_map(|d| d.to_string())];
    (minute, hour, day, weekday).prop_map(|(m, h, d, w)| format!("{m} {h} {d} * {w}"))
}

/// A moment in the days around the changes of 2026, in all of the zones.
fn moments() -> impl Strategy<Value = Timestamp> {
    let days = prop_oneof![
        Just("2026-03-07T00:00:00Z"),
        Just("2026-03-28T00:00:00Z"),
        Just("2026-04-04T00:00:00Z"),
        Just("2026-10-03T00:00:00Z"),
        Just("2026-10-24T00:00:00Z"),
        Just("2026-10-31T00:00:00Z"),
    ];
    (days, 0..3 * 86_400_i64)
        .prop_map(|(day, s)| Timestamp::from_second(at(day).as_second() + s).unwrap())
}

proptest! {
    /// Looking forward and looking back meet at the same slots, on both sides of every change.
    #[test]
    fn forward_and_backward_agree(text in expressions(), zone in 0..ZONES.len(), t in moments()) {
        let schedule = cron(&text, ZONES[zone]);
        let slots = next(&schedule, t, 30);
        prop_assert!(slots.is_sorted_by(|a, b| a < b), "{text}: {slots:?}");
        let mut back = Vec::new();
        let mut until = slots[29];
        while let Some(slot) = schedule.latest_at_or_before(until, t).filter(|slot| *slot > t) {
            back.push(slot);
            until = Timestamp::from_second(slot.as_second() - 1).unwrap();
        }
        back.reverse();
        prop_assert_eq!(&back, &slots, "{} in {} from {}", text, ZONES[zone], t);
        prop_assert_eq!(schedule.count(t, slots[29]).slots, 30);
    }

    /// Nothing that a user writes can make it panic, and what is taken has a next slot.
    #[test]
    fn any_text_is_taken_or_refused(text in "[-*/,?0-9a-zA-Z@#+ ]{0,24}", zone in "\\PC{0,12}") {
        let t = at("2026-11-20T00:00:00Z");
        if let Ok(schedule) = Schedule::parse(Some(&text), None, None) {
            prop_assert!(schedule.next_after(t).is_some(), "{text}");
        }
        if let Ok(schedule) = Schedule::parse(None, Some(&text), Some(&zone)) {
            prop_assert!(schedule.next_after(t).is_some(), "{text}");
        }
    }
}
