//! The life of a job pod: read the order, run it within its bounds, say how it ended.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{JobError, Run, execute, import, order, progress, replicate, report};
use crate::api::conditions::Reason;
use crate::api::order::{Bounds, Order, RUN_ID_ENV, paths};
use crate::api::outcome::{Outcome, RunResult};
use crate::api::storage_location::StorageLocationSpec;
use crate::engine::{self, Access, Engine, ServerStore};
use crate::secrets::Secrets;
use crate::storage::{self, Location, StorageCredentials};

/// How long cleaning up may take once the run's time is over: uploads are aborted, what a drill made
/// is dropped. After it the process ends, whatever still hangs: no import outlives its time.
const CLEAN_UP: Duration = Duration::from_secs(30);
/// The most bytes of a CA bundle: what a ConfigMap holds.
const CA_LIMIT: u64 = 1024 * 1024;

/// Where the files of a pod lie.
#[derive(Clone, Debug)]
pub struct PodFiles {
    storage_credentials: PathBuf,
    storage_ca: PathBuf,
    database_credentials: PathBuf,
    database_ca: PathBuf,
    local_store: PathBuf,
    scratch: PathBuf,
    replica_credentials: PathBuf,
    replica_ca: PathBuf,
    local_replica: PathBuf,
    termination_log: PathBuf,
}

impl PodFiles {
    /// The places that orders speak of, below `root`: `/` in a pod.
    pub fn below(root: &Path) -> Self {
        let place = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            storage_credentials: place(paths::STORAGE_CREDENTIALS),
            storage_ca: place(paths::STORAGE_CA),
            database_credentials: place(paths::DATABASE_CREDENTIALS),
            database_ca: place(paths::DATABASE_CA),
            local_store: place(paths::LOCAL_STORE),
            scratch: place(paths::SCRATCH),
            replica_credentials: place(paths::REPLICA_CREDENTIALS),
            replica_ca: place(paths::REPLICA_CA),
            local_replica: place(paths::LOCAL_REPLICA),
            termination_log: place(paths::TERMINATION_LOG),
        }
    }

    fn storage(&self) -> StoreFiles<'_> {
        StoreFiles {
            credentials: &self.storage_credentials,
            ca: &self.storage_ca,
            volume: &self.local_store,
        }
    }

    fn replica(&self) -> StoreFiles<'_> {
        StoreFiles {
            credentials: &self.replica_credentials,
            ca: &self.replica_ca,
            volume: &self.local_replica,
        }
    }
}

/// Runs the order at `order_path`, which has to be of the task `task`, and reports its outcome.
/// True where it succeeded.
pub async fn run(task: &str, order_path: &Path, files: &PodFiles) -> bool {
    let secrets = Secrets::read(&[
        &files.storage_credentials,
        &files.database_credentials,
        &files.replica_credentials,
    ])
    .and_environment(|name| std::env::var(name).ok());
    let run_id = std::env::var(RUN_ID_ENV).unwrap_or_default();
    let outcome = match start(task, order_path, &run_id) {
        Ok((run, order)) => bounded(&run, &order, files, &secrets).await,
        Err(error) => Outcome {
            run_id,
            result: RunResult::Failed(error.failure()),
            phases: Vec::new(),
            warnings: Vec::new(),
        },
    };
    report::write(&outcome, &secrets, &files.termination_log);
    !matches!(outcome.result, RunResult::Failed(_))
}

fn start(task: &str, order_path: &Path, run_id: &str) -> Result<(Arc<Run>, Order), JobError> {
    let bad = |problem: String| JobError::BadOrder {
        path: order_path.display().to_string(),
        problem,
    };
    let order = order::read(order_path)?;
    let found = order::task_name(&order);
    if found != task {
        return Err(bad(format!("it is for {found}, not for {task}")));
    }
    if run_id.is_empty() {
        return Err(bad(format!(
            "{RUN_ID_ENV} is not set, so the run has no id"
        )));
    }
    let now = jiff::Timestamp::now();
    let run = Run::start(run_id.to_owned(), bounds(&order), now)?;
    Ok((Arc::new(run), order))
}

fn bounds(order: &Order) -> &Bounds {
    match order {
        Order::Export(order) => &order.bounds,
        Order::Import(order) => &order.bounds,
        Order::Verify(order) => &order.bounds,
        Order::Prune(order) => &order.bounds,
        Order::Replicate(order) => &order.bounds,
    }
}

/// Runs the order beside what watches over it.
async fn bounded(run: &Arc<Run>, order: &Order, files: &PodFiles, secrets: &Secrets) -> Outcome {
    watch_over(run.clock.allowed());
    let helpers = [
        tokio::spawn(stop_on_signal(run.clock.stop_token().clone())),
        tokio::spawn(progress::log_regularly(Arc::clone(&run.progress))),
        tokio::spawn(progress::serve(Arc::clone(&run.progress))),
    ];
    let result = carry_out(run, order, files, secrets).await;
    for helper in helpers {
        helper.abort();
    }
    run.outcome(result)
}

async fn carry_out(
    run: &Arc<Run>,
    order: &Order,
    files: &PodFiles,
    secrets: &Secrets,
) -> Result<RunResult, JobError> {
    if let Order::Replicate(order) = order {
        let from = open_location(&order.storage, &files.storage())?;
        let to = open_location(&order.replica, &files.replica())?;
        let done = replicate(run, order, &from, &to).await?;
        return Ok(RunResult::Replicated(done));
    }
    let (location, engine) = connect(order, files, secrets)?;
    execute(run, order, &location, engine).await
}

/// Ends the process if the run hangs beyond its time, even where no task gets its turn any more.
fn watch_over(allowed: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(allowed + CLEAN_UP);
        tracing::error!("the run did not end with its time; the process ends now");
        std::process::exit(1);
    });
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("signals can't be listened to; the run won't end early");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!("told to stop: the run is broken off");
    stop.cancel();
}

/// Opens what the order names, with the mounted Secrets.
fn connect(
    order: &Order,
    files: &PodFiles,
    secrets: &Secrets,
) -> Result<(Location, Option<Arc<dyn Engine>>), JobError> {
    let spec = storage_of(order);
    let location = open_location(spec, &files.storage())?;
    let store = ServerStore::read(spec, there(&files.storage_credentials))?;
    let access = Access {
        credentials: there(&files.database_credentials).map(Path::to_owned),
        ca_bundle: there(&files.database_ca).map(Path::to_owned),
        scratch: there(&files.scratch).map(Path::to_owned),
        secrets: secrets.clone(),
        store: Some(store),
    };
    let engine = match order {
        Order::Export(order) => Some(engine::connect_source(&order.source, &access)?.into()),
        Order::Import(order) => {
            let plan = import::first_plan(order);
            Some(engine::connect_target(&order.target, &access, &plan)?.into())
        }
        Order::Verify(_) | Order::Prune(_) | Order::Replicate(_) => None,
    };
    Ok((location, engine))
}

fn storage_of(order: &Order) -> &StorageLocationSpec {
    match order {
        Order::Export(order) => &order.storage,
        Order::Import(order) => &order.storage,
        Order::Verify(order) => &order.storage,
        Order::Prune(order) => &order.storage,
        Order::Replicate(order) => &order.storage,
    }
}

/// Where what a location needs is mounted.
struct StoreFiles<'a> {
    credentials: &'a Path,
    ca: &'a Path,
    volume: &'a Path,
}

fn open_location(spec: &StorageLocationSpec, files: &StoreFiles<'_>) -> Result<Location, JobError> {
    let credentials = there(files.credentials)
        .map(|dir| StorageCredentials::from_dir(spec, dir))
        .transpose()?;
    let ca = there(files.ca).map(read_ca).transpose()?;
    Ok(storage::open(
        spec,
        credentials.as_ref(),
        ca.as_deref(),
        files.volume,
    )?)
}

fn there(path: &Path) -> Option<&Path> {
    path.exists().then_some(path)
}

/// Reads a CA bundle of bounded size.
pub fn read_ca(path: &Path) -> Result<Vec<u8>, JobError> {
    let problem = |text: String| {
        JobError::refused(
            Reason::CaBundleInvalid,
            format!("the CA bundle at {} can't be read: {text}", path.display()),
        )
    };
    let file = std::fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    let mut pem = Vec::new();
    file.take(CA_LIMIT + 1)
        .read_to_end(&mut pem)
        .map_err(|error| problem(error.to_string()))?;
    if pem.len() as u64 > CA_LIMIT {
        return Err(problem(format!("it has more than {CA_LIMIT} bytes")));
    }
    Ok(pem)
}
