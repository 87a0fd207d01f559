//! RethinkDB as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "rethinkdb";

/// One database, or some of its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RethinkDbDatabase {
    /// Name of the database.
    #[schemars(schema_with = "text::rethinkdb_name")]
    pub name: String,
    /// Tables to take. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::rethinkdb_tables")]
    pub tables: Vec<String>,
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RethinkDbDurability {
    /// When the server has it in memory; each table is brought to disk once all its rows are written.
    #[default]
    Soft,
    /// When the server has it on disk: slower, and takes less of the server's memory.
    Hard,
}

/// A RethinkDB to export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('rethinkdbs://')").message("tls says how the certificate is checked: begin the url with rethinkdbs://, or remove tls"))]
pub struct RethinkDbSource {
    /// Where the driver port of a server is, for example `rethinkdb://rethinkdb:28015`, or with TLS `rethinkdbs://rethinkdb:28015`.
    #[schemars(schema_with = "text::rethinkdb_url")]
    pub url: String,
    /// Secret with the keys `username` (without it: admin) and `password`. None: admin without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Databases, or some of their tables. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub databases: Vec<RethinkDbDatabase>,
    /// A table of at least twice as many rows is cut into up to 32 ranges of its primary key, of about so many rows each, which are read at once. Default 100000; fewer where rows are large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub range_rows: Option<u32>,
}

/// A RethinkDB to restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('rethinkdbs://')").message("tls says how the certificate is checked: begin the url with rethinkdbs://, or remove tls"))]
pub struct RethinkDbTarget {
    /// Where the driver port of a server is, for example `rethinkdb://rethinkdb:28015`, or with TLS `rethinkdbs://rethinkdb:28015`.
    #[schemars(schema_with = "text::rethinkdb_url")]
    pub url: String,
    /// Secret with the keys `username` (without it: admin) and `password`. None: admin without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Databases of the backup, or some of their tables, by their names in the backup. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub databases: Vec<RethinkDbDatabase>,
    /// When a write counts as done: soft or hard. Default soft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<RethinkDbDurability>,
    /// True: secondary indexes are not made. The way into a server of an earlier version that can't read their functions.
    #[serde(default)]
    pub no_secondary_indexes: bool,
    /// True: tables that are made get as many shards and replicas as the source's have.
    #[serde(default)]
    pub shards_and_replicas: bool,
}

impl EngineSpec for RethinkDbSource {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl EngineSpec for RethinkDbTarget {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl TargetEngineSpec for RethinkDbTarget {
    fn imports(&self, method: &str) -> bool {
        method == "native"
    }

    fn mirrors(&self) -> bool {
        true
    }
}
