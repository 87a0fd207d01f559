//! One backup: its files, its index, and its manifest last.

use std::collections::HashSet;
use std::sync::Arc;

use crate::api::common::Totals;
use crate::job::parallel::Pool;
use crate::job::{JobError, Run};
use crate::manifest::chain::ChainError;
use crate::manifest::line::manifest_key;
use crate::manifest::{Chain, INDEX_PATH, Manifest};
use crate::storage::Location;
use crate::transfer::catalog::{put_copy, read_to_copy};
use crate::transfer::{Copier, IndexReader, TransferError};

/// A line that is copied.
pub(super) struct Line<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) from: &'a Location,
    pub(super) to: &'a Location,
    pub(super) copier: Copier,
    pub(super) path: &'a str,
    /// Files at once.
    pub(super) width: usize,
}

/// True where the backup can't be copied because of what it is: another one may be.
pub(super) fn is_its_own_fault(error: &JobError) -> bool {
    matches!(
        error,
        JobError::Transfer(
            TransferError::Corrupt { .. }
                | TransferError::Manifest { .. }
                | TransferError::Chain { .. }
        )
    )
}

impl Line<'_> {
    /// Copies the backup of a slot; `present` are the slots that are there. None where there is no
    /// backup (any more). Gives what was copied, itself counted in `parts`.
    pub(super) async fn copy(
        &self,
        slot: &str,
        present: &HashSet<String>,
    ) -> Result<Option<Totals>, JobError> {
        let key = manifest_key(self.path, slot);
        let clock = &self.run.clock;
        let Some((manifest, bytes)) = clock.within(read_to_copy(self.from, &key)).await? else {
            return Ok(None);
        };
        self.check_previous(&manifest, present)?;
        match self.copy_files(&manifest).await {
            Ok(()) => {}
            // Pruned while it was copied: no fault. What was copied is swept by age.
            Err(error) if is_its_own_fault(&error) => {
                let still = clock.within(self.from.size(&key)).await?;
                return if still.is_some() {
                    Err(error)
                } else {
                    Ok(None)
                };
            }
            Err(error) => return Err(error),
        }
        clock.within(put_copy(self.to, &key, bytes)).await?;
        tracing::info!(slot, "copied");
        Ok(Some(Totals {
            parts: 1,
            ..manifest.totals
        }))
    }

    /// A window is of no use without what it builds on.
    fn check_previous(
        &self,
        manifest: &Manifest,
        present: &HashSet<String>,
    ) -> Result<(), TransferError> {
        match &manifest.chain {
            Chain::Incremental { previous, .. } if !present.contains(previous) => {
                Err(TransferError::Chain {
                    line: self.path.to_owned(),
                    problem: ChainError::Gap {
                        slot: manifest.identity.slot.clone(),
                        missing: previous.clone(),
                    },
                })
            }
            Chain::Incremental { .. } | Chain::Full => Ok(()),
        }
    }

    async fn copy_files(&self, manifest: &Manifest) -> Result<(), JobError> {
        let mut pool = Pool::new(self.width, &self.run.clock);
        let copied = self.copy_parts(manifest, &mut pool).await;
        pool.stop().await;
        copied?;
        let index = &manifest.index;
        let key = format!("{}/{INDEX_PATH}", data_dir(manifest));
        let copy = self
            .copier
            .copy(&key, index.stored_size, &index.stored_sha256);
        self.run.clock.within(copy).await
    }

    async fn copy_parts(&self, manifest: &Manifest, pool: &mut Pool<()>) -> Result<(), JobError> {
        let data_dir = data_dir(manifest);
        let mut index = IndexReader::open(self.from.clone(), manifest)?;
        while let Some(part) = self.run.clock.within(index.next()).await? {
            for file in part.files {
                let key = format!("{data_dir}/{}", file.path);
                let (copier, clock) = (self.copier.clone(), pool.clock().clone());
                let run = Arc::clone(self.run);
                let work = async move {
                    let copy = copier.copy(&key, file.stored_size, &file.stored_sha256);
                    clock.within(copy).await?;
                    run.progress.add_bytes(file.stored_size);
                    Ok(())
                };
                pool.spawn(work).await?;
            }
        }
        while pool.next().await?.is_some() {}
        Ok(())
    }
}

fn data_dir(manifest: &Manifest) -> String {
    manifest.identity.data_dir(&manifest.run_id)
}
