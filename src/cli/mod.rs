//! The command line: what pods run, and what people run with no cluster at all.

mod args;
mod error;
mod fetch;
mod inject;
mod list;
mod migrate;
mod run;
mod store;
mod text;
mod verify;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

pub use args::{Cli, Command, ControllerArgs};
pub use error::CliError;

use crate::controller::run::{self as controller, Options};
use crate::job::pod::{self, PodFiles};
use crate::telemetry::{self, LogFormat};

/// How the process ends. Scripts may rely on these numbers; 2 is what clap ends with on arguments
/// that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// It failed; the last line on standard error says why.
    Failure = 1,
    /// A backup is not whole.
    Damaged = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init(log_format(&cli.command));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CliError::Runtime(error)),
    };
    let result = runtime.block_on(run(&cli.command));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error),
    }
}

fn fail(error: &CliError) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    Exit::Failure.into()
}

/// Pods log as JSON; people read.
fn log_format(command: &Command) -> LogFormat {
    match command {
        Command::Controller(_)
        | Command::Export(_)
        | Command::Import(_)
        | Command::Prune(_)
        | Command::Inject(_)
        | Command::Replicate(_) => LogFormat::Json,
        Command::Verify(args) if args.order.is_some() => LogFormat::Json,
        Command::Verify(_)
        | Command::List(_)
        | Command::Fetch(_)
        | Command::Migrate(_)
        | Command::Crds => LogFormat::Human,
    }
}

async fn run(command: &Command) -> Result<Exit, CliError> {
    let mut out = std::io::stdout();
    match command {
        Command::Controller(args) => control(args).await,
        Command::Export(args) => Ok(run_order("export", &args.order, &args.root).await),
        Command::Import(args) => Ok(run_order("import", &args.order, &args.root).await),
        Command::Prune(args) => Ok(run_order("prune", &args.order, &args.root).await),
        Command::Replicate(args) => Ok(run_order("replicate", &args.order, &args.root).await),
        Command::Verify(args) => match &args.order {
            Some(order) => Ok(run_order("verify", order, &args.root).await),
            None => verify::verify(args, &mut out).await,
        },
        Command::List(args) => list::list(args, &mut out).await.map(|()| Exit::Success),
        Command::Fetch(args) => fetch::fetch(args, &mut out).await.map(|()| Exit::Success),
        Command::Inject(args) => inject::inject(&args.to).map(|()| Exit::Success),
        Command::Migrate(args) => {
            let moved = migrate::migrate(args, &mut out).await;
            moved.map(|()| Exit::Success)
        }
        Command::Crds => {
            let yaml = crate::api::crds_yaml()?;
            out.write_all(yaml.as_bytes())
                .map_err(|error| text::cannot_print(&error))?;
            Ok(Exit::Success)
        }
    }
}

async fn control(args: &ControllerArgs) -> Result<Exit, CliError> {
    controller::run(Options {
        cluster_name: args.cluster_name.clone(),
        image: args.image.clone(),
        own_namespace: args.own_namespace.clone(),
        namespace: args.namespace.clone(),
        listen: args.listen,
        instance: args.instance.clone(),
    })
    .await?;
    Ok(Exit::Success)
}

async fn run_order(task: &str, order: &Path, root: &Path) -> Exit {
    if pod::run(task, order, &PodFiles::below(root)).await {
        Exit::Success
    } else {
        Exit::Failure
    }
}
