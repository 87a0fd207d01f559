//! Writes one part: its records, packed, digested and cut into files.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::budget::UploadBudget;
use super::codec::{Encoder, extension};
use super::digest::Meter;
use super::limit::Throttle;
use super::upload::FileUpload;
use super::{RecordSink, TransferError};
use crate::api::common::Compression;
use crate::manifest::PartFile;
use crate::storage::Location;

/// Plain bytes that are packed at once before other tasks get their turn: half a millisecond of
/// work at zstd's level 3.
const STEP: usize = 128 * 1024;

/// How the files of a part look.
#[derive(Clone, Debug)]
pub struct PartFormat {
    /// Name of the files, without number and extension; may have directories: `parts/0001`.
    pub stem: String,
    /// The vendor's extension, without its dot: `lp`. Empty: none.
    pub extension: String,
    /// The part's one file has this name, in a directory named `stem`, and is never cut. None: files
    /// are numbered, and cut at `max_file_bytes`.
    pub file_name: Option<String>,
    /// What each file begins with, so that the vendor's tool can read it by itself.
    pub header: Bytes,
    /// Codec and level.
    pub compression: Compression,
    /// Plain bytes after which a new file is begun.
    pub max_file_bytes: u64,
}

impl PartFormat {
    /// The most plain bytes that a file should have.
    pub const MAX_FILE_BYTES: u64 = 1 << 30;

    /// Path of the part's file with this number, counted from 1.
    fn path(&self, number: usize) -> String {
        let (stem, codec) = (&self.stem, extension(self.compression.codec));
        match (&self.file_name, self.extension.as_str()) {
            (Some(name), _) => format!("{stem}/{name}{codec}"),
            (None, "") => format!("{stem}.{number:04}{codec}"),
            (None, vendor) => format!("{stem}.{number:04}.{vendor}{codec}"),
        }
    }

    /// Whether a file that has `held` plain bytes takes `more`.
    fn takes(&self, held: u64, more: usize) -> bool {
        self.file_name.is_some() || held + more as u64 <= self.max_file_bytes
    }
}

/// Takes the records of one part and writes its files below the run's data directory.
///
/// A part without records has no file. Dropped before [`Self::finish`], it aborts what is under way
/// as well as it can; [`Self::abort`] waits until that is done.
pub struct PartWriter {
    location: Location,
    data_dir: String,
    format: PartFormat,
    budget: Arc<UploadBudget>,
    throttle: Throttle,
    open: Option<OpenFile>,
    files: Vec<PartFile>,
}

struct OpenFile {
    path: String,
    encoder: Encoder,
    plain: Meter,
    upload: FileUpload,
}

impl PartWriter {
    /// Begins a part. `data_dir` is `Identity::data_dir`; `budget` and `throttle` are the run's.
    pub fn create(
        location: Location,
        data_dir: &str,
        format: PartFormat,
        budget: Arc<UploadBudget>,
        throttle: Throttle,
    ) -> Self {
        Self {
            location,
            data_dir: data_dir.to_owned(),
            format,
            budget,
            throttle,
            open: None,
            files: Vec::new(),
        }
    }

    /// Ends the part: its files, in order, once all are stored.
    pub async fn finish(mut self) -> Result<Vec<PartFile>, TransferError> {
        self.close_file().await?;
        Ok(std::mem::take(&mut self.files))
    }

    /// Tells the store to forget what is under way. Files that were stored stay: without a manifest
    /// they are swept later.
    pub async fn abort(mut self) {
        if let Some(mut file) = self.open.take() {
            file.upload.abort().await;
        }
    }

    /// Plain bytes taken so far.
    pub fn plain_bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |file| file.plain.size());
        open + self.files.iter().map(|file| file.plain_size).sum::<u64>()
    }

    async fn open_file(&mut self) -> Result<(), TransferError> {
        let path = self.format.path(self.files.len() + 1);
        let key = format!("{}/{path}", self.data_dir);
        let mut file = OpenFile {
            path,
            encoder: Encoder::new(self.format.compression.codec, self.format.compression.level)
                .map_err(|error| packing(&error))?,
            plain: Meter::default(),
            upload: FileUpload::new(self.location.clone(), key, self.budget.clone()),
        };
        file.write(&self.format.header).await?;
        self.open = Some(file);
        Ok(())
    }

    async fn close_file(&mut self) -> Result<(), TransferError> {
        if let Some(file) = self.open.take() {
            self.files.push(file.finish().await?);
        }
        Ok(())
    }
}

#[async_trait]
impl RecordSink for PartWriter {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        if records.is_empty() {
            return Ok(());
        }
        self.throttle.pass(records.len()).await;
        let full = self
            .open
            .as_ref()
            .is_some_and(|file| !self.format.takes(file.plain.size(), records.len()));
        if full {
            self.close_file().await?;
        }
        if self.open.is_none() {
            self.open_file().await?;
        }
        match &mut self.open {
            Some(file) => file.write(&records).await,
            None => Ok(()),
        }
    }
}

impl OpenFile {
    async fn write(&mut self, plain: &[u8]) -> Result<(), TransferError> {
        for step in plain.chunks(STEP) {
            self.plain.add(step);
            let packed = self.encoder.pack(step).map_err(|error| packing(&error))?;
            self.upload.push(packed).await?;
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<PartFile, TransferError> {
        let rest = self.encoder.finish().map_err(|error| packing(&error))?;
        self.upload.push(&rest).await?;
        let (stored_size, stored_sha256) = self.upload.finish().await?;
        let (plain_size, plain_sha256) = self.plain.finish();
        Ok(PartFile {
            path: self.path,
            stored_size,
            stored_sha256,
            plain_size,
            plain_sha256,
        })
    }
}

fn packing(error: &std::io::Error) -> TransferError {
    TransferError::Internal(format!("packing failed: {error}"))
}
