//! What a server holds: tenants, databases, tables, columns.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::client::{At, Client};
use super::schema::{Column, Kind, Options, Table, known_options};
use super::sql::ident;
use crate::engine::EngineError;

/// The tenant that every server has.
pub(super) const FIRST_TENANT: &str = "cnosdb";
/// The database that every tenant has.
const FIRST_DATABASE: &str = "public";
/// The server's own databases; never exported.
const OWN: [&str; 3] = ["cluster_schema", "usage_schema", "information_schema"];

/// Whether a database is the server's own.
pub(super) fn is_own(database: &str) -> bool {
    OWN.contains(&database)
}

fn in_tenant(tenant: &str) -> At<'_> {
    At {
        tenant,
        database: FIRST_DATABASE,
    }
}

/// All tenants with their options. Only an administrator may see them.
pub(super) async fn tenants(client: &Client) -> Result<BTreeMap<String, String>, EngineError> {
    #[derive(Deserialize)]
    struct Row {
        tenant_name: String,
        #[serde(default)]
        tenant_options: String,
    }
    let rows: Vec<Row> = client
        .list(
            in_tenant(FIRST_TENANT),
            "select * from cluster_schema.tenants",
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.tenant_name, row.tenant_options))
        .collect())
}

/// The databases of a tenant, but for the server's own.
pub(super) async fn databases(client: &Client, tenant: &str) -> Result<Vec<String>, EngineError> {
    #[derive(Deserialize)]
    struct Row {
        database_name: String,
    }
    let rows: Vec<Row> = client.list(in_tenant(tenant), "SHOW DATABASES").await?;
    let mut names: Vec<String> = rows.into_iter().map(|row| row.database_name).collect();
    names.retain(|name| !is_own(name));
    names.sort();
    Ok(names)
}

/// Runs a statement in a tenant, outside of any database of the user's.
pub(super) async fn run(client: &Client, tenant: &str, statement: &str) -> Result<(), EngineError> {
    client.run(in_tenant(tenant), statement).await
}

/// A database's options.
pub(super) async fn options(
    client: &Client,
    tenant: &str,
    database: &str,
) -> Result<Options, EngineError> {
    let statement = format!("DESCRIBE DATABASE {}", ident(database));
    let rows: Vec<BTreeMap<String, Value>> = client.list(in_tenant(tenant), &statement).await?;
    let row = rows
        .into_iter()
        .next()
        .ok_or_else(|| client.odd("a database without options"))?;
    Ok(known_options(row.into_iter().map(|(key, value)| {
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (key, text)
    })))
}

/// Whether a table holds time series, or what else it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// The server's word for how it is kept: `TSKV`.
    pub(super) engine: String,
}

impl Listed {
    /// Whether it holds time series.
    pub(super) fn is_series(&self) -> bool {
        self.engine == "TSKV"
    }
}

/// The tables of a tenant, by database.
pub(super) async fn tables(
    client: &Client,
    tenant: &str,
) -> Result<BTreeMap<String, Vec<Listed>>, EngineError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "table_database")]
        database: String,
        #[serde(rename = "table_name")]
        name: String,
        #[serde(rename = "table_engine")]
        engine: String,
    }
    let rows: Vec<Row> = client
        .list(in_tenant(tenant), "select * from information_schema.tables")
        .await?;
    let mut found: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for row in rows {
        found.entry(row.database).or_default().push(Listed {
            name: row.name,
            engine: row.engine,
        });
    }
    for tables in found.values_mut() {
        tables.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(found)
}

/// The columns of a table.
pub(super) async fn table(client: &Client, at: At<'_>, name: &str) -> Result<Table, EngineError> {
    #[derive(Deserialize)]
    struct Row {
        column_name: String,
        column_type: Kind,
        data_type: String,
        compression_codec: Option<String>,
    }
    let statement = format!("DESCRIBE TABLE {}", ident(name));
    let rows: Vec<Row> = client.list(at, &statement).await?;
    let columns = rows
        .into_iter()
        .map(|row| Column {
            name: row.column_name,
            kind: row.column_type,
            sql_type: row.data_type,
            codec: row
                .compression_codec
                .filter(|codec| codec != "DEFAULT" && row.column_type == Kind::Field),
        })
        .collect();
    Table::new(columns).map_err(|problem| EngineError::NotSupported {
        problem: format!(
            "the table {name:?} of {:?} can't be read: {problem}; take it out of the selection",
            at.database
        ),
    })
}
