//! From a StorageLocation's name to an open bucket, and what lies in it.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::context::Context;
use super::error::Error;
use super::local_store::LocalStores;
use crate::api::StorageLocation;
use crate::api::common::ManifestRef;
use crate::api::conditions::{self, Reason};
use crate::api::storage_location::{AccessMode, StorageLocationSpec};
use crate::manifest::{self, Identity, Manifest, VoidMarker};
use crate::storage::{Location, StorageCredentials, StorageError};
use crate::transfer::TransferError;
use crate::transfer::catalog;

/// Opens locations, so that tests bring their own.
#[async_trait]
pub trait StoreOpener: Send + Sync {
    /// Opens a location of a namespace. Speaks to nobody yet.
    async fn open(
        &self,
        namespace: &str,
        spec: &StorageLocationSpec,
        credentials: Option<&StorageCredentials>,
        ca_pem: Option<&[u8]>,
    ) -> Result<Location, StorageError>;
}

/// Opens what a location's spec says.
#[derive(Clone, Debug, Default)]
pub struct RealStores {
    volumes: LocalStores,
}

impl RealStores {
    /// Looks for volumes below another directory, for tests.
    #[cfg(test)]
    pub(super) fn below(root: &Path) -> Self {
        Self {
            volumes: LocalStores::below(root),
        }
    }
}

#[async_trait]
impl StoreOpener for RealStores {
    async fn open(
        &self,
        namespace: &str,
        spec: &StorageLocationSpec,
        credentials: Option<&StorageCredentials>,
        ca_pem: Option<&[u8]>,
    ) -> Result<Location, StorageError> {
        match &spec.local {
            Some(local) => self.volumes.open(namespace, spec, local).await,
            None => crate::storage::open(spec, credentials, ca_pem, Path::new("")),
        }
    }
}

/// Where a StorageLocation stands, by its own status.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationState {
    /// It does not exist.
    Missing,
    /// It can't be used now.
    NotReady {
        /// Its spec.
        spec: Box<StorageLocationSpec>,
        /// Its own reason.
        reason: Reason,
        /// Its own message.
        message: String,
    },
    /// It can be used.
    Ready(Box<StorageLocationSpec>),
}

/// Reads a StorageLocation and its condition `Ready`.
pub async fn look_up(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<LocationState, Error> {
    let api: Api<StorageLocation> = Api::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("StorageLocation {name}")))?;
    Ok(found.map_or(LocationState::Missing, |location| state_of(&location)))
}

fn state_of(location: &StorageLocation) -> LocationState {
    let spec = Box::new(location.spec.clone());
    let ready = location.status.as_ref().and_then(|status| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == conditions::types::READY)
    });
    // A condition about an earlier spec says nothing of this one.
    let ready = ready.filter(|c| c.observed_generation == location.metadata.generation);
    match ready {
        Some(ready) if ready.status == "True" => LocationState::Ready(spec),
        Some(ready) => LocationState::NotReady {
            spec,
            reason: serde_json::from_value(serde_json::Value::String(ready.reason.clone()))
                .unwrap_or(Reason::StorageNotReady),
            message: ready.message.clone(),
        },
        None => LocationState::NotReady {
            spec,
            reason: Reason::StorageNotReady,
            message: "it is being checked".to_owned(),
        },
    }
}

/// A fault of the store, in words for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFault {
    /// The reason.
    pub reason: Reason,
    /// A sentence that says what to do.
    pub message: String,
    /// True where it may pass without a change by a person.
    pub retryable: bool,
}

impl From<StorageError> for StoreFault {
    fn from(error: StorageError) -> Self {
        Self {
            reason: error.reason,
            message: error.message,
            retryable: error.retryable,
        }
    }
}

impl From<TransferError> for StoreFault {
    fn from(error: TransferError) -> Self {
        Self {
            reason: error.reason(),
            message: error.to_string(),
            retryable: error.retryable(),
        }
    }
}

/// Opens a location with its Secret and CA bundle, which are read by `get` and never kept.
///
/// The outer error is the API server's, the inner one is the location's.
pub async fn open(
    context: &Context,
    namespace: &str,
    spec: &StorageLocationSpec,
) -> Result<Result<Location, StoreFault>, Error> {
    let credentials = match &spec.credentials {
        None => None,
        Some(credentials) => {
            let name = &credentials.secret_ref.name;
            match read_credentials(context, namespace, spec, name).await? {
                Ok(credentials) => Some(credentials),
                Err(fault) => return Ok(Err(fault)),
            }
        }
    };
    let ca = match &spec.ca_bundle {
        None => None,
        Some(ca) => {
            let key = &ca.config_map_ref;
            match read_ca(context, namespace, &key.name, &key.key).await? {
                Ok(pem) => Some(pem),
                Err(fault) => return Ok(Err(fault)),
            }
        }
    };
    Ok(context
        .stores
        .open(namespace, spec, credentials.as_ref(), ca.as_deref())
        .await
        .map_err(StoreFault::from))
}

async fn read_credentials(
    context: &Context,
    namespace: &str,
    spec: &StorageLocationSpec,
    name: &str,
) -> Result<Result<StorageCredentials, StoreFault>, Error> {
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let secret = secrets
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("Secret {name}")))?;
    let Some(secret) = secret else {
        return Ok(Err(StoreFault {
            reason: Reason::SecretNotFound,
            message: format!(
                "the Secret {name} does not exist in this namespace; create it with the keys of the store, as the reference of StorageLocation names them"
            ),
            retryable: false,
        }));
    };
    Ok(
        StorageCredentials::from_secret_data(spec, name, &secret.data.unwrap_or_default())
            .map_err(StoreFault::from),
    )
}

async fn read_ca(
    context: &Context,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Result<Vec<u8>, StoreFault>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let map = maps
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("ConfigMap {name}")))?;
    let pem = map.and_then(|map| map.data?.remove(key));
    Ok(pem.map(String::into_bytes).ok_or_else(|| StoreFault {
        reason: Reason::CaBundleInvalid,
        message: format!(
            "the ConfigMap {name} with the CA bundle does not exist or lacks the key {key}; create it with PEM certificates"
        ),
        retryable: false,
    }))
}

/// True where backups may be written there.
pub fn is_writable(spec: &StorageLocationSpec) -> bool {
    spec.access_mode == AccessMode::ReadWrite
}

/// The longest that one small question to a store may take.
pub const ANSWER: Duration = Duration::from_secs(20);

/// Bounds what is asked of a store: one that does not answer holds up no other object for long.
pub async fn within<T>(
    limit: Duration,
    location: &Location,
    asking: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    let answer = tokio::time::timeout(limit, asking).await;
    answer.unwrap_or_else(|_| {
        Err(StorageError::passing(
            Reason::Unreachable,
            format!(
                "the {} gave no answer in {} s; check the endpoint and the network",
                location.place(),
                limit.as_secs()
            ),
        )
        .into())
    })
}

/// What lies at a slot's key.
#[derive(Clone, Debug, PartialEq)]
pub enum Commit {
    /// There was no need to look.
    NotLooked,
    /// Nothing.
    Absent,
    /// A committed backup, checked.
    Committed {
        /// The manifest.
        manifest: Box<Manifest>,
        /// Where it is, and what its bytes are.
        reference: ManifestRef,
    },
    /// The word that no backup of the slot will ever be.
    Void(VoidMarker),
    /// Something that can't be trusted.
    Unusable(String),
    /// The store could not say.
    Fault(StoreFault),
}

/// Looks at a slot's key.
pub async fn read_slot(location: &Location, identity: &Identity) -> Commit {
    let key = identity.manifest_key();
    let reading = within(ANSWER, location, catalog::read_commit(location, &key, None));
    match reading.await {
        Ok((manifest::Commit::Backup(manifest), reference)) => Commit::Committed {
            manifest,
            reference,
        },
        Ok((manifest::Commit::Void(marker), _)) => Commit::Void(marker),
        Err(TransferError::NotFound { .. }) => Commit::Absent,
        Err(error @ TransferError::Manifest { .. }) => Commit::Unusable(error.to_string()),
        Err(error) => Commit::Fault(error.into()),
    }
}
