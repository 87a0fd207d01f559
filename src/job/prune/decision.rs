//! Which of the manifests that the controller wants gone may really go. Pure.
//!
//! The controller decided some time ago, and the bucket may have changed since: what a backup that
//! stays builds on, and the newest chain that can be restored, are never deleted.

use std::collections::{HashMap, HashSet};

use crate::manifest::Chain;
use crate::manifest::chain::{Head, restore_set};

/// What goes, and what stays although it was to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// Slots to delete, newest first: a pruning that is cut short leaves no window without what it
    /// builds on.
    pub(super) delete: Vec<String>,
    /// Slots that stay, with the reason.
    pub(super) spared: Vec<(String, &'static str)>,
}

/// Decides over `wanted` slots, given all committed backups of the line. Slots that no backup has
/// (a void marker's, or one that is gone already) may go.
pub(super) fn decide(heads: &[Head], wanted: &HashSet<String>) -> Decision {
    let newest = newest_chain(heads);
    let needed = needed_by_kept(heads, wanted);
    let mut slots: Vec<&String> = wanted.iter().collect();
    slots.sort_unstable_by(|a, b| b.cmp(a));
    let mut decision = Decision::default();
    for slot in slots {
        let why = if newest.contains(slot.as_str()) {
            Some("it belongs to the newest backup that can be restored")
        } else if needed.contains(slot.as_str()) {
            Some("a backup that stays builds on it")
        } else {
            None
        };
        match why {
            Some(why) => decision.spared.push((slot.clone(), why)),
            None => decision.delete.push(slot.clone()),
        }
    }
    decision
}

fn newest_chain(heads: &[Head]) -> HashSet<String> {
    let mut slots: Vec<&str> = heads.iter().map(|head| head.slot.as_str()).collect();
    slots.sort_unstable();
    slots
        .iter()
        .rev()
        .find_map(|slot| restore_set(heads, slot).ok())
        .unwrap_or_default()
        .into_iter()
        .map(|head| head.slot)
        .collect()
}

fn needed_by_kept<'a>(heads: &'a [Head], wanted: &HashSet<String>) -> HashSet<&'a str> {
    let by_slot: HashMap<&str, &Head> = heads
        .iter()
        .map(|head| (head.slot.as_str(), head))
        .collect();
    let mut needed: HashSet<&str> = HashSet::new();
    for head in heads.iter().filter(|head| !wanted.contains(&head.slot)) {
        let mut at = head;
        while let Chain::Incremental { base, previous, .. } = &at.chain {
            needed.insert(base);
            if !needed.insert(previous) {
                break;
            }
            match by_slot.get(previous.as_str()) {
                // A link that does not lead to an older slot is no link.
                Some(older) if older.slot < at.slot => at = older,
                _ => break,
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `f1` is a full backup of slot 1, `w3/2/1` a window of slot 3 on top of 2, at the root 1.
    fn head(text: &str) -> Head {
        let slot = |n: &str| format!("20261120t10{n:0>2}00z");
        let (kind, rest) = text.split_at(1);
        let mut numbers = rest.split('/');
        let own = numbers.next().unwrap_or_default();
        let chain = if kind == "f" {
            Chain::Full
        } else {
            Chain::Incremental {
                previous: slot(numbers.next().unwrap_or_default()),
                base: slot(numbers.next().unwrap_or_default()),
                window_start: 0,
                window_end: None,
            }
        };
        Head {
            slot: slot(own),
            chain,
            consistency_time: jiff::Timestamp::UNIX_EPOCH,
            source: String::new(),
            path: String::new(),
            sha256: String::new(),
        }
    }

    #[test]
    fn what_may_go() {
        let line = "f1 w2/1/1 w3/2/1 f4 w5/4/4";
        let cases = [
            (line, "1 2 3", "3 2 1", ""),
            (line, "1", "", "1"),
            (line, "1 2", "", "2 1"),
            (line, "2 3", "3 2", ""),
            (line, "4 5", "", "5 4"),
            (line, "1 2 3 4 5", "3 2 1", "5 4"),
            // The newest is broken: the one before it is the newest that can be restored.
            ("f1 w2/1/1 w9/8/8", "1 2 9", "9", "2 1"),
            // A marker without a backup, and one that is gone already.
            (line, "7", "7", ""),
            ("f1", "1", "", "1"),
            ("", "1", "1", ""),
        ];
        for (line, wanted, delete, spared) in cases {
            let heads: Vec<Head> = line.split_whitespace().map(head).collect();
            let slots = |text: &str| -> Vec<String> {
                text.split_whitespace()
                    .map(|n| format!("20261120t10{n:0>2}00z"))
                    .collect()
            };
            let decision = decide(&heads, &slots(wanted).into_iter().collect());
            assert_eq!(decision.delete, slots(delete), "{line} / {wanted}");
            let kept: Vec<String> = decision.spared.into_iter().map(|(slot, _)| slot).collect();
            assert_eq!(kept, slots(spared), "{line} / {wanted}");
        }
    }
}
