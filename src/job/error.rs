//! Why a run failed.

use crate::api::conditions::Reason;
use crate::api::outcome::Failure;
use crate::engine::EngineError;
use crate::storage::StorageError;
use crate::transfer::TransferError;

/// Why a run failed. Messages say what to do, and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The order can't be read.
    #[error("the order at {path} can't be used: {problem}")]
    BadOrder {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The order's time was over before the pod had started.
    #[error(
        "the pod started at {started}, after {not_after}, the end of its time: nothing was done"
    )]
    TooLate {
        /// When the pod started.
        started: jiff::Timestamp,
        /// The end of the order's time.
        not_after: jiff::Timestamp,
    },
    /// The run's time is over.
    #[error(
        "the run was stopped after its timeout of {seconds} s; raise spec.timeout, or lower what is moved"
    )]
    TimedOut {
        /// The bound.
        seconds: u64,
    },
    /// The pod was told to stop.
    #[error("the pod was told to stop before the run was over: it was evicted or deleted")]
    Stopped,
    /// A check said no.
    #[error("{message}")]
    Refused {
        /// The reason.
        reason: Reason,
        /// A sentence that says what to do.
        message: String,
        /// True where another attempt may succeed without a change by a person.
        retryable: bool,
    },
    /// An import failed after it had changed the target.
    #[error("{problem}; {}", applied_text(*.applied_parts, *.target_must_be_empty))]
    Applied {
        /// What failed.
        problem: Box<JobError>,
        /// Parts that had been applied.
        applied_parts: u64,
        /// Whether another attempt would refuse the target as it is now.
        target_must_be_empty: bool,
    },
    /// The data system failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Bytes could not be moved.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

impl From<StorageError> for JobError {
    fn from(error: StorageError) -> Self {
        Self::Transfer(error.into())
    }
}

impl JobError {
    /// A check that said no, until a person changes something.
    pub fn refused(reason: Reason, message: impl Into<String>) -> Self {
        Self::Refused {
            reason,
            message: message.into(),
            retryable: false,
        }
    }

    /// The reason for a condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::BadOrder { .. } => Reason::InternalError,
            Self::TooLate { .. } | Self::TimedOut { .. } => Reason::TimedOut,
            Self::Stopped => Reason::PodLost,
            Self::Refused { reason, .. } => *reason,
            Self::Applied { problem, .. } => problem.reason(),
            Self::Engine(error) => error.reason(),
            Self::Transfer(error) => error.reason(),
        }
    }

    /// True where another attempt may succeed without a change by a person.
    pub fn retryable(&self) -> bool {
        match self {
            Self::TooLate { .. } | Self::TimedOut { .. } | Self::Stopped => true,
            Self::BadOrder { .. } => false,
            Self::Refused { retryable, .. } => *retryable,
            Self::Applied {
                problem,
                target_must_be_empty,
                ..
            } => !target_must_be_empty && problem.retryable(),
            Self::Engine(error) => error.retryable(),
            Self::Transfer(error) => error.retryable(),
        }
    }

    /// The failure as the outcome says it.
    pub fn failure(&self) -> Failure {
        Failure {
            reason: self.reason(),
            message: self.to_string(),
            retryable: self.retryable(),
            applied_parts: match self {
                Self::Applied { applied_parts, .. } => *applied_parts,
                _ => 0,
            },
        }
    }
}

fn applied_text(parts: u64, target_must_be_empty: bool) -> String {
    let applied = match parts {
        1 => "1 part was applied before".to_owned(),
        n => format!("{n} parts were applied before"),
    };
    if target_must_be_empty {
        format!(
            "{applied}, so the target is not empty any more: empty it, or restore again with conflictPolicy Overwrite and confirm"
        )
    } else {
        applied
    }
}
