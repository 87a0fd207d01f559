//! Makes databases, tables, indexes and write hooks in the target, and drops what a drill made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::catalog::{self, Config};
use super::client::Client;
use super::connection::Connection;
use super::names::{self, TableName};
use super::structure::{self, Index, Structure, Table};
use super::{fault, term};
use crate::api::engines::RethinkDbDatabase;
use crate::api::restore::ConflictPolicy;
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// What an index is called until it takes the place of the one of its name.
const NEW_INDEX: &str = "lifeboat_new_";
/// How often an index that is built is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What the spec says of an import.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// What of the backup is wanted.
    pub(super) choice: Vec<RethinkDbDatabase>,
    /// Leave secondary indexes out.
    pub(super) no_indexes: bool,
    /// Make tables with the source's shards and replicas.
    pub(super) layout: bool,
}

/// The structure under its names in the target.
fn in_target(
    plan: &ImportPlan,
    parts: &[Part],
    options: &Options,
) -> Result<Structure, EngineError> {
    names::check(plan)?;
    let found = structure::read_all(parts)?;
    check_choice(&options.choice, &found)?;
    let mut structure = Structure::default();
    for database in &found.databases {
        let name = names::target_database(plan, database)?;
        structure.databases.insert(name);
    }
    for (from, table) in found.tables {
        let name = names::target_table(plan, &from)?;
        structure.databases.insert(name.database.clone());
        if structure.tables.insert(name.clone(), table).is_some() {
            return Err(EngineError::NotSupported {
                problem: format!("remap puts two tables into {name}; give each a name of its own"),
            });
        }
    }
    Ok(structure)
}

fn check_choice(choice: &[RethinkDbDatabase], found: &Structure) -> Result<(), EngineError> {
    let missing = |what: String| {
        Err(EngineError::BadBackup {
            problem: format!("it does not hold {what}, which target.rethinkdb.databases names"),
        })
    };
    for one in choice {
        if !found.databases.contains(&one.name) {
            return missing(format!("the database {}", one.name));
        }
        for table in &one.tables {
            let name = TableName {
                database: one.name.clone(),
                table: table.clone(),
            };
            if !found.tables.contains_key(&name) {
                return missing(format!("the table {name}"));
            }
        }
    }
    Ok(())
}

/// Makes databases and tables.
pub(super) async fn prepare(
    client: &Client,
    plan: &ImportPlan,
    parts: &[Part],
    options: &Options,
) -> Result<(), EngineError> {
    let wanted = in_target(plan, parts, options)?;
    let mut connection = client.connect().await?;
    let databases = catalog::databases(client, &mut connection).await?;
    let tables = catalog::tables(client, &mut connection).await?;
    check(client, plan, &wanted, &databases, &tables)?;
    for database in wanted.databases.difference(&databases) {
        connection.atom(&term::db_create(database)).await?;
    }
    for (name, table) in &wanted.tables {
        let mut there = tables.contains_key(name);
        if there && plan.conflict_policy == ConflictPolicy::Replace {
            let drop = term::table_drop(&name.database, &name.table);
            connection.atom(&drop).await?;
            there = false;
        }
        if !there {
            let options = table_options(table, options);
            let create = term::table_create(&name.database, &name.table, &options);
            connection.atom(&create).await?;
        }
        let wait = term::wait(&term::table(&name.database, &name.table));
        connection.atom(&wait).await?;
    }
    Ok(())
}

/// Everything that can be refused is refused before anything is made or dropped.
fn check(
    client: &Client,
    plan: &ImportPlan,
    wanted: &Structure,
    databases: &BTreeSet<String>,
    tables: &BTreeMap<TableName, Config>,
) -> Result<(), EngineError> {
    if plan.drill_prefix.is_some()
        && let Some(name) = wanted.databases.intersection(databases).next()
    {
        return Err(EngineError::TargetNotEmpty {
            problem: format!(
                "{} already has the drill's database {name}; drop it by hand if an earlier drill left it",
                client.server()
            ),
        });
    }
    if plan.conflict_policy == ConflictPolicy::Replace {
        return Ok(());
    }
    for (name, table) in &wanted.tables {
        if let Some(config) = tables.get(name)
            && config.primary_key != table.primary_key
        {
            return Err(EngineError::TargetNotEmpty {
                problem: format!(
                    "{} has a table {name} with the primary key {:?}, the backup's has {:?}: set conflictPolicy to Replace, or give it another name with remap",
                    client.server(),
                    config.primary_key,
                    table.primary_key
                ),
            });
        }
    }
    Ok(())
}

fn table_options(table: &Table, options: &Options) -> String {
    let mut made = serde_json::json!({ "primary_key": table.primary_key });
    if let (true, Some((shards, replicas))) = (options.layout, table.layout) {
        made["shards"] = shards.into();
        made["replicas"] = replicas.into();
    }
    made.to_string()
}

/// Makes indexes and write hooks, once all rows are in. What is there and the same is left alone.
pub(super) async fn finish(
    client: &Client,
    plan: &ImportPlan,
    parts: &[Part],
    options: &Options,
) -> Result<(), EngineError> {
    let wanted = in_target(plan, parts, options)?;
    let mut connection = client.connect().await?;
    for (name, table) in &wanted.tables {
        let term = term::table(&name.database, &name.table);
        if let Some(hook) = &table.hook {
            let there = catalog::hook(client, &mut connection, &term).await?;
            if there.as_ref() != Some(hook) {
                let set = term::set_write_hook(&term, &hook.function.term());
                connection.atom(&set).await?;
            }
        }
        if !options.no_indexes {
            indexes(client, &mut connection, &term, &table.indexes)
                .await
                .map_err(|error| older(error, name))?;
        }
    }
    Ok(())
}

/// Makes a table's indexes. One that finds something else takes the place of the old in one step, so
/// that there is no time without it.
async fn indexes(
    client: &Client,
    connection: &mut Connection,
    table: &str,
    wanted: &[Index],
) -> Result<(), EngineError> {
    let there = catalog::indexes(client, connection, table).await?;
    let named = |name: &str| there.iter().find(|index| index.name == name);
    let (mut made, mut renamed) = (Vec::new(), Vec::new());
    for index in wanted {
        let name = match named(&index.name) {
            Some(old) if old.same(index) => continue,
            Some(_) => {
                let name = format!("{NEW_INDEX}{}", index.name);
                // A broken attempt may have left one.
                if named(&name).is_some() {
                    connection.atom(&term::index_drop(table, &name)).await?;
                }
                renamed.push((name.clone(), index.name.as_str()));
                name
            }
            None => index.name.clone(),
        };
        let create = term::index_create(table, &name, &index.function.term());
        connection.atom(&create).await?;
        made.push(name);
    }
    // Asked again and again, as the server is silent while it builds, for hours with many rows.
    while !made.is_empty() {
        let there = catalog::indexes(client, connection, table).await?;
        made.retain(|name| !there.iter().any(|index| index.name == *name && index.ready));
        if !made.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
    for (from, to) in renamed {
        connection
            .atom(&term::index_rename(table, &from, to))
            .await?;
    }
    Ok(())
}

/// A server of an earlier version can't read the functions of a later one.
fn older(error: EngineError, table: &TableName) -> EngineError {
    match error {
        EngineError::Server {
            server,
            problem,
            retryable: false,
        } => EngineError::Server {
            server,
            problem: fault::word(&format!(
                "the indexes of {table}: {problem}; where it is of an earlier version than the source, set noSecondaryIndexes"
            )),
            retryable: false,
        },
        other => other,
    }
}

/// Drops the databases of a drill.
pub(super) async fn drop_drill(
    client: &Client,
    plan: &ImportPlan,
    parts: &[Part],
    options: &Options,
) -> Result<(), EngineError> {
    let Some(prefix) = &plan.drill_prefix else {
        return Ok(());
    };
    let wanted = in_target(plan, parts, options)?;
    let mut connection = client.connect().await?;
    let databases = catalog::databases(client, &mut connection).await?;
    for name in wanted.databases.intersection(&databases) {
        if name.starts_with(prefix.as_str()) {
            connection.atom(&term::db_drop(name)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_an_option() {
        let table = Table {
            primary_key: "u\"id".into(),
            layout: Some((2, 3)),
            ..Table::default()
        };
        let with = |layout| {
            table_options(
                &table,
                &Options {
                    layout,
                    ..Options::default()
                },
            )
        };
        assert_eq!(with(false), r#"{"primary_key":"u\"id"}"#);
        assert_eq!(
            with(true),
            r#"{"primary_key":"u\"id","replicas":3,"shards":2}"#
        );
    }

    #[test]
    fn an_earlier_version_is_told_the_way_out() {
        let table = TableName {
            database: "d".into(),
            table: "t".into(),
        };
        let error = fault::said("h:1", fault::Kind::Runtime(3_000_000), "bad function");
        let text = older(error, &table).to_string();
        assert!(
            text.contains("d.t") && text.contains("noSecondaryIndexes"),
            "{text}"
        );
    }
}
