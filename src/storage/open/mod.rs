//! From the kind's spec to a [`Location`].

mod azure;
mod gcs;
mod s3;

use std::path::Path;
use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};
use url::Url;

use super::key::check_path;
use super::volume::Volume;
use super::{Location, StorageCredentials, StorageError};
use crate::api::conditions::Reason;
use crate::api::storage_location::{AccessMode, LocalLocation, StorageLocationSpec};

/// Retries of one request within `object_store`: some 15 s of pauses at most, so that a store that
/// is gone is told within a minute, connects that time out included.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(4),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(15),
    }
}

/// Opens a location. Speaks to nobody yet: see `validate`. It blocks for a `local` one, whose
/// directory is looked for.
///
/// `credentials` are needed for all but `local`; `ca_pem` is trusted beside the system's
/// certificates; `local_root` is where the volume of a `local` location is mounted.
pub fn open(
    spec: &StorageLocationSpec,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    local_root: &Path,
) -> Result<Location, StorageError> {
    let read_only = spec.access_mode == AccessMode::ReadOnly;
    match (&spec.s3, &spec.gcs, &spec.azure, &spec.local) {
        (Some(s3), None, None, None) => s3::open(s3, credentials, ca_pem, read_only),
        (None, Some(gcs), None, None) => gcs::open(gcs, credentials, ca_pem, read_only),
        (None, None, Some(azure), None) => azure::open(azure, credentials, ca_pem, read_only),
        (None, None, None, Some(local)) => open_local(local, local_root, read_only),
        _ => Err(invalid(
            "a location takes exactly one of s3, gcs, azure and local",
        )),
    }
}

fn open_local(
    local: &LocalLocation,
    root: &Path,
    read_only: bool,
) -> Result<Location, StorageError> {
    check_prefix(&local.prefix)?;
    let place = format!("volume {}", local.claim_name);
    let volume = Volume::open(root).map_err(|_| {
        StorageError::passing(
            Reason::Unreachable,
            format!(
                "the {place} is not mounted at {}; check that its PersistentVolumeClaim is bound",
                root.display()
            ),
        )
    })?;
    Ok(Location::on_volume(volume, &local.prefix, place, read_only))
}

fn parse_endpoint(text: &str) -> Result<Url, StorageError> {
    let url = Url::parse(text)
        .map_err(|_| invalid("endpoint is not a URL; write for example https://s3.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid(
            "endpoint takes http:// or https://, a host and a port",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "endpoint takes no user or password; put keys into the Secret",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("endpoint takes no query and no fragment"));
    }
    Ok(url)
}

fn check_prefix(prefix: &str) -> Result<(), StorageError> {
    if prefix.is_empty() || (prefix.len() <= 256 && check_path(prefix).is_ok()) {
        return Ok(());
    }
    Err(invalid(
        "prefix takes names with slashes between them, and no dots at their start",
    ))
}

fn invalid(message: &str) -> StorageError {
    StorageError::lasting(Reason::InvalidSpec, message)
}
