//! InfluxDB 1.x as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, Incremental, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "influxdb";

/// How InfluxDB is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InfluxDbMethod {
    /// Queries over HTTP, stored as line protocol that `influx -import` reads.
    #[default]
    LineProtocol,
    /// `influxd backup -portable`; not built yet.
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
}

/// An InfluxDB to export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.method) || self.method == 'lineProtocol'").message("only the method lineProtocol is built yet; portable and ctl are refused until they are"))]
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
        method == "lineProtocol"
    }
}
