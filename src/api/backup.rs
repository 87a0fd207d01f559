//! `Backup`: one export.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Compression, JobTemplate, Limits, LocalRef, ManifestRef, PhaseTiming, RetryPolicy, Span, Totals,
};
use super::engines::SourceSpec;
use super::text;

/// One export. The spec can't be changed later, but for `cancel` and `hold`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "Backup",
    namespaced,
    shortname = "bk",
    category = "lifeboat",
    status = "BackupStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One export of a data system into object storage.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Records",
        type_ = "integer",
        json_path = ".status.totals.records"
    ),
    printcolumn(
        name = "Stored",
        type_ = "integer",
        json_path = ".status.totals.storedBytes",
        description = "Bytes in the bucket"
    ),
    printcolumn(
        name = "Consistent",
        type_ = "date",
        json_path = ".status.consistencyTime"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Failed\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// What is backed up.
    pub source: SourceSpec,
    /// The StorageLocation that is written to.
    pub storage: LocalRef,
    /// How stored bytes are packed. Default zstd, level 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The longest one attempt may take. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often a failed run is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// What the job may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Settings of the job pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobTemplate>,
    /// True ends the run; the Backup becomes Failed with the reason Cancelled.
    #[serde(default)]
    pub cancel: bool,
    /// True keeps the files from retention.
    #[serde(default)]
    pub hold: bool,
}

/// Where a Backup stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing was started yet, or the next attempt waits.
    #[default]
    Pending,
    /// A job runs.
    Running,
    /// Done, and proven.
    Complete,
    /// Ended without success.
    Failed,
}

/// What became of a Backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Complete`, `Failed`, `Ready`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::conditions")]
    pub conditions: Vec<Condition>,
    /// Pending, Running, Complete or Failed: the conditions in one word, for people.
    #[serde(default)]
    pub phase: Phase,
    /// The slot's name in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub slot: Option<String>,
    /// The attempt that runs or ran last, counted from 1.
    #[serde(default)]
    pub attempt: u32,
    /// When the next attempt may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<jiff::Timestamp>,
    /// A run that went without a word may still commit until then, unless its slot is made void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_until: Option<jiff::Timestamp>,
    /// The Job of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub job: Option<String>,
    /// When the first attempt was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<jiff::Timestamp>,
    /// When it was Complete or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<jiff::Timestamp>,
    /// Every write acknowledged before this is in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_time: Option<jiff::Timestamp>,
    /// The committed manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
    /// `Full` or `Incremental`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub chain: Option<String>,
    /// What was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// The phases of the run that ended it, with their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub phases: Vec<PhaseTiming>,
    /// What a person should know although it succeeded. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub warnings: Vec<String>,
}
