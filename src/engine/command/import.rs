//! Imports: the backup as the command's input, or as files that it finds.

use std::sync::PoisonError;

use super::directory::{FILE, lay_out_empty};
use super::{Command, CommandInput, STREAM, Side, not_supported};
use crate::api::restore::Verify;
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;
use crate::process::{Input, Output};
use crate::transfer::RecordSource;

const WHAT: &str = "the import command";
/// The directory of an import, below the scratch directory.
const DIRECTORY: &str = "import";

impl Command {
    /// Refuses a backup of the other form.
    pub(super) fn check_form(&self, part: &Part) -> Result<(), EngineError> {
        let (_, to) = self.import_command()?;
        match (to, part.kind == STREAM) {
            (CommandInput::Directory, true) => Err(not_supported(
                "the backup is a stream: set target.command.import.to to stdin",
            )),
            (CommandInput::Stdin, false) => Err(not_supported(
                "the backup is a directory: set target.command.import.to to directory",
            )),
            _ => Ok(()),
        }
    }

    /// Makes the directory that files are laid out in. The target is not touched.
    pub(super) async fn prepare(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        if plan.verify == Verify::Counts && !self.is_counted() {
            return Err(not_supported(
                "the backup was made without source.command.count, so there is nothing to compare with: set verify to None",
            ));
        }
        if self.import_command()?.1 == CommandInput::Directory {
            let directory = self.runner.scratch.fresh(DIRECTORY).await?;
            lay_out_empty(&directory, structure).await?;
        }
        Ok(())
    }

    /// Whether a part of the backup that was looked at says what was counted.
    fn is_counted(&self) -> bool {
        let known = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some()
    }

    /// Takes the bytes of a part: a stream goes into the command, a file into the directory.
    pub(super) async fn take(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<(), EngineError> {
        let (argv, to) = self.import_command()?;
        self.check_form(part)?;
        match to {
            CommandInput::Stdin => self.feed(argv, records).await,
            CommandInput::Directory if part.kind == FILE => {
                let directory = self.runner.scratch.path(DIRECTORY);
                self.runner.scratch.lay_out(&directory, part, records).await
            }
            CommandInput::Directory => Err(super::bad_backup(format!(
                "it has a part of the unknown kind {}",
                part.kind
            ))),
        }
    }

    /// Feeds the command. Its input ends only when all of the backup was read and its digests were
    /// compared: one that is broken off is killed, so that it does not take the rest for the whole.
    async fn feed(
        &self,
        argv: &[String],
        records: &mut dyn RecordSource,
    ) -> Result<(), EngineError> {
        let start = self.runner.start(WHAT, argv, Input::Stream, Output::Log);
        let mut process = start.await?;
        while let Some(piece) = records.next().await.map_err(EngineError::BrokenOff)? {
            process.write(&piece).await?;
        }
        Ok(process.finish().await?)
    }

    /// All files are laid out: runs the command among them.
    pub(super) async fn import_directory(&self) -> Result<(), EngineError> {
        match self.import_command()? {
            (_, CommandInput::Stdin) => Ok(()),
            (argv, CommandInput::Directory) => {
                let directory = self.runner.scratch.path(DIRECTORY);
                self.runner.run(WHAT, argv, &directory).await
            }
        }
    }

    fn import_command(&self) -> Result<(&[String], CommandInput), EngineError> {
        match &self.side {
            Side::Target { argv, to } => Ok((argv, *to)),
            Side::Source { .. } => Err(not_supported("a source is not imported into")),
        }
    }
}
