//! Where the controller finds the volume of a local location: whoever installs the operator mounts
//! it there, by `localStores` in the chart's values.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::conditions::Reason;
use crate::api::order::paths;
use crate::api::storage_location::{LocalLocation, StorageLocationSpec};
use crate::manifest::{is_namespace, is_object_name};
use crate::storage::{self, Location, StorageError};

/// How long a volume may take to be opened.
const OPEN_TIME: Duration = Duration::from_secs(20);
/// Volumes that may hang at once: each holds a thread until it answers.
const AT_ONCE: usize = 32;

/// The volumes that are mounted into the controller.
#[derive(Clone, Debug)]
pub(super) struct LocalStores {
    root: PathBuf,
    opening: Arc<Semaphore>,
}

impl Default for LocalStores {
    fn default() -> Self {
        Self::below(paths::LOCAL_STORES)
    }
}

impl LocalStores {
    /// Volumes that are mounted at `<root>/<namespace>/<name of the claim>`.
    pub(super) fn below(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            opening: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Opens the volume of a local location. One that hangs is given up after a while.
    pub(super) async fn open(
        &self,
        namespace: &str,
        spec: &StorageLocationSpec,
        local: &LocalLocation,
    ) -> Result<Location, StorageError> {
        let claim = &local.claim_name;
        let at = mount_point(&self.root, namespace, claim)?;
        let hangs = || {
            StorageError::passing(
                Reason::Unreachable,
                format!(
                    "the volume {claim} gave no answer in {} s; see what serves it, and the log of the controller's node",
                    OPEN_TIME.as_secs()
                ),
            )
        };
        let permit = self.opening.clone().try_acquire_owned();
        let permit = permit.map_err(|_| hangs())?;
        let missing = not_mounted(namespace, claim);
        let spec = spec.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let opened = if at.is_dir() {
                storage::open(&spec, None, None, &at)
            } else {
                Err(missing)
            };
            drop(permit);
            opened
        });
        match tokio::time::timeout(OPEN_TIME, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(StorageError::passing(
                Reason::InternalError,
                format!("the volume {claim} could not be opened; see the controller's log"),
            )),
            Err(_) => Err(hangs()),
        }
    }
}

/// Where a claim is mounted. Names come from the API server; they are checked all the same, since
/// they become a path.
fn mount_point(root: &Path, namespace: &str, claim: &str) -> Result<PathBuf, StorageError> {
    if !is_namespace(namespace) || !is_object_name(claim) {
        return Err(StorageError::lasting(
            Reason::InvalidSpec,
            "local.claimName is no name that a PersistentVolumeClaim can have",
        ));
    }
    Ok(root.join(namespace).join(claim))
}

fn not_mounted(namespace: &str, claim: &str) -> StorageError {
    StorageError::lasting(
        Reason::VolumeNotMounted,
        format!(
            "the claim {claim} of the namespace {namespace} is not mounted into the controller; \
             whoever installs the operator has to add it to localStores in the chart's values"
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(claim: &str) -> StorageLocationSpec {
        StorageLocationSpec {
            local: Some(LocalLocation {
                claim_name: claim.to_owned(),
                ..LocalLocation::default()
            }),
            ..StorageLocationSpec::default()
        }
    }

    async fn open(
        stores: &LocalStores,
        namespace: &str,
        claim: &str,
    ) -> Result<Location, StorageError> {
        let spec = spec(claim);
        let local = spec.local.clone().unwrap();
        stores.open(namespace, &spec, &local).await
    }

    #[tokio::test]
    async fn a_claim_that_is_not_mounted_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("iot/backups.nfs")).unwrap();
        std::fs::write(dir.path().join("iot/file"), "no directory").unwrap();
        let stores = LocalStores::below(dir.path());
        open(&stores, "iot", "backups.nfs").await.unwrap();
        for (namespace, claim) in [("iot", "backups"), ("web", "backups.nfs"), ("iot", "file")] {
            let error = open(&stores, namespace, claim).await.unwrap_err();
            assert_eq!(
                error.reason,
                Reason::VolumeNotMounted,
                "{namespace}/{claim}"
            );
            assert!(!error.retryable);
            for word in [namespace, claim, "localStores"] {
                assert!(error.message.contains(word), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn no_name_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("root/iot")).unwrap();
        std::fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
        let stores = LocalStores::below(dir.path().join("root"));
        for (namespace, claim) in [
            ("iot", ".."),
            ("iot", "."),
            ("iot", ""),
            ("iot", "../../elsewhere"),
            ("iot", "a/b"),
            ("iot", "a..b"),
            ("iot", "Backups"),
            ("iot", "a\nb"),
            ("..", "elsewhere"),
            ("a.b", "c"),
            ("", "iot"),
        ] {
            let error = open(&stores, namespace, claim).await.unwrap_err();
            assert_eq!(error.reason, Reason::InvalidSpec, "{namespace}/{claim}");
        }
    }

    #[tokio::test]
    async fn volumes_that_hang_are_no_endless_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("iot/backups")).unwrap();
        let stores = LocalStores::below(dir.path());
        let hanging = stores.opening.clone();
        let held = hanging.acquire_many(u32::try_from(AT_ONCE).unwrap()).await;
        let error = open(&stores, "iot", "backups").await.unwrap_err();
        assert_eq!(error.reason, Reason::Unreachable);
        assert!(error.retryable);
        drop(held);
        open(&stores, "iot", "backups").await.unwrap();
    }
}
