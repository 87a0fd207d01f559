//! `BackupSchedule`: creates Backups by cron or interval, and keeps or prunes them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::BackupSpec;
use super::common::{LocalRef, ManifestRef, Span};
use super::text;

/// Which backups are kept: the union of the rules. No rule: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_last: Option<u32>,
    /// All that are younger than this, counted from the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Span>,
    /// The newest of each of so many days that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_daily: Option<u32>,
    /// The newest of each of so many ISO weeks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_weekly: Option<u32>,
    /// The newest of each of so many months that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_monthly: Option<u32>,
    /// The newest of each of so many years that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub keep_yearly: Option<u32>,
    /// Failed Backup objects to keep. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub keep_failed: Option<u32>,
}

/// What is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupObjectives {
    /// The most data, in time, that may be lost: the age that the newest backup's consistency time may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Span>,
}

/// A further location that each complete backup is copied into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.retention) || !has(self.retention.keepFailed)").message("keepFailed counts Backup objects, of which a copy has none; set it in spec.retention"))]
pub struct ReplicaSpec {
    /// Name of the StorageLocation, in the same namespace. It has to be ReadWrite.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Which copies are kept there. Not set: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// Labels and annotations for a made object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMeta {
    /// Labels to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The Backup that a schedule makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupTemplate {
    /// Labels and annotations of the Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
    /// Spec of the Backup.
    pub spec: BackupSpec,
}

/// Creates Backups by cron or interval, and keeps or prunes them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "BackupSchedule",
    namespaced,
    shortname = "bks",
    category = "lifeboat",
    status = "BackupScheduleStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Creates Backups by cron or interval, and prunes them by its retention rules.",
    validation = Rule::new("self.metadata.name.size() <= 40").message("a BackupSchedule's name takes at most 40 characters: its Backups add their slot to it"),
    printcolumn(name = "Cron", type_ = "string", json_path = ".spec.cron"),
    printcolumn(name = "Every", type_ = "string", json_path = ".spec.every"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "RPO met", type_ = "string", json_path = ".status.conditions[?(@.type==\"RPOMet\")].status"),
    printcolumn(name = "Consistent", type_ = "date", json_path = ".status.lastConsistencyTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextSlotTime"),
    printcolumn(name = "Replicated", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"Replicated\")].status"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cron) != has(self.every)").message("a schedule takes exactly one of cron and every"))]
#[x_kube(validation = Rule::new("!has(self.timeZone) || has(self.cron)").message("timeZone goes with cron; every is anchored to the epoch in UTC"))]
#[x_kube(validation = Rule::new("!has(self.replicateTo) || self.replicateTo.all(r, r.name != self.template.spec.storage.name)").message("replicateTo names other locations than template.spec.storage; remove that one"))]
#[x_kube(validation = Rule::new("!self.template.spec.cancel && !self.template.spec.hold").message("cancel and hold belong on a Backup, not on the template"))]
pub struct BackupScheduleSpec {
    /// Five fields, as in a CronJob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::cron")]
    pub cron: Option<String>,
    /// Interval, anchored to the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// IANA zone of `cron`. Default Etc/UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::time_zone")]
    pub time_zone: Option<String>,
    /// Start up to so much later; stable for the schedule, shown in status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::span_or_zero")]
    pub jitter: Option<Span>,
    /// True: make no Backups.
    #[serde(default)]
    pub suspend: bool,
    /// A new value makes one Backup now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::line")]
    pub trigger: Option<String>,
    /// A slot missed by more is skipped and counted. Slots that came due while a Backup ran are started one after another within this time. Default: until the next slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline: Option<Span>,
    /// The RestoreSchedule that must be promoted before this schedule starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_when_promoted: Option<LocalRef>,
    /// Which backups are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// What is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<BackupObjectives>,
    /// Further locations that each complete backup is copied into. A location that fails delays no backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub replicate_to: Option<Vec<ReplicaSpec>>,
    /// The Backup to make.
    pub template: BackupTemplate,
}

/// What became of a BackupSchedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupScheduleStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `RPOMet`, `Overdue`, `Replicated`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::conditions")]
    pub conditions: Vec<Condition>,
    /// Digest of the schedule's timing, and since when it holds: an edited schedule never fires for the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub timing_digest: Option<String>,
    /// Since when the timing holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing_since: Option<jiff::Timestamp>,
    /// The newest slot that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot_time: Option<jiff::Timestamp>,
    /// The next slot, without jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_slot_time: Option<jiff::Timestamp>,
    /// Seconds by which this schedule starts later than its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_seconds: Option<u64>,
    /// The trigger value that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_trigger: Option<String>,
    /// Slots that were skipped, since the schedule was made.
    #[serde(default)]
    pub missed_slots: u64,
    /// Backups that have not ended. At most 16 names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub active: Vec<String>,
    /// The newest complete Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub last_complete: Option<String>,
    /// Its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_manifest: Option<ManifestRef>,
    /// Its consistency time: the RPO is the time since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_consistency_time: Option<jiff::Timestamp>,
    /// The newest Failed Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub last_failed: Option<String>,
    /// When pruning last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prune_time: Option<jiff::Timestamp>,
    /// When files that no manifest names were last looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sweep_time: Option<jiff::Timestamp>,
    /// How far the copies in each location of `replicateTo` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub replicas: Vec<ReplicaStatus>,
}

/// How far the copies in one location are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// Name of the StorageLocation.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Consistency time of the newest backup there: the age of the copies is the time since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_time: Option<jiff::Timestamp>,
    /// The newest slot up to which copies were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub slot: Option<String>,
    /// Runs that have ended.
    #[serde(default)]
    pub runs: u64,
    /// Runs in a row that failed.
    #[serde(default)]
    pub failures: u32,
    /// When the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<jiff::Timestamp>,
    /// A run that was lost may be at work until then: no other begins before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_until: Option<jiff::Timestamp>,
    /// When its retention rules were last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prune_time: Option<jiff::Timestamp>,
    /// When files that no manifest names were last swept there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sweep_time: Option<jiff::Timestamp>,
    /// What is wrong, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}
