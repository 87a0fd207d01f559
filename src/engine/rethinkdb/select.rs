//! Decides what an export is made of.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalog::{self, Config};
use super::client::Client;
use super::connection::Connection;
use super::names::{self, TableName};
use super::slice::{self, Range};
use super::structure::{self, Found};
use super::{fault, json, term};
use crate::api::engines::RethinkDbDatabase;
use crate::engine::{ChainPlan, EngineError, ExportPlan, PartPlan, ServerInfo};
use crate::manifest::Part;

/// What the manifest calls this way to export.
const METHOD: &str = "native";
/// The most rows that the server walks through at once: it is silent meanwhile.
const HOP: u64 = 1_000_000;
/// The most characters of the choice that go into the manifest.
const SCOPE_LIMIT: usize = 4096;

/// Plans an export of all that is chosen.
pub(super) async fn plan(
    client: &Client,
    choice: &[RethinkDbDatabase],
    range_rows: u64,
    server: ServerInfo,
) -> Result<ExportPlan, EngineError> {
    let mut connection = client.connect().await?;
    let databases = catalog::databases(client, &mut connection).await?;
    let tables = catalog::tables(client, &mut connection).await?;
    check_choice(client, choice, &databases, &tables)?;
    let mut structure: Vec<Part> = databases
        .iter()
        .filter(|name| names::chosen(choice, name, None))
        .map(|name| structure::database_part(name))
        .collect();
    let mut parts = Vec::new();
    for (name, config) in &tables {
        if !names::chosen(choice, &name.database, Some(&name.table)) {
            continue;
        }
        let (described, rows) = describe(
            client,
            &mut connection,
            (name, config),
            &server.version,
            range_rows,
        )
        .await?;
        structure.extend(described);
        parts.extend(rows);
    }
    Ok(ExportPlan {
        server,
        method: METHOD.to_owned(),
        scope: scope(choice),
        chain: ChainPlan::Full,
        structure,
        warnings: consistency(&parts).into_iter().collect(),
        parts,
    })
}

/// What a person should know of rows that change while they are read.
fn consistency(parts: &[PartPlan]) -> Option<String> {
    (parts.len() > 1).then(|| {
        "tables, and ranges of a large one, are each read at a time of their own: what was written after consistencyTime may be in one and not in the other".to_owned()
    })
}

fn check_choice(
    client: &Client,
    choice: &[RethinkDbDatabase],
    databases: &std::collections::BTreeSet<String>,
    tables: &BTreeMap<TableName, Config>,
) -> Result<(), EngineError> {
    let missing = |what: String| {
        Err(EngineError::NotFound {
            server: client.server().to_owned(),
            what,
        })
    };
    for one in choice {
        if !databases.contains(&one.name) {
            return missing(format!("the database {}", one.name));
        }
        for table in &one.tables {
            let name = TableName {
                database: one.name.clone(),
                table: table.clone(),
            };
            if !tables.contains_key(&name) {
                return missing(format!("the table {name}"));
            }
        }
    }
    Ok(())
}

async fn describe(
    client: &Client,
    connection: &mut Connection,
    (name, config): (&TableName, &Config),
    version: &str,
    range_rows: u64,
) -> Result<(Vec<Part>, Vec<PartPlan>), EngineError> {
    let table = term::table(&name.database, &name.table);
    let gone = |error| match error {
        EngineError::NotFound { what, .. } => EngineError::SourceChanged {
            problem: format!("{what} is gone"),
        },
        other => other,
    };
    let info = connection.atom(&term::info(&table)).await.map_err(gone)?;
    let indexes = connection.atom(&term::index_status(&table)).await;
    let indexes = indexes.map_err(gone)?;
    let hook = connection.atom(&term::write_hook(&table)).await;
    let hook = hook.map_err(gone)?;
    let ranges = cut(client, connection, name, config, &info, range_rows);
    let ranges = ranges.await.map_err(gone)?;
    let indexes: Vec<&RawValue> = serde_json::from_str(&indexes)
        .map_err(|_| fault::garbled(client.server(), "a list of indexes was due"))?;
    structure::table_parts(&Found {
        name,
        version,
        id: &config.id,
        primary_key: &config.primary_key,
        layout: config.layout,
        info: &info,
        hook: &hook,
        indexes: &indexes,
        ranges: &ranges,
    })
}

/// Cuts a large table into ranges of about as many rows each. The server walks through the table once,
/// which is little beside reading it, and says the key at each cut: so ranges are even whatever the
/// keys are, and nothing has to be known of their order.
async fn cut(
    client: &Client,
    connection: &mut Connection,
    name: &TableName,
    config: &Config,
    info: &str,
    range_rows: u64,
) -> Result<Vec<Range>, EngineError> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        doc_count_estimates: Vec<f64>,
    }
    let info: Info = client.read(info)?;
    let estimate = info.doc_count_estimates.iter().sum::<f64>();
    // A float that is no count becomes the nearest that is one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let estimate = estimate as u64;
    let Some((ranges, rows)) = slice::cuts(estimate, range_rows) else {
        return Ok(vec![Range::default()]);
    };
    let table = term::table(&name.database, &name.table);
    let hops = rows.div_ceil(HOP);
    let (mut keys, mut last): (Vec<String>, Option<String>) = (Vec::new(), None);
    for hop in 1..ranges * hops {
        let rest = term::between(&table, last.as_deref(), None, false);
        let ordered = term::order_by(&rest, &config.primary_key);
        let next = term::limit(&term::skip(&ordered, rows.div_ceil(hops)), 1);
        let next = term::pluck(&next, &[&config.primary_key]);
        let found: Vec<Box<RawValue>> = client.all(connection, &next).await?;
        let Some(row) = found.first() else {
            break;
        };
        let key = json::field(row.get(), &config.primary_key)
            .ok_or_else(|| fault::garbled(client.server(), "a row without its primary key"))?;
        last = Some(json::term(key));
        if hop % hops == 0 {
            keys.push(key.to_owned());
        }
    }
    Ok(slice::ranges(&keys))
}

fn scope(choice: &[RethinkDbDatabase]) -> BTreeMap<String, String> {
    if choice.is_empty() {
        return BTreeMap::new();
    }
    let words: Vec<String> = choice
        .iter()
        .map(|one| match one.tables.as_slice() {
            [] => one.name.clone(),
            tables => {
                let tables: Vec<String> = tables
                    .iter()
                    .map(|table| format!("{}.{table}", one.name))
                    .collect();
                tables.join(" ")
            }
        })
        .collect();
    let words: String = words.join(" ").chars().take(SCOPE_LIMIT).collect();
    BTreeMap::from([("databases".to_owned(), words)])
}

/// Looks whether the tables that were read are still the same.
pub(super) async fn look_again(client: &Client, plan: &ExportPlan) -> Result<(), EngineError> {
    let mut connection = client.connect().await?;
    let tables = catalog::tables(client, &mut connection).await?;
    for part in &plan.parts {
        let name = structure::table_name(&part.name)?;
        let id = structure::table_id(&part.attributes);
        let problem = match tables.get(&name) {
            Some(config) if config.id == id => continue,
            Some(_) => format!("the table {name} was dropped and made anew"),
            None => format!("the table {name} was dropped or renamed"),
        };
        return Err(EngineError::SourceChanged { problem });
    }
    Ok(())
}
