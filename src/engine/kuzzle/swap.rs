//! Puts a loaded index in the place of the one that serves: all aliases at one moment, so that who
//! reads by an alias sees the old documents or the new ones, and never none or a part.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalog;
use super::client::Client;
use super::names;
use super::places::{Load, Places, UNUSED};
use crate::engine::EngineError;

/// The aliases of each index that was loaded.
pub(super) type Aliases = BTreeMap<String, Box<RawValue>>;

/// An action of `_aliases` that adds one.
pub(super) fn add(index: &str, alias: &str, settings: &RawValue) -> Value {
    let mut add: Value = serde_json::from_str(settings.get()).unwrap_or_else(|_| json!({}));
    add["index"] = json!(index);
    add["alias"] = json!(alias);
    json!({"add": add})
}

fn remove(index: &str, alias: &str) -> Value {
    json!({"remove": {"index": index, "alias": alias}})
}

/// The actions that put `load` in its place. `now` are the aliases in the target.
fn actions(load: &Load, wanted: &Aliases, now: &BTreeMap<String, BTreeSet<String>>) -> Vec<Value> {
    let of = |index: &str| {
        let those = now.iter().filter(|(_, indices)| indices.contains(index));
        those.map(|(alias, _)| alias.clone()).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    // A Kuzzle that was started meanwhile gives each index an alias of its own.
    for alias in of(&load.new)
        .iter()
        .filter(|alias| !wanted.contains_key(*alias))
    {
        all.push(remove(&load.new, alias));
    }
    for alias in of(&load.old) {
        all.push(remove(&load.old, &alias));
    }
    for (alias, settings) in wanted {
        all.push(add(&load.new, alias, settings));
    }
    all.push(json!({"add": {"index": load.old, "alias": UNUSED}}));
    all
}

/// Puts all loads of a run in their places.
pub(super) async fn swap<'a>(
    client: &Client,
    places: &Places,
    wanted: impl Fn(&str) -> Option<&'a Aliases>,
) -> Result<(), EngineError> {
    let loads = places.known().loads.clone();
    if loads.is_empty() {
        return Ok(());
    }
    let now = catalog::aliases(client).await?;
    let none = Aliases::new();
    let mut all = Vec::new();
    for (target, load) in &loads {
        all.extend(actions(load, wanted(target).unwrap_or(&none), &now));
    }
    let body = json!({"actions": all});
    client.change(Method::POST, "_aliases", Some(&body)).await?;
    let mut known = places.known();
    for (target, load) in loads {
        known.unused.insert(load.old);
        known.elsewhere.insert(target.clone(), load.new);
        known.loads.remove(&target);
    }
    Ok(())
}

/// Deletes what this run made and does not need, or took the place of. The server's word counts, not
/// this run's: the answer to a swap may have been lost.
pub(super) async fn drop_unused(client: &Client, places: &Places) -> Result<(), EngineError> {
    let unused = places.known().unused.clone();
    if unused.is_empty() {
        return Ok(());
    }
    let marked = catalog::aliases(client).await?.remove(UNUSED);
    for index in marked.unwrap_or_default().intersection(&unused) {
        delete(client, index).await?;
    }
    Ok(())
}

/// Deletes an index; one that is not there is no error.
pub(super) async fn delete(client: &Client, index: &str) -> Result<(), EngineError> {
    let path = format!("{}?ignore_unavailable=true", names::escape(index));
    client.change(Method::DELETE, &path, None).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn aliases_move_and_the_old_index_is_marked() {
        let load = Load {
            new: "&i.c.9".to_owned(),
            old: "&i.c".to_owned(),
        };
        let settings = RawValue::from_string(r#"{"filter":{"term":{"a":1}}}"#.to_owned()).unwrap();
        let wanted = Aliases::from([("@&i.c".to_owned(), settings)]);
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let now = BTreeMap::from([
            ("@&i.c".to_owned(), set("&i.c")),
            ("read".to_owned(), set("&i.c")),
            (UNUSED.to_owned(), set("&i.c.9")),
            ("@&i.c.9".to_owned(), set("&i.c.9")),
            ("@&i.d".to_owned(), set("&i.d")),
        ]);
        assert_eq!(
            json!(actions(&load, &wanted, &now)),
            json!([
                {"remove": {"index": "&i.c.9", "alias": "@&i.c.9"}},
                {"remove": {"index": "&i.c.9", "alias": UNUSED}},
                {"remove": {"index": "&i.c", "alias": "@&i.c"}},
                {"remove": {"index": "&i.c", "alias": "read"}},
                {"add": {"index": "&i.c.9", "alias": "@&i.c", "filter": {"term": {"a": 1}}}},
                {"add": {"index": "&i.c", "alias": UNUSED}},
            ])
        );
    }
}
