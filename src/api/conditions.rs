//! Condition types and reasons: the words that statuses, events and docs use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The types of conditions.
pub mod types {
    /// kstatus: True is Current.
    pub const READY: &str = "Ready";
    /// kstatus: True is Failed; the object will not go on without a change by a person.
    pub const STALLED: &str = "Stalled";
    /// kstatus: True is InProgress.
    pub const RECONCILING: &str = "Reconciling";
    /// A Backup or Restore is done, and proven.
    pub const COMPLETE: &str = "Complete";
    /// A Backup or Restore ended without success.
    pub const FAILED: &str = "Failed";
    /// The recovery point objective is met.
    pub const RPO_MET: &str = "RPOMet";
    /// The recovery time objective is met.
    pub const RTO_MET: &str = "RTOMet";
    /// A slot passed without its Backup being started.
    pub const OVERDUE: &str = "Overdue";
    /// The locations of `replicateTo` have their copies.
    pub const REPLICATED: &str = "Replicated";
    /// Every backup in the bucket is in the standby.
    pub const IN_SYNC: &str = "InSync";
    /// The standby is fenced for good.
    pub const PROMOTED: &str = "Promoted";
    /// The workloads of `spec.quiesce` stand still.
    pub const QUIESCED: &str = "Quiesced";
}

/// Reasons, CamelCase, each with one meaning. Job pods report them too.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Reason {
    /// All is well.
    Succeeded,
    /// A run is under way.
    Running,
    /// The next attempt waits for its time.
    BackingOff,
    /// Nothing was started yet.
    Pending,
    /// `spec.suspend` is set.
    Suspended,
    /// Waits for a promotion (`activeWhenPromoted`).
    WaitingForPromotion,
    /// `spec.cancel` was set.
    Cancelled,
    /// The run took longer than `spec.timeout`.
    TimedOut,
    /// The run's pod went without a word, and its slot was made void.
    RunLost,
    /// The pod was killed for its memory.
    OutOfMemory,
    /// The pod was evicted or deleted.
    PodLost,
    /// The Job could not be made.
    JobRefused,
    /// The pod can't start: its image, a Secret or a volume.
    PodNotStarting,
    /// The slot holds a void marker: no backup of it can be.
    SlotVoid,
    /// The referenced StorageLocation does not exist.
    StorageNotFound,
    /// The referenced StorageLocation is not Ready.
    StorageNotReady,
    /// The location is ReadOnly, and a write was asked for.
    StorageReadOnly,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret lacks a key.
    SecretKeyMissing,
    /// The ConfigMap with the CA bundle does not exist, lacks its key or holds no certificate.
    CaBundleInvalid,
    /// The store refused the access key.
    InvalidAccessKey,
    /// The store refused the signature: the secret key is wrong.
    InvalidSecretKey,
    /// The store forbids the operation.
    AccessDenied,
    /// The bucket does not exist.
    BucketNotFound,
    /// The TLS handshake failed.
    TlsFailed,
    /// The endpoint can't be reached.
    Unreachable,
    /// The claim of a local location is not mounted into the controller.
    VolumeNotMounted,
    /// Another cluster holds the claim.
    ClaimedByAnother,
    /// The store does not keep its word (no conditional put).
    StoreUnsuitable,
    /// A fault of the store.
    StoreError,
    /// The store's object lock holds it.
    Locked,
    /// The clock is more than five minutes from the store's.
    ClockSkew,
    /// The cron expression can't be read.
    InvalidCron,
    /// The zone is unknown.
    UnknownTimeZone,
    /// A span or size can't be read.
    InvalidSpec,
    /// The database can't be reached.
    DatabaseUnreachable,
    /// The database refused the login.
    DatabaseLoginFailed,
    /// The database refused the operation.
    DatabasePermissionDenied,
    /// A named database (table, index) does not exist.
    DatabaseNotFound,
    /// The database answered with an error.
    DatabaseError,
    /// The database's version is not supported.
    VersionUnsupported,
    /// The source changed in a way that spoils the export.
    SourceChanged,
    /// A command that the spec names failed.
    CommandFailed,
    /// The scratch directory can't be used: it is missing or full.
    ScratchFailed,
    /// No such backup.
    BackupNotFound,
    /// The Backup is not Complete.
    BackupNotComplete,
    /// The manifest can't be trusted: edited, or of an unknown version.
    ManifestInvalid,
    /// A file is gone, cut or changed.
    DataCorrupt,
    /// A window of the chain is missing.
    ChainBroken,
    /// The target holds data and `conflictPolicy` is Fail.
    TargetNotEmpty,
    /// `confirm` does not name the target.
    ConfirmationMissing,
    /// Source and target are the same server.
    TargetIsSource,
    /// Another restore works on the target.
    TargetBusy,
    /// Workloads are being scaled to zero.
    Quiescing,
    /// The workloads stand still.
    Quiesced,
    /// The workloads have their replicas again.
    ScaledBack,
    /// A workload of `quiesce` does not exist.
    WorkloadNotFound,
    /// An autoscaler scales a workload of `quiesce`.
    WorkloadAutoscaled,
    /// The controller has no right to a workload's scale.
    WorkloadForbidden,
    /// Another Restore holds a workload of `quiesce`.
    WorkloadBusy,
    /// Pods of a workload of `quiesce` did not end in time.
    WorkloadStays,
    /// Another hand scaled a workload up during the import.
    WorkloadCameBack,
    /// A workload could not be scaled back.
    WorkloadLeftAtZero,
    /// The target refused records.
    RecordsRefused,
    /// What is in the target is not what the backup holds.
    VerificationFailed,
    /// The engine can't do what was asked for.
    NotSupported,
    /// The standby is fenced.
    Promoted,
    /// A promotion waits for the last import to be over.
    Fencing,
    /// Nothing was done yet.
    NothingYet,
    /// The objective is met.
    ObjectiveMet,
    /// The objective is missed.
    ObjectiveMissed,
    /// No objective is set.
    NoObjective,
    /// A backup waits to be replayed.
    ReplayPending,
    /// Slots passed without a Backup.
    SlotsMissed,
    /// The Backup of a slot could not be made.
    BackupRefused,
    /// A fault that has no reason of its own.
    InternalError,
}

impl Reason {
    /// Reads the word of a condition; nothing for a word that is not one of these.
    pub fn parse(word: &str) -> Option<Self> {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};
        let word: StrDeserializer<'_, Error> = word.into_deserializer();
        serde::Deserialize::deserialize(word).ok()
    }

    /// The word as it stands in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Running => "Running",
            Self::BackingOff => "BackingOff",
            Self::Pending => "Pending",
            Self::Suspended => "Suspended",
            Self::WaitingForPromotion => "WaitingForPromotion",
            Self::Cancelled => "Cancelled",
            Self::TimedOut => "TimedOut",
            Self::RunLost => "RunLost",
            Self::OutOfMemory => "OutOfMemory",
            Self::PodLost => "PodLost",
            Self::JobRefused => "JobRefused",
            Self::PodNotStarting => "PodNotStarting",
            Self::SlotVoid => "SlotVoid",
            Self::StorageNotFound => "StorageNotFound",
            Self::StorageNotReady => "StorageNotReady",
            Self::StorageReadOnly => "StorageReadOnly",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::CaBundleInvalid => "CaBundleInvalid",
            Self::InvalidAccessKey => "InvalidAccessKey",
            Self::InvalidSecretKey => "InvalidSecretKey",
            Self::AccessDenied => "AccessDenied",
            Self::BucketNotFound => "BucketNotFound",
            Self::TlsFailed => "TlsFailed",
            Self::Unreachable => "Unreachable",
            Self::VolumeNotMounted => "VolumeNotMounted",
            Self::ClaimedByAnother => "ClaimedByAnother",
            Self::StoreUnsuitable => "StoreUnsuitable",
            Self::StoreError => "StoreError",
            Self::Locked => "Locked",
            Self::ClockSkew => "ClockSkew",
            Self::InvalidCron => "InvalidCron",
            Self::UnknownTimeZone => "UnknownTimeZone",
            Self::InvalidSpec => "InvalidSpec",
            Self::DatabaseUnreachable => "DatabaseUnreachable",
            Self::DatabaseLoginFailed => "DatabaseLoginFailed",
            Self::DatabasePermissionDenied => "DatabasePermissionDenied",
            Self::DatabaseNotFound => "DatabaseNotFound",
            Self::DatabaseError => "DatabaseError",
            Self::VersionUnsupported => "VersionUnsupported",
            Self::SourceChanged => "SourceChanged",
            Self::CommandFailed => "CommandFailed",
            Self::ScratchFailed => "ScratchFailed",
            Self::BackupNotFound => "BackupNotFound",
            Self::BackupNotComplete => "BackupNotComplete",
            Self::ManifestInvalid => "ManifestInvalid",
            Self::DataCorrupt => "DataCorrupt",
            Self::ChainBroken => "ChainBroken",
            Self::TargetNotEmpty => "TargetNotEmpty",
            Self::ConfirmationMissing => "ConfirmationMissing",
            Self::TargetIsSource => "TargetIsSource",
            Self::TargetBusy => "TargetBusy",
            Self::Quiescing => "Quiescing",
            Self::Quiesced => "Quiesced",
            Self::ScaledBack => "ScaledBack",
            Self::WorkloadNotFound => "WorkloadNotFound",
            Self::WorkloadAutoscaled => "WorkloadAutoscaled",
            Self::WorkloadForbidden => "WorkloadForbidden",
            Self::WorkloadBusy => "WorkloadBusy",
            Self::WorkloadStays => "WorkloadStays",
            Self::WorkloadCameBack => "WorkloadCameBack",
            Self::WorkloadLeftAtZero => "WorkloadLeftAtZero",
            Self::RecordsRefused => "RecordsRefused",
            Self::VerificationFailed => "VerificationFailed",
            Self::NotSupported => "NotSupported",
            Self::Promoted => "Promoted",
            Self::Fencing => "Fencing",
            Self::NothingYet => "NothingYet",
            Self::ObjectiveMet => "ObjectiveMet",
            Self::ObjectiveMissed => "ObjectiveMissed",
            Self::NoObjective => "NoObjective",
            Self::ReplayPending => "ReplayPending",
            Self::SlotsMissed => "SlotsMissed",
            Self::BackupRefused => "BackupRefused",
            Self::InternalError => "InternalError",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It can't be said.
    Unknown,
}

impl State {
    /// The word as it stands in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for State {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// The longest message that is written.
const MESSAGE_LIMIT: usize = 1024;

/// Sets a condition; its time changes only when its status flips.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    state: State,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: jiff::Timestamp,
) {
    let message: String = message.chars().take(MESSAGE_LIMIT).collect();
    let existing = conditions.iter_mut().find(|c| c.type_ == type_);
    if let Some(c) = existing {
        if c.status != state.as_str() {
            state.as_str().clone_into(&mut c.status);
            c.last_transition_time = Time(now);
        }
        reason.as_str().clone_into(&mut c.reason);
        c.message = message;
        c.observed_generation = generation;
        return;
    }
    conditions.push(Condition {
        type_: type_.to_owned(),
        status: state.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: Time(now),
    });
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// True where the condition is there and True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions
        .iter()
        .any(|c| c.type_ == type_ && c.status == "True")
}

/// True where a Backup or Restore has ended: `Complete` or `Failed` is True.
pub fn has_ended(conditions: &[Condition]) -> bool {
    is_true(conditions, types::COMPLETE) || is_true(conditions, types::FAILED)
}
