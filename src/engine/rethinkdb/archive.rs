//! The vendor's archive: what its files are called and hold. Pure.
//!
//! `rethinkdb_dump_<time>/<database>/<table>.json` is a JSON array with a row a line, and
//! `<table>.info` what the server says of the table, its indexes and its write hook. Vendor source:
//! `_export.py`, `_import.py` and `_restore.py` of the Python driver.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::names::{self, TableName};
use super::structure;
use crate::engine::EngineError;
use crate::manifest::Part;

/// The longest name of a database or table that becomes a file's: what every file system takes.
const NAME_LIMIT: usize = 240;

/// What of a backup is no rows: gathered part by part, and asked for when a table's rows come.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<TableName, Described>,
}

#[derive(Debug, Default)]
struct Described {
    info: String,
    hook: String,
    indexes: Vec<String>,
}

/// The two files of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFiles {
    /// Directory and name without the end, below the archive's own directory.
    pub stem: String,
    /// Content of the `.info`.
    pub info: String,
}

impl Tables {
    /// Takes a part. Where it is the rows of a table, these are its files; its description, as the
    /// export writes it, has come before.
    pub fn take(&mut self, part: &Part) -> Result<Option<TableFiles>, EngineError> {
        let attribute = |key: &str| part.attributes.get(key).cloned().unwrap_or_default();
        match part.kind.as_str() {
            structure::KIND_TABLE => {
                let table = self.tables.entry(structure::table_name(part)?).or_default();
                table.info = attribute(structure::INFO);
                table.hook = attribute(structure::WRITE_HOOK);
            }
            structure::KIND_INDEX => {
                let table = self.tables.entry(structure::table_name(part)?).or_default();
                table.indexes.push(attribute(structure::STATUS));
            }
            structure::KIND_ROWS => {
                let name = structure::table_name(part)?;
                let found = self.tables.remove(&name);
                let found = found.ok_or_else(|| bad(&name, "it is not described"))?;
                return Ok(Some(TableFiles {
                    stem: stem(&name)?,
                    info: found.info(&name)?,
                }));
            }
            // A database without tables has no place in the archive.
            _ => {}
        }
        Ok(None)
    }
}

impl Described {
    fn info(&self, name: &TableName) -> Result<String, EngineError> {
        fn raw(text: &str) -> Option<&RawValue> {
            serde_json::from_str(text).ok()
        }
        let problem = || bad(name, "its description is no JSON");
        let mut info: BTreeMap<String, &RawValue> =
            serde_json::from_str(&self.info).map_err(|_| problem())?;
        let indexes: Option<Vec<&RawValue>> = self.indexes.iter().map(|text| raw(text)).collect();
        let indexes = serde_json::to_string(&indexes.ok_or_else(problem)?).unwrap_or_default();
        info.insert("indexes".to_owned(), raw(&indexes).ok_or_else(problem)?);
        info.insert(
            "write_hook".to_owned(),
            raw(&self.hook).ok_or_else(problem)?,
        );
        serde_json::to_string(&info).map_err(|_| problem())
    }
}

/// A table's place in the archive. Names come from a bucket, and become paths.
fn stem(name: &TableName) -> Result<String, EngineError> {
    let good = |text: &str| names::is_name(text) && text.len() <= NAME_LIMIT;
    if good(&name.database) && good(&name.table) {
        Ok(format!("{}/{}", name.database, name.table))
    } else {
        Err(bad(name, "its name can't be that of a file"))
    }
}

fn bad(name: &TableName, problem: &str) -> EngineError {
    let name: String = name.to_string().chars().take(80).collect();
    EngineError::BadBackup {
        problem: format!("the table {name:?}: {problem}"),
    }
}

/// Rows, a line each, as one JSON array with a row a line.
#[derive(Debug, Default)]
pub struct RowsAsArray {
    rows: u64,
    /// A row ended, and what is between it and the next was not written.
    between: bool,
}

/// What an array begins with.
pub const ARRAY_BEGIN: &[u8] = b"[\n";
const BETWEEN: &[u8] = b",\n";

impl RowsAsArray {
    /// The size of the array that lines make, begin and end with it.
    pub fn size(rows: u64, line_bytes: u64) -> u64 {
        ARRAY_BEGIN.len() as u64 + line_bytes + rows.saturating_sub(1) + 2
    }

    /// Turns a piece of the lines, cut anywhere.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while !rest.is_empty() {
            if std::mem::take(&mut self.between) {
                out.extend_from_slice(BETWEEN);
            }
            let end = memchr::memchr(b'\n', rest);
            let (line, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            out.extend_from_slice(line);
            if end.is_some() {
                self.rows += 1;
                self.between = true;
            }
            rest = after;
        }
    }

    /// What the array ends with, and the number of its rows.
    pub fn finish(self) -> (&'static [u8], u64) {
        let end: &[u8] = if self.between { b"\n]\n" } else { b"]\n" };
        (end, self.rows)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn arrays() {
        for (lines, want) in [
            ("", "[\n]\n"),
            ("{}\n", "[\n{}\n]\n"),
            ("{\"a\":1}\n{}\n{}\n", "[\n{\"a\":1},\n{},\n{}\n]\n"),
        ] {
            for size in 1..=lines.len().max(1) {
                let mut rows = RowsAsArray::default();
                let mut out = ARRAY_BEGIN.to_vec();
                for piece in lines.as_bytes().chunks(size) {
                    rows.push(piece, &mut out);
                }
                let (end, count) = rows.finish();
                out.extend_from_slice(end);
                assert_eq!(String::from_utf8(out.clone()).unwrap(), want);
                assert_eq!(count, lines.lines().count() as u64);
                assert_eq!(
                    RowsAsArray::size(count, lines.len() as u64),
                    out.len() as u64
                );
            }
        }
    }

    fn part(kind: &str, table: &str, attributes: &[(&str, &str)]) -> Part {
        let words = |words: &[(&str, &str)]| {
            let words = words.iter();
            words
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        Part {
            kind: kind.to_owned(),
            name: words(&[("database", "shop"), ("table", table)]),
            attributes: words(attributes),
            ..Part::default()
        }
    }

    #[test]
    fn a_table_is_described() {
        let mut tables = Tables::default();
        let info = r#"{"primary_key":"id","indexes":["a"]}"#;
        let table = part("table", "orders", &[("info", info), ("writeHook", "null")]);
        assert_eq!(tables.take(&table).unwrap(), None);
        let index = part("index", "orders", &[("status", "{\"index\":\"a\"}")]);
        assert_eq!(tables.take(&index).unwrap(), None);
        let files = tables.take(&part("rows", "orders", &[])).unwrap().unwrap();
        assert_eq!(files.stem, "shop/orders");
        assert_eq!(
            files.info,
            r#"{"indexes":[{"index":"a"}],"primary_key":"id","write_hook":null}"#
        );
    }

    #[test]
    fn hostile_parts() {
        for (name, info) in [
            ("..", "{}"),
            ("a/b", "{}"),
            ("", "{}"),
            ("a", "[]"),
            ("a", ""),
        ] {
            let mut tables = Tables::default();
            let table = part("table", name, &[("info", info), ("writeHook", "null")]);
            tables.take(&table).unwrap();
            assert!(
                tables.take(&part("rows", name, &[])).is_err(),
                "{name} {info}"
            );
        }
        let alone = Tables::default().take(&part("rows", "a", &[]));
        assert!(alone.unwrap_err().to_string().contains("not described"));
    }
}
