//! InfluxDB OSS 1.5 and later, method `portable`: the files of shards, from the server's backup service
//! (port 8088) and back to it, as `influxd backup -portable` and `influxd restore -portable` do.
//!
//! A part is a shard: what one retention policy holds of a span of time. A record is a value of a field;
//! a server can count those without handing them out. Beside the shards are the two files that the
//! vendor's tool wants. The conversation is spoken by us ([`wire`]), so that no vendor binary is needed
//! and nothing touches a disk: see docs/adr/0016.
//!
//! An increment has the shards with files of after the last backup, whole.

mod address;
mod archive;
mod count;
mod export;
mod files;
mod import;
mod meta;
mod parts;
mod pipe;
mod plan;
mod proto;
mod wire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use parts::{KIND_SHARD, KIND_SHARDS};

use super::client::Client;
use super::import::Target;
use super::{catalog, names};
use crate::api::engines::InfluxDbSource;
use crate::engine::{
    EngineError, ExportPlan, ExportRequest, ImportPlan, ImportReport, PartSummary, ServerInfo,
    TargetState,
};
use crate::manifest::Part;
use crate::transfer::{RecordSink, RecordSource};
use parts::ShardPart;
use wire::Service;

/// The backup service of a server, and what a run has in hand of it.
pub(super) struct Portable {
    service: Service,
    planned: Mutex<Option<Arc<export::Planned>>>,
    places: import::Places,
}

/// Whether a part is one of this method that a restore takes.
pub(super) fn is_ours(part: &Part) -> bool {
    part.kind == KIND_SHARD || part.kind == KIND_SHARDS
}

/// Whether a part is there for the vendor's tool alone.
pub(super) fn is_vendors(part: &Part) -> bool {
    part.kind == parts::KIND_META || part.kind == parts::KIND_MANIFEST
}

impl Portable {
    /// At `address`, host and port.
    pub(super) fn new(address: &str) -> Result<Self, EngineError> {
        Ok(Self {
            service: Service::new(address)?,
            planned: Mutex::default(),
            places: import::Places::default(),
        })
    }

    /// Whether the service is there.
    pub(super) async fn probe(&self) -> Result<(), EngineError> {
        self.service.metadata().await.map(drop)
    }

    /// Decides what an export is made of.
    pub(super) async fn plan(
        &self,
        client: &Client,
        spec: &InfluxDbSource,
        server: ServerInfo,
        request: &ExportRequest,
    ) -> Result<ExportPlan, EngineError> {
        let (plan, planned) = plan::plan(client, &self.service, spec, server, request).await?;
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(planned));
        Ok(plan)
    }

    /// Reads one part.
    pub(super) async fn export(
        &self,
        client: &Client,
        part: &Part,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let planned = self
            .planned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let planned = planned.ok_or_else(|| parts::bad("a part that was not planned"))?;
        match part.kind.as_str() {
            parts::KIND_META => planned.write_meta(sink).await,
            parts::KIND_MANIFEST => planned.write_listing(sink).await,
            _ => planned.write_shard(client, &self.service, part, sink).await,
        }
    }

    /// Looks at the source once more.
    pub(super) async fn look_again(&self, plan: &ExportPlan) -> Result<(), EngineError> {
        export::look_again(&self.service, plan).await
    }

    /// Makes the databases that the shards go into. Returns those that were not there.
    pub(super) async fn prepare(
        &self,
        client: &Client,
        plan: &ImportPlan,
        structure: &[Part],
        made: &BTreeSet<String>,
    ) -> Result<Vec<String>, EngineError> {
        import::prepare(client, &self.service, plan, structure, made, &self.places).await
    }

    /// Writes one shard.
    pub(super) async fn import(
        &self,
        client: &Client,
        plan: &ImportPlan,
        part: &Part,
        target: Target<'_>,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let part = ShardPart::read(part)?;
        let database = names::target_name(plan, &part.database);
        let policy = names::target_policy(plan, &part.database, &part.policy);
        let target = Target {
            database: &database,
            policy,
            ..target
        };
        let work = import::Work {
            client,
            service: &self.service,
            places: &self.places,
        };
        work.shard(&part, policy, target, records).await
    }

    /// Takes back what the run made for its own use.
    pub(super) async fn clean_up(&self, client: &Client) -> Result<(), EngineError> {
        self.places.clean_up(client).await
    }
}

/// Checks a part of a backup.
pub(super) fn check(part: &Part) -> Result<(), EngineError> {
    if part.kind == KIND_SHARD {
        ShardPart::read(part)?;
        if part.files.len() > 1 {
            return Err(parts::bad("a shard of several files"));
        }
    } else {
        parts::read_lists(std::slice::from_ref(part))?;
    }
    Ok(())
}

/// Whether the target's database holds anything.
pub(super) async fn state(
    client: &Client,
    plan: &ImportPlan,
    part: &Part,
) -> Result<TargetState, EngineError> {
    if part.kind != KIND_SHARD {
        return Ok(TargetState::Empty);
    }
    let database = names::target_name(plan, &ShardPart::read(part)?.database);
    if catalog::holds_any(client, &database).await? {
        return Ok(TargetState::Holds(format!("points in {database:?}")));
    }
    Ok(TargetState::Empty)
}

/// Counts the values of a shard in the target.
pub(super) async fn count(
    client: &Client,
    plan: &ImportPlan,
    part: &Part,
) -> Result<u64, EngineError> {
    let part = ShardPart::read(part)?;
    let span = count::Span {
        database: names::target_name(plan, &part.database),
        policy: names::target_policy(plan, &part.database, &part.policy).to_owned(),
        range: part.range(),
    };
    Ok(part.as_counted(count::values(client, &span).await?))
}

/// The parts that tell databases in the words of every method.
pub(super) fn databases(structure: &[Part]) -> Vec<Part> {
    let others = structure.iter().filter(|part| !is_ours(part));
    others.cloned().collect()
}

/// Drops what a drill of this method left beside its databases.
pub(super) async fn drop_drill(
    client: &Client,
    plan: &ImportPlan,
    databases: &[Part],
) -> Result<(), EngineError> {
    import::drop_merged(client, plan, databases).await
}

/// What `contains_part` and `fingerprint_part` say: the job refuses both earlier.
pub(super) fn only_counts() -> EngineError {
    EngineError::NotSupported {
        problem: "a portable backup holds files, whose records nobody looks up: use verify Counts"
            .to_owned(),
    }
}
