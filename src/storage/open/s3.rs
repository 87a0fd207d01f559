//! S3, and servers that speak it.

use std::sync::Arc;

use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::client::HttpConnector;
use secrecy::ExposeSecret;
use url::Url;

use super::{check_prefix, invalid, parse_endpoint, retries};
use crate::api::conditions::Reason;
use crate::api::storage_location::S3Location;
use crate::storage::http::{Connector, StoreClock};
use crate::storage::server_copy::S3Bucket;
use crate::storage::{Location, StorageCredentials, StorageError};

/// Opens a bucket of S3, or of a server that speaks it.
pub(super) fn open(
    s3: &S3Location,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    read_only: bool,
) -> Result<Location, StorageError> {
    let Some(StorageCredentials::S3(keys)) = credentials else {
        return Err(StorageError::lasting(
            Reason::SecretNotFound,
            "an S3 location needs keys; name their Secret in spec.credentials.secretRef",
        ));
    };
    check_bucket(&s3.bucket)?;
    check_prefix(&s3.prefix)?;
    let endpoint = s3.endpoint.as_deref().map(parse_endpoint).transpose()?;
    let clock = Arc::new(StoreClock::default());
    let connector = Connector::new(endpoint.as_ref(), ca_pem, clock.clone())?;
    let region = s3.region.as_deref().unwrap_or("us-east-1");
    let client = connector
        .connect(&ClientOptions::default())
        .map_err(|_| invalid("the S3 client can't be made"))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(region)
        .with_access_key_id(&keys.access_key_id)
        .with_secret_access_key(keys.secret_access_key.expose_secret())
        .with_virtual_hosted_style_request(!s3.force_path_style)
        // One DELETE an object: every server has it, and it names what was refused.
        .with_disable_bulk_delete(true)
        .with_retry(retries())
        .with_http_connector(connector);
    if let Some(token) = &keys.session_token {
        builder = builder.with_token(token.expose_secret());
    }
    let mut place = format!("bucket {}", s3.bucket);
    let mut server = "AWS".to_owned();
    let mut bucket_url = if s3.force_path_style {
        format!("https://s3.{region}.amazonaws.com/{}", s3.bucket)
    } else {
        format!("https://{}.s3.{region}.amazonaws.com", s3.bucket)
    };
    if let Some(url) = &endpoint {
        let shown = url.as_str().trim_end_matches('/');
        place = format!("{place} at {shown}");
        shown.clone_into(&mut server);
        let address = if s3.force_path_style {
            bucket_url = format!("{shown}/{}", s3.bucket);
            shown.to_owned()
        } else {
            bucket_url = with_bucket(url, &s3.bucket)?;
            bucket_url.clone()
        };
        builder = builder
            .with_endpoint(address)
            .with_allow_http(url.scheme() == "http");
    }
    let store = builder.build().map_err(|_| {
        invalid("the S3 settings don't fit together; check endpoint, region and bucket")
    })?;
    let bucket = S3Bucket {
        client,
        credentials: store.credentials().clone(),
        login: keys.access_key_id.clone(),
        server,
        region: region.to_owned(),
        bucket: s3.bucket.clone(),
        url: bucket_url,
    };
    let location = Location::new(Arc::new(store), &s3.prefix, place, read_only, Some(clock));
    Ok(location.with_s3(bucket))
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
