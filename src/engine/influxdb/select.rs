//! What an export is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, Policy};
use super::client::Client;
use super::ql;
use super::structure::{
    self, Database, KIND_MEASUREMENT, NAME_DATABASE, NAME_MEASUREMENT, NAME_POLICY,
};
use crate::api::engines::{InfluxDbDatabase, InfluxDbSource};
use crate::engine::window::{self, Known};
use crate::engine::{ChainPlan, EngineError, ExportPlan, ExportRequest, PartPlan, ServerInfo};

/// Suffix of the files.
const EXTENSION: &str = "lp";

struct Found {
    database: Database,
    parts: Vec<(Policy, String)>,
}

/// Decides what an export is made of.
pub(super) async fn plan(
    client: &Client,
    spec: &InfluxDbSource,
    server: ServerInfo,
    request: &ExportRequest,
) -> Result<ExportPlan, EngineError> {
    let mut warnings = Vec::new();
    let mut found = Vec::new();
    for wanted in wanted(client, spec).await? {
        found.push(look_at(client, &wanted, &mut warnings).await?);
    }
    let keys = || {
        found.iter().flat_map(|found| {
            let database = found.database.name.as_str();
            let parts = found.parts.iter();
            parts.map(move |(policy, name)| (database, policy.name.as_str(), name.as_str()))
        })
    };
    let scope = BTreeMap::from([
        (window::SCOPE_SELECTION.to_owned(), selection(spec)),
        (window::SCOPE_NAMES.to_owned(), window::names_word(keys())),
    ]);
    let chain = window::decide_chain(
        spec.incremental.as_ref(),
        request.previous.as_ref(),
        request.consistency_time,
        &scope,
        &server.server_id,
    )?;
    let known = request
        .previous
        .as_ref()
        .map(|previous| Known::of(&previous.scope));
    let mut parts = Vec::new();
    let mut structure = Vec::new();
    for Found {
        mut database,
        parts: measurements,
    } in found
    {
        for (policy, measurement) in measurements {
            let key = (
                database.name.as_str(),
                policy.name.as_str(),
                measurement.as_str(),
            );
            let is_known = known.as_ref().is_some_and(|known| known.has(key));
            let part = part(&database.name, &policy, &measurement, &chain, is_known);
            if part.attributes.is_empty() {
                database
                    .complete
                    .entry(policy.name)
                    .or_default()
                    .push(measurement);
            }
            parts.push(part);
        }
        structure.extend(database.to_parts());
    }
    Ok(ExportPlan {
        server,
        method: "lineProtocol".to_owned(),
        scope,
        chain,
        structure,
        parts,
        warnings,
    })
}

/// The databases that the spec names, or all.
async fn wanted(
    client: &Client,
    spec: &InfluxDbSource,
) -> Result<Vec<InfluxDbDatabase>, EngineError> {
    let there = catalog::databases(client).await?;
    if spec.databases.is_empty() {
        return Ok(there
            .into_iter()
            .map(|name| InfluxDbDatabase {
                name,
                ..InfluxDbDatabase::default()
            })
            .collect());
    }
    let mut names = BTreeSet::new();
    for wanted in &spec.databases {
        if !names.insert(&wanted.name) {
            return Err(EngineError::NotSupported {
                problem: format!("databases names {:?} twice; name it once", wanted.name),
            });
        }
        if !there.contains(&wanted.name) {
            return Err(missing(client, format!("the database {:?}", wanted.name)));
        }
    }
    Ok(spec.databases.clone())
}

async fn look_at(
    client: &Client,
    wanted: &InfluxDbDatabase,
    warnings: &mut Vec<String>,
) -> Result<Found, EngineError> {
    let name = wanted.name.clone();
    let mut policies = catalog::policies(client, &name).await?;
    for policy in &wanted.retention_policies {
        if !policies.iter().any(|have| have.name == *policy) {
            return Err(missing(
                client,
                format!("the retention policy {policy:?} of {name:?}"),
            ));
        }
    }
    if !wanted.retention_policies.is_empty() {
        policies.retain(|policy| wanted.retention_policies.contains(&policy.name));
    }
    let mut parts = Vec::new();
    let mut seen = BTreeSet::new();
    let mut listed = BTreeSet::new();
    for policy in &policies {
        let (measurements, unreadable) = catalog::measurements(client, &name, &policy.name).await?;
        listed.extend(measurements.iter().map(|have| have.name.clone()));
        for bad in unreadable {
            listed.insert(bad.clone());
            warnings.push(format!(
                "{name:?}: the measurement {bad:?} is left out: its name is not UTF-8 and can't be queried"
            ));
        }
        if !structure::importable(&name) || !structure::importable(&policy.name) {
            warnings.push(format!(
                "{name:?}.{:?}: the vendor's `influx -import` can't read the name; Lifeboat can",
                policy.name
            ));
        }
        for measurement in measurements {
            let named = &wanted.measurements;
            if !named.is_empty() && !named.contains(&measurement.name) {
                continue;
            }
            if ql::is_system_name(&measurement.name) {
                warnings.push(format!(
                    "{name:?}: the measurement {:?} is left out: the query language keeps the name for itself",
                    measurement.name
                ));
                continue;
            }
            seen.insert(measurement.name.clone());
            parts.push((policy.clone(), measurement.name));
        }
    }
    if let Some(absent) = wanted
        .measurements
        .iter()
        .find(|name| !seen.contains(*name))
    {
        return Err(missing(
            client,
            format!("the measurement {absent:?} of {name:?}"),
        ));
    }
    let whole = wanted.retention_policies.is_empty() && wanted.measurements.is_empty();
    if whole {
        // Version 1.7 takes a measurement such as `a\,b` and then finds neither fields nor points.
        for name_of in catalog::indexed(client, &name).await? {
            if !listed.contains(&name_of) {
                warnings.push(format!(
                    "{name:?}: the measurement {name_of:?} is left out: the server lists it, but finds no fields in it"
                ));
            }
        }
    }
    let queries = if whole {
        match catalog::continuous_queries(client, &name).await {
            Err(EngineError::PermissionDenied { .. }) => {
                warnings.push(format!(
                    "{name:?}: the user may not see continuous queries, so they are not in the backup"
                ));
                Vec::new()
            }
            other => other?,
        }
    } else {
        Vec::new()
    };
    let database = Database {
        name,
        policies,
        queries,
        complete: BTreeMap::new(),
    };
    Ok(Found { database, parts })
}

fn missing(client: &Client, what: String) -> EngineError {
    EngineError::NotFound {
        server: client.server().to_owned(),
        what,
    }
}

/// What the spec selects, in one form whatever the order it is written in.
pub(super) fn selection(spec: &InfluxDbSource) -> String {
    let mut databases = spec.databases.clone();
    for database in &mut databases {
        database.retention_policies.sort();
        database.measurements.sort();
    }
    databases.sort_by(|a, b| a.name.cmp(&b.name));
    let text = serde_json::to_string(&databases).unwrap_or_default();
    window::selection_word(text)
}

fn part(
    database: &str,
    policy: &Policy,
    measurement: &str,
    chain: &ChainPlan,
    known: bool,
) -> PartPlan {
    PartPlan {
        kind: KIND_MEASUREMENT.to_owned(),
        name: BTreeMap::from([
            (NAME_DATABASE.to_owned(), database.to_owned()),
            (NAME_POLICY.to_owned(), policy.name.clone()),
            (NAME_MEASUREMENT.to_owned(), measurement.to_owned()),
        ]),
        attributes: window::attributes(chain, known),
        header: structure::header(database, policy).into(),
        extension: EXTENSION.to_owned(),
        ..PartPlan::default()
    }
}

/// Looks at the source once more: what the plan names must still be there.
pub(super) async fn look_again(client: &Client, plan: &ExportPlan) -> Result<(), EngineError> {
    let mut planned: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for part in &plan.parts {
        let name = |key| part.name.get(key).map(String::as_str).unwrap_or_default();
        planned
            .entry((name(NAME_DATABASE), name(NAME_POLICY)))
            .or_default()
            .insert(name(NAME_MEASUREMENT));
    }
    for ((database, policy), names) in planned {
        let (there, _) = match catalog::measurements(client, database, policy).await {
            Err(EngineError::NotFound { what, .. }) => {
                return Err(EngineError::SourceChanged {
                    problem: format!("{what} is gone"),
                });
            }
            other => other?,
        };
        let there: BTreeSet<&str> = there.iter().map(|have| have.name.as_str()).collect();
        if let Some(gone) = names.iter().find(|name| !there.contains(*name)) {
            return Err(EngineError::SourceChanged {
                problem: format!("the measurement {gone:?} of {database:?}.{policy:?} is gone"),
            });
        }
    }
    Ok(())
}
