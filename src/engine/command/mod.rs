//! Any other system, by commands of one's own in an image of one's own.
//!
//! An export is a stream (a part of the kind `stream`: the command's standard output, byte for byte)
//! or a directory (a part for each file, see [`directory`]). What is in it is the command's business;
//! what Lifeboat adds is that nothing is committed unless the command ended well and left something,
//! and that a target is counted as the source was ([`counts`]).
//!
//! - Records are what `count` counts; without it, a stream or a file is one record.
//! - An import command is never run twice in one run: it may not be one that can be.
//! - Lifeboat knows no names within such a system: drills and new names can't be done.

mod counts;
mod export;
mod import;
mod run;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{
    Access, ContainsReport, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan,
    ImportReport, PartPlan, PartSummary, ServerInfo, TargetState, directory,
};
use crate::api::engines::{
    CommandInput, CommandOutput, CommandSource, CommandTarget, CountCommand,
};
use crate::api::restore::{ConflictPolicy, Verify};
use crate::manifest::{Fingerprint, Part};
use crate::process::Environment;
use crate::transfer::{RecordSink, RecordSource};
use counts::Counted;
use run::Runner;

/// A part that is the whole output of a command.
const STREAM: &str = "stream";

/// A system that commands speak to, as source or as target.
pub(super) struct Command {
    name: String,
    count: Option<CountCommand>,
    side: Side,
    runner: Runner,
    /// Of a target: what the backup that is imported was counted to have.
    counted: Mutex<Option<Counted>>,
}

enum Side {
    Source {
        argv: Vec<String>,
        from: CommandOutput,
    },
    Target {
        argv: Vec<String>,
        to: CommandInput,
    },
}

impl Command {
    /// As a source. The commands see the variables of this process.
    pub(super) fn source(spec: &CommandSource, access: &Access) -> Result<Self, EngineError> {
        let side = Side::Source {
            argv: spec.export.command.clone(),
            from: spec.export.from,
        };
        Self::new(&spec.name, spec.count.as_ref(), side, access)
    }

    /// As a target. What can't be done is refused before any command is run.
    pub(super) fn target(
        spec: &CommandTarget,
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
            return Err(not_supported(problem));
        }
        let side = Side::Target {
            argv: spec.import.command.clone(),
            to: spec.import.to,
        };
        Self::new(&spec.name, spec.count.as_ref(), side, access)
    }

    fn new(
        name: &str,
        count: Option<&CountCommand>,
        side: Side,
        access: &Access,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            name: name.to_owned(),
            count: count.cloned(),
            side,
            runner: Runner::new(access, Environment::of_container(std::env::vars_os()))?,
            counted: Mutex::default(),
        })
    }

    /// What the system holds now; none where the spec has no command for it.
    async fn ask(&self) -> Result<Option<counts::Counts>, EngineError> {
        match &self.count {
            Some(count) => self.runner.count(&count.command).await.map(Some),
            None => Ok(None),
        }
    }

    /// What the system held while something was done: asked before, and now.
    async fn counted_since(
        &self,
        before: Option<counts::Counts>,
    ) -> Result<Option<Counted>, EngineError> {
        let after = self.ask().await?;
        Ok(before
            .zip(after)
            .map(|(before, after)| Counted::between(&before, &after)))
    }
}

const NO_DRILL: &str = "Lifeboat does not see which names a command writes, so a drill could neither keep to its own nor drop them: restore into a system that is there for drills alone, with conflictPolicy Overwrite";
const NO_REMAP: &str = "Lifeboat knows no names within what a command imports: put them into its arguments and remove remap";
const NO_REPLACE: &str = "Lifeboat drops nothing for a command: let the import command drop what is there, and use conflictPolicy Overwrite with confirm";

fn not_supported(problem: impl Into<String>) -> EngineError {
    EngineError::NotSupported {
        problem: problem.into(),
    }
}

fn no_look_up() -> EngineError {
    not_supported("what a command imported can be counted and no more: use verify Counts")
}

fn bad_backup(problem: String) -> EngineError {
    EngineError::BadBackup { problem }
}

#[async_trait]
impl Engine for Command {
    /// Nothing is asked: only the commands know the system. Its name stands for it.
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        Ok(ServerInfo {
            version: String::new(),
            server_id: self.name.clone(),
        })
    }

    async fn plan_export(&self, _: &ExportRequest) -> Result<ExportPlan, EngineError> {
        self.plan().await
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        self.read(part, sink).await
    }

    async fn finish_export(&self, _: &ExportPlan) -> Result<(), EngineError> {
        Ok(())
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        self.check_form(part)?;
        if let Some(counted) = Counted::of(&part.attributes).map_err(bad_backup)? {
            let mut known = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(counted);
        }
        Ok(Vec::new())
    }

    async fn target_state(&self, _: &Part) -> Result<TargetState, EngineError> {
        Ok(match self.ask().await? {
            Some(found) => counts::words(&found).map_or(TargetState::Empty, TargetState::Holds),
            None => TargetState::Holds("what, only target.command.count could say".to_owned()),
        })
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        self.prepare(plan, structure).await
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        self.take(part, records).await?;
        Ok(ImportReport {
            written: part.records,
            ..ImportReport::default()
        })
    }

    async fn parts_imported(&self, _: &ImportPlan) -> Result<(), EngineError> {
        self.import_directory().await
    }

    fn supports(&self, verify: Verify) -> bool {
        match verify {
            Verify::None => true,
            Verify::Counts => self.count.is_some(),
            Verify::Contains | Verify::Equal => false,
        }
    }

    /// Counts all that the target holds, once: the counts of a backup stand at one of its parts.
    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        let counted = Counted::of(&part.attributes).map_err(bad_backup)?;
        if let (Some(counted), Some(found)) = (counted, self.ask().await?)
            && let Some(problem) = counted.difference(&found)
        {
            return Err(EngineError::Differs { problem });
        }
        Ok(part.records)
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
        Err(not_supported(NO_DRILL))
    }
}
