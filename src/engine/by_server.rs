//! Engines whose server reads and writes the files itself.
//!
//! Such a method gives the location's keys to the server. What the server wrote is nobody's word but
//! its own: the job looks at each file, counts its records and notes its digest.

use std::path::Path;

use async_trait::async_trait;

use super::{EngineError, ImportReport, PartPlan, PartSummary};
use crate::api::storage_location::StorageLocationSpec;
use crate::manifest::Part;
use crate::storage::{StorageCredentials, StorageError};

/// The location as a data system's own server may reach it.
#[derive(Clone, Debug)]
pub struct ServerStore {
    /// The location.
    pub spec: StorageLocationSpec,
    /// Its static keys; none where there is no Secret.
    pub credentials: Option<StorageCredentials>,
}

impl ServerStore {
    /// With the keys of a mounted Secret, where there is one.
    pub fn read(
        spec: &StorageLocationSpec,
        credentials: Option<&Path>,
    ) -> Result<Self, StorageError> {
        let read = |directory| StorageCredentials::from_dir(spec, directory);
        Ok(Self {
            spec: spec.clone(),
            credentials: credentials.map(read).transpose()?,
        })
    }
}

/// What a server does with files of its own, one directory a part.
///
/// `directory` is a key of the location, without a slash at its end.
#[async_trait]
pub trait ByServer: Send + Sync {
    /// Has the server write the records of a part below `directory`, where nothing is yet. The
    /// summary's count is the server's own.
    async fn write_part(
        &self,
        part: &PartPlan,
        directory: &str,
    ) -> Result<PartSummary, EngineError>;

    /// Counts the records of one file of `size` bytes; `end` are its last bytes, at most
    /// [`FILE_END`].
    fn counter(
        &self,
        part: &PartPlan,
        size: u64,
        end: &[u8],
    ) -> Result<Box<dyn CountRecords>, EngineError>;

    /// Has the server read all files below `directory` into the part's place. What was written is
    /// the server's own count.
    async fn read_part(&self, part: &Part, directory: &str) -> Result<ImportReport, EngineError>;
}

/// How many bytes of a file's end [`ByServer::counter`] is told.
pub const FILE_END: u64 = 8;

/// Counts records as the bytes of a file pass.
pub trait CountRecords: Send {
    /// Takes the next bytes, cut anywhere.
    fn push(&mut self, bytes: &[u8]);

    /// How many records there were, or what is wrong with the file.
    fn records(self: Box<Self>) -> Result<u64, String>;
}
