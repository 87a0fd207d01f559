//! What a job pod says at its end: its termination message, at most 4 KiB.
//!
//! A hint for people and for statuses. The proof is the manifest.

use serde::{Deserialize, Serialize};

use super::common::{ManifestRef, PhaseTiming, Totals};
use super::conditions::Reason;
use super::restore::Verify;

/// Kubernetes cuts termination messages at this many bytes.
pub const OUTCOME_LIMIT: usize = 4096;

/// What a job pod says at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The run id: the pod's uid.
    pub run_id: String,
    /// How it ended.
    #[serde(flatten)]
    pub result: RunResult,
    /// What it did when.
    #[serde(default)]
    pub phases: Vec<PhaseTiming>,
    /// What a person should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum RunResult {
    /// A backup was committed, or the one that another run committed was found.
    Exported(Exported),
    /// Backups were imported.
    Imported(Imported),
    /// Backups were copied into another location.
    Replicated(Replicated),
    /// Backups were found whole, or pruning is done.
    Done {
        /// What was looked at or deleted.
        totals: Totals,
    },
    /// It failed, by its own word.
    Failed(Failure),
}

impl RunResult {
    /// Why it failed, or why backups were left out.
    pub fn failure_mut(&mut self) -> Option<&mut Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Replicated(done) => done.left_out.as_mut(),
            Self::Exported(_) | Self::Imported(_) | Self::Done { .. } => None,
        }
    }
}

/// A committed backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// The manifest.
    pub manifest: ManifestRef,
    /// True where another run had committed the slot before.
    pub adopted: bool,
}

/// Imported backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Consistency time of the newest backup that is now in the target; none for a vendor's dump,
    /// which does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_time: Option<jiff::Timestamp>,
    /// The check that was passed.
    pub verified: Verify,
    /// What was moved.
    pub totals: Totals,
    /// Records that the target refused.
    pub refused_records: u64,
    /// Records past the target's retention.
    pub expired_records: u64,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// A sentence that says what to do.
    pub message: String,
    /// True where another attempt may succeed without a change by a person.
    pub retryable: bool,
    /// For an import: parts that were applied before it failed.
    #[serde(default)]
    pub applied_parts: u64,
}

/// Backups that were copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicated {
    /// Slot of the newest backup that is there now.
    #[serde(default)]
    pub slot: Option<String>,
    /// Its consistency time.
    #[serde(default)]
    pub consistency_time: Option<jiff::Timestamp>,
    /// What was copied; `parts` counts backups.
    pub copied: Totals,
    /// What was deleted there; `parts` counts manifests.
    pub deleted: Totals,
    /// Why backups were left out: they are not whole where they come from.
    #[serde(default)]
    pub left_out: Option<Failure>,
}
