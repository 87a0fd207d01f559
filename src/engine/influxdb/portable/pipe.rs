//! Hands the records that are read to who writes them.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::transfer::{RecordSink, RecordSource, TransferError};

/// Pieces between the two: some 256 KiB each.
const WAITING: usize = 4;

/// The end that takes records. Dropped, the other end has seen all.
pub(super) struct Sink(mpsc::Sender<Bytes>);

/// The end that gives them.
pub(super) struct Source(mpsc::Receiver<Bytes>);

/// Both ends.
pub(super) fn pipe() -> (Sink, Source) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Sink(sender), Source(receiver))
}

#[async_trait]
impl RecordSink for Sink {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        let sent = self.0.send(records).await;
        sent.map_err(|_| TransferError::Internal("nobody takes the records any more".to_owned()))
    }
}

#[async_trait]
impl RecordSource for Source {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        Ok(self.0.recv().await)
    }
}
