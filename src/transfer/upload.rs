//! One file on its way to the store: pieces of 5 MiB, or a single put where it is smaller.

use std::sync::Arc;

use bytes::Bytes;
use object_store::MultipartUpload;
use tokio::task::JoinSet;

use super::TransferError;
use super::budget::{Piece, UploadBudget};
use super::digest::Meter;
use crate::storage::Location;

/// Takes the stored bytes of one file. Dropped before [`Self::finish`], it aborts what it began, as
/// well as it can; [`Self::abort`] does so for sure.
pub(super) struct FileUpload {
    location: Location,
    key: String,
    budget: Arc<UploadBudget>,
    filling: Option<Piece>,
    multipart: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<object_store::Result<()>>,
    stored: Meter,
}

impl FileUpload {
    pub(super) fn new(location: Location, key: String, budget: Arc<UploadBudget>) -> Self {
        Self {
            location,
            key,
            budget,
            filling: None,
            multipart: None,
            under_way: JoinSet::new(),
            stored: Meter::default(),
        }
    }

    /// Takes bytes; waits while the run's budget is used up.
    pub(super) async fn push(&mut self, mut bytes: &[u8]) -> Result<(), TransferError> {
        self.stored.add(bytes);
        while !bytes.is_empty() {
            let mut piece = match self.filling.take() {
                Some(piece) => piece,
                None => self.budget.take().await?,
            };
            let taken = piece.fill(bytes);
            bytes = &bytes[taken..];
            if piece.is_full() {
                self.ship(piece).await?;
            } else {
                self.filling = Some(piece);
            }
        }
        Ok(())
    }

    /// Size and SHA-256 of what was taken so far.
    pub(super) fn stored(&self) -> (u64, String) {
        self.stored.clone().finish()
    }

    /// Size and SHA-256 of what was stored.
    pub(super) async fn finish(mut self) -> Result<(u64, String), TransferError> {
        let done = self.complete().await;
        if done.is_err() {
            self.abort().await;
        }
        done?;
        Ok(std::mem::take(&mut self.stored).finish())
    }

    /// Tells the store to forget the pieces that it has. Best effort: what stays is swept by the
    /// bucket's rule for unfinished uploads.
    pub(super) async fn abort(&mut self) {
        self.filling = None;
        self.under_way.shutdown().await;
        if let Some(mut multipart) = self.multipart.take()
            && let Err(error) = multipart.abort().await
        {
            let fault = self.location.explain(&error, "aborting an upload");
            tracing::warn!(key = self.key, reason = %fault.reason, "an unfinished upload is left behind");
        }
    }

    async fn complete(&mut self) -> Result<(), TransferError> {
        let last = self.filling.take();
        if self.multipart.is_none() {
            let bytes = last.map_or_else(Bytes::new, Bytes::from_owner);
            return Ok(self.location.put(&self.key, bytes).await?);
        }
        if let Some(piece) = last {
            self.ship(piece).await?;
        }
        while let Some(done) = self.under_way.join_next().await {
            self.shipped(done)?;
        }
        let Some(multipart) = &mut self.multipart else {
            return Ok(());
        };
        if let Err(error) = multipart.complete().await {
            let fault = self
                .location
                .explain(&error, &format!("writing {}", self.key));
            // Only this run writes here, and an object comes about whole: one of this size means
            // that it was completed and the answer was lost.
            let there =
                fault.retryable && self.location.size(&self.key).await? == Some(self.stored.size());
            if !there {
                return Err(fault.into());
            }
        }
        self.multipart = None;
        Ok(())
    }

    async fn ship(&mut self, piece: Piece) -> Result<(), TransferError> {
        if self.multipart.is_none() {
            self.multipart = Some(self.location.begin_multipart(&self.key).await?);
        }
        if let Some(multipart) = &mut self.multipart {
            self.under_way
                .spawn(multipart.put_part(Bytes::from_owner(piece).into()));
        }
        while let Some(done) = self.under_way.try_join_next() {
            self.shipped(done)?;
        }
        Ok(())
    }

    fn shipped(
        &self,
        done: Result<object_store::Result<()>, tokio::task::JoinError>,
    ) -> Result<(), TransferError> {
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self
                .location
                .explain(&error, &format!("writing {}", self.key))
                .into()),
            Err(error) => Err(TransferError::Internal(format!(
                "an upload's task ended: {error}"
            ))),
        }
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        self.under_way.abort_all();
        let Some(mut multipart) = self.multipart.take() else {
            return;
        };
        // Cancelled, or failed elsewhere: nobody waits for this any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = multipart.abort().await;
            });
        }
    }
}
