//! Reads the settings of the job pod, which the spec holds as they came.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, ResourceRequirements, Toleration,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::JobPodError;
use crate::api::common::JobTemplate;
use crate::api::job_pod::{self, Scratch};
use crate::api::order::{OWN_ENV, SECRET_ENV};

/// How long a finished Job is kept where the spec does not say.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// The settings, read.
pub(super) struct Settings {
    pub(super) image: Option<String>,
    pub(super) resources: ResourceRequirements,
    pub(super) node_selector: Option<BTreeMap<String, String>>,
    pub(super) tolerations: Option<Vec<Toleration>>,
    pub(super) affinity: Option<Affinity>,
    pub(super) topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    pub(super) service_account_name: Option<String>,
    pub(super) priority_class_name: Option<String>,
    pub(super) image_pull_secrets: Option<Vec<LocalObjectReference>>,
    pub(super) env: Vec<EnvVar>,
    pub(super) volumes: Vec<Volume>,
    pub(super) volume_mounts: Vec<VolumeMount>,
    pub(super) scratch: Option<Scratch>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) ttl_seconds: i32,
}

impl Settings {
    pub(super) fn read(template: &JobTemplate) -> Result<Self, JobPodError> {
        let JobTemplate {
            resources,
            node_selector,
            tolerations,
            affinity,
            topology_spread_constraints,
            service_account_name,
            priority_class_name,
            image,
            image_pull_secrets,
            env,
            volumes,
            volume_mounts,
            scratch,
            labels,
            annotations,
            ttl,
        } = template;
        let ttl = match ttl {
            Some(ttl) => ttl.get().map_err(|error| JobPodError::Template {
                field: "ttl",
                problem: error.to_string(),
            })?,
            None => DEFAULT_TTL,
        };
        Ok(Self {
            image: image.clone(),
            resources: match resources {
                Some(value) => read("resources", value)?,
                None => default_resources(),
            },
            node_selector: node_selector.clone(),
            tolerations: read_list("tolerations", tolerations.as_deref())?,
            affinity: affinity
                .as_ref()
                .map(|value| read("affinity", value))
                .transpose()?,
            topology_spread_constraints: read_list(
                "topologySpreadConstraints",
                topology_spread_constraints.as_deref(),
            )?,
            service_account_name: service_account_name.clone(),
            priority_class_name: priority_class_name.clone(),
            image_pull_secrets: image_pull_secrets.as_ref().map(|secrets| {
                secrets
                    .iter()
                    .map(|secret| LocalObjectReference {
                        name: secret.name.clone(),
                    })
                    .collect()
            }),
            env: environment(env)?,
            volumes: volumes.iter().map(Volume::from).collect(),
            volume_mounts: volume_mounts.iter().map(VolumeMount::from).collect(),
            scratch: scratch.clone(),
            labels: labels.clone().unwrap_or_default(),
            annotations: annotations.clone().unwrap_or_default(),
            ttl_seconds: i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX),
        })
    }
}

/// The variables of the spec, and one that names those of them whose values are secrets.
fn environment(env: &[job_pod::EnvVar]) -> Result<Vec<EnvVar>, JobPodError> {
    if let Some(var) = env.iter().find(|var| var.name.starts_with(OWN_ENV)) {
        return Err(JobPodError::Template {
            field: "env",
            problem: format!("{} is a variable of Lifeboat's own", var.name),
        });
    }
    let secret = |var: &&job_pod::EnvVar| {
        let source = var.value_from.as_ref();
        source.is_some_and(|source| source.secret_key_ref.is_some())
    };
    let secrets: Vec<&str> = env.iter().filter(secret).map(|var| &*var.name).collect();
    let mut vars: Vec<EnvVar> = env.iter().map(EnvVar::from).collect();
    if !secrets.is_empty() {
        vars.push(EnvVar {
            name: SECRET_ENV.to_owned(),
            value: Some(secrets.join(",")),
            ..EnvVar::default()
        });
    }
    Ok(vars)
}

/// What a run needs at the default parallelism, with room.
fn default_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned())))
            .collect()
    };
    ResourceRequirements {
        requests: Some(quantities(&[("cpu", "50m"), ("memory", "64Mi")])),
        limits: Some(quantities(&[("memory", "256Mi")])),
        ..ResourceRequirements::default()
    }
}

fn read<T: DeserializeOwned>(field: &'static str, value: &Value) -> Result<T, JobPodError> {
    T::deserialize(value).map_err(|error| JobPodError::Template {
        field,
        problem: error.to_string().chars().take(200).collect(),
    })
}

fn read_list<T: DeserializeOwned>(
    field: &'static str,
    values: Option<&[Value]>,
) -> Result<Option<Vec<T>>, JobPodError> {
    values
        .map(|values| values.iter().map(|value| read(field, value)).collect())
        .transpose()
}
