//! What a server has: who it is, its indices, their definitions and sizes.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::names;
use super::structure::Definition;
use crate::engine::{EngineError, ServerInfo};

#[derive(Deserialize)]
struct WithSettings {
    #[serde(default)]
    settings: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct WithAliases {
    #[serde(default)]
    aliases: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
    #[serde(rename = "_shards")]
    shards: Shards,
}

/// How many shards had a part in an answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Shards {
    #[serde(default)]
    pub(super) total: u64,
    #[serde(default)]
    pub(super) successful: u64,
    #[serde(default)]
    pub(super) failed: u64,
}

impl Shards {
    /// An answer without all shards is no answer.
    pub(super) fn check(&self, client: &Client) -> Result<(), EngineError> {
        if self.failed == 0 && self.successful >= self.total {
            return Ok(());
        }
        Err(EngineError::Server {
            server: client.server().to_owned(),
            problem: format!(
                "only {} of {} shards answered; wait until the cluster is green or yellow",
                self.successful, self.total
            ),
            retryable: true,
        })
    }
}

/// Asks the server who it is, and whether it is one of those that are known.
pub(super) async fn server_info(client: &Client) -> Result<ServerInfo, EngineError> {
    let root = client.root().await?;
    let (name, version) = match root.version.distribution.as_deref() {
        Some("opensearch") => ("OpenSearch", root.version.number),
        _ => ("Elasticsearch", root.version.number),
    };
    let major = version.split('.').next().and_then(|word| word.parse().ok());
    let known = match name {
        "OpenSearch" => matches!(major, Some(1u32..=3)),
        _ => matches!(major, Some(7 | 8)),
    };
    if !known {
        return Err(EngineError::Version {
            server: client.server().to_owned(),
            version: super::fault::word(&format!("{name} {version}")),
            problem: "the engine kuzzle serves Elasticsearch 7 and 8, and OpenSearch 1 to 3"
                .to_owned(),
        });
    }
    // A node that has not joined its cluster yet says `_na_`.
    if root.cluster_uuid.len() < 8 {
        return Err(EngineError::Server {
            server: client.server().to_owned(),
            problem: "the node has not joined a cluster yet".to_owned(),
            retryable: true,
        });
    }
    Ok(ServerInfo {
        version: super::fault::word(&format!("{name} {version}")),
        server_id: super::fault::word(&root.cluster_uuid),
    })
}

/// All indices, with their identities.
pub(super) async fn indices(client: &Client) -> Result<BTreeMap<String, String>, EngineError> {
    let path = "_all/_settings/index.uuid?flat_settings=true&expand_wildcards=all";
    let found: BTreeMap<String, WithSettings> = client.get(path).await?;
    let uuid = |settings: &WithSettings| {
        let uuid = settings.settings.get("index.uuid").and_then(Value::as_str);
        uuid.unwrap_or_default().to_owned()
    };
    Ok(found
        .iter()
        .map(|(name, settings)| (name.clone(), uuid(settings)))
        .collect())
}

/// The indices that are closed.
pub(super) async fn closed(client: &Client) -> Result<BTreeSet<String>, EngineError> {
    let path = "_all/_settings/index.uuid?flat_settings=true&expand_wildcards=closed";
    let found: BTreeMap<String, Value> = client.get(path).await?;
    Ok(found.into_keys().collect())
}

/// All aliases, with the indices that each means.
pub(super) async fn aliases(
    client: &Client,
) -> Result<BTreeMap<String, BTreeSet<String>>, EngineError> {
    let found: BTreeMap<String, WithAliases> = client.get("_alias?expand_wildcards=all").await?;
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (index, with) in found {
        for alias in with.aliases.into_keys() {
            all.entry(alias).or_default().insert(index.clone());
        }
    }
    Ok(all)
}

/// An index without its documents.
pub(super) async fn definition(client: &Client, index: &str) -> Result<Definition, EngineError> {
    let mut found: BTreeMap<String, Definition> = client.get(&names::escape(index)).await?;
    found.remove(index).ok_or_else(|| EngineError::NotFound {
        server: client.server().to_owned(),
        what: format!("the index {}", super::fault::word(index)),
    })
}

/// Makes all that was written visible to searches.
pub(super) async fn refresh(client: &Client, index: &str) -> Result<(), EngineError> {
    #[derive(Deserialize)]
    struct Refreshed {
        #[serde(rename = "_shards")]
        shards: Shards,
    }
    let path = format!("{}/_refresh", names::escape(index));
    let done: Refreshed = client.ask(Method::POST, &path, None).await?;
    // Replicas that are nowhere count in the total.
    Shards {
        total: 0,
        ..done.shards
    }
    .check(client)
}

/// Documents of an index; none where it is not there.
pub(super) async fn count(client: &Client, index: &str) -> Result<Option<u64>, EngineError> {
    let path = format!("{}/_count", names::escape(index));
    match client.get::<Count>(&path).await {
        Ok(count) => {
            count.shards.check(client)?;
            Ok(Some(count.count))
        }
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Documents of those of these indices and aliases that are there, each counted once.
pub(super) async fn count_any(client: &Client, names: &[&str]) -> Result<u64, EngineError> {
    let list: Vec<String> = names.iter().map(|name| names::escape(name)).collect();
    let list = list.join(",");
    let path = format!("{list}/_refresh?ignore_unavailable=true");
    client.change(Method::POST, &path, None).await?;
    let path = format!("{list}/_count?ignore_unavailable=true");
    let found: Count = client.get(&path).await?;
    found.shards.check(client)?;
    Ok(found.count)
}

/// Settings of an index in their flat form.
pub(super) async fn settings(
    client: &Client,
    index: &str,
) -> Result<BTreeMap<String, Value>, EngineError> {
    let path = format!("{}/_settings?flat_settings=true", names::escape(index));
    let mut found: BTreeMap<String, WithSettings> = client.get(&path).await?;
    Ok(found
        .remove(index)
        .map(|with| with.settings)
        .unwrap_or_default())
}

/// Bytes that a document of an index takes on disk, about.
pub(super) async fn document_size(client: &Client, index: &str) -> Result<u64, EngineError> {
    let path = format!("{}/_stats/docs,store", names::escape(index));
    let stats: Value = client.get(&path).await?;
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let bytes = number("/_all/primaries/store/size_in_bytes");
    Ok(bytes / number("/_all/primaries/docs/count").max(1))
}
