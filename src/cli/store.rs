//! From arguments to an open location.

use std::path::Path;

use super::CliError;
use super::args::StoreArgs;
use crate::api::storage_location::{
    AccessMode, AzureLocation, GcsLocation, LocalLocation, S3Location, StorageLocationSpec,
};
use crate::job::pod::read_ca;
use crate::storage::{self, AzureKey, Location, S3Keys, StorageCredentials};

const ACCESS_KEY_ENV: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY_ENV: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_ENV: &str = "AWS_SESSION_TOKEN";
const AZURE_KEY_ENV: &str = "AZURE_STORAGE_KEY";
const GOOGLE_FILE_ENV: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const REGION_ENV: &str = "AWS_REGION";

/// Opens what the arguments name, for reading only.
pub(super) fn open(args: &StoreArgs) -> Result<Location, CliError> {
    let spec = spec(args);
    let Some(root) = &args.local else {
        let credentials = credentials(args, &spec)?;
        let ca = args.ca_file.as_deref().map(read_ca).transpose()?;
        let nowhere = Path::new("");
        return Ok(storage::open(
            &spec,
            Some(&credentials),
            ca.as_deref(),
            nowhere,
        )?);
    };
    if !root.is_dir() {
        return Err(CliError::file(root, &"it is not a directory"));
    }
    Ok(storage::open(&spec, None, None, root)?)
}

fn spec(args: &StoreArgs) -> StorageLocationSpec {
    let spec = StorageLocationSpec {
        access_mode: AccessMode::ReadOnly,
        ..StorageLocationSpec::default()
    };
    if let Some(bucket) = &args.bucket {
        return StorageLocationSpec {
            s3: Some(S3Location {
                bucket: bucket.clone(),
                prefix: args.prefix.clone(),
                region: args.region.clone().or_else(|| env(REGION_ENV)),
                endpoint: args.endpoint.clone(),
                force_path_style: args.path_style,
            }),
            ..spec
        };
    }
    if let Some(bucket) = &args.gcs_bucket {
        return StorageLocationSpec {
            gcs: Some(GcsLocation {
                bucket: bucket.clone(),
                prefix: args.prefix.clone(),
                endpoint: args.endpoint.clone(),
            }),
            ..spec
        };
    }
    if let (Some(container), Some(account)) = (&args.azure_container, &args.azure_account) {
        return StorageLocationSpec {
            azure: Some(AzureLocation {
                account: account.clone(),
                container: container.clone(),
                prefix: args.prefix.clone(),
                endpoint: args.endpoint.clone(),
            }),
            ..spec
        };
    }
    StorageLocationSpec {
        local: Some(LocalLocation {
            claim_name: "given with --local".to_owned(),
            prefix: args.prefix.clone(),
        }),
        ..spec
    }
}

fn credentials(
    args: &StoreArgs,
    spec: &StorageLocationSpec,
) -> Result<StorageCredentials, CliError> {
    let missing = |what: &str| {
        CliError::Store(format!(
            "no keys: set {what}, or name a directory with --credentials-dir"
        ))
    };
    if let Some(dir) = &args.credentials_dir {
        return Ok(StorageCredentials::from_dir(spec, dir)?);
    }
    if spec.azure.is_some() {
        let key = env(AZURE_KEY_ENV).ok_or_else(|| missing(AZURE_KEY_ENV))?;
        return Ok(StorageCredentials::Azure(AzureKey::Account(key.into())));
    }
    if spec.gcs.is_some() {
        let path = env(GOOGLE_FILE_ENV).ok_or_else(|| missing(GOOGLE_FILE_ENV))?;
        let key = std::fs::read_to_string(&path)
            .map_err(|error| CliError::file(Path::new(&path), &error))?;
        return Ok(StorageCredentials::Gcs(key.into()));
    }
    let (Some(access_key_id), Some(secret)) = (env(ACCESS_KEY_ENV), env(SECRET_KEY_ENV)) else {
        return Err(missing(&format!("{ACCESS_KEY_ENV} and {SECRET_KEY_ENV}")));
    };
    Ok(StorageCredentials::S3(S3Keys {
        access_key_id,
        secret_access_key: secret.into(),
        session_token: env(TOKEN_ENV).map(Into::into),
    }))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
