//! A stand-in for a bucket whose every call can fail.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::faults::{Course, Faults};
use crate::api::StorageLocationSpec;
use crate::controller::store::StoreOpener;
use crate::storage::{Location, StorageCredentials, StorageError};

/// The stand-in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StandInStore {
    objects: Arc<InMemory>,
    faults: Arc<Faults>,
}

impl StandInStore {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self {
            objects: Arc::default(),
            faults,
        }
    }

    /// The same bucket without faults, as others see it.
    pub(crate) fn behind_the_back(&self) -> Location {
        Location::on(self.objects.clone())
    }

    async fn faulty<T>(
        &self,
        what: &str,
        is_write: bool,
        doing: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.faults.course(what, is_write) {
            Course::Do => doing.await,
            Course::Fail(_) => Err(broken()),
            Course::DoAndFail(_) => doing.await.and(Err(broken())),
        }
    }
}

#[async_trait]
impl StoreOpener for StandInStore {
    async fn open(
        &self,
        _: &str,
        _: &StorageLocationSpec,
        _: Option<&StorageCredentials>,
        _: Option<&[u8]>,
    ) -> std::result::Result<Location, StorageError> {
        Ok(Location::on(Arc::new(self.clone())))
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "stand-in",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    }
}

impl fmt::Display for StandInStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stand-in")
    }
}

#[async_trait]
impl ObjectStore for StandInStore {
    async fn put_opts(&self, at: &Path, load: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let doing = self.objects.put_opts(at, load, opts);
        self.faulty("put", false, doing).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let doing = self.objects.get_opts(at, options);
        self.faulty("get", false, doing).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.course("list", false) {
            Course::Do => self.objects.list(prefix),
            _ => futures::stream::iter([Err(broken())]).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.course("list", false) {
            Course::Do => self.objects.list_with_offset(prefix, offset),
            _ => futures::stream::iter([Err(broken())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let doing = self.objects.list_with_delimiter(prefix);
        self.faulty("list", false, doing).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
