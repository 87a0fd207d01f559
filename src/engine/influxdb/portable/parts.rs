//! The parts of a portable backup, as its index holds them: hostile until they were checked.

use std::collections::BTreeMap;

use super::super::ql::Range;
use super::super::structure::{NAME_DATABASE, NAME_POLICY, named};
use super::meta::Shard;
use crate::engine::EngineError;
use crate::manifest::Part;

/// A part that lists the shards of a database, and holds no records.
pub(in crate::engine::influxdb) const KIND_SHARDS: &str = "shards";
/// A part that holds a shard's files.
pub(in crate::engine::influxdb) const KIND_SHARD: &str = "shard";
/// A part that holds the metadata, for the vendor's tool.
pub(super) const KIND_META: &str = "meta";
/// A part that lists the files, for the vendor's tool.
pub(super) const KIND_MANIFEST: &str = "manifest";
/// A shard's number.
pub(super) const NAME_SHARD: &str = "shard";
const START: &str = "start";
const END: &str = "end";
/// The most values that the shard may have had when its files were read.
const MOST: &str = "valuesAtMost";
/// Whether points are in the files that were deleted.
const DELETED: &str = "deleted";
const SHARDS: &str = "shards";
const WHOLE: &str = "whole";
/// Shards that one part lists: a line of the index takes 1 MiB.
const LISTED: usize = 4000;

/// The shards of a database that a backup knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shards {
    /// By retention policy.
    pub(super) of: BTreeMap<String, Vec<Shard>>,
    /// Whether all of the database is in the backup.
    pub(super) whole: bool,
}

/// The parts that list a database's shards.
pub(super) fn list(database: &str, shards: &[(&str, Shard)], whole: bool) -> Vec<Part> {
    let part = |some: &[(&str, Shard)]| {
        let mut of: BTreeMap<&str, Vec<Shard>> = BTreeMap::new();
        for (policy, shard) in some {
            of.entry(policy).or_default().push(*shard);
        }
        // Plain maps of strings and numbers always have a JSON form.
        let text = serde_json::to_string(&of).unwrap_or_default();
        Part {
            kind: KIND_SHARDS.to_owned(),
            name: BTreeMap::from([(NAME_DATABASE.to_owned(), database.to_owned())]),
            attributes: BTreeMap::from([
                (SHARDS.to_owned(), text),
                (WHOLE.to_owned(), whole.to_string()),
            ]),
            ..Part::default()
        }
    };
    if shards.is_empty() {
        return vec![part(&[])];
    }
    shards.chunks(LISTED).map(part).collect()
}

/// The shards of all databases, from the parts that list them.
pub(super) fn read_lists(parts: &[Part]) -> Result<BTreeMap<String, Shards>, EngineError> {
    let mut all: BTreeMap<String, Shards> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.kind == KIND_SHARDS) {
        let database = all
            .entry(named(part, NAME_DATABASE)?.to_owned())
            .or_default();
        let text = part.attributes.get(SHARDS).map_or("{}", String::as_str);
        let found: BTreeMap<String, Vec<Shard>> = serde_json::from_str(text)
            .map_err(|error| bad(&format!("a list of shards: {error}")))?;
        for (policy, shards) in found {
            if shards.iter().any(|shard| shard.start >= shard.end) {
                return Err(bad("a shard that ends before it begins"));
            }
            database.of.entry(policy).or_default().extend(shards);
        }
        database.whole = part
            .attributes
            .get(WHOLE)
            .is_some_and(|word| word == "true");
    }
    Ok(all)
}

/// The name of a shard's part.
pub(super) fn name(database: &str, policy: &str, id: u64) -> BTreeMap<String, String> {
    BTreeMap::from([
        (NAME_DATABASE.to_owned(), database.to_owned()),
        (NAME_POLICY.to_owned(), policy.to_owned()),
        (NAME_SHARD.to_owned(), id.to_string()),
    ])
}

/// What the plan says of a shard.
pub(super) fn span(shard: Shard) -> BTreeMap<String, String> {
    BTreeMap::from([
        (START.to_owned(), shard.start.to_string()),
        (END.to_owned(), shard.end.to_string()),
    ])
}

/// What its export adds to that.
pub(super) fn seen(most: u64, deleted: bool) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::from([(MOST.to_owned(), most.to_string())]);
    if deleted {
        attributes.insert(DELETED.to_owned(), "true".to_owned());
    }
    attributes
}

/// A part with a shard's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShardPart {
    /// Its database in the backup.
    pub(super) database: String,
    /// Its retention policy in the backup.
    pub(super) policy: String,
    /// Its number there, and its span.
    pub(super) shard: Shard,
    /// Values in it: no fewer than the first, no more than the second.
    pub(super) values: (u64, u64),
}

impl ShardPart {
    /// From a part of a backup.
    pub(super) fn read(part: &Part) -> Result<Self, EngineError> {
        if part.kind != KIND_SHARD {
            return Err(bad(&format!("a part of an unknown kind: {:?}", part.name)));
        }
        let number = |key: &str| {
            let text = part.attributes.get(key);
            text.and_then(|text| text.parse::<i64>().ok())
                .ok_or_else(|| bad(&format!("a shard without a readable {key}")))
        };
        let id = named(part, NAME_SHARD)?;
        let shard = Shard {
            id: id.parse().map_err(|_| bad("a shard without a number"))?,
            start: number(START)?,
            end: number(END)?,
        };
        let deleted = part.attributes.contains_key(DELETED);
        let most = match part.attributes.get(MOST) {
            Some(_) if deleted => u64::MAX,
            Some(text) => text
                .parse()
                .map_err(|_| bad("a shard of no number of values"))?,
            None => part.records,
        };
        Ok(Self {
            database: named(part, NAME_DATABASE)?.to_owned(),
            policy: named(part, NAME_POLICY)?.to_owned(),
            shard,
            values: (part.records, most),
        })
    }

    /// Its span of event time.
    pub(super) fn range(&self) -> Range {
        Range {
            start: Some(self.shard.start),
            end: Some(self.shard.end),
        }
    }

    /// A count as the manifest says it, where it is one that the shard may have had: on a live source
    /// points came in while the files were read, and deleted ones come back.
    pub(super) fn as_counted(&self, found: u64) -> u64 {
        let (least, most) = self.values;
        if (least..=most).contains(&found) {
            least
        } else {
            found
        }
    }
}

pub(super) fn bad(what: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("its parts index holds what this engine does not write: {what}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHARD: Shard = Shard {
        id: 7,
        start: -5,
        end: 9,
    };

    #[test]
    fn lists_go_round() {
        let many: Vec<(&str, Shard)> = (0..9000).map(|id| ("r", Shard { id, ..SHARD })).collect();
        let parts = list("d", &many, true);
        assert_eq!(parts.len(), 3);
        let found = read_lists(&parts).unwrap();
        assert!(found["d"].whole);
        assert_eq!(found["d"].of["r"].len(), 9000);
        let empty = read_lists(&list("d", &[], false)).unwrap();
        assert_eq!(empty["d"], Shards::default());
    }

    fn part() -> Part {
        let mut attributes = span(SHARD);
        attributes.extend(seen(12, false));
        Part {
            kind: KIND_SHARD.to_owned(),
            name: name("d", "r", 7),
            records: 10,
            attributes,
            ..Part::default()
        }
    }

    #[test]
    fn counts_that_a_shard_may_have_had() {
        let quiet = ShardPart::read(&part()).unwrap();
        assert_eq!(quiet.shard, SHARD);
        for (found, want) in [(9, 9), (10, 10), (12, 10), (13, 13)] {
            assert_eq!(quiet.as_counted(found), want);
        }
        let mut part = part();
        part.attributes.extend(seen(12, true));
        let deleted = ShardPart::read(&part).unwrap();
        for (found, want) in [(9, 9), (10, 10), (99, 10)] {
            assert_eq!(deleted.as_counted(found), want);
        }
    }

    #[test]
    fn hostile_parts_are_refused() {
        let with = |key: &str, value: &str| {
            let mut part = part();
            part.attributes.insert(key.into(), value.into());
            part
        };
        for part in [
            with(START, "x"),
            with(END, "99999999999999999999"),
            with(MOST, "-1"),
            Part {
                name: name("", "r", 7),
                ..part()
            },
            Part {
                kind: "other".to_owned(),
                ..part()
            },
        ] {
            assert!(ShardPart::read(&part).is_err(), "{part:?}");
        }
        let mut list = list("d", &[("r", SHARD)], true).remove(0);
        for text in [
            "{",
            "[]",
            r#"{"r":[{"id":1,"start":5,"end":5}]}"#,
            r#"{"r":[{"id":-1,"start":1,"end":5}]}"#,
        ] {
            list.attributes.insert(SHARDS.into(), text.into());
            assert!(read_lists(std::slice::from_ref(&list)).is_err(), "{text}");
        }
    }
}
