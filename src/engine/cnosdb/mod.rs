//! CnosDB 2.3 and later of the 2.x line: method `client`, SQL and line protocol over HTTP, and method
//! `copyInto` ([`copy`]), where the server itself writes and reads the files.
//!
//! A part is one table. A record is one row: a series (the tags) and a time, with the fields that it
//! has. Writing a record again changes nothing.
//!
//! Rows are stored as the server answers them when it is asked for JSON lines, which is what its own
//! `COPY INTO` reads: see [`row`] for why JSON, and for the canonical form that fingerprints are made
//! of. Tables are read in windows of bounded size ([`read`]), and written back as line protocol
//! ([`encode`]). Tenants, databases and tables are parts without records ([`structure`]).
//! Users, roles and grants are not exported: their passwords are hashes in the vendor's dump.

mod catalog;
mod client;
mod copy;
mod encode;
mod export;
mod fault;
mod import;
mod prepare;
mod read;
mod row;
mod schema;
mod select;
mod sql;
mod structure;
mod time;
mod verify;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Access, ByServer, ContainsReport, CountRecords, Engine, EngineError, ExportPlan, ExportRequest,
    ImportPlan, ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, window,
};
use crate::api::engines::{CnosDbMethod, CnosDbSource, CnosDbTarget};
use crate::api::restore::Verify;
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{RecordSink, RecordSource};
use client::Client;
use prepare::{Home, Names};
use read::Place;
use row::Layout;
use structure::Name;

/// Writes of all parts together that are under way.
const WRITES: usize = 6;

/// A CnosDB cluster, as source or as target.
pub(super) struct CnosDb {
    client: Client,
    url: String,
    access: Access,
    copy: copy::Options,
    source: CnosDbSource,
    names: Names,
    permits: Semaphore,
    first_wait: Duration,
    /// Databases that this run made.
    made: Mutex<BTreeSet<Home>>,
}

impl CnosDb {
    /// As a source.
    pub(super) fn source(spec: &CnosDbSource, access: &Access) -> Result<Self, EngineError> {
        let source = Self {
            source: spec.clone(),
            copy: spec.copy_into.as_ref().map(Into::into).unwrap_or_default(),
            ..Self::new(&spec.url, access, Names::default())?
        };
        if source.format()?.is_some() {
            // What the location lacks is told before anything is asked of the server.
            source.copier()?;
        }
        Ok(source)
    }

    /// As a target.
    pub(super) fn target(
        spec: &CnosDbTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        let names = Names {
            tenant: spec.tenant.clone(),
            plan: plan.clone(),
        };
        Ok(Self {
            copy: spec.copy_into.as_ref().map(Into::into).unwrap_or_default(),
            ..Self::new(&spec.url, access, names)?
        })
    }

    fn new(url: &str, access: &Access, names: Names) -> Result<Self, EngineError> {
        Ok(Self {
            client: Client::new(url, access)?,
            url: url.to_owned(),
            access: access.clone(),
            copy: copy::Options::default(),
            source: CnosDbSource::default(),
            names,
            permits: Semaphore::new(WRITES),
            first_wait: import::FIRST_WAIT,
            made: Mutex::new(BTreeSet::new()),
        })
    }

    /// How the server writes files, where it does so itself.
    fn format(&self) -> Result<Option<copy::Format>, EngineError> {
        match self.source.method {
            Some(CnosDbMethod::CopyInto) => {
                copy::Format::asked(self.source.copy_into.as_ref()).map(Some)
            }
            None | Some(CnosDbMethod::Client) => Ok(None),
        }
    }

    fn copier(&self) -> Result<copy::Copier, EngineError> {
        copy::Copier::new(&self.url, &self.access, &self.copy)
    }

    /// Where a part of a backup lies in the target, and its columns in the backup.
    fn place(&self, part: &Part) -> Result<(Place, Layout), EngineError> {
        if part.kind != structure::KIND_TABLE {
            return Err(EngineError::BadBackup {
                problem: format!(
                    "its parts index has a part of an unknown kind in it: {:?}",
                    part.name
                ),
            });
        }
        let name = Name::of(part)?;
        let (tenant, database) = self.names.home(&name.tenant, &name.database);
        let place = Place {
            tenant,
            database,
            table: name.table,
            window: sql::Range {
                start: window::bound(part, window::WINDOW_START)?,
                end: window::bound(part, window::WINDOW_END)?,
            },
        };
        Ok((place, Layout::new(structure::columns(part)?)))
    }

    async fn server_info(&self) -> Result<ServerInfo, EngineError> {
        let version = self.client.version().await?;
        if !is_served(&version) {
            return Err(EngineError::Version {
                server: self.client.server().to_owned(),
                version,
                problem: "the engine cnosdb serves 2.3 and later of the 2.x line".to_owned(),
            });
        }
        Ok(ServerInfo {
            version,
            server_id: self.client.server().to_owned(),
        })
    }
}

/// Whether a version is 2.3 or later of the 2.x line.
fn is_served(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().and_then(|text| text.parse::<u32>().ok());
    major == "2" && minor.is_some_and(|minor| minor >= 3)
}

#[async_trait]
impl Engine for CnosDb {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        let info = self.server_info().await?;
        // A ping asks for no login; this does.
        let named = self.source.tenants.first().map(|tenant| &tenant.name);
        let tenant = self.names.tenant.as_ref().or(named);
        let tenant = tenant.map_or(catalog::FIRST_TENANT, String::as_str);
        catalog::databases(&self.client, tenant).await?;
        Ok(info)
    }

    async fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, EngineError> {
        let server = self.server_info().await?;
        let format = self.format()?;
        select::plan(&self.client, &self.source, format.as_ref(), server, request).await
    }

    fn packs_itself(&self) -> bool {
        self.source.method == Some(CnosDbMethod::CopyInto)
    }

    fn by_server(&self, method: &str) -> Option<&dyn ByServer> {
        (method == copy::METHOD).then_some(self)
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let (place, layout) = self.place(&planned(part))?;
        export::export(&self.client, &place, &layout, sink)
            .await
            .map_err(select::gone)
    }

    async fn finish_export(&self, plan: &ExportPlan) -> Result<(), EngineError> {
        if self.server_info().await? != plan.server {
            return Err(EngineError::SourceChanged {
                problem: "another server answers".to_owned(),
            });
        }
        select::look_again(&self.client, plan).await
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        if copy::is_copied(part) {
            self.copier()?;
        }
        Ok(Vec::new())
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        if part.kind != structure::KIND_TABLE {
            return Ok(TargetState::Empty);
        }
        verify::state(&self.client, &self.place(part)?.0).await
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
        let names = self.named(plan);
        let new = prepare::prepare(&self.client, &names, structure, &made).await?;
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
        let (place, layout) = self.place(part)?;
        let there = catalog::table(&self.client, place.at(), &place.table).await?;
        let target = import::Target {
            client: &self.client,
            permits: &self.permits,
            first_wait: self.first_wait,
            place: &place,
            precision: there.precision,
            horizon: verify::horizon(&self.client, &place).await?,
        };
        import::import(target, &layout, records).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts | Verify::Contains | Verify::Equal => true,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        verify::count(&self.client, &self.place(part)?.0).await
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        let (place, layout) = self.place(part)?;
        verify::contains(&self.client, &place, &layout, records).await
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        verify::fingerprint(&self.client, &self.place(part)?.0).await
    }

    async fn finish_import(&self, _: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        Ok(())
    }

    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError> {
        prepare::drop_drill(&self.client, &self.named(plan), structure).await
    }
}

/// A part of an export as it will be one of a backup.
fn planned(part: &PartPlan) -> Part {
    Part {
        kind: part.kind.clone(),
        name: part.name.clone(),
        attributes: part.attributes.clone(),
        ..Part::default()
    }
}

#[async_trait]
impl ByServer for CnosDb {
    async fn write_part(
        &self,
        part: &PartPlan,
        directory: &str,
    ) -> Result<PartSummary, EngineError> {
        let part = planned(part);
        let (place, _) = self.place(&part)?;
        let copier = self.copier()?;
        copier
            .write(&place, &part, directory)
            .await
            .map_err(select::gone)
    }

    fn counter(
        &self,
        part: &PartPlan,
        size: u64,
        end: &[u8],
    ) -> Result<Box<dyn CountRecords>, EngineError> {
        copy::counter(&planned(part), size, end)
    }

    async fn read_part(&self, part: &Part, directory: &str) -> Result<ImportReport, EngineError> {
        let (place, layout) = self.place(part)?;
        let copier = self.copier()?;
        copier.read(&place, &layout, part, directory).await
    }
}

impl CnosDb {
    fn named(&self, plan: &ImportPlan) -> Names {
        Names {
            plan: plan.clone(),
            ..self.names.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (version, want) in [
            (
                "2.4.2, revision c6a177786a823ff5b3cd991464e898fb7b413cad",
                true,
            ),
            ("2.3.0", true),
            ("2.10.1", true),
            ("2.2.9", false),
            ("3.0.0", false),
            ("", false),
        ] {
            assert_eq!(is_served(version), want, "{version}");
        }
    }
}
