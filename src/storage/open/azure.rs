//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::MicrosoftAzureBuilder;
use secrecy::ExposeSecret;

use super::{check_prefix, invalid, parse_endpoint, retries};
use crate::api::conditions::Reason;
use crate::api::storage_location::AzureLocation;
use crate::storage::http::{Connector, StoreClock};
use crate::storage::{AzureKey, Location, StorageCredentials, StorageError};

/// Opens a container of a storage account.
pub(super) fn open(
    azure: &AzureLocation,
    credentials: Option<&StorageCredentials>,
    ca_pem: Option<&[u8]>,
    read_only: bool,
) -> Result<Location, StorageError> {
    let Some(StorageCredentials::Azure(key)) = credentials else {
        return Err(StorageError::lasting(
            Reason::SecretNotFound,
            "an Azure location needs a key; name its Secret in spec.credentials.secretRef",
        ));
    };
    check_account(&azure.account)?;
    check_container(&azure.container)?;
    check_prefix(&azure.prefix)?;
    let endpoint = azure.endpoint.as_deref().map(parse_endpoint).transpose()?;
    let clock = Arc::new(StoreClock::default());
    let connector = Connector::new(endpoint.as_ref(), ca_pem, clock.clone())?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&azure.account)
        .with_container_name(&azure.container)
        .with_retry(retries())
        .with_http_connector(connector);
    builder = match key {
        AzureKey::Account(key) => builder
            .with_credential_type("access_key")
            .with_access_key(key.expose_secret()),
        AzureKey::Sas(token) => builder.with_credential_type("sas_token").with_config(
            object_store::azure::AzureConfigKey::SasKey,
            token.expose_secret(),
        ),
    };
    let mut place = format!("container {} of {}", azure.container, azure.account);
    if let Some(url) = &endpoint {
        let shown = url.as_str().trim_end_matches('/');
        place = format!("container {} at {shown}", azure.container);
        builder = builder
            .with_endpoint(shown.to_owned())
            .with_allow_http(url.scheme() == "http");
    }
    let store = builder.build().map_err(|_| {
        StorageError::lasting(
            Reason::InvalidSecretKey,
            "the key of the Azure location can't be read; put the account's key (base64) into accountKey, or a token as Azure gave it into sasToken",
        )
    })?;
    Ok(Location::new(
        Arc::new(store),
        &azure.prefix,
        place,
        read_only,
        Some(clock),
    ))
}

/// The account is part of a host name.
fn check_account(account: &str) -> Result<(), StorageError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if (3..=24).contains(&account.len()) && account.bytes().all(plain) {
        return Ok(());
    }
    Err(invalid(
        "azure.account takes 3 to 24 lower-case letters and digits",
    ))
}

fn check_container(container: &str) -> Result<(), StorageError> {
    let bytes = container.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || *b == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && !container.contains("--")
    {
        return Ok(());
    }
    Err(invalid(
        "azure.container takes 3 to 63 lower-case letters, digits and single dashes",
    ))
}
