//! The stored bytes of one file, resumed where a connection breaks.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::TransferError;
use crate::storage::{Location, Opened, StorageError};

/// Tries without a byte in between before the file is given up.
const FRUITLESS_TRIES: u32 = 4;
/// Tries in all for one file: a connection that breaks after each byte is not followed for ever.
const TRIES: u32 = 50;
/// The first pause; doubled with each fruitless try.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads exactly as many bytes as it is told.
pub(super) struct FileDownload {
    location: Location,
    key: String,
    size: u64,
    /// The version of the object that was seen first, where a file may have only one.
    version: Option<Arc<OnceLock<String>>>,
    read: u64,
    stream: Option<BoxStream<'static, Result<Bytes, StorageError>>>,
    fruitless: u32,
    tries: u32,
}

impl FileDownload {
    pub(super) fn new(location: Location, key: String, size: u64) -> Self {
        Self {
            location,
            key,
            size,
            version: None,
            read: 0,
            stream: None,
            fruitless: 0,
            tries: 0,
        }
    }

    /// Holds the object to the version that is noted there, or notes it.
    pub(super) fn held_to(mut self, version: Arc<OnceLock<String>>) -> Self {
        self.version = Some(version);
        self
    }

    /// The next bytes; none at the end. A file of another size is an error before its first byte.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.read == self.size && self.tries > 0 {
                return Ok(None);
            }
            match self.step().await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(TransferError::Storage(error)) if error.retryable => {
                    self.stream = None;
                    self.fruitless += 1;
                    if self.fruitless >= FRUITLESS_TRIES || self.tries >= TRIES {
                        return Err(error.into());
                    }
                    tokio::time::sleep(PAUSE * 2u32.pow(self.fruitless - 1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, TransferError> {
        let Some(stream) = &mut self.stream else {
            self.tries += 1;
            let found = self.location.read(&self.key, self.read, self.size).await?;
            let Opened {
                size,
                version,
                stream,
            } = found.ok_or_else(|| self.corrupt("it is missing"))?;
            if size != self.size {
                return Err(self.corrupt(&format!("it has {size} bytes instead of {}", self.size)));
            }
            if let Some(noted) = &self.version
                && *noted.get_or_init(|| version.clone()) != version
            {
                return Err(self.corrupt("it was written anew while it was read"));
            }
            self.stream = Some(stream);
            return Ok(None);
        };
        match stream.next().await {
            Some(Ok(bytes)) => {
                self.read += bytes.len() as u64;
                if self.read > self.size {
                    return Err(self.corrupt("the store gave more bytes than it has"));
                }
                self.fruitless = 0;
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(StorageError::passing(
                crate::api::conditions::Reason::Unreachable,
                format!(
                    "the {} ended {} after {} of {} bytes",
                    self.location.place(),
                    self.key,
                    self.read,
                    self.size
                ),
            )
            .into()),
        }
    }

    fn corrupt(&self, problem: &str) -> TransferError {
        TransferError::Corrupt {
            path: self.key.clone(),
            problem: problem.to_owned(),
        }
    }
}
