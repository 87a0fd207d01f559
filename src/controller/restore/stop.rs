//! Stops a run, and sees that it is over.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};

use crate::controller::children;
use crate::controller::error::Error;
use crate::controller::job_pod::CONTAINER;

/// How long a pod's end is waited for: the 30 s that Kubernetes gives it, and some more.
const END: Duration = Duration::from_secs(45);

/// Deletes a Job. True where all its pods were seen to end: by the word of their kubelets, or
/// because they never were on a node. A pod that is only gone from the API server may still run.
///
/// They are watched, since a deleted pod is there with its end for a moment only.
pub(super) async fn stop(
    jobs: &Api<Job>,
    pods: &Api<Pod>,
    name: &str,
    uid: &str,
) -> Result<bool, Error> {
    let label = format!("batch.kubernetes.io/job-name={name}");
    let listed = pods
        .list(&ListParams::default().labels(&label))
        .await
        .map_err(Error::api("list", format!("Pods of Job {name}")))?;
    let version = listed.metadata.resource_version.clone().unwrap_or_default();
    let mut open = Open::default();
    for pod in &listed.items {
        open.seen(pod);
    }
    children::delete(jobs, name, uid).await?;
    let params = WatchParams::default()
        .labels(&label)
        .timeout(u32::try_from(END.as_secs()).unwrap_or(u32::MAX));
    let watch = async {
        let mut events = Box::pin(pods.watch(&params, &version).await?);
        while !open.is_over() {
            match events.try_next().await? {
                Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => open.seen(&pod),
                Some(WatchEvent::Deleted(pod)) => open.deleted(&pod),
                Some(WatchEvent::Bookmark(_)) => {}
                Some(WatchEvent::Error(_)) | None => break,
            }
        }
        Ok::<(), kube::Error>(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(END, watch).await {
        tracing::warn!(job = name, %error, "the end of a pod can't be watched");
    }
    Ok(open.is_over())
}

/// The pods of a Job: whether each is known to be over.
#[derive(Default)]
struct Open(HashMap<String, bool>);

impl Open {
    fn seen(&mut self, pod: &Pod) {
        let over = self.0.entry(pod.uid().unwrap_or_default()).or_default();
        *over |= has_terminated(pod);
    }

    fn deleted(&mut self, pod: &Pod) {
        let over = self.0.entry(pod.uid().unwrap_or_default()).or_default();
        *over |= has_terminated(pod) || !is_bound(pod);
    }

    /// A Job without a pod proves nothing: one may have been deleted before.
    fn is_over(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|over| *over)
    }
}

/// Only the kubelet writes the states of containers.
fn has_terminated(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref())
        .is_some_and(|all| {
            all.iter().any(|container| {
                container.name == CONTAINER
                    && container
                        .state
                        .as_ref()
                        .is_some_and(|state| state.terminated.is_some())
            })
        })
}

fn is_bound(pod: &Pod) -> bool {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .is_some_and(|node| !node.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    fn pod(state: &str, node: Option<&str>) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": "iot", "uid": "pod-1"},
            "spec": {"nodeName": node, "containers": []},
            "status": {"containerStatuses": [{
                "name": "lifeboat", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {state: if state == "terminated" { json!({"exitCode": 1}) } else { json!({}) }},
            }]},
        })
    }

    /// A stand-in for the API server: one list, and one watch that ends.
    async fn stops(listed: Vec<Value>, events: Vec<(&'static str, Value)>) -> bool {
        let watched: String = events
            .into_iter()
            .map(|(kind, pod)| json!({"type": kind, "object": pod}).to_string() + "\n")
            .collect();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = if request.method() == http::Method::DELETE {
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}).to_string()
            } else if request
                .uri()
                .query()
                .unwrap_or_default()
                .contains("watch=true")
            {
                watched.clone()
            } else {
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": listed}).to_string()
            };
            async move {
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(answer.into_bytes())))
            }
        });
        let client = Client::new(service, "iot");
        let (jobs, pods) = (
            Api::namespaced(client.clone(), "iot"),
            Api::namespaced(client, "iot"),
        );
        stop(&jobs, &pods, "job", "uid").await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_kubelet_or_no_node_tells_the_end() {
        let (running, ended) = (
            || pod("running", Some("n")),
            || pod("terminated", Some("n")),
        );
        let unbound = || pod("waiting", None);
        for (name, listed, events, over) in [
            ("ended before", vec![ended()], vec![], true),
            (
                "seen to end",
                vec![running()],
                vec![("MODIFIED", ended())],
                true,
            ),
            (
                "seen to end as it goes",
                vec![running()],
                vec![("DELETED", ended())],
                true,
            ),
            ("gone", vec![running()], vec![("DELETED", running())], false),
            (
                "still there",
                vec![running()],
                vec![("MODIFIED", running())],
                false,
            ),
            (
                "never on a node",
                vec![unbound()],
                vec![("DELETED", unbound())],
                true,
            ),
            ("not on a node yet", vec![unbound()], vec![], false),
            (
                "a node took it",
                vec![unbound()],
                vec![("MODIFIED", running()), ("DELETED", running())],
                false,
            ),
            ("no pod", vec![], vec![], false),
            (
                "a late one",
                vec![],
                vec![("ADDED", running()), ("MODIFIED", ended())],
                true,
            ),
        ] {
            assert_eq!(stops(listed, events).await, over, "{name}");
        }
    }
}
