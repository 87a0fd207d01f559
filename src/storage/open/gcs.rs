//! Google Cloud Storage, by its XML API.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{check_prefix, invalid, parse_endpoint, retries};
use crate::api::conditions::Reason;
use crate::api::storage_location::GcsLocation;
use crate::storage::http::{Connector, StoreClock};
use crate::storage::{Location, StorageCredentials, StorageError};

/// What of a service account's key is used; everything else in it could send requests elsewhere.
const KEY_FIELDS: [&str; 3] = ["private_key", "private_key_id", "client_email"];

/// Opens a bucket of Google Cloud Storage.
pub(super) fn open(
    gcs: &GcsLocation,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    read_only: bool,
) -> Result<Location, StorageError> {
    let Some(StorageCredentials::Gcs(key)) = credentials else {
        return Err(StorageError::lasting(
            Reason::SecretNotFound,
            "a GCS location needs a service account's key; name its Secret in spec.credentials.secretRef",
        ));
    };
    check_bucket(&gcs.bucket)?;
    check_prefix(&gcs.prefix)?;
    let endpoint = gcs.endpoint.as_deref().map(parse_endpoint).transpose()?;
    let clock = Arc::new(StoreClock::default());
    let connector = Connector::new(endpoint.as_ref(), ca_pem, clock.clone())?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&gcs.bucket)
        .with_service_account_key(only_the_key(key.expose_secret())?)
        .with_retry(retries())
        .with_http_connector(connector);
    let mut place = format!("bucket {}", gcs.bucket);
    if let Some(url) = &endpoint {
        let shown = url.as_str().trim_end_matches('/');
        place = format!("{place} at {shown}");
        builder = builder.with_base_url(shown);
    }
    let store = builder.build().map_err(|_| unreadable())?;
    Ok(Location::new(
        Arc::new(store),
        &gcs.prefix,
        place,
        read_only,
        Some(clock),
    ))
}

fn only_the_key(text: &str) -> Result<String, StorageError> {
    let all: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
    let mut kept = serde_json::Map::new();
    for field in KEY_FIELDS {
        let value = all.get(field).filter(|value| value.is_string());
        kept.insert(field.to_owned(), value.ok_or_else(unreadable)?.clone());
    }
    Ok(Value::Object(kept).to_string())
}

fn unreadable() -> StorageError {
    StorageError::lasting(
        Reason::InvalidSecretKey,
        "the service account's key can't be read; put the JSON file that Google Cloud made, as it is, into serviceAccountKey",
    )
}

fn check_bucket(bucket: &str) -> Result<(), StorageError> {
    let bytes = bucket.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if (3..=222).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || b"-_.".contains(b))
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && !bucket.contains("..")
    {
        return Ok(());
    }
    Err(invalid(
        "gcs.bucket takes 3 to 222 lower-case letters, digits, dashes, underscores and dots",
    ))
}
