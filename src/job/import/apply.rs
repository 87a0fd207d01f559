//! Writes the records of a backup into the target.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backup::{Backup, Content};
use super::{Import, policy, show};
use crate::api::common::Totals;
use crate::api::conditions::Reason;
use crate::api::order::ImportOrder;
use crate::engine::{ByServer, ImportPlan, ImportReport};
use crate::job::JobError;
use crate::job::again::try_again;
use crate::job::by_server::Files;
use crate::job::parallel::{self, Pool, width};
use crate::job::progress::CountedSource;
use crate::manifest::{Manifest, Part};
use crate::storage::Location;
use crate::transfer::Throttle;

/// How many refusals are named.
const EXAMPLES: usize = 5;

/// What was done to the target so far.
#[derive(Debug, Default)]
pub(super) struct Applied {
    prepared: AtomicBool,
    touched: AtomicBool,
    parts: AtomicU64,
    sums: Mutex<Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    totals: Totals,
    refused: u64,
    expired: u64,
    deleted: u64,
    examples: Vec<String>,
    /// Expired records of the backup that is being imported, by the number of the part.
    expired_of: HashMap<u64, u64>,
}

/// What an import of one part did.
struct Done {
    number: u64,
    part: Part,
    report: ImportReport,
}

impl Applied {
    /// Whether the target was made ready: for a drill, that all its names were free.
    pub(super) fn prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }

    /// What was moved.
    pub(super) fn totals(&self) -> Totals {
        self.sums().totals.clone()
    }

    /// Records past the target's retention.
    pub(super) fn expired(&self) -> u64 {
        self.sums().expired
    }

    /// Records past the target's retention of one part of the backup that was imported last.
    pub(super) fn expired_of(&self, number: u64) -> u64 {
        self.sums().expired_of.get(&number).copied().unwrap_or(0)
    }

    /// The failure, with what had been applied before it.
    pub(super) fn explain(&self, problem: JobError, order: &ImportOrder) -> JobError {
        if !self.touched.load(Ordering::Relaxed) {
            return problem;
        }
        JobError::Applied {
            problem: Box::new(problem),
            applied_parts: self.parts.load(Ordering::Relaxed),
            target_must_be_empty: policy::must_be_empty(order),
        }
    }

    fn add(&self, done: Done) {
        self.parts.fetch_add(1, Ordering::Relaxed);
        let mut sums = self.sums();
        sums.totals.parts += 1;
        sums.totals.records += done.report.written;
        sums.totals.files += done.part.files.len() as u64;
        for file in &done.part.files {
            sums.totals.plain_bytes += file.plain_size;
            sums.totals.stored_bytes += file.stored_size;
        }
        sums.refused += done.report.refused;
        sums.expired += done.report.expired;
        sums.deleted += done.report.deleted;
        if done.report.expired > 0 {
            sums.expired_of.insert(done.number, done.report.expired);
        }
        let room = EXAMPLES.saturating_sub(sums.examples.len());
        sums.examples
            .extend(done.report.examples.into_iter().take(room));
    }

    fn check_refused(&self) -> Result<(), JobError> {
        let sums = self.sums();
        if sums.refused == 0 {
            return Ok(());
        }
        Err(JobError::refused(
            Reason::RecordsRefused,
            format!(
                "the target refused {} records, the first: {}. Put right what it says (often a field that has another type there), then restore again",
                sums.refused,
                sums.examples.join("; ")
            ),
        ))
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Import {
    /// Makes what must be there, then writes all parts of one backup. Records that the target
    /// refuses don't stop the others: the failure says how many there are in all.
    pub(super) async fn apply(
        self: &Arc<Self>,
        backup: &Backup,
        plan: &ImportPlan,
        structure: &[Part],
        applied: &Applied,
    ) -> Result<(), JobError> {
        self.run.phase("import", backup.totals.parts);
        applied.sums().expired_of.clear();
        let prepare = self.engine.prepare_import(plan, structure);
        self.run.clock.within(prepare).await?;
        applied.prepared.store(true, Ordering::Relaxed);
        let mut pool = Pool::new(width(&self.order.limits), &self.run.clock);
        let result = self.apply_parts(backup, applied, &mut pool).await;
        for done in pool.stop().await {
            applied.add(done);
        }
        let deleted = applied.sums().deleted;
        if deleted > 0 {
            self.run.warn(format!(
                "deletions Mirror: {deleted} records that {} does not hold were deleted",
                backup.title
            ));
        }
        result?;
        applied.check_refused()?;
        let rest = self.engine.parts_imported(plan);
        self.run.clock.within(rest).await
    }

    async fn apply_parts(
        self: &Arc<Self>,
        backup: &Backup,
        applied: &Applied,
        pool: &mut Pool<Done>,
    ) -> Result<(), JobError> {
        let throttle = parallel::throttle(&self.order.limits)?;
        let mut parts = backup.content.parts()?;
        let mut number = 0;
        while let Some(part) = self.run.clock.within(parts.next()).await? {
            number += 1;
            if part.files.is_empty() || !self.engine.wants(&part) {
                continue;
            }
            applied.touched.store(true, Ordering::Relaxed);
            let (job, clock) = (Arc::clone(self), pool.clock().clone());
            let (content, throttle) = (backup.content.clone(), throttle.clone());
            let work = async move {
                // Same key, same record: what a broken attempt wrote is written again.
                let attempt = |_| clock.within(job.apply_part(&content, &part, &throttle));
                let report = try_again(&clock, &show(&part), attempt).await?;
                Ok(Done {
                    number,
                    part,
                    report,
                })
            };
            if let Some(done) = pool.spawn(work).await? {
                applied.add(done);
            }
        }
        while let Some(done) = pool.next().await? {
            applied.add(done);
        }
        Ok(())
    }

    /// Who reads the files of a backup, where that is the target's own server.
    pub(super) fn by_server<'a>(
        &'a self,
        content: &'a Content,
    ) -> Option<(&'a dyn ByServer, &'a Location, &'a Manifest)> {
        let Content::Stored { location, manifest } = content else {
            return None;
        };
        let server = self.engine.by_server(&manifest.source.method)?;
        Some((server, location, manifest))
    }

    /// Writes the records of one part. Same key, same record: doing it twice changes nothing.
    pub(super) async fn apply_part(
        &self,
        content: &Content,
        part: &Part,
        throttle: &Throttle,
    ) -> Result<ImportReport, JobError> {
        let report = if let Some((server, location, manifest)) = self.by_server(content) {
            let files = Files {
                location,
                data_dir: &manifest.identity.data_dir(&manifest.run_id),
                throttle,
                progress: &self.run.progress,
            };
            files.read(server, part).await?
        } else {
            let mut records = content.records(part, throttle.clone())?;
            let mut source = CountedSource {
                inner: &mut *records,
                progress: &self.run.progress,
            };
            self.engine.import_part(part, &mut source).await?
        };
        self.run.progress.part_done(report.written);
        Ok(report)
    }
}
