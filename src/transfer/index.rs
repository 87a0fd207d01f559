//! The parts index in the bucket: written while parts are exported, read part by part.

use std::sync::Arc;

use super::TransferError;
use super::budget::UploadBudget;
use super::download::FileDownload;
use super::upload::FileUpload;
use crate::api::common::Totals;
use crate::manifest::{
    INDEX_PATH, IndexDecoder, IndexEncoder, IndexRef, Manifest, ManifestError, Part,
};
use crate::storage::Location;

/// Writes the parts index of a run.
pub struct IndexWriter {
    key: String,
    encoder: IndexEncoder,
    upload: FileUpload,
}

impl IndexWriter {
    /// Begins an index. `data_dir` is `Identity::data_dir`; `budget` is the run's.
    pub fn create(
        location: Location,
        data_dir: &str,
        budget: Arc<UploadBudget>,
    ) -> Result<Self, TransferError> {
        let key = format!("{data_dir}/{INDEX_PATH}");
        Ok(Self {
            encoder: IndexEncoder::new().map_err(|problem| untrusted(&key, problem))?,
            upload: FileUpload::new(location, key.clone(), budget),
            key,
        })
    }

    /// Adds a part whose files are stored.
    pub async fn push(&mut self, part: &Part) -> Result<(), TransferError> {
        let packed = self
            .encoder
            .push(part)
            .map_err(|problem| untrusted(&self.key, problem))?;
        self.upload.push(&packed).await
    }

    /// Stores the end. Gives what the manifest says of the index, and of all parts.
    pub async fn finish(mut self) -> Result<(IndexRef, Totals), TransferError> {
        let finished = self.encoder.finish();
        let (packed, index, totals) = match finished {
            Ok(finished) => finished,
            Err(problem) => {
                self.upload.abort().await;
                return Err(untrusted(&self.key, problem));
            }
        };
        self.upload.push(&packed).await?;
        self.upload.finish().await?;
        Ok((index, totals))
    }

    /// Tells the store to forget what is under way.
    pub async fn abort(mut self) {
        self.upload.abort().await;
    }
}

/// Reads the parts index of a backup, part by part, and checks it: see [`IndexDecoder`].
pub struct IndexReader {
    key: String,
    decoder: Option<IndexDecoder>,
    download: FileDownload,
}

impl IndexReader {
    /// Begins to read. Nothing is fetched yet.
    pub fn open(location: Location, manifest: &Manifest) -> Result<Self, TransferError> {
        let key = format!(
            "{}/{INDEX_PATH}",
            manifest.identity.data_dir(&manifest.run_id)
        );
        let decoder = IndexDecoder::new(manifest).map_err(|problem| corrupt(&key, problem))?;
        Ok(Self {
            decoder: Some(decoder),
            download: FileDownload::new(location, key.clone(), manifest.index.stored_size),
            key,
        })
    }

    /// The next part; none at the end, when the index was found to be what the manifest says. So
    /// nothing may be acted on before one reading has come to the end.
    pub async fn next(&mut self) -> Result<Option<Part>, TransferError> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                return Ok(None);
            };
            let part = decoder.next_part();
            if let Some(part) = part.map_err(|problem| corrupt(&self.key, problem))? {
                return Ok(Some(part));
            }
            let checked = match self.download.next().await? {
                Some(stored) => decoder.push(&stored),
                None => self.decoder.take().map_or(Ok(()), IndexDecoder::finish),
            };
            checked.map_err(|problem| corrupt(&self.key, problem))?;
        }
    }
}

/// The manifest has the index's digest: an index that is wrong was changed after the commit.
fn corrupt(key: &str, problem: ManifestError) -> TransferError {
    TransferError::Corrupt {
        path: key.to_owned(),
        problem: match problem {
            ManifestError::Index(problem) => problem,
            other => other.to_string(),
        },
    }
}

fn untrusted(key: &str, problem: ManifestError) -> TransferError {
    TransferError::Manifest {
        path: key.to_owned(),
        problem,
    }
}
