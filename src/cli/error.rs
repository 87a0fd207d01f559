//! Why a command failed.

use std::path::{Path, PathBuf};

use crate::api::generate::GenerateError;
use crate::controller::run::RunError;
use crate::job::JobError;
use crate::storage::StorageError;
use crate::transfer::TransferError;

/// Why a command failed. Messages say what to do, and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments don't name a store that can be opened.
    #[error("{0}")]
    Store(String),
    /// A file or directory of this machine.
    #[error("{}: {problem}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The bucket, or what is in it.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The definitions can't be made.
    #[error(transparent)]
    Crds(#[from] GenerateError),
    /// The controllers ended.
    #[error(transparent)]
    Controller(#[from] RunError),
    /// The process can't start its threads.
    #[error("the process can't start its threads: {0}")]
    Runtime(std::io::Error),
}

impl CliError {
    /// A fault of a file or directory of this machine.
    pub fn file(path: &Path, problem: &dyn std::fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl From<TransferError> for CliError {
    fn from(error: TransferError) -> Self {
        Self::Job(error.into())
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> Self {
        Self::Job(error.into())
    }
}
