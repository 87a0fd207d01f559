//! A stand-in for the controllers of Deployments and their pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

use super::world::{NAMESPACE, World};

impl World {
    /// A Deployment whose pods run.
    pub(crate) fn add_workload(&self, name: &str, replicas: i32) {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}},
            },
        }))
        .unwrap();
        self.server.put(&deployment);
        self.run_workloads();
    }

    /// Scales as a person or a tool does.
    pub(crate) fn scale(&self, name: &str, replicas: i32) {
        self.server.change::<Deployment>(NAMESPACE, name, |it| {
            it.spec.as_mut().unwrap().replicas = Some(replicas);
        });
    }

    /// What a Deployment shall have.
    pub(crate) fn replicas(&self, name: &str) -> i32 {
        let all: Vec<Deployment> = self.server.all(NAMESPACE);
        let found = all.into_iter().find(|it| it.name_any() == name).unwrap();
        found.spec.unwrap().replicas.unwrap()
    }

    /// Pods that a Deployment should not have end, those that it should have start.
    pub(crate) fn run_workloads(&self) {
        for deployment in self.server.all::<Deployment>(NAMESPACE) {
            let name = deployment.name_any();
            let wanted = deployment.spec.unwrap().replicas.unwrap();
            let pods: Vec<Pod> = self.server.all(NAMESPACE);
            for pod in pods {
                if pod.labels().get("app") == Some(&name) {
                    self.server.delete::<Pod>(NAMESPACE, &pod.name_any());
                }
            }
            for number in 0..wanted {
                let pod: Pod = serde_json::from_value(json!({
                    "metadata": {
                        "name": format!("{name}-{number}"),
                        "namespace": NAMESPACE,
                        "labels": {"app": name},
                    },
                    "spec": {"containers": []},
                }))
                .unwrap();
                self.server.put(&pod);
            }
            self.server.change::<Deployment>(NAMESPACE, &name, |it| {
                it.status = serde_json::from_value(json!({"replicas": wanted})).unwrap();
            });
        }
    }
}
