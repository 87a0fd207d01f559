//! Google Cloud Storage, on the stand-in.

use std::path::Path;

use jiff::Timestamp;
use lifeboat::api::conditions::Reason;
use lifeboat::api::storage_location::{GcsLocation, StorageLocationSpec};
use lifeboat::storage::{Location, StorageCredentials, StorageError, open, validate};

use super::keeps_its_word;
use super::setup::ME;

fn endpoint() -> Option<String> {
    std::env::var("LIFEBOAT_TEST_GCS_ENDPOINT").ok()
}

/// The stand-in's own service account; with `?unknown` a key that it does not know.
async fn key(query: &str) -> String {
    let url = format!(
        "{}/standin/service-account.json{query}",
        endpoint().unwrap()
    );
    let answer = reqwest::get(url).await.unwrap();
    answer.text().await.unwrap()
}

fn location(bucket: &str, endpoint: Option<String>, key: &str) -> Result<Location, StorageError> {
    let spec = StorageLocationSpec {
        gcs: Some(GcsLocation {
            bucket: bucket.to_owned(),
            prefix: format!("test-{}", uuid::Uuid::new_v4()),
            endpoint,
        }),
        ..StorageLocationSpec::default()
    };
    let key = StorageCredentials::Gcs(key.into());
    open(&spec, Some(&key), None, Path::new("/"))
}

#[tokio::test]
async fn gcs_keeps_its_word() {
    if endpoint().is_none() {
        return;
    }
    // The key names another server in a field that must not be followed.
    let key = key("").await;
    assert!(key.contains("gcs_base_url"));
    keeps_its_word(&location("dr-exports", endpoint(), &key).unwrap()).await;
}

#[tokio::test]
async fn each_fault_of_gcs_has_its_reason() {
    if endpoint().is_none() {
        return;
    }
    let (key, unknown) = (key("").await, key("?unknown").await);
    let nowhere = Some("http://127.0.0.1:1".to_owned());
    for (name, changed, reason) in [
        (
            "key",
            location("dr-exports", endpoint(), &unknown),
            Reason::InvalidAccessKey,
        ),
        (
            "no key",
            location("dr-exports", endpoint(), "{}"),
            Reason::InvalidSecretKey,
        ),
        (
            "bucket",
            location("missing-bucket", endpoint(), &key),
            Reason::BucketNotFound,
        ),
        (
            "endpoint",
            location("dr-exports", nowhere, &key),
            Reason::Unreachable,
        ),
        (
            "name",
            location("UPPER", endpoint(), &key),
            Reason::InvalidSpec,
        ),
    ] {
        let error = match changed {
            Ok(location) => validate(&location, &ME, Timestamp::now())
                .await
                .unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.reason, reason, "{name}: {error}");
        assert!(!error.message.contains("PRIVATE KEY"), "{error}");
    }
}
