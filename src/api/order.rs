//! What the controller tells a job pod: one JSON document, without secrets.
//!
//! It reaches the pod as a file (an annotation of the pod, through a downward API volume), so
//! nothing in it is ever expanded by Kubernetes or seen by a shell. Secrets are files of their own.

use serde::{Deserialize, Serialize};

use super::backup_schedule::Retention;
use super::common::{Compression, Limits, ManifestRef};
use super::engines::{SourceSpec, TargetSpec};
use super::restore::{ConflictPolicy, Deletions, Preflight, Remap, Verify};
use super::storage_location::StorageLocationSpec;
use crate::manifest::Identity;

/// Where the files of a job pod lie.
pub mod paths {
    /// The order.
    pub const ORDER: &str = "/var/run/lifeboat/order/order.json";
    /// The keys of the location's Secret, a file each.
    pub const STORAGE_CREDENTIALS: &str = "/var/run/lifeboat/storage/credentials";
    /// The location's CA bundle.
    pub const STORAGE_CA: &str = "/var/run/lifeboat/storage/ca/ca.crt";
    /// The keys of the database's Secret, a file each.
    pub const DATABASE_CREDENTIALS: &str = "/var/run/lifeboat/database/credentials";
    /// The database's CA bundle.
    pub const DATABASE_CA: &str = "/var/run/lifeboat/database/ca/ca.crt";
    /// Where the volume of a local location is mounted into a job pod.
    pub const LOCAL_STORE: &str = "/var/lib/lifeboat/store";
    /// Below it the volumes of local locations are mounted into the controller, each at
    /// `<namespace>/<name of the claim>`.
    pub const LOCAL_STORES: &str = "/var/lib/lifeboat/stores";
    /// Where Lifeboat's binary is copied to in the pod of a vendor's image.
    pub const BINARY: &str = "/var/run/lifeboat/bin/lifeboat";
    /// A directory for what a run can't stream; empty at its start, gone with the pod.
    pub const SCRATCH: &str = "/var/lib/lifeboat/scratch";
    /// As [`STORAGE_CREDENTIALS`], for the location that copies go into.
    pub const REPLICA_CREDENTIALS: &str = "/var/run/lifeboat/replica/credentials";
    /// As [`STORAGE_CA`], for the location that copies go into.
    pub const REPLICA_CA: &str = "/var/run/lifeboat/replica/ca/ca.crt";
    /// As [`LOCAL_STORE`], for the location that copies go into.
    pub const LOCAL_REPLICA: &str = "/var/lib/lifeboat/replica";
    /// Where the outcome is written for the kubelet to pick up.
    pub const TERMINATION_LOG: &str = "/dev/termination-log";
}

/// Environment variable with the pod's uid, from the downward API: the run id.
pub const RUN_ID_ENV: &str = "LIFEBOAT_RUN_ID";

/// Environment variable that names those variables whose values are secrets, with commas between.
pub const SECRET_ENV: &str = "LIFEBOAT_SECRET_ENV";

/// What Lifeboat's own environment variables begin with. A command that a run starts gets none of
/// them.
pub const OWN_ENV: &str = "LIFEBOAT_";

/// The orders of a job pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase")]
pub enum Order {
    /// Export a source.
    Export(Box<ExportOrder>),
    /// Import backups into a target.
    Import(Box<ImportOrder>),
    /// Check that backups are whole.
    Verify(VerifyOrder),
    /// Delete what retention does not keep.
    Prune(PruneOrder),
    /// Copy backups into another location.
    Replicate(Box<ReplicateOrder>),
}

/// The bounds of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// The longest the run may take, by the pod's own monotonic clock.
    pub timeout_seconds: u64,
    /// The run acts on nothing after this: a pod that starts later ends at once.
    pub not_after: jiff::Timestamp,
}

/// Export a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportOrder {
    /// Whose backup it is.
    pub identity: Identity,
    /// What is exported.
    pub source: SourceSpec,
    /// Where to.
    pub storage: StorageLocationSpec,
    /// How stored bytes are packed.
    pub compression: Compression,
    /// What the job may use.
    pub limits: Limits,
    /// The bounds of the run.
    pub bounds: Bounds,
}

/// Import backups into a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOrder {
    /// Namespace and name of the Restore, for log lines.
    pub restore: String,
    /// Where from.
    pub storage: StorageLocationSpec,
    /// What is imported, in order: a full backup and its windows, or one window. Empty for a vendor's
    /// dump.
    pub manifests: Vec<ManifestRef>,
    /// The vendor's dump that is imported: its path below the location's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_dump: Option<String>,
    /// Where to.
    pub target: TargetSpec,
    /// New names.
    pub remap: Vec<Remap>,
    /// What happens where the target already holds data.
    pub conflict_policy: ConflictPolicy,
    /// What becomes of records that the backup does not have.
    #[serde(default)]
    pub deletions: Deletions,
    /// Names the target where the restore could destroy something.
    pub confirm: Option<String>,
    /// Say what would happen, and change nothing.
    pub dry_run: bool,
    /// What is checked before the target is touched.
    pub preflight: Preflight,
    /// What is proven after the import.
    pub verify: Verify,
    /// For a drill: import into databases of these names only (each database gets this prefix), refuse if one exists, and drop them at the end.
    pub drill_prefix: Option<String>,
    /// For a drill: an earlier attempt of the same Restore may have been killed before it dropped what it made. It is dropped first.
    #[serde(default)]
    pub drill_again: bool,
    /// What the job may use.
    pub limits: Limits,
    /// The bounds of the run.
    pub bounds: Bounds,
}

/// Check that backups are whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyOrder {
    /// Where they are.
    pub storage: StorageLocationSpec,
    /// The backups to check.
    pub manifests: Vec<ManifestRef>,
    /// The bounds of the run.
    pub bounds: Bounds,
}

/// Delete backups, and data that no manifest names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneOrder {
    /// Where they are.
    pub storage: StorageLocationSpec,
    /// Whose line it is (`slot` and `runId` are empty).
    pub identity: Identity,
    /// Manifest keys to delete, decided by the controller; checked again by the job.
    pub delete: Vec<String>,
    /// Data without a manifest that is older than this is swept.
    pub sweep_before: jiff::Timestamp,
    /// The bounds of the run.
    pub bounds: Bounds,
}

/// Copy what is committed in a line into another location, and prune there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicateOrder {
    /// Whose line it is (`slot` and `runId` are empty).
    pub identity: Identity,
    /// Where the backups are.
    pub storage: StorageLocationSpec,
    /// Where copies go.
    pub replica: StorageLocationSpec,
    /// The newest slot that was complete when the order was given: the run copies at least up to it.
    pub up_to: String,
    /// Ask `retention` this time; otherwise only what is newer than the newest copy is copied.
    pub prune: bool,
    /// Which copies are kept; none: all.
    pub retention: Option<Retention>,
    /// The zone in which `retention` counts days; none: UTC.
    pub time_zone: Option<String>,
    /// Slots that a person holds.
    pub held: Vec<String>,
    /// Data there without a manifest that is older than this is swept; none: not this time.
    pub sweep_before: Option<jiff::Timestamp>,
    /// What the job may use.
    pub limits: Limits,
    /// The bounds of the run.
    pub bounds: Bounds,
}
