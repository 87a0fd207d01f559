#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps)]

use std::collections::BTreeSet;

use super::*;
use crate::api::common::{CaBundle, Compression, Credentials, KeyRef, Limits, LocalRef, Tls};
use crate::api::engines::{InfluxDbSource, SourceSpec};
use crate::api::order::{Bounds, ExportOrder, SECRET_ENV};
use crate::api::storage_location::{S3Location, StorageLocationSpec};
use crate::manifest::Identity;

fn secret(name: &str) -> Option<Credentials> {
    Some(Credentials {
        secret_ref: LocalRef {
            name: name.to_owned(),
        },
    })
}

fn ca(name: &str) -> Option<CaBundle> {
    Some(CaBundle {
        config_map_ref: KeyRef {
            name: name.to_owned(),
            key: "bundle.pem".to_owned(),
        },
    })
}

fn order() -> Order {
    Order::Export(Box::new(ExportOrder {
        identity: Identity {
            cluster: "prod".to_owned(),
            backup: "$(LIFEBOAT_RUN_ID)\n--help".to_owned(),
            ..Identity::default()
        },
        source: SourceSpec {
            influxdb: Some(InfluxDbSource {
                url: "https://influxdb:8086".to_owned(),
                credentials: secret("influx-login"),
                tls: Some(Tls {
                    ca_bundle: ca("influx-ca"),
                }),
                ..InfluxDbSource::default()
            }),
            ..SourceSpec::default()
        },
        storage: StorageLocationSpec {
            s3: Some(S3Location {
                bucket: "dr-exports".to_owned(),
                ..S3Location::default()
            }),
            credentials: secret("bucket-keys"),
            ca_bundle: ca("bucket-ca"),
            ..StorageLocationSpec::default()
        },
        compression: Compression::default(),
        limits: Limits::default(),
        bounds: Bounds {
            timeout_seconds: 600,
            not_after: "2026-11-20T10:00:00Z".parse().unwrap(),
        },
    }))
}

fn job(template: Option<&JobTemplate>) -> Result<Job, JobPodError> {
    let order = order();
    build(&JobRequest {
        name: job_name("telemetry", "uid-1", 1),
        namespace: "iot",
        owner: OwnerReference {
            name: "telemetry".to_owned(),
            uid: "uid-1".to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        },
        owner_label: labels::BACKUP,
        attempt: 1,
        order: &order,
        template,
        image: "registry/lifeboat:1",
        timeout: Duration::from_secs(600),
    })
}

#[test]
fn the_pod_fits_pod_security_restricted_and_has_no_token() {
    let job = job(None).unwrap();
    let spec = job.spec.unwrap();
    assert_eq!(spec.backoff_limit, Some(0));
    assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
    assert_eq!(spec.active_deadline_seconds, Some(660));
    assert_eq!(spec.ttl_seconds_after_finished, Some(3600));
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    let security = pod.security_context.unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let container = &pod.containers[0];
    let security = container.security_context.clone().unwrap();
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.read_only_root_filesystem, Some(true));
    assert_eq!(
        security.capabilities.unwrap().drop,
        Some(vec!["ALL".to_owned()])
    );
    let args = ["export", "--order", paths::ORDER].map(str::to_owned);
    assert_eq!(container.args, Some(args.to_vec()));
    assert_eq!(container.command, None);
}

#[test]
fn what_a_spec_says_reaches_the_pod_only_as_a_file() {
    let job = job(None).unwrap();
    let template = job.spec.unwrap().template;
    let annotations = template.metadata.unwrap().annotations.unwrap();
    let read: Order = serde_json::from_str(&annotations[labels::ORDER]).unwrap();
    assert_eq!(read, order());
    let pod = template.spec.unwrap();
    let container = serde_json::to_string(&pod.containers[0]).unwrap();
    for hostile in ["--help", "$("] {
        assert!(!container.contains(hostile), "{container}");
    }
}

#[test]
fn secrets_and_certificates_lie_where_the_job_looks() {
    let job = job(None).unwrap();
    let pod = job.spec.unwrap().template.spec.unwrap();
    let mounts: BTreeSet<String> = pod.containers[0]
        .volume_mounts
        .clone()
        .unwrap()
        .into_iter()
        .inspect(|mount| assert_eq!(mount.read_only, Some(true)))
        .map(|mount| mount.mount_path)
        .collect();
    let parent = |path: &str| path.rsplit_once('/').unwrap().0.to_owned();
    let wanted = BTreeSet::from([
        parent(paths::ORDER),
        paths::STORAGE_CREDENTIALS.to_owned(),
        parent(paths::STORAGE_CA),
        paths::DATABASE_CREDENTIALS.to_owned(),
        parent(paths::DATABASE_CA),
    ]);
    assert_eq!(mounts, wanted);
    // A missing Secret is told by the pod; it must be able to start.
    for volume in pod.volumes.unwrap() {
        if let Some(secret) = volume.secret {
            assert_eq!(secret.optional, Some(true));
        }
        if let Some(config_map) = volume.config_map {
            assert_eq!(config_map.optional, Some(true));
            assert_eq!(config_map.items.unwrap()[0].path, "ca.crt");
        }
    }
}

#[test]
fn settings_of_the_spec_are_merged_and_cannot_take_our_labels() {
    let template = JobTemplate {
        resources: Some(serde_json::json!({"limits": {"memory": "1Gi"}})),
        tolerations: Some(vec![
            serde_json::json!({"key": "dedicated", "operator": "Exists"}),
        ]),
        labels: Some(BTreeMap::from([
            ("team".to_owned(), "iot".to_owned()),
            (labels::TASK.to_owned(), "import".to_owned()),
        ])),
        annotations: Some(BTreeMap::from([(
            labels::ORDER.to_owned(),
            "{}".to_owned(),
        )])),
        image: Some("registry/other:2".to_owned()),
        ttl: Some("10m".into()),
        ..JobTemplate::default()
    };
    let spec = job(Some(&template)).unwrap().spec.unwrap();
    assert_eq!(spec.ttl_seconds_after_finished, Some(600));
    let meta = spec.template.metadata.unwrap();
    let pod_labels = meta.labels.unwrap();
    assert_eq!(pod_labels["team"], "iot");
    assert_eq!(pod_labels[labels::TASK], "export");
    assert_ne!(meta.annotations.unwrap()[labels::ORDER], "{}");
    let pod = spec.template.spec.unwrap();
    assert_eq!(
        pod.tolerations.unwrap()[0].key.as_deref(),
        Some("dedicated")
    );
    assert_eq!(pod.containers[0].image.as_deref(), Some("registry/other:2"));
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let cases = [
        (
            JobTemplate {
                resources: Some(serde_json::json!({"limits": 3})),
                ..JobTemplate::default()
            },
            "spec.job.resources",
        ),
        (
            JobTemplate {
                affinity: Some(serde_json::json!({"nodeAffinity": 3})),
                ..JobTemplate::default()
            },
            "spec.job.affinity",
        ),
        (
            JobTemplate {
                ttl: Some("soon".into()),
                ..JobTemplate::default()
            },
            "spec.job.ttl",
        ),
    ];
    for (template, part) in cases {
        let error = job(Some(&template)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn names_are_bounded_and_do_not_collide() {
    let long = "a".repeat(250);
    let names: Vec<String> = [
        job_name("telemetry-20261120t101500z", "uid-1", 1),
        job_name("telemetry-20261120t101500z", "uid-1", 2),
        job_name("telemetry-20261120t101500z", "uid-2", 1),
        job_name(&long, "uid-1", 1),
        job_name(&format!("{long}b"), "uid-1", 1),
    ]
    .to_vec();
    for name in &names {
        assert!(name.len() <= 63, "{name}");
    }
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        names.len(),
        "{names:?}"
    );
    assert_eq!(label_value("telemetry"), "telemetry");
    assert!(label_value(&long).len() <= 63);
}

#[test]
fn an_order_that_no_pod_can_be_given_is_refused() {
    let Order::Export(mut export) = order() else {
        panic!("an export");
    };
    export.identity.backup = "x".repeat(ORDER_LIMIT);
    let order = Order::Export(export);
    let error = build(&JobRequest {
        order: &order,
        name: "j".to_owned(),
        namespace: "iot",
        owner: OwnerReference::default(),
        owner_label: labels::BACKUP,
        attempt: 1,
        template: None,
        image: "i",
        timeout: Duration::from_secs(1),
    })
    .unwrap_err();
    assert!(matches!(error, JobPodError::TooLarge(_)), "{error}");
}

fn pod_of(template: &JobTemplate) -> PodSpec {
    job(Some(template))
        .unwrap()
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
}

fn template(spec: serde_json::Value) -> JobTemplate {
    serde_json::from_value(spec).unwrap()
}

#[test]
fn variables_of_the_spec_come_behind_ours_and_secret_ones_are_named() {
    let pod = pod_of(&template(serde_json::json!({"env": [
        {"name": "PGHOST", "value": "postgres"},
        {"name": "PGUSER", "valueFrom": {"configMapKeyRef": {"name": "pg", "key": "user"}}},
        {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "password"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "token"}}},
    ]})));
    let env = pod.containers[0].env.clone().unwrap();
    let names: Vec<&str> = env.iter().map(|var| &*var.name).collect();
    assert_eq!(
        names,
        [
            RUN_ID_ENV,
            MALLOC_THRESHOLD_ENV,
            "PGHOST",
            "PGUSER",
            "PGPASSWORD",
            "TOKEN",
            SECRET_ENV
        ]
    );
    assert_eq!(env[2].value.as_deref(), Some("postgres"));
    let source = env[4].value_from.clone().unwrap().secret_key_ref.unwrap();
    assert_eq!((&*source.name, &*source.key), ("pg", "password"));
    assert_eq!(env[6].value.as_deref(), Some("PGPASSWORD,TOKEN"));

    let none = pod_of(&JobTemplate::default());
    assert_eq!(none.containers[0].env.as_ref().unwrap().len(), 2);
    let ours = template(serde_json::json!({"env": [{"name": RUN_ID_ENV, "value": "other"}]}));
    let error = job(Some(&ours)).unwrap_err().to_string();
    assert!(
        error.contains("LIFEBOAT_RUN_ID is a variable of Lifeboat's own"),
        "{error}"
    );
}

#[test]
fn volumes_of_the_spec_have_names_apart_from_ours() {
    let pod = pod_of(&template(serde_json::json!({
        "volumes": [
            {"name": "storage", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}},
            {"name": "order", "configMap": {"name": "pg"}},
            {"name": "store", "secret": {"secretName": "pg"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
        "volumeMounts": [
            {"name": "storage", "mountPath": "/data", "readOnly": true},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    })));
    let volumes = pod.volumes.unwrap();
    let names: BTreeSet<&str> = volumes.iter().map(|volume| &*volume.name).collect();
    assert_eq!(names.len(), volumes.len(), "{names:?}");
    let data = volumes
        .iter()
        .find(|volume| volume.name == "job-storage")
        .unwrap();
    let claim = data.persistent_volume_claim.clone().unwrap();
    assert_eq!((&*claim.claim_name, claim.read_only), ("data", Some(true)));
    assert!(
        volumes
            .iter()
            .any(|volume| volume.name == "job-store" && volume.secret.is_some())
    );
    assert!(
        volumes
            .iter()
            .any(|volume| volume.name == "job-tmp" && volume.empty_dir.is_some())
    );
    let mounts = pod.containers[0].volume_mounts.clone().unwrap();
    let mount = |path: &str| {
        mounts
            .iter()
            .find(|mount| mount.mount_path == path)
            .unwrap()
    };
    assert_eq!(
        (&*mount("/data").name, mount("/data").read_only),
        ("job-storage", Some(true))
    );
    assert_eq!(
        (&*mount("/tmp").name, mount("/tmp").read_only),
        ("job-tmp", Some(false))
    );
}

#[test]
fn scratch_is_a_directory_of_the_node_or_a_volume_of_its_own() {
    let none = pod_of(&JobTemplate::default());
    assert!(
        none.volumes
            .unwrap()
            .iter()
            .all(|volume| volume.name != "scratch")
    );
    let scratch = |spec: serde_json::Value| {
        let pod = pod_of(&template(serde_json::json!({"scratch": spec})));
        let mounts = pod.containers[0].volume_mounts.clone().unwrap();
        let mount = mounts
            .iter()
            .find(|mount| mount.mount_path == paths::SCRATCH)
            .unwrap();
        assert_ne!(mount.read_only, Some(true));
        let volumes = pod.volumes.unwrap().into_iter();
        volumes
            .into_iter()
            .find(|volume| volume.name == mount.name)
            .unwrap()
    };
    assert_eq!(
        scratch(serde_json::json!({})).empty_dir.unwrap().size_limit,
        None
    );
    let bounded = scratch(serde_json::json!({"sizeLimit": "10Gi"}));
    assert_eq!(bounded.empty_dir.unwrap().size_limit.unwrap().0, "10Gi");
    let own = scratch(serde_json::json!({"sizeLimit": "10Gi", "storageClassName": "fast"}));
    assert_eq!(own.empty_dir, None);
    let claim = own.ephemeral.unwrap().volume_claim_template.unwrap().spec;
    assert_eq!(claim.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(
        claim.resources.unwrap().requests.unwrap()["storage"].0,
        "10Gi"
    );
}

#[test]
fn secrets_to_pull_images_with_are_handed_on() {
    let pod = pod_of(&template(
        serde_json::json!({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}),
    ));
    let names: Vec<String> = pod
        .image_pull_secrets
        .unwrap()
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_vendors_image_gets_the_binary_and_stays_restricted() {
    let job = job(None).unwrap();
    let mut run = job
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
        .containers
        .remove(0);
    let before = run.clone();
    let copy = injection::inject(&mut run, "registry/vendor:1");
    assert_eq!(copy.image, before.image);
    assert_eq!(
        copy.args,
        Some(
            ["inject", "--to", paths::BINARY]
                .map(str::to_owned)
                .to_vec()
        )
    );
    assert_eq!(copy.security_context, before.security_context);
    assert_eq!(copy.env, None);
    assert_eq!(run.image.as_deref(), Some("registry/vendor:1"));
    assert_eq!(run.command, Some(vec![paths::BINARY.to_owned()]));
    assert_eq!(
        (&run.args, &run.env, &run.security_context),
        (&before.args, &before.env, &before.security_context)
    );
    // It sees no Secret, and the vendor's container can't change the binary.
    let [written] = copy.volume_mounts.as_deref().unwrap() else {
        panic!("one volume")
    };
    let read = run.volume_mounts.unwrap().pop().unwrap();
    assert_eq!(
        (&written.name, &written.mount_path),
        (&read.name, &read.mount_path)
    );
    assert_eq!(
        (written.read_only, read.read_only),
        (Some(false), Some(true))
    );
    assert!(paths::BINARY.starts_with(&format!("{}/", read.mount_path)));
    assert_eq!(injection::volume().name, read.name);
}
