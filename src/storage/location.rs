//! An open location: bounded reads, create-only puts, listings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::retry::{RetryContext, RetryFailure, RetryPolicy};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions,
};

use super::StorageError;
use super::fault::Fault;
use super::http::StoreClock;
use super::key::{check_key, join};
use super::outside::{Names, check_name};
use super::server_copy::S3Bucket;
use super::volume::Volume;
use crate::api::conditions::Reason;

/// What a create-only put found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is this writer's, now or since a try whose answer was lost.
    Created,
    /// Somebody else's object is there, with other bytes.
    Exists,
}

/// An object that is read.
pub(crate) struct Opened {
    /// Bytes of the whole object.
    pub(crate) size: u64,
    /// What changes when the object does: its ETag, or where a store has none its time.
    pub(crate) version: String,
    /// The bytes that were asked for.
    pub(crate) stream: BoxStream<'static, Result<Bytes, StorageError>>,
}

/// A bucket and prefix that is open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Location {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: String,
    names: Names,
    place: Arc<str>,
    read_only: bool,
    clock: Clock,
    tries: usize,
    /// For copies that the server makes by itself; none for other stores.
    pub(super) s3: Option<Arc<S3Bucket>>,
}

/// Where the store's time comes from.
#[derive(Clone, Debug)]
enum Clock {
    None,
    /// The `Date` of the store's answers.
    Answers(Arc<StoreClock>),
    /// The times of a volume's files.
    Files(Volume),
}

/// How often one operation is tried again after a passing fault, on top of the HTTP client's tries.
const TRIES: usize = 2;

impl Location {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        place: String,
        read_only: bool,
        clock: Option<Arc<StoreClock>>,
    ) -> Self {
        Self {
            store,
            prefix: prefix.to_owned(),
            names: Names::Own,
            place: place.into(),
            read_only,
            clock: clock.map_or(Clock::None, Clock::Answers),
            tries: TRIES,
            s3: None,
        }
    }

    /// The same location, whose server can copy from other buckets.
    pub(super) fn with_s3(self, bucket: S3Bucket) -> Self {
        Self {
            s3: Some(Arc::new(bucket)),
            ..self
        }
    }

    /// A location in a volume.
    pub(super) fn on_volume(volume: Volume, prefix: &str, place: String, read_only: bool) -> Self {
        Self {
            clock: Clock::Files(volume.clone()),
            ..Self::new(Arc::new(volume), prefix, place, read_only, None)
        }
    }

    /// A location on any store, for tests.
    #[cfg(test)]
    pub(crate) fn on(store: Arc<dyn ObjectStore>) -> Self {
        Self::new(store, "prefix", "test store".to_owned(), false, None)
    }

    /// An empty location that lives as long as its clones, for tests.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        super::testing::FailingStore::new(&[]).location()
    }

    /// The same location, forbidding to write, for tests.
    #[cfg(test)]
    pub(crate) fn into_read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// A directory with a vendor's files, for reading only.
    pub(super) fn into_outside(mut self, prefix: String) -> Self {
        self.prefix = prefix;
        self.names = Names::Vendor;
        self.read_only = true;
        self
    }

    /// Gives up after the HTTP client's own tries, for a caller who asks again anyway.
    pub(super) fn without_patience(mut self) -> Self {
        self.tries = 0;
        self
    }

    /// What the location is called in messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// True where its access mode forbids to write.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// The store's time now: by the `Date` of its last answer, and none before the first; for a
    /// volume by a file that is made and removed, and none where nothing may be written.
    pub async fn server_date(&self) -> Option<Timestamp> {
        match &self.clock {
            Clock::Answers(clock) => clock.now(),
            Clock::Files(volume) if !self.read_only => volume.time().await,
            Clock::Files(_) | Clock::None => None,
        }
    }

    /// The volume that it lies in; none for a bucket.
    pub(super) fn volume(&self) -> Option<&Volume> {
        match &self.clock {
            Clock::Files(volume) => Some(volume),
            Clock::Answers(_) | Clock::None => None,
        }
    }

    /// Reads a whole object of at most `limit` bytes; none where there is no such object. A larger
    /// one is an error, found before it is read.
    pub async fn get_small(
        &self,
        key: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(key)?;
        self.retry(|| self.get_small_once(key, &path, limit)).await
    }

    async fn get_small_once(
        &self,
        key: &str,
        path: &Path,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let got = match self.store.get(path).await {
            Ok(got) => got,
            Err(error) => {
                let fault = Fault::of(&error);
                return if fault.is_missing() {
                    Ok(None)
                } else {
                    Err(fault.explain(&format!("reading {key}"), &self.place))
                };
            }
        };
        let too_large = || {
            StorageError::lasting(
                Reason::ManifestInvalid,
                format!("{key} has more than {limit} bytes: it was not written by Lifeboat"),
            )
        };
        if got.meta.size > limit as u64 {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(got.meta.size).unwrap_or(0));
        let mut stream = got.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.explain(&error, &format!("reading {key}")))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Puts an object only where none is. Where the store says that there is one, it is compared:
    /// equal bytes mean that an earlier try of this writer went through and its answer was lost.
    /// So the bytes must tell writers apart (a run id, a cluster's uid).
    pub async fn put_create(&self, key: &str, bytes: Vec<u8>) -> Result<Created, StorageError> {
        self.writable(key)?;
        let path = self.path(key)?;
        let bytes = Bytes::from(bytes);
        self.retry(|| self.put_create_once(key, &path, bytes.clone()))
            .await
    }

    /// As [`Self::put_create`], but bytes that are there already are `Exists` even where they are
    /// equal: what the store said, and nothing more.
    pub(super) async fn put_create_strict(
        &self,
        key: &str,
        bytes: Vec<u8>,
    ) -> Result<Created, StorageError> {
        self.writable(key)?;
        let path = self.path(key)?;
        let options = PutOptions::from(PutMode::Create);
        let Err(error) = self.store.put_opts(&path, bytes.into(), options).await else {
            return Ok(Created::Created);
        };
        let fault = Fault::of(&error);
        if fault.is_taken() {
            return Ok(Created::Exists);
        }
        Err(fault.explain(&format!("writing {key}"), &self.place))
    }

    async fn put_create_once(
        &self,
        key: &str,
        path: &Path,
        bytes: Bytes,
    ) -> Result<Created, StorageError> {
        let options = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(path, bytes.clone().into(), options);
        let Err(error) = put.await else {
            return Ok(Created::Created);
        };
        let fault = Fault::of(&error);
        let what = format!("writing {key}");
        if !fault.is_taken() {
            return Err(fault.explain(&what, &self.place));
        }
        match self.store.get(path).await {
            Ok(found) if found.meta.size != bytes.len() as u64 => Ok(Created::Exists),
            Ok(found) => {
                let found = found
                    .bytes()
                    .await
                    .map_err(|error| self.explain(&error, &what))?;
                Ok(if found == bytes {
                    Created::Created
                } else {
                    Created::Exists
                })
            }
            // Two writers at the same moment may both be refused: then there is nothing yet.
            Err(error) if Fault::of(&error).is_missing() => Err(fault.explain(&what, &self.place)),
            Err(error) => Err(self.explain(&error, &what)),
        }
    }

    /// Puts an object at a key that only this run writes to.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.writable(key)?;
        let path = self.path(key)?;
        self.retry(|| async {
            let put = self.store.put(&path, bytes.clone().into()).await;
            put.map(|_| ())
                .map_err(|error| self.explain(&error, &format!("writing {key}")))
        })
        .await
    }

    /// Bytes of an object; none where there is no such object.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let path = self.path(key)?;
        self.retry(|| async {
            match self.store.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(error) => {
                    let fault = Fault::of(&error);
                    if fault.is_missing() {
                        Ok(None)
                    } else {
                        Err(fault.explain(&format!("looking at {key}"), &self.place))
                    }
                }
            }
        })
        .await
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.writable(key)?;
        let path = self.path(key)?;
        self.retry(|| async {
            match self.store.delete(&path).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    let fault = Fault::of(&error);
                    if fault.is_missing() {
                        Ok(())
                    } else {
                        Err(fault.explain(&format!("deleting {key}"), &self.place))
                    }
                }
            }
        })
        .await
    }

    /// An object's bytes from `offset` on, up to `end`. None where there is no such object. No
    /// retries: the caller resumes.
    pub(crate) async fn read(
        &self,
        key: &str,
        offset: u64,
        end: u64,
    ) -> Result<Option<Opened>, StorageError> {
        let path = self.path(key)?;
        let what = format!("reading {key}");
        let options = GetOptions {
            range: (offset > 0).then_some(GetRange::Bounded(offset..end)),
            ..GetOptions::default()
        };
        match self.store.get_opts(&path, options).await {
            Ok(got) => {
                let size = got.meta.size;
                let version = got
                    .meta
                    .e_tag
                    .clone()
                    .unwrap_or_else(|| got.meta.last_modified.to_rfc3339());
                let location = self.clone();
                let stream = got
                    .into_stream()
                    .map_err(move |error| location.explain(&error, &what));
                Ok(Some(Opened {
                    size,
                    version,
                    stream: stream.boxed(),
                }))
            }
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is_missing() {
                    Ok(None)
                } else {
                    Err(fault.explain(&what, &self.place))
                }
            }
        }
    }

    /// Begins an upload in pieces.
    pub(crate) async fn begin_multipart(
        &self,
        key: &str,
    ) -> Result<Box<dyn MultipartUpload>, StorageError> {
        self.writable(key)?;
        let path = self.path(key)?;
        self.retry(|| async {
            let options = PutMultipartOptions::default().with_retry_policy(Arc::new(PieceRetry));
            let begun = self.store.put_multipart_opts(&path, options).await;
            begun.map_err(|error| self.explain(&error, &format!("writing {key}")))
        })
        .await
    }

    /// Tries an operation again after a passing fault, with pauses that grow.
    pub(super) async fn retry<T, Fut>(
        &self,
        operation: impl FnMut() -> Fut,
    ) -> Result<T, StorageError>
    where
        Fut: Future<Output = Result<T, StorageError>>,
    {
        operation
            .retry(
                ExponentialBuilder::new()
                    .with_min_delay(Duration::from_millis(200))
                    .with_max_delay(Duration::from_secs(5))
                    .with_max_times(self.tries)
                    .with_jitter(),
            )
            .when(|error: &StorageError| error.retryable)
            .await
    }

    pub(crate) fn explain(&self, error: &object_store::Error, what: &str) -> StorageError {
        Fault::of(error).explain(what, &self.place)
    }

    pub(super) fn path(&self, key: &str) -> Result<Path, StorageError> {
        match self.names {
            Names::Own => check_key(key)?,
            Names::Vendor => check_name(key)?,
        }
        join(&self.prefix, key)
    }

    pub(super) fn writable(&self, key: &str) -> Result<(), StorageError> {
        if self.read_only {
            return Err(StorageError::lasting(
                Reason::StorageReadOnly,
                format!(
                    "{key} is not written: the {} is ReadOnly here; use a location whose accessMode is ReadWrite",
                    self.place
                ),
            ));
        }
        Ok(())
    }
}

/// Sends a piece of an upload again, newly signed, once the HTTP client gave up.
#[derive(Debug)]
struct PieceRetry;

#[async_trait]
impl RetryPolicy for PieceRetry {
    async fn retry(&self, context: RetryContext) -> bool {
        let passing = match context.failure {
            RetryFailure::Status(status) => status.is_server_error(),
            RetryFailure::Transport(_) => true,
            _ => false,
        };
        if !passing || context.attempt > TRIES {
            return false;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        true
    }
}
