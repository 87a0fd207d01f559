//! A backup as the one archive that its vendor's tool restores.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::lines::Lines;
use super::{Fetched, create};
use crate::cli::CliError;
use crate::engine::{ArchiveContent, ArchiveLayout, Around, EngineError};
use crate::job::JobError;
use crate::manifest::{Manifest, Part};
use crate::storage::Location;
use crate::tar::Tar;
use crate::transfer::{IndexReader, PartReader, RecordSource, Throttle};

/// Writes the archive into a directory. It gets its name only once all digests were compared.
pub(super) async fn archive(
    layout: &ArchiveLayout,
    location: &Location,
    manifest: &Manifest,
    to: &Path,
) -> Result<Fetched, CliError> {
    let name = (layout.name)(manifest.consistency_time);
    let path = to.join(format!("{name}.tar.gz"));
    let unfinished = to.join(format!(".{name}.unfinished"));
    let job = Archive {
        location,
        manifest,
        path: &unfinished,
    };
    match job.write(layout).await {
        Ok(bytes) => {
            std::fs::rename(&unfinished, &path).map_err(|error| CliError::file(&path, &error))?;
            Ok(Fetched { files: 1, bytes })
        }
        Err(error) => {
            let _ = std::fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

struct Archive<'a> {
    location: &'a Location,
    manifest: &'a Manifest,
    path: &'a Path,
}

type Packed = Tar<GzEncoder<BufWriter<File>>>;

impl Archive<'_> {
    async fn write(&self, layout: &ArchiveLayout) -> Result<u64, CliError> {
        let mut parts = Vec::new();
        let mut index = IndexReader::open(self.location.clone(), self.manifest)?;
        while let Some(part) = index.next().await? {
            parts.push(part);
        }
        let time = self.manifest.consistency_time;
        let directory = (layout.directory)(time);
        let out = GzEncoder::new(create(self.path)?, Compression::default());
        let mut tar = Tar::new(out, u64::try_from(time.as_second()).unwrap_or_default());
        let mut bytes = 0;
        for file in (layout.files)(&parts).map_err(JobError::from)? {
            let path = format!("{directory}/{}", file.path);
            match file.content {
                ArchiveContent::Bytes(content) => {
                    tar.file(&path, content.len() as u64)
                        .and_then(|()| tar.write(&content))
                        .map_err(|error| self.problem(&error))?;
                }
                ArchiveContent::Records { parts: of, around } => {
                    let of: Vec<&Part> = of.iter().filter_map(|at| parts.get(*at)).collect();
                    bytes += self.records(&mut tar, &path, &of, around).await?;
                }
            }
        }
        let mut out = tar
            .finish()
            .and_then(GzEncoder::finish)
            .map_err(|error| self.problem(&error))?;
        out.flush().map_err(|error| self.problem(&error))?;
        Ok(bytes)
    }

    /// The records of some parts as one file.
    async fn records(
        &self,
        tar: &mut Packed,
        path: &str,
        parts: &[&Part],
        around: Around,
    ) -> Result<u64, CliError> {
        let problem = |error| self.problem(&error);
        let records = parts.iter().map(|part| part.records).sum();
        let files = parts.iter().flat_map(|part| &part.files);
        let bytes = files.map(|file| file.plain_size).sum();
        tar.file(path, Lines::size(&around, records, bytes))
            .map_err(problem)?;
        let (mut lines, mut out) = (Lines::new(around), Vec::new());
        for part in parts {
            let mut reader = PartReader::open(
                self.location.clone(),
                &self.manifest.identity.data_dir(&self.manifest.run_id),
                &part.files,
                self.manifest.codec,
                Throttle::unlimited(),
            );
            while let Some(piece) = reader.next().await? {
                lines.push(&piece, &mut out);
                tar.write(&out).map_err(problem)?;
                out.clear();
            }
        }
        let (end, count) = lines.finish();
        if count != records {
            let problem = format!("{path} has {count} records, its manifest says {records}");
            return Err(JobError::from(EngineError::BadBackup { problem }).into());
        }
        tar.write(end).map_err(problem)?;
        Ok(bytes)
    }

    fn problem(&self, error: &std::io::Error) -> CliError {
        CliError::file(self.path, error)
    }
}
