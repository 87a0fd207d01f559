//! From a source straight into a target: what is read goes through this process and is kept nowhere.
//!
//! The rules for a target that holds data, and the proof at the end, are those of an import.

use std::sync::Arc;

use super::{all_of, plan_at, policy, proof, show};
use crate::api::common::Totals;
use crate::api::conditions::Reason;
use crate::api::order::ImportOrder;
use crate::api::outcome::Imported;
use crate::api::restore::{ConflictPolicy, Verify};
use crate::engine::{
    Engine, ExportPlan, ExportRequest, ImportPlan, ImportReport, PartPlan, PartSummary, TargetState,
};
use crate::job::again::try_again;
use crate::job::parallel::{self, Pool, width};
use crate::job::pipe::pipe;
use crate::job::{JobError, Run, clean_up};
use crate::manifest::Part;
use crate::transfer::Throttle;

/// Moves what `source` names into the target of the order, whose storage and manifests are not used.
///
/// Nothing in the target is changed before the source was looked at and the rules were kept.
pub async fn migrate(
    run: &Arc<Run>,
    order: &ImportOrder,
    source: Arc<dyn Engine>,
    target: Arc<dyn Engine>,
) -> Result<Imported, JobError> {
    let job = Arc::new(Migration {
        run: Arc::clone(run),
        order: order.clone(),
        source,
        target,
    });
    let result = job.migrate().await;
    for engine in [&job.source, &job.target] {
        clean_up(run, &**engine).await;
    }
    result
}

struct Migration {
    run: Arc<Run>,
    order: ImportOrder,
    source: Arc<dyn Engine>,
    target: Arc<dyn Engine>,
}

/// What became of one part.
struct Moved {
    records: u64,
    bytes: u64,
    report: ImportReport,
    difference: Option<String>,
}

impl Migration {
    async fn migrate(self: &Arc<Self>) -> Result<Imported, JobError> {
        let clock = &self.run.clock;
        self.run.phase("plan", 0);
        self.check_supported()?;
        let from = clock.within(self.source.probe()).await?;
        let to = clock.within(self.target.probe()).await?;
        policy::check_other_server(&self.order, &from.server_id, &to.server_id)?;
        policy::check_confirm(&self.order)?;
        let request = ExportRequest {
            consistency_time: clock.now(),
            previous: None,
        };
        let plan = clock.within(self.source.plan_export(&request)).await?;
        for warning in &plan.warnings {
            self.run.warn(warning);
        }
        if self.source.by_server(&plan.method).is_some() {
            return Err(not_supported(format!(
                "the method {} writes files into a location, and a migration has none: use another method, or a Backup and a Restore",
                plan.method
            )));
        }
        self.look_at_target(&plan).await?;
        let imported = |totals, verified, expired_records| Imported {
            consistency_time: Some(request.consistency_time),
            verified,
            totals,
            refused_records: 0,
            expired_records,
        };
        if self.order.dry_run {
            self.run.warn(format!(
                "dry run: {} parts would be moved; {}; nothing was changed",
                plan.parts.len(),
                policy::consequence(&self.order)
            ));
            let totals = Totals {
                parts: plan.parts.len() as u64,
                ..Totals::default()
            };
            return Ok(imported(totals, Verify::None, 0));
        }
        let import = plan_at(&self.order, 0);
        let (totals, expired) = self.move_all(&plan, &import).await?;
        clock.within(self.source.finish_export(&plan)).await?;
        let finish = self.target.finish_import(&import, &plan.structure);
        clock.within(finish).await?;
        Ok(imported(totals, self.order.verify, expired))
    }

    fn check_supported(&self) -> Result<(), JobError> {
        if self.source.packs_itself() {
            return Err(not_supported(
                "what this method exports is an archive that has to be whole before it is imported: use a Backup and a Restore"
                    .to_owned(),
            ));
        }
        if self.order.verify == Verify::Contains {
            return Err(not_supported(
                "a migration keeps nothing that could be looked up: use verify Equal or Counts"
                    .to_owned(),
            ));
        }
        if !self.target.supports(self.order.verify) {
            return Err(not_supported(format!(
                "the target can't do verify {:?}; use Counts",
                self.order.verify
            )));
        }
        Ok(())
    }

    /// Has the target look at each part, and refuses one that holds data where the rules say so.
    async fn look_at_target(&self, plan: &ExportPlan) -> Result<(), JobError> {
        let look = policy::must_look(&self.order)?;
        let parts = plan.structure.iter().cloned();
        for part in parts.chain(plan.parts.iter().map(planned)) {
            let clock = &self.run.clock;
            for warning in clock.within(self.target.check_part(&part)).await? {
                self.run.warn(warning);
            }
            if !look {
                continue;
            }
            let state = clock.within(self.target.target_state(&part)).await?;
            if let TargetState::Holds(what) = state {
                policy::check_holds(&self.order, &what)?;
            }
        }
        Ok(())
    }

    async fn move_all(
        self: &Arc<Self>,
        plan: &ExportPlan,
        import: &ImportPlan,
    ) -> Result<(Totals, u64), JobError> {
        self.run.phase("migrate", plan.parts.len() as u64);
        let prepare = self.target.prepare_import(import, &plan.structure);
        self.run.clock.within(prepare).await?;
        let mut pool = Pool::new(width(&self.order.limits), &self.run.clock);
        let mut all = Vec::new();
        let result = self.move_parts(plan, &mut pool, &mut all).await;
        all.extend(pool.stop().await);
        result.map_err(|problem| JobError::Applied {
            problem: Box::new(problem),
            applied_parts: all.len() as u64,
            target_must_be_empty: policy::must_be_empty(&self.order),
        })?;
        judge(all)
    }

    async fn move_parts(
        self: &Arc<Self>,
        plan: &ExportPlan,
        pool: &mut Pool<Moved>,
        all: &mut Vec<Moved>,
    ) -> Result<(), JobError> {
        let throttle = parallel::throttle(&self.order.limits)?;
        for part in &plan.parts {
            let (job, clock) = (Arc::clone(self), pool.clock().clone());
            let (part, throttle) = (part.clone(), throttle.clone());
            let work = async move {
                // Same key, same record: what a broken attempt wrote is written again.
                let attempt = |_| clock.within(job.move_part(&part, &throttle));
                try_again(&clock, &show(&planned(&part)), attempt).await
            };
            all.extend(pool.spawn(work).await?);
        }
        while let Some(done) = pool.next().await? {
            all.push(done);
        }
        Ok(())
    }

    /// Moves one part, and compares what is there then with what was read.
    async fn move_part(&self, part: &PartPlan, throttle: &Throttle) -> Result<Moved, JobError> {
        let (source, target) = (&*self.source, &*self.target);
        let progress = &self.run.progress;
        let (read, bytes, report) = pipe(source, part, target, throttle, progress).await?;
        for warning in &read.warnings {
            self.run.warn(warning);
        }
        let difference = self.prove(&complete(part, &read), &report).await?;
        progress.part_done(read.records);
        Ok(Moved {
            records: report.written,
            bytes,
            report,
            difference,
        })
    }

    async fn prove(&self, part: &Part, report: &ImportReport) -> Result<Option<String>, JobError> {
        if part.records == 0 {
            return Ok(None);
        }
        match self.order.verify {
            Verify::Equal => proof::equal(&*self.target, part).await,
            Verify::Counts | Verify::Contains => {
                let found = self.target.count_part(part).await?;
                let others = self.order.conflict_policy == ConflictPolicy::Overwrite;
                // What was refused is told apart.
                let missing = report.expired + report.refused;
                Ok(proof::count_difference(part, found, missing, others))
            }
            Verify::None => Ok(None),
        }
    }
}

/// Adds up what was moved, or says what was not.
fn judge(all: Vec<Moved>) -> Result<(Totals, u64), JobError> {
    let mut totals = Totals::default();
    let (mut refused, mut expired) = (0, 0);
    let (mut refusals, mut differences) = (Vec::new(), Vec::new());
    for moved in all {
        totals.parts += 1;
        totals.records += moved.records;
        totals.plain_bytes += moved.bytes;
        refused += moved.report.refused;
        expired += moved.report.expired;
        refusals.extend(moved.report.examples);
        differences.extend(moved.difference);
    }
    if refused > 0 {
        let message = format!(
            "the target refused {refused} records, the first: {}. Put right what it says, then migrate again",
            all_of(&refusals)
        );
        return Err(JobError::refused(Reason::RecordsRefused, message));
    }
    if !differences.is_empty() {
        let message = format!(
            "the target does not hold what was read of the source: {} parts differ, the first: {}. If something else writes to the target, stop it and migrate again",
            differences.len(),
            all_of(&differences)
        );
        return Err(JobError::refused(Reason::VerificationFailed, message));
    }
    Ok((totals, expired))
}

fn not_supported(message: String) -> JobError {
    JobError::refused(Reason::NotSupported, message)
}

/// A part that is to be read, as a backup would have it.
fn planned(part: &PartPlan) -> Part {
    Part {
        kind: part.kind.clone(),
        name: part.name.clone(),
        attributes: part.attributes.clone(),
        ..Part::default()
    }
}

/// A part that was read.
fn complete(plan: &PartPlan, read: &PartSummary) -> Part {
    let mut part = planned(plan);
    part.records = read.records;
    part.fingerprint = read.fingerprint;
    part.attributes.extend(read.attributes.clone());
    part
}
