//! InfluxDB 1.x (OSS and Enterprise). Method `lineProtocol`: queries and writes over HTTP; method
//! [`portable`]: the server's own files.
//!
//! With `lineProtocol`:
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
mod names;
mod portable;
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
use std::sync::{Mutex, PoisonError};
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
use portable::Portable;
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
    /// The server's backup service, where its address is given.
    portable: Option<Portable>,
}

impl InfluxDb {
    /// As a source.
    pub(super) fn source(spec: &InfluxDbSource, access: &Access) -> Result<Self, EngineError> {
        if spec.method == Some(InfluxDbMethod::Ctl) {
            return Err(EngineError::NotSupported {
                problem: "the method ctl is not built yet; use lineProtocol, which works on InfluxDB Enterprise too"
                    .to_owned(),
            });
        }
        let portable = spec.method == Some(InfluxDbMethod::Portable);
        if portable != spec.backup_address.is_some() {
            return Err(EngineError::NotSupported {
                problem: "backupAddress (such as influxdb:8088) goes with the method portable, which needs it"
                    .to_owned(),
            });
        }
        let plan = ImportPlan::default();
        Ok(Self {
            source: spec.clone(),
            ..Self::new(&spec.url, spec.backup_address.as_deref(), access, plan)?
        })
    }

    /// As a target.
    pub(super) fn target(
        spec: &InfluxDbTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        let address = spec.backup_address.as_deref();
        Self::new(&spec.url, address, access, plan.clone())
    }

    fn new(
        url: &str,
        backup_address: Option<&str>,
        access: &Access,
        plan: ImportPlan,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            client: Client::new(url, access)?,
            source: InfluxDbSource::default(),
            plan,
            permits: Semaphore::new(WRITES),
            first_wait: import::FIRST_WAIT,
            started: Mutex::new(None),
            made: Mutex::new(BTreeSet::new()),
            portable: backup_address.map(Portable::new).transpose()?,
        })
    }

    /// The backup service of a target that gets files.
    fn service(&self) -> Result<&Portable, EngineError> {
        self.portable.as_ref().ok_or_else(|| EngineError::NotSupported {
            problem: "the backup was made with the method portable: set backupAddress in target.influxdb to the target's backup service, such as influxdb:8088"
                .to_owned(),
        })
    }

    fn made_before(&self) -> BTreeSet<String> {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
            database: names::target_name(&self.plan, named(part, NAME_DATABASE)?),
            policy: names::target_policy(
                &self.plan,
                named(part, NAME_DATABASE)?,
                named(part, NAME_POLICY)?,
            )
            .to_owned(),
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
        if let Some(portable) = &self.portable {
            portable.probe().await?;
        }
        Ok(info)
    }

    async fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, EngineError> {
        let server = self.server_info().await?;
        let started = catalog::started(&self.client).await;
        if let Ok(mut slot) = self.started.lock() {
            *slot = started;
        }
        match &self.portable {
            Some(portable) => {
                portable
                    .plan(&self.client, &self.source, server, request)
                    .await
            }
            None => select::plan(&self.client, &self.source, server, request).await,
        }
    }

    /// Gzip is part of the vendor's files.
    fn packs_itself(&self) -> bool {
        self.portable.is_some()
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let part = Part {
            kind: part.kind.clone(),
            name: part.name.clone(),
            attributes: part.attributes.clone(),
            ..Part::default()
        };
        if let Some(portable) = &self.portable {
            return portable.export(&self.client, &part, sink).await;
        }
        let place = self.place(&part)?;
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
        match &self.portable {
            Some(portable) => portable.look_again(plan).await,
            None => select::look_again(&self.client, plan).await,
        }
    }

    fn wants(&self, part: &Part) -> bool {
        !portable::is_vendors(part)
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        if portable::is_ours(part) {
            self.service()?;
            portable::check(part)?;
        }
        Ok(Vec::new())
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        if part.kind == structure::KIND_DATABASE {
            return Ok(TargetState::Empty);
        }
        if portable::is_ours(part) {
            return portable::state(&self.client, &self.plan, part).await;
        }
        verify::state(&self.client, &self.place(part)?).await
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        let made = self.made_before();
        let new = if structure.iter().any(portable::is_ours) {
            let portable = self.service()?;
            portable
                .prepare(&self.client, plan, structure, &made)
                .await?
        } else {
            prepare::prepare(&self.client, plan, structure, &made).await?
        };
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
        let target = import::Target {
            client: &self.client,
            permits: &self.permits,
            first_wait: self.first_wait,
            database: "",
            policy: "",
        };
        if portable::is_ours(part) {
            let portable = self.service()?;
            return portable
                .import(&self.client, &self.plan, part, target, records)
                .await;
        }
        let place = self.place(part)?;
        let target = import::Target {
            database: &place.database,
            policy: &place.policy,
            ..target
        };
        import::import(target, records).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts | Verify::Contains | Verify::Equal => true,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        if portable::is_ours(part) {
            return portable::count(&self.client, &self.plan, part).await;
        }
        verify::count(&self.client, &self.place(part)?).await
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        if portable::is_ours(part) {
            return Err(portable::only_counts());
        }
        verify::contains(&self.client, &self.place(part)?, records).await
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        if portable::is_ours(part) {
            return Err(portable::only_counts());
        }
        verify::fingerprint(&self.client, &self.place(part)?).await
    }

    async fn finish_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        prepare::finish(&self.client, plan, &portable::databases(structure)).await
    }

    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError> {
        let databases = portable::databases(structure);
        prepare::drop_drill(&self.client, plan, &databases).await?;
        if structure.iter().any(portable::is_ours) {
            portable::drop_drill(&self.client, plan, &databases).await?;
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), EngineError> {
        match &self.portable {
            Some(portable) => portable.clean_up(&self.client).await,
            None => Ok(()),
        }
    }
}
