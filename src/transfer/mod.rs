//! Moves records: stream → codec → digest → multipart put, and back.
//!
//! Memory does not grow with the data. A run holds at most
//! `(parallelism + 2) × 5 MiB` of bytes on their way to the store ([`UploadBudget`]), and for each
//! open part one codec (some 2 MiB to pack at level 3, 1 MiB to unpack) and two buffers of 128 KiB.

mod budget;
pub mod catalog;
mod check;
mod codec;
mod copy;
mod digest;
mod download;
mod dump;
mod error;
mod found;
mod index;
mod limit;
mod part_reader;
mod part_writer;
#[cfg(test)]
mod tests;
mod upload;

use async_trait::async_trait;
use bytes::Bytes;

pub use budget::UploadBudget;
pub use check::check_file;
pub use codec::{default_level, extension};
pub use copy::Copier;
pub use dump::{Dump, DumpFile, DumpReader, bad_dump};
pub use error::TransferError;
pub use found::{digest_file, file_end};
pub use index::{IndexReader, IndexWriter};
pub use limit::{Throttle, ThrottleError};
pub use part_reader::PartReader;
pub use part_writer::{PartFormat, PartWriter};

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
