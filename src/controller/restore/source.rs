//! What `spec.source` comes to: the manifests to restore, in order.

use std::time::Duration;

use kube::{Api, ResourceExt};

use super::state::{Problem, Resolved};
use crate::api::common::ManifestRef;
use crate::api::conditions::{Reason, types};
use crate::api::restore::{AsOf, BackupLine, ChainScope, ManifestSource};
use crate::api::{Backup, Restore, RestoreStatus};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::manifest::chain::{Head, MAX_CHAIN};
use crate::manifest::line::{Line, Owner};
use crate::storage::Location;
use crate::transfer::{TransferError, catalog};

/// The longest that one look at the bucket takes.
const LOOK: Duration = Duration::from_secs(60);

/// What is restored, as far as the API server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This manifest, or its chain.
    Manifest {
        path: String,
        sha256: Option<String>,
        scope: ChainScope,
    },
    /// The newest of a line.
    Latest(BackupLine),
    /// The newest of a line that is not later than a time.
    AsOf(AsOf),
    /// A vendor's dump, which has no manifest to look for.
    VendorDump,
}

/// Where to look, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Name of the StorageLocation.
    pub(super) storage: String,
    /// What is restored.
    pub(super) wanted: Wanted,
}

/// Reads what the spec names of objects. The inner error is what stands in the way: for good, or
/// for now.
pub(super) async fn named(
    context: &Context,
    restore: &Restore,
) -> Result<Result<Source, Resolved>, Error> {
    let source = &restore.spec.source;
    if let Some(backup) = &source.backup {
        return of_backup(context, restore, &backup.name).await;
    }
    let (latest, as_of) = (&source.latest, &source.as_of);
    let (storage, wanted) = match (latest, as_of, &source.manifest, &source.vendor_dump) {
        (Some(line), None, None, None) => (&line.storage, Wanted::Latest(line.clone())),
        (None, Some(as_of), None, None) => (&as_of.line.storage, Wanted::AsOf(as_of.clone())),
        (None, None, Some(manifest), None) => (&manifest.storage, wanted_manifest(manifest)),
        (None, None, None, Some(dump)) => (&dump.storage, Wanted::VendorDump),
        _ => {
            return Ok(Err(Resolved::Refused(Problem::new(
                Reason::InvalidSpec,
                "source takes exactly one of backup, latest, asOf, manifest and vendorDump",
            ))));
        }
    };
    Ok(Ok(Source {
        storage: storage.name.clone(),
        wanted,
    }))
}

/// The chain that an earlier attempt chose, by its last backup; none where none was chosen.
pub(super) fn chosen(status: &RestoreStatus) -> Option<Wanted> {
    let ManifestRef { path, sha256 } = status.manifests.last()?.clone();
    Some(Wanted::Manifest {
        path,
        sha256: Some(sha256),
        scope: ChainScope::Chain,
    })
}

fn wanted_manifest(manifest: &ManifestSource) -> Wanted {
    Wanted::Manifest {
        path: manifest.path.clone(),
        sha256: manifest.sha256.clone(),
        scope: manifest.scope,
    }
}

async fn of_backup(
    context: &Context,
    restore: &Restore,
    name: &str,
) -> Result<Result<Source, Resolved>, Error> {
    let namespace = restore.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api: Api<Backup> = Api::namespaced(context.client.clone(), &namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api("get", format!("Backup {name}")))?;
    let Some(backup) = found else {
        return Ok(Err(Resolved::Refused(Problem::new(
            Reason::BackupNotFound,
            format!(
                "there is no Backup {name} in this namespace; `kubectl get backups` shows those that are there, or name its manifest in source.manifest"
            ),
        ))));
    };
    let status = backup.status.as_ref();
    let manifest = status.and_then(|status| status.manifest.clone());
    let is = |type_| {
        status.is_some_and(|status| crate::api::conditions::is_true(&status.conditions, type_))
    };
    Ok(match manifest.filter(|_| is(types::COMPLETE)) {
        Some(ManifestRef { path, sha256 }) => Ok(Source {
            storage: backup.spec.storage.name.clone(),
            wanted: Wanted::Manifest {
                path,
                sha256: Some(sha256),
                scope: ChainScope::Chain,
            },
        }),
        None if is(types::FAILED) => Err(Resolved::Refused(Problem::new(
            Reason::BackupNotComplete,
            format!("the Backup {name} failed; choose another one"),
        ))),
        None => Err(Resolved::Waiting(Problem::new(
            Reason::BackupNotComplete,
            format!("the Backup {name} is not Complete yet; the restore starts when it is"),
        ))),
    })
}

/// Reads the bucket. Bounded in time, in the number of backups and in the size of each.
pub(super) async fn resolve(store: &Location, wanted: &Wanted) -> Resolved {
    let Ok(found) = tokio::time::timeout(LOOK, find(store, wanted)).await else {
        return Resolved::Waiting(Problem::new(
            Reason::StoreError,
            format!(
                "{} did not answer within {} s",
                store.place(),
                LOOK.as_secs()
            ),
        ));
    };
    match found {
        Ok(manifests) if manifests.len() > MAX_CHAIN => Resolved::Refused(Problem::new(
            Reason::ChainBroken,
            format!(
                "the backup builds on {} others, more than the {MAX_CHAIN} that one Restore brings; restore an older one, and lower the source's incremental.fullEvery",
                manifests.len() - 1
            ),
        )),
        Ok(manifests) => Resolved::Manifests(manifests),
        Err(error) => judged(&error),
    }
}

/// What the bucket holds does not change by waiting; whether it can be read does.
fn judged(error: &TransferError) -> Resolved {
    let problem = Problem::new(error.reason(), error.to_string());
    match error {
        TransferError::Storage(fault) if fault.reason != Reason::ManifestInvalid => {
            Resolved::Waiting(problem)
        }
        error if error.retryable() => Resolved::Waiting(problem),
        _ => Resolved::Refused(problem),
    }
}

async fn find(store: &Location, wanted: &Wanted) -> Result<Vec<ManifestRef>, TransferError> {
    let (stored, scope) = match wanted {
        Wanted::VendorDump => return Ok(Vec::new()),
        Wanted::Manifest {
            path,
            sha256,
            scope,
        } => {
            let stored = catalog::read_backup(store, path, sha256.as_deref()).await?;
            (stored, *scope)
        }
        Wanted::Latest(line) => {
            let line = line_of(line);
            let found = catalog::newest(store, &line).await?;
            (
                found.ok_or(TransferError::NotFound { path: line })?,
                ChainScope::Chain,
            )
        }
        Wanted::AsOf(as_of) => {
            let line = line_of(&as_of.line);
            let found = catalog::as_of(store, &line, as_of.time).await?;
            (
                found.ok_or(TransferError::NotFound { path: line })?,
                ChainScope::Chain,
            )
        }
    };
    if scope == ChainScope::Window {
        return Ok(vec![stored.reference]);
    }
    let identity = &stored.manifest.identity;
    let set = catalog::restore_set(store, &identity.line(), &identity.slot).await?;
    Ok(set.iter().map(Head::reference).collect())
}

/// The key of a line.
pub(crate) fn line_of(line: &BackupLine) -> String {
    Line {
        cluster: line.cluster.clone(),
        namespace: line.namespace.clone(),
        owner: Owner::Schedule(line.schedule.clone()),
    }
    .path()
}
