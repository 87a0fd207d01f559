//! A backup of RethinkDB as the archive that `rethinkdb restore` reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Fetched, create};
use crate::cli::CliError;
use crate::engine::EngineError;
use crate::engine::rethinkdb_archive::{ARRAY_BEGIN, RowsAsArray, TableFiles, Tables};
use crate::job::JobError;
use crate::manifest::{Manifest, Part};
use crate::storage::Location;
use crate::tar::Tar;
use crate::transfer::{IndexReader, PartReader, RecordSource, Throttle};

/// Writes the archive into a directory. It gets its name only once all digests were compared.
pub(super) async fn archive(
    location: &Location,
    manifest: &Manifest,
    to: &Path,
) -> Result<Fetched, CliError> {
    let time = manifest.consistency_time;
    let name = format!("rethinkdb_dump_{}", time.strftime("%Y-%m-%dT%H-%M-%S"));
    let path = to.join(format!("{name}.tar.gz"));
    let unfinished = to.join(format!(".{name}.unfinished"));
    let job = Archive {
        location,
        manifest,
        // As the vendor's tool writes it; the file's name has no colons, as few systems take them.
        directory: format!("rethinkdb_dump_{}", time.strftime("%Y-%m-%dT%H:%M:%S")),
        path: &unfinished,
    };
    match job.write().await {
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
    directory: String,
    path: &'a Path,
}

type Packed = Tar<GzEncoder<BufWriter<File>>>;

impl Archive<'_> {
    async fn write(&self) -> Result<u64, CliError> {
        let seconds = self.manifest.consistency_time.as_second();
        let out = GzEncoder::new(create(self.path)?, Compression::default());
        let mut tar = Tar::new(out, u64::try_from(seconds).unwrap_or_default());
        let mut index = IndexReader::open(self.location.clone(), self.manifest)?;
        let (mut tables, mut bytes) = (Tables::default(), 0);
        while let Some(part) = index.next().await? {
            if let Some(files) = tables.take(&part).map_err(JobError::from)? {
                bytes += self.table(&mut tar, &part, &files).await?;
            }
        }
        let mut out = tar
            .finish()
            .and_then(GzEncoder::finish)
            .map_err(|error| self.problem(&error))?;
        out.flush().map_err(|error| self.problem(&error))?;
        Ok(bytes)
    }

    async fn table(
        &self,
        tar: &mut Packed,
        part: &Part,
        files: &TableFiles,
    ) -> Result<u64, CliError> {
        let problem = |error| self.problem(&error);
        let stem = format!("{}/{}", self.directory, files.stem);
        tar.file(&format!("{stem}.info"), files.info.len() as u64)
            .map_err(problem)?;
        tar.write(files.info.as_bytes()).map_err(problem)?;

        let lines = part.files.iter().map(|file| file.plain_size).sum();
        tar.file(
            &format!("{stem}.json"),
            RowsAsArray::size(part.records, lines),
        )
        .map_err(problem)?;
        tar.write(ARRAY_BEGIN).map_err(problem)?;
        let mut rows = RowsAsArray::default();
        let mut reader = PartReader::open(
            self.location.clone(),
            &self.manifest.identity.data_dir(&self.manifest.run_id),
            &part.files,
            self.manifest.codec,
            Throttle::unlimited(),
        );
        let mut out = Vec::new();
        while let Some(piece) = reader.next().await? {
            rows.push(&piece, &mut out);
            tar.write(&out).map_err(problem)?;
            out.clear();
        }
        let (end, count) = rows.finish();
        if count != part.records {
            let problem = format!(
                "{} has {count} rows, its manifest says {}",
                files.stem, part.records
            );
            return Err(JobError::from(EngineError::BadBackup { problem }).into());
        }
        tar.write(end).map_err(problem)?;
        Ok(lines)
    }

    fn problem(&self, error: &std::io::Error) -> CliError {
        CliError::file(self.path, error)
    }
}
