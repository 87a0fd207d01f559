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
use super::places::{self, Known, Load, Places, UNUSED};
use super::structure::{self, Definition};
use super::swap::{self, Aliases};
use super::way::{self, Way};
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// The most bytes of a path: a server takes 4 KiB of the first line of a request.
const MAX_PATH: usize = 3000;

/// An index as it should be in the target.
struct Wanted {
    definition: Definition,
    aliases: Aliases,
}

impl Wanted {
    fn collection(&self) -> Option<&str> {
        places::collection(self.aliases.keys())
    }
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

/// Makes indices and aliases, after everything was looked at.
pub(super) async fn prepare(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
    places: &Places,
) -> Result<(), EngineError> {
    let wanted = wanted(plan, structure)?;
    let mut there = catalog::indices(client).await?;
    let aliases = catalog::aliases(client).await?;
    let unused = aliases.get(UNUSED).cloned().unwrap_or_default();
    there.retain(|name, _| !unused.contains(name));
    let collections = wanted
        .iter()
        .map(|(name, index)| (name, index.collection()));
    let serving = places::serving(collections, &there, &aliases)?;
    let mut ways = BTreeMap::new();
    {
        let known = places.known();
        check_names(plan, &wanted, &there, &aliases, &serving, &known)?;
        for (target, index) in &wanted {
            let index = way::Index {
                target,
                aliased: index.collection().is_some(),
                serving: serving.get(target),
                made: known.made.contains(target),
            };
            ways.insert(target, way::way(plan, index)?);
        }
    }
    drop_left(client, &wanted, &unused, places).await?;
    for (target, way) in ways {
        let Some(index) = wanted.get(target) else {
            continue;
        };
        match way {
            Way::Make => create(client, target, index, &index.aliases).await?,
            Way::MakeAnew(old) => {
                swap::delete(client, &old).await?;
                create(client, target, index, &index.aliases).await?;
            }
            Way::Complete(serving) => {
                complete(client, &serving, index).await?;
                if serving != *target {
                    places.known().elsewhere.insert(target.clone(), serving);
                }
                continue;
            }
            Way::Load(old) => load(client, target, index, old, &there, places).await?,
        }
        places.known().made.insert(target.clone());
    }
    Ok(())
}

/// Makes the index that takes the place of `old` once it is loaded.
async fn load(
    client: &Client,
    target: &str,
    wanted: &Wanted,
    old: String,
    there: &BTreeMap<String, String>,
    places: &Places,
) -> Result<(), EngineError> {
    let collection = wanted.collection().unwrap_or(target);
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let new = names::checked(places::free_name(collection, now, |name| {
        there.contains_key(name) || name == target
    }))?;
    {
        let mut known = places.known();
        // Before it is made: the answer may be lost.
        known.unused.insert(new.clone());
        let load = Load {
            new: new.clone(),
            old,
        };
        known.loads.insert(target.to_owned(), load);
    }
    let mark = BTreeMap::from([(UNUSED.to_owned(), structure::empty())]);
    create(client, &new, wanted, &mark).await
}

/// Deletes what a run that was killed left of these collections.
async fn drop_left(
    client: &Client,
    wanted: &BTreeMap<String, Wanted>,
    unused: &BTreeSet<String>,
    places: &Places,
) -> Result<(), EngineError> {
    for index in unused {
        let mut collections = wanted.values().filter_map(Wanted::collection);
        let ours = collections.any(|collection| places::belongs(index, collection));
        if ours && !places.known().unused.contains(index) {
            swap::delete(client, index).await?;
        }
    }
    Ok(())
}

/// Refuses names that mean something else in the target.
fn check_names(
    plan: &ImportPlan,
    wanted: &BTreeMap<String, Wanted>,
    there: &BTreeMap<String, String>,
    aliases: &BTreeMap<String, BTreeSet<String>>,
    serving: &BTreeMap<String, String>,
    known: &Known,
) -> Result<(), EngineError> {
    let ours: BTreeSet<&String> = serving.values().collect();
    let not_empty = |problem: String| Err(EngineError::TargetNotEmpty { problem });
    for (target, index) in wanted {
        if plan.drill_prefix.is_some() && there.contains_key(target) && !known.made.contains(target)
        {
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
                .and_then(|indices| indices.iter().find(|name| !ours.contains(name)));
            if let Some(foreign) = foreign {
                return not_empty(format!(
                    "the alias {alias:?} of the target means the index {foreign:?}, which is not in the backup: with {target:?} it would mean two; remove it there, or rename it with remap"
                ));
            }
        }
    }
    Ok(())
}

async fn create(
    client: &Client,
    target: &str,
    wanted: &Wanted,
    aliases: &Aliases,
) -> Result<(), EngineError> {
    #[derive(serde::Serialize)]
    struct Create<'a> {
        settings: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        mappings: Option<&'a RawValue>,
        aliases: &'a Aliases,
    }
    let mappings = &*wanted.definition.mappings;
    let body = serde_json::to_vec(&Create {
        settings: &wanted.definition.settings,
        mappings: Some(mappings).filter(|text| text.get() != "null"),
        aliases,
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
        actions.push(swap::add(target, alias, settings));
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

/// Puts settings back that a load which was killed left behind, then what was loaded into its place.
pub(super) async fn finish(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
    places: &Places,
) -> Result<(), EngineError> {
    let wanted = wanted(plan, structure)?;
    let loading = import::loading();
    for (target, wanted) in &wanted {
        let index = places.physical(target);
        let settings = catalog::settings(client, &index).await?;
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
        import::put(client, &index, &back).await?;
    }
    let aliases = |target: &str| wanted.get(target).map(|wanted| &wanted.aliases);
    swap::swap(client, places, aliases).await
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
