//! From arguments to an open location.

use std::path::Path;

use super::CliError;
use super::args::StoreArgs;
use crate::api::storage_location::{AccessMode, LocalLocation, S3Location, StorageLocationSpec};
use crate::job::pod::read_ca;
use crate::storage::{self, Location, StorageCredentials};

const ACCESS_KEY_ENV: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY_ENV: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_ENV: &str = "AWS_SESSION_TOKEN";
const REGION_ENV: &str = "AWS_REGION";

/// Opens what the arguments name, for reading only.
pub(super) fn open(args: &StoreArgs) -> Result<Location, CliError> {
    let spec = spec(args);
    let Some(root) = &args.local else {
        let credentials = credentials(args)?;
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
    match &args.bucket {
        Some(bucket) => StorageLocationSpec {
            s3: Some(S3Location {
                bucket: bucket.clone(),
                prefix: args.prefix.clone(),
                region: args.region.clone().or_else(|| env(REGION_ENV)),
                endpoint: args.endpoint.clone(),
                force_path_style: args.path_style,
            }),
            ..spec
        },
        None => StorageLocationSpec {
            local: Some(LocalLocation {
                claim_name: "given with --local".to_owned(),
                prefix: args.prefix.clone(),
            }),
            ..spec
        },
    }
}

fn credentials(args: &StoreArgs) -> Result<StorageCredentials, CliError> {
    if let Some(dir) = &args.credentials_dir {
        return Ok(StorageCredentials::from_dir(dir)?);
    }
    let (Some(access_key_id), Some(secret)) = (env(ACCESS_KEY_ENV), env(SECRET_KEY_ENV)) else {
        return Err(CliError::Store(format!(
            "no keys: set {ACCESS_KEY_ENV} and {SECRET_KEY_ENV}, or name a directory with --credentials-dir"
        )));
    };
    Ok(StorageCredentials {
        access_key_id,
        secret_access_key: secret.into(),
        session_token: env(TOKEN_ENV).map(Into::into),
    })
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
