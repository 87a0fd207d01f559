//! Exports a source: plan, parts, index, and last of all the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::again::try_again;
use super::by_server::Files;
use super::parallel::{self, Pool, width};
use super::progress::CountedSink;
use super::{JobError, Run, RunClock, claim};
use crate::api::common::{Codec, Compression, Totals};
use crate::api::order::ExportOrder;
use crate::api::outcome::Exported;
use crate::engine::{Engine, ExportPlan, ExportRequest, PartPlan, PartSummary};
use crate::manifest::{
    FORMAT_VERSION, IndexRef, Manifest, Part, PartFile, SourceInfo, fit_warnings, part_stem,
};
use crate::storage::Location;
use crate::transfer::catalog::{self, Committed, Stored};
use crate::transfer::{IndexWriter, PartFormat, PartWriter, Throttle, TransferError, UploadBudget};

/// Exports what the order says into the location, or adopts the backup that the slot already has.
pub(super) async fn export(
    run: &Arc<Run>,
    order: &ExportOrder,
    location: &Location,
    engine: Arc<dyn Engine>,
) -> Result<Exported, JobError> {
    run.phase("export", 0);
    let job = Export {
        run: Arc::clone(run),
        order,
        location,
        engine,
    };
    match job.committed_before().await? {
        Some(found) => Ok(job.adopt(found)),
        None => job.export().await,
    }
}

struct Export<'a> {
    run: Arc<Run>,
    order: &'a ExportOrder,
    location: &'a Location,
    engine: Arc<dyn Engine>,
}

impl Export<'_> {
    /// The backup that another run committed to the slot, before this one did anything.
    async fn committed_before(&self) -> Result<Option<Stored>, JobError> {
        let key = self.order.identity.manifest_key();
        let read = catalog::read_backup(self.location, &key, None);
        match self.run.clock.within(read).await {
            Ok(found) => Ok(Some(found)),
            Err(JobError::Transfer(TransferError::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn adopt(&self, found: Stored) -> Exported {
        let other = &found.manifest.run_id;
        self.run.warn(format!(
            "the run {other} had committed this slot before; its backup is adopted"
        ));
        Exported {
            manifest: found.reference,
            adopted: true,
        }
    }

    async fn export(&self) -> Result<Exported, JobError> {
        let clock = &self.run.clock;
        let (identity, take_over) = (&self.order.identity, &self.order.storage.take_over_from);
        claim::hold(&self.run, self.location, identity, take_over.as_deref()).await?;
        clock.within(self.engine.probe()).await?;
        let line = self.order.identity.line();
        let previous = clock
            .within(catalog::newest_chain(self.location, &line))
            .await?;
        let request = ExportRequest {
            consistency_time: clock.now(),
            previous,
        };
        let plan = clock.within(self.engine.plan_export(&request)).await?;
        for warning in &plan.warnings {
            self.run.warn(warning);
        }
        let (index, totals) = self.write_all(&plan).await?;
        clock.within(self.engine.finish_export(&plan)).await?;
        let manifest = self.manifest(&request, plan, totals, index);
        // Nothing is committed once the run's time is over: the slot may have been given up.
        match clock
            .within(catalog::commit(self.location, &manifest))
            .await?
        {
            Committed::Written(reference) => Ok(Exported {
                manifest: reference,
                adopted: false,
            }),
            Committed::Lost(found) => Ok(self.adopt(found)),
        }
    }

    /// Writes all parts, a few at once, and the index as they are done. After a failure every
    /// upload that was begun is aborted before this returns.
    async fn write_all(&self, plan: &ExportPlan) -> Result<(IndexRef, Totals), JobError> {
        self.run.phase("export", plan.parts.len() as u64);
        let width = width(&self.order.limits);
        let budget = UploadBudget::new(width);
        let location = self.location.clone();
        let mut index = IndexWriter::create(location, &self.data_dir(), Arc::clone(&budget))?;
        let mut pool = Pool::new(width, &self.run.clock);
        match self.write_parts(plan, &budget, &mut index, &mut pool).await {
            Ok(()) => self.run.clock.within(index.finish()).await,
            Err(error) => {
                pool.stop().await;
                index.abort().await;
                Err(error)
            }
        }
    }

    async fn write_parts(
        &self,
        plan: &ExportPlan,
        budget: &Arc<UploadBudget>,
        index: &mut IndexWriter,
        pool: &mut Pool<Part>,
    ) -> Result<(), JobError> {
        let clock = &self.run.clock;
        for part in &plan.structure {
            clock.within(index.push(part)).await?;
        }
        let throttle = parallel::throttle(&self.order.limits)?;
        for (number, part) in (1..).zip(&plan.parts) {
            let work = PartWork {
                run: Arc::clone(&self.run),
                clock: pool.clock().clone(),
                engine: Arc::clone(&self.engine),
                location: self.location.clone(),
                data_dir: self.data_dir(),
                compression: self.compression(),
                budget: Arc::clone(budget),
                throttle: throttle.clone(),
                number,
                part: part.clone(),
                method: plan.method.clone(),
            };
            if let Some(done) = pool.spawn(Box::pin(work.write())).await? {
                clock.within(index.push(&done)).await?;
            }
        }
        while let Some(done) = pool.next().await? {
            clock.within(index.push(&done)).await?;
        }
        Ok(())
    }

    /// How files are packed: as the order says, but for those that are packed already.
    fn compression(&self) -> Compression {
        if self.engine.packs_itself() {
            return Compression {
                codec: Codec::None,
                level: None,
            };
        }
        self.order.compression.clone()
    }

    fn data_dir(&self) -> String {
        self.order.identity.data_dir(&self.run.id)
    }

    fn manifest(
        &self,
        request: &ExportRequest,
        plan: ExportPlan,
        totals: Totals,
        index: IndexRef,
    ) -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            identity: self.order.identity.clone(),
            run_id: self.run.id.clone(),
            source: SourceInfo {
                engine: self
                    .order
                    .source
                    .named()
                    .map(|spec| spec.engine().to_owned())
                    .unwrap_or_default(),
                method: plan.method,
                engine_version: plan.server.version,
                server_id: plan.server.server_id,
                scope: plan.scope,
            },
            tools: BTreeMap::from([("lifeboat".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
            consistency_time: request.consistency_time,
            start_time: self.run.clock.started(),
            end_time: self.run.clock.now(),
            totals,
            chain: plan.chain,
            codec: self.compression().codec,
            encryption: None,
            index,
            warnings: fit_warnings(self.run.warnings()),
        }
    }
}

/// What it takes to read one part and store it.
struct PartWork {
    run: Arc<Run>,
    clock: RunClock,
    engine: Arc<dyn Engine>,
    location: Location,
    data_dir: String,
    compression: Compression,
    budget: Arc<UploadBudget>,
    throttle: Throttle,
    number: u64,
    part: PartPlan,
    method: String,
}

impl PartWork {
    async fn write(self) -> Result<Part, JobError> {
        let what = part_stem(self.number);
        let (summary, files) =
            try_again(&self.clock, &what, |attempt| self.attempt(attempt)).await?;
        for warning in summary.warnings {
            self.run.warn(warning);
        }
        self.run.progress.part_done(summary.records);
        let mut attributes = self.part.attributes;
        attributes.extend(summary.attributes);
        Ok(Part {
            kind: self.part.kind,
            name: self.part.name,
            records: summary.records,
            fingerprint: summary.fingerprint,
            attributes,
            files,
        })
    }

    /// Reads the part from its start. What was begun is aborted when that fails or is stopped.
    async fn attempt(&self, attempt: u32) -> Result<(PartSummary, Vec<PartFile>), JobError> {
        if let Some(server) = self.engine.by_server(&self.method) {
            let files = Files {
                location: &self.location,
                data_dir: &self.data_dir,
                throttle: &self.throttle,
                progress: &self.run.progress,
            };
            let stem = self.stem(attempt);
            let write = files.write(server, &self.part, &stem);
            return self.clock.within(write).await;
        }
        let mut writer = PartWriter::create(
            self.location.clone(),
            &self.data_dir,
            self.format(attempt),
            Arc::clone(&self.budget),
            self.throttle.clone(),
        );
        let mut sink = CountedSink {
            inner: &mut writer,
            progress: &self.run.progress,
        };
        let read = self.engine.export_part(&self.part, &mut sink);
        match self.clock.within(read).await {
            Ok(summary) => Ok((summary, self.clock.within(writer.finish()).await?)),
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    /// Nothing is ever written twice, not even what a broken attempt left.
    fn stem(&self, attempt: u32) -> String {
        let stem = part_stem(self.number);
        match attempt {
            1 => stem,
            n => format!("{stem}.again{n}"),
        }
    }

    fn format(&self, attempt: u32) -> PartFormat {
        PartFormat {
            stem: self.stem(attempt),
            extension: self.part.extension.clone(),
            file_name: self.part.file_name.clone(),
            header: self.part.header.clone(),
            compression: self.compression.clone(),
            max_file_bytes: PartFormat::MAX_FILE_BYTES,
        }
    }
}
