//! The files of a dump that a vendor's own tool made: found by listing, read as plain bytes.
//!
//! Nothing says what they should hold, so they are hostile: their number and what they unpack to are
//! bounded, and a file that is another one than at its first reading is an error before its first
//! byte is given.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::codec::Decoder;
use super::download::FileDownload;
use super::limit::Throttle;
use super::{RecordSource, TransferError};
use crate::api::common::Codec;
use crate::storage::Location;

/// The most files of a dump.
const FILES: usize = 100_000;
/// What every gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Plain bytes that are taken however well they are packed.
const PLAIN_FREE: u64 = 64 << 20;
/// The most plain bytes for a packed one, above those. Deflate can make 1,032 of one; of records it
/// makes some 10.
const RATIO: u64 = 250;

/// One file of a dump.
#[derive(Clone, Debug)]
pub struct DumpFile {
    /// Its name below the dump's path; that of the file alone where the dump is one file.
    pub name: String,
    /// Bytes in the store.
    pub size: u64,
    version: Arc<OnceLock<String>>,
}

/// A dump that a vendor's tool made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dump {
    location: Location,
    path: Arc<str>,
    files: Arc<[DumpFile]>,
    throttle: Throttle,
}

impl Dump {
    /// Finds the files of the dump at `path`, below the location's prefix: those of a directory, or
    /// one file. `throttle` is the run's.
    pub async fn find(
        location: &Location,
        path: &str,
        throttle: Throttle,
    ) -> Result<Self, TransferError> {
        let missing = || TransferError::NoDump {
            path: path.to_owned(),
            place: location.place().to_owned(),
        };
        if path.is_empty() {
            return Err(missing());
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inside = location.outside(path)?;
        let mut found = (inside.outside_files(FILES).await?, inside);
        if found.0.is_empty() {
            let beside = location.outside(directory)?;
            if let Some(size) = beside.size(name).await? {
                found = (vec![(name.to_owned(), size)], beside);
            }
        }
        let (files, found_in) = found;
        if files.is_empty() {
            return Err(missing());
        }
        let files = files.into_iter().map(|(name, size)| DumpFile {
            name,
            size,
            version: Arc::default(),
        });
        Ok(Self {
            files: files.collect(),
            path: path.into(),
            location: found_in,
            throttle,
        })
    }

    /// Where it lies, below the location's prefix.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its files, sorted by name.
    pub fn files(&self) -> &[DumpFile] {
        &self.files
    }

    /// One of them.
    pub fn file(&self, name: &str) -> Option<&DumpFile> {
        let at = self
            .files
            .binary_search_by(|file| file.name.as_str().cmp(name));
        self.files.get(at.ok()?)
    }

    /// Reads a file from its begin, without its gzip packing where it has one.
    pub fn read(&self, file: &DumpFile) -> DumpReader {
        DumpReader {
            decoder: None,
            ..self.read_stored(file)
        }
    }

    /// Reads a file from its begin, as it is stored.
    pub fn read_stored(&self, file: &DumpFile) -> DumpReader {
        let download = FileDownload::new(self.location.clone(), file.name.clone(), file.size);
        DumpReader {
            name: file.name.clone(),
            download: download.held_to(Arc::clone(&file.version)),
            throttle: self.throttle.clone(),
            decoder: Some(Unpack {
                decoder: Decoder::None,
                out: Vec::new(),
                more: false,
            }),
            rest: Bytes::new(),
            stored: 0,
            plain: 0,
        }
    }

    /// Reads a whole file of at most `limit` plain bytes.
    pub async fn read_small(&self, file: &DumpFile, limit: usize) -> Result<Bytes, TransferError> {
        let mut reader = self.read(file);
        let mut all = BytesMut::new();
        while let Some(piece) = reader.next().await? {
            if all.len() + piece.len() > limit {
                return Err(bad_dump(
                    &file.name,
                    format!("it has more than {limit} bytes"),
                ));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// A file of a vendor's dump that can't be used.
pub fn bad_dump(file: &str, problem: impl Into<String>) -> TransferError {
    TransferError::Dump {
        file: file.chars().take(200).collect(),
        problem: problem.into(),
    }
}

struct Unpack {
    decoder: Decoder,
    out: Vec<u8>,
    /// True while the decoder may hold bytes back.
    more: bool,
}

/// Gives the bytes of one file of a dump.
pub struct DumpReader {
    name: String,
    download: FileDownload,
    throttle: Throttle,
    /// None until the file's begin says how it is packed.
    decoder: Option<Unpack>,
    /// Stored bytes that were not unpacked yet.
    rest: Bytes,
    stored: u64,
    plain: u64,
}

#[async_trait]
impl RecordSource for DumpReader {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let plain = self.step().await?;
        if let Some(plain) = &plain {
            self.throttle.pass(plain.len()).await;
        }
        Ok(plain)
    }
}

impl DumpReader {
    /// Plain bytes that were given so far.
    pub fn plain_size(&self) -> u64 {
        self.plain
    }

    async fn step(&mut self) -> Result<Option<Bytes>, TransferError> {
        self.look().await?;
        loop {
            let Some(unpack) = &mut self.decoder else {
                return Ok(None);
            };
            if unpack.more || !self.rest.is_empty() {
                let used = unpack
                    .decoder
                    .unpack(&self.rest, &mut unpack.out)
                    .map_err(|error| bad_dump(&self.name, no_gzip(&error)))?;
                self.rest = self.rest.slice(used..);
                unpack.more = !unpack.out.is_empty();
                if let Some(plain) = self.give()? {
                    return Ok(Some(plain));
                }
                continue;
            }
            if let Some(bytes) = self.stored().await? {
                self.rest = bytes;
                continue;
            }
            if let Some(unpack) = &mut self.decoder {
                unpack
                    .decoder
                    .finish(&mut unpack.out)
                    .map_err(|error| bad_dump(&self.name, no_gzip(&error)))?;
            }
            return self.give();
        }
    }

    /// Finds out how the file is packed, by its first bytes: its name may say anything.
    async fn look(&mut self) -> Result<(), TransferError> {
        if self.decoder.is_some() {
            return Ok(());
        }
        let mut first = BytesMut::new();
        while first.len() < GZIP.len()
            && let Some(bytes) = self.stored().await?
        {
            first.extend_from_slice(&bytes);
        }
        let codec = if first.starts_with(&GZIP) {
            Codec::Gzip
        } else {
            Codec::None
        };
        let decoder = Decoder::new(codec)
            .map_err(|error| TransferError::Internal(format!("unpacking failed: {error}")))?;
        self.rest = first.freeze();
        self.decoder = Some(Unpack {
            decoder,
            out: Vec::new(),
            more: false,
        });
        Ok(())
    }

    async fn stored(&mut self) -> Result<Option<Bytes>, TransferError> {
        let bytes = self.download.next().await.map_err(|error| match error {
            TransferError::Corrupt { path, problem } => bad_dump(&path, problem),
            other => other,
        })?;
        self.stored += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }

    fn give(&mut self) -> Result<Option<Bytes>, TransferError> {
        let out = match &mut self.decoder {
            Some(unpack) => std::mem::take(&mut unpack.out),
            None => Vec::new(),
        };
        if out.is_empty() {
            return Ok(None);
        }
        self.plain += out.len() as u64;
        if self.plain > PLAIN_FREE && self.plain / RATIO > self.stored {
            return Err(bad_dump(
                &self.name,
                format!(
                    "it unpacks to more than {RATIO} times its size, which no records do; unpack it by hand if it is what it should be"
                ),
            ));
        }
        Ok(Some(Bytes::from(out)))
    }
}

fn no_gzip(error: &std::io::Error) -> String {
    format!("it begins as a gzip file, but is damaged or cut off ({error})")
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
