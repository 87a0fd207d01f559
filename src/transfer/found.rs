//! Reads a file that somebody else wrote, to know what it is.

use futures::TryStreamExt;

use super::TransferError;
use super::digest::Meter;
use super::download::FileDownload;
use super::limit::Throttle;
use crate::storage::Location;

/// The last bytes of an object of `size` bytes, at most `most`.
pub async fn file_end(
    location: &Location,
    key: &str,
    size: u64,
    most: u64,
) -> Result<Vec<u8>, TransferError> {
    let start = size.saturating_sub(most);
    let missing = || TransferError::Corrupt {
        path: key.to_owned(),
        problem: "it is missing".to_owned(),
    };
    let found = location.read(key, start, size).await?;
    let opened = found.ok_or_else(missing)?;
    let pieces: Vec<_> = opened.stream.try_collect().await?;
    Ok(pieces.concat())
}

/// Reads an object of `size` bytes once, gives all of it to `visit`, and tells its SHA-256 in hex.
pub async fn digest_file(
    location: &Location,
    key: &str,
    size: u64,
    throttle: &Throttle,
    mut visit: impl FnMut(&[u8]),
) -> Result<String, TransferError> {
    let mut download = FileDownload::new(location.clone(), key.to_owned(), size);
    let mut meter = Meter::default();
    while let Some(bytes) = download.next().await? {
        throttle.pass(bytes.len()).await;
        meter.add(&bytes);
        visit(&bytes);
    }
    Ok(meter.finish().1)
}
