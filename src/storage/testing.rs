//! A stand-in for a store that fails: what it is told to, once each, over an in-memory store.

#![allow(clippy::unwrap_used)]

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use tokio::sync::Notify;

use super::Location;

/// A location that holds these files below a directory.
pub(crate) async fn store_of(directory: &str, files: &[(String, Bytes)]) -> Location {
    let store = InMemory::new();
    for (name, content) in files {
        let path = Path::parse(format!("prefix/{directory}/{name}")).unwrap();
        store.put(&path, content.clone().into()).await.unwrap();
    }
    Location::on(Arc::new(store))
}

/// An operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Put,
    Get,
    List,
    Delete,
    Begin,
    Piece,
    Complete,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 503, and nothing is done.
    Unavailable,
    /// 403, and nothing is done.
    Forbidden,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// The connection breaks after so many bytes of a get.
    CutAfter(usize),
    /// A put is done although it was asked for only where nothing is.
    ConditionIgnored,
    /// Nothing is done, and no answer comes: whoever asked is killed.
    KilledBefore,
    /// It is done, and no answer comes: whoever asked is killed.
    KilledAfter,
}

/// The stand-in, and what is known of its use.
#[derive(Clone, Debug)]
pub(crate) struct FailingStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<InMemory>,
    script: Mutex<Vec<(Op, Failure)>>,
    calls: Mutex<Vec<Op>>,
    aborted: Mutex<usize>,
    /// What happens at the call of this number, from 1.
    at_call: Option<(usize, Failure)>,
    killed: Notify,
}

impl FailingStore {
    pub(crate) fn new(script: &[(Op, Failure)]) -> Self {
        Self::over(Arc::new(InMemory::new()), script, None)
    }

    /// Nothing fails but the call of this number, whatever it is; numbers are from 1.
    pub(crate) fn at_call(number: usize, failure: Failure) -> Self {
        let store = Arc::new(InMemory::new());
        Self::over(store, &[], Some((number, failure)))
    }

    /// The same objects, with another script and nothing counted yet.
    pub(crate) fn with_script(&self, script: &[(Op, Failure)]) -> Self {
        Self::over(self.0.store.clone(), script, None)
    }

    fn over(
        store: Arc<InMemory>,
        script: &[(Op, Failure)],
        at_call: Option<(usize, Failure)>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            script: Mutex::new(script.to_vec()),
            calls: Mutex::new(Vec::new()),
            aborted: Mutex::new(0),
            at_call,
            killed: Notify::new(),
        }))
    }

    /// The objects, seen from below.
    pub(crate) fn objects(&self) -> Arc<InMemory> {
        self.0.store.clone()
    }

    /// Waits for the call that is never answered.
    pub(crate) async fn killed(&self) {
        self.0.killed.notified().await;
    }

    /// How many calls there were.
    pub(crate) fn all_calls(&self) -> usize {
        self.0.calls.lock().unwrap().len()
    }

    /// A location on it.
    pub(crate) fn location(&self) -> Location {
        Location::on(Arc::new(self.clone()))
    }

    /// How often an operation was called.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.0
            .calls
            .lock()
            .unwrap()
            .iter()
            .filter(|c| **c == op)
            .count()
    }

    /// Uploads that were aborted.
    pub(crate) fn aborted(&self) -> usize {
        *self.0.aborted.lock().unwrap()
    }

    /// Failures of the script that have not come about.
    pub(crate) fn left(&self) -> usize {
        self.0.script.lock().unwrap().len()
    }

    fn next(&self, op: Op) -> Option<Failure> {
        let number = {
            let mut calls = self.0.calls.lock().unwrap();
            calls.push(op);
            calls.len()
        };
        if let Some((at, failure)) = self.0.at_call
            && at == number
        {
            if matches!(failure, Failure::KilledBefore | Failure::KilledAfter) {
                self.0.killed.notify_one();
            }
            return Some(failure);
        }
        let mut script = self.0.script.lock().unwrap();
        let at = script.iter().position(|(of, _)| *of == op)?;
        Some(script.remove(at).1)
    }
}

/// Changes a stored object behind Lifeboat's back.
pub(crate) async fn tamper(location: &Location, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = location.get_small(key, 1 << 30).await.unwrap().unwrap();
    change(&mut bytes);
    location.put(key, Bytes::from(bytes)).await.unwrap();
}

/// An in-memory store keeps what it is given; a real one sends it and lets go, and a run's buffers
/// come back.
fn copied(payload: PutPayload) -> PutPayload {
    Bytes::from(payload).to_vec().into()
}

fn refusal(status: &str, code: &str) -> Error {
    let text = format!(
        "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>"
    );
    Error::Generic {
        store: "stand-in",
        source: text.into(),
    }
}

fn lost() -> Error {
    Error::Generic {
        store: "stand-in",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    }
}

async fn with_failure<T>(
    failure: Option<Failure>,
    doing: impl Future<Output = Result<T>>,
) -> Result<T> {
    match failure {
        None | Some(Failure::CutAfter(_) | Failure::ConditionIgnored) => doing.await,
        Some(Failure::Unavailable) => Err(refusal("503 Service Unavailable", "SlowDown")),
        Some(Failure::Forbidden) => Err(refusal("403 Forbidden", "AccessDenied")),
        Some(Failure::AnswerLost) => doing.await.and(Err(lost())),
        Some(Failure::KilledBefore) => std::future::pending().await,
        Some(Failure::KilledAfter) => {
            let _ = doing.await;
            std::future::pending().await
        }
    }
}

impl fmt::Display for FailingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failing stand-in")
    }
}

#[async_trait]
impl ObjectStore for FailingStore {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let failure = self.next(Op::Put);
        let opts = match failure {
            Some(Failure::ConditionIgnored) => PutOptions::default(),
            _ => opts,
        };
        with_failure(failure, self.0.store.put_opts(at, copied(payload), opts)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.0.store.put_multipart_opts(at, opts);
        let upload = with_failure(self.next(Op::Begin), begun).await?;
        Ok(Box::new(FailingUpload {
            store: self.clone(),
            upload,
        }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let failure = self.next(Op::Get);
        let mut got = with_failure(failure, self.0.store.get_opts(at, options)).await?;
        // Small chunks, as a network gives them.
        let cut = match failure {
            Some(Failure::CutAfter(bytes)) => Some(bytes),
            _ => None,
        };
        let (meta, range, attributes) =
            (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let extensions = std::mem::take(&mut got.extensions);
        let bytes = got.bytes().await?;
        let shown = bytes.slice(..cut.map_or(bytes.len(), |cut| cut.min(bytes.len())));
        let mut chunks: Vec<Result<Bytes>> = shown
            .chunks(64 * 1024)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        if cut.is_some() {
            chunks.push(Err(lost()));
        }
        Ok(GetResult {
            payload: GetResultPayload::Stream(futures::stream::iter(chunks).boxed()),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |at| {
                let store = store.clone();
                async move {
                    let at = at?;
                    with_failure(store.next(Op::Delete), store.0.store.delete(&at)).await?;
                    Ok(at)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next(Op::List) {
            Some(Failure::KilledBefore | Failure::KilledAfter) => {
                futures::stream::pending().boxed()
            }
            Some(_) => {
                futures::stream::iter([Err(refusal("503 Service Unavailable", "SlowDown"))]).boxed()
            }
            None => self.0.store.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        with_failure(
            self.next(Op::List),
            self.0.store.list_with_delimiter(prefix),
        )
        .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.store.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FailingUpload {
    store: FailingStore,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        Box::pin(with_failure(
            self.store.next(Op::Piece),
            self.upload.put_part(copied(data)),
        ))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        with_failure(self.store.next(Op::Complete), self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        *self.store.0.aborted.lock().unwrap() += 1;
        self.upload.abort().await
    }
}
