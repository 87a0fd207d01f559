//! Looks at all of a vendor's archive while it goes by: names, descriptions, and the rows of each
//! table, of which only count and fingerprint are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::array::ArrayRows;
use super::dump::rows_file;
use super::export::Hasher;
use super::lines::Lines;
use super::names::{self, TableName};
use super::slice::Range;
use super::{fault, structure};
use crate::engine::EngineError;
use crate::engine::tar::{Fault, Kind, Visit};
use crate::manifest::{Fingerprint, Part};

/// The most entries. A table has two.
const ENTRIES: usize = 200_000;
/// The most bytes of all descriptions together.
const DESCRIPTIONS: usize = 64 << 20;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Survey {
    names: BTreeSet<String>,
    /// The directory that all entries lie in.
    directory: Option<String>,
    begun: usize,
    current: Current,
    tables: BTreeMap<TableName, Seen>,
    descriptions: usize,
}

#[derive(Default)]
enum Current {
    #[default]
    Nothing,
    Description(TableName, Vec<u8>),
    Rows(TableName, Box<Counting>),
}

#[derive(Default)]
struct Counting {
    array: ArrayRows,
    lines: Lines,
    hasher: Hasher,
}

#[derive(Default)]
struct Seen {
    description: Option<String>,
    rows: Option<SeenRows>,
}

struct SeenRows {
    entry: usize,
    name: String,
    size: u64,
    fingerprint: Fingerprint,
}

/// A table of the archive.
pub(super) struct Found {
    /// Its name.
    pub(super) name: TableName,
    /// Which entry holds its rows.
    pub(super) entry: usize,
    /// The table and its indexes, as an export writes them.
    pub(super) structure: Vec<Part>,
    /// Its rows.
    pub(super) rows: Part,
}

impl Visit for Survey {
    fn entry(&mut self, name: &str, kind: Kind, size: u64) -> Result<(), Fault> {
        let entry = self.begun;
        self.begun += 1;
        if self.begun > ENTRIES {
            return Err(Fault::new("it has more entries than a dump ever has"));
        }
        let name = name.strip_suffix('/').unwrap_or(name);
        let place = self.place(name)?;
        if !self.names.insert(name.to_owned()) {
            return Err(odd(name, "is there twice"));
        }
        let (table, end) = match (kind, place) {
            (Kind::Directory, _) => return Ok(()),
            (Kind::File, None) => return Err(odd(name, "is no file of a table")),
            (Kind::File, Some(place)) => place,
        };
        let seen = self.tables.entry(table.clone()).or_default();
        self.current = match end {
            "info" => Current::Description(table, Vec::new()),
            "json" => {
                seen.rows = Some(SeenRows {
                    entry,
                    name: name.to_owned(),
                    size,
                    fingerprint: Fingerprint::default(),
                });
                Current::Rows(table, Box::default())
            }
            "csv" => return Err(odd(name, "is CSV; dump with the format JSON")),
            _ => return Err(odd(name, "is no file of a table")),
        };
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.current {
            Current::Nothing => Ok(()),
            Current::Description(table, text) => {
                text.extend_from_slice(bytes);
                self.descriptions += bytes.len();
                if self.descriptions > DESCRIPTIONS {
                    let problem = "the descriptions of its tables are longer than any server's";
                    return Err(of_table(table, problem));
                }
                Ok(())
            }
            Current::Rows(table, counting) => counting
                .push(bytes)
                .map_err(|problem| of_table(table, &problem)),
        }
    }

    fn ended(&mut self) -> Result<(), Fault> {
        match std::mem::take(&mut self.current) {
            Current::Nothing => {}
            Current::Description(table, text) => {
                let text = String::from_utf8(text);
                let text = text.map_err(|_| of_table(&table, "its description is not UTF-8"))?;
                self.tables.entry(table).or_default().description = Some(text);
            }
            Current::Rows(table, counting) => {
                let found = counting.finish();
                let found = found.map_err(|problem| of_table(&table, &problem))?;
                if let Some(rows) = &mut self.tables.entry(table).or_default().rows {
                    rows.fingerprint = found;
                }
            }
        }
        Ok(())
    }

    fn blocks(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn last(&mut self) {}
}

impl Survey {
    /// The archive has ended: its tables.
    pub(super) fn finish(self) -> Result<Vec<Found>, String> {
        if self.tables.is_empty() {
            return Err("it holds no table, so it is no dump of RethinkDB".to_owned());
        }
        let tables = self.tables.into_iter();
        tables.map(|(name, seen)| found(name, seen)).collect()
    }

    /// The table that an entry is of, and the end of its name; none for a directory.
    fn place<'a>(&mut self, name: &'a str) -> Result<Option<(TableName, &'a str)>, Fault> {
        let parts: Vec<&str> = name.split('/').collect();
        let climbs = |part: &&str| matches!(*part, "" | "." | "..");
        if name.contains('\\') || name.chars().any(char::is_control) || parts.iter().any(climbs) {
            return Err(odd(name, "is no plain path"));
        }
        let directory = self.directory.get_or_insert_with(|| parts[0].to_owned());
        if directory != parts[0] {
            return Err(odd(name, "does not lie where the others do"));
        }
        match parts.as_slice() {
            [_] | [_, _] => Ok(None),
            [_, database, file] => {
                let (table, end) = file.rsplit_once('.').unwrap_or((file, ""));
                if !names::is_name(database) || !names::is_name(table) {
                    return Err(odd(name, "names no table that RethinkDB could have"));
                }
                let table = TableName {
                    database: (*database).to_owned(),
                    table: table.to_owned(),
                };
                Ok(Some((table, end)))
            }
            _ => Err(odd(name, "lies deeper than the files of a dump")),
        }
    }
}

impl Counting {
    fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rows = Vec::new();
        self.array.push(bytes, &mut rows)?;
        let (hasher, mut bad) = (&mut self.hasher, None);
        let pushed = self.lines.push(&rows, |row| {
            if let Err(problem) = hasher.add(row) {
                bad.get_or_insert(problem);
            }
            Ok(())
        });
        match (pushed, bad) {
            (Err(EngineError::BadBackup { problem }), _) => Err(problem),
            (Err(error), _) => Err(error.to_string()),
            (Ok(()), Some(problem)) => Err(format!("a row can't be used: {problem}")),
            (Ok(()), None) => Ok(()),
        }
    }

    fn finish(self) -> Result<Fingerprint, String> {
        self.array.finish()?;
        Ok(self.hasher.fingerprint())
    }
}

fn found(name: TableName, seen: Seen) -> Result<Found, String> {
    let missing = |what: &str| format!("the table {name} has no {what}: the archive is not whole");
    let description = seen.description.ok_or_else(|| missing(".info"))?;
    let rows = seen.rows.ok_or_else(|| missing(".json"))?;
    let bad = |problem: &str| format!("the description of {name} {problem}");
    let no_json = |_| bad("is not what the tool writes");
    let mut info: BTreeMap<String, &RawValue> =
        serde_json::from_str(&description).map_err(no_json)?;
    let word = |key: &str| {
        let text = info.get(key).map_or("", |text| text.get());
        serde_json::from_str::<String>(text).unwrap_or_default()
    };
    let (id, primary_key) = (word("id"), word("primary_key"));
    if primary_key.is_empty() {
        return Err(bad("names no primary key"));
    }
    if word("name") != name.table {
        return Err(bad("is of another table: the file was renamed; use remap"));
    }
    let indexes = info.remove("indexes").map_or("[]", RawValue::get);
    let indexes: Vec<&RawValue> = serde_json::from_str(indexes).map_err(no_json)?;
    let hook = info.remove("write_hook").map_or("null", RawValue::get);
    let info = serde_json::to_string(&info).unwrap_or_default();
    let parts = structure::table_parts(&structure::Found {
        name: &name,
        // The archive does not say it.
        version: "",
        id: &id,
        primary_key: &primary_key,
        layout: None,
        info: &info,
        hook,
        indexes: &indexes,
        ranges: &[Range::default()],
    });
    let (structure, plans) = parts.map_err(|error| error.to_string())?;
    let plan = plans.into_iter().next().unwrap_or_default();
    // What the import would find only once tables are made.
    structure::read_all(&structure).map_err(|_| bad("holds an index or a write hook of no form that is known; releases before 2.0 wrote such"))?;
    let records = rows.fingerprint.records();
    let file = (records > 0).then(|| rows_file(&rows.name, rows.size));
    let rows_part = Part {
        kind: plan.kind,
        name: plan.name,
        attributes: plan.attributes,
        records,
        fingerprint: Some(rows.fingerprint),
        files: file.into_iter().collect(),
    };
    Ok(Found {
        entry: rows.entry,
        name,
        structure,
        rows: rows_part,
    })
}

fn odd(name: &str, problem: &str) -> Fault {
    Fault::new(format!("the entry {:?} {problem}", fault::word(name)))
}

fn of_table(table: &TableName, problem: &str) -> Fault {
    let table = fault::word(&table.to_string());
    Fault::new(format!("the table {table}: {problem}"))
}
