//! CnosDB as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, Incremental, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::restore::Verify;
use crate::api::text;

const NAME: &str = "cnosdb";

/// How CnosDB is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CnosDbMethod {
    /// Rows by SQL over HTTP through the job pod; no key of the bucket reaches the server.
    #[default]
    Client,
    /// `COPY INTO`: the server writes files into the location by itself. Its keys travel in SQL text.
    CopyInto,
}

/// The files that `COPY INTO` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CopyFormat {
    /// Parquet, which only the server reads again.
    #[default]
    Parquet,
    /// Text. An empty string and a value that is not there are one.
    Csv,
    /// JSON objects, one a line. A number that is infinite or none is not there.
    Json,
}

/// How CnosDB's own nodes reach the location, beyond what the location says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopyConnection {
    /// For `gcs`: ask for no token, as an emulator wants it. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_oauth: Option<bool>,
    /// For `azure`: the nodes use the emulator of their environment (AZURITE_BLOB_STORAGE_URL, else `http://127.0.0.1:10000`). They know no other endpoint than Azure's own. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_emulator: Option<bool>,
    /// For `local`: where the location's volume is mounted on each of CnosDB's nodes. Default `/var/lib/lifeboat/store`, as in job pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::node_path")]
    pub mount_path: Option<String>,
}

/// The options of `COPY INTO` for an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(!has(self.delimiter) && !has(self.withHeader)) || (has(self.format) && self.format == 'CSV')").message("delimiter and withHeader are for files of the format CSV: set format to CSV, or remove them"))]
pub struct CnosDbCopyInto {
    /// The format of the files. Default PARQUET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<CopyFormat>,
    /// What stands between two values of a CSV file. Default a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::delimiter")]
    pub delimiter: Option<String>,
    /// Whether a CSV file begins with the columns' names. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_header: Option<bool>,
    /// How the nodes reach the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<CopyConnection>,
}

/// The options of `COPY INTO` for a restore. The format is in the backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CnosDbCopyFrom {
    /// Have the server guess the types from the files, and not take them from the target's table. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_infer_schema: Option<bool>,
    /// How the nodes reach the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<CopyConnection>,
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
#[x_kube(validation = Rule::new("!has(self.copyInto) || (has(self.method) && self.method == 'copyInto')").message("copyInto holds the options of the method copyInto: set method to copyInto, or remove it"))]
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
    /// The options of the method copyInto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_into: Option<CnosDbCopyInto>,
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
    /// The options of the import of a backup that was made with the method copyInto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_into: Option<CnosDbCopyFrom>,
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
        matches!(method, "client" | "copyInto")
    }

    fn verifies(&self, method: &str, verify: Verify) -> bool {
        // Of files that the server wrote, Lifeboat knows how many rows they have and no more.
        method != "copyInto" || matches!(verify, Verify::None | Verify::Counts)
    }
}
