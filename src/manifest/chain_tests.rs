#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::items_after_statements
)]

use proptest::prelude::*;

use super::super::samples::{full, slot, window};
use super::*;
use crate::manifest::sha256_hex;

fn head(manifest: &Manifest) -> Head {
    let reference = ManifestRef {
        path: manifest.identity.manifest_key(),
        sha256: sha256_hex(&manifest.to_bytes().unwrap()),
    };
    Head::new(manifest, &reference)
}

/// `0` is a full backup at minute 0; `(2, 0, 1)` a window at minute 2, of the full at 0, after 1.
enum Kind {
    F(i64),
    W(i64, i64, i64),
}
use Kind::{F, W};

fn heads(kinds: &[Kind]) -> Vec<Head> {
    kinds
        .iter()
        .map(|kind| match *kind {
            F(minute) => head(&full(minute)),
            W(minute, base, previous) => head(&window(minute, base, previous)),
        })
        .collect()
}

fn minutes(set: &[Head]) -> Vec<i64> {
    set.iter()
        .map(|head| (0..60).find(|minute| slot(*minute) == head.slot).unwrap())
        .collect()
}

fn replayed(minute: i64, heads: &[Head]) -> Replayed {
    let slot = slot(minute);
    let known = heads.iter().find(|head| head.slot == slot);
    Replayed {
        sha256: known.map_or_else(|| sha256_hex(b"pruned"), |head| head.sha256.clone()),
        slot,
    }
}

#[test]
fn restore_sets() {
    let whole = [F(0), W(1, 0, 0), W(2, 0, 1), F(5), W(6, 5, 5), W(7, 5, 6)];
    let gap = [F(0), W(2, 0, 1), W(3, 0, 2)];
    // A full backup that took long: the windows beside it belong to the chain before it.
    let beside = [F(0), W(1, 0, 0), F(2), W(3, 0, 1), W(4, 2, 2)];
    for (name, kinds, target, expected) in [
        ("a full alone", &whole[..], 0, Ok(vec![0])),
        ("up to a window", &whole, 2, Ok(vec![0, 1, 2])),
        ("the newest full counts", &whole, 7, Ok(vec![5, 6, 7])),
        (
            "not there",
            &whole,
            3,
            Err("no backup of slot 20261120t100300z is in the bucket"),
        ),
        (
            "a gap",
            &gap,
            3,
            Err(
                "the backup 20261120t100200z builds on 20261120t100100z, which is not in the bucket; restore one that is older than 20261120t100100z, or wait",
            ),
        ),
        ("before the gap", &gap, 0, Ok(vec![0])),
        (
            "the full is gone",
            &[W(1, 0, 0)],
            1,
            Err("builds on 20261120t100000z"),
        ),
        ("beside a long full", &beside, 3, Ok(vec![0, 1, 3])),
        ("on the long full", &beside, 4, Ok(vec![2, 4])),
        (
            "of another chain",
            &[F(0), F(1), W(2, 0, 1)],
            2,
            Err(
                "can't follow 20261120t100100z: that belongs to another chain; restore 20261120t100100z or older",
            ),
        ),
    ] {
        let set = restore_set(&heads(kinds), &slot(target));
        match (set, expected) {
            (Ok(set), Ok(expected)) => assert_eq!(minutes(&set), expected, "{name}"),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{name}: {error}");
            }
            (set, expected) => panic!("{name}: {set:?} is not {expected:?}"),
        }
    }
}

#[test]
fn neighbours_that_do_not_fit() {
    type Change = fn(&mut Manifest);
    let rows: [(&str, Change); 4] = [
        ("its window begins after the end", |window| {
            if let Chain::Incremental { window_start, .. } = &mut window.chain {
                *window_start += 3_000_000_000;
            }
        }),
        ("they come from different servers", |window| {
            window.source.server_id = "http://other:8086".to_owned();
        }),
        ("or were asked for different things", |window| {
            window.source.scope.clear();
        }),
        ("its consistency time is earlier", |window| {
            window.start_time = super::super::samples::time(0);
            window.consistency_time = window.start_time;
        }),
    ];
    for (message, change) in rows {
        let mut window = window(1, 0, 0);
        change(&mut window);
        let heads = [head(&full(0)), head(&window)];
        let error = restore_set(&heads, &slot(1)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(
            matches!(
                next_to_replay(Some(&replayed(0, &heads)), &heads),
                Next::Broken(_)
            ),
            "{message}"
        );
    }
}

#[test]
fn an_open_window_reaches_to_its_consistency_time() {
    let mut first = window(1, 0, 0);
    if let Chain::Incremental { window_end, .. } = &mut first.chain {
        *window_end = None;
    }
    let heads = [head(&full(0)), head(&first), head(&window(2, 0, 1))];
    assert_eq!(restore_set(&heads, &slot(2)).map(|set| set.len()), Ok(3));
}

#[test]
fn what_a_window_may_build_on() {
    let (base, newest) = (full(0), window(2, 0, 1));
    let found = state(&newest, &head(&base)).unwrap();
    assert_eq!(found.base, slot(0));
    assert_eq!(found.base_consistency, base.consistency_time);
    assert_eq!(found.newest, slot(2));
    assert_eq!(found.newest_consistency, newest.consistency_time);
    assert_eq!(found.newest_chain, newest.chain);
    assert_eq!(found.scope, newest.source.scope);
    assert_eq!(found.server_id, newest.source.server_id);
    assert_eq!(state(&base, &head(&base)).unwrap().newest, slot(0));

    let mut other = full(0);
    other.source.server_id = "http://other:8086".to_owned();
    for (name, base) in [
        ("another full", full(1)),
        ("a window", window(1, 0, 0)),
        ("another server", other),
    ] {
        assert!(state(&newest, &head(&base)).is_err(), "{name}");
    }
}

#[test]
fn what_is_replayed_next() {
    #[derive(Debug, PartialEq)]
    enum Is {
        UpToDate,
        Full(i64),
        Window(i64),
        Reseed(Vec<i64>),
        Broken,
    }
    let chain = [F(0), W(1, 0, 0), W(2, 0, 1)];
    let two = [F(0), W(1, 0, 0), F(5), W(6, 5, 5)];
    let gap = [F(0), W(1, 0, 0), W(3, 0, 2)];
    for (name, last, kinds, expected) in [
        ("an empty line", None, &[][..], Is::UpToDate),
        ("nothing is held", None, &chain, Is::Reseed(vec![0, 1, 2])),
        (
            "nothing is held, two fulls",
            None,
            &two,
            Is::Reseed(vec![5, 6]),
        ),
        (
            "nothing is held, the newest is broken",
            None,
            &gap,
            Is::Reseed(vec![0, 1]),
        ),
        (
            "nothing is held, all is broken",
            None,
            &[W(1, 0, 0)],
            Is::Broken,
        ),
        ("the newest is held", Some(2), &chain, Is::UpToDate),
        ("the next window", Some(1), &chain, Is::Window(2)),
        ("one at a time", Some(0), &chain, Is::Window(1)),
        ("the next is a full", Some(1), &two, Is::Full(5)),
        ("on top of it", Some(5), &two, Is::Window(6)),
        (
            "only what is newer was read",
            Some(1),
            &[W(2, 0, 1), W(3, 0, 2)],
            Is::Window(2),
        ),
        (
            "what is held was pruned, and more",
            Some(1),
            &[W(4, 0, 3), F(5), W(6, 5, 5)],
            Is::Reseed(vec![5, 6]),
        ),
        ("a window is missing", Some(1), &gap, Is::Broken),
        (
            "a window is missing, a full follows",
            Some(1),
            &[F(0), W(1, 0, 0), W(3, 0, 2), F(4)],
            Is::Reseed(vec![4]),
        ),
        (
            "a window beside what is held",
            Some(1),
            &[F(0), W(1, 0, 0), W(2, 0, 0)],
            Is::Window(2),
        ),
        (
            "a window beside a long full",
            Some(2),
            &[F(0), W(1, 0, 0), F(2), W(3, 0, 1)],
            Is::Window(3),
        ),
        (
            "the chain began anew behind it",
            Some(9),
            &chain,
            Is::UpToDate,
        ),
    ] {
        let heads = heads(kinds);
        let last = last.map(|minute| replayed(minute, &heads));
        let one = |head: &Head| minutes(std::slice::from_ref(head))[0];
        let found = match next_to_replay(last.as_ref(), &heads) {
            Next::UpToDate => Is::UpToDate,
            Next::Full(head) => Is::Full(one(&head)),
            Next::Window(head) => Is::Window(one(&head)),
            Next::Reseed(set) => Is::Reseed(minutes(&set)),
            Next::Broken(_) => Is::Broken,
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn another_line_under_the_same_name_reseeds() {
    let heads = heads(&[F(0), W(1, 0, 0)]);
    let last = Replayed {
        slot: slot(1),
        sha256: sha256_hex(b"what was there before"),
    };
    let Next::Reseed(set) = next_to_replay(Some(&last), &heads) else {
        panic!("no reseed");
    };
    assert_eq!(minutes(&set), [0, 1]);
}

#[test]
fn another_server_is_replayed_from_its_full() {
    let mut other = full(2);
    other.source.server_id = "http://other:8086".to_owned();
    let mut on_other = window(3, 0, 1);
    on_other.source.server_id = "http://other:8086".to_owned();
    let before = heads(&[F(0), W(1, 0, 0)]);
    let last = replayed(1, &before);
    let full_next = [before.clone(), vec![head(&other)]].concat();
    assert_eq!(
        next_to_replay(Some(&last), &full_next),
        Next::Full(head(&other))
    );
    let window_next = [before, vec![head(&on_other)]].concat();
    assert!(matches!(
        next_to_replay(Some(&last), &window_next),
        Next::Broken(_)
    ));
}

#[test]
fn long_chains_are_judged_in_one_pass() {
    // 20,000 windows whose full is missing: a walk from each would never end in time.
    let mut heads = Vec::new();
    let sample = head(&window(1, 0, 0));
    for n in 0..20_000i64 {
        let mut head = sample.clone();
        head.slot = slot(n + 1);
        head.chain = Chain::Incremental {
            base: slot(0),
            previous: slot(n),
            window_start: i64::MIN,
            window_end: None,
        };
        heads.push(head);
    }
    assert!(matches!(
        next_to_replay(None, &heads),
        Next::Broken(ChainError::Gap { .. })
    ));
}

/// Writes by the minute in which they were acknowledged, a bit each.
fn writes_up_to(minute: i64) -> u64 {
    (1 << (minute + 1)) - 1
}

/// What a target holds after a backup was applied: a full one gives all writes up to its minute, a
/// window those since the backup that it follows.
fn apply(content: u64, head: &Head) -> u64 {
    let minute = |name: &str| (0..60).find(|minute| slot(*minute) == name).unwrap();
    let end = writes_up_to(minute(&head.slot));
    match &head.chain {
        Chain::Full => content | end,
        Chain::Incremental { previous, .. } => content | (end & !writes_up_to(minute(previous))),
    }
}

/// A line as a primary would write it: at each minute nothing, a full backup, a window on the newest
/// one, or a window on one before it (whose run began before the newest was committed).
fn arbitrary_line() -> impl Strategy<Value = Vec<Head>> {
    prop::collection::vec((0u8..8, any::<prop::sample::Index>()), 1..30).prop_map(|steps| {
        let mut line: Vec<(i64, i64)> = Vec::new();
        let mut heads = Vec::new();
        for (minute, (step, older)) in (0..).zip(steps) {
            let on = match step {
                0 => continue,
                1 => None,
                2 if !line.is_empty() => Some(line[older.index(line.len())]),
                _ => line.last().copied(),
            };
            let (base, manifest) = match on {
                Some((previous, base)) => (base, window(minute, base, previous)),
                None => (minute, full(minute)),
            };
            line.push((minute, base));
            heads.push(head(&manifest));
        }
        heads
    })
}

proptest! {
    #[test]
    fn a_standby_always_holds_all_that_its_newest_backup_claims(
        line in arbitrary_line(),
        missing in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        join in any::<prop::sample::Index>(),
    ) {
        let mut there = line.clone();
        for index in missing {
            if !there.is_empty() {
                there.remove(index.index(there.len()));
            }
        }
        // The bucket as it was when the standby joined, then as it is now.
        let joined = join.index(there.len() + 1);
        let mut last: Option<Replayed> = None;
        let mut content = 0;
        for bucket in [&there[..joined], &there[..]] {
            for step in 0.. {
                prop_assert!(step <= there.len() + 1, "it never ends");
                let set = match next_to_replay(last.as_ref(), bucket) {
                    Next::UpToDate => break,
                    Next::Full(head) | Next::Window(head) => vec![head],
                    Next::Reseed(set) => {
                        content = 0;
                        set
                    }
                    Next::Broken(_) => {
                        // Nothing newer than what it holds can be restored.
                        for head in bucket {
                            let newer = last.as_ref().is_none_or(|last| head.slot > last.slot);
                            prop_assert!(!newer || restore_set(bucket, &head.slot).is_err());
                        }
                        break;
                    }
                };
                for head in &set {
                    content = apply(content, head);
                }
                let newest = set.last().unwrap();
                prop_assert!(last.as_ref().is_none_or(|last| newest.slot > last.slot));
                let claimed = apply(0, &Head { chain: Chain::Full, ..newest.clone() });
                prop_assert_eq!(content, claimed, "{:?}", newest.slot);
                last = Some(Replayed {
                    slot: newest.slot.clone(),
                    sha256: newest.sha256.clone(),
                });
            }
        }
    }

    #[test]
    fn a_restore_set_holds_all_that_its_target_claims(line in arbitrary_line()) {
        for target in &line {
            let set = restore_set(&line, &target.slot).unwrap();
            let content = set.iter().fold(0, apply);
            let claimed = apply(0, &Head { chain: Chain::Full, ..target.clone() });
            prop_assert_eq!(content, claimed);
        }
    }
}
