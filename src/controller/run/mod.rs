//! Runs all controllers, and the HTTP server beside them, until a signal ends them.
//!
//! Only metadata is watched and kept: a reconcile reads what it needs. So no cache is ever stale
//! for a decision, memory does not grow with specs, and one object that can't be read does not
//! stop the watch of the others.

mod backoff;
mod drive;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::{Cluster, Context, SystemClock};
use super::events::Events;
use super::metrics::Metrics;
use super::server::{Health, serve};
use super::store::RealStores;
use super::{backup, backup_schedule, restore, restore_schedule, storage_location};
use crate::api::{Backup, BackupSchedule, Restore, RestoreSchedule, StorageLocation, labels};
use drive::{Drive, Scope};

/// How often it is asked whether the API server is there.
const CONTACT_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked for workloads that are held for a Restore that is gone.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// The namespace whose uid is the cluster's.
const CLUSTER_NAMESPACE: &str = "kube-system";

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of this cluster in the bucket.
    pub cluster_name: String,
    /// Image of job pods.
    pub image: String,
    /// The controller's own namespace.
    pub own_namespace: String,
    /// Only this namespace; none: all.
    pub namespace: Option<String>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
    /// Name of this process in events: the pod's.
    pub instance: Option<String>,
}

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to the API server.
    #[error(
        "the API server can't be reached: {0}; run in a pod with a service account, or set KUBECONFIG"
    )]
    Client(#[source] Box<kube::Error>),
    /// The address is taken.
    #[error("{address} can't be served: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// Signals can't be received.
    #[error("signals can't be received: {0}")]
    Signal(std::io::Error),
    /// A task of the controller ended.
    #[error("a part of the controller ended: {0}")]
    Task(String),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), RunError> {
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::new(KINDS));
    let client = Client::try_default()
        .await
        .map_err(|error| RunError::Client(Box::new(error)))?;

    let mut tasks: JoinSet<Result<(), RunError>> = JoinSet::new();
    tasks.spawn(end_on_signal(shutdown.clone()));
    let served = serve(
        options.listen,
        health.clone(),
        metrics.clone(),
        shutdown.clone(),
    );
    let address = options.listen;
    tasks.spawn(async move {
        served
            .await
            .map_err(|source| RunError::Listen { address, source })
    });
    tasks.spawn(keep_contact(
        client.clone(),
        health.clone(),
        shutdown.clone(),
    ));
    tasks.spawn(control(client, options, metrics, health, shutdown.clone()));

    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|error| Err(RunError::Task(error.to_string())));
        if result.is_ok() {
            result = ended;
        }
        // One part alone is no controller: the others end too, and Kubernetes starts it anew.
        shutdown.cancel();
    }
    result
}

/// The kinds that are watched.
const KINDS: usize = 5;

async fn control(
    client: Client,
    options: Options,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let Some(uid) = cluster_uid(&client, &shutdown).await else {
        return Ok(());
    };
    tracing::info!(cluster = options.cluster_name, uid, "the controllers start");
    let context = Arc::new(Context {
        client: client.clone(),
        cluster: Cluster {
            name: options.cluster_name,
            uid,
        },
        namespace: options.own_namespace,
        image: options.image,
        clock: Arc::new(SystemClock),
        stores: Arc::new(RealStores::default()),
        events: Events::new(client.clone(), options.instance),
        metrics,
    });
    let drive = Drive {
        scope: Scope {
            client,
            namespace: options.namespace,
        },
        context,
        health,
        shutdown,
    };
    tokio::join!(
        locations(&drive),
        backups(&drive),
        backup_schedules(&drive),
        restores(&drive),
        restore_schedules(&drive),
        sweep(&drive),
    );
    Ok(())
}

/// Nothing tells of a Restore that was deleted, so what it left is looked for.
async fn sweep(drive: &Drive) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drive.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = restore::sweep(&drive.context, drive.scope.namespace.as_deref()).await {
            tracing::warn!(%error, "held workloads can't be looked at");
        }
    }
}

fn locations(drive: &Drive) -> impl Future<Output = ()> + use<> {
    let (controller, store) = drive.of_changed_specs::<StorageLocation>();
    drive.run("StorageLocation", controller, store, |at| async move {
        Box::pin(storage_location::reconcile(
            &at.namespace,
            &at.name,
            &at.context,
        ))
        .await
    })
}

fn backups(drive: &Drive) -> impl Future<Output = ()> + use<> {
    let (controller, store) = drive.of::<Backup>();
    let controller = drive.follow_runs(controller, labels::BACKUP);
    drive.run("Backup", controller, store, |at| async move {
        Box::pin(backup::reconcile(&at.namespace, &at.name, &at.context)).await
    })
}

fn backup_schedules(drive: &Drive) -> impl Future<Output = ()> + use<> {
    let (controller, store) = drive.of::<BackupSchedule>();
    let controller = drive.follow_runs(controller, labels::BACKUP_SCHEDULE);
    let controller = drive.follow::<_, Backup>(controller, labels::BACKUP_SCHEDULE);
    drive.run("BackupSchedule", controller, store, |at| async move {
        Box::pin(backup_schedule::reconcile(
            &at.namespace,
            &at.name,
            &at.context,
        ))
        .await
    })
}

fn restores(drive: &Drive) -> impl Future<Output = ()> + use<> {
    let (controller, store) = drive.of::<Restore>();
    let controller = drive.follow_runs(controller, labels::RESTORE);
    drive.run("Restore", controller, store, |at| async move {
        Box::pin(restore::reconcile(&at.namespace, &at.name, &at.context)).await
    })
}

fn restore_schedules(drive: &Drive) -> impl Future<Output = ()> + use<> {
    let (controller, store) = drive.of::<RestoreSchedule>();
    let controller = drive.follow::<_, Restore>(controller, labels::RESTORE_SCHEDULE);
    drive.run("RestoreSchedule", controller, store, |at| async move {
        Box::pin(restore_schedule::reconcile(
            &at.namespace,
            &at.name,
            &at.context,
        ))
        .await
    })
}

/// Uid of the cluster, once the API server tells it.
async fn cluster_uid(client: &Client, shutdown: &CancellationToken) -> Option<String> {
    let api: Api<Namespace> = Api::all(client.clone());
    loop {
        match api.get(CLUSTER_NAMESPACE).await {
            Ok(namespace) => {
                if let Some(uid) = namespace.uid() {
                    return Some(uid);
                }
                tracing::warn!("{CLUSTER_NAMESPACE} has no uid");
            }
            Err(error) => tracing::warn!(%error, "the API server does not tell its uid yet"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

async fn keep_contact(
    client: Client,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let api: Api<Namespace> = Api::all(client);
    let mut ticks = tokio::time::interval(CONTACT_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match api.get_metadata(CLUSTER_NAMESPACE).await {
            Ok(_) => health.contact(Timestamp::now()),
            Err(error) => tracing::warn!(%error, "the API server gives no answer"),
        }
    }
}

async fn end_on_signal(shutdown: CancellationToken) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = shutdown.cancelled() => {}
    }
    shutdown.cancel();
    Ok(())
}
