//! From the kind's spec to a [`Location`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, RetryConfig};
use secrecy::ExposeSecret;
use url::Url;

use super::http::{Connector, StoreClock};
use super::key::check_path;
use super::volume::Volume;
use super::{Location, StorageCredentials, StorageError};
use crate::api::conditions::Reason;
use crate::api::storage_location::{AccessMode, LocalLocation, S3Location, StorageLocationSpec};

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
/// `credentials` are needed for `s3`; `ca_pem` is trusted beside the system's certificates;
/// `local_root` is where the volume of a `local` location is mounted.
pub fn open(
    spec: &StorageLocationSpec,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    local_root: &Path,
) -> Result<Location, StorageError> {
    let read_only = spec.access_mode == AccessMode::ReadOnly;
    match (&spec.s3, &spec.local) {
        (Some(s3), None) => open_s3(s3, credentials, ca_pem, read_only),
        (None, Some(local)) => open_local(local, local_root, read_only),
        _ => Err(invalid(
            "a location takes exactly one of s3 and local; gcs and azure are not built yet",
        )),
    }
}

fn open_s3(
    s3: &S3Location,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    read_only: bool,
) -> Result<Location, StorageError> {
    let credentials = credentials.ok_or_else(|| {
        StorageError::lasting(
            Reason::SecretNotFound,
            "an S3 location needs keys; name their Secret in spec.credentials.secretRef",
        )
    })?;
    check_bucket(&s3.bucket)?;
    check_prefix(&s3.prefix)?;
    let endpoint = s3.endpoint.as_deref().map(parse_endpoint).transpose()?;
    let clock = Arc::new(StoreClock::default());
    let connector = Connector::new(endpoint.as_ref(), ca_pem, clock.clone())?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(s3.region.as_deref().unwrap_or("us-east-1"))
        .with_access_key_id(&credentials.access_key_id)
        .with_secret_access_key(credentials.secret_access_key.expose_secret())
        .with_virtual_hosted_style_request(!s3.force_path_style)
        // One DELETE an object: every server has it, and it names what was refused.
        .with_disable_bulk_delete(true)
        .with_retry(retries())
        .with_http_connector(connector);
    if let Some(token) = &credentials.session_token {
        builder = builder.with_token(token.expose_secret());
    }
    let mut place = format!("bucket {}", s3.bucket);
    if let Some(url) = &endpoint {
        let shown = url.as_str().trim_end_matches('/');
        place = format!("{place} at {shown}");
        let address = if s3.force_path_style {
            shown.to_owned()
        } else {
            with_bucket(url, &s3.bucket)?
        };
        builder = builder
            .with_endpoint(address)
            .with_allow_http(url.scheme() == "http");
    }
    let store = builder.build().map_err(|_| {
        invalid("the S3 settings don't fit together; check endpoint, region and bucket")
    })?;
    Ok(Location::new(
        Arc::new(store),
        &s3.prefix,
        place,
        read_only,
        Some(clock),
    ))
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

/// `https://bucket.host:port`, as `object_store` wants it for virtual hosts.
fn with_bucket(url: &Url, bucket: &str) -> Result<String, StorageError> {
    let mut url = url.clone();
    let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
    if url
        .host()
        .is_some_and(|h| !matches!(h, url::Host::Domain(_)))
        || url.set_host(Some(&host)).is_err()
    {
        return Err(invalid(
            "an endpoint by IP address needs forcePathStyle: true",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn check_bucket(bucket: &str) -> Result<(), StorageError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if (3..=63).contains(&bucket.len())
        && bucket.chars().all(plain)
        && ends(bucket.chars().next())
        && ends(bucket.chars().last())
    {
        return Ok(());
    }
    Err(invalid(
        "bucket takes 3 to 63 lower-case letters, digits, dashes and dots",
    ))
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
