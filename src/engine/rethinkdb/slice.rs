//! The rows of a table between two keys: what one part of a backup holds. Pure.
//!
//! A large table is cut into ranges, so that several connections read and write it at once. Keys are
//! never compared here: their order is the server's, whatever their types. A range begins with its
//! first key and ends before that of the next, so that all of them together are the whole table,
//! wherever it was cut.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::names::{self, TableName};
use super::term::{self, Term};
use super::{json, structure};
use crate::engine::{EngineError, ImportPlan};

/// Name of a part: which range of its table it is, counted from 1.
const RANGE: &str = "range";
/// The first key of a range, as the server said it.
const FROM: &str = "from";
/// The key that ends a range, and is not in it.
const TO: &str = "to";
/// The most ranges of a table.
const MOST_RANGES: u64 = 32;

/// Two keys, as the server said them. None: no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// The first key.
    pub(super) from: Option<String>,
    /// The key that ends it.
    pub(super) to: Option<String>,
}

/// The rows of a table within a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// The table.
    pub(super) name: TableName,
    /// Its primary key.
    pub(super) primary_key: String,
    /// Which of its rows.
    pub(super) range: Range,
}

impl Slice {
    /// What a part holds, under its name in the target. The part may come from a bucket: what it says
    /// is checked.
    pub(super) fn of(
        plan: &ImportPlan,
        name: &BTreeMap<String, String>,
        attributes: &BTreeMap<String, String>,
    ) -> Result<Self, EngineError> {
        let bound = |key: &str| match attributes.get(key) {
            None => Ok(None),
            Some(text) => match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => Ok(Some(value.get().to_owned())),
                Err(_) => Err(structure::bad("a range whose end is no value")),
            },
        };
        Ok(Self {
            name: names::target_table(plan, &structure::table_name(name)?)?,
            primary_key: structure::primary_key(attributes)?.to_owned(),
            range: Range {
                from: bound(FROM)?,
                to: bound(TO)?,
            },
        })
    }

    /// The table as a term.
    pub(super) fn table(&self) -> Term {
        term::table(&self.name.database, &self.name.table)
    }

    /// Its rows, in no order.
    pub(super) fn rows(&self) -> Term {
        let (from, to) = (self.range.from.as_deref(), self.range.to.as_deref());
        if from.is_none() && to.is_none() {
            return self.table();
        }
        let term = |key: &str| json::term(key);
        term::between(
            &self.table(),
            from.map(term).as_deref(),
            to.map(term).as_deref(),
            false,
        )
    }

    /// Its rows in the order of their keys, all or those behind one, which is a term.
    pub(super) fn ordered(&self, after: Option<&str>) -> Term {
        let rows = match after {
            None => self.rows(),
            Some(last) => {
                let to = self.range.to.as_deref().map(json::term);
                term::between(&self.table(), Some(last), to.as_deref(), true)
            }
        };
        term::order_by(&rows, &self.primary_key)
    }
}

/// Into how many ranges a table is cut, and how many rows each of them should have; none where it is
/// small. `estimate` is the server's guess at its rows, `range_rows` how many are asked for.
pub(super) fn cuts(estimate: u64, range_rows: u64) -> Option<(u64, u64)> {
    let ranges = (estimate / range_rows.max(1)).min(MOST_RANGES);
    (ranges > 1).then(|| (ranges, estimate.div_ceil(ranges)))
}

/// The ranges that keys in their order cut a table into.
pub(super) fn ranges(keys: &[String]) -> Vec<Range> {
    let from = std::iter::once(None).chain(keys.iter().cloned().map(Some));
    let to = keys.iter().cloned().map(Some).chain(std::iter::once(None));
    from.zip(to).map(|(from, to)| Range { from, to }).collect()
}

/// Which range of its table a part of this name is, counted from 1; one that is the whole: 0.
pub(super) fn number(name: &BTreeMap<String, String>) -> Result<u64, EngineError> {
    match name.get(RANGE).map(|text| text.parse()) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(structure::bad("a range without a number")),
    }
}

/// Writes a range into the name and the attributes of a part. The number counts from 1.
pub(super) fn describe(
    range: &Range,
    number: usize,
    name: &mut BTreeMap<String, String>,
    attributes: &mut BTreeMap<String, String>,
) {
    if range.from.is_none() && range.to.is_none() {
        return;
    }
    name.insert(RANGE.to_owned(), number.to_string());
    for (key, bound) in [(FROM, &range.from), (TO, &range.to)] {
        if let Some(bound) = bound {
            attributes.insert(key.to_owned(), bound.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn large_tables_are_cut() {
        for (estimate, range_rows, want) in [
            (0, 100, None),
            (199, 100, None),
            (200, 100, Some((2, 100))),
            (1050, 100, Some((10, 105))),
            (1_000_000, 100, Some((32, 31_250))),
            (5, 0, Some((5, 1))),
        ] {
            assert_eq!(cuts(estimate, range_rows), want, "{estimate} {range_rows}");
        }
    }

    fn words(words: &[(&str, &str)]) -> BTreeMap<String, String> {
        let words = words.iter();
        words
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn slices(keys: &[&str]) -> Vec<Slice> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let ranges = ranges(&keys);
        let slices = (1..).zip(&ranges).map(|(number, range)| {
            let mut name = words(&[("database", "d"), ("table", "t")]);
            let mut attributes = words(&[("primaryKey", "id")]);
            describe(range, number, &mut name, &mut attributes);
            let slice = Slice::of(&ImportPlan::default(), &name, &attributes).unwrap();
            assert_eq!(&slice.range, range, "as it was written");
            slice
        });
        slices.collect()
    }

    #[test]
    fn ranges_are_the_whole_table() {
        let whole = slices(&[]);
        assert_eq!(whole[0].rows(), r#"[15,[[14,["d"]],"t"]]"#);
        let three = slices(&["[1,\"a\"]", "7"]);
        let rows: Vec<Term> = three.iter().map(Slice::rows).collect();
        assert_eq!(
            rows,
            [
                r#"[182,[[15,[[14,["d"]],"t"]],[180,[]],[2,[1,"a"]]]]"#,
                r#"[182,[[15,[[14,["d"]],"t"]],[2,[1,"a"]],7]]"#,
                r#"[182,[[15,[[14,["d"]],"t"]],7,[181,[]]]]"#,
            ]
        );
        assert_eq!(
            three[1].ordered(Some("5")),
            r#"[41,[[182,[[15,[[14,["d"]],"t"]],5,7],{"left_bound":"open"}]],{"index":"id"}]"#
        );
    }

    #[test]
    fn hostile_ranges_are_refused() {
        let name = words(&[("database", "d"), ("table", "t")]);
        for end in ["", "[57", "1]]", "x"] {
            let attributes = words(&[("primaryKey", "id"), ("from", end)]);
            let error = Slice::of(&ImportPlan::default(), &name, &attributes).unwrap_err();
            assert!(matches!(error, EngineError::BadBackup { .. }), "{end}");
        }
        // A term in a value is a value.
        let attributes = words(&[("primaryKey", "id"), ("to", "[57,[\"x\"]]")]);
        let slice = Slice::of(&ImportPlan::default(), &name, &attributes).unwrap();
        assert!(
            slice.rows().contains("[2,[57,[2,[\"x\"]]]]"),
            "{}",
            slice.rows()
        );
    }
}
