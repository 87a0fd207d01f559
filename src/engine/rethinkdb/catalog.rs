//! What databases, tables and indexes a server has.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::client::Client;
use super::connection::Connection;
use super::names::{SYSTEM, TableName};
use super::structure::{Hook, Index};
use super::term;
use crate::engine::EngineError;

/// A table as the cluster's configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Its uuid.
    pub(super) id: String,
    /// Its primary key.
    pub(super) primary_key: String,
    /// How many shards and replicas it has.
    pub(super) layout: Option<(u32, u32)>,
}

/// Names of all databases but the system's.
pub(super) async fn databases(
    client: &Client,
    connection: &mut Connection,
) -> Result<BTreeSet<String>, EngineError> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let term = term::pluck(&term::table(SYSTEM, "db_config"), &["name"]);
    let rows: Vec<Row> = client.all(connection, &term).await?;
    let names = rows.into_iter().map(|row| row.name);
    Ok(names.filter(|name| name != SYSTEM).collect())
}

/// All tables but the system's.
pub(super) async fn tables(
    client: &Client,
    connection: &mut Connection,
) -> Result<BTreeMap<TableName, Config>, EngineError> {
    #[derive(Deserialize)]
    struct Shard {
        #[serde(default)]
        replicas: Vec<serde::de::IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Row {
        db: String,
        name: String,
        id: String,
        primary_key: String,
        #[serde(default)]
        shards: Vec<Shard>,
    }
    let fields = ["db", "name", "id", "primary_key", "shards"];
    let term = term::pluck(&term::table(SYSTEM, "table_config"), &fields);
    let rows: Vec<Row> = client.all(connection, &term).await?;
    let count = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
    let tables = rows.into_iter().map(|row| {
        let shards = count(row.shards.len());
        let replicas = row.shards.iter().map(|shard| shard.replicas.len()).max();
        let name = TableName {
            database: row.db,
            table: row.name,
        };
        let config = Config {
            id: row.id,
            primary_key: row.primary_key,
            layout: shards.zip(replicas.and_then(count)),
        };
        (name, config)
    });
    Ok(tables.collect())
}

/// A table's secondary indexes.
pub(super) async fn indexes(
    client: &Client,
    connection: &mut Connection,
    table: &str,
) -> Result<Vec<Index>, EngineError> {
    client.atom(connection, &term::index_status(table)).await
}

/// A table's write hook.
pub(super) async fn hook(
    client: &Client,
    connection: &mut Connection,
    table: &str,
) -> Result<Option<Hook>, EngineError> {
    client.atom(connection, &term::write_hook(table)).await
}
