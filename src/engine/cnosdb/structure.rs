//! Tenants, databases and tables, stored as data in parts without records. Each holds the statement
//! that makes it too, for people and the vendor's tools; Lifeboat never runs that text.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::catalog::is_own;
use super::schema::{Column, Options, Table, check_name, create_database};
use super::sql::ident;
use crate::engine::EngineError;
use crate::manifest::Part;

const KIND_TENANT: &str = "tenant";
const KIND_DATABASE: &str = "database";
const KIND_DDL: &str = "tableDdl";
/// A part that holds the rows of a table.
pub(super) const KIND_TABLE: &str = "table";
/// A tenant's name.
pub(super) const NAME_TENANT: &str = "tenant";
/// A database's name.
pub(super) const NAME_DATABASE: &str = "database";
/// A table's name.
pub(super) const NAME_TABLE: &str = "table";
/// A table's columns, as JSON.
pub(super) const COLUMNS: &str = "columns";
const OPTIONS: &str = "options";
const COMPLETE: &str = "complete";
const DDL: &str = "ddl";

/// Tenant, database and table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// The tenant.
    pub(super) tenant: String,
    /// The database.
    pub(super) database: String,
    /// The table.
    pub(super) table: String,
}

impl Name {
    /// As a part's name.
    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (NAME_TENANT.to_owned(), self.tenant.clone()),
            (NAME_DATABASE.to_owned(), self.database.clone()),
            (NAME_TABLE.to_owned(), self.table.clone()),
        ])
    }

    /// Of a part of a backup, which is hostile until it was checked.
    pub(super) fn of(part: &Part) -> Result<Self, EngineError> {
        Ok(Self {
            tenant: named(part, NAME_TENANT)?,
            database: named(part, NAME_DATABASE)?,
            table: named(part, NAME_TABLE)?,
        })
    }
}

/// A table of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableOf {
    /// Its columns.
    pub(super) table: Table,
    /// Whether the backup holds all of its rows, and not only a window: what `Replace` drops.
    pub(super) complete: bool,
}

/// All that a backup knows of a server's structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Tenants, with what the server says of their options.
    pub(super) tenants: BTreeMap<String, String>,
    /// Databases, by tenant and name.
    pub(super) databases: BTreeMap<(String, String), Options>,
    /// Tables.
    pub(super) tables: BTreeMap<Name, TableOf>,
}

impl Structure {
    /// As parts.
    pub(super) fn to_parts(&self) -> Result<Vec<Part>, EngineError> {
        let mut parts = Vec::new();
        for (tenant, options) in &self.tenants {
            parts.push(part(
                KIND_TENANT,
                BTreeMap::from([(NAME_TENANT.to_owned(), tenant.clone())]),
                BTreeMap::from([
                    (OPTIONS.to_owned(), options.clone()),
                    (DDL.to_owned(), create_tenant(tenant)),
                ]),
            ));
        }
        for ((tenant, database), options) in &self.databases {
            let ddl = create_database(database, options).map_err(|problem| odd(&problem))?;
            parts.push(part(
                KIND_DATABASE,
                BTreeMap::from([
                    (NAME_TENANT.to_owned(), tenant.clone()),
                    (NAME_DATABASE.to_owned(), database.clone()),
                ]),
                BTreeMap::from([(OPTIONS.to_owned(), json(options)), (DDL.to_owned(), ddl)]),
            ));
        }
        for (name, table) in &self.tables {
            let mut attributes = BTreeMap::from([
                (COLUMNS.to_owned(), columns_text(&table.table)),
                (DDL.to_owned(), table.table.create(&name.table)),
            ]);
            if table.complete {
                attributes.insert(COMPLETE.to_owned(), "true".to_owned());
            }
            parts.push(part(KIND_DDL, name.to_map(), attributes));
        }
        Ok(parts)
    }

    /// From the parts of one backup or of a chain, in order; what comes later wins.
    pub(super) fn read(parts: &[Part]) -> Result<Self, EngineError> {
        let mut all = Self::default();
        for part in parts {
            match part.kind.as_str() {
                KIND_TENANT => {
                    let options = part.attributes.get(OPTIONS).cloned().unwrap_or_default();
                    all.tenants.insert(named(part, NAME_TENANT)?, options);
                }
                KIND_DATABASE => {
                    let name = (named(part, NAME_TENANT)?, named(part, NAME_DATABASE)?);
                    if is_own(&name.1) {
                        return Err(bad("one of the server's own databases"));
                    }
                    let options: Options = read(part, OPTIONS)?;
                    create_database(&name.1, &options).map_err(|problem| bad(&problem))?;
                    all.databases.insert(name, options);
                }
                KIND_DDL => {
                    let complete = part.attributes.contains_key(COMPLETE);
                    let found = all.tables.entry(Name::of(part)?).or_default();
                    found.table = columns(part)?;
                    found.complete |= complete;
                }
                // A table without rows has no files either, as a window often finds it.
                KIND_TABLE => {}
                other => {
                    let other: String = other.chars().take(40).collect();
                    return Err(bad(&format!("a part of the kind {other:?}")));
                }
            }
        }
        for name in all.tables.keys() {
            let database = (name.tenant.clone(), name.database.clone());
            if !all.databases.contains_key(&database) {
                return Err(bad("a table without its database"));
            }
        }
        Ok(all)
    }
}

/// The statement that makes a tenant.
pub(super) fn create_tenant(name: &str) -> String {
    format!("CREATE TENANT IF NOT EXISTS {}", ident(name))
}

/// A table's columns as an attribute.
pub(super) fn columns_text(table: &Table) -> String {
    json(&table.columns)
}

/// The columns of a part.
pub(super) fn columns(part: &Part) -> Result<Table, EngineError> {
    let columns: Vec<Column> = read(part, COLUMNS)?;
    Table::new(columns).map_err(|problem| bad(&problem))
}

fn part(kind: &str, name: BTreeMap<String, String>, attributes: BTreeMap<String, String>) -> Part {
    Part {
        kind: kind.to_owned(),
        name,
        attributes,
        ..Part::default()
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Plain lists and maps of strings always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(part: &Part, key: &str) -> Result<T, EngineError> {
    let text = part
        .attributes
        .get(key)
        .ok_or_else(|| bad(&format!("a part without {key}")))?;
    serde_json::from_str(text).map_err(|error| bad(&format!("{key}: {error}")))
}

fn named(part: &Part, key: &str) -> Result<String, EngineError> {
    let name = part.name.get(key).cloned().unwrap_or_default();
    check_name(&name).map_err(|problem| bad(&format!("{key}: {problem}")))?;
    Ok(name)
}

fn bad(what: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("its parts index holds what this engine does not write: {what}"),
    }
}

fn odd(what: &str) -> EngineError {
    EngineError::NotSupported {
        problem: format!("the source can't be described: {what}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::schema::tests::air;
    use super::*;

    fn structure() -> Structure {
        Structure {
            tenants: BTreeMap::from([("cnosdb".into(), "{}".into())]),
            databases: BTreeMap::from([(
                ("cnosdb".into(), "te\"le".into()),
                Options::from([("ttl".to_owned(), "INF".to_owned())]),
            )]),
            tables: BTreeMap::from([(
                Name {
                    tenant: "cnosdb".into(),
                    database: "te\"le".into(),
                    table: "air".into(),
                },
                TableOf {
                    table: air(),
                    complete: true,
                },
            )]),
        }
    }

    #[test]
    fn structure_goes_round() {
        let parts = structure().to_parts().unwrap();
        assert_eq!(Structure::read(&parts).unwrap(), structure());
        // The structure of a chain: a window's parts come after, and make nothing incomplete.
        let mut window = structure();
        window.tables.values_mut().for_each(|t| t.complete = false);
        let chain = [parts, window.to_parts().unwrap()].concat();
        assert_eq!(Structure::read(&chain).unwrap(), structure());
    }

    #[test]
    fn hostile_parts_are_refused() {
        let parts = structure().to_parts().unwrap();
        let with = |at: usize, key: &str, value: &str| {
            let mut all = parts.clone();
            all[at].attributes.insert(key.into(), value.into());
            all
        };
        let mut own = parts.clone();
        for part in &mut own {
            if part.name.contains_key(NAME_DATABASE) {
                part.name
                    .insert(NAME_DATABASE.into(), "usage_schema".into());
            }
        }
        let mut shell = parts.clone();
        shell[0].kind = "shell".into();
        let mut nameless = parts.clone();
        nameless[0].name.clear();
        for parts in [
            own,
            shell,
            nameless,
            with(1, OPTIONS, r#"{"ttl":"1d'; DROP"}"#),
            with(1, OPTIONS, "{"),
            with(2, COLUMNS, "[]"),
            with(
                2,
                COLUMNS,
                r#"[{"name":"time","kind":"TIME","type":"TIMESTAMP(NANOSECOND)","shell":"x"}]"#,
            ),
            parts[2..].to_vec(),
        ] {
            let error = Structure::read(&parts).unwrap_err();
            assert!(matches!(error, EngineError::BadBackup { .. }), "{error}");
        }
    }
}
