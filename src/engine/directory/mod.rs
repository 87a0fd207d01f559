//! Files of a scratch directory as parts of a backup, and back.
//!
//! A file is a part of the kind `file`, named by its path; its bytes are stored as they are, and it
//! counts as one record. What holds no bytes (an empty file, an empty directory) is a part without
//! files. Anything else (links, devices, sockets) is refused: it would not be the same elsewhere.
//!
//! Names from a bucket are anybody's: they are checked before a path is made of them (`path`).

mod path;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::engine::{EngineError, PartPlan};
use crate::manifest::Part;
use crate::transfer::{RecordSink, RecordSource};
pub use walk::{Tree, walk};

/// A part that is a file.
pub const FILE: &str = "file";
/// A part that is a directory with nothing in it.
const DIRECTORY: &str = "directory";
/// The word of a part's name that holds its path.
const PATH: &str = "path";
/// What is read at once.
const CHUNK: usize = 128 * 1024;
/// Below the scratch directory, files lie here until they are whole.
const INCOMING: &str = ".incoming";

/// A directory that belongs to one run.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    incoming: AtomicU64,
}

impl Scratch {
    /// The scratch directory of the pod.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            incoming: AtomicU64::new(0),
        }
    }

    /// The directory of this name, which [`Self::fresh`] made.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// An empty directory of this name: what was there is removed.
    pub async fn fresh(&self, name: &str) -> Result<PathBuf, EngineError> {
        let directory = self.path(name);
        match tokio::fs::remove_dir_all(&directory).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fault(&directory, &error));
            }
            _ => make(&directory).await?,
        }
        Ok(directory)
    }

    /// Writes the file that a part of a backup holds below `directory`. It has its name only once all
    /// of it is there and its digests were compared.
    pub async fn lay_out(
        &self,
        directory: &Path,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<(), EngineError> {
        let path = directory.join(path_of(part)?);
        let incoming = self.root.join(INCOMING);
        make(&incoming).await?;
        let number = self.incoming.fetch_add(1, Ordering::Relaxed);
        let unfinished = incoming.join(number.to_string());
        let written = write(&unfinished, records).await;
        if let Err(error) = written {
            // Best effort: it takes room that another attempt needs.
            let _ = tokio::fs::remove_file(&unfinished).await;
            return Err(error);
        }
        if let Some(parent) = path.parent() {
            make(parent).await?;
        }
        tokio::fs::rename(&unfinished, &path)
            .await
            .map_err(|error| fault(&path, &error))
    }
}

/// Hands the bytes of a part's file to `sink`, and gives their number.
pub async fn export_file(
    directory: &Path,
    part: &PartPlan,
    sink: &mut dyn RecordSink,
) -> Result<u64, EngineError> {
    let path = directory.join(checked(part.name.get(PATH))?);
    let mut file = File::open(&path)
        .await
        .map_err(|error| fault(&path, &error))?;
    let mut size = 0;
    loop {
        let mut piece = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut piece).await;
        match read.map_err(|error| fault(&path, &error))? {
            0 => return Ok(size),
            length => size += length as u64,
        }
        sink.write(piece.freeze()).await?;
    }
}

/// Makes what holds no bytes: empty files and empty directories. Parts of other kinds are not
/// looked at.
pub async fn lay_out_empty(directory: &Path, structure: &[Part]) -> Result<(), EngineError> {
    for part in structure {
        if part.kind != FILE && part.kind != DIRECTORY {
            continue;
        }
        let path = directory.join(path_of(part)?);
        if part.kind == DIRECTORY {
            make(&path).await?;
            continue;
        }
        if let Some(parent) = path.parent() {
            make(parent).await?;
        }
        File::create(&path)
            .await
            .map_err(|error| fault(&path, &error))?;
    }
    Ok(())
}

/// The path of a part, below whatever directory: relative, and without a step upwards.
pub fn path_of(part: &Part) -> Result<&Path, EngineError> {
    checked(part.name.get(PATH))
}

fn checked(path: Option<&String>) -> Result<&Path, EngineError> {
    let bad = |problem: String| EngineError::BadBackup { problem };
    let path = path.ok_or_else(|| bad("a file has no path".to_owned()))?;
    path::check(path).map_err(bad)
}

async fn write(path: &Path, records: &mut dyn RecordSource) -> Result<(), EngineError> {
    let problem = |error| fault(path, &error);
    let mut file = File::create(path).await.map_err(problem)?;
    while let Some(piece) = records.next().await? {
        file.write_all(&piece).await.map_err(problem)?;
    }
    file.flush().await.map_err(problem)
}

async fn make(directory: &Path) -> Result<(), EngineError> {
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| fault(directory, &error))
}

fn fault(path: &Path, error: &std::io::Error) -> EngineError {
    let advice = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "; give job.scratch a larger sizeLimit, or a storageClassName of a larger volume"
        }
        _ => "",
    };
    EngineError::Scratch {
        problem: format!("{}: {error}{advice}", path.display()),
    }
}
