//! What a target must have before and after documents come in.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalog;
use super::client::Client;
use super::fault::word;
use super::import;
use super::names;
use super::structure::{self, Definition};
use crate::api::restore::{ConflictPolicy, Deletions};
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// The most bytes of a path: a server takes 4 KiB of the first line of a request.
const MAX_PATH: usize = 3000;

/// An index as it should be in the target.
struct Wanted {
    definition: Definition,
    aliases: BTreeMap<String, Box<RawValue>>,
}

/// What the backup brings, by its name in the target.
fn wanted(plan: &ImportPlan, structure: &[Part]) -> Result<BTreeMap<String, Wanted>, EngineError> {
    let mut all = BTreeMap::new();
    for (index, mut definition) in structure::read_all(structure)? {
        let target = names::target(plan, &index)?;
        // Once more: the bucket may have been written by others.
        definition.strip();
        let mut aliases = BTreeMap::new();
        for (alias, settings) in std::mem::take(&mut definition.aliases) {
            if let Some(name) = names::target_alias(plan, &index, &alias)? {
                aliases.insert(name, settings);
            } else {
                tracing::warn!(
                    index = target,
                    alias,
                    "the alias is not made, because its index has another name than in the backup; name it in remap"
                );
            }
        }
        let wanted = Wanted {
            definition,
            aliases,
        };
        if all.insert(target.clone(), wanted).is_some() {
            return Err(EngineError::NotSupported {
                problem: format!("remap makes two indices one: {target:?}; give each its own name"),
            });
        }
    }
    Ok(all)
}

/// Makes indices and aliases, after everything was looked at. Returns the indices that were made.
/// `made` are those that this run made before.
pub(super) async fn prepare(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
    made: &BTreeSet<String>,
) -> Result<Vec<String>, EngineError> {
    if plan.deletions == Deletions::Mirror {
        return Err(EngineError::NotSupported {
            problem: "deletions Mirror is not built yet; use conflictPolicy Replace".to_owned(),
        });
    }
    let wanted = wanted(plan, structure)?;
    let there = catalog::indices(client).await?;
    let aliases = catalog::aliases(client).await?;
    check_names(plan, &wanted, &there, &aliases, made)?;
    let mut new = Vec::new();
    for (target, wanted) in &wanted {
        let replaced = plan.conflict_policy == ConflictPolicy::Replace && !made.contains(target);
        if there.contains_key(target) && replaced {
            let path = names::escape(target);
            client.change(Method::DELETE, &path, None).await?;
        } else if there.contains_key(target) {
            complete(client, target, wanted).await?;
            continue;
        }
        create(client, target, wanted).await?;
        new.push(target.clone());
    }
    Ok(new)
}

/// Refuses names that mean something else in the target.
fn check_names(
    plan: &ImportPlan,
    wanted: &BTreeMap<String, Wanted>,
    there: &BTreeMap<String, String>,
    aliases: &BTreeMap<String, BTreeSet<String>>,
    made: &BTreeSet<String>,
) -> Result<(), EngineError> {
    let not_empty = |problem: String| Err(EngineError::TargetNotEmpty { problem });
    for (target, index) in wanted {
        if plan.drill_prefix.is_some() && there.contains_key(target) && !made.contains(target) {
            return not_empty(format!(
                "the drill's index {target:?} is there already; delete it, or start another drill"
            ));
        }
        if let Some(indices) = aliases.get(target) {
            return not_empty(format!(
                "the target has an alias named {target:?} (of {indices:?}), where the backup has an index; remove the alias, or rename the index with remap"
            ));
        }
        for alias in index.aliases.keys() {
            if there.contains_key(alias) {
                return not_empty(format!(
                    "the target has an index named {alias:?}, where the backup has an alias; delete the index, or rename the alias with remap"
                ));
            }
            let foreign = aliases
                .get(alias)
                .and_then(|indices| indices.iter().find(|name| !wanted.contains_key(*name)));
            if let Some(foreign) = foreign {
                return not_empty(format!(
                    "the alias {alias:?} of the target means the index {foreign:?}, which is not in the backup: with {target:?} it would mean two; remove it there, or rename it with remap"
                ));
            }
        }
    }
    Ok(())
}

async fn create(client: &Client, target: &str, wanted: &Wanted) -> Result<(), EngineError> {
    #[derive(serde::Serialize)]
    struct Create<'a> {
        settings: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        mappings: Option<&'a RawValue>,
        aliases: &'a BTreeMap<String, Box<RawValue>>,
    }
    let mappings = &*wanted.definition.mappings;
    let body = serde_json::to_vec(&Create {
        settings: &wanted.definition.settings,
        mappings: Some(mappings).filter(|text| text.get() != "null"),
        aliases: &wanted.aliases,
    });
    let body = body.map_err(|error| EngineError::BadBackup {
        problem: format!("the definition of {target:?} can't be written: {error}"),
    })?;
    // One shard of each is enough to begin with; replicas follow by themselves.
    let path = format!("{}?wait_for_active_shards=1", names::escape(target));
    client
        .ask::<Box<RawValue>>(Method::PUT, &path, Some(body.into()))
        .await
        .map(drop)
        .map_err(|error| explain(error, &format!("the index {target:?} can't be made")))
}

/// Adds the fields and the aliases that an index lacks; its settings stay as they are.
async fn complete(client: &Client, target: &str, wanted: &Wanted) -> Result<(), EngineError> {
    let mappings = wanted.definition.mappings.get();
    if mappings != "null" {
        let path = format!("{}/_mapping", names::escape(target));
        client
            .ask::<Box<RawValue>>(Method::PUT, &path, Some(mappings.to_owned().into()))
            .await
            .map_err(|error| {
                explain(
                    error,
                    &format!(
                        "the fields of the index {target:?} are others than in the backup: restore with conflictPolicy Replace, or under another name with remap"
                    ),
                )
            })?;
    }
    if wanted.aliases.is_empty() {
        return Ok(());
    }
    let mut actions = Vec::new();
    for (alias, settings) in &wanted.aliases {
        let mut add: Value = serde_json::from_str(settings.get()).unwrap_or_else(|_| json!({}));
        add["index"] = json!(target);
        add["alias"] = json!(alias);
        actions.push(json!({"add": add}));
    }
    client
        .change(Method::POST, "_aliases", Some(&json!({"actions": actions})))
        .await
}

fn explain(error: EngineError, what: &str) -> EngineError {
    match error {
        EngineError::Server {
            server,
            problem,
            retryable: false,
        } => EngineError::Server {
            server,
            problem: format!("{what} ({})", word(&problem)),
            retryable: false,
        },
        other => other,
    }
}

/// Puts settings back that a load which was killed left behind.
pub(super) async fn finish(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<(), EngineError> {
    let wanted = wanted(plan, structure)?;
    let loading = import::loading();
    for (target, wanted) in &wanted {
        let settings = catalog::settings(client, target).await?;
        let left = |name: &str| settings.get(name) == loading.get(name);
        let own = |name: &str| wanted.definition.setting(name);
        let meant = own("number_of_replicas") == Some("0") && own("refresh_interval") == Some("-1");
        if meant || !left("index.refresh_interval") || !left("index.number_of_replicas") {
            continue;
        }
        let back = json!({
            "index.number_of_replicas": own("number_of_replicas"),
            "index.refresh_interval": own("refresh_interval"),
        });
        import::put(client, target, &back).await?;
    }
    Ok(())
}

/// Deletes the indices that a drill made; their aliases go with them.
pub(super) async fn drop_drill(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<(), EngineError> {
    let prefix = plan.drill_prefix.as_deref().unwrap_or_default();
    if prefix.is_empty() {
        return Err(EngineError::NotSupported {
            problem: "only a drill's indices are deleted, and this is no drill".to_owned(),
        });
    }
    let own = |target: &String| target.starts_with(prefix) && target != prefix;
    let targets: Vec<String> = wanted(plan, structure)?.into_keys().filter(own).collect();
    // A pod that ends has seconds for this, and one by one takes minutes.
    for paths in paths(&targets) {
        let path = format!("{paths}?ignore_unavailable=true");
        client.change(Method::DELETE, &path, None).await?;
    }
    Ok(())
}

/// Names as lists for a path, each no longer than a server takes.
fn paths(targets: &[String]) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for name in targets.iter().map(|name| names::escape(name)) {
        match paths.last_mut() {
            Some(path) if path.len() + name.len() < MAX_PATH => {
                path.push(',');
                path.push_str(&name);
            }
            _ => paths.push(name),
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_fit_into_a_path() {
        let names: Vec<String> = (0..300)
            .map(|n| format!("lifeboat_drill_1_&i.c{n}"))
            .collect();
        let paths = paths(&names);
        assert!(paths.len() < 5 && paths.iter().all(|path| path.len() <= MAX_PATH));
        let listed: Vec<&str> = paths.iter().flat_map(|path| path.split(',')).collect();
        let escaped: Vec<String> = names.iter().map(|name| names::escape(name)).collect();
        assert_eq!(listed, escaped);
        assert!(super::paths(&[]).is_empty());
    }
}
