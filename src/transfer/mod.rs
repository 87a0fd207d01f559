//! Moves records: stream → codec → digest → multipart put, and back.

mod error;

use async_trait::async_trait;
use bytes::Bytes;

pub use error::TransferError;

/// Takes the records of one part.
#[async_trait]
pub trait RecordSink: Send {
    /// Takes whole records (a file may be cut between two calls, never within one).
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError>;
}

/// Gives the bytes of one part, its files one after another.
#[async_trait]
pub trait RecordSource: Send {
    /// The next piece of plain bytes, cut anywhere; none at the end. Digests have been compared
    /// for all bytes of a file by the time its end is seen.
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError>;
}
