//! What a job pod does, out of engine, transfer and manifest.
//!
//! A pod gets one order (a JSON document without secrets), runs it within its bounds, and reports
//! one outcome. It has no Kubernetes token: the bucket is what it shares with the controller.

mod again;
mod by_server;
mod claim;
mod clock;
mod error;
mod export;
mod import;
mod order;
mod parallel;
mod pipe;
pub mod pod;
mod progress;
mod prune;
mod replicate;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod verify;
mod whole;

use std::sync::Arc;
use std::time::Duration;

pub use clock::RunClock;
pub use error::JobError;
pub use import::migrate;
pub use progress::{Progress, Snapshot};
pub use replicate::replicate;
pub use run::Run;
pub use whole::check as check_whole;

use crate::api::conditions::Reason;
use crate::api::order::Order;
use crate::api::outcome::RunResult;
use crate::engine::Engine;
use crate::storage::Location;

/// How long an engine may take to clean up once the run is over. It has to fit into the time that
/// Kubernetes leaves a pod between SIGTERM and SIGKILL, beside the dropping of a drill.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// Carries an order out. `engine` is the source of an export or the target of an import.
pub async fn execute(
    run: &Arc<Run>,
    order: &Order,
    location: &Location,
    engine: Option<Arc<dyn Engine>>,
) -> Result<RunResult, JobError> {
    let used = engine.clone();
    let result = carry_out(run, order, location, engine).await;
    if let Some(engine) = used {
        clean_up(run, &*engine).await;
    }
    result
}

/// Has the engine take back what it left on the server for its own use. What can't be taken back is
/// said; it spoils nothing.
async fn clean_up(run: &Run, engine: &dyn Engine) {
    let problem = match tokio::time::timeout(CLEAN_UP, engine.clean_up()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {} s", CLEAN_UP.as_secs()),
    };
    run.warn(format!("not all was cleaned up: {problem}"));
}

async fn carry_out(
    run: &Arc<Run>,
    order: &Order,
    location: &Location,
    engine: Option<Arc<dyn Engine>>,
) -> Result<RunResult, JobError> {
    let engine = || {
        engine.ok_or_else(|| {
            JobError::refused(
                Reason::NotSupported,
                "the order names no engine that is built",
            )
        })
    };
    match order {
        Order::Export(order) => export::export(run, order, location, engine()?)
            .await
            .map(RunResult::Exported),
        Order::Import(order) => import::import(run, order, location, engine()?)
            .await
            .map(RunResult::Imported),
        Order::Verify(order) => verify::verify(run, order, location)
            .await
            .map(|totals| RunResult::Done { totals }),
        Order::Prune(order) => prune::prune(run, order, location)
            .await
            .map(|totals| RunResult::Done { totals }),
        Order::Replicate(_) => Err(JobError::refused(
            Reason::InternalError,
            "copies need two locations; see replicate",
        )),
    }
}
