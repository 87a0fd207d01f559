//! Decides what an export is made of: which shards, and into which files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalog;
use super::super::client::Client;
use super::super::{select, structure};
use super::archive::Packer;
use super::export::{Planned, spoilt};
use super::files::{self, Listing, MetaFile, ShardFile};
use super::meta::{self, Database, Meta, Shard};
use super::parts::{self, KIND_MANIFEST, KIND_META, KIND_SHARD};
use super::wire::Service;
use crate::api::engines::{InfluxDbDatabase, InfluxDbSource};
use crate::engine::window;
use crate::engine::{ChainPlan, EngineError, ExportPlan, ExportRequest, PartPlan, ServerInfo};

/// The method's name in manifests.
const METHOD: &str = "portable";

/// A database that is exported, and its shards.
struct Chosen {
    database: Database,
    /// Whether all of it is.
    whole: bool,
}

/// Decides what an export is made of.
pub(super) async fn plan(
    client: &Client,
    service: &Service,
    spec: &InfluxDbSource,
    server: ServerInfo,
    request: &ExportRequest,
) -> Result<(ExportPlan, Planned), EngineError> {
    check_one_server(client, service).await?;
    let meta = service.metadata().await?;
    let mut chosen = Vec::new();
    for wanted in wanted(&meta, spec) {
        let name = &wanted.name;
        let database = meta
            .database(name)
            .ok_or_else(|| missing(client, format!("the database {name:?}")))?;
        let there = service.shards(name).await?;
        let there: BTreeSet<u64> = there.into_iter().map(|(_, id)| id).collect();
        chosen.push(choose(client, database, &wanted, &there)?);
    }
    let policies = chosen.iter().flat_map(|chosen| {
        let database = chosen.database.name.as_str();
        let policies = chosen.database.policies.iter();
        policies.map(move |(policy, _)| (database, policy.name.as_str(), ""))
    });
    let scope = BTreeMap::from([
        (window::SCOPE_SELECTION.to_owned(), select::selection(spec)),
        (window::SCOPE_NAMES.to_owned(), window::names_word(policies)),
    ]);
    let chain = window::decide_chain(
        spec.incremental.as_ref(),
        request.previous.as_ref(),
        request.consistency_time,
        &scope,
        &server.server_id,
    )?;
    let stamp = files::stamp(request.consistency_time);
    let (mut structure, mut shards, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for Chosen { database, whole } in &chosen {
        structure.extend(described(database, *whole).to_parts());
        let all: Vec<(&str, Shard)> = database
            .shards()
            .map(|(policy, shard)| (policy.name.as_str(), *shard))
            .collect();
        structure.extend(parts::list(&database.name, &all, *whole));
        for (policy, shard) in all {
            if !changed(service, &database.name, policy, shard.id, &chain).await? {
                continue;
            }
            let file_name = files::shard_file(&stamp, shard.id);
            shards.push(PartPlan {
                kind: KIND_SHARD.to_owned(),
                name: parts::name(&database.name, policy, shard.id),
                attributes: parts::span(shard),
                file_name: Some(file_name.clone()),
                ..PartPlan::default()
            });
            entries.push(ShardFile {
                database: database.name.clone(),
                policy: policy.to_owned(),
                shard_id: shard.id,
                file_name,
                ..ShardFile::default()
            });
        }
    }
    let stored = Meta {
        cluster: meta.cluster,
        databases: chosen.into_iter().map(|chosen| chosen.database).collect(),
    };
    let of_vendor = |kind: &str, file_name: String| PartPlan {
        kind: kind.to_owned(),
        name: BTreeMap::from([("file".to_owned(), file_name.clone())]),
        file_name: Some(file_name),
        ..PartPlan::default()
    };
    let meta_file = MetaFile {
        file_name: format!("{stamp}.meta"),
        size: stored.write().len() as u64,
    };
    let mut all = vec![of_vendor(KIND_META, meta_file.file_name.clone())];
    all.extend(shards);
    // The last: it is written once the shards' files are.
    all.push(of_vendor(KIND_MANIFEST, format!("{stamp}.manifest")));
    let listing = Listing {
        meta: meta_file,
        limited: false,
        files: Some(entries),
    };
    let plan = ExportPlan {
        server,
        method: METHOD.to_owned(),
        scope,
        chain,
        structure,
        parts: all,
        warnings: Vec::new(),
    };
    Ok((plan, Planned::new(meta::pack(&stored), listing)))
}

/// What a restore makes, in the words of every method.
fn described(database: &Database, whole: bool) -> structure::Database {
    let queries = if whole {
        database.queries.clone()
    } else {
        Vec::new()
    };
    structure::Database {
        name: database.name.clone(),
        policies: database
            .policies
            .iter()
            .map(|(policy, _)| policy.clone())
            .collect(),
        queries,
        complete: BTreeMap::new(),
    }
}

/// Two addresses are given, and must lead to one server: counts are asked of the one, and files of the
/// other. A database that somebody makes or drops just now is only seen by one of two looks.
pub(super) async fn check_one_server(
    client: &Client,
    service: &Service,
) -> Result<(), EngineError> {
    let Some(first) = difference(client, service).await? else {
        return Ok(());
    };
    match difference(client, service).await? {
        Some(name) if name == first => Err(EngineError::NotSupported {
            problem: format!(
                "url ({}) and backupAddress ({}) lead to different servers: only one of them has the database {name:?}",
                client.server(),
                service.name()
            ),
        }),
        _ => Ok(()),
    }
}

/// A database that one of both does not have.
async fn difference(client: &Client, service: &Service) -> Result<Option<String>, EngineError> {
    let asked: BTreeSet<String> = catalog::databases(client).await?.into_iter().collect();
    let given = service.metadata().await?.databases.into_iter();
    let given: BTreeSet<String> = given
        .map(|database| database.name)
        .filter(|name| !catalog::is_internal(name))
        .collect();
    Ok(asked.symmetric_difference(&given).next().cloned())
}

fn wanted(meta: &Meta, spec: &InfluxDbSource) -> Vec<InfluxDbDatabase> {
    if !spec.databases.is_empty() {
        return spec.databases.clone();
    }
    let names = meta.databases.iter().map(|database| database.name.clone());
    names
        .filter(|name| !catalog::is_internal(name))
        .map(|name| InfluxDbDatabase {
            name,
            ..InfluxDbDatabase::default()
        })
        .collect()
}

fn missing(client: &Client, what: String) -> EngineError {
    EngineError::NotFound {
        server: client.server().to_owned(),
        what,
    }
}

/// What of a database is wanted; `there` are the shards that the server has files of.
fn choose(
    client: &Client,
    database: &Database,
    wanted: &InfluxDbDatabase,
    there: &BTreeSet<u64>,
) -> Result<Chosen, EngineError> {
    let mut database = database.clone();
    let name = &wanted.name;
    for policy in &wanted.retention_policies {
        if !database
            .policies
            .iter()
            .any(|(have, _)| have.name == *policy)
        {
            return Err(missing(
                client,
                format!("the retention policy {policy:?} of {name:?}"),
            ));
        }
    }
    if !wanted.retention_policies.is_empty() {
        let policies = &mut database.policies;
        policies.retain(|(policy, _)| wanted.retention_policies.contains(&policy.name));
    }
    let has = |database: &Database, id: u64| database.shards().any(|(_, shard)| shard.id == id);
    if let Some(id) = wanted
        .shards
        .iter()
        .find(|id| !there.contains(id) || !has(&database, **id))
    {
        return Err(missing(client, format!("the shard {id} of {name:?}")));
    }
    for (_, shards) in &mut database.policies {
        shards.retain(|shard| {
            there.contains(&shard.id)
                && (wanted.shards.is_empty() || wanted.shards.contains(&shard.id))
        });
    }
    Ok(Chosen {
        database,
        whole: wanted.retention_policies.is_empty() && wanted.shards.is_empty(),
    })
}

/// Whether a shard belongs into an export: into a full one each, into a window those that have files
/// of after its start. The service only says so by beginning to send them.
async fn changed(
    service: &Service,
    database: &str,
    policy: &str,
    id: u64,
    chain: &ChainPlan,
) -> Result<bool, EngineError> {
    let ChainPlan::Incremental { window_start, .. } = chain else {
        return Ok(true);
    };
    let mut answer = service
        .shard(database, policy, id, Some(*window_start))
        .await?;
    let mut packer = Packer::new();
    while let Some(piece) = answer.next().await? {
        packer
            .push(&piece)
            .map_err(|fault| spoilt(service, id, &fault))?;
        if packer.contents().files > 0 {
            return Ok(true);
        }
    }
    packer
        .finish()
        .map_err(|fault| spoilt(service, id, &fault))?;
    Ok(false)
}
