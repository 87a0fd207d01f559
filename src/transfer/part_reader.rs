//! Reads one part: its files, unpacked, and compared with what the manifest says of them.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;

use super::codec::Decoder;
use super::digest::Meter;
use super::download::FileDownload;
use super::limit::Throttle;
use super::{RecordSource, TransferError};
use crate::api::common::Codec;
use crate::manifest::PartFile;
use crate::storage::Location;

/// Gives the plain bytes of one part, its files one after another.
///
/// Never reads or unpacks more than the manifest says. Sizes and digests, of stored and of plain
/// bytes, have been compared for all of a file by the time the first byte of the next one, or the
/// end, is given.
pub struct PartReader {
    location: Location,
    data_dir: String,
    codec: Codec,
    throttle: Throttle,
    waiting: VecDeque<PartFile>,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: PartFile,
    key: String,
    download: FileDownload,
    decoder: Decoder,
    stored: Meter,
    plain: Meter,
    /// Stored bytes that were not unpacked yet.
    rest: Bytes,
    /// True while the decoder may hold bytes back.
    more: bool,
    out: Vec<u8>,
}

impl PartReader {
    /// Begins to read a part. `data_dir` is `Identity::data_dir` of the manifest's run; `throttle`
    /// is the run's.
    pub fn open(
        location: Location,
        data_dir: &str,
        files: &[PartFile],
        codec: Codec,
        throttle: Throttle,
    ) -> Self {
        Self {
            location,
            data_dir: data_dir.to_owned(),
            codec,
            throttle,
            waiting: files.iter().cloned().collect(),
            open: None,
        }
    }
}

#[async_trait]
impl RecordSource for PartReader {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.open.is_none() {
                let Some(file) = self.waiting.pop_front() else {
                    return Ok(None);
                };
                self.open = Some(OpenFile::new(
                    &self.location,
                    &self.data_dir,
                    file,
                    self.codec,
                )?);
            }
            let Some(open) = &mut self.open else {
                continue;
            };
            if let Some(plain) = open.next().await? {
                self.throttle.pass(plain.len()).await;
                return Ok(Some(plain));
            }
            self.open = None;
        }
    }
}

impl OpenFile {
    fn new(
        location: &Location,
        data_dir: &str,
        file: PartFile,
        codec: Codec,
    ) -> Result<Self, TransferError> {
        let key = format!("{data_dir}/{}", file.path);
        let decoder = Decoder::new(codec)
            .map_err(|error| TransferError::Internal(format!("unpacking failed: {error}")))?;
        Ok(Self {
            download: FileDownload::new(location.clone(), key.clone(), file.stored_size),
            file,
            key,
            decoder,
            stored: Meter::default(),
            plain: Meter::default(),
            rest: Bytes::new(),
            more: false,
            out: Vec::new(),
        })
    }

    /// The next plain bytes; none once all is compared.
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.more || !self.rest.is_empty() {
                let used = match self.decoder.unpack(&self.rest, &mut self.out) {
                    Ok(used) => used,
                    Err(error) => {
                        return Err(self.corrupt(&format!("it can't be unpacked ({error})")));
                    }
                };
                self.rest = self.rest.slice(used..);
                self.more = !self.out.is_empty();
                if let Some(plain) = self.give()? {
                    return Ok(Some(plain));
                }
                continue;
            }
            if let Some(bytes) = self.download.next().await? {
                self.stored.add(&bytes);
                self.rest = bytes;
                continue;
            }
            // Both ends are asked twice: what the decoder held back is given first.
            if let Err(error) = self.decoder.finish(&mut self.out) {
                return Err(self.corrupt(&format!("it can't be unpacked ({error})")));
            }
            if let Some(plain) = self.give()? {
                return Ok(Some(plain));
            }
            self.compare()?;
            return Ok(None);
        }
    }

    fn give(&mut self) -> Result<Option<Bytes>, TransferError> {
        if self.out.is_empty() {
            return Ok(None);
        }
        self.plain.add(&self.out);
        if self.plain.size() > self.file.plain_size {
            return Err(self.corrupt(&format!(
                "it unpacks to more than its {} bytes",
                self.file.plain_size
            )));
        }
        Ok(Some(Bytes::from(std::mem::take(&mut self.out))))
    }

    fn compare(&mut self) -> Result<(), TransferError> {
        let (_, stored_sha256) = std::mem::take(&mut self.stored).finish();
        if stored_sha256 != self.file.stored_sha256 {
            return Err(self.corrupt("its stored bytes have another SHA-256"));
        }
        let (plain_size, plain_sha256) = std::mem::take(&mut self.plain).finish();
        if plain_size != self.file.plain_size {
            return Err(self.corrupt(&format!(
                "it unpacks to {plain_size} bytes instead of {}",
                self.file.plain_size
            )));
        }
        if plain_sha256 != self.file.plain_sha256 {
            return Err(self.corrupt("its plain bytes have another SHA-256"));
        }
        Ok(())
    }

    fn corrupt(&self, problem: &str) -> TransferError {
        TransferError::Corrupt {
            path: self.key.clone(),
            problem: problem.to_owned(),
        }
    }
}
