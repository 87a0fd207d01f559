//! `RestoreSchedule`: the standing replay into a standby, or a recurring drill.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup_schedule::TemplateMeta;
use super::common::{LocalRef, ManifestRef, Span};
use super::restore::{BackupLine, RestoreParameters};
use super::text;

/// How a RestoreSchedule works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Replay each new backup.
    #[default]
    Continuous,
    /// Restore by cron into names that exist only for the drill.
    Drill,
}

/// What is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreObjectives {
    /// The most data, in time, that may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Span>,
    /// The longest that a recovery may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Span>,
}

/// The Restore that a schedule makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreTemplate {
    /// Labels and annotations of the Restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
    /// Spec of the Restore, without source.
    pub spec: RestoreParameters,
}

/// The standing replay into a standby, or a recurring drill.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "RestoreSchedule",
    namespaced,
    shortname = "rsts",
    category = "lifeboat",
    status = "RestoreScheduleStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Replays each new backup into a standby, or drills a restore by cron.",
    validation = Rule::new("self.metadata.name.size() <= 40").message("a RestoreSchedule's name takes at most 40 characters: its Restores add their slot to it"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "In sync", type_ = "string", json_path = ".status.conditions[?(@.type==\"InSync\")].status"),
    printcolumn(name = "RPO met", type_ = "string", json_path = ".status.conditions[?(@.type==\"RPOMet\")].status"),
    printcolumn(name = "Consistent", type_ = "date", json_path = ".status.lastConsistencyTime"),
    printcolumn(name = "RTO", type_ = "integer", json_path = ".status.lastRtoSeconds", description = "Seconds that the last restore took"),
    printcolumn(name = "Promoted", type_ = "string", json_path = ".status.conditions[?(@.type==\"Promoted\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode == 'Drill' ? (has(self.cron) != has(self.every)) : (!has(self.cron) && !has(self.every))").message("mode Drill takes exactly one of cron and every; mode Continuous takes neither"))]
#[x_kube(validation = Rule::new("!oldSelf.promoted || self.promoted").message("promoted can't be taken back: the standby is live. To fail back, create a RestoreSchedule in the other direction"))]
#[x_kube(validation = Rule::new("self.mode != 'Drill' || !self.promoted").message("a drill can't be promoted"))]
#[x_kube(validation = Rule::new("!has(self.timeZone) || has(self.cron)").message("timeZone goes with cron; every is anchored to the epoch in UTC"))]
#[x_kube(validation = Rule::new("self.mode != 'Continuous' || self.template.spec.conflictPolicy != 'Fail'").message("mode Continuous replays into a target that already holds data: set template.spec.conflictPolicy to Overwrite, and confirm to the target's url"))]
#[x_kube(validation = Rule::new("self.mode != 'Drill' || (self.template.spec.conflictPolicy == 'Fail' && !has(self.template.spec.confirm) && !has(self.template.spec.remap) && !has(self.template.spec.quiesce))").message("a drill writes only into names of its own: remove conflictPolicy, confirm, remap and quiesce from template.spec"))]
#[x_kube(validation = Rule::new("!self.template.spec.dryRun").message("a schedule's restores are never dry runs: remove dryRun from template.spec, or create a Restore with it"))]
#[x_kube(validation = Rule::new("!has(self.reportTo)").message("reportTo is not built yet; remove it"))]
#[x_kube(validation = Rule::new("self.mode != 'Drill' || !has(self.template.spec.target.command)").message("Lifeboat does not see which names a command writes, so a drill could not keep to its own: restore into a system that is there for drills alone, with conflictPolicy Overwrite"))]
#[x_kube(validation = Rule::new("self.mode != 'Drill' || !has(self.template.spec.target.emqx)").message("EMQX has no databases or other names that a drill could have to itself: restore into an EMQX that is there for drills alone, with conflictPolicy Overwrite"))]
pub struct RestoreScheduleSpec {
    /// Continuous, or Drill. Default Continuous.
    #[serde(default)]
    pub mode: Mode,
    /// Five fields, as in a CronJob; for a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::cron")]
    pub cron: Option<String>,
    /// Interval, anchored to the epoch; for a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// IANA zone of `cron`. Default Etc/UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::time_zone")]
    pub time_zone: Option<String>,
    /// The line of backups that is replayed.
    pub source: BackupLine,
    /// True fences the standby for good: no replay may touch it again. It can't be taken back.
    #[serde(default)]
    pub promoted: bool,
    /// True: start nothing new.
    #[serde(default)]
    pub suspend: bool,
    /// What is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<RestoreObjectives>,
    /// Ended Restores to keep. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub history_limit: Option<u32>,
    /// Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_to: Option<LocalRef>,
    /// The Restore to make.
    pub template: RestoreTemplate,
}

/// What became of a RestoreSchedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreScheduleStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `InSync`, `RPOMet`, `RTOMet`, `Promoted`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::conditions")]
    pub conditions: Vec<Condition>,
    /// The Restore that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub active: Option<String>,
    /// The newest manifest that is in the target, verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_manifest: Option<ManifestRef>,
    /// Its slot's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_slot: Option<String>,
    /// Digest of the target and the new names that it went into: where the spec names others, the standby starts over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_target: Option<String>,
    /// Its consistency time: the RPO is the time since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_consistency_time: Option<jiff::Timestamp>,
    /// When that replay was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_replay_time: Option<jiff::Timestamp>,
    /// Seconds that the last restore took, from its creation to verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rto_seconds: Option<u64>,
    /// The newest manifest seen in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub newest_slot: Option<String>,
    /// Replays that succeeded.
    #[serde(default)]
    pub replays: u64,
    /// For a drill: digest of its timing; an edited schedule never fires for the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub timing_digest: Option<String>,
    /// For a drill: since when that timing holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing_since: Option<jiff::Timestamp>,
    /// For a drill: the newest slot acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot_time: Option<jiff::Timestamp>,
    /// For a drill: the next slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_slot_time: Option<jiff::Timestamp>,
    /// When promotion was asked for. Set once: the latch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_requested_time: Option<jiff::Timestamp>,
    /// When the fence was known to be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_time: Option<jiff::Timestamp>,
}
