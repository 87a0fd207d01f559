//! Backups in a volume that is mounted into the controller.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::json;

use super::context::Context;
use super::store::RealStores;
use super::testing::pods;
use super::testing::world::{NAMESPACE, World};
use super::{backup, storage_location};
use crate::api::StorageLocation;
use crate::api::backup::Phase;
use crate::api::conditions::types;
use crate::storage;

const LOCATION: &str = "dr-bucket";

/// A world whose location is the claim `backups`, and a controller that looks for it below `root`.
fn world(root: &Path, access_mode: &str) -> (World, Context) {
    let world = World::new("2026-11-20T10:00:30Z");
    world
        .server
        .change::<StorageLocation>(NAMESPACE, LOCATION, |location| {
            location.spec = serde_json::from_value(json!({
                "local": {"claimName": "backups", "prefix": "team"},
                "accessMode": access_mode,
            }))
            .unwrap();
        });
    let context = Context {
        stores: Arc::new(RealStores::below(root)),
        ..world.context()
    };
    (world, context)
}

async fn check(world: &World, context: &Context) -> Vec<Condition> {
    storage_location::reconcile(NAMESPACE, LOCATION, context)
        .await
        .unwrap();
    let mut all: Vec<StorageLocation> = world.server.all(NAMESPACE);
    all.pop().unwrap().status.unwrap().conditions
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

#[tokio::test]
async fn a_backup_in_a_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (world, context) = world(dir.path(), "ReadWrite");
    let conditions = check(&world, &context).await;
    let ready = find(&conditions, types::READY).unwrap();
    assert_eq!(
        (&*ready.status, &*ready.reason),
        ("False", "VolumeNotMounted")
    );
    assert!(ready.message.contains("localStores"), "{}", ready.message);
    // Only a person can help.
    assert_eq!(find(&conditions, types::STALLED).unwrap().status, "True");

    let volume = dir.path().join(NAMESPACE).join("backups");
    std::fs::create_dir_all(&volume).unwrap();
    let conditions = check(&world, &context).await;
    let ready = find(&conditions, types::READY).unwrap();
    assert_eq!(ready.status, "True", "{}", ready.message);
    assert_eq!(find(&conditions, types::STALLED), None);
    let claim = volume.join("team/lifeboat/v1/prod/claims/1.json");
    assert!(claim.is_file());

    world.add_backup("one", |_| {});
    for _ in 0..3 {
        backup::reconcile(NAMESPACE, "one", &context).await.unwrap();
    }
    let job = world.server.all::<Job>(NAMESPACE).pop().unwrap();
    let mut spec: StorageLocation = world.server.all(NAMESPACE).pop().unwrap();
    spec.spec.local.as_mut().unwrap().claim_name = "in the pod".to_owned();
    let mounted = storage::open(&spec.spec, None, None, &volume).unwrap();
    pods::run(&world.server, &mounted, &job, world.now()).await;
    for _ in 0..3 {
        backup::reconcile(NAMESPACE, "one", &context).await.unwrap();
    }
    let status = world.backup("one").status.unwrap();
    assert_eq!(status.phase, Phase::Complete, "{status:#?}");
    let manifest = volume.join("team").join(status.manifest.unwrap().path);
    assert!(manifest.is_file());
    assert_eq!(
        job.name_any(),
        world.server.all::<Job>(NAMESPACE)[0].name_any()
    );
}

#[tokio::test]
async fn nothing_is_written_to_a_read_only_volume() {
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().join(NAMESPACE).join("backups");
    std::fs::create_dir_all(&volume).unwrap();
    let (world, context) = world(dir.path(), "ReadOnly");
    let conditions = check(&world, &context).await;
    assert_eq!(find(&conditions, types::READY).unwrap().status, "True");
    assert_eq!(std::fs::read_dir(&volume).unwrap().count(), 0);
}

/// What one namespace was given is not another's.
#[tokio::test]
async fn the_volume_of_another_namespace_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("other/backups")).unwrap();
    let (world, context) = world(dir.path(), "ReadWrite");
    let conditions = check(&world, &context).await;
    let ready = find(&conditions, types::READY).unwrap();
    assert_eq!(ready.reason, "VolumeNotMounted");
}
