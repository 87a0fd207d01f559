//! The volumes of a job pod: its order, and the Secrets and certificates that the order names.
//!
//! Secrets and ConfigMaps are optional volumes: where one is missing the pod starts all the same
//! and says by its own word which, instead of hanging until its deadline.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource,
    EphemeralVolumeSource, KeyToPath, ObjectFieldSelector, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume,
    VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::common::{CaBundle, Credentials, Tls};
use crate::api::engines::{SourceSpec, TargetSpec};
use crate::api::job_pod::Scratch;
use crate::api::labels;
use crate::api::order::{Order, paths};
use crate::api::storage_location::{AccessMode, StorageLocationSpec};

/// Readable by the pod's group only.
const SECRET_MODE: i32 = 0o440;

/// Names of a location's volumes, and where they are mounted.
struct Places {
    credentials: (&'static str, &'static str),
    ca: (&'static str, &'static str),
    volume: (&'static str, &'static str),
}

const STORAGE: Places = Places {
    credentials: ("storage", paths::STORAGE_CREDENTIALS),
    ca: ("storage-ca", paths::STORAGE_CA),
    volume: ("store", paths::LOCAL_STORE),
};
const REPLICA: Places = Places {
    credentials: ("replica", paths::REPLICA_CREDENTIALS),
    ca: ("replica-ca", paths::REPLICA_CA),
    volume: ("replica-store", paths::LOCAL_REPLICA),
};

/// The volumes of an order, and where they are mounted.
pub(super) fn of(order: &Order) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mut volumes = Volumes::default();
    volumes.order();
    let (storage, database) = match order {
        Order::Export(order) => (&order.storage, Database::of_source(&order.source)),
        Order::Import(order) => (&order.storage, Database::of_target(&order.target)),
        Order::Verify(order) => (&order.storage, Database::default()),
        Order::Prune(order) => (&order.storage, Database::default()),
        Order::Replicate(order) => (&order.storage, Database::default()),
    };
    volumes.storage(storage, &STORAGE);
    if let Order::Replicate(order) = order {
        volumes.storage(&order.replica, &REPLICA);
    }
    volumes.credentials(
        "database",
        database.credentials,
        paths::DATABASE_CREDENTIALS,
    );
    volumes.ca("database-ca", database.ca, paths::DATABASE_CA);
    (volumes.volumes, volumes.mounts)
}

/// The vendor's image that the order needs, where it needs one.
pub(super) fn vendor_image(order: &Order) -> Option<&str> {
    match order {
        Order::Export(order) => order.source.named()?.image(),
        Order::Import(order) => order.target.named()?.image(),
        Order::Verify(_) | Order::Prune(_) | Order::Replicate(_) => None,
    }
}

/// The volume for what a run can't stream, and where it is mounted.
pub(super) fn scratch(settings: &Scratch) -> (Volume, VolumeMount) {
    let size = settings.size_limit.clone().map(Quantity);
    let mut volume = Volume {
        name: "scratch".to_owned(),
        ..Volume::default()
    };
    match &settings.storage_class_name {
        Some(class) => volume.ephemeral = Some(ephemeral(class, size)),
        None => {
            volume.empty_dir = Some(EmptyDirVolumeSource {
                size_limit: size,
                ..EmptyDirVolumeSource::default()
            });
        }
    }
    let mount = VolumeMount {
        name: volume.name.clone(),
        mount_path: paths::SCRATCH.to_owned(),
        ..VolumeMount::default()
    };
    (volume, mount)
}

fn ephemeral(class: &str, size: Option<Quantity>) -> EphemeralVolumeSource {
    EphemeralVolumeSource {
        volume_claim_template: Some(PersistentVolumeClaimTemplate {
            spec: PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                storage_class_name: Some(class.to_owned()),
                resources: Some(VolumeResourceRequirements {
                    requests: size.map(|size| [("storage".to_owned(), size)].into()),
                    ..VolumeResourceRequirements::default()
                }),
                ..PersistentVolumeClaimSpec::default()
            },
            ..PersistentVolumeClaimTemplate::default()
        }),
    }
}

/// Name of the Secret with the database's login, where the order's source or target names one.
pub fn database_secret(source: &SourceSpec) -> Option<&str> {
    Database::of_source(source)
        .credentials
        .map(|credentials| credentials.secret_ref.name.as_str())
}

/// As [`database_secret`], for a target.
pub fn target_secret(target: &TargetSpec) -> Option<&str> {
    Database::of_target(target)
        .credentials
        .map(|credentials| credentials.secret_ref.name.as_str())
}

/// What a pod needs to log in to a database.
#[derive(Clone, Copy, Default)]
struct Database<'a> {
    credentials: Option<&'a Credentials>,
    ca: Option<&'a CaBundle>,
}

impl<'a> Database<'a> {
    fn of_source(source: &'a SourceSpec) -> Self {
        let named = source.named();
        named
            .map(|spec| Self::new(spec.credentials(), spec.tls()))
            .unwrap_or_default()
    }

    fn of_target(target: &'a TargetSpec) -> Self {
        let named = target.named();
        named
            .map(|spec| Self::new(spec.credentials(), spec.tls()))
            .unwrap_or_default()
    }

    fn new(credentials: Option<&'a Credentials>, tls: Option<&'a Tls>) -> Self {
        Self {
            credentials,
            ca: tls.and_then(|tls| tls.ca_bundle.as_ref()),
        }
    }
}

#[derive(Default)]
struct Volumes {
    volumes: Vec<Volume>,
    mounts: Vec<VolumeMount>,
}

impl Volumes {
    fn add(&mut self, volume: Volume, path: &str, read_only: bool) {
        self.mounts.push(VolumeMount {
            name: volume.name.clone(),
            mount_path: path.to_owned(),
            read_only: Some(read_only),
            ..VolumeMount::default()
        });
        self.volumes.push(volume);
    }

    fn order(&mut self) {
        let (directory, file) = split(paths::ORDER);
        let volume = Volume {
            name: "order".to_owned(),
            downward_api: Some(DownwardAPIVolumeSource {
                items: Some(vec![DownwardAPIVolumeFile {
                    path: file.to_owned(),
                    field_ref: Some(ObjectFieldSelector {
                        field_path: format!("metadata.annotations['{}']", labels::ORDER),
                        ..ObjectFieldSelector::default()
                    }),
                    ..DownwardAPIVolumeFile::default()
                }]),
                ..DownwardAPIVolumeSource::default()
            }),
            ..Volume::default()
        };
        self.add(volume, directory, true);
    }

    fn storage(&mut self, storage: &StorageLocationSpec, places: &Places) {
        let (name, path) = places.credentials;
        self.credentials(name, storage.credentials.as_ref(), path);
        let (name, path) = places.ca;
        self.ca(name, storage.ca_bundle.as_ref(), path);
        if let Some(local) = &storage.local {
            let read_only = storage.access_mode == AccessMode::ReadOnly;
            let (name, path) = places.volume;
            let volume = Volume {
                name: name.to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: local.claim_name.clone(),
                    read_only: Some(read_only),
                }),
                ..Volume::default()
            };
            self.add(volume, path, read_only);
        }
    }

    fn credentials(&mut self, name: &str, credentials: Option<&Credentials>, path: &str) {
        let Some(credentials) = credentials else {
            return;
        };
        let volume = Volume {
            name: name.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(credentials.secret_ref.name.clone()),
                default_mode: Some(SECRET_MODE),
                optional: Some(true),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        };
        self.add(volume, path, true);
    }

    fn ca(&mut self, name: &str, ca: Option<&CaBundle>, path: &str) {
        let Some(ca) = ca else {
            return;
        };
        let (directory, file) = split(path);
        let volume = Volume {
            name: name.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: ca.config_map_ref.name.clone(),
                items: Some(vec![KeyToPath {
                    key: ca.config_map_ref.key.clone(),
                    path: file.to_owned(),
                    ..KeyToPath::default()
                }]),
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        };
        self.add(volume, directory, true);
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
