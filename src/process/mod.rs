//! Runs commands: an argument list, never a shell.
//!
//! A command leads a process group of its own. Whoever drops a [`Process`] kills the whole group at
//! once, so a run that is stopped or out of time leaves nothing at work. What a command writes to its
//! standard error goes line by line to the log, without secrets, and its end into the failure.

mod environment;
mod said;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};

pub use environment::Environment;
use said::Said;

use crate::secrets::Secrets;

/// What is read of a command's output at once: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;
/// How long the last words of a command that has ended are waited for. They are there already, unless
/// something that left its process group keeps the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// What messages call it: `the export command`.
    pub what: String,
    /// The program and its arguments. Never empty.
    pub argv: Vec<String>,
    /// All variables that it sees.
    pub environment: Environment,
    /// Where it runs.
    pub directory: PathBuf,
    /// What neither the log nor a message may repeat.
    pub secrets: Secrets,
}

/// What a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing: its input is at its end.
    Nothing,
    /// What [`Process::write`] gives it.
    Stream,
}

/// Where a command's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the log, as its standard error.
    Log,
    /// To [`Process::read`].
    Stream,
}

/// Why a command did not do its work. Messages hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{what} can't be started: {problem}")]
    NotStarted {
        /// The command.
        what: String,
        /// What was seen.
        problem: String,
    },
    /// It ended with another status than 0.
    #[error("{what} failed ({status}): {said}")]
    Failed {
        /// The command.
        what: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// Its last lines.
        said: String,
    },
    /// It did not read all of its input.
    #[error(
        "{what} ended before it had read all that it was given, with exit status 0; it must read its input to the end"
    )]
    Unread {
        /// The command.
        what: String,
    },
    /// It ended well and left nothing.
    #[error("{what} ended with exit status 0 and left nothing: there is nothing to back up")]
    NothingWritten {
        /// The command.
        what: String,
    },
    /// A pipe to it broke.
    #[error("{what} can't be spoken to: {problem}")]
    Pipe {
        /// The command.
        what: String,
        /// What was seen.
        problem: String,
    },
}

impl ProcessError {
    /// True where another attempt may succeed without a change by a person.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::NothingWritten { .. } | Self::Pipe { .. } => true,
            Self::NotStarted { .. } | Self::Unread { .. } => false,
        }
    }
}

/// A command that runs. Dropped, it is killed with its whole process group.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    /// Its process group, until it was waited for.
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    said: Said,
}

impl Command {
    /// Starts the command.
    pub fn start(&self, input: Input, output: Output) -> Result<Process, ProcessError> {
        let not_started = |problem: String| ProcessError::NotStarted {
            what: self.what.clone(),
            problem,
        };
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| not_started("it has no words".to_owned()))?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.vars())
            .current_dir(&self.directory)
            .stdin(match input {
                Input::Nothing => Stdio::null(),
                Input::Stream => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| not_started(self.secrets.mask(&format!("{program}: {error}"))))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let mut said = Said::new(&self.what, &self.secrets);
        if let Some(stderr) = child.stderr.take() {
            said.listen(stderr);
        }
        let mut stdout = child.stdout.take();
        if output == Output::Log
            && let Some(stdout) = stdout.take()
        {
            said.listen(stdout);
        }
        Ok(Process {
            what: self.what.clone(),
            group: group.map(Pid::from_raw),
            stdin: child.stdin.take(),
            stdout,
            child,
            said,
        })
    }

    /// Runs the command to its end. It reads nothing, and its output goes to the log.
    pub async fn run(&self) -> Result<(), ProcessError> {
        self.start(Input::Nothing, Output::Log)?.finish().await
    }
}

impl Process {
    /// The next piece of its output; none at its end. Whether it did its work is known only from
    /// [`Self::finish`].
    pub async fn read(&mut self) -> Result<Option<Bytes>, ProcessError> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(None);
        };
        let mut piece = BytesMut::with_capacity(CHUNK);
        match stdout.read_buf(&mut piece).await {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(piece.freeze())),
            Err(error) => Err(self.pipe(&error)),
        }
    }

    /// Gives it input. One that ended meanwhile is an error that says how.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), ProcessError> {
        let Some(stdin) = &mut self.stdin else {
            return Err(self.unread());
        };
        match stdin.write_all(piece).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.end().await?;
                Err(self.unread())
            }
            Err(error) => Err(self.pipe(&error)),
        }
    }

    /// Closes its input, waits for its end, and says whether it did its work. What it left in its
    /// process group is killed.
    pub async fn finish(mut self) -> Result<(), ProcessError> {
        self.end().await
    }

    async fn end(&mut self) -> Result<(), ProcessError> {
        self.stdin = None;
        let ended = self.child.wait().await;
        self.kill();
        let said = self.said.last_words(LAST_WORDS).await;
        let status = ended.map_err(|error| self.pipe(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(ProcessError::Failed {
            what: self.what.clone(),
            status,
            said,
        })
    }

    /// Kills the whole group. Its number is taken for as long as anything of it runs; a moment after
    /// its leader was waited for, it is nobody else's yet.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It may be gone already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    fn unread(&self) -> ProcessError {
        ProcessError::Unread {
            what: self.what.clone(),
        }
    }

    fn pipe(&self, error: &std::io::Error) -> ProcessError {
        ProcessError::Pipe {
            what: self.what.clone(),
            problem: error.to_string(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
