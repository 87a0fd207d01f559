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
/// Bytes of names in one part.
const NAMES_LIMIT: usize = 256 * 1024;
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
    /// As parts of one name, so that no line of the parts index grows too long: the first holds the
    /// structure, and the names of complete measurements follow on as many as it takes.
    pub(super) fn to_parts(&self) -> Vec<Part> {
        // Plain lists and maps of strings and numbers always have a JSON form.
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let part = |attributes| Part {
            kind: KIND_DATABASE.to_owned(),
            name: BTreeMap::from([(NAME_DATABASE.to_owned(), self.name.clone())]),
            attributes,
            ..Part::default()
        };
        let mut parts = vec![part(BTreeMap::from([
            (
                POLICIES.to_owned(),
                json(serde_json::to_string(&self.policies)),
            ),
            (
                QUERIES.to_owned(),
                json(serde_json::to_string(&self.queries)),
            ),
        ]))];
        for (policy, names) in &self.complete {
            for some in chunks(names) {
                let complete = BTreeMap::from([(policy, some)]);
                let text = json(serde_json::to_string(&complete));
                parts.push(part(BTreeMap::from([(COMPLETE.to_owned(), text)])));
            }
        }
        parts
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

/// Cuts a list of names where its JSON form may grow beyond [`NAMES_LIMIT`].
fn chunks(names: &[String]) -> Vec<&[String]> {
    let mut chunks = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, name) in names.iter().enumerate() {
        // A character takes six bytes at most.
        let more = name.len() * 6 + 3;
        if at > start && size + more > NAMES_LIMIT {
            chunks.push(&names[start..at]);
            (start, size) = (at, 0);
        }
        size += more;
    }
    if start < names.len() {
        chunks.push(&names[start..]);
    }
    chunks
}

/// All databases of structure parts; parts of one name are one database.
pub(super) fn read_all(parts: &[Part]) -> Result<Vec<Database>, EngineError> {
    let mut all: BTreeMap<String, Database> = BTreeMap::new();
    // A measurement without records has no files either, as a window often finds it.
    for part in parts.iter().filter(|part| part.kind != KIND_MEASUREMENT) {
        let found = Database::from_part(part)?;
        let database = all.entry(found.name.clone()).or_default();
        database.name = found.name;
        for policy in found.policies {
            if !database
                .policies
                .iter()
                .any(|have| have.name == policy.name)
            {
                database.policies.push(policy);
            }
        }
        for query in found.queries {
            if !database.queries.iter().any(|have| have.name == query.name) {
                database.queries.push(query);
            }
        }
        for (policy, names) in found.complete {
            database.complete.entry(policy).or_default().extend(names);
        }
    }
    Ok(all.into_values().collect())
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
        assert_eq!(
            read_all(&database.to_parts()).unwrap(),
            std::slice::from_ref(&database)
        );
        // The structure of a chain: each backup's parts, one after another.
        let twice = [database.to_parts(), database.to_parts()].concat();
        let found = read_all(&twice).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].policies, database.policies);
    }

    #[test]
    fn many_names_are_cut_into_parts_that_an_index_takes() {
        let names: Vec<String> = (0..50_000)
            .map(|at| format!("measurement {at}\u{1}"))
            .collect();
        let database = Database {
            name: "d".into(),
            complete: BTreeMap::from([("r".into(), names.clone())]),
            ..Database::default()
        };
        let parts = database.to_parts();
        assert!(
            parts
                .iter()
                .all(|part| serde_json::to_string(part).unwrap().len() < 1 << 20)
        );
        assert_eq!(read_all(&parts).unwrap()[0].complete["r"], names);
    }

    #[test]
    fn hostile_parts_are_refused() {
        let parts = Database {
            name: "d".into(),
            ..Database::default()
        }
        .to_parts();
        let good = parts[0].clone();
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
