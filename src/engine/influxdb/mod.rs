//! InfluxDB 1.x (OSS and Enterprise), method `lineProtocol`: queries and writes over HTTP.
//!
//! A part is one measurement in one retention policy of one database. A record is one line: a series
//! and a time, with all fields that the point has. Writing a record again changes nothing; writing
//! one of the same series and time merges the fields.
//!
//! Which form the server answers in was measured (2 million points with four fields in 200 series,
//! seconds of the server's CPU): MessagePack 3.1, CSV 3.7, JSON 4.6. MessagePack is also the only one
//! that tells an integer from a float and keeps strings byte by byte.
//!
//! - What is exported, full or a window: [`crate::engine::window`], [`select`].
//! - The canonical form of a record, which fingerprints are made of: [`encode`].
//! - Users are not exported: the server does not give their passwords.

mod batch;
mod catalog;
mod client;
mod cq;
mod encode;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::needless_pass_by_value)]
mod encode_test;
mod export;
mod fault;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]
mod faults_test;
mod import;
mod line;
mod msgpack;
mod prepare;
mod ql;
mod response;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod response_test;
mod select;
mod slices;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod stand_in;
mod structure;
mod table;
mod verify;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Access, ContainsReport, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan,
    ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, window,
};
use crate::api::engines::{InfluxDbMethod, InfluxDbSource, InfluxDbTarget};
use crate::api::restore::Verify;
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{RecordSink, RecordSource};
use client::Client;
use export::Place;
use ql::Range;

/// Writes of all parts together that are under way.
const WRITES: usize = 6;

/// An InfluxDB server, as source or as target.
pub(super) struct InfluxDb {
    client: Client,
    source: InfluxDbSource,
    plan: ImportPlan,
    permits: Semaphore,
    first_wait: Duration,
    /// When the source was started, seen while the export was planned.
    started: Mutex<Option<String>>,
    /// Databases that this run made.
    made: Mutex<BTreeSet<String>>,
}

impl InfluxDb {
    /// As a source.
    pub(super) fn source(spec: &InfluxDbSource, access: &Access) -> Result<Self, EngineError> {
        if !matches!(spec.method, None | Some(InfluxDbMethod::LineProtocol)) {
            return Err(EngineError::NotSupported {
                problem: "only the method lineProtocol is built yet; portable and ctl are refused"
                    .to_owned(),
            });
        }
        Ok(Self {
            source: spec.clone(),
            ..Self::new(&spec.url, access, ImportPlan::default())?
        })
    }

    /// As a target.
    pub(super) fn target(
        spec: &InfluxDbTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        Self::new(&spec.url, access, plan.clone())
    }

    fn new(url: &str, access: &Access, plan: ImportPlan) -> Result<Self, EngineError> {
        Ok(Self {
            client: Client::new(url, access)?,
            source: InfluxDbSource::default(),
            plan,
            permits: Semaphore::new(WRITES),
            first_wait: import::FIRST_WAIT,
            started: Mutex::new(None),
            made: Mutex::new(BTreeSet::new()),
        })
    }

    /// Where a part of a backup lies in the target.
    fn place(&self, part: &Part) -> Result<Place, EngineError> {
        use structure::{KIND_MEASUREMENT, NAME_DATABASE, NAME_MEASUREMENT, NAME_POLICY, named};
        if part.kind != KIND_MEASUREMENT {
            return Err(EngineError::BadBackup {
                problem: format!(
                    "its parts index has a part of an unknown kind in it: {:?}",
                    part.name
                ),
            });
        }
        Ok(Place {
            database: prepare::target_name(&self.plan, named(part, NAME_DATABASE)?),
            policy: named(part, NAME_POLICY)?.to_owned(),
            measurement: named(part, NAME_MEASUREMENT)?.to_owned(),
            window: Range {
                start: window::bound(part, window::WINDOW_START)?,
                end: window::bound(part, window::WINDOW_END)?,
            },
        })
    }

    async fn server_info(&self) -> Result<ServerInfo, EngineError> {
        let ping = self.client.ping().await?;
        if !ping.version.is_empty() && !ping.version.trim_start_matches('v').starts_with("1.") {
            return Err(EngineError::Version {
                server: self.client.server().to_owned(),
                version: ping.version,
                problem: "the engine influxdb serves the 1.x line, OSS and Enterprise".to_owned(),
            });
        }
        let version = match ping.build.as_str() {
            "" => ping.version,
            build => format!("{} ({build})", ping.version),
        };
        Ok(ServerInfo {
            version,
            server_id: self.client.server().to_owned(),
        })
    }
}

#[async_trait]
impl Engine for InfluxDb {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        let info = self.server_info().await?;
        // A ping asks for no login; this does.
        catalog::databases(&self.client).await?;
        Ok(info)
    }

    async fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, EngineError> {
        let server = self.server_info().await?;
        let started = catalog::started(&self.client).await;
        if let Ok(mut slot) = self.started.lock() {
            *slot = started;
        }
        select::plan(&self.client, &self.source, server, request).await
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let place = self.place(&Part {
            kind: part.kind.clone(),
            name: part.name.clone(),
            attributes: part.attributes.clone(),
            ..Part::default()
        })?;
        export::export(&self.client, &place, sink)
            .await
            .map_err(|error| match error {
                EngineError::NotFound { what, .. } => EngineError::SourceChanged {
                    problem: format!("{what} is gone"),
                },
                other => other,
            })
    }

    async fn finish_export(&self, plan: &ExportPlan) -> Result<(), EngineError> {
        let changed = |problem: &str| {
            Err(EngineError::SourceChanged {
                problem: problem.to_owned(),
            })
        };
        if self.server_info().await? != plan.server {
            return changed("another server answers");
        }
        let before = self.started.lock().ok().and_then(|started| started.clone());
        let now = catalog::started(&self.client).await;
        if before.is_some() && now.is_some() && before != now {
            return changed("the server was restarted");
        }
        select::look_again(&self.client, plan).await
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        if part.kind == structure::KIND_DATABASE {
            return Ok(TargetState::Empty);
        }
        verify::state(&self.client, &self.place(part)?).await
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        let made = self
            .made
            .lock()
            .map(|made| made.clone())
            .unwrap_or_default();
        let new = prepare::prepare(&self.client, plan, structure, &made).await?;
        if let Ok(mut made) = self.made.lock() {
            made.extend(new);
        }
        Ok(())
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let place = self.place(part)?;
        let target = import::Target {
            client: &self.client,
            permits: &self.permits,
            first_wait: self.first_wait,
            database: &place.database,
            policy: &place.policy,
        };
        import::import(target, records).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts | Verify::Contains | Verify::Equal => true,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        verify::count(&self.client, &self.place(part)?).await
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        verify::contains(&self.client, &self.place(part)?, records).await
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        verify::fingerprint(&self.client, &self.place(part)?).await
    }

    async fn finish_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        prepare::finish(&self.client, plan, structure).await
    }

    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError> {
        prepare::drop_drill(&self.client, plan, structure).await
    }
}
