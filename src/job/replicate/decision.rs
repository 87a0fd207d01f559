//! Which backups are copied, and which copies are deleted. Pure.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::retention::{Item, Rules, plan};

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// Slots to copy, oldest first: what a window builds on is there before it.
    pub(super) copy: Vec<String>,
    /// Slots to delete where the copies are, newest first.
    pub(super) delete: Vec<String>,
}

/// Copies what is not there. With `newer_only` nothing older than the newest copy: retention has left
/// that out, or is asked another time.
pub(super) fn missing(here: &[String], there: &[String], newer_only: bool) -> Decision {
    let held: HashSet<&String> = there.iter().collect();
    let newest = there.iter().max().filter(|_| newer_only);
    let mut copy: Vec<String> = here
        .iter()
        .filter(|slot| !held.contains(slot) && newest.is_none_or(|newest| *slot > newest))
        .cloned()
        .collect();
    copy.sort_unstable();
    Decision {
        copy,
        delete: Vec::new(),
    }
}

/// Retention decides over the backups of both places as if they were in one: what it keeps of them is
/// copied where it is missing, and what it does not keep is deleted where the copies are.
pub(super) fn by_rules(
    here: &[Item],
    there: &[Item],
    rules: &Rules,
    zone: &TimeZone,
    now: Timestamp,
) -> Decision {
    let copied: HashSet<&str> = there.iter().map(|item| item.id.as_str()).collect();
    let committed = |item: &&Item| item.complete && !copied.contains(item.id.as_str());
    let all: Vec<Item> = here
        .iter()
        .filter(committed)
        .chain(there)
        .cloned()
        .collect();
    let planned = plan(rules, &all, zone, now);
    let mut copy: Vec<String> = planned
        .keep
        .into_iter()
        .map(|kept| kept.id)
        .filter(|slot| !copied.contains(slot.as_str()))
        .collect();
    copy.sort_unstable();
    Decision {
        copy,
        delete: planned
            .delete
            .into_iter()
            .filter(|slot| copied.contains(slot.as_str()))
            .collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::retention::Chain;

    fn slot(n: &str) -> String {
        format!("20261120t10{n:0>2}00z")
    }

    fn slots(text: &str) -> Vec<String> {
        text.split_whitespace().map(slot).collect()
    }

    /// `f1` is a full backup of slot 1, `w3/2/1` a window of slot 3 on top of 2, at the root 1, `h4` a
    /// full one that is held, `v5` a void slot.
    fn item(text: &str) -> Item {
        let (kind, rest) = text.split_at(1);
        let mut numbers = rest.split('/');
        let own = numbers.next().unwrap();
        let chain = match (numbers.next(), numbers.next()) {
            (Some(previous), Some(base)) => Chain::Incremental {
                base: slot(base),
                previous: slot(previous),
            },
            _ => Chain::Full,
        };
        Item {
            id: slot(own),
            time: format!("2026-11-20T10:{own:0>2}:00Z").parse().unwrap(),
            complete: kind != "v",
            hold: kind == "h",
            locked: false,
            chain,
            expire_after: None,
        }
    }

    #[test]
    fn what_is_missing_is_copied_in_order() {
        for (here, there, newer_only, copy) in [
            ("1 2 3", "", false, "1 2 3"),
            ("3 1 2", "1", false, "2 3"),
            ("1 2 3", "2", false, "1 3"),
            ("1 2 3", "2", true, "3"),
            ("1 2 3", "", true, "1 2 3"),
            ("1 2", "1 2", true, ""),
            // The copies outlive the original.
            ("5", "1 2", false, "5"),
            ("", "1", false, ""),
        ] {
            let decision = missing(&slots(here), &slots(there), newer_only);
            assert_eq!(decision.copy, slots(copy), "{here} / {there}");
            assert!(decision.delete.is_empty());
        }
    }

    #[test]
    fn retention_decides_over_both_places() {
        let now = "2026-11-20T11:00:00Z".parse().unwrap();
        for (here, there, keep_last, copy, delete) in [
            // Only what will stay is copied.
            ("f1 f2 f3", "", 2, "2 3", ""),
            ("f1 f2 f3", "f1", 2, "2 3", "1"),
            // Copies that the original has no longer stay as long as their own rules say.
            ("f3", "f1 f2", 3, "3", ""),
            ("f3", "f1 f2", 2, "3", "1"),
            // What a window builds on comes with it, and stays with it.
            ("f1 w2/1/1 w3/2/1", "", 1, "1 2 3", ""),
            ("f1 w2/1/1 f3", "f1 w2/1/1", 1, "3", "2 1"),
            // A hold counts here too, and a void slot is no backup.
            ("h1 f2 f3", "", 1, "1 3", ""),
            ("f1 v2", "", 1, "1", ""),
            ("f1", "f1", 1, "", ""),
        ] {
            let read = |text: &str| -> Vec<Item> { text.split_whitespace().map(item).collect() };
            let rules = Rules {
                keep_last: Some(keep_last),
                ..Rules::default()
            };
            let decision = by_rules(&read(here), &read(there), &rules, &TimeZone::UTC, now);
            let what = format!("{here} / {there} / {keep_last}");
            assert_eq!(decision.copy, slots(copy), "{what}");
            assert_eq!(decision.delete, slots(delete), "{what}");
        }
    }
}
