//! Runs the commands of a spec, each in a directory of the run's scratch space.

use std::path::{Path, PathBuf};

use super::counts::{self, Counts};
use super::directory::Scratch;
use crate::engine::{Access, EngineError};
use crate::process::{Command, Environment, Input, Output, Process};
use crate::secrets::Secrets;

/// The longest last line of a count command, in bytes.
const LONGEST_COUNT: usize = 256 * 1024;
/// Where commands are started that have no directory of their own, and where they may write.
const HOME: &str = "home";

/// What it takes to run a command.
pub(super) struct Runner {
    pub(super) scratch: Scratch,
    home: PathBuf,
    environment: Environment,
    secrets: Secrets,
}

impl Runner {
    /// Commands may write below the pod's scratch directory and nowhere else.
    pub(super) fn new(access: &Access, environment: Environment) -> Result<Self, EngineError> {
        let scratch = access
            .scratch
            .as_ref()
            .ok_or_else(|| EngineError::Scratch {
                problem: "the pod has none".to_owned(),
            })?;
        let home = scratch.join(HOME);
        Ok(Self {
            scratch: Scratch::new(scratch),
            environment: environment.with("HOME", &home).with("TMPDIR", &home),
            home,
            secrets: access.secrets.clone(),
        })
    }

    /// Runs a command to its end in a directory.
    pub(super) async fn run(
        &self,
        what: &str,
        argv: &[String],
        directory: &Path,
    ) -> Result<(), EngineError> {
        self.make_home().await?;
        Ok(self.command(what, argv, directory).run().await?)
    }

    /// Starts a command whose input or output is streamed.
    pub(super) async fn start(
        &self,
        what: &str,
        argv: &[String],
        input: Input,
        output: Output,
    ) -> Result<Process, EngineError> {
        self.make_home().await?;
        Ok(self.command(what, argv, &self.home).start(input, output)?)
    }

    /// Runs a count command, and reads the last line of its output.
    pub(super) async fn count(&self, argv: &[String]) -> Result<Counts, EngineError> {
        const WHAT: &str = "the count command";
        let mut process = self
            .start(WHAT, argv, Input::Nothing, Output::Stream)
            .await?;
        let mut last = LastLine::default();
        while let Some(piece) = process.read().await? {
            last.push(&piece);
        }
        process.finish().await?;
        let line = last
            .get()
            .ok_or_else(|| "it is longer than 256 KiB".to_owned());
        line.and_then(|line| counts::parse(&line))
            .map_err(|problem| EngineError::NotSupported {
                problem: format!(
                    "the last line of {WHAT}'s output can't be used: {problem}; print a line such as {{\"orders\": 17}}"
                ),
            })
    }

    fn command(&self, what: &str, argv: &[String], directory: &Path) -> Command {
        Command {
            what: what.to_owned(),
            argv: argv.to_vec(),
            environment: self.environment.clone(),
            directory: directory.to_owned(),
            secrets: self.secrets.clone(),
        }
    }

    async fn make_home(&self) -> Result<(), EngineError> {
        let made = tokio::fs::create_dir_all(&self.home).await;
        made.map_err(|error| EngineError::Scratch {
            problem: format!("{}: {error}", self.home.display()),
        })
    }
}

/// Keeps the last line of a text that has something in it.
#[derive(Default)]
struct LastLine {
    ended: Vec<u8>,
    begun: Vec<u8>,
}

impl LastLine {
    fn push(&mut self, piece: &[u8]) {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            // One byte beyond the bound tells a line that is too long.
            let room = (LONGEST_COUNT + 1).saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&line[..line.len().min(room)]);
            if line.ends_with(b"\n") {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        if !begun.trim_ascii().is_empty() {
            self.ended = begun;
        }
    }

    /// The line; none where it is too long.
    fn get(mut self) -> Option<String> {
        self.end();
        let line = self.ended.trim_ascii();
        (line.len() <= LONGEST_COUNT).then(|| String::from_utf8_lossy(line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_something_in_it() {
        let long = "x".repeat(LONGEST_COUNT + 1);
        let cases: [(&[&str], Option<&str>); 6] = [
            (&[], Some("")),
            (&["{\"a\": 1}"], Some("{\"a\": 1}")),
            (&["notice\n{\"a\"", ": 1}\n", "\n \r\n"], Some("{\"a\": 1}")),
            (&["one\ntwo\nthree"], Some("three")),
            (&[&long], None),
            (&[&long, "\nshort\n"], Some("short")),
        ];
        for (pieces, expected) in cases {
            let mut last = LastLine::default();
            for piece in pieces {
                last.push(piece.as_bytes());
            }
            assert_eq!(last.get().as_deref(), expected);
        }
    }
}
