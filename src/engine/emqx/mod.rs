//! EMQX 5.4 and later, over its REST API.
//!
//! A backup is one part: the archive that the server makes, byte for byte, under the name that it may
//! not lose. A record is one entry of a list that the REST API counts on both sides ([`counts`]): a
//! user, a ban, a rule. The archive itself is looked into on its way out and on its way in
//! ([`archive`]), and the tables in it are counted.
//!
//! - API keys and dashboard users stay out of an import unless `importCredentials` asks for them: the
//!   archive is packed anew without their tables while it is uploaded, under the same name.
//! - EMQX has neither databases nor other names: a drill or new names can't be done.
//! - An import replaces records of the same key and leaves all others.

mod api;
mod archive;
mod attributes;
mod counts;
mod dump;
mod export;
mod hocon;
mod import;
mod meta;
mod nodes;
mod said;
mod settings;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::http::word;
use super::{
    Access, ContainsReport, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan,
    ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, VendorDump,
};
use crate::api::engines::{EmqxSource, EmqxTarget};
use crate::api::restore::{ConflictPolicy, Verify};
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{Dump, RecordSink, RecordSource};
use api::{Api, Stored};
use attributes::Archive;
use counts::Counts;
use nodes::Cluster;

/// A file that this run leaves on a node until it is taken away again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Left {
    filename: String,
    /// None: on any node.
    node: Option<String>,
}

/// An EMQX cluster, as source or as target.
pub(super) struct Emqx {
    api: Api,
    source: EmqxSource,
    target: EmqxTarget,
    left: Mutex<Vec<Left>>,
    counts: Mutex<Counts>,
}

impl Emqx {
    /// As a source.
    pub(super) fn source(spec: &EmqxSource, access: &Access) -> Result<Self, EngineError> {
        Ok(Self {
            api: Api::new(&spec.url, spec.login, access)?,
            source: spec.clone(),
            target: EmqxTarget::default(),
            left: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    /// As a target. What EMQX can't do is refused before anything is sent.
    pub(super) fn target(
        spec: &EmqxTarget,
        access: &Access,
        plan: &ImportPlan,
    ) -> Result<Self, EngineError> {
        let refused = if plan.drill_prefix.is_some() {
            Some(NO_DRILL)
        } else if !plan.remap.is_empty() {
            Some(NO_REMAP)
        } else if plan.conflict_policy == ConflictPolicy::Replace {
            Some(NO_REPLACE)
        } else {
            None
        };
        if let Some(problem) = refused {
            return Err(EngineError::NotSupported {
                problem: problem.to_owned(),
            });
        }
        Ok(Self {
            api: Api::new(&spec.url, spec.login, access)?,
            source: EmqxSource::default(),
            target: spec.clone(),
            left: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    async fn cluster(&self) -> Result<Cluster, EngineError> {
        nodes::cluster(self.api.server(), &self.api.nodes().await?)
    }

    fn info(&self, cluster: &Cluster) -> ServerInfo {
        ServerInfo {
            version: cluster.words(),
            server_id: self.api.server().to_owned(),
        }
    }

    /// Notes a file that is to be taken away in any case.
    fn leaves(&self, filename: &str, node: Option<&str>) {
        let left = Left {
            filename: filename.to_owned(),
            node: node.map(str::to_owned),
        };
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&left) {
            all.push(left);
        }
    }

    /// Deletes a file wherever it is.
    async fn take_back(&self, filename: &str) -> Result<(), EngineError> {
        for file in self.api.find(filename).await? {
            self.api.delete(&file).await?;
        }
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|left| left.filename != filename);
        Ok(())
    }

    fn note_counts(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn noted_counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }

    /// Refuses an archive that the target would refuse once it is uploaded.
    async fn check_taken(&self, archive: &Archive) -> Result<Cluster, EngineError> {
        let cluster = self.cluster().await?;
        match archive.meta.refused_by(&cluster.version, cluster.edition) {
            Some(problem) => Err(EngineError::NotSupported { problem }),
            None => Ok(cluster),
        }
    }

    /// What changes in the target beyond the records that come in.
    async fn consequences(&self, archive: &Archive) -> Result<Vec<String>, EngineError> {
        let mut warnings = Vec::new();
        for (id, salt) in &archive.salts {
            let there = self.api.authenticator(id).await?;
            if let Some(own) = there.as_ref().and_then(settings::salt_of)
                && own != salt
            {
                warnings.push(format!(
                    "the authenticator {} puts the salt of passwords as {} on the target and as {salt} in the backup: after the import, users that only the target has can't log in any more",
                    word(id),
                    word(own)
                ));
            }
        }
        if let Some(live) = &archive.live {
            warnings.push(format!(
                "switched on in the backup, so they run on the target as soon as they are imported, beside those of the source: {live}. Export without them by rootKeys (EMQX 5.9 and later)"
            ));
        }
        let rows = |table| archive.rows.get(table).copied().unwrap_or(0);
        let (keys, users) = (rows(counts::API_KEYS), rows(counts::DASHBOARD_USERS));
        if self.target.import_credentials && keys + users > 0 {
            warnings.push(format!(
                "importCredentials: {keys} API keys and {users} dashboard users of the source come to the target, and replace its own of the same name"
            ));
        }
        Ok(warnings)
    }
}

const NO_DRILL: &str = "EMQX has no databases or other names that a drill could have to itself: restore into an EMQX that is there for drills alone, with conflictPolicy Overwrite";
const NO_REMAP: &str =
    "EMQX has no databases or other names that could get a new name: remove remap";
const NO_REPLACE: &str = "EMQX's import only adds and overwrites, and nothing drops what is there at once: use conflictPolicy Overwrite, or Fail into an empty EMQX";

fn no_look_up() -> EngineError {
    EngineError::NotSupported {
        problem: "EMQX's REST API shows no records of an archive: use verify Counts".to_owned(),
    }
}

#[async_trait]
impl Engine for Emqx {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        Ok(self.info(&self.cluster().await?))
    }

    async fn plan_export(&self, _: &ExportRequest) -> Result<ExportPlan, EngineError> {
        self.make_archive().await
    }

    fn packs_itself(&self) -> bool {
        true
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        self.read_archive(part, sink).await
    }

    /// The archive was made at once, and is whole: nothing that came later is in it.
    async fn finish_export(&self, _: &ExportPlan) -> Result<(), EngineError> {
        Ok(())
    }

    async fn open_dump(&self, dump: Dump) -> Result<Box<dyn VendorDump>, EngineError> {
        Ok(Box::new(dump::open(dump).await?))
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        let archive = attributes::read(part)?;
        self.check_taken(&archive).await?;
        self.consequences(&archive).await
    }

    async fn target_state(&self, _: &Part) -> Result<TargetState, EngineError> {
        let counts = counts::ask(&self.api).await?;
        Ok(match counts::words(&counts) {
            Some(what) => TargetState::Holds(what),
            None => TargetState::Empty,
        })
    }

    async fn prepare_import(&self, _: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        self.cluster().await.map(|_| ())
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let archive = attributes::read(part)?;
        let size = match part.files.as_slice() {
            [file] => Some(file.plain_size),
            _ => None,
        };
        self.import_archive(&archive, records, size).await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None | Verify::Counts => true,
            Verify::Contains | Verify::Equal => false,
        }
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        let archive = attributes::read(part)?;
        let found = counts::ask(&self.api).await?;
        let (there, missing) = counts::there(&archive.counts, &found);
        if !missing.is_empty() {
            tracing::warn!(missing = missing.join(", "), "the target shows");
        }
        Ok(there)
    }

    async fn contains_part(
        &self,
        _: &Part,
        _: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        Err(no_look_up())
    }

    async fn fingerprint_part(&self, _: &Part) -> Result<Fingerprint, EngineError> {
        Err(no_look_up())
    }

    async fn finish_import(&self, _: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        Ok(())
    }

    async fn drop_drill(&self, _: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        Err(EngineError::NotSupported {
            problem: NO_DRILL.to_owned(),
        })
    }

    async fn clean_up(&self) -> Result<(), EngineError> {
        let left = self
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for Left { filename, node } in left {
            let done = match node {
                Some(node) => {
                    let file = Stored {
                        node,
                        filename: filename.clone(),
                        size: None,
                    };
                    self.api.delete(&file).await
                }
                None => self.take_back(&filename).await,
            };
            done.map_err(|error| EngineError::Server {
                server: self.api.server().to_owned(),
                problem: format!("{filename} is still there, delete it by hand: {error}"),
                retryable: false,
            })?;
        }
        Ok(())
    }
}
