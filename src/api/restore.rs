//! `Restore`: one import of one backup into a target.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::Phase;
use super::common::{
    JobTemplate, Limits, LocalRef, ManifestRef, PhaseTiming, RetryPolicy, Span, Totals,
};
use super::engines::TargetSpec;
use super::quiesce::{Quiesce, QuiesceStatus};
use super::text;

/// A line of backups in a bucket: those of one schedule of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupLine {
    /// The StorageLocation that is read.
    pub storage: LocalRef,
    /// Name of the cluster that wrote the backups.
    #[schemars(schema_with = "text::label_name")]
    pub cluster: String,
    /// Namespace of the schedule there.
    #[schemars(schema_with = "text::label_name")]
    pub namespace: String,
    /// Name of the BackupSchedule there.
    #[schemars(schema_with = "text::schedule_name")]
    pub schedule: String,
}

/// The newest backup of a line that is not later than a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AsOf {
    /// The line of backups.
    #[serde(flatten)]
    pub line: BackupLine,
    /// Take the newest backup whose consistency time is not later than this.
    pub time: jiff::Timestamp,
}

/// How much of a chain is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChainScope {
    /// The full backup that it builds on and every window up to it.
    #[default]
    Chain,
    /// This backup alone: for a target that already holds what came before.
    Window,
}

/// A manifest in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSource {
    /// The StorageLocation that is read.
    pub storage: LocalRef,
    /// Key of the manifest below the location's prefix, beginning with `lifeboat/v1/`.
    #[schemars(schema_with = "text::manifest_path")]
    pub path: String,
    /// SHA-256 of the manifest's bytes. None: whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::sha256")]
    pub sha256: Option<String>,
    /// How much of its chain is restored. Default Chain.
    #[serde(default)]
    pub scope: ChainScope,
}

/// A dump that the vendor's own tool made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VendorDumpSource {
    /// The StorageLocation that is read.
    pub storage: LocalRef,
    /// The dump's directory, or its file, below the location's prefix and outside `lifeboat/`.
    #[schemars(schema_with = "text::dump_path")]
    pub path: String,
}

/// What is restored: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.backup) ? 1 : 0) + (has(self.latest) ? 1 : 0) + (has(self.asOf) ? 1 : 0) + (has(self.manifest) ? 1 : 0) + (has(self.vendorDump) ? 1 : 0) == 1").message("source takes exactly one of backup, latest, asOf, manifest or vendorDump"))]
pub struct RestoreSource {
    /// A Backup of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<LocalRef>,
    /// The newest backup of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<BackupLine>,
    /// The newest backup of a line that is not later than a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// A manifest in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestSource>,
    /// A dump that the vendor's own tool made, of a kind that docs/vendor-dumps.md lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_dump: Option<VendorDumpSource>,
}

/// A new name for a database (an index, a table).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remap {
    /// Name in the backup.
    #[schemars(schema_with = "text::data_name")]
    pub from: String,
    /// Name in the target.
    #[schemars(schema_with = "text::data_name")]
    pub to: String,
}

/// What happens where the target already holds data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// Refuse.
    #[default]
    Fail,
    /// Write over records of the same key, leave all others.
    Overwrite,
    /// Drop what is there first.
    Replace,
}

/// What becomes of what the target holds and the backup does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Deletions {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted, in each table (index) that the backup has; one that the backup does not have stays as it is.
    Mirror,
}

/// What is checked before the target is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Preflight {
    /// Read everything once and compare its digests.
    #[default]
    Digests,
    /// Compare sizes only.
    Sizes,
}

/// What is proven after the import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verify {
    /// Nothing.
    None,
    /// As many records as the manifest says.
    #[default]
    Counts,
    /// Each record of the backup is in the target with the same content.
    Contains,
    /// And nothing else is there.
    Equal,
}

/// Everything of a restore but its source; a RestoreSchedule's template has the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.conflictPolicy != 'Replace' || has(self.confirm)").message("conflictPolicy Replace drops what is there: set confirm to the target's url"))]
#[x_kube(validation = Rule::new("self.deletions != 'Mirror' || has(self.target.kuzzle) || has(self.target.rethinkdb)").message("deletions Mirror is there for kuzzle and rethinkdb only: remove it, or use conflictPolicy Replace"))]
#[x_kube(validation = Rule::new("self.deletions != 'Mirror' || (self.conflictPolicy == 'Overwrite' && has(self.confirm))").message("deletions Mirror deletes what the backup does not hold: set conflictPolicy to Overwrite and confirm to the target's url"))]
#[x_kube(validation = Rule::new("!has(self.target.emqx) || (self.verify != 'Contains' && self.verify != 'Equal')").message("EMQX's REST API shows no records of an archive: set verify to Counts or None"))]
#[x_kube(validation = Rule::new("!has(self.target.emqx) || !has(self.remap)").message("EMQX has no databases or other names that could get a new name: remove remap"))]
#[x_kube(validation = Rule::new("!has(self.target.emqx) || self.conflictPolicy != 'Replace'").message("EMQX's import only adds and overwrites: use conflictPolicy Overwrite, or Fail into an empty EMQX"))]
#[x_kube(validation = Rule::new("!has(self.target.command) || self.verify == 'None' || (self.verify == 'Counts' && has(self.target.command.count))").message("what a command imports can be counted and no more: set verify to Counts and give target.command.count, or set verify to None"))]
#[x_kube(validation = Rule::new("!has(self.target.command) || !has(self.remap)").message("Lifeboat knows no names within what a command imports: put them into its arguments and remove remap"))]
#[x_kube(validation = Rule::new("!has(self.target.command) || self.conflictPolicy != 'Replace'").message("Lifeboat drops nothing for a command: let the import command drop what is there, and use conflictPolicy Overwrite with confirm"))]
#[x_kube(validation = Rule::new("!has(self.target.command) || has(self.target.command.count) || self.conflictPolicy == 'Replace' || (self.conflictPolicy == 'Overwrite' && has(self.confirm))").message("without a count nobody knows whether the target is empty: give target.command.count, or set conflictPolicy to Overwrite and confirm to the target's name"))]
pub struct RestoreParameters {
    /// Where to.
    pub target: TargetSpec,
    /// New names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["from"]))]
    pub remap: Vec<Remap>,
    /// What happens where the target already holds data. Default Fail.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// What becomes of records that the backup does not have. Mirror deletes them, so that what was deleted at the source goes at the standby too. Default Keep.
    #[serde(default)]
    pub deletions: Deletions,
    /// Names the target (its url) where the restore could destroy something; `source <url>` to allow a restore into its own source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::confirm")]
    pub confirm: Option<String>,
    /// True: say what would happen, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// What is checked before the target is touched. Default Digests.
    #[serde(default)]
    pub preflight: Preflight,
    /// What is proven after the import. Default Counts.
    #[serde(default)]
    pub verify: Verify,
    /// Workloads of this namespace that stand still during the import: they are scaled to zero
    /// before it and back to the replicas they had after it, however it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiesce: Option<Quiesce>,
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
}

/// One import. The spec can't be changed later, but for `cancel`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "Restore",
    namespaced,
    shortname = "rst",
    category = "lifeboat",
    status = "RestoreStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One import of a backup into a target.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Records",
        type_ = "integer",
        json_path = ".status.totals.records"
    ),
    printcolumn(name = "Verified", type_ = "string", json_path = ".status.verified"),
    printcolumn(
        name = "Consistent",
        type_ = "date",
        json_path = ".status.consistencyTime"
    ),
    printcolumn(
        name = "RTO",
        type_ = "integer",
        json_path = ".status.rtoSeconds",
        description = "Seconds from creation to verified"
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
#[x_kube(validation = Rule::new("!has(self.source.vendorDump) || has(self.target.kuzzle) || has(self.target.rethinkdb) || has(self.target.emqx)").message("a vendor's dump is read for kuzzle, rethinkdb and emqx only: restore a backup that Lifeboat made, or use the vendor's own tool"))]
#[x_kube(validation = Rule::new("!has(self.source.vendorDump) || !has(self.target.emqx) || self.verify == 'None'").message("an archive of EMQX does not say what the target must hold afterwards: set verify to None"))]
#[x_kube(validation = Rule::new("!has(self.source.vendorDump) || self.preflight != 'Sizes'").message("a vendor's dump says nothing of its sizes, so all of it is read before the target is touched: remove preflight"))]
#[x_kube(validation = Rule::new("!self.drill || (self.conflictPolicy == 'Fail' && !has(self.confirm) && !has(self.remap) && !has(self.quiesce) && !self.dryRun)").message("a drill writes only into names of its own and drops them at its end: remove conflictPolicy, confirm, remap, quiesce and dryRun, or remove drill"))]
#[x_kube(validation = Rule::new("!self.drill || !has(self.target.emqx)").message("EMQX has no databases or other names that a drill could have to itself: restore into an EMQX that is there for drills alone, with conflictPolicy Overwrite"))]
#[x_kube(validation = Rule::new("!self.drill || !has(self.target.command)").message("Lifeboat does not see which names a command writes, so a drill could not keep to its own: restore into a system that is there for drills alone, with conflictPolicy Overwrite"))]
pub struct RestoreSpec {
    /// What is restored.
    pub source: RestoreSource,
    /// Where to, and how.
    #[serde(flatten)]
    pub parameters: RestoreParameters,
    /// True: prove that the backup can be restored, and leave nothing behind. It goes into databases
    /// whose names get a prefix made from this Restore's uid; it is refused where one of them exists,
    /// and they are dropped at the end.
    #[serde(default)]
    pub drill: bool,
    /// True ends the run; the Restore becomes Failed with the reason Cancelled.
    #[serde(default)]
    pub cancel: bool,
}

/// The most manifests that a status names: a chain may have hundreds, and a status stays small.
pub const MANIFESTS_SHOWN: usize = 8;

impl RestoreStatus {
    /// Notes down what is restored. Of a long chain the last backup is enough: each names the one
    /// before it, and none is ever rewritten.
    pub fn choose(&mut self, manifests: &[ManifestRef]) {
        self.manifest_count = u32::try_from(manifests.len()).unwrap_or(u32::MAX);
        let shown = if manifests.len() > MANIFESTS_SHOWN {
            manifests.len() - 1
        } else {
            0
        };
        self.manifests = manifests[shown..].to_vec();
    }

    /// True where `manifests` are all that are restored.
    pub fn names_all(&self) -> bool {
        let named = u32::try_from(self.manifests.len()).unwrap_or(u32::MAX);
        named > 0 && named >= self.manifest_count
    }
}

/// What became of a Restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Complete`, `Failed`, `Ready`, `Reconciling`, `Stalled`, and `Quiesced` where asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::conditions")]
    pub conditions: Vec<Condition>,
    /// Pending, Running, Complete or Failed: the conditions in one word, for people.
    #[serde(default)]
    pub phase: Phase,
    /// The manifests that are restored, in order. Fixed once chosen. Where there are more than 8 only the last one, which names all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub manifests: Vec<ManifestRef>,
    /// How many manifests are restored.
    #[serde(default)]
    pub manifest_count: u32,
    /// The attempt that runs or ran last, counted from 1.
    #[serde(default)]
    pub attempt: u32,
    /// When the next attempt may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<jiff::Timestamp>,
    /// The Job of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub job: Option<String>,
    /// No pod of the last attempt acts on the target after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<jiff::Timestamp>,
    /// When the first attempt was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<jiff::Timestamp>,
    /// When it was Complete or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<jiff::Timestamp>,
    /// The consistency time of the backup that is now in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_time: Option<jiff::Timestamp>,
    /// The check that was passed: None, Counts, Contains or Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verify>,
    /// Seconds from this object's creation to verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<u64>,
    /// The workloads of `spec.quiesce`, and what they go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiesce: Option<QuiesceStatus>,
    /// What was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// Records that the target refused.
    #[serde(default)]
    pub refused_records: u64,
    /// Records past the target's retention.
    #[serde(default)]
    pub expired_records: u64,
    /// The phases of the run that ended it, with their times: wait, quiesce, fetch, import, verify.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub phases: Vec<PhaseTiming>,
    /// What a person should know, and for `dryRun` what would happen. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub warnings: Vec<String>,
}
