//! What can go wrong with a data system.

use crate::api::conditions::Reason;
use crate::process::ProcessError;
use crate::transfer::TransferError;

/// What can go wrong with a data system. Messages say what to do, and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The server can't be reached, or the connection was lost.
    #[error("{server} can't be reached: {problem}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What was seen.
        problem: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {server} failed: {problem}; check the certificate or set tls.caBundle")]
    Tls {
        /// Host and port.
        server: String,
        /// What was seen.
        problem: String,
    },
    /// A mounted Secret or CA bundle can't be used.
    #[error("{problem}")]
    Credentials {
        /// What is wrong, without the secret.
        problem: String,
    },
    /// The server refused the login.
    #[error("{server} refused the login: {problem}; check username and password in the Secret")]
    LoginFailed {
        /// Host and port.
        server: String,
        /// What was seen.
        problem: String,
    },
    /// The login may not do it.
    #[error("{server} forbids it: {problem}; grant the user of the Secret the right")]
    PermissionDenied {
        /// Host and port.
        server: String,
        /// What was seen.
        problem: String,
    },
    /// A named thing does not exist.
    #[error("{what} does not exist in {server}; create it or take it out of the spec")]
    NotFound {
        /// Host and port.
        server: String,
        /// What was asked for.
        what: String,
    },
    /// The server answered with an error, or not as its protocol says.
    #[error("{server} answered with an error: {problem}")]
    Server {
        /// Host and port.
        server: String,
        /// What was seen.
        problem: String,
        /// True where the same call may succeed later.
        retryable: bool,
    },
    /// The server's version is not supported.
    #[error("{server} runs version {version}: {problem}")]
    Version {
        /// Host and port.
        server: String,
        /// What it said.
        version: String,
        /// What is supported.
        problem: String,
    },
    /// The source changed in a way that spoils the export.
    #[error("the source changed while it was read: {problem}; the export is tried again")]
    SourceChanged {
        /// What was seen.
        problem: String,
    },
    /// The backup holds something that this engine does not write.
    #[error("the backup can't be used: {problem}")]
    BadBackup {
        /// What was seen.
        problem: String,
    },
    /// The target holds what must not be there.
    #[error("{problem}")]
    TargetNotEmpty {
        /// What was seen, and what to do.
        problem: String,
    },
    /// The engine can't do what was asked for.
    #[error("{problem}")]
    NotSupported {
        /// What was asked for, and what to do.
        problem: String,
    },
    /// A command failed.
    #[error(transparent)]
    Command(#[from] ProcessError),
    /// A command was killed because the backup could not be read on.
    #[error("the import command was broken off, since the backup could not be read on: {0}")]
    BrokenOff(TransferError),
    /// The target does not hold what the backup holds.
    #[error("the target does not hold what the backup holds: {problem}")]
    Differs {
        /// What differs.
        problem: String,
    },
    /// The scratch directory can't be used.
    #[error("the scratch directory can't be used: {problem}")]
    Scratch {
        /// What was seen, and what to do.
        problem: String,
    },
    /// Bytes could not be moved.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

impl EngineError {
    /// The reason for a condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable { .. } => Reason::DatabaseUnreachable,
            Self::Tls { .. } => Reason::TlsFailed,
            Self::Credentials { .. } => Reason::SecretKeyMissing,
            Self::LoginFailed { .. } => Reason::DatabaseLoginFailed,
            Self::PermissionDenied { .. } => Reason::DatabasePermissionDenied,
            Self::NotFound { .. } => Reason::DatabaseNotFound,
            Self::Server { .. } => Reason::DatabaseError,
            Self::Version { .. } => Reason::VersionUnsupported,
            Self::SourceChanged { .. } => Reason::SourceChanged,
            Self::BadBackup { .. } => Reason::DataCorrupt,
            Self::TargetNotEmpty { .. } => Reason::TargetNotEmpty,
            Self::NotSupported { .. } => Reason::NotSupported,
            Self::Command(_) => Reason::CommandFailed,
            Self::Differs { .. } => Reason::VerificationFailed,
            Self::Scratch { .. } => Reason::ScratchFailed,
            Self::BrokenOff(error) | Self::Transfer(error) => error.reason(),
        }
    }

    /// True where another attempt may succeed without a change by a person.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::SourceChanged { .. } => true,
            Self::Server { retryable, .. } => *retryable,
            Self::Command(error) => error.retryable(),
            Self::BrokenOff(error) | Self::Transfer(error) => error.retryable(),
            Self::Tls { .. }
            | Self::Credentials { .. }
            | Self::LoginFailed { .. }
            | Self::PermissionDenied { .. }
            | Self::NotFound { .. }
            | Self::Version { .. }
            | Self::BadBackup { .. }
            | Self::TargetNotEmpty { .. }
            | Self::Differs { .. }
            | Self::Scratch { .. }
            | Self::NotSupported { .. } => false,
        }
    }
}
