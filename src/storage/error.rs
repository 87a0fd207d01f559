//! What can go wrong with a store.

use crate::api::conditions::Reason;

/// What can go wrong with a store. Messages say what to do, and hold no secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    /// The reason for a condition.
    pub reason: Reason,
    /// A sentence that says what to do.
    pub message: String,
    /// True where another attempt may succeed without a change by a person.
    pub retryable: bool,
}

impl StorageError {
    /// A fault that stays until a person changes something.
    pub fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retryable: false,
        }
    }

    /// A fault that may go by itself.
    pub fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retryable: true,
        }
    }
}
