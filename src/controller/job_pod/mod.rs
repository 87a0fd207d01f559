//! Describes the Job of an order.
//!
//! The order is an annotation of the pod that a downward API volume shows as a file: nothing in it
//! is expanded by Kubernetes or seen by a shell, and it holds no secret. Secrets are mounted as
//! files. The pod gets no token of the API server and fits Pod Security `restricted`.

mod injection;
mod template;
mod volumes;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, ObjectFieldSelector, PodSecurityContext,
    PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use sha2::{Digest, Sha256};

use crate::api::common::JobTemplate;
use crate::api::labels;
use crate::api::order::{Order, RUN_ID_ENV, paths};
use crate::schedule::bounded_name;

pub use injection::INJECTION;
pub use template::DEFAULT_TTL;
pub use volumes::{database_secret, target_secret};

/// The user and group of the image.
const USER: i64 = 65532;
/// From how many bytes on memory that is freed goes back to the system at once.
const MALLOC_THRESHOLD: usize = 1 << 20;
/// How the C library is told.
const MALLOC_THRESHOLD_ENV: &str = "MALLOC_MMAP_THRESHOLD_";
/// Kubernetes takes 256 KiB of annotations; this leaves room for those of people.
const ORDER_LIMIT: usize = 192 * 1024;
/// The label by which Kubernetes tells a pod's Job.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// Name of the container that runs the order.
pub const CONTAINER: &str = "lifeboat";
/// What a Job is given beyond its order's timeout, so that the pod ends by its own word.
pub const DEADLINE_MARGIN: Duration = Duration::from_secs(60);

/// Why a Job can't be described.
#[derive(Debug, thiserror::Error)]
pub enum JobPodError {
    /// A field of the job template can't be read.
    #[error("spec.job.{field} can't be read: {problem}")]
    Template {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The order does not fit into a pod's annotation.
    #[error(
        "the order has {0} bytes, more than the {ORDER_LIMIT} that a pod can be given: name fewer databases or measurements"
    )]
    TooLarge(usize),
    /// The order can't be written down.
    #[error("the order can't be written: {0}")]
    Order(#[from] serde_json::Error),
}

/// What a Job is made of.
#[derive(Clone, Debug)]
pub struct JobRequest<'a> {
    /// Name of the Job: see [`job_name`].
    pub name: String,
    /// Namespace of the Job.
    pub namespace: &'a str,
    /// The object that the Job belongs to.
    pub owner: OwnerReference,
    /// The label that names the owner: [`labels::BACKUP`], for example.
    pub owner_label: &'static str,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// What the pod is told.
    pub order: &'a Order,
    /// The settings of the spec.
    pub template: Option<&'a JobTemplate>,
    /// The image, where the settings name none.
    pub image: &'a str,
    /// The longest the run may take, by the order.
    pub timeout: Duration,
}

/// Name of the Job of an attempt: the owner's name, a hash of its uid and the attempt. The same
/// attempt always has the same name, so it can't be started twice; an object that took the name
/// of a deleted one never meets the other's Jobs.
pub fn job_name(owner: &str, owner_uid: &str, attempt: u32) -> String {
    let hash = hex::encode(&Sha256::digest(owner_uid.as_bytes())[..3]);
    bounded_name(owner, &format!("{hash}-{attempt}"))
}

/// The value of a label that names an object: its name, or where that is too long for a label its
/// start and a hash.
pub fn label_value(name: &str) -> String {
    if name.len() <= crate::schedule::MAX_NAME {
        return name.to_owned();
    }
    bounded_name(name, &hex::encode(&Sha256::digest(name.as_bytes())[..4]))
}

/// The task that an order gives: the subcommand, and the value of [`labels::TASK`].
pub fn task(order: &Order) -> &'static str {
    match order {
        Order::Export(_) => "export",
        Order::Import(_) => "import",
        Order::Verify(_) => "verify",
        Order::Prune(_) => "prune",
        Order::Replicate(_) => "replicate",
    }
}

/// Describes the Job.
pub fn build(request: &JobRequest<'_>) -> Result<Job, JobPodError> {
    let order = serde_json::to_string(request.order)?;
    if order.len() > ORDER_LIMIT {
        return Err(JobPodError::TooLarge(order.len()));
    }
    let empty = JobTemplate::default();
    let template = template::Settings::read(request.template.unwrap_or(&empty))?;
    let own_labels = BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), "lifeboat".to_owned()),
        (labels::TASK.to_owned(), task(request.order).to_owned()),
        (
            request.owner_label.to_owned(),
            label_value(&request.owner.name),
        ),
        (labels::ATTEMPT.to_owned(), request.attempt.to_string()),
    ]);
    let mut pod_labels = template.labels.clone();
    pod_labels.extend(own_labels.clone());
    let mut pod_annotations = template.annotations.clone();
    pod_annotations.insert(labels::ORDER.to_owned(), order);

    let deadline = request.timeout.saturating_add(DEADLINE_MARGIN).as_secs();
    Ok(Job {
        metadata: ObjectMeta {
            name: Some(request.name.clone()),
            namespace: Some(request.namespace.to_owned()),
            labels: Some(own_labels),
            owner_references: Some(vec![request.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            parallelism: Some(1),
            completions: Some(1),
            backoff_limit: Some(0),
            pod_replacement_policy: Some("Failed".to_owned()),
            active_deadline_seconds: Some(i64::try_from(deadline).unwrap_or(i64::MAX)),
            ttl_seconds_after_finished: Some(template.ttl_seconds),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(pod_labels),
                    annotations: Some(pod_annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod_spec(request, template)),
            },
            ..JobSpec::default()
        }),
        status: None,
    })
}

fn pod_spec(request: &JobRequest<'_>, settings: template::Settings) -> PodSpec {
    let vendor_image = volumes::vendor_image(request.order);
    let (mut volumes, mut volume_mounts) = volumes::of(request.order);
    if vendor_image.is_some() || settings.scratch.is_some() {
        let scratch = settings.scratch.unwrap_or_default();
        let (volume, mount) = volumes::scratch(&scratch);
        volumes.push(volume);
        volume_mounts.push(mount);
    }
    volumes.extend(settings.volumes);
    volume_mounts.extend(settings.volume_mounts);
    let mut run = Container {
        name: CONTAINER.to_owned(),
        image: Some(settings.image.unwrap_or_else(|| request.image.to_owned())),
        args: Some(
            [task(request.order), "--order", paths::ORDER]
                .map(str::to_owned)
                .to_vec(),
        ),
        env: Some(environment(settings.env)),
        resources: Some(settings.resources),
        termination_message_path: Some(paths::TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        security_context: Some(container_security()),
        volume_mounts: Some(volume_mounts),
        ..Container::default()
    };
    let init_containers = vendor_image.map(|image| {
        volumes.push(injection::volume());
        vec![injection::inject(&mut run, image)]
    });
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        init_containers,
        containers: vec![run],
        volumes: Some(volumes),
        node_selector: settings.node_selector,
        tolerations: settings.tolerations,
        affinity: settings.affinity,
        topology_spread_constraints: settings.topology_spread_constraints,
        service_account_name: settings.service_account_name,
        priority_class_name: settings.priority_class_name,
        image_pull_secrets: settings.image_pull_secrets,
        ..PodSpec::default()
    }
}

/// The run's id, how the C library hands memory back, and the variables of the spec.
fn environment(spec: Vec<EnvVar>) -> Vec<EnvVar> {
    let run_id = EnvVar {
        name: RUN_ID_ENV.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.uid".to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    // A large record goes back to the system when it is done with. Unless it is told, the C library
    // keeps what it was once asked for, and a few large records leave holes of their size.
    let malloc = EnvVar {
        name: MALLOC_THRESHOLD_ENV.to_owned(),
        value: Some(MALLOC_THRESHOLD.to_string()),
        ..EnvVar::default()
    };
    let mut env = vec![run_id, malloc];
    env.extend(spec);
    env
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // A local store may hold very many files, whose owner need not be set at each start.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

#[cfg(test)]
mod tests;
