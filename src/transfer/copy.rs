//! Copies files as they are stored into another location, and compares their digests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::TransferError;
use super::budget::UploadBudget;
use super::digest::Meter;
use super::download::FileDownload;
use super::limit::Throttle;
use super::upload::FileUpload;
use crate::storage::{Location, ServerCopy};

/// Copies files from one location into another, under the same keys. Cheap to clone.
///
/// Where both are on one S3 server the server copies; otherwise bytes are streamed. Either way a
/// file's digest was compared before [`Self::copy`] returns, and a streamed one's before it is there.
#[derive(Clone, Debug)]
pub struct Copier {
    from: Location,
    to: Location,
    budget: Arc<UploadBudget>,
    throttle: Throttle,
    /// Cleared once the server was found not to copy by itself.
    by_server: Arc<AtomicBool>,
}

impl Copier {
    /// A copier of so many files at once. `throttle` bounds what is streamed.
    pub fn new(from: Location, to: Location, width: usize, throttle: Throttle) -> Self {
        Self {
            from,
            to,
            budget: UploadBudget::new(width),
            throttle,
            by_server: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Copies the object at `key`, whose size and SHA-256 (in hex) have to be these.
    ///
    /// A key of a run is written by nobody else, and an object comes about whole: one of the right
    /// size is what an earlier try streamed, and is not streamed again.
    pub async fn copy(&self, key: &str, size: u64, sha256: &str) -> Result<(), TransferError> {
        if self.by_server.load(Ordering::Relaxed) && self.copy_by_server(key, size, sha256).await? {
            return Ok(());
        }
        if self.to.size(key).await? == Some(size) {
            return Ok(());
        }
        self.stream(key, size, sha256).await
    }

    /// False where the file has to be streamed. What the server copied and can't be trusted is gone.
    async fn copy_by_server(
        &self,
        key: &str,
        size: u64,
        sha256: &str,
    ) -> Result<bool, TransferError> {
        let copied = match self.to.copy_on_server(&self.from, key, size, sha256).await {
            Ok(copied) => copied,
            Err(error) => {
                tracing::warn!(%error, "the server did not copy by itself; bytes are streamed");
                self.by_server.store(false, Ordering::Relaxed);
                return Ok(false);
            }
        };
        let good = match copied {
            ServerCopy::Compared => true,
            ServerCopy::NotCompared => self.is_there(key, size, sha256).await?,
            ServerCopy::Differs => false,
            ServerCopy::NotOffered => {
                self.by_server.store(false, Ordering::Relaxed);
                return Ok(false);
            }
        };
        if !good {
            self.to.delete(key).await?;
        }
        Ok(good)
    }

    /// Reads the copy and compares it.
    async fn is_there(&self, key: &str, size: u64, sha256: &str) -> Result<bool, TransferError> {
        let mut download = FileDownload::new(self.to.clone(), key.to_owned(), size);
        let mut seen = Meter::default();
        loop {
            match download.next().await {
                Ok(Some(bytes)) => seen.add(&bytes),
                Ok(None) => return Ok(seen.finish() == (size, sha256.to_owned())),
                Err(TransferError::Corrupt { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    async fn stream(&self, key: &str, size: u64, sha256: &str) -> Result<(), TransferError> {
        let mut download = FileDownload::new(self.from.clone(), key.to_owned(), size);
        let mut upload = FileUpload::new(self.to.clone(), key.to_owned(), Arc::clone(&self.budget));
        let copied = async {
            while let Some(bytes) = download.next().await? {
                self.throttle.pass(bytes.len()).await;
                upload.push(&bytes).await?;
            }
            let (_, found) = upload.stored();
            if found == sha256 {
                return Ok(());
            }
            Err(TransferError::Corrupt {
                path: key.to_owned(),
                problem: "its stored bytes have another SHA-256".to_owned(),
            })
        };
        if let Err(error) = copied.await {
            upload.abort().await;
            return Err(error);
        }
        upload.finish().await.map(|_| ())
    }
}
