//! What a spec may say of a job pod's environment, volumes and scratch space.
//!
//! The names are Kubernetes' own, and only a part of what it has: who may make a Backup need not be
//! allowed to make pods, so nothing here opens the node or brings a token of the API server.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::LocalRef;
use super::engines::NotBuilt;
use super::text;

/// An environment variable of the pod's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)").message("give the variable either value or valueFrom"))]
pub struct EnvVar {
    /// Name of the variable. Those that begin with `LIFEBOAT_` are Lifeboat's own.
    #[schemars(schema_with = "text::env_name")]
    pub name: String,
    /// Its value, in clear; `$(NAME)` is an earlier variable, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::env_value")]
    pub value: Option<String>,
    /// Where its value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Where the value of a variable is: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)").message("valueFrom takes exactly one of secretKeyRef or configMapKeyRef"))]
pub struct EnvSource {
    /// A key of a Secret of the same namespace. Its value is taken out of messages and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeySelector>,
    /// A key of a ConfigMap of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeySelector>,
}

/// One key of a Secret or ConfigMap of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySelector {
    /// Name of the object, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Key within it.
    #[schemars(schema_with = "text::config_key")]
    pub key: String,
}

/// A volume of the pod: exactly one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.hostPath)").message("a hostPath opens the node to whoever may make this object: have a PersistentVolume made for the directory and name its claim in persistentVolumeClaim"))]
#[x_kube(validation = Rule::new("(has(self.persistentVolumeClaim) ? 1 : 0) + (has(self.configMap) ? 1 : 0) + (has(self.secret) ? 1 : 0) + (has(self.emptyDir) ? 1 : 0) + (has(self.hostPath) ? 1 : 0) == 1").message("a volume takes exactly one of persistentVolumeClaim, configMap, secret or emptyDir"))]
pub struct Volume {
    /// Name of the volume, for volumeMounts.
    #[schemars(schema_with = "text::volume_name")]
    pub name: String,
    /// A claim of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimVolume>,
    /// All keys of a ConfigMap of the same namespace, a file each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<LocalRef>,
    /// All keys of a Secret of the same namespace, a file each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVolume>,
    /// An empty directory that ends with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDirVolume>,
    /// Refused: it opens the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<NotBuilt>,
}

/// A claim as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimVolume {
    /// Name of the PersistentVolumeClaim, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub claim_name: String,
    /// True: nothing on it is changed, not even the group of its files, which Kubernetes else sets
    /// to the pod's. Always true for the volume of a running server. Default false.
    #[serde(default)]
    pub read_only: bool,
}

/// A Secret as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVolume {
    /// Name of the Secret, in the same namespace.
    #[schemars(schema_with = "text::object_name")]
    pub secret_name: String,
}

/// An empty directory as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDirVolume {
    /// The most bytes that it may take, as a quantity (`10Gi`). Default: what the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::storage_size")]
    pub size_limit: Option<String>,
}

/// Where a volume is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// Name of a volume of `volumes`.
    #[schemars(schema_with = "text::volume_name")]
    pub name: String,
    /// Absolute path in the container.
    #[schemars(schema_with = "text::mount_path")]
    pub mount_path: String,
    /// True: nothing can be written there. Default false.
    #[serde(default)]
    pub read_only: bool,
}

/// A directory for what a run can't stream. It ends with the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.storageClassName) || has(self.sizeLimit)").message("a volume of a storage class has a size: set scratch.sizeLimit too"))]
pub struct Scratch {
    /// The most bytes that it may take, as a quantity (`10Gi`). Default: what the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::storage_size")]
    pub size_limit: Option<String>,
    /// A volume of this class is made for the pod, and deleted with it. Default: the node's own disk
    /// (an emptyDir).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::object_name")]
    pub storage_class_name: Option<String>,
}

/// Put before the names of a spec's volumes, so that none is one of Lifeboat's own.
pub const VOLUME_PREFIX: &str = "job-";

impl From<&EnvVar> for core::EnvVar {
    fn from(var: &EnvVar) -> Self {
        let source = var.value_from.as_ref();
        let secret = source.and_then(|source| source.secret_key_ref.as_ref());
        let config_map = source.and_then(|source| source.config_map_key_ref.as_ref());
        Self {
            name: var.name.clone(),
            value: var.value.clone(),
            value_from: source.map(|_| core::EnvVarSource {
                secret_key_ref: secret.map(|selector| core::SecretKeySelector {
                    name: selector.name.clone(),
                    key: selector.key.clone(),
                    ..core::SecretKeySelector::default()
                }),
                config_map_key_ref: config_map.map(|selector| core::ConfigMapKeySelector {
                    name: selector.name.clone(),
                    key: selector.key.clone(),
                    ..core::ConfigMapKeySelector::default()
                }),
                ..core::EnvVarSource::default()
            }),
        }
    }
}

impl From<&Volume> for core::Volume {
    fn from(volume: &Volume) -> Self {
        Self {
            name: format!("{VOLUME_PREFIX}{}", volume.name),
            persistent_volume_claim: volume.persistent_volume_claim.as_ref().map(|claim| {
                core::PersistentVolumeClaimVolumeSource {
                    claim_name: claim.claim_name.clone(),
                    read_only: Some(claim.read_only),
                }
            }),
            config_map: volume
                .config_map
                .as_ref()
                .map(|object| core::ConfigMapVolumeSource {
                    name: object.name.clone(),
                    ..core::ConfigMapVolumeSource::default()
                }),
            secret: volume
                .secret
                .as_ref()
                .map(|object| core::SecretVolumeSource {
                    secret_name: Some(object.secret_name.clone()),
                    ..core::SecretVolumeSource::default()
                }),
            empty_dir: volume
                .empty_dir
                .as_ref()
                .map(|directory| core::EmptyDirVolumeSource {
                    size_limit: directory.size_limit.clone().map(Quantity),
                    ..core::EmptyDirVolumeSource::default()
                }),
            ..Self::default()
        }
    }
}

impl From<&VolumeMount> for core::VolumeMount {
    fn from(mount: &VolumeMount) -> Self {
        Self {
            name: format!("{VOLUME_PREFIX}{}", mount.name),
            mount_path: mount.mount_path.clone(),
            read_only: Some(mount.read_only),
            ..Self::default()
        }
    }
}
