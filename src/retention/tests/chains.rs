use std::time::Duration;

use super::super::{Chain, Item, Reason, Rules};
use super::{full, increment, kept, plan_utc, reasons};
use crate::manifest;

fn time(day: u32, hour: u32) -> String {
    format!("2026-01-{day:02}T{hour:02}:00:00Z")
}

/// Two chains: a full on the 1st and on the 3rd at midnight, an increment every six hours.
fn two_chains() -> Vec<Item> {
    let mut items = Vec::new();
    let mut previous = String::new();
    for day in 1..=4 {
        for hour in [0, 6, 12, 18] {
            let id = time(day, hour);
            let base = time(if day < 3 { 1 } else { 3 }, 0);
            items.push(if id == base {
                full(&id)
            } else {
                increment(&id, &base, &previous)
            });
            previous = id;
        }
    }
    items
}

fn last(n: u32) -> Rules {
    Rules {
        keep_last: Some(n),
        ..Rules::default()
    }
}

#[test]
fn an_increment_keeps_all_between_it_and_its_full() {
    let items = two_chains();
    let plan = plan_utc(&last(1), &items);
    let chain: Vec<String> = items[8..]
        .iter()
        .rev()
        .map(|item| item.id.clone())
        .collect();
    assert_eq!(kept(&plan), chain);
    assert_eq!(reasons(&plan, &time(4, 18)), [Reason::Newest, Reason::Last]);
    let needed = Reason::NeededBy(time(4, 18));
    assert_eq!(reasons(&plan, &time(3, 6)), std::slice::from_ref(&needed));
    assert_eq!(reasons(&plan, &time(3, 0)), [Reason::Newest, needed]);
    let gone: Vec<String> = items[..8]
        .iter()
        .rev()
        .map(|item| item.id.clone())
        .collect();
    assert_eq!(plan.delete, gone, "increments before their full");
}

#[test]
fn what_is_after_the_last_that_stays_goes() {
    // By day only the 18:00 increments and the newest stay; 2 January needs 1 January.
    let items = two_chains();
    let rules = Rules {
        keep_daily: Some(1),
        ..Rules::default()
    };
    let mut held = items.clone();
    held[5].hold = true;
    let plan = plan_utc(&rules, &held);
    assert_eq!(plan.delete, [time(2, 18), time(2, 12)]);
    assert_eq!(reasons(&plan, &time(2, 6)), [Reason::Hold]);
    assert_eq!(reasons(&plan, &time(1, 0)), [Reason::NeededBy(time(2, 6))]);
}

#[test]
fn the_newest_complete_chain_stays_whatever_the_rules_and_the_end_of_its_life() {
    let mut items = two_chains();
    for item in &mut items {
        item.expire_after = Some(super::at("2026-01-01T00:00:00Z"));
    }
    for rules in [last(1), Rules::default()] {
        let plan = plan_utc(&rules, &items);
        assert_eq!(kept(&plan).len(), 8, "{rules:?}");
    }
}

/// A long reseed: the full of the 3rd is committed while increments still go on with the old one.
/// The first that builds on the new full has its window begin where the last of those ended.
#[test]
fn increments_that_were_taken_during_a_reseed_close_the_gap() {
    let (old, new) = (time(1, 0), time(3, 0));
    let before = increment(&time(2, 18), &old, &old);
    let items = [
        full(&old),
        before.clone(),
        full(&new),
        increment(&time(3, 6), &old, &before.id),
        increment(&time(3, 12), &old, &time(3, 6)),
        increment(&time(3, 18), &new, &time(3, 12)),
    ];
    let plan = plan_utc(&last(1), &items);
    assert_eq!(
        kept(&plan),
        [&time(3, 18), &time(3, 12), &time(3, 6), &new, &time(2, 18)],
        "the old full goes, what was taken during the reseed stays"
    );
    // What stays is still the newest chain, though the old full is gone.
    let rest: Vec<Item> = items[1..].to_vec();
    let again = plan_utc(&last(1), &rest);
    assert!(again.delete.is_empty(), "{again:?}");
    assert_eq!(again.broken, [time(3, 12), time(3, 6), time(2, 18)]);
    assert!(reasons(&again, &time(3, 18)).contains(&Reason::Newest));
}

/// What no other names as the one before it is still between: a restore may take all windows.
#[test]
fn all_between_stays_whether_or_not_it_is_named() {
    let (old, new) = (time(1, 0), time(2, 0));
    let items = [
        full(&old),
        increment(&time(1, 6), &old, &old),
        full(&new),
        increment(&time(2, 6), &new, &new),
        increment(&time(2, 12), &old, &old),
        increment(&time(2, 18), &old, &old),
    ];
    let plan = plan_utc(&last(3), &items);
    assert!(plan.delete.is_empty());
    assert_eq!(reasons(&plan, &time(1, 6)), [Reason::NeededBy(time(2, 18))]);
}

#[test]
fn a_hole_ends_what_can_be_restored() {
    let mut items = two_chains();
    items.remove(11); // 3 January, 18:00
    let plan = plan_utc(&last(2), &items);
    let broken = [time(4, 18), time(4, 12), time(4, 6), time(4, 0)];
    assert_eq!(plan.broken, broken);
    assert_eq!(reasons(&plan, &time(3, 12)), [Reason::Newest, Reason::Last]);
    assert_eq!(reasons(&plan, &time(3, 6))[0], Reason::Last);
    for id in &broken {
        assert_eq!(reasons(&plan, id), [Reason::Grace], "there is time to look");
    }
    // A week after them it is over.
    items.push(full("2026-01-11T19:00:00Z"));
    let plan = plan_utc(&last(3), &items);
    assert_eq!(plan.delete[..4], broken);
}

#[test]
fn void_markers_count_for_nothing_and_go_after_a_week() {
    let void = |time: &str| Item {
        complete: false,
        ..full(time)
    };
    let items = [
        full("2026-01-01T00:00:00Z"),
        void("2026-01-02T00:00:00Z"),
        full("2026-01-03T00:00:00Z"),
        void("2026-01-08T00:00:00Z"),
        full("2026-01-09T00:00:01Z"),
        void("2026-01-10T00:00:00Z"),
    ];
    let plan = plan_utc(&last(2), &items);
    assert_eq!(
        plan.delete,
        ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"]
    );
    assert_eq!(reasons(&plan, "2026-01-08T00:00:00Z"), [Reason::Grace]);
    assert_eq!(reasons(&plan, "2026-01-03T00:00:00Z"), [Reason::Last]);
    assert_eq!(reasons(&plan, "2026-01-10T00:00:00Z"), [Reason::Grace]);
    assert!(plan.broken.is_empty());
    // With nothing but markers there is nothing to be older than.
    assert!(
        plan_utc(&last(1), &[void("2026-01-01T00:00:00Z")])
            .delete
            .is_empty()
    );
}

#[test]
fn a_locked_increment_keeps_its_chain() {
    let mut items = two_chains();
    items[5].locked = true; // 2 January, 06:00
    let plan = plan_utc(&last(1), &items);
    assert_eq!(plan.locked, [time(2, 6)]);
    assert_eq!(plan.delete, [time(2, 18), time(2, 12)]);
    assert_eq!(reasons(&plan, &time(1, 0)), [Reason::NeededBy(time(2, 6))]);
}

#[test]
fn manifests_that_lie_about_their_chain_do_no_harm() {
    let newer = time(9, 0);
    let odd = [
        increment(&time(2, 0), &time(2, 0), &time(2, 0)),
        increment(&time(3, 0), &newer, &newer),
        increment(&time(4, 0), &time(3, 0), &time(3, 0)),
        increment(&time(5, 0), "", "../.."),
        increment(&time(6, 0), &time(1, 0), &time(6, 0)),
    ];
    for item in odd {
        let items = [
            full(&time(1, 0)),
            increment(&time(3, 0), "x", "y"),
            item.clone(),
            full(&newer),
        ];
        let plan = plan_utc(&last(1), &items);
        assert!(plan.broken.contains(&item.id), "{item:?}");
        assert_eq!(reasons(&plan, &newer), [Reason::Newest, Reason::Last]);
    }
    // Two that say they have one name, and one time.
    let twins = [
        full(&time(1, 0)),
        full(&time(1, 0)),
        full(&time(2, 0)),
        full(&time(2, 0)),
    ];
    let plan = plan_utc(&last(1), &twins);
    assert!(
        plan.delete
            .iter()
            .all(|id| !kept(&plan).contains(&id.as_str())),
        "{plan:?}"
    );
}

#[test]
fn a_hundred_thousand_backups_are_planned_at_once() {
    let start = super::at("2026-01-01T00:00:00Z").as_second();
    let id = |n: i64| {
        jiff::Timestamp::from_second(start + 60 * n)
            .unwrap()
            .to_string()
    };
    let items: Vec<Item> = (0..100_000)
        .map(|n| {
            if n % 1000 == 0 {
                full(&id(n))
            } else {
                increment(&id(n), &id(n - n % 1000), &id(n - 1))
            }
        })
        .collect();
    let rules = Rules {
        keep_within: Some(Duration::from_secs(86_400)),
        keep_daily: Some(30),
        ..Rules::default()
    };
    let plan = plan_utc(&rules, &items);
    assert_eq!(plan.keep.len() + plan.delete.len(), items.len());
    assert!(plan.broken.is_empty());
}

#[test]
fn chains_are_read_from_manifests() {
    assert_eq!(Chain::from(&manifest::Chain::Full), Chain::Full);
    let incremental = manifest::Chain::Incremental {
        base: "a".into(),
        previous: "b".into(),
        window_start: 0,
        window_end: None,
    };
    let expected = Chain::Incremental {
        base: "a".into(),
        previous: "b".into(),
    };
    assert_eq!(Chain::from(&incremental), expected);
}
