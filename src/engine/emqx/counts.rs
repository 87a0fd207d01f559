//! What can be counted on both sides over the REST API.

use std::collections::BTreeMap;

use super::api::Api;
use super::archive::{Contents, Rows};
use crate::engine::EngineError;

/// A list whose length the API tells.
pub(super) struct List {
    /// Its name in a backup.
    pub(super) name: &'static str,
    /// Its name for people.
    pub(super) words: &'static str,
    path: &'static [&'static str],
    /// The table that it shows; none: it is in the configuration.
    table: Option<&'static str>,
}

/// The table of API keys.
pub(super) const API_KEYS: &str = "emqx_app";
/// The table of dashboard users.
pub(super) const DASHBOARD_USERS: &str = "emqx_admin";
/// The list whose entries end by themselves.
pub(super) const BANNED: &str = "banned";

const RULES_OF: [&str; 4] = ["authorization", "sources", "built_in_database", "rules"];

/// All lists. PSKs, API keys and dashboard users have none that an API key may read: their records
/// are counted in the archive alone.
pub(super) const LISTS: [List; 6] = [
    List {
        name: "users",
        words: "users with a password",
        path: &[
            "authentication",
            "password_based:built_in_database",
            "users",
        ],
        table: Some("emqx_authn_mnesia"),
    },
    List {
        name: "scramUsers",
        words: "SCRAM users",
        path: &["authentication", "scram:built_in_database", "users"],
        table: Some("emqx_authn_scram_mnesia"),
    },
    List {
        name: "userRules",
        words: "users with authorization rules",
        path: &[RULES_OF[0], RULES_OF[1], RULES_OF[2], RULES_OF[3], "users"],
        table: Some("emqx_acl"),
    },
    List {
        name: "clientRules",
        words: "clients with authorization rules",
        path: &[
            RULES_OF[0],
            RULES_OF[1],
            RULES_OF[2],
            RULES_OF[3],
            "clients",
        ],
        table: Some("emqx_acl"),
    },
    List {
        name: BANNED,
        words: "bans",
        path: &["banned"],
        table: Some("emqx_banned"),
    },
    List {
        name: "rules",
        words: "rules of the rule engine",
        path: &["rules"],
        table: None,
    },
];

/// Lengths by a list's name. A list that the server does not have is not in it.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// Asks for all lengths.
pub(super) async fn ask(api: &Api) -> Result<Counts, EngineError> {
    let mut counts = Counts::new();
    for list in &LISTS {
        if let Some(count) = api.count(list.path).await? {
            counts.insert(list.name, count);
        }
    }
    Ok(counts)
}

/// The smaller of each: what was there all the time between both.
pub(super) fn least(before: &Counts, after: &Counts) -> Counts {
    before
        .iter()
        .filter_map(|(name, count)| Some((*name, (*count).min(*after.get(name)?))))
        .collect()
}

/// The counts that an archive speaks of: those whose table (or configuration) is in it. The error
/// names what the archive lacks: it may have more than a list shows, never less.
pub(super) fn covered(counts: &Counts, contents: &Contents, rules: bool) -> Result<Counts, String> {
    let mut covered = Counts::new();
    let mut of_table: BTreeMap<&str, u64> = BTreeMap::new();
    for list in &LISTS {
        let Some(count) = counts.get(list.name).copied() else {
            continue;
        };
        match list.table {
            None if rules => {
                covered.insert(list.name, count);
            }
            None => {}
            Some(table) => {
                if let Some(rows) = contents.tables.get(table) {
                    covered.insert(list.name, count);
                    let needed = of_table.entry(table).or_default();
                    *needed += count;
                    if let Some(Rows { all, .. }) = rows
                        && all < needed
                    {
                        return Err(format!(
                            "the archive has {all} records of the table {table}, while the server showed {needed}"
                        ));
                    }
                }
            }
        }
    }
    Ok(covered)
}

/// What of `wanted` is there, and a sentence on what is not.
pub(super) fn there(wanted: &BTreeMap<&'static str, u64>, found: &Counts) -> (u64, Vec<String>) {
    let mut missing = Vec::new();
    let mut sum = 0;
    for list in &LISTS {
        let Some(wanted) = wanted.get(list.name).copied() else {
            continue;
        };
        let found = found.get(list.name).copied().unwrap_or(0);
        sum += found.min(wanted);
        if found < wanted {
            missing.push(format!("{found} of {wanted} {}", list.words));
        }
    }
    (sum, missing)
}

/// What a cluster holds, in words; none where it holds nothing.
pub(super) fn words(counts: &Counts) -> Option<String> {
    let held: Vec<String> = LISTS
        .iter()
        .filter_map(|list| Some((list, *counts.get(list.name)?)))
        .filter(|(_, count)| *count > 0)
        .map(|(list, count)| format!("{count} {}", list.words))
        .collect();
    (!held.is_empty()).then(|| held.join(", "))
}
