//! A database's structure, stored as data in a part of its own, and the head of each file.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::catalog::{ContinuousQuery, Policy};
use super::ql;
use crate::engine::EngineError;
use crate::manifest::Part;

/// A part that holds a database's structure.
pub(super) const KIND_DATABASE: &str = "database";
/// A part that holds the points of a measurement in one retention policy.
pub(super) const KIND_MEASUREMENT: &str = "measurement";
/// A database's name.
pub(super) const NAME_DATABASE: &str = "database";
/// A retention policy's name.
pub(super) const NAME_POLICY: &str = "retentionPolicy";
/// A measurement's name.
pub(super) const NAME_MEASUREMENT: &str = "measurement";
const POLICIES: &str = "retentionPolicies";
const QUERIES: &str = "continuousQueries";
const COMPLETE: &str = "complete";
/// The server's own bound is lower.
const NAME_LIMIT: usize = 65_536;

/// A database's structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Database {
    /// Its name in the backup.
    pub(super) name: String,
    /// The retention policies that are in the backup.
    pub(super) policies: Vec<Policy>,
    /// Its continuous queries, where the whole database is in the backup.
    pub(super) queries: Vec<ContinuousQuery>,
    /// For each retention policy the measurements that this backup holds from the beginning of time:
    /// what `Replace` drops. Those of a window are not among them.
    pub(super) complete: BTreeMap<String, Vec<String>>,
}

impl Database {
    /// As a part.
    pub(super) fn to_part(&self) -> Part {
        // Plain lists and maps of strings and numbers always have a JSON form.
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        Part {
            kind: KIND_DATABASE.to_owned(),
            name: BTreeMap::from([(NAME_DATABASE.to_owned(), self.name.clone())]),
            attributes: BTreeMap::from([
                (
                    POLICIES.to_owned(),
                    json(serde_json::to_string(&self.policies)),
                ),
                (
                    QUERIES.to_owned(),
                    json(serde_json::to_string(&self.queries)),
                ),
                (
                    COMPLETE.to_owned(),
                    json(serde_json::to_string(&self.complete)),
                ),
            ]),
            ..Part::default()
        }
    }

    /// From a part of a backup, which is hostile until it was checked.
    pub(super) fn from_part(part: &Part) -> Result<Self, EngineError> {
        if part.kind != KIND_DATABASE {
            return Err(bad(&format!("a part of the kind {:?}", short(&part.kind))));
        }
        let name = named(part, NAME_DATABASE)?.to_owned();
        let database = Self {
            policies: read(part, POLICIES)?,
            queries: read(part, QUERIES)?,
            complete: read(part, COMPLETE)?,
            name,
        };
        if database
            .policies
            .iter()
            .any(|policy| policy.name.is_empty())
        {
            return Err(bad("a retention policy without a name"));
        }
        Ok(database)
    }
}

/// All structure parts.
pub(super) fn read_all(parts: &[Part]) -> Result<Vec<Database>, EngineError> {
    // A measurement without records has no files either, as a window often finds it.
    let databases = parts.iter().filter(|part| part.kind != KIND_MEASUREMENT);
    databases.map(Database::from_part).collect()
}

fn read<T: DeserializeOwned + Default>(part: &Part, key: &str) -> Result<T, EngineError> {
    match part.attributes.get(key) {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(text).map_err(|error| bad(&format!("{key}: {error}"))),
    }
}

/// A part's name of one kind.
pub(super) fn named<'a>(part: &'a Part, key: &str) -> Result<&'a str, EngineError> {
    part.name
        .get(key)
        .map(String::as_str)
        .filter(|name| !name.is_empty() && name.len() <= NAME_LIMIT)
        .ok_or_else(|| bad(&format!("a part without the name {key}")))
}

fn bad(what: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("its parts index holds what this engine does not write: {what}"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The head of each file: with it `influx -import` reads the file alone.
///
/// Vendor source: `importer/v8/importer.go`.
pub(super) fn header(database: &str, policy: &Policy) -> String {
    format!(
        "# DDL\nCREATE DATABASE {}\n{}\n# DML\n# CONTEXT-DATABASE: {database}\n# CONTEXT-RETENTION-POLICY: {}\n",
        ql::ident(database),
        policy.create(database),
        policy.name,
    )
}

/// Whether `influx -import` reads the head rightly: it cuts names at a colon and trims them.
pub(super) fn importable(name: &str) -> bool {
    !name.contains([':', '\n', '\r']) && name.trim() == name
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn structure_goes_round() {
        let database = Database {
            name: "d\"b".into(),
            policies: vec![Policy {
                name: "autogen".into(),
                duration_seconds: 0,
                shard_duration_seconds: 604_800,
                replication: 1,
                default: true,
            }],
            queries: vec![ContinuousQuery {
                name: "q".into(),
                query: "CREATE …".into(),
            }],
            complete: BTreeMap::from([("autogen".into(), vec!["m".into()])]),
        };
        assert_eq!(Database::from_part(&database.to_part()).unwrap(), database);
    }

    #[test]
    fn hostile_parts_are_refused() {
        let good = Database {
            name: "d".into(),
            ..Database::default()
        }
        .to_part();
        let with = |key: &str, value: &str| {
            let mut part = good.clone();
            part.attributes.insert(key.into(), value.into());
            part
        };
        for part in [
            Part {
                kind: "shell".into(),
                ..good.clone()
            },
            Part {
                name: BTreeMap::new(),
                ..good.clone()
            },
            with(
                POLICIES,
                "[{\"name\":\"\",\"durationSeconds\":1,\"shardDurationSeconds\":1,\"replication\":1}]",
            ),
            with(
                POLICIES,
                "[{\"name\":\"x\",\"durationSeconds\":\"1; DROP\",\"shardDurationSeconds\":1,\"replication\":1}]",
            ),
            with(QUERIES, "{"),
        ] {
            let error = Database::from_part(&part).unwrap_err();
            assert!(matches!(error, EngineError::BadBackup { .. }), "{error}");
        }
    }
}
