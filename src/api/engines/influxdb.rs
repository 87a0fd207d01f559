//! InfluxDB 1.x as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, Incremental, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::restore::Verify;
use crate::api::text;

const NAME: &str = "influxdb";

/// How InfluxDB is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InfluxDbMethod {
    /// Queries over HTTP, stored as line protocol that `influx -import` reads.
    #[default]
    LineProtocol,
    /// The server's own files, as `influxd backup -portable` keeps them (OSS 1.5 and later).
    Portable,
    /// `influxd-ctl backup` (Enterprise); not built yet.
    Ctl,
}

/// One database, or parts of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfluxDbDatabase {
    /// Name of the database.
    #[schemars(schema_with = "text::database_name")]
    pub name: String,
    /// Retention policies to take. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::retention_policies")]
    pub retention_policies: Vec<String>,
    /// Measurements to take, by exact name. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::measurements")]
    pub measurements: Vec<String>,
    /// Shards to take, by number. Empty: all. Only method portable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::shards")]
    pub shards: Vec<u64>,
}

/// An InfluxDB to export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.method) || self.method != 'ctl'").message("the method ctl is not built yet; use lineProtocol, which works on InfluxDB Enterprise too"))]
#[x_kube(validation = Rule::new("(has(self.method) && self.method == 'portable') == has(self.backupAddress)").message("backupAddress (such as influxdb:8088) goes with the method portable, which needs it: set both or neither"))]
#[x_kube(validation = Rule::new("(has(self.method) && self.method == 'portable') || !has(self.databases) || self.databases.all(d, !has(d.shards))").message("only the method portable takes single shards: remove shards, or use it"))]
#[x_kube(validation = Rule::new("!has(self.method) || self.method != 'portable' || !has(self.databases) || self.databases.all(d, !has(d.measurements))").message("the method portable takes whole shards: remove measurements, or use lineProtocol"))]
#[x_kube(validation = Rule::new("!has(self.method) || self.method != 'portable' || !has(self.incremental) || !has(self.incremental.lag)").message("an increment of the method portable takes whole shards: remove lag"))]
pub struct InfluxDbSource {
    /// Base URL of the HTTP API, for example `http://influxdb:8086`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`. None: the server asks for no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Host and port of the server's backup service, for example `influxdb:8088`. Only method portable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::host_and_port")]
    pub backup_address: Option<String>,
    /// The method. Default lineProtocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<InfluxDbMethod>,
    /// Databases, or parts of them. Empty: all but `_internal`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub databases: Vec<InfluxDbDatabase>,
    /// Windows between full exports. None: each export is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Incremental>,
}

/// An InfluxDB to restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfluxDbTarget {
    /// Base URL of the HTTP API, for example `http://influxdb:8086`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`. None: the server asks for no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Host and port of the server's backup service, for example `influxdb:8088`: for backups of the method portable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::host_and_port")]
    pub backup_address: Option<String>,
}

impl EngineSpec for InfluxDbSource {
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

impl EngineSpec for InfluxDbTarget {
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

impl TargetEngineSpec for InfluxDbTarget {
    fn imports(&self, method: &str) -> bool {
        matches!(method, "lineProtocol" | "portable")
    }

    fn verifies(&self, method: &str, verify: Verify) -> bool {
        method != "portable" || matches!(verify, Verify::None | Verify::Counts)
    }
}
