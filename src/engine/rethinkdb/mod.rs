//! RethinkDB 2.4, method `native`: the driver's protocol (port 28015), spoken by a client of our own.
//!
//! A part is one table. A record is one row: one line of JSON, as the server says it in its raw
//! formats, so that times, binaries and numbers are never turned. Writing a row again changes
//! nothing: it goes over the one of the same primary key.
//!
//! - The protocol: [`connection`], [`scram`], [`answer`], [`term`].
//! - The canonical form of a row, which fingerprints are made of: [`json`].
//! - Reading goes on behind the last key after a lost connection: [`scan`].

mod address;
mod answer;
mod archive;
mod array;
mod catalog;
mod client;
mod connection;
mod dump;
mod export;
mod fault;
mod import;
mod json;
mod large;
mod lines;
mod login;
mod mirror;
mod names;
mod prepare;
mod scan;
mod scram;
mod select;
mod slice;
mod structure;
mod survey;
mod term;
mod verify;
mod version;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Access, ContainsReport, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan,
    ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, VendorDump,
};
use crate::api::engines::{
    RethinkDbDatabase, RethinkDbDurability, RethinkDbSource, RethinkDbTarget,
};
use crate::api::restore::{Deletions, Verify};
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{Dump, RecordSink, RecordSource};
pub(super) use archive::LAYOUT as VENDOR_LAYOUT;
use client::Client;
use prepare::Options;
use slice::Slice;

/// How many rows of a large table are one part, where nothing is said.
const RANGE_ROWS: u32 = 100_000;

/// A RethinkDB cluster, as source or as target.
pub(super) struct RethinkDb {
    client: Client,
    /// What is exported.
    choice: Vec<RethinkDbDatabase>,
    /// How many rows of a large table are one part.
    range_rows: u64,
    plan: ImportPlan,
    options: Options,
    hard: bool,
    permits: Semaphore,
    /// The server's version, once it was asked.
    version: OnceLock<String>,
    /// That the target is of an earlier version is said once.
    warned: AtomicBool,
}

impl RethinkDb {
    /// As a source.
    pub(super) fn source(spec: &RethinkDbSource, access: &Access) -> Result<Self, EngineError> {
        Ok(Self {
            choice: spec.databases.clone(),
            range_rows: u64::from(spec.range_rows.unwrap_or(RANGE_ROWS)),
            ..Self::new(&spec.url, access, ImportPlan::default())?
        })
    }

    /// As a target.
    pub(super) fn target(
        spec: &RethinkDbTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            options: Options {
                choice: spec.databases.clone(),
                no_indexes: spec.no_secondary_indexes,
                layout: spec.shards_and_replicas,
            },
            hard: spec.durability == Some(RethinkDbDurability::Hard),
            ..Self::new(&spec.url, access, plan.clone())?
        })
    }

    fn new(url: &str, access: &Access, plan: ImportPlan) -> Result<Self, EngineError> {
        Ok(Self {
            client: Client::new(url, access)?,
            choice: Vec::new(),
            range_rows: u64::from(RANGE_ROWS),
            plan,
            options: Options::default(),
            hard: false,
            permits: Semaphore::new(import::IN_FLIGHT_KIB as usize),
            version: OnceLock::new(),
            warned: AtomicBool::new(false),
        })
    }

    /// Where the rows of a part go or are.
    fn slice(&self, part: &Part) -> Result<Slice, EngineError> {
        if part.kind != structure::KIND_ROWS {
            return Err(EngineError::BadBackup {
                problem: format!(
                    "its parts index has rows in a part of the kind {:?}",
                    fault::word(&part.kind)
                ),
            });
        }
        Slice::of(&self.plan, &part.name, &part.attributes)
    }
}

#[async_trait]
impl Engine for RethinkDb {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        names::check(&self.plan)?;
        let mut connection = self.client.connect().await?;
        let version = connection.version().to_owned();
        self.client.check_version(&version)?;
        self.version.get_or_init(|| version.clone());
        Ok(ServerInfo {
            version,
            server_id: self.client.cluster_id(&mut connection).await?,
        })
    }

    async fn plan_export(&self, _: &ExportRequest) -> Result<ExportPlan, EngineError> {
        let server = self.probe().await?;
        select::plan(&self.client, &self.choice, self.range_rows, server).await
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let slice = Slice::of(&self.plan, &part.name, &part.attributes)?;
        export::export(&self.client, &slice, sink)
            .await
            .map_err(|error| match error {
                EngineError::NotFound { what, .. } => EngineError::SourceChanged {
                    problem: format!("{what} is gone"),
                },
                other => other,
            })
    }

    async fn finish_export(&self, plan: &ExportPlan) -> Result<(), EngineError> {
        select::look_again(&self.client, plan).await
    }

    async fn open_dump(&self, dump: Dump) -> Result<Box<dyn VendorDump>, EngineError> {
        Ok(Box::new(dump::open(dump).await?))
    }

    fn wants(&self, part: &Part) -> bool {
        // What has no name is looked at and refused.
        let Some(database) = part.name.get(structure::DATABASE) else {
            return true;
        };
        let table = part.name.get(structure::TABLE).map(String::as_str);
        names::chosen(&self.options.choice, database, table)
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        let source = structure::index_version(part).filter(|_| !self.options.no_indexes);
        let target = self.version.get().map_or("", String::as_str);
        let warning = source
            .and_then(|source| version::warning(source, target))
            .filter(|_| !self.warned.swap(true, Ordering::Relaxed));
        Ok(warning.into_iter().collect())
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        if part.kind != structure::KIND_ROWS {
            return Ok(TargetState::Empty);
        }
        verify::state(&self.client, &self.slice(part)?).await
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        prepare::prepare(&self.client, plan, structure, &self.options).await
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let target = import::Target {
            client: &self.client,
            permits: &self.permits,
            slice: &self.slice(part)?,
            hard: self.hard,
            mirror: self.plan.deletions == Deletions::Mirror,
        };
        import::import(target, records).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts | Verify::Contains | Verify::Equal => true,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        verify::count(&self.client, &self.slice(part)?).await
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        verify::contains(&self.client, &self.slice(part)?, records).await
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        verify::fingerprint(&self.client, &self.slice(part)?).await
    }

    async fn finish_import(&self, plan: &ImportPlan, parts: &[Part]) -> Result<(), EngineError> {
        if plan.deletions == Deletions::Mirror {
            // Of these rows the backup has none.
            for part in parts
                .iter()
                .filter(|part| part.kind == structure::KIND_ROWS)
            {
                import::empty(&self.client, &self.slice(part)?, self.hard).await?;
            }
        }
        prepare::finish(&self.client, plan, parts, &self.options).await
    }

    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError> {
        prepare::drop_drill(&self.client, plan, structure, &self.options).await
    }
}
