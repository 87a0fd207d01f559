//! Compares a stored file with what the manifest says of it.

use super::limit::Throttle;
use super::{PartReader, RecordSource, TransferError};
use crate::api::common::Codec;
use crate::api::restore::Preflight;
use crate::manifest::PartFile;
use crate::storage::Location;

/// Compares one file below `data_dir`: with `Digests` every byte is read and unpacked, with `Sizes`
/// the store is only asked for its size.
pub async fn check_file(
    location: &Location,
    data_dir: &str,
    file: &PartFile,
    codec: Codec,
    mode: Preflight,
) -> Result<(), TransferError> {
    match mode {
        Preflight::Digests => {
            let files = std::slice::from_ref(file);
            let throttle = Throttle::unlimited();
            let mut reader = PartReader::open(location.clone(), data_dir, files, codec, throttle);
            while reader.next().await?.is_some() {}
            Ok(())
        }
        Preflight::Sizes => {
            let key = format!("{data_dir}/{}", file.path);
            let problem = match location.size(&key).await? {
                Some(size) if size == file.stored_size => return Ok(()),
                Some(size) => format!("it has {size} bytes instead of {}", file.stored_size),
                None => "it is missing".to_owned(),
            };
            Err(TransferError::Corrupt { path: key, problem })
        }
    }
}
