//! Kuzzle, method `elasticsearch`: all that Kuzzle keeps lies in indices of Elasticsearch (7 and 8)
//! or OpenSearch, and is read and written there.
//!
//! A part is one index. A record is one document: its id, its routing where it has one, and its
//! content byte by byte, as the line that `elasticdump` writes. Writing a record again changes
//! nothing.
//!
//! - What is exported: [`plan`], [`export`]. Always everything: there are no windows.
//! - The canonical form of a record, which fingerprints are made of: [`canonical`].
//! - What an index is made of beside its documents: [`structure`].
//! - The vendor's tool: what it reads, [`vendor`], and what it writes, [`mod@dump`].

mod bulk;
mod canonical;
mod catalog;
mod client;
mod dump;
mod export;
mod fault;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::format_collect)]
mod faults_test;
mod hit;
mod import;
mod lines;
mod names;
mod pattern;
mod places;
mod plan;
mod prepare;
mod split;
mod structure;
mod swap;
mod vendor;
mod verify;
mod way;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Access, ContainsReport, DirectoryLayout, Engine, EngineError, ExportPlan, ExportRequest,
    ImportPlan, ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, VendorDump,
};
use crate::api::engines::{KuzzleSource, KuzzleTarget};
use crate::api::restore::Verify;
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{Dump, RecordSink, RecordSource};
use client::Client;
use export::{Pages, Place};
use pattern::Selection;
use places::Places;
use structure::{KIND_DOCUMENTS, KIND_INDEX};

/// What `multielasticdump` reads.
pub(super) const VENDOR_LAYOUT: DirectoryLayout = DirectoryLayout {
    records_file: vendor::records_file,
    other_files: vendor::other_files,
};

/// Slices of one index that are read at once, unless the spec says otherwise.
const SLICES: u32 = 2;
/// The most of them.
const MAX_SLICES: u32 = 8;

/// The Elasticsearch of a Kuzzle, as source or as target.
pub(super) struct Kuzzle {
    client: Client,
    selection: Selection,
    slices: u32,
    plan: ImportPlan,
    pages: Pages,
    permits: Semaphore,
    places: Places,
}

impl Kuzzle {
    /// As a source.
    pub(super) fn source(spec: &KuzzleSource, access: &Access) -> Result<Self, EngineError> {
        Ok(Self {
            selection: Selection::new(&spec.include, &spec.exclude)?,
            slices: spec.slices.unwrap_or(SLICES).clamp(1, MAX_SLICES),
            ..Self::new(&spec.elasticsearch.url, access, ImportPlan::default())?
        })
    }

    /// As a target.
    pub(super) fn target(
        spec: &KuzzleTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        Self::new(&spec.elasticsearch.url, access, plan.clone())
    }

    fn new(url: &str, access: &Access, plan: ImportPlan) -> Result<Self, EngineError> {
        Ok(Self {
            client: Client::new(url, access)?,
            selection: Selection::new(&[], &[])?,
            slices: SLICES,
            plan,
            pages: Pages::default(),
            permits: Semaphore::new(bulk::IN_FLIGHT as usize),
            places: Places::default(),
        })
    }

    /// What the index of a part is called in the target.
    fn target_index(&self, part: &Part) -> Result<String, EngineError> {
        if part.kind != KIND_DOCUMENTS && part.kind != KIND_INDEX {
            return Err(EngineError::BadBackup {
                problem: "its parts index has a part of an unknown kind in it".to_owned(),
            });
        }
        names::target(&self.plan, structure::index(&part.name)?)
    }

    fn place<'a>(&'a self, index: &'a str) -> Place<'a> {
        Place {
            client: &self.client,
            pages: &self.pages,
            index,
            slices: self.slices,
        }
    }

    /// Where the documents of a part are in the target.
    fn physical(&self, part: &Part) -> Result<String, EngineError> {
        Ok(self.places.physical(&self.target_index(part)?))
    }
}

/// What is gone from the source while it is read.
fn changed(error: EngineError) -> EngineError {
    match error {
        EngineError::NotFound { what, .. } => EngineError::SourceChanged {
            problem: format!("{what} is gone"),
        },
        other => other,
    }
}

#[async_trait]
impl Engine for Kuzzle {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        let info = catalog::server_info(&self.client).await?;
        // Some let anybody ask who they are; this takes the right to see indices.
        catalog::indices(&self.client).await?;
        Ok(info)
    }

    async fn plan_export(&self, _: &ExportRequest) -> Result<ExportPlan, EngineError> {
        plan::plan(&self.client, &self.selection)
            .await
            .map_err(changed)
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let index = structure::index(&part.name)?;
        export::export(self.place(index), sink)
            .await
            .map_err(changed)
    }

    async fn finish_export(&self, plan: &ExportPlan) -> Result<(), EngineError> {
        plan::look_again(&self.client, plan).await
    }

    async fn open_dump(&self, dump: Dump) -> Result<Box<dyn VendorDump>, EngineError> {
        Ok(Box::new(dump::open(dump).await?))
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        let index = self.target_index(part)?;
        if part.kind == KIND_INDEX && self.plan.drill_prefix.is_none() {
            return Ok(TargetState::Empty);
        }
        if part.kind == KIND_INDEX {
            let there = catalog::settings(&self.client, &index).await;
            return match there {
                Ok(_) => Ok(TargetState::Holds(format!("the index {index:?}"))),
                Err(EngineError::NotFound { .. }) => Ok(TargetState::Empty),
                Err(error) => Err(error),
            };
        }
        verify::state(&self.client, &index).await
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        prepare::prepare(&self.client, plan, structure, &self.places).await
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let index = self.physical(part)?;
        let target = bulk::Target {
            client: &self.client,
            permits: &self.permits,
            first_wait: bulk::FIRST_WAIT,
            index: &index,
        };
        import::import(target, part.records, records).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts | Verify::Contains | Verify::Equal => true,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        let index = self.physical(part)?;
        verify::count(&self.client, &index).await
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        let index = self.physical(part)?;
        verify::contains(&self.client, &index, records).await
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        let index = self.physical(part)?;
        if verify::count(&self.client, &index).await? == 0 {
            return Ok(Fingerprint::default());
        }
        export::fingerprint(self.place(&index)).await
    }

    async fn finish_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        prepare::finish(&self.client, plan, structure, &self.places).await
    }

    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError> {
        prepare::drop_drill(&self.client, plan, structure).await
    }
    async fn clean_up(&self) -> Result<(), EngineError> {
        swap::drop_unused(&self.client, &self.places).await
    }
}
