//! Decides what an export is made of, and looks at the source once more when it is over.

use std::collections::BTreeMap;

use super::catalog;
use super::client::Client;
use super::fault::word;
use super::pattern::Selection;
use super::places::UNUSED;
use super::structure::{self, KIND_DOCUMENTS, KIND_INDEX, UUID};
use crate::engine::{ChainPlan, EngineError, ExportPlan, PartPlan};

/// The method, as manifests write it.
pub(super) const METHOD: &str = "elasticsearch";
/// Kuzzle's users, of whom the logins lie in the stores of plugins.
const USERS: &str = "%kuzzle.users";
/// What Kuzzle's own internal indices begin with.
const INTERNAL: &str = "%kuzzle.";
/// What all internal indices begin with: plugins' too.
const PRIVATE: &str = "%";

/// Looks at all indices, makes what was written visible, and plans a part for each.
pub(super) async fn plan(
    client: &Client,
    selection: &Selection,
) -> Result<ExportPlan, EngineError> {
    let server = catalog::server_info(client).await?;
    let mut all = catalog::indices(client).await?;
    // What an import into this server is at, or left behind.
    let unused = catalog::aliases(client).await?.remove(UNUSED);
    all.retain(|name, _| !unused.as_ref().is_some_and(|unused| unused.contains(name)));
    let chosen: BTreeMap<&String, &String> = all
        .iter()
        .filter(|(name, _)| selection.takes(name))
        .collect();
    if let Some(index) = catalog::closed(client)
        .await?
        .iter()
        .find(|index| chosen.contains_key(index))
    {
        return Err(EngineError::NotSupported {
            problem: format!(
                "the index {:?} is closed, so nobody can read it; open it, or take it out with kuzzle.exclude",
                word(index)
            ),
        });
    }
    let mut structure = Vec::new();
    let mut parts = Vec::new();
    for (&index, &uuid) in &chosen {
        catalog::refresh(client, index).await?;
        let mut definition = catalog::definition(client, index).await?;
        definition
            .source_kept()
            .map_err(|why| EngineError::NotSupported {
                problem: format!(
                    "the index {:?} can't be backed up, because {why}; take it out with kuzzle.exclude",
                    word(index)
                ),
            })?;
        definition.strip();
        structure.extend(definition.parts(index, uuid));
        parts.push(PartPlan {
            kind: KIND_DOCUMENTS.to_owned(),
            name: structure::name(index),
            extension: "json".to_owned(),
            ..PartPlan::default()
        });
    }
    let (include, exclude) = selection.show();
    Ok(ExportPlan {
        server,
        method: METHOD.to_owned(),
        scope: BTreeMap::from([
            ("include".to_owned(), include),
            ("exclude".to_owned(), exclude),
            ("indices".to_owned(), chosen.len().to_string()),
        ]),
        chain: ChainPlan::Full,
        structure,
        parts,
        warnings: warnings(all.keys(), selection),
    })
}

fn warnings<'a>(all: impl Iterator<Item = &'a String>, selection: &Selection) -> Vec<String> {
    let (mut users, mut taken, mut left) = (false, 0, Vec::new());
    let mut chosen = 0;
    for index in all {
        let inside = selection.takes(index);
        chosen += usize::from(inside);
        users |= inside && index == USERS;
        if index.starts_with(PRIVATE) && !index.starts_with(INTERNAL) {
            if inside {
                taken += 1;
            } else {
                left.push(index.as_str());
            }
        }
    }
    let mut warnings = Vec::new();
    if chosen == 0 {
        warnings.push(
            "no index matches kuzzle.include: the backup is empty; look at the patterns".to_owned(),
        );
    }
    if users && !left.is_empty() {
        warnings.push(word(&format!(
            "users are in the backup, but not these stores of plugins, where logins are kept: {}; without them nobody can log in: widen kuzzle.include",
            left.join(", ")
        )));
    } else if users && taken == 0 {
        warnings.push(
            "users are in the backup, but the source has no stores of plugins, where logins are kept: after a restore nobody can log in with a password".to_owned(),
        );
    }
    warnings
}

/// Whether each index is still the one that the plan found.
pub(super) async fn look_again(client: &Client, plan: &ExportPlan) -> Result<(), EngineError> {
    let changed = |problem: String| Err(EngineError::SourceChanged { problem });
    if catalog::server_info(client).await?.server_id != plan.server.server_id {
        return changed("another cluster answers".to_owned());
    }
    let now = catalog::indices(client).await?;
    for part in plan.structure.iter().filter(|part| part.kind == KIND_INDEX) {
        let index = structure::index(&part.name)?;
        match now.get(index) {
            None => return changed(format!("the index {:?} is gone", word(index))),
            Some(uuid) if Some(uuid) != part.attributes.get(UUID) => {
                return changed(format!("the index {:?} was made anew", word(index)));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn users_without_the_stores_of_plugins_are_a_warning() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (indices, include, exclude, want) in [
            (
                &["%kuzzle.users", "%plugin-local.users"][..],
                &[][..],
                &[][..],
                None,
            ),
            (
                &["%kuzzle.users", "%plugin-local.users"],
                &[],
                &["^%plugin"],
                Some("%plugin-local.users"),
            ),
            (
                &["%kuzzle.users", "%plugin-local.users"],
                &["^%kuzzle"],
                &[],
                Some("nobody can log in"),
            ),
            (&["%kuzzle.users"], &[], &[], Some("no stores of plugins")),
            (&["&i.c", "%kuzzle.users"], &["^&"], &[], None),
            (&["logs"], &[], &[], Some("the backup is empty")),
        ] {
            let selection = Selection::new(&words(include), &words(exclude)).unwrap();
            let found = warnings(words(indices).iter(), &selection).join("\n");
            match want {
                None => assert_eq!(found, "", "{indices:?}"),
                Some(part) => assert!(found.contains(part), "{indices:?}: {found}"),
            }
        }
    }
}
