//! The engines: one folder a data system, each behind the trait [`Engine`].
//!
//! An engine speaks its system's protocol and nothing else: it knows no bucket, no codec, no
//! Kubernetes. Adding a system is one folder and one line in `connect_source` and
//! `connect_target`.

mod by_server;
mod cnosdb;
mod command;
pub mod directory;
mod emqx;
mod error;
mod escape;
mod http;
mod influxdb;
mod kuzzle;
mod layout;
mod number;
mod rethinkdb;
mod tar;
mod types;
mod vendor;
mod window;

use std::path::PathBuf;

use async_trait::async_trait;

pub use by_server::{ByServer, CountRecords, FILE_END, ServerStore};
pub use error::EngineError;
pub use layout::{
    ArchiveContent, ArchiveFile, ArchiveLayout, Around, DirectoryLayout, VendorFile, VendorLayout,
    vendor_layout,
};
pub use types::{
    ChainPlan, ChainState, ContainsReport, ExportPlan, ExportRequest, ImportPlan, ImportReport,
    PartPlan, PartSummary, ServerInfo, TargetState,
};
pub use vendor::{VendorDump, part_file};

use crate::api::engines::{SourceSpec, TargetSpec};
use crate::api::restore::Verify;
use crate::manifest::{Fingerprint, Part};
use crate::secrets::Secrets;
use crate::transfer::{Dump, RecordSink, RecordSource};

/// Where an engine finds what must not stand in its spec.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Directory with the files of the database's Secret: `username`, `password`.
    pub credentials: Option<PathBuf>,
    /// PEM file with certificates to trust.
    pub ca_bundle: Option<PathBuf>,
    /// An empty directory for what can't be streamed, where the pod has one.
    pub scratch: Option<PathBuf>,
    /// What no log line and no message may repeat.
    pub secrets: Secrets,
    /// The location with its keys, for a method whose server reads and writes it by itself.
    pub store: Option<ServerStore>,
}

/// A connection to one server of a data system, as source or as target.
///
/// Every call may be made at once with others of the same engine, up to the run's parallelism.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Asks the server who it is. The first call of every run: it tells an unreachable server, a
    /// wrong login and an unsupported version apart.
    async fn probe(&self) -> Result<ServerInfo, EngineError>;

    /// Decides what an export is made of. The caller notes the consistency time just before.
    async fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, EngineError>;

    /// Whether what the engine exports is packed already, in a form that the vendor's tool takes as
    /// it is. Its files are stored with the codec `none`, whatever was asked for.
    fn packs_itself(&self) -> bool {
        false
    }

    /// The engine as one whose server reads and writes the files itself, where that is how the
    /// method works. Parts then don't pass through [`Self::export_part`] and [`Self::import_part`],
    /// and [`Self::packs_itself`] is true.
    fn by_server(&self, method: &str) -> Option<&dyn ByServer> {
        let _ = method;
        None
    }

    /// Reads one part and writes its records to `sink`, whole records at a time.
    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError>;

    /// Looks at a finished export once more: a source that was dropped, renamed or restarted while
    /// it was read is an error.
    async fn finish_export(&self, plan: &ExportPlan) -> Result<(), EngineError>;

    /// Reads a dump that the vendor's own tool made, all of it, and says what it is made of.
    async fn open_dump(&self, _dump: Dump) -> Result<Box<dyn VendorDump>, EngineError> {
        Err(EngineError::NotSupported {
            problem: "the dumps of this target's vendor are not read yet: restore a backup that Lifeboat made, or use the vendor's own tool".to_owned(),
        })
    }

    /// Whether `part` of a backup is to be restored: a spec may name some of them. What is not wanted
    /// is neither made nor imported nor checked.
    fn wants(&self, part: &Part) -> bool {
        let _ = part;
        true
    }

    /// Checks whether `part` can come into this target at all, and says what a person should know
    /// before it does. Changes nothing; a dry run does it too.
    async fn check_part(&self, _part: &Part) -> Result<Vec<String>, EngineError> {
        Ok(Vec::new())
    }

    /// Says what of `part` the target already holds. Changes nothing.
    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError>;

    /// Checks the right to write, then makes what must be there before records: databases,
    /// retention policies, tables. Under `Replace` it drops first. `structure` are the backup's
    /// parts that hold no records.
    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError>;

    /// Writes the records of one part. Same key, same record: doing it twice changes nothing.
    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError>;

    /// All parts of a backup were handed over: does what needs all of them at once. The next thing is
    /// their proof, and then the next backup of the chain.
    async fn parts_imported(&self, _plan: &ImportPlan) -> Result<(), EngineError> {
        Ok(())
    }

    /// Whether the engine can do a check.
    fn supports(&self, verify: Verify) -> bool;

    /// Counts the records of `part` in the target, within what the backup covers.
    async fn count_part(&self, part: &Part) -> Result<u64, EngineError>;

    /// Looks each record of `part` up in the target, in batches.
    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError>;

    /// Fingerprint of all that the target holds under the part's name.
    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError>;

    /// After the last part: continuous queries and the like, which must not run while data comes in.
    async fn finish_import(&self, plan: &ImportPlan, structure: &[Part])
    -> Result<(), EngineError>;

    /// Drops what a drill made: only names that begin with the plan's drill prefix. Also called at the
    /// start of a drill's further attempt, when all, some or none of them are there: a name that is
    /// not there is no error.
    async fn drop_drill(&self, plan: &ImportPlan, structure: &[Part]) -> Result<(), EngineError>;

    /// Takes back what the run left on the server for its own use, as the last thing that a run does,
    /// also where it failed or was stopped. What can't be taken back is an error that says so.
    async fn clean_up(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Makes the engine of a source. Nothing is sent yet: the first call is [`Engine::probe`].
pub fn connect_source(spec: &SourceSpec, access: &Access) -> Result<Box<dyn Engine>, EngineError> {
    if let Some(spec) = &spec.influxdb {
        return Ok(Box::new(influxdb::InfluxDb::source(spec, access)?));
    }
    if let Some(spec) = &spec.kuzzle {
        return Ok(Box::new(kuzzle::Kuzzle::source(spec, access)?));
    }
    if let Some(spec) = &spec.cnosdb {
        return Ok(Box::new(cnosdb::CnosDb::source(spec, access)?));
    }
    if let Some(spec) = &spec.rethinkdb {
        return Ok(Box::new(rethinkdb::RethinkDb::source(spec, access)?));
    }
    if let Some(spec) = &spec.emqx {
        return Ok(Box::new(emqx::Emqx::source(spec, access)?));
    }
    if let Some(spec) = &spec.command {
        return Ok(Box::new(command::Command::source(spec, access)?));
    }
    Err(not_built("source"))
}

/// Makes the engine of a target. Nothing is sent yet: the first call is [`Engine::probe`].
pub fn connect_target(
    spec: &TargetSpec,
    access: &Access,
    plan: &ImportPlan,
) -> Result<Box<dyn Engine>, EngineError> {
    if let Some(spec) = &spec.influxdb {
        return Ok(Box::new(influxdb::InfluxDb::target(spec, access, plan)?));
    }
    if let Some(spec) = &spec.kuzzle {
        return Ok(Box::new(kuzzle::Kuzzle::target(spec, access, plan)?));
    }
    if let Some(spec) = &spec.cnosdb {
        return Ok(Box::new(cnosdb::CnosDb::target(spec, access, plan)?));
    }
    if let Some(spec) = &spec.rethinkdb {
        return Ok(Box::new(rethinkdb::RethinkDb::target(spec, access, plan)?));
    }
    if let Some(spec) = &spec.emqx {
        return Ok(Box::new(emqx::Emqx::target(spec, access, plan)?));
    }
    if let Some(spec) = &spec.command {
        return Ok(Box::new(command::Command::target(spec, access, plan)?));
    }
    Err(not_built("target"))
}

fn not_built(side: &str) -> EngineError {
    EngineError::NotSupported {
        problem: format!(
            "the {side} names no engine that is built; the reference of Backup lists those that are"
        ),
    }
}
