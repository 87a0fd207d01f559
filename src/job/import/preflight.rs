//! Everything that is looked at before the target is touched.

use std::sync::Arc;

use super::backup::{Backup, Content};
use super::{Import, all_structure, policy, proof};
use crate::api::conditions::Reason;
use crate::api::restore::{Preflight, Verify};
use crate::engine::{ServerInfo, TargetState};
use crate::job::parallel::{self, Pool, width};
use crate::job::{JobError, whole};
use crate::manifest::{Chain, Manifest, Part};
use crate::transfer::{Dump, catalog};

/// The most manifests of one order: a full backup and its windows.
const MANIFESTS_LIMIT: usize = 512;

fn nothing_to_import() -> JobError {
    JobError::refused(
        Reason::BackupNotFound,
        "the order names no backup to import",
    )
}

impl Import {
    /// Checks manifests, rules, target and files, in the order of what that costs.
    pub(super) async fn preflight(self: &Arc<Self>) -> Result<Vec<Backup>, JobError> {
        self.run.phase("fetch", 0);
        let mut backups = match &self.order.vendor_dump {
            Some(path) => vec![self.find_dump(path).await?],
            None => self.find_backups().await?,
        };
        for backup in &mut backups {
            backup.structure = self.read_parts(backup).await?;
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

    /// Reads the manifests, and checks what they and the order say.
    async fn find_backups(&self) -> Result<Vec<Backup>, JobError> {
        let manifests = self.read_manifests().await?;
        policy::check_engine(&self.order, &manifests)?;
        let only_full = matches!(manifests.as_slice(), [one] if one.chain == Chain::Full);
        let server = self.look_at_server(only_full).await?;
        policy::check_not_source(&self.order, &manifests, &server.server_id)?;
        let stored = manifests
            .into_iter()
            .map(|manifest| Backup::stored(&self.location, manifest));
        Ok(stored.collect())
    }

    /// Reads all of a vendor's dump once: it has no digests that could be compared. Nor does it say
    /// which server it is of.
    async fn find_dump(&self, path: &str) -> Result<Backup, JobError> {
        policy::check_dump(&self.order)?;
        self.look_at_server(true).await?;
        let throttle = parallel::throttle(&self.order.limits)?;
        let clock = &self.run.clock;
        let files = Dump::find(&self.location, path, throttle);
        let files = clock.within(files).await?;
        let dump = clock.within(self.engine.open_dump(files)).await?;
        policy::check_counted(&self.order, dump.counted())?;
        for warning in dump.warnings() {
            self.run.warn(warning);
        }
        Ok(Backup::dump(path, dump.into()))
    }

    /// Checks what the order asks for, and asks the target who it is.
    async fn look_at_server(&self, only_full: bool) -> Result<ServerInfo, JobError> {
        let supported = self.engine.supports(self.order.verify);
        policy::check_wishes(&self.order, supported, only_full)?;
        policy::check_drill(&self.order)?;
        policy::check_confirm(&self.order)?;
        self.run.clock.within(self.engine.probe()).await
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
    async fn read_parts(&self, backup: &Backup) -> Result<Vec<Part>, JobError> {
        let mut structure = Vec::new();
        let mut parts = backup.content.parts()?;
        while let Some(part) = self.run.clock.within(parts.next()).await? {
            if !self.engine.wants(&part) {
                continue;
            }
            if self.order.verify == Verify::Equal && !part.files.is_empty() {
                proof::expected_fingerprint(&part)?;
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
        let mut parts = backup.content.parts()?;
        while let Some(part) = self.run.clock.within(parts.next()).await? {
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
        // A dump was read already.
        let Content::Stored { location, manifest } = &backup.content else {
            return Ok(());
        };
        self.run.phase("fetch", backup.totals.parts);
        let width = width(&self.order.limits);
        // What the server reads by itself passes no digest on its way.
        let depth = match self.by_server(&backup.content) {
            Some(_) => Preflight::Digests,
            None => self.order.preflight,
        };
        whole::check(&self.run, location, manifest, depth, width).await
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
