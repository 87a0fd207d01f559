use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::{
    FailedBackup, Item, Reason, Rules, clock_skew_stops, plan, plan_failed, standalone_expired,
};
use super::{at, full, kept, much_later, plan_utc, reasons};
use crate::api::backup_schedule::Retention;

/// One full backup every six hours from 1 January 2026, `days` days long, oldest first.
fn every_six_hours(days: i64) -> Vec<Item> {
    let start = at("2026-01-01T00:00:00Z");
    (0..days * 4)
        .map(|n| {
            full(
                &start
                    .saturating_add(SignedDuration::from_hours(6 * n))
                    .unwrap()
                    .to_string(),
            )
        })
        .collect()
}

#[test]
fn each_rule() {
    let none = Rules::default();
    let day = |n: u64| Some(Duration::from_secs(n * 86_400));
    // 50 days: 1 January to 19 February, the newest at 18:00.
    let items = every_six_hours(50);
    let table: [(&str, Rules, &[&str]); 10] = [
        (
            "last",
            Rules {
                keep_last: Some(3),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-02-19T12", "2026-02-19T06"],
        ),
        (
            "within, both ends included",
            Rules {
                keep_within: Some(Duration::from_secs(12 * 3600)),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-02-19T12", "2026-02-19T06"],
        ),
        (
            "within less than the interval",
            Rules {
                keep_within: Some(Duration::from_secs(1)),
                ..none.clone()
            },
            &["2026-02-19T18"],
        ),
        (
            "daily: the newest of each day",
            Rules {
                keep_daily: Some(3),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-02-18T18", "2026-02-17T18"],
        ),
        (
            "weekly: weeks end on Sunday",
            Rules {
                keep_weekly: Some(3),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-02-15T18", "2026-02-08T18"],
        ),
        (
            "monthly",
            Rules {
                keep_monthly: Some(12),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-01-31T18"],
        ),
        (
            "yearly",
            Rules {
                keep_yearly: Some(3),
                ..none.clone()
            },
            &["2026-02-19T18"],
        ),
        (
            "the union of all",
            Rules {
                keep_last: Some(2),
                keep_daily: Some(2),
                keep_weekly: Some(2),
                keep_monthly: Some(2),
                keep_yearly: Some(2),
                ..none.clone()
            },
            &[
                "2026-02-19T18",
                "2026-02-19T12",
                "2026-02-18T18",
                "2026-02-15T18",
                "2026-01-31T18",
            ],
        ),
        (
            "a rule of zero is none, beside one that is set",
            Rules {
                keep_last: Some(1),
                keep_daily: Some(0),
                keep_within: day(0),
                ..none.clone()
            },
            &["2026-02-19T18"],
        ),
        (
            "more than there are",
            Rules {
                keep_monthly: Some(u32::MAX),
                ..none.clone()
            },
            &["2026-02-19T18", "2026-01-31T18"],
        ),
    ];
    for (name, rules, expected) in table {
        let plan = plan_utc(&rules, &items);
        let expected: Vec<String> = expected.iter().map(|t| format!("{t}:00:00Z")).collect();
        assert_eq!(kept(&plan), expected, "{name}");
        assert_eq!(plan.keep.len() + plan.delete.len(), items.len(), "{name}");
        assert!(
            plan.delete.is_sorted_by(|a, b| a > b),
            "{name}: newest first"
        );
    }
}

#[test]
fn no_rule_keeps_everything() {
    let items = every_six_hours(50);
    let zeros = Rules {
        keep_last: Some(0),
        keep_within: Some(Duration::ZERO),
        keep_daily: Some(0),
        keep_weekly: Some(0),
        keep_monthly: Some(0),
        keep_yearly: Some(0),
    };
    for rules in [Rules::default(), zeros] {
        assert!(rules.is_empty());
        let plan = plan_utc(&rules, &items);
        assert!(plan.delete.is_empty());
        assert_eq!(plan.keep.len(), items.len());
    }
    assert_eq!(plan_utc(&Rules::default(), &[]).keep, []);
}

#[test]
fn reasons_are_given() {
    let items = every_six_hours(10);
    let rules = Rules {
        keep_last: Some(1),
        keep_daily: Some(2),
        ..Rules::default()
    };
    let plan = plan_utc(&rules, &items);
    assert_eq!(
        reasons(&plan, "2026-01-10T18:00:00Z"),
        [Reason::Newest, Reason::Last, Reason::Daily]
    );
    assert_eq!(reasons(&plan, "2026-01-09T18:00:00Z"), [Reason::Daily]);
}

#[test]
fn periods_are_those_of_the_zone() {
    // 23:30 UTC on the 19th is the 20th in Berlin and the 19th in New York.
    let items = [
        full("2026-11-19T22:30:00Z"),
        full("2026-11-19T23:30:00Z"),
        full("2026-11-20T01:00:00Z"),
    ];
    let daily = Rules {
        keep_daily: Some(2),
        ..Rules::default()
    };
    for (zone, expected) in [
        (
            "Etc/UTC",
            vec!["2026-11-20T01:00:00Z", "2026-11-19T23:30:00Z"],
        ),
        (
            "Europe/Berlin",
            vec!["2026-11-20T01:00:00Z", "2026-11-19T22:30:00Z"],
        ),
        ("America/New_York", vec!["2026-11-20T01:00:00Z"]),
    ] {
        let zone = TimeZone::get(zone).unwrap();
        assert_eq!(
            kept(&plan(&daily, &items, &zone, much_later())),
            expected,
            "{zone:?}"
        );
    }
}

#[test]
fn weeks_are_iso_weeks_over_the_turn_of_the_year() {
    // Sunday 28 December 2025 ends week 52; 31 December to 3 January are week 1 of 2026.
    let items = [
        full("2025-12-28T12:00:00Z"),
        full("2025-12-31T12:00:00Z"),
        full("2026-01-03T12:00:00Z"),
        full("2026-01-05T12:00:00Z"),
    ];
    let weekly = Rules {
        keep_weekly: Some(9),
        ..Rules::default()
    };
    assert_eq!(
        kept(&plan_utc(&weekly, &items)),
        [
            "2026-01-05T12:00:00Z",
            "2026-01-03T12:00:00Z",
            "2025-12-28T12:00:00Z"
        ]
    );
}

#[test]
fn periods_without_a_backup_do_not_count() {
    let items = [
        full("2024-03-01T00:00:00Z"),
        full("2025-06-01T00:00:00Z"),
        full("2026-11-20T00:00:00Z"),
    ];
    for rules in [
        Rules {
            keep_daily: Some(2),
            ..Rules::default()
        },
        Rules {
            keep_monthly: Some(2),
            ..Rules::default()
        },
        Rules {
            keep_yearly: Some(2),
            ..Rules::default()
        },
    ] {
        assert_eq!(
            kept(&plan_utc(&rules, &items)),
            ["2026-11-20T00:00:00Z", "2025-06-01T00:00:00Z"]
        );
    }
}

/// A schedule that stopped loses nothing to the time that passes, and neither does one whose
/// backups were made by a clock that ran ahead.
#[test]
fn ages_count_from_the_newest_backup() {
    let rules = Rules {
        keep_within: Some(Duration::from_secs(86_400)),
        ..Rules::default()
    };
    let mut items = every_six_hours(1);
    for now in [
        "2026-01-01T19:00:00Z",
        "2026-02-01T00:00:00Z",
        "2090-01-01T00:00:00Z",
    ] {
        assert!(
            plan(&rules, &items, &TimeZone::UTC, at(now))
                .delete
                .is_empty(),
            "{now}"
        );
    }
    items.push(full("2027-01-01T00:00:00Z"));
    let now = at("2026-01-01T19:00:00Z");
    let ahead = plan(&rules, &items, &TimeZone::UTC, now);
    assert!(
        ahead.delete.is_empty(),
        "the one from the future is not the measure: {ahead:?}"
    );
    // With only such backups nothing can be said.
    let only = [full("2027-01-01T00:00:00Z"), full("2028-01-01T00:00:00Z")];
    assert!(plan(&rules, &only, &TimeZone::UTC, now).delete.is_empty());
}

#[test]
fn expired_backups_go_unless_something_needs_them() {
    let expiring = |time: &str| Item {
        expire_after: Some(at("2026-01-02T00:00:00Z")),
        ..full(time)
    };
    let old = "2026-01-01T00:00:00Z";
    let new = "2026-01-03T00:00:00Z";
    let rules = Rules {
        keep_last: Some(10),
        ..Rules::default()
    };
    let held = Item {
        hold: true,
        ..expiring(old)
    };
    let locked = Item {
        locked: true,
        ..expiring(old)
    };
    let table: [(&str, Rules, Vec<Item>, &[&str]); 7] = [
        (
            "by rules",
            rules.clone(),
            vec![expiring(old), full(new)],
            &[old],
        ),
        (
            "without rules",
            Rules::default(),
            vec![expiring(old), full(new)],
            &[old],
        ),
        ("held", rules.clone(), vec![held, full(new)], &[]),
        ("locked", rules.clone(), vec![locked, full(new)], &[]),
        (
            "the newest",
            rules.clone(),
            vec![expiring(old), expiring(new)],
            &[old],
        ),
        ("the only one", rules.clone(), vec![expiring(old)], &[]),
        (
            "it takes no one's place",
            Rules {
                keep_last: Some(2),
                ..Rules::default()
            },
            vec![full("2025-12-31T00:00:00Z"), expiring(old), full(new)],
            &[old],
        ),
    ];
    for (name, rules, items, gone) in table {
        assert_eq!(plan_utc(&rules, &items).delete, gone, "{name}");
    }
}

#[test]
fn held_and_locked_backups_stay() {
    let mut items = every_six_hours(3);
    items[0].hold = true;
    items[1].locked = true;
    items[11].locked = true;
    let rules = Rules {
        keep_last: Some(1),
        ..Rules::default()
    };
    let plan = plan_utc(&rules, &items);
    assert_eq!(kept(&plan), [&items[11].id, &items[1].id, &items[0].id]);
    assert_eq!(reasons(&plan, &items[0].id), [Reason::Hold]);
    assert_eq!(reasons(&plan, &items[1].id), [Reason::Locked]);
    assert_eq!(
        plan.locked,
        [items[1].id.clone()],
        "only what would have gone"
    );
}

#[test]
fn a_single_backup_expires_by_the_clock() {
    let end = Some(at("2026-01-02T00:00:00Z"));
    let item = Item {
        expire_after: end,
        ..full("2026-01-01T00:00:00Z")
    };
    let table = [
        (item.clone(), "2026-01-01T23:59:59Z", false),
        (item.clone(), "2026-01-02T00:00:00Z", true),
        (
            Item {
                hold: true,
                ..item.clone()
            },
            "2026-02-02T00:00:00Z",
            false,
        ),
        (
            Item {
                locked: true,
                ..item.clone()
            },
            "2026-02-02T00:00:00Z",
            false,
        ),
        (
            Item {
                expire_after: None,
                ..item
            },
            "2026-02-02T00:00:00Z",
            false,
        ),
    ];
    for (item, now, expired) in table {
        assert_eq!(
            standalone_expired(&item, at(now)),
            expired,
            "{item:?} at {now}"
        );
    }
}

#[test]
fn pruning_stops_five_minutes_from_the_stores_clock() {
    let store = at("2026-11-20T12:00:00Z");
    for (now, stops) in [
        ("2026-11-20T12:00:00Z", false),
        ("2026-11-20T12:04:59Z", false),
        ("2026-11-20T11:55:01Z", false),
        ("2026-11-20T12:05:00Z", true),
        ("2026-11-20T11:55:00Z", true),
        ("2027-11-20T12:00:00Z", true),
    ] {
        assert_eq!(clock_skew_stops(store, at(now)), stops, "{now}");
    }
    assert!(clock_skew_stops(Timestamp::MIN, Timestamp::MAX));
    assert!(clock_skew_stops(Timestamp::MAX, Timestamp::MIN));
}

#[test]
fn failed_backups() {
    let failed: Vec<FailedBackup> = ["b", "a", "e", "c", "d"]
        .iter()
        .zip(["02", "01", "05", "03", "04"])
        .map(|(name, day)| FailedBackup {
            name: (*name).to_owned(),
            finished: at(&format!("2026-11-{day}T00:00:00Z")),
            hold: *name == "a",
        })
        .collect();
    let table: [(Option<u32>, &[&str]); 5] = [
        (None, &["b"]),
        (Some(3), &["b"]),
        (Some(0), &["e", "d", "c", "b"]),
        (Some(1), &["d", "c", "b"]),
        (Some(u32::MAX), &[]),
    ];
    for (keep, gone) in table {
        assert_eq!(plan_failed(keep, &failed), gone, "{keep:?}");
    }
}

#[test]
fn rules_are_read_from_a_spec() {
    let spec = Retention {
        keep_last: Some(8),
        keep_within: Some("48h".into()),
        keep_failed: Some(3),
        ..Retention::default()
    };
    let expected = Rules {
        keep_last: Some(8),
        keep_within: Some(Duration::from_secs(48 * 3600)),
        ..Rules::default()
    };
    assert_eq!(Rules::try_from(&spec), Ok(expected));
    let bad = Retention {
        keep_within: Some("soon".into()),
        ..Retention::default()
    };
    assert!(
        Rules::try_from(&bad)
            .unwrap_err()
            .to_string()
            .contains("15m")
    );
}
