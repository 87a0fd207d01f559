use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::{Chain, Item, Plan, Reason, Rules, plan};

const START: i64 = 1_767_225_600;
const HOUR: i64 = 3600;

/// What happens in one slot.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone)]
struct Event {
    /// Hours since the slot before.
    gap: i64,
    /// A full backup is begun; it is committed so many slots later. Until then the increments go
    /// on with the old one.
    full_after: Option<usize>,
    /// The run was lost and left a void marker.
    void: bool,
    /// Somebody deleted it.
    lost: bool,
    hold: bool,
    locked: bool,
    /// Hours after which it may go.
    expires: Option<i64>,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let rarely = || prop::bool::weighted(0.05);
    let event = (
        1..40_i64,
        prop::option::weighted(0.2, 0..4_usize),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        prop::option::weighted(0.1, 0..2000_i64),
    )
        .prop_map(
            |(gap, full_after, void, lost, hold, locked, expires)| Event {
                gap,
                full_after,
                void,
                lost,
                hold,
                locked,
                expires,
            },
        );
    prop::collection::vec(event, 0..60)
}

/// Plays the slots of a schedule and gives its manifests.
fn play(events: &[Event]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut lost = HashSet::new();
    let mut seconds = START;
    let mut base: Option<String> = None;
    let mut previous: Option<String> = None;
    let mut pending: Option<(String, usize)> = None;
    for (n, event) in events.iter().enumerate() {
        seconds += event.gap * HOUR;
        let time = Timestamp::from_second(seconds).unwrap();
        let id = time.to_string();
        if pending
            .as_ref()
            .is_some_and(|(_, committed)| *committed <= n)
        {
            base = pending.take().map(|(id, _)| id);
        }
        let mut chain = Chain::Full;
        if !event.void {
            let builds_on = base.clone().zip(previous.clone());
            match (builds_on, event.full_after) {
                (Some((base, previous)), None) => {
                    chain = Chain::Incremental { base, previous };
                }
                (Some(_), Some(slots)) if slots > 0 => {
                    pending = Some((id.clone(), n + slots));
                }
                _ => {
                    base = Some(id.clone());
                    pending = None;
                }
            }
            // A full that is still being made is not what the next window begins after.
            if pending.as_ref().is_none_or(|(pending, _)| *pending != id) {
                previous = Some(id.clone());
            }
        }
        if event.lost {
            lost.insert(id.clone());
        }
        items.push(Item {
            id,
            time,
            complete: !event.void,
            hold: event.hold,
            locked: event.locked,
            chain,
            expire_after: event
                .expires
                .map(|hours| Timestamp::from_second(seconds + hours * HOUR).unwrap()),
        });
    }
    items.retain(|item| !lost.contains(&item.id));
    items
}

/// Whether a backup can be restored from a set, by walking back from it.
fn restorable(items: &[Item], id: &str) -> bool {
    let find = |id: &str| items.iter().find(|item| item.complete && item.id == id);
    let Some(mut at) = find(id) else { return false };
    let Chain::Incremental { base, .. } = &at.chain else {
        return true;
    };
    let Some(full) = find(base).filter(|full| full.chain == Chain::Full) else {
        return false;
    };
    while at.time > full.time {
        let Chain::Incremental { previous, .. } = &at.chain else {
            return true;
        };
        let Some(before) = find(previous) else {
            return false;
        };
        at = before;
    }
    true
}

fn rules() -> impl Strategy<Value = Rules> {
    let count = || prop::option::of(0..6_u32);
    (
        count(),
        prop::option::of(0..500_u64),
        count(),
        count(),
        count(),
        count(),
    )
        .prop_map(|(last, within, daily, weekly, monthly, yearly)| Rules {
            keep_last: last,
            keep_within: within.map(|hours| Duration::from_secs(hours * 3600)),
            keep_daily: daily,
            keep_weekly: weekly,
            keep_monthly: monthly,
            keep_yearly: yearly,
        })
}

/// A clock that is behind some of the backups, or ahead of all.
fn clocks() -> impl Strategy<Value = Timestamp> {
    (0..3000_i64).prop_map(|hours| Timestamp::from_second(START + hours * HOUR).unwrap())
}

fn remaining(items: &[Item], plan: &Plan) -> Vec<Item> {
    let kept: HashSet<&str> = plan.keep.iter().map(|kept| kept.id.as_str()).collect();
    items
        .iter()
        .filter(|item| kept.contains(item.id.as_str()))
        .cloned()
        .collect()
}

fn deleted(plan: &Plan) -> HashSet<&str> {
    plan.delete.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_stays_can_be_restored(events in events(), rules in rules(), now in clocks()) {
        let items = play(&events);
        let plan = plan(&rules, &items, &TimeZone::UTC, now);
        let rest = remaining(&items, &plan);
        prop_assert_eq!(rest.len() + plan.delete.len(), items.len());
        for kept in &plan.keep {
            let own_right = kept.reasons.iter().any(|reason| !matches!(reason, Reason::NeededBy(_)));
            if own_right && restorable(&items, &kept.id) {
                prop_assert!(restorable(&rest, &kept.id), "{} in {:?}", kept.id, plan);
            }
        }
        for id in &plan.broken {
            prop_assert!(!restorable(&items, id), "{} in {:?}", id, plan);
        }
        let gone = deleted(&plan);
        let newest = items.iter().filter(|item| restorable(&items, &item.id)).max_by_key(|i| i.time);
        prop_assert!(newest.is_none_or(|item| restorable(&rest, &item.id)));
        let is_full = |item: &&Item| item.complete && item.chain == Chain::Full;
        let newest_full = items.iter().filter(is_full).max_by_key(|item| item.time);
        prop_assert!(newest_full.is_none_or(|item| !gone.contains(item.id.as_str())));
        prop_assert!(items.iter().all(|i| !(i.hold || i.locked) || !gone.contains(i.id.as_str())));
        prop_assert!(plan.locked.iter().all(|id| !gone.contains(id.as_str())));
    }

    #[test]
    fn planning_again_deletes_nothing(events in events(), rules in rules(), now in clocks()) {
        let items = play(&events);
        let first = plan(&rules, &items, &TimeZone::UTC, now);
        let rest = remaining(&items, &first);
        let second = plan(&rules, &rest, &TimeZone::UTC, now);
        prop_assert!(second.delete.is_empty(), "{:?}\n{:?}", first, second);
    }

    /// A pruning that stops anywhere leaves nothing that a full one would not have come to.
    #[test]
    fn a_pruning_that_is_cut_short_goes_on(
        events in events(),
        rules in rules(),
        now in clocks(),
        cut in any::<prop::sample::Index>(),
    ) {
        let items = play(&events);
        let whole = plan(&rules, &items, &TimeZone::UTC, now);
        let done: HashSet<&String> =
            whole.delete.iter().take(cut.index(whole.delete.len() + 1)).collect();
        let rest: Vec<Item> = items.iter().filter(|i| !done.contains(&i.id)).cloned().collect();
        let goes_on = plan(&rules, &rest, &TimeZone::UTC, now);
        prop_assert!(deleted(&goes_on).is_subset(&deleted(&whole)));
        for id in &whole.delete {
            let item = items.iter().find(|item| item.id == *id).unwrap();
            if let Chain::Incremental { base, .. } = &item.chain {
                let place = |id: &String| whole.delete.iter().position(|other| other == id);
                prop_assert!(place(base).is_none_or(|base| Some(base) > place(id)));
            }
        }
    }

    /// One more rule, a larger number, or a hold never deletes more.
    #[test]
    fn keeping_more_deletes_no_more(
        events in events(),
        rules in rules(),
        more in rules(),
        held in any::<prop::sample::Index>(),
        now in clocks(),
    ) {
        prop_assume!(!rules.is_empty());
        let items = play(&events);
        let before = plan(&rules, &items, &TimeZone::UTC, now);
        let both = Rules {
            keep_last: rules.keep_last.max(more.keep_last),
            keep_within: rules.keep_within.max(more.keep_within),
            keep_daily: rules.keep_daily.max(more.keep_daily),
            keep_weekly: rules.keep_weekly.max(more.keep_weekly),
            keep_monthly: rules.keep_monthly.max(more.keep_monthly),
            keep_yearly: rules.keep_yearly.max(more.keep_yearly),
        };
        let after = plan(&both, &items, &TimeZone::UTC, now);
        prop_assert!(deleted(&after).is_subset(&deleted(&before)));
        if !items.is_empty() {
            let mut items = items;
            let held = held.index(items.len());
            items[held].hold = true;
            let after = plan(&rules, &items, &TimeZone::UTC, now);
            prop_assert!(deleted(&after).is_subset(&deleted(&before)));
        }
    }

    #[test]
    fn without_rules_only_the_expired_go(events in events(), now in clocks()) {
        let items = play(&events);
        let plan = plan(&Rules::default(), &items, &TimeZone::UTC, now);
        for id in &plan.delete {
            let item = items.iter().find(|item| item.id == *id).unwrap();
            prop_assert!(item.expire_after.is_some_and(|end| end <= now));
        }
    }
}
