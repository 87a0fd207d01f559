//! Exports: the command's output as it comes, or the files that it leaves.

use super::directory::{self, export_file};
use super::{Command, CommandOutput, Counted, STREAM, Side, not_supported};
use crate::engine::{EngineError, ExportPlan, PartPlan, PartSummary, ServerInfo};
use crate::manifest::Chain;
use crate::process::{Input, Output, ProcessError};
use crate::transfer::RecordSink;

const WHAT: &str = "the export command";
/// The directory of an export, below the scratch directory.
const DIRECTORY: &str = "export";

impl Command {
    /// A stream is one part, which is read when its turn comes. A directory is made now, so that it
    /// is known what is in it.
    pub(super) async fn plan(&self) -> Result<ExportPlan, EngineError> {
        let (argv, from) = self.export_command()?;
        let mut plan = ExportPlan {
            server: ServerInfo {
                version: String::new(),
                server_id: self.name.clone(),
            },
            method: match from {
                CommandOutput::Stdout => "stdout",
                CommandOutput::Directory => "directory",
            }
            .to_owned(),
            scope: std::collections::BTreeMap::new(),
            chain: Chain::Full,
            structure: Vec::new(),
            parts: Vec::new(),
            warnings: Vec::new(),
        };
        if from == CommandOutput::Stdout {
            plan.parts.push(PartPlan {
                kind: STREAM.to_owned(),
                name: [(STREAM.to_owned(), "stdout".to_owned())].into(),
                extension: STREAM.to_owned(),
                ..PartPlan::default()
            });
            return Ok(plan);
        }
        let directory = self.runner.scratch.fresh(DIRECTORY).await?;
        let before = self.ask().await?;
        self.runner.run(WHAT, argv, &directory).await?;
        let tree = directory::walk(&directory).await?;
        if tree.parts.is_empty() {
            return Err(nothing_written());
        }
        plan.structure = tree.structure;
        plan.parts = tree.parts;
        // All counts stand at the first file, as if all records were in it: nobody can tell which
        // is where.
        if let Some(counted) = self.counted_since(before).await?
            && let Some(first) = plan.parts.first_mut()
        {
            first.attributes = counted.attributes();
            plan.warnings.extend(change_warning(&counted));
        }
        Ok(plan)
    }

    /// Hands a part to `sink`: the stream while the command runs, or one of the files it left.
    pub(super) async fn read(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let (argv, from) = self.export_command()?;
        let counted = match from {
            CommandOutput::Stdout => return self.read_stream(argv, sink).await,
            CommandOutput::Directory => Counted::of(&part.attributes).unwrap_or_default(),
        };
        let directory = self.runner.scratch.path(DIRECTORY);
        export_file(&directory, part, sink).await?;
        Ok(PartSummary {
            // Where the source is counted, all records stand at the first file.
            records: match counted {
                Some(counted) => counted.records(),
                None => u64::from(self.count.is_none()),
            },
            ..PartSummary::default()
        })
    }

    async fn read_stream(
        &self,
        argv: &[String],
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let before = self.ask().await?;
        let start = self
            .runner
            .start(WHAT, argv, Input::Nothing, Output::Stream);
        let mut process = start.await?;
        let mut written = false;
        while let Some(piece) = process.read().await? {
            written = true;
            sink.write(piece).await?;
        }
        process.finish().await?;
        if !written {
            return Err(nothing_written());
        }
        let Some(counted) = self.counted_since(before).await? else {
            return Ok(PartSummary {
                records: 1,
                ..PartSummary::default()
            });
        };
        Ok(PartSummary {
            records: counted.records(),
            attributes: counted.attributes(),
            warnings: change_warning(&counted).into_iter().collect(),
            ..PartSummary::default()
        })
    }

    fn export_command(&self) -> Result<(&[String], CommandOutput), EngineError> {
        match &self.side {
            Side::Source { argv, from } => Ok((argv, *from)),
            Side::Target { .. } => Err(not_supported("a target is not exported")),
        }
    }
}

fn nothing_written() -> EngineError {
    ProcessError::NothingWritten {
        what: WHAT.to_owned(),
    }
    .into()
}

fn change_warning(counted: &Counted) -> Option<String> {
    let changed = counted.changed()?;
    Some(format!(
        "the source changed while it was exported, so a target may hold any count between: {changed}"
    ))
}
