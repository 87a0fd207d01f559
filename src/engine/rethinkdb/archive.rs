//! The vendor's archive: what its files are called and hold. Pure.
//!
//! `rethinkdb_dump_<time>/<database>/<table>.json` is a JSON array with a row a line, and
//! `<table>.info` what the server says of the table, its indexes and its write hook. Vendor source:
//! `_export.py`, `_import.py` and `_restore.py` of the Python driver.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::names::{self, TableName};
use super::{slice, structure};
use crate::engine::{ArchiveContent, ArchiveFile, ArchiveLayout, Around, EngineError};
use crate::manifest::Part;

/// How `rethinkdb restore` wants a backup.
pub(in crate::engine) const LAYOUT: ArchiveLayout = ArchiveLayout {
    // Few file systems take a colon in a name.
    name: |time| format!("rethinkdb_dump_{}", time.strftime("%Y-%m-%dT%H-%M-%S")),
    directory: |time| format!("rethinkdb_dump_{}", time.strftime("%Y-%m-%dT%H:%M:%S")),
    files,
};

/// The longest name of a database or table that becomes a file's: what every file system takes.
const NAME_LIMIT: usize = 240;

/// Rows as one JSON array, with a row a line.
const ARRAY: Around = Around {
    begin: "[\n",
    between: ",\n",
    end: "\n]\n",
    none: "[\n]\n",
};

/// What of a backup belongs to a table.
#[derive(Debug, Default)]
struct Described<'a> {
    info: &'a str,
    hook: &'a str,
    indexes: Vec<&'a str>,
    /// Its rows: the number of the range, and the part.
    rows: BTreeMap<u64, usize>,
}

/// The files of all tables. A database without tables has no place in the archive.
fn files(parts: &[Part]) -> Result<Vec<ArchiveFile>, EngineError> {
    let mut tables: BTreeMap<TableName, Described<'_>> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        let attribute = |key: &str| part.attributes.get(key).map_or("", String::as_str);
        if !matches!(
            part.kind.as_str(),
            structure::KIND_TABLE | structure::KIND_INDEX | structure::KIND_ROWS
        ) {
            continue;
        }
        let name = structure::table_name(&part.name)?;
        let table = tables.entry(name).or_default();
        match part.kind.as_str() {
            structure::KIND_TABLE => {
                table.info = attribute(structure::INFO);
                table.hook = attribute(structure::WRITE_HOOK);
            }
            structure::KIND_INDEX => table.indexes.push(attribute(structure::STATUS)),
            _ => {
                table.rows.insert(slice::number(&part.name)?, at);
            }
        }
    }
    let mut files = Vec::with_capacity(2 * tables.len());
    for (name, table) in tables {
        let stem = stem(&name)?;
        files.push(ArchiveFile {
            path: format!("{stem}.info"),
            content: ArchiveContent::Bytes(table.info(&name)?.into_bytes()),
        });
        files.push(ArchiveFile {
            path: format!("{stem}.json"),
            content: ArchiveContent::Records {
                parts: table.rows.into_values().collect(),
                around: ARRAY,
            },
        });
    }
    Ok(files)
}

impl Described<'_> {
    fn info(&self, name: &TableName) -> Result<String, EngineError> {
        fn raw(text: &str) -> Option<&RawValue> {
            serde_json::from_str(text).ok()
        }
        let problem = || bad(name, "its description is not there, or no JSON");
        let mut info: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.info).map_err(|_| problem())?;
        let indexes: Option<Vec<&RawValue>> = self.indexes.iter().map(|text| raw(text)).collect();
        let indexes = serde_json::to_string(&indexes.ok_or_else(problem)?).unwrap_or_default();
        info.insert("indexes".to_owned(), raw(&indexes).ok_or_else(problem)?);
        info.insert("write_hook".to_owned(), raw(self.hook).ok_or_else(problem)?);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(words: &[(&str, &str)]) -> BTreeMap<String, String> {
        let words = words.iter();
        words
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn part(kind: &str, table: &str, attributes: &[(&str, &str)]) -> Part {
        Part {
            kind: kind.to_owned(),
            name: words(&[("database", "shop"), ("table", table)]),
            attributes: words(attributes),
            ..Part::default()
        }
    }

    fn range(table: &str, number: &str) -> Part {
        let mut part = part("rows", table, &[]);
        part.name.insert("range".to_owned(), number.to_owned());
        part
    }

    #[test]
    fn a_table_has_two_files() {
        let info = r#"{"primary_key":"id","indexes":["a"]}"#;
        let found = files(&[
            part("database", "", &[]),
            part("table", "orders", &[("info", info), ("writeHook", "null")]),
            part("index", "orders", &[("status", "{\"index\":\"a\"}")]),
            // As they were done.
            range("orders", "2"),
            range("orders", "10"),
            range("orders", "1"),
        ]);
        let info = r#"{"indexes":[{"index":"a"}],"primary_key":"id","write_hook":null}"#;
        let want = [
            ArchiveFile {
                path: "shop/orders.info".to_owned(),
                content: ArchiveContent::Bytes(info.into()),
            },
            ArchiveFile {
                path: "shop/orders.json".to_owned(),
                content: ArchiveContent::Records {
                    parts: vec![5, 3, 4],
                    around: ARRAY,
                },
            },
        ];
        assert_eq!(found.unwrap(), want);
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
            let table = part("table", name, &[("info", info), ("writeHook", "null")]);
            let found = files(&[table, part("rows", name, &[])]);
            assert!(found.is_err(), "{name} {info}");
        }
        let alone = files(&[part("rows", "a", &[])]);
        assert!(alone.unwrap_err().to_string().contains("not there"));
        assert!(files(&[range("a", "x")]).is_err());
    }
}
