//! What can go wrong while bytes are moved.

use crate::api::conditions::Reason;
use crate::manifest::ManifestError;
use crate::manifest::chain::ChainError;
use crate::storage::StorageError;

/// What can go wrong while bytes are moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The manifest or the parts index can't be trusted.
    #[error("{path}: {problem}")]
    Manifest {
        /// Key of the object.
        path: String,
        /// What is wrong.
        problem: ManifestError,
    },
    /// A file is gone, cut or changed.
    #[error(
        "{path} is not what the manifest says: {problem}; the backup can't be restored from this copy"
    )]
    Corrupt {
        /// Key of the object.
        path: String,
        /// What was seen.
        problem: String,
    },
    /// A file of a vendor's dump can't be used.
    #[error("the file {file:?} of the vendor's dump can't be used: {problem}")]
    Dump {
        /// Its name.
        file: String,
        /// What was seen.
        problem: String,
    },
    /// There is no dump at a path.
    #[error(
        "there is no file at or below {path} in the {place}; write source.vendorDump.path as the dump's directory or file below the location's prefix"
    )]
    NoDump {
        /// The path.
        path: String,
        /// The location, in words.
        place: String,
    },
    /// There is no such backup.
    #[error("there is no backup at {path}; `lifeboat list` shows those that are there")]
    NotFound {
        /// Key of the manifest, or of the line.
        path: String,
    },
    /// Backups can't be restored together.
    #[error("{line}: {problem}")]
    Chain {
        /// Key of the line.
        line: String,
        /// What is wrong.
        problem: ChainError,
    },
    /// The slot's manifest key is taken by a void marker.
    #[error("the slot {slot} is void: {why}")]
    SlotVoid {
        /// Name of the slot.
        slot: String,
        /// The marker's words.
        why: String,
    },
    /// The run's time is over.
    #[error(
        "the run was stopped after its timeout of {seconds} s; raise spec.timeout or lower what is exported"
    )]
    TimedOut {
        /// The bound.
        seconds: u64,
    },
    /// This process failed.
    #[error("{0}")]
    Internal(String),
}

impl TransferError {
    /// The reason for a condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Storage(error) => error.reason,
            Self::Manifest { .. } => Reason::ManifestInvalid,
            Self::Corrupt { .. } | Self::Dump { .. } => Reason::DataCorrupt,
            Self::NotFound { .. }
            | Self::NoDump { .. }
            | Self::Chain {
                problem: ChainError::NotFound { .. },
                ..
            } => Reason::BackupNotFound,
            Self::Chain { .. } => Reason::ChainBroken,
            Self::SlotVoid { .. } => Reason::SlotVoid,
            Self::TimedOut { .. } => Reason::TimedOut,
            Self::Internal(_) => Reason::InternalError,
        }
    }

    /// True where another attempt may succeed without a change by a person.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Storage(error) => error.retryable,
            Self::TimedOut { .. } | Self::Internal(_) => true,
            Self::Manifest { .. }
            | Self::Corrupt { .. }
            | Self::Dump { .. }
            | Self::NoDump { .. }
            | Self::NotFound { .. }
            | Self::Chain { .. }
            | Self::SlotVoid { .. } => false,
        }
    }
}
