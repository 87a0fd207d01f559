//! What a count command says, what a backup keeps of it, and whether a target agrees. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Put before a count's name in a part's attributes.
const ATTRIBUTE: &str = "count.";
/// The most counts, and the longest name of one.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 200;
/// The greatest number that every JSON reader keeps exact.
const GREATEST: u64 = (1 << 53) - 1;
/// How many differences are named.
const EXAMPLES: usize = 5;

/// Counts by name.
pub(super) type Counts = BTreeMap<String, u64>;

/// What a backup was counted to have: from the least to the most, since a source may change while
/// it is exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted(BTreeMap<String, (u64, u64)>);

/// Reads the last line of a count command.
pub(super) fn parse(line: &str) -> Result<Counts, String> {
    let counts: Counts = serde_json::from_str(line)
        .map_err(|error| format!("it is no JSON object of whole numbers ({error})"))?;
    if counts.len() > MOST {
        return Err(format!("it has more than {MOST} counts"));
    }
    for (name, count) in &counts {
        let odd =
            name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control);
        if odd || *count > GREATEST {
            return Err(format!(
                "the count of {:?} has an odd name or is too large",
                name.chars().take(40).collect::<String>()
            ));
        }
    }
    Ok(counts)
}

/// What is there, in few words; none where nothing is.
pub(super) fn words(counts: &Counts) -> Option<String> {
    let there: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .take(EXAMPLES)
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    (!there.is_empty()).then(|| there.join(", "))
}

impl Counted {
    /// Of a source that was counted before and after its export.
    pub(super) fn between(before: &Counts, after: &Counts) -> Self {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let of = |counts: &Counts, name| counts.get(name).copied().unwrap_or(0);
        let ranges = names.into_iter().map(|name| {
            let (one, other) = (of(before, name), of(after, name));
            (name.clone(), (one.min(other), one.max(other)))
        });
        Self(ranges.collect())
    }

    /// What is in the backup at least, in all.
    pub(super) fn records(&self) -> u64 {
        let least = self.0.values().map(|(least, _)| *least);
        least.fold(0, u64::saturating_add)
    }

    /// What changed while it was exported, in few words.
    pub(super) fn changed(&self) -> Option<String> {
        let changed: Vec<String> = self
            .0
            .iter()
            .filter(|(_, (least, most))| least != most)
            .take(EXAMPLES)
            .map(|(name, range)| format!("{name}: {}", shown(*range)))
            .collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }

    /// As a part of the backup keeps it.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let attributes = self.0.iter();
        attributes
            .map(|(name, (least, most))| (format!("{ATTRIBUTE}{name}"), format!("{least}-{most}")))
            .chain([(COUNTED.to_owned(), "yes".to_owned())])
            .collect()
    }

    /// What a part of a backup keeps; none where it was not counted.
    pub(super) fn of(attributes: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        if !attributes.contains_key(COUNTED) {
            return Ok(None);
        }
        let mut ranges = BTreeMap::new();
        for (key, text) in attributes {
            let Some(name) = key.strip_prefix(ATTRIBUTE) else {
                continue;
            };
            let range = text.split_once('-').and_then(|(least, most)| {
                let range: (u64, u64) = (least.parse().ok()?, most.parse().ok()?);
                (range.0 <= range.1).then_some(range)
            });
            let range = range.ok_or_else(|| "a count of it can't be read".to_owned())?;
            ranges.insert(name.to_owned(), range);
        }
        Ok(Some(Self(ranges)))
    }

    /// What a target holds that the backup does not, or the other way round; none where they agree.
    pub(super) fn difference(&self, found: &Counts) -> Option<String> {
        let mut differences = Vec::new();
        for (name, range) in &self.0 {
            let there = found.get(name).copied().unwrap_or(0);
            if there < range.0 || there > range.1 {
                differences.push(format!(
                    "{name}: {there} in the target, {} in the backup",
                    shown(*range)
                ));
            }
        }
        for (name, there) in found {
            if *there > 0 && !self.0.contains_key(name) {
                differences.push(format!("{name}: {there} in the target, none in the backup"));
            }
        }
        let count = differences.len();
        differences.truncate(EXAMPLES);
        (count > 0).then(|| format!("{count} counts differ: {}", differences.join("; ")))
    }
}

/// Says that a part was counted, also where nothing was there to count.
const COUNTED: &str = "counted";

fn shown((least, most): (u64, u64)) -> String {
    if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        parse(text).unwrap()
    }

    #[test]
    fn only_an_object_of_whole_numbers_is_a_count() {
        let many: Counts = (0..1001).map(|n| (n.to_string(), n)).collect();
        let many = serde_json::to_string(&many).unwrap();
        let cases = [
            ("{}", true),
            ("{\"orders\": 17, \"odd \\\"name\\\"\": 0}", true),
            ("", false),
            ("17", false),
            ("[17]", false),
            ("{\"orders\": -1}", false),
            ("{\"orders\": 1.5}", false),
            ("{\"orders\": \"17\"}", false),
            ("{\"orders\": 9007199254740992}", false),
            ("{\"\": 1}", false),
            ("{\"a\\nb\": 1}", false),
            ("{} {}", false),
            (many.as_str(), false),
        ];
        for (line, good) in cases {
            assert_eq!(parse(line).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn empty_is_where_every_count_is_nothing() {
        assert_eq!(words(&counts("{}")), None);
        assert_eq!(words(&counts("{\"a\": 0}")), None);
        assert_eq!(
            words(&counts("{\"a\": 0, \"b\": 2}")),
            Some("b: 2".to_owned())
        );
    }

    #[test]
    fn a_target_has_to_hold_what_was_there_before_or_after_the_export() {
        let before = counts("{\"orders\": 10, \"users\": 4, \"gone\": 3}");
        let after = counts("{\"orders\": 12, \"users\": 4, \"new\": 1}");
        let counted = Counted::between(&before, &after);
        assert_eq!(counted.records(), 14);
        assert_eq!(
            counted.changed().unwrap(),
            "gone: 0 to 3, new: 0 to 1, orders: 10 to 12"
        );
        let kept = counted.attributes();
        assert_eq!(kept["count.orders"], "10-12");
        assert_eq!(Counted::of(&kept).unwrap().as_ref(), Some(&counted));
        let cases = [
            ("{\"orders\": 10, \"users\": 4}", None),
            (
                "{\"orders\": 12, \"users\": 4, \"gone\": 3, \"new\": 1, \"other\": 0}",
                None,
            ),
            (
                "{\"orders\": 9, \"users\": 4}",
                Some("orders: 9 in the target, 10 to 12 in the backup"),
            ),
            ("{\"orders\": 13, \"users\": 4}", Some("orders: 13")),
            (
                "{\"orders\": 11}",
                Some("users: 0 in the target, 4 in the backup"),
            ),
            (
                "{\"orders\": 11, \"users\": 4, \"other\": 1}",
                Some("other: 1 in the target, none in the backup"),
            ),
            ("{}", Some("2 counts differ")),
        ];
        for (found, expected) in cases {
            let difference = counted.difference(&counts(found));
            match (expected, difference) {
                (None, None) => {}
                (Some(part), Some(text)) => assert!(text.contains(part), "{found}: {text}"),
                other => panic!("{found}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_source_that_stood_still_is_exact_and_an_empty_one_is_counted() {
        let same = counts("{\"orders\": 10}");
        let counted = Counted::between(&same, &same);
        assert_eq!(counted.changed(), None);
        assert!(counted.difference(&counts("{\"orders\": 11}")).is_some());
        let empty = Counted::default();
        assert_eq!(Counted::of(&empty.attributes()).unwrap(), Some(empty));
        assert_eq!(Counted::of(&BTreeMap::new()).unwrap(), None);
    }

    #[test]
    fn counts_from_a_bucket_are_anybodys() {
        for text in ["", "10", "-", "12-10", "a-b", "1-2-3", "-1-2"] {
            let attributes = [("counted", "yes"), ("count.orders", text)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert!(Counted::of(&attributes.into()).is_err(), "{text}");
        }
    }
}
