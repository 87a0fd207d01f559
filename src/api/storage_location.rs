//! `StorageLocation`: a bucket and prefix, its credentials, its access mode.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CaBundle, Credentials};
use super::engines::NotBuilt;
use super::text;

/// What a location may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// Backups are written and pruned.
    #[default]
    ReadWrite,
    /// Backups are only read, as on a standby.
    ReadOnly,
}

/// An S3 bucket, or one of a server that speaks S3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Location {
    /// Name of the bucket.
    #[schemars(schema_with = "text::bucket")]
    pub bucket: String,
    /// Path below which everything lies. Empty: the bucket's root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "text::prefix")]
    pub prefix: String,
    /// Region. Default us-east-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::region")]
    pub region: Option<String>,
    /// URL of the server, where it is not AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::url")]
    pub endpoint: Option<String>,
    /// Put the bucket's name into the path and not into the host. Most servers other than AWS need it.
    #[serde(default)]
    pub force_path_style: bool,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcsLocation {
    /// Name of the bucket.
    #[schemars(schema_with = "text::gcs_bucket")]
    pub bucket: String,
    /// Path below which everything lies. Empty: the bucket's root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "text::prefix")]
    pub prefix: String,
    /// URL of the server, where it is not Google's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::url")]
    pub endpoint: Option<String>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureLocation {
    /// Name of the storage account.
    #[schemars(schema_with = "text::azure_account")]
    pub account: String,
    /// Name of the container.
    #[schemars(schema_with = "text::azure_container")]
    pub container: String,
    /// Path below which everything lies. Empty: the container's root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "text::prefix")]
    pub prefix: String,
    /// URL of the account, where it is not `https://<account>.blob.core.windows.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::url")]
    pub endpoint: Option<String>,
}

/// A directory of a PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalLocation {
    /// The PersistentVolumeClaim that is mounted into job pods, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub claim_name: String,
    /// Path within the volume below which everything lies. Empty: its root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "text::prefix")]
    pub prefix: String,
}

/// Where backups are kept.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "StorageLocation",
    namespaced,
    shortname = "sloc",
    category = "lifeboat",
    status = "StorageLocationStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A bucket and prefix that backups are written to or read from, with its credentials and access mode.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.accessMode"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".status.bucket"),
    printcolumn(name = "Checked", type_ = "date", json_path = ".status.lastCheckTime"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.s3) ? 1 : 0) + (has(self.gcs) ? 1 : 0) + (has(self.azure) ? 1 : 0) + (has(self.local) ? 1 : 0) == 1").message("a location takes exactly one of s3, gcs, azure or local"))]
#[x_kube(validation = Rule::new("!has(self.encryption)").message("encryption is not built yet; remove it"))]
#[x_kube(validation = Rule::new("has(self.local) || has(self.credentials)").message("s3, gcs and azure need credentials.secretRef for now; workload identity is not built yet"))]
#[x_kube(validation = Rule::new("!has(self.local) || !has(self.credentials)").message("a local location takes no credentials; remove them"))]
#[x_kube(validation = Rule::new("!has(self.local) || !has(self.caBundle)").message("a local location takes no caBundle; remove it"))]
#[x_kube(validation = Rule::new("!has(self.takeOverFrom) || self.accessMode == 'ReadWrite'").message("takeOverFrom writes a claim, which a ReadOnly location never does; remove one of them"))]
pub struct StorageLocationSpec {
    /// An S3 bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
    /// A bucket of Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsLocation>,
    /// A container of Azure Blob Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureLocation>,
    /// A directory of a PersistentVolume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalLocation>,
    /// Secret with the store's keys. S3: `accessKeyId`, `secretAccessKey`, and where needed
    /// `sessionToken`. GCS: `serviceAccountKey`. Azure: `accountKey` or `sasToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Certificates to trust beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// ReadWrite, or ReadOnly as on a standby. Default ReadWrite.
    #[serde(default)]
    pub access_mode: AccessMode,
    /// Uid of the cluster whose claim is taken over, after that cluster was rebuilt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::uid")]
    pub take_over_from: Option<String>,
    /// Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<NotBuilt>,
}

impl StorageLocationSpec {
    /// Name of the bucket, the container or the claim.
    pub fn bucket(&self) -> Option<&str> {
        let s3 = self.s3.as_ref().map(|s3| &s3.bucket);
        let gcs = self.gcs.as_ref().map(|gcs| &gcs.bucket);
        let azure = self.azure.as_ref().map(|azure| &azure.container);
        let local = self.local.as_ref().map(|local| &local.claim_name);
        s3.or(gcs).or(azure).or(local).map(String::as_str)
    }

    /// True where both say the same place, whatever their credentials.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.s3 == other.s3
            && self.gcs == other.gcs
            && self.azure == other.azure
            && self.local == other.local
    }
}

/// What is known of a location.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageLocationStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, with a reason that tells one fault from another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::conditions")]
    pub conditions: Vec<Condition>,
    /// When the location was last checked and its state found changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_time: Option<jiff::Timestamp>,
    /// Name of the bucket, the container or the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub bucket: Option<String>,
    /// Name of the cluster that holds the claim here, for this operator's cluster name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub claimed_by: Option<String>,
}
