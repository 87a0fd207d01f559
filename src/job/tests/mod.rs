//! Whole runs, over a stand-in for the data system and a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod by_server;
mod export;
mod import;
mod once;
mod prune;
mod replicate;
mod stand_in;
mod vendor_dump;
mod verify;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use stand_in::StandInEngine;

use super::{JobError, Run, execute};
use crate::api::common::{Codec, Compression, Limits, ManifestRef};
use crate::api::engines::{InfluxDbSource, InfluxDbTarget, SourceSpec, TargetSpec};
use crate::api::order::{Bounds, ExportOrder, ImportOrder, Order};
use crate::api::outcome::{Exported, Imported, Outcome, RunResult};
use crate::api::restore::{ConflictPolicy, Deletions, Preflight, Verify};
use crate::api::storage_location::StorageLocationSpec;
use crate::engine::Engine;
use crate::manifest::{Commit, Identity, Manifest};
use crate::storage::Location;
use crate::transfer::catalog;

/// Where backups of these tests go, and the same store seen from below.
struct Bucket {
    store: Arc<InMemory>,
    location: Location,
}

impl Bucket {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let location = Location::on(Arc::clone(&store) as Arc<dyn ObjectStore>);
        Self { store, location }
    }

    /// All keys below the prefix of the tests.
    async fn keys(&self) -> Vec<String> {
        use futures::TryStreamExt;
        let entries: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut keys: Vec<String> = entries
            .iter()
            .map(|entry| {
                let key = entry.location.to_string();
                key.strip_prefix("prefix/").unwrap_or(&key).to_owned()
            })
            .collect();
        keys.sort();
        keys
    }

    async fn keys_with(&self, part: &str) -> Vec<String> {
        let mut keys = self.keys().await;
        keys.retain(|key| key.contains(part));
        keys
    }

    async fn manifest(&self, slot: &str) -> Manifest {
        let key = identity(slot).manifest_key();
        match catalog::read_commit(&self.location, &key, None)
            .await
            .unwrap()
        {
            (Commit::Backup(manifest), _) => *manifest,
            (Commit::Void(marker), _) => panic!("void: {}", marker.void),
        }
    }
}

/// Slots of these tests, in order.
const SLOTS: [&str; 3] = ["20261120t100000z", "20261120t101500z", "20261120t103000z"];
const TARGET_URL: &str = "http://standby:8086";

fn identity(slot: &str) -> Identity {
    Identity {
        cluster: "prod".to_owned(),
        cluster_uid: "0c2f".to_owned(),
        namespace: "iot".to_owned(),
        schedule: Some("telemetry".to_owned()),
        backup: format!("telemetry-{slot}"),
        backup_uid: "77aa".to_owned(),
        slot: slot.to_owned(),
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-20T10:00:01Z".parse().unwrap()
}

fn bounds() -> Bounds {
    Bounds {
        timeout_seconds: 600,
        not_after: "2026-11-20T11:00:00Z".parse().unwrap(),
    }
}

fn new_run(id: &str) -> Arc<Run> {
    Arc::new(Run::start(id.to_owned(), &bounds(), now()).unwrap())
}

fn export_order(slot: &str) -> ExportOrder {
    ExportOrder {
        identity: identity(slot),
        source: SourceSpec {
            influxdb: Some(InfluxDbSource::default()),
            ..SourceSpec::default()
        },
        storage: StorageLocationSpec::default(),
        compression: Compression {
            codec: Codec::Zstd,
            level: None,
        },
        // One after another: the parts index is in the order of their names.
        limits: Limits {
            parallelism: Some(1),
            ..Limits::default()
        },
        bounds: bounds(),
    }
}

fn import_order(manifests: Vec<ManifestRef>) -> ImportOrder {
    ImportOrder {
        restore: "iot/again".to_owned(),
        storage: StorageLocationSpec::default(),
        manifests,
        vendor_dump: None,
        target: TargetSpec {
            influxdb: Some(InfluxDbTarget {
                url: TARGET_URL.to_owned(),
                ..InfluxDbTarget::default()
            }),
            ..TargetSpec::default()
        },
        remap: vec![],
        conflict_policy: ConflictPolicy::Fail,
        deletions: Deletions::Keep,
        confirm: None,
        dry_run: false,
        preflight: Preflight::Digests,
        verify: Verify::Counts,
        drill_prefix: None,
        drill_again: false,
        limits: Limits::default(),
        bounds: bounds(),
    }
}

/// The order to import one slot's backup.
async fn import_order_of(bucket: &Bucket, slot: &str) -> ImportOrder {
    let key = identity(slot).manifest_key();
    let stored = catalog::read_backup(&bucket.location, &key, None)
        .await
        .unwrap();
    import_order(vec![stored.reference])
}

/// Runs an order to its outcome, as a pod does.
async fn outcome(
    run: &Arc<Run>,
    order: Order,
    bucket: &Bucket,
    engine: &Arc<StandInEngine>,
) -> Outcome {
    let engine = Arc::clone(engine) as Arc<dyn Engine>;
    let result = execute(run, &order, &bucket.location, Some(engine)).await;
    run.outcome(result)
}

async fn run_export(
    run: &Arc<Run>,
    slot: &str,
    bucket: &Bucket,
    engine: &Arc<StandInEngine>,
) -> Result<Exported, JobError> {
    let order = Order::Export(Box::new(export_order(slot)));
    let engine = Arc::clone(engine) as Arc<dyn Engine>;
    match execute(run, &order, &bucket.location, Some(engine)).await? {
        RunResult::Exported(exported) => Ok(exported),
        other => panic!("{other:?}"),
    }
}

async fn run_import(
    order: ImportOrder,
    bucket: &Bucket,
    engine: &Arc<StandInEngine>,
) -> Result<Imported, JobError> {
    let order = Order::Import(Box::new(order));
    let engine = Arc::clone(engine) as Arc<dyn Engine>;
    match execute(&new_run("ab12"), &order, &bucket.location, Some(engine)).await? {
        RunResult::Imported(imported) => Ok(imported),
        other => panic!("{other:?}"),
    }
}

/// A source with three tables, one of them empty.
fn source() -> Arc<StandInEngine> {
    Arc::new(
        StandInEngine::new("http://primary:8086")
            .with_table("cpu", 500)
            .with_table("disk", 20)
            .with_table("empty", 0),
    )
}

fn target() -> Arc<StandInEngine> {
    Arc::new(StandInEngine::new(TARGET_URL))
}
