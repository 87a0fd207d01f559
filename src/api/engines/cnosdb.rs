//! CnosDB as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, Incremental, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "cnosdb";

/// How CnosDB is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CnosDbMethod {
    /// Rows by SQL over HTTP through the job pod; no key of the bucket reaches the server.
    #[default]
    Client,
    /// `COPY INTO` by the server itself; not built yet.
    CopyInto,
}

/// One database, or some of its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CnosDbDatabase {
    /// Name of the database.
    #[schemars(schema_with = "text::data_name")]
    pub name: String,
    /// Tables to take, by exact name. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::data_names")]
    pub tables: Vec<String>,
}

/// One tenant, or some of its databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CnosDbTenant {
    /// Name of the tenant.
    #[schemars(schema_with = "text::data_name")]
    pub name: String,
    /// Databases, or parts of them. Empty: all but the server's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub databases: Vec<CnosDbDatabase>,
}

/// A CnosDB cluster to export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.method) || self.method == 'client'").message("only the method client is built yet; copyInto is refused until it is"))]
pub struct CnosDbSource {
    /// Base URL of the HTTP API, for example `http://cnosdb:8902`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`. None: `root` without a password, as in a new server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The method. Default client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<CnosDbMethod>,
    /// Tenants, or parts of them. Empty: the whole cluster, which takes an administrator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tenants: Vec<CnosDbTenant>,
    /// Windows between full exports. None: each export is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Incremental>,
}

/// A CnosDB cluster to restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CnosDbTarget {
    /// Base URL of the HTTP API, for example `http://cnosdb:8902`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`. None: `root` without a password, as in a new server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Tenant that everything is restored into, whatever its tenant in the backup. None: the same tenants, made where they are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::data_name")]
    pub tenant: Option<String>,
}

impl EngineSpec for CnosDbSource {
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

impl EngineSpec for CnosDbTarget {
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

impl TargetEngineSpec for CnosDbTarget {
    fn imports(&self, method: &str) -> bool {
        method == "client"
    }
}
