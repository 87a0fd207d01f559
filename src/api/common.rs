//! Types that several kinds share.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::job_pod::{EnvVar, Scratch, Volume, VolumeMount};
use super::text;

/// A reference to an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
}

/// One key of a ConfigMap of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the ConfigMap, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Key within it.
    #[schemars(schema_with = "text::config_key")]
    pub key: String,
}

/// Credentials in a Secret with documented keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Secret, in the same namespace.
    pub secret_ref: LocalRef,
}

/// Certificates to trust beside those of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// PEM certificates in a ConfigMap.
    pub config_map_ref: KeyRef,
}

/// How a database's TLS is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Certificates to trust beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
}

/// A span of time such as `90s`, `15m`, `1h30m` or `2d`, kept as it was written.
///
/// It is parsed when it is used: an object whose text slipped past the API server must not stop
/// the watch of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub String);

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        text::span(generator)
    }
}

/// A span of time that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a span of time; write for example 90s, 15m, 1h30m or 2d")]
pub struct SpanError(pub String);

impl Span {
    /// The span as a duration.
    pub fn get(&self) -> Result<std::time::Duration, SpanError> {
        humantime::parse_duration(&self.0).map_err(|_| SpanError(self.0.chars().take(40).collect()))
    }
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// How stored bytes are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Zstandard.
    #[default]
    Zstd,
    /// Gzip, which every vendor tool reads.
    Gzip,
    /// As they are.
    None,
}

/// How stored bytes are packed, and how hard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.level) || self.codec != 'none'").message("level has no meaning with codec none; remove it"))]
#[x_kube(validation = Rule::new("!has(self.level) || self.codec != 'gzip' || self.level <= 9").message("gzip takes a level from 1 to 9"))]
pub struct Compression {
    /// The codec: zstd, gzip or none.
    #[serde(default)]
    pub codec: Codec,
    /// Level of the codec: 1 to 19 for zstd (default 3), 1 to 9 for gzip (default 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 19))]
    pub level: Option<i32>,
}

/// How often a failed run is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Further attempts after the first. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub limit: Option<u32>,
    /// Wait before the second attempt; doubled each time. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_backoff: Option<Span>,
    /// The longest wait. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<Span>,
}

/// What a job may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes a second to or from the database, as a quantity (`50Mi`). Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::bytes")]
    pub max_bytes_per_second: Option<String>,
    /// Parts worked on at once. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub parallelism: Option<u32>,
}

/// Settings of the job pod.
///
/// Kubernetes' own structures are handed on as they are; the API server checks them when the Job
/// is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))").message("each of job.volumeMounts names one of job.volumes"))]
pub struct JobTemplate {
    /// Resource requests and limits of the container, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::open_object")]
    pub resources: Option<Value>,
    /// Node labels to be scheduled on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::node_selector")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Tolerations, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::open_list")]
    pub tolerations: Option<Vec<Value>>,
    /// Affinity, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::open_object")]
    pub affinity: Option<Value>,
    /// Topology spread constraints, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::open_list")]
    pub topology_spread_constraints: Option<Vec<Value>>,
    /// Service account of the pod. Its token is never mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::object_name")]
    pub service_account_name: Option<String>,
    /// Priority class of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::object_name")]
    pub priority_class_name: Option<String>,
    /// Lifeboat's image. Default: the controller's own. A run that needs a vendor's image has that one
    /// named with its engine, and only copies Lifeboat's binary out of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::image")]
    pub image: Option<String>,
    /// Secrets to pull the image with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Option<Vec<LocalRef>>,
    /// Environment variables of the container, and of the commands that a run starts in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Further volumes of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Vec<Volume>,
    /// Where they are mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"]))]
    pub volume_mounts: Vec<VolumeMount>,
    /// A directory for what a run can't stream; a run that needs one has it on the node's disk where
    /// nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
    /// Further labels of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Further annotations of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// How long a finished Job is kept. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// A span of work with its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTiming {
    /// Name of the phase, for example `export`, `fetch`, `import` or `verify`.
    #[schemars(length(max = 32))]
    pub name: String,
    /// When it began.
    pub start_time: jiff::Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<jiff::Timestamp>,
}

/// Where a manifest is, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRef {
    /// Key in the bucket, below the location's prefix, beginning with `lifeboat/v1/`.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// SHA-256 of the manifest's bytes, in hex.
    #[schemars(length(min = 64, max = 64))]
    pub sha256: String,
}

/// What a run moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Parts: measurements, tables, indexes.
    #[serde(default)]
    pub parts: u64,
    /// Records: points, rows, documents.
    #[serde(default)]
    pub records: u64,
    /// Files in the bucket.
    #[serde(default)]
    pub files: u64,
    /// Bytes before the codec.
    #[serde(default)]
    pub plain_bytes: u64,
    /// Bytes in the bucket.
    #[serde(default)]
    pub stored_bytes: u64,
}
