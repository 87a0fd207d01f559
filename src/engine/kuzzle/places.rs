//! Where the indices of a backup lie in a target.
//!
//! Kuzzle 2.14 and later finds a collection by its alias, `@&index.collection`. The index behind it
//! has the alias's name without the `@`, or that and a number: Kuzzle makes such names, and so does
//! a load that takes the place of an index that serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names::ALIAS_SIGN;
use crate::engine::EngineError;

/// The alias of indices that nobody uses: a load that is not over, and what one took the place of.
/// Whatever a run that was killed left under it is deleted by the next one.
pub(super) const UNUSED: &str = "lifeboat-unused";

/// An index that is loaded while another one serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// The index that is loaded.
    pub(super) new: String,
    /// The one that serves until the load is over.
    pub(super) old: String,
}

/// What a run knows of its indices in the target. All names are by those of the backup's indices
/// after `remap`.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Known>);

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Indices that lie under another name.
    pub(super) elsewhere: BTreeMap<String, String>,
    /// Indices that are loaded while others serve.
    pub(super) loads: BTreeMap<String, Load>,
    /// Indices that this run made.
    pub(super) made: BTreeSet<String>,
    /// Indices that this run deletes at its end, where [`UNUSED`] is on them then.
    pub(super) unused: BTreeSet<String>,
}

impl Places {
    /// What is known; not to be held while waiting for a server.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index where documents of `target` are.
    pub(super) fn physical(&self, target: &str) -> String {
        let known = self.known();
        let found = known.loads.get(target).map(|load| &load.new);
        let found = found.or_else(|| known.elsewhere.get(target));
        found.map_or_else(|| target.to_owned(), Clone::clone)
    }
}

/// The collection that an index's aliases make it: there is exactly one of Kuzzle's.
pub(super) fn collection<'a>(aliases: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let mut found = aliases.filter_map(|alias| alias.strip_prefix(ALIAS_SIGN));
    let collection = found.next()?;
    found.next().is_none().then_some(collection)
}

/// Whether an index may be behind the alias of a collection.
pub(super) fn belongs(index: &str, collection: &str) -> bool {
    index == collection || without_number(index) == Some(collection)
}

/// The alias that Kuzzle finds an index by.
pub(super) fn usual_alias(index: &str) -> String {
    format!("{ALIAS_SIGN}{}", without_number(index).unwrap_or(index))
}

fn without_number(index: &str) -> Option<&str> {
    let (name, number) = index.rsplit_once('.')?;
    // The name of a collection has a dot in it already.
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && name.contains('.')).then_some(name)
}

/// A free name for an index behind the alias of a collection, from a number on.
pub(super) fn free_name<'a>(
    collection: &str,
    number: u64,
    taken: impl Fn(&str) -> bool + 'a,
) -> String {
    let mut number = number;
    loop {
        let name = format!("{collection}.{number}");
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// The index that serves now under each name of the backup, where there is one.
pub(super) fn serving<'a>(
    wanted: impl Iterator<Item = (&'a String, Option<&'a str>)>,
    there: &BTreeMap<String, String>,
    aliases: &BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, String>, EngineError> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (target, collection) in wanted {
        let behind = collection.and_then(|collection| {
            let indices = aliases.get(&format!("{ALIAS_SIGN}{collection}"))?;
            let only = indices.first().filter(|_| indices.len() == 1)?;
            belongs(only, collection).then_some(only)
        });
        let Some(index) = behind.or_else(|| there.get_key_value(target).map(|(name, _)| name))
        else {
            continue;
        };
        if let Some(other) = taken.insert(index.clone(), target.clone()) {
            return Err(EngineError::NotSupported {
                problem: format!(
                    "{other:?} and {target:?} of the backup both mean the index {index:?} of the target; give one of them another name with remap"
                ),
            });
        }
        all.insert(target.clone(), index.clone());
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_index_belongs_to_a_collection() {
        for (index, collection, want) in [
            ("&i.c", "&i.c", true),
            ("&i.c.12345", "&i.c", true),
            ("&i.c.", "&i.c", false),
            ("&i.c.x1", "&i.c", false),
            ("&i.cc", "&i.c", false),
            ("&i.c.1.2", "&i.c", false),
            ("other", "&i.c", false),
            ("&i.7", "&i", false),
        ] {
            assert_eq!(belongs(index, collection), want, "{index} {collection}");
        }
        assert_eq!(usual_alias("&i.c.77"), "@&i.c");
        assert_eq!(usual_alias("&i.7"), "@&i.7");
        assert_eq!(free_name("&i.c", 7, |name| name.ends_with(".7")), "&i.c.8");
    }

    #[test]
    fn what_serves_is_behind_the_alias() {
        fn words<T: FromIterator<String>>(all: &[&str]) -> T {
            all.iter().map(|word| (*word).to_owned()).collect()
        }
        let there = BTreeMap::from(
            ["&i.c", "&i.c.5", "&i.d", "x"].map(|name| (name.to_owned(), String::new())),
        );
        let aliases: BTreeMap<String, BTreeSet<String>> = BTreeMap::from([
            ("@&i.c".to_owned(), words(&["&i.c.5"])),
            ("@&i.d".to_owned(), words(&["x"])),
        ]);
        let names: Vec<String> = words(&["&i.c", "&i.d", "&i.e"]);
        let all = names
            .iter()
            .map(|name| (name, Some(name.as_str())))
            .collect::<Vec<_>>();
        let found = serving(all.into_iter(), &there, &aliases).unwrap();
        let want = [("&i.c", "&i.c.5"), ("&i.d", "&i.d")];
        let want = want.map(|(name, index)| (name.to_owned(), index.to_owned()));
        assert_eq!(found, BTreeMap::from(want));
        let two: Vec<String> = words(&["&i.c", "&i.c.5"]);
        let both = two.iter().map(|name| (name, Some("&i.c")));
        assert!(serving(both, &there, &aliases).is_err());
    }

    #[test]
    fn a_collection_has_one_alias_of_kuzzles() {
        let all: Vec<String> = ["@&i.c", "read", "@&i.d"].map(str::to_owned).into();
        assert_eq!(collection(all[..2].iter()), Some("&i.c"));
        assert_eq!(collection(all[1..2].iter()), None);
        assert_eq!(collection(all.iter()), None);
    }
}
