//! Databases, tables and indexes as parts of a backup.
//!
//! A part is one database, one table, one secondary index, or the rows of a table. An index is a
//! part of its own, so that no line of the parts index grows too long.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault;
use super::names::TableName;
use super::slice::{self, Range};
use crate::engine::{EngineError, PartPlan};
use crate::manifest::Part;

const KIND_DATABASE: &str = "database";
/// A part that describes a table.
pub(super) const KIND_TABLE: &str = "table";
/// A part that holds a secondary index.
pub(super) const KIND_INDEX: &str = "index";
/// A part that holds the rows of a table.
pub(super) const KIND_ROWS: &str = "rows";

/// Name of a part: its database.
pub(super) const DATABASE: &str = "database";
/// Name of a part: its table.
pub(super) const TABLE: &str = "table";
const INDEX: &str = "index";

/// A table's primary key.
pub(super) const PRIMARY_KEY: &str = "primaryKey";
const TABLE_ID: &str = "tableId";
const SHARDS: &str = "shards";
const REPLICAS: &str = "replicas";
/// What the server says of a table (`info`), as the vendor's archive has it.
pub(super) const INFO: &str = "info";
/// A table's write hook (`getWriteHook`), as the vendor's archive has it.
pub(super) const WRITE_HOOK: &str = "writeHook";
/// An index (`indexStatus`), as the vendor's archive has it.
pub(super) const STATUS: &str = "status";

/// The version of the server that an index was read from.
const VERSION: &str = "version";

/// The most bytes of an index or a hook in a backup: what fits into a line of the parts index.
const DEFINITION_LIMIT: usize = 384 * 1024;
/// The most shards or replicas that a table may be made with; the server's own bound.
const MOST: u32 = 64;

/// A function as the server gives and takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Function {
    /// Base64 without line breaks.
    pub(super) data: String,
}

impl Function {
    /// As a term.
    pub(super) fn term(&self) -> String {
        format!(
            "{{\"$reql_type$\":\"BINARY\",\"data\":{}}}",
            super::term::text(&self.data)
        )
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Binary {
            #[serde(rename = "$reql_type$")]
            kind: String,
            data: String,
        }
        let mut binary = Binary::deserialize(deserializer)?;
        if binary.kind != "BINARY" {
            return Err(serde::de::Error::custom("a function that is not binary"));
        }
        binary.data.retain(|c| !c.is_ascii_whitespace());
        Ok(Self { data: binary.data })
    }
}

/// A secondary index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Index {
    /// Its name.
    #[serde(rename = "index")]
    pub(super) name: String,
    /// What is indexed, and whether it is a multi index or one of places.
    pub(super) function: Function,
    /// Whether a row may be in it several times.
    pub(super) multi: bool,
    /// Whether it is of places.
    pub(super) geo: bool,
    /// Whether it can be used.
    #[serde(default)]
    pub(super) ready: bool,
}

impl Index {
    /// Whether two indexes find the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.function == other.function && self.multi == other.multi && self.geo == other.geo
    }
}

/// A write hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Hook {
    /// What is made of a write.
    pub(super) function: Function,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Its primary key.
    pub(super) primary_key: String,
    /// How many shards and replicas it has, where that is known.
    pub(super) layout: Option<(u32, u32)>,
    /// Its write hook.
    pub(super) hook: Option<Hook>,
    /// Its secondary indexes.
    pub(super) indexes: Vec<Index>,
}

/// What a backup holds but rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Names of databases.
    pub(super) databases: BTreeSet<String>,
    /// Tables by name.
    pub(super) tables: BTreeMap<TableName, Table>,
}

/// A table of the source, as it is read.
pub(super) struct Found<'a> {
    /// Its name.
    pub(super) name: &'a TableName,
    /// The version of the server that it is read from.
    pub(super) version: &'a str,
    /// Its uuid.
    pub(super) id: &'a str,
    /// Its primary key.
    pub(super) primary_key: &'a str,
    /// How many shards and replicas it has.
    pub(super) layout: Option<(u32, u32)>,
    /// `info`, as the server's text.
    pub(super) info: &'a str,
    /// `getWriteHook`, as the server's text; `null` where there is none.
    pub(super) hook: &'a str,
    /// `indexStatus`, as the server's text.
    pub(super) indexes: &'a [&'a RawValue],
    /// What its rows are read in.
    pub(super) ranges: &'a [Range],
}

/// The version of the server that an index was read from, where the part is one.
pub(super) fn index_version(part: &Part) -> Option<&str> {
    let version = part.attributes.get(VERSION).map(String::as_str);
    version.filter(|_| part.kind == KIND_INDEX)
}

/// A database as a part.
pub(super) fn database_part(name: &str) -> Part {
    Part {
        kind: KIND_DATABASE.to_owned(),
        name: BTreeMap::from([(DATABASE.to_owned(), name.to_owned())]),
        ..Part::default()
    }
}

/// A table and its indexes as parts, and what is read of it.
pub(super) fn table_parts(found: &Found<'_>) -> Result<(Vec<Part>, Vec<PartPlan>), EngineError> {
    let words = |words: &[(&str, &str)]| -> BTreeMap<String, String> {
        words
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let name = words(&[(DATABASE, &found.name.database), (TABLE, &found.name.table)]);
    let mut attributes = words(&[
        (TABLE_ID, found.id),
        (PRIMARY_KEY, found.primary_key),
        (INFO, found.info),
        (WRITE_HOOK, found.hook),
    ]);
    if let Some((shards, replicas)) = found.layout {
        attributes.insert(SHARDS.to_owned(), shards.to_string());
        attributes.insert(REPLICAS.to_owned(), replicas.to_string());
    }
    let too_large = |what: &str| EngineError::NotSupported {
        problem: format!(
            "{what} of {} is larger than the {DEFINITION_LIMIT} bytes that a backup holds; leave the table out",
            found.name
        ),
    };
    if found.info.len() + found.hook.len() > DEFINITION_LIMIT {
        return Err(too_large("the write hook"));
    }
    let mut parts = vec![Part {
        kind: KIND_TABLE.to_owned(),
        name: name.clone(),
        attributes,
        ..Part::default()
    }];
    for status in found.indexes {
        let index: Index = serde_json::from_str(status.get()).map_err(|_| bad("an index"))?;
        if status.get().len() > DEFINITION_LIMIT {
            return Err(too_large(&format!("the index {:?}", index.name)));
        }
        let mut name = name.clone();
        name.insert(INDEX.to_owned(), index.name);
        parts.push(Part {
            kind: KIND_INDEX.to_owned(),
            name,
            attributes: words(&[(STATUS, status.get()), (VERSION, found.version)]),
            ..Part::default()
        });
    }
    let rows = (1..).zip(found.ranges).map(|(number, range)| {
        let mut part = PartPlan {
            kind: KIND_ROWS.to_owned(),
            name: name.clone(),
            attributes: words(&[(TABLE_ID, found.id), (PRIMARY_KEY, found.primary_key)]),
            extension: "json".to_owned(),
            ..PartPlan::default()
        };
        slice::describe(range, number, &mut part.name, &mut part.attributes);
        part
    });
    Ok((parts, rows.collect()))
}

/// Reads the parts of a backup, which are hostile until they were checked.
pub(super) fn read_all(parts: &[Part]) -> Result<Structure, EngineError> {
    let mut structure = Structure::default();
    for part in parts {
        match part.kind.as_str() {
            KIND_DATABASE => {
                structure
                    .databases
                    .insert(named(&part.name, DATABASE)?.to_owned());
            }
            KIND_TABLE => {
                let table = structure.tables.entry(table_name(&part.name)?).or_default();
                primary_key(&part.attributes)?.clone_into(&mut table.primary_key);
                table.layout = layout(part)?;
                table.hook = match part.attributes.get(WRITE_HOOK) {
                    Some(text) => read(text, "a write hook")?,
                    None => None,
                };
            }
            KIND_INDEX => {
                let status = part.attributes.get(STATUS).map_or("", String::as_str);
                let index: Index = read(status, "an index")?;
                let table = structure.tables.entry(table_name(&part.name)?).or_default();
                table.indexes.push(index);
            }
            // A table without rows has no files.
            KIND_ROWS => {}
            kind => return Err(bad(&format!("a part of the kind {:?}", fault::word(kind)))),
        }
    }
    match structure
        .tables
        .iter()
        .find(|(_, table)| table.primary_key.is_empty())
    {
        Some((name, _)) => Err(bad(&format!("an index of {name}, which is not there"))),
        None => Ok(structure),
    }
}

fn layout(part: &Part) -> Result<Option<(u32, u32)>, EngineError> {
    let number = |key: &str| match part.attributes.get(key).map(|text| text.parse::<u32>()) {
        None => Ok(None),
        Some(Ok(number)) if (1..=MOST).contains(&number) => Ok(Some(number)),
        Some(_) => Err(bad(&format!("a number of {key} that no table has"))),
    };
    Ok(number(SHARDS)?.zip(number(REPLICAS)?))
}

/// The table that a part of this name is of.
pub(super) fn table_name(name: &BTreeMap<String, String>) -> Result<TableName, EngineError> {
    Ok(TableName {
        database: named(name, DATABASE)?.to_owned(),
        table: named(name, TABLE)?.to_owned(),
    })
}

/// The primary key of the table that a part is of.
pub(super) fn primary_key(attributes: &BTreeMap<String, String>) -> Result<&str, EngineError> {
    attributes
        .get(PRIMARY_KEY)
        .map(String::as_str)
        .filter(|key| !key.is_empty())
        .ok_or_else(|| bad("a table without a primary key"))
}

/// The uuid that the table of a part had.
pub(super) fn table_id(attributes: &BTreeMap<String, String>) -> &str {
    attributes.get(TABLE_ID).map_or("", String::as_str)
}

fn named<'a>(name: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str, EngineError> {
    name.get(key)
        .map(String::as_str)
        .ok_or_else(|| bad(&format!("a part without the name {key}")))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|_| bad(what))
}

/// A part that no backup of this engine has.
pub(super) fn bad(what: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("its parts index holds what this engine does not write: {what}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STATUS_TEXT: &str = r#"{"function":{"$reql_type$":"BINARY","data":"JHJl\r\ncWw="},"geo":false,"index":"by \"name\"","multi":true,"outdated":false,"query":"indexCreate(…)","ready":true}"#;

    fn parts() -> Vec<Part> {
        let name = TableName {
            database: "shop".into(),
            table: "orders".into(),
        };
        let status: &RawValue = serde_json::from_str(STATUS_TEXT).unwrap();
        let (mut parts, rows) = table_parts(&Found {
            name: &name,
            version: "2.4.4",
            id: "u",
            primary_key: "id",
            layout: Some((2, 3)),
            info: "{}",
            hook: r#"{"function":{"$reql_type$":"BINARY","data":"AA=="},"query":"q"}"#,
            indexes: &[status],
            ranges: &[Range::default()],
        })
        .unwrap();
        assert_eq!((rows.len(), rows[0].kind.as_str()), (1, KIND_ROWS));
        parts.insert(0, database_part("shop"));
        parts
    }

    #[test]
    fn structure_goes_round() {
        let structure = read_all(&parts()).unwrap();
        assert_eq!(structure.databases.len(), 1);
        let table = structure.tables.values().next().unwrap();
        assert_eq!(table.primary_key, "id");
        assert_eq!(table.layout, Some((2, 3)));
        assert_eq!(table.hook.as_ref().unwrap().function.data, "AA==");
        assert_eq!(index_version(&parts()[2]), Some("2.4.4"));
        let index = &table.indexes[0];
        assert_eq!(
            (index.name.as_str(), index.multi, index.geo),
            ("by \"name\"", true, false)
        );
        assert_eq!(
            index.function.term(),
            r#"{"$reql_type$":"BINARY","data":"JHJlcWw="}"#
        );
    }

    #[test]
    fn hostile_parts_are_refused() {
        let with = |number: usize, change: fn(&mut Part)| {
            let mut parts = parts();
            change(&mut parts[number]);
            parts
        };
        for parts in [
            with(0, |part| part.kind = "shell".into()),
            with(0, |part| part.name.clear()),
            with(1, |part| part.kind = KIND_DATABASE.into()),
            with(1, |part| {
                part.attributes.remove(PRIMARY_KEY);
            }),
            with(1, |part| {
                part.attributes.insert(WRITE_HOOK.into(), "[57]".into());
            }),
            with(1, |part| {
                part.attributes.insert(SHARDS.into(), "1000000".into());
            }),
            with(2, |part| {
                part.attributes.insert(STATUS.into(), "{}".into());
            }),
            with(2, |part| {
                let status = STATUS_TEXT.replace("BINARY", "TIME");
                part.attributes.insert(STATUS.into(), status);
            }),
        ] {
            let error = read_all(&parts).unwrap_err();
            assert!(matches!(error, EngineError::BadBackup { .. }), "{error}");
        }
    }

    #[test]
    fn a_definition_that_no_index_line_takes_is_refused() {
        let name = TableName {
            database: "d".into(),
            table: "t".into(),
        };
        let error = table_parts(&Found {
            name: &name,
            version: "2.4.4",
            id: "u",
            primary_key: "id",
            layout: None,
            info: "{}",
            hook: &"x".repeat(DEFINITION_LIMIT),
            indexes: &[],
            ranges: &[],
        })
        .unwrap_err();
        assert!(error.to_string().contains("d.t"), "{error}");
    }
}
