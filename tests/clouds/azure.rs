//! Azure Blob Storage, on a real azurite.

use std::path::Path;

use jiff::Timestamp;
use lifeboat::api::conditions::Reason;
use lifeboat::api::storage_location::{AccessMode, AzureLocation, StorageLocationSpec};
use lifeboat::storage::{AzureKey, Location, StorageCredentials, StorageError, open, validate};

use super::setup::ME;
use super::{keeps_its_word, parts_go_round};

const ACCOUNT: &str = "devstoreaccount1";
/// The key that every azurite has, by its documentation: <https://github.com/Azure/Azurite>.
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// A shared access signature for all of that account, made with that key.
const SAS: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=YKAtmJudHaH98kax9IHOYkiCF9veHhGg4TBHNwluLXo%3D";
const CONTAINER: &str = "dr-exports";

fn endpoint() -> Option<String> {
    std::env::var("LIFEBOAT_TEST_AZURE_ENDPOINT").ok()
}

fn location(change: impl Fn(&mut AzureLocation), key: &str) -> Result<Location, StorageError> {
    opened(change, AzureKey::Account(key.into()))
}

fn opened(change: impl Fn(&mut AzureLocation), key: AzureKey) -> Result<Location, StorageError> {
    let mut azure = AzureLocation {
        account: ACCOUNT.to_owned(),
        container: CONTAINER.to_owned(),
        prefix: format!("test-{}", uuid::Uuid::new_v4()),
        endpoint: endpoint(),
    };
    change(&mut azure);
    let spec = StorageLocationSpec {
        azure: Some(azure),
        access_mode: AccessMode::ReadWrite,
        ..StorageLocationSpec::default()
    };
    let key = StorageCredentials::Azure(key);
    open(&spec, Some(&key), None, Path::new("/"))
}

/// Makes the container: Lifeboat never does.
async fn make_container() {
    let url = format!(
        "{}/{CONTAINER}?restype=container&{SAS}",
        endpoint().unwrap()
    );
    let made = reqwest::Client::new().put(url).send().await.unwrap();
    // It is there already where another test was quicker.
    assert!(matches!(made.status().as_u16(), 201 | 409), "{made:?}");
}

#[tokio::test]
async fn azure_keeps_its_word() {
    if endpoint().is_none() {
        return;
    }
    make_container().await;
    keeps_its_word(&location(|_| (), KEY).unwrap()).await;
    // Objects are deleted by Azure's batch request, which azurite takes with no such signature.
    let signed = opened(|_| (), AzureKey::Sas(SAS.into())).unwrap();
    validate(&signed, &ME, Timestamp::now()).await.unwrap();
    parts_go_round(&signed).await;
}

#[tokio::test]
async fn each_fault_of_azure_has_its_reason() {
    if endpoint().is_none() {
        return;
    }
    make_container().await;
    for (name, changed, reason) in [
        (
            "key",
            location(|_| (), "d3Jvbmcga2V5"),
            // Azure itself says AuthenticationFailed, which is InvalidSecretKey.
            Reason::AccessDenied,
        ),
        ("no base64", location(|_| (), "!"), Reason::InvalidSecretKey),
        (
            "container",
            location(
                |azure| azure.container = "no-such-container".to_owned(),
                KEY,
            ),
            Reason::BucketNotFound,
        ),
        (
            "endpoint",
            location(
                |azure| azure.endpoint = Some("http://127.0.0.1:1/devstoreaccount1".to_owned()),
                KEY,
            ),
            Reason::Unreachable,
        ),
        (
            "account",
            location(|azure| azure.account = "no.account".to_owned(), KEY),
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
        assert!(!error.message.contains(KEY), "{error}");
    }
    let wrong = SAS.replace("sig=", "sig=A");
    let location = opened(|_| (), AzureKey::Sas(wrong.clone().into())).unwrap();
    let error = validate(&location, &ME, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.reason,
            Reason::InvalidSecretKey | Reason::AccessDenied
        ),
        "{error}"
    );
    assert!(!format!("{error:?}").contains(&wrong[20..]), "{error:?}");
}
