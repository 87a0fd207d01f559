//! What an export is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog;
use super::client::{At, Client};
use super::copy::{self, Format};
use super::structure::{self, KIND_TABLE, Name, Structure, TableOf};
use crate::api::engines::{CnosDbDatabase, CnosDbSource, CnosDbTenant};
use crate::engine::window::{self, Known};
use crate::engine::{EngineError, ExportPlan, ExportRequest, PartPlan, ServerInfo};
use crate::manifest::Part;

/// The method's name in manifests.
pub(super) const METHOD: &str = "client";
/// Suffix of the files: the name that the server's `COPY INTO` has for the format.
const EXTENSION: &str = "json";

/// Decides what an export is made of.
pub(super) async fn plan(
    client: &Client,
    spec: &CnosDbSource,
    copied: Option<&Format>,
    server: ServerInfo,
    request: &ExportRequest,
) -> Result<ExportPlan, EngineError> {
    let warning = copied.and_then(Format::warning);
    let mut warnings: Vec<String> = warning.map(str::to_owned).into_iter().collect();
    let mut found = Structure::default();
    for tenant in wanted(client, spec, &mut found, &mut warnings).await? {
        look_at(client, &tenant, &mut found, &mut warnings).await?;
    }
    let keys = found.tables.keys();
    let names = keys.map(|n| (n.tenant.as_str(), n.database.as_str(), n.table.as_str()));
    let scope = BTreeMap::from([
        (window::SCOPE_SELECTION.to_owned(), selection(spec)),
        (window::SCOPE_NAMES.to_owned(), window::names_word(names)),
    ]);
    let chain = window::decide_chain(
        spec.incremental.as_ref(),
        request.previous.as_ref(),
        request.consistency_time,
        &scope,
        &server.server_id,
    )?;
    let known = request.previous.as_ref().map(|last| Known::of(&last.scope));
    let mut parts = Vec::new();
    for (name, table) in &mut found.tables {
        let key = (
            name.tenant.as_str(),
            name.database.as_str(),
            name.table.as_str(),
        );
        let is_known = known.as_ref().is_some_and(|known| known.has(key));
        let mut attributes = window::attributes(&chain, is_known);
        table.complete = attributes.is_empty();
        attributes.insert(
            structure::COLUMNS.to_owned(),
            structure::columns_text(&table.table),
        );
        let mut part = PartPlan {
            kind: KIND_TABLE.to_owned(),
            name: name.to_map(),
            attributes,
            extension: EXTENSION.to_owned(),
            ..PartPlan::default()
        };
        if let Some(format) = copied {
            format.note(&mut part);
        }
        parts.push(part);
    }
    Ok(ExportPlan {
        server,
        method: copied.map_or(METHOD, |_| copy::METHOD).to_owned(),
        scope,
        chain,
        structure: found.to_parts()?,
        parts,
        warnings,
    })
}

/// The tenants that the spec names, or all.
async fn wanted(
    client: &Client,
    spec: &CnosDbSource,
    found: &mut Structure,
    warnings: &mut Vec<String>,
) -> Result<Vec<CnosDbTenant>, EngineError> {
    let all = match catalog::tenants(client).await {
        Ok(all) => all,
        Err(error) if spec.tenants.is_empty() => {
            return Err(match error {
                EngineError::PermissionDenied { server, problem } => {
                    EngineError::PermissionDenied {
                        server,
                        problem: format!(
                            "the whole cluster is asked for, and only an administrator may list its tenants ({problem}); name the tenants in the spec"
                        ),
                    }
                }
                other => other,
            });
        }
        Err(EngineError::PermissionDenied { .. } | EngineError::NotFound { .. }) => {
            warnings.push(
                "the user may not list tenants, so their options are not in the backup".to_owned(),
            );
            BTreeMap::new()
        }
        Err(other) => return Err(other),
    };
    if spec.tenants.is_empty() {
        let wanted = all.keys().map(|name| CnosDbTenant {
            name: name.clone(),
            ..CnosDbTenant::default()
        });
        let wanted = wanted.collect();
        found.tenants = all;
        return Ok(wanted);
    }
    for tenant in &spec.tenants {
        let options = all.get(&tenant.name).cloned().unwrap_or_default();
        if found.tenants.insert(tenant.name.clone(), options).is_some() {
            return Err(twice("tenants", &tenant.name));
        }
    }
    Ok(spec.tenants.clone())
}

async fn look_at(
    client: &Client,
    wanted: &CnosDbTenant,
    found: &mut Structure,
    warnings: &mut Vec<String>,
) -> Result<(), EngineError> {
    let tenant = wanted.name.as_str();
    let there = catalog::databases(client, tenant).await?;
    let databases = if wanted.databases.is_empty() {
        let all = there.iter().map(|name| CnosDbDatabase {
            name: name.clone(),
            ..CnosDbDatabase::default()
        });
        all.collect()
    } else {
        wanted.databases.clone()
    };
    let mut listed = catalog::tables(client, tenant).await?;
    for database in databases {
        let name = database.name.as_str();
        if !there.iter().any(|have| have == name) {
            let what = format!("the database {name:?} of the tenant {tenant:?}");
            return Err(missing(client, what));
        }
        let key = (tenant.to_owned(), name.to_owned());
        let options = catalog::options(client, tenant, name).await?;
        if found.databases.insert(key, options).is_some() {
            return Err(twice("databases", name));
        }
        let mut tables = Vec::new();
        for table in listed.remove(name).unwrap_or_default() {
            if !database.tables.is_empty() && !database.tables.contains(&table.name) {
                continue;
            }
            if !table.is_series() {
                warnings.push(format!(
                    "{tenant:?}.{name:?}.{:?} is left out: it keeps no rows of its own ({})",
                    table.name, table.engine
                ));
                continue;
            }
            tables.push(table.name);
        }
        if let Some(absent) = database
            .tables
            .iter()
            .find(|wanted| !tables.contains(wanted))
        {
            let what = format!("the table {absent:?} of {tenant:?}.{name:?}");
            return Err(missing(client, what));
        }
        for table in tables {
            let at = At {
                tenant,
                database: name,
            };
            let columns = catalog::table(client, at, &table).await?;
            found.tables.insert(
                Name {
                    tenant: tenant.to_owned(),
                    database: name.to_owned(),
                    table,
                },
                TableOf {
                    table: columns,
                    complete: false,
                },
            );
        }
    }
    Ok(())
}

fn missing(client: &Client, what: String) -> EngineError {
    EngineError::NotFound {
        server: client.server().to_owned(),
        what,
    }
}

fn twice(list: &str, name: &str) -> EngineError {
    EngineError::NotSupported {
        problem: format!("{list} names {name:?} twice; name it once"),
    }
}

/// What the spec selects, in one form whatever the order it is written in.
fn selection(spec: &CnosDbSource) -> String {
    let mut tenants = spec.tenants.clone();
    for tenant in &mut tenants {
        for database in &mut tenant.databases {
            database.tables.sort();
        }
        tenant.databases.sort_by(|a, b| a.name.cmp(&b.name));
    }
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    window::selection_word(serde_json::to_string(&tenants).unwrap_or_default())
}

/// Looks at the source once more: each table must still be there, with the columns that were read.
pub(super) async fn look_again(client: &Client, plan: &ExportPlan) -> Result<(), EngineError> {
    let mut by_tenant: BTreeMap<String, Vec<&PartPlan>> = BTreeMap::new();
    for part in &plan.parts {
        let tenant = part.name.get(structure::NAME_TENANT);
        by_tenant
            .entry(tenant.cloned().unwrap_or_default())
            .or_default()
            .push(part);
    }
    for (tenant, parts) in by_tenant {
        let there = catalog::tables(client, &tenant).await.map_err(gone)?;
        let there: BTreeSet<(&str, &str)> = there
            .iter()
            .flat_map(|(database, tables)| {
                let names = tables.iter().map(|table| table.name.as_str());
                names.map(|name| (database.as_str(), name))
            })
            .collect();
        for plan in parts {
            let part = Part {
                name: plan.name.clone(),
                attributes: plan.attributes.clone(),
                ..Part::default()
            };
            let name = Name::of(&part)?;
            let changed = |problem: String| EngineError::SourceChanged { problem };
            if !there.contains(&(name.database.as_str(), name.table.as_str())) {
                return Err(changed(format!(
                    "the table {:?} of {:?} is gone",
                    name.table, name.database
                )));
            }
            let at = At {
                tenant: &tenant,
                database: &name.database,
            };
            let now = catalog::table(client, at, &name.table)
                .await
                .map_err(gone)?;
            let before = structure::columns(&part)?;
            // The server wrote all columns that there were: others than were noted are not known.
            if copy::is_copied(&part) && now.columns != before.columns {
                return Err(changed(format!(
                    "{:?}.{:?} has other columns than when it began",
                    name.database, name.table
                )));
            }
            for column in &before.columns {
                let same = now.columns.iter().any(|have| {
                    (&have.name, have.kind, &have.sql_type)
                        == (&column.name, column.kind, &column.sql_type)
                });
                if !same {
                    return Err(changed(format!(
                        "the column {:?} of {:?}.{:?} is gone or has another type",
                        column.name, name.database, name.table
                    )));
                }
            }
        }
    }
    Ok(())
}

/// What was there and is not found any more.
pub(super) fn gone(error: EngineError) -> EngineError {
    match error {
        EngineError::NotFound { what, .. } => EngineError::SourceChanged {
            problem: format!("something that was read is gone ({what})"),
        },
        other => other,
    }
}
