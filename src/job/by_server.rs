//! Parts whose files the data system's own server writes and reads.
//!
//! What a server did is not believed: the files that are there are listed, read once, digested, and
//! their records counted and compared with what the server answered. Before a server reads a
//! directory, nothing may be in it but the files of the backup.

use super::{JobError, Progress};
use crate::engine::{ByServer, EngineError, FILE_END, ImportReport, PartPlan, PartSummary};
use crate::manifest::{Part, PartFile};
use crate::storage::{Entry, Location};
use crate::transfer::{Throttle, TransferError, digest_file, file_end};

/// The most files of one part: all of them have to fit into one line of the index.
const FILES_LIMIT: usize = 2000;

/// Where the files of a run lie, and what it takes to look at them.
pub(super) struct Files<'a> {
    /// The location.
    pub(super) location: &'a Location,
    /// `Identity::data_dir` of the run that wrote them.
    pub(super) data_dir: &'a str,
    /// The run's bound on bytes a second.
    pub(super) throttle: &'a Throttle,
    /// Counts what is read.
    pub(super) progress: &'a Progress,
}

impl Files<'_> {
    /// Has the server write a part below `stem`, where nothing is yet, and looks at what it wrote.
    pub(super) async fn write(
        &self,
        server: &dyn ByServer,
        part: &PartPlan,
        stem: &str,
    ) -> Result<(PartSummary, Vec<PartFile>), JobError> {
        let directory = format!("{}/{stem}", self.data_dir);
        let summary = server.write_part(part, &directory).await?;
        let (mut files, mut records) = (Vec::new(), 0);
        for entry in self.list(&directory).await? {
            let (file, count) = self.look_at(server, part, &entry).await?;
            records += count;
            files.push(file);
        }
        if records != summary.records {
            return Err(EngineError::SourceChanged {
                problem: format!(
                    "the server says that it wrote {} records, and its {} files hold {records}",
                    summary.records,
                    files.len()
                ),
            }
            .into());
        }
        if records == 0 {
            files.clear();
        }
        Ok((summary, files))
    }

    async fn list(&self, directory: &str) -> Result<Vec<Entry>, JobError> {
        let found = self.location.list_sorted(directory, None, FILES_LIMIT);
        Ok(found.await.map_err(TransferError::from)?)
    }

    /// Reads one file: its digest and how many records it holds.
    async fn look_at(
        &self,
        server: &dyn ByServer,
        part: &PartPlan,
        entry: &Entry,
    ) -> Result<(PartFile, u64), JobError> {
        let (key, size) = (entry.key.as_str(), entry.size);
        let corrupt = |problem: String| TransferError::Corrupt {
            path: key.to_owned(),
            problem,
        };
        let end = file_end(self.location, key, size, FILE_END).await?;
        let mut counter = server.counter(part, size, &end)?;
        let sha256 = digest_file(self.location, key, size, self.throttle, |bytes| {
            self.progress.add_bytes(bytes.len() as u64);
            counter.push(bytes);
        })
        .await?;
        let records = counter.records().map_err(corrupt)?;
        let path = key
            .strip_prefix(self.data_dir)
            .and_then(|path| path.strip_prefix('/'))
            .ok_or_else(|| corrupt("it does not lie where it was looked for".to_owned()))?;
        let file = PartFile {
            path: path.to_owned(),
            stored_size: size,
            stored_sha256: sha256.clone(),
            plain_size: size,
            plain_sha256: sha256,
        };
        Ok((file, records))
    }

    /// Has the server read the files of a part.
    pub(super) async fn read(
        &self,
        server: &dyn ByServer,
        part: &Part,
    ) -> Result<ImportReport, JobError> {
        let directory = self.only_its_own(part).await?;
        let report = server.read_part(part, &directory).await?;
        if report.written != part.records {
            return Err(EngineError::BadBackup {
                problem: format!(
                    "the server read {} records of {:?}, of which the backup has {}; look whether its nodes reach the location, and whether something else writes there",
                    report.written, part.name, part.records
                ),
            }
            .into());
        }
        Ok(report)
    }

    /// The directory of a part's files, in which there are these and no others: the server reads
    /// whatever is there.
    async fn only_its_own(&self, part: &Part) -> Result<String, JobError> {
        let of = |file: &PartFile| file.path.rsplit_once('/').map(|(dir, _)| dir.to_owned());
        let first = part.files.first().and_then(of);
        let corrupt = |path: &str, problem: &str| TransferError::Corrupt {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let Some(stem) = first.filter(|stem| stem.contains('/')) else {
            return Err(corrupt(self.data_dir, "a part's files have no directory").into());
        };
        let directory = format!("{}/{stem}", self.data_dir);
        let found = self.list(&directory).await?;
        for entry in &found {
            let known = part.files.iter().any(|file| {
                entry.key.strip_prefix(self.data_dir) == Some(&format!("/{}", file.path))
                    && file.stored_size == entry.size
            });
            if !known {
                return Err(corrupt(&entry.key, "the backup has no such file, and the server would read it with the others; take it away").into());
            }
        }
        if found.len() != part.files.len() {
            return Err(corrupt(&directory, "files of the backup are missing").into());
        }
        Ok(directory)
    }
}
