//! Everything that is looked at before the target is touched.

use std::sync::Arc;

use super::{Import, all_structure, policy};
use crate::api::conditions::Reason;
use crate::engine::TargetState;
use crate::job::parallel::{Pool, width};
use crate::job::{JobError, whole};
use crate::manifest::{Chain, Manifest, Part};
use crate::transfer::{IndexReader, catalog};

/// The most manifests of one order: a full backup and its windows.
const MANIFESTS_LIMIT: usize = 512;

/// One backup of the order.
pub(super) struct Backup {
    /// Its manifest, checked.
    pub(super) manifest: Arc<Manifest>,
    /// Its parts that have no files: what the engine makes before records.
    pub(super) structure: Vec<Part>,
}

pub(super) fn nothing_to_import() -> JobError {
    JobError::refused(
        Reason::BackupNotFound,
        "the order names no backup to import",
    )
}

impl Import {
    /// Checks manifests, rules, target and files, in the order of what that costs.
    pub(super) async fn preflight(self: &Arc<Self>) -> Result<Vec<Backup>, JobError> {
        self.run.phase("fetch", 0);
        let manifests = self.read_manifests().await?;
        let supported = self.engine.supports(self.order.verify);
        policy::check_supported(&self.order, &manifests, supported)?;
        policy::check_drill(&self.order)?;
        policy::check_confirm(&self.order)?;
        let server = self.run.clock.within(self.engine.probe()).await?;
        policy::check_not_source(&self.order, &manifests, &server.server_id)?;

        let mut backups = Vec::new();
        for manifest in manifests {
            let manifest = Arc::new(manifest);
            let structure = self.read_index(&manifest).await?;
            backups.push(Backup {
                manifest,
                structure,
            });
        }
        let look = policy::must_look(&self.order)?;
        let drop_first = policy::drops_leftovers(&self.order);
        if look && !drop_first {
            self.check_targets(&backups).await?;
        }
        for backup in &backups {
            self.check_files(backup).await?;
        }
        if drop_first {
            self.drop_leftovers(&backups).await?;
            self.check_targets(&backups).await?;
        }
        Ok(backups)
    }

    async fn check_targets(self: &Arc<Self>, backups: &[Backup]) -> Result<(), JobError> {
        for backup in backups {
            self.check_target(backup).await?;
        }
        Ok(())
    }

    /// Drops what an earlier attempt of this drill left. The names are those of this Restore's uid,
    /// and no earlier attempt runs any more, so it is nobody else's.
    async fn drop_leftovers(&self, backups: &[Backup]) -> Result<(), JobError> {
        let (plan, structure) = (self.plan(0), all_structure(backups));
        let drop = self.engine.drop_drill(&plan, &structure);
        self.run.clock.within(drop).await
    }

    async fn read_manifests(&self) -> Result<Vec<Manifest>, JobError> {
        let references = &self.order.manifests;
        if references.is_empty() {
            return Err(nothing_to_import());
        }
        if references.len() > MANIFESTS_LIMIT {
            return Err(JobError::refused(
                Reason::NotSupported,
                format!(
                    "the chain has {} backups, more than {MANIFESTS_LIMIT}: restore a newer full backup, and set fullEvery lower",
                    references.len()
                ),
            ));
        }
        let mut manifests: Vec<Manifest> = Vec::with_capacity(references.len());
        for reference in references {
            let read =
                catalog::read_backup(&self.location, &reference.path, Some(&reference.sha256));
            let manifest = *self.run.clock.within(read).await?.manifest;
            if let Some(before) = manifests.last() {
                check_follows(before, &manifest)?;
            }
            manifests.push(manifest);
        }
        Ok(manifests)
    }

    /// Has the engine check every part that it wants, and keeps those without files.
    async fn read_index(&self, manifest: &Manifest) -> Result<Vec<Part>, JobError> {
        let mut structure = Vec::new();
        let mut index = self.index(manifest)?;
        while let Some(part) = self.run.clock.within(index.next()).await? {
            if !self.engine.wants(&part) {
                continue;
            }
            let check = self.engine.check_part(&part);
            for warning in self.run.clock.within(check).await? {
                self.run.warn(warning);
            }
            if part.files.is_empty() {
                structure.push(part);
            }
        }
        Ok(structure)
    }

    /// Reads the index of a backup anew: it may be long, so nobody keeps it.
    pub(super) fn index(&self, manifest: &Manifest) -> Result<IndexReader, JobError> {
        Ok(IndexReader::open(self.location.clone(), manifest)?)
    }

    /// Refuses a target that holds data where the rules don't allow it.
    async fn check_target(self: &Arc<Self>, backup: &Backup) -> Result<(), JobError> {
        let mut pool = Pool::new(width(&self.order.limits), &self.run.clock);
        let result = self.look_at_target(backup, &mut pool).await;
        pool.stop().await;
        match result? {
            Some(what) => policy::check_holds(&self.order, &what),
            None => Ok(()),
        }
    }

    async fn look_at_target(
        self: &Arc<Self>,
        backup: &Backup,
        pool: &mut Pool<TargetState>,
    ) -> Result<Option<String>, JobError> {
        let mut index = self.index(&backup.manifest)?;
        while let Some(part) = self.run.clock.within(index.next()).await? {
            if !self.engine.wants(&part) {
                continue;
            }
            let (job, clock) = (Arc::clone(self), pool.clock().clone());
            let look = async move { clock.within(job.engine.target_state(&part)).await };
            if let Some(TargetState::Holds(what)) = pool.spawn(look).await? {
                return Ok(Some(what));
            }
        }
        while let Some(state) = pool.next().await? {
            if let TargetState::Holds(what) = state {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }

    async fn check_files(&self, backup: &Backup) -> Result<(), JobError> {
        self.run.phase("fetch", backup.manifest.totals.parts);
        let width = width(&self.order.limits);
        let depth = self.order.preflight;
        whole::check(&self.run, &self.location, &backup.manifest, depth, width).await
    }
}

/// Whether a backup can be imported on top of the one before it in the order.
fn check_follows(before: &Manifest, manifest: &Manifest) -> Result<(), JobError> {
    let same_line = before.identity.line() == manifest.identity.line()
        && before.source.server_id == manifest.source.server_id;
    let root = match &before.chain {
        Chain::Full => &before.identity.slot,
        Chain::Incremental { base, .. } => base,
    };
    let follows = match &manifest.chain {
        Chain::Full => false,
        Chain::Incremental { base, previous, .. } => {
            base == root && *previous == before.identity.slot
        }
    };
    if same_line && follows {
        return Ok(());
    }
    Err(JobError::refused(
        Reason::ChainBroken,
        format!(
            "the backup {} does not follow {}: a restore needs a full backup and every window after it, in order",
            manifest.identity.slot, before.identity.slot
        ),
    ))
}
