// The tables are long by their nature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::large_stack_arrays,
    clippy::needless_pass_by_value
)]

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-20T10:05:00Z";

fn job(conditions: Value) -> Job {
    serde_json::from_value(json!({
        "metadata": {"name": "j", "uid": "job-1"},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn open_job() -> Job {
    job(json!([]))
}

fn failed_job(reason: &str) -> Job {
    job(json!([{"type": "Failed", "status": "True", "reason": reason}]))
}

fn pod(spec: Value, status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "j-x", "uid": "pod-1", "creationTimestamp": "2026-11-20T10:04:50Z",
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-1", "controller": true}],
        },
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}

fn container(state: Value) -> Value {
    json!({"phase": "Running", "containerStatuses": [
        {"name": "lifeboat", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state},
    ]})
}

fn bound() -> Value {
    json!({"containers": [], "nodeName": "n1"})
}

fn unbound() -> Value {
    json!({"containers": []})
}

fn failure(run: &str) -> String {
    json!({"runId": run, "result": "failed", "reason": "DatabaseUnreachable",
        "message": "influxdb can't be\nreached", "retryable": true})
    .to_string()
}

fn at(job: Option<&Job>, pods: &[Pod]) -> RunState {
    assess(job, pods, NOW.parse().unwrap())
}

#[test]
fn a_run_that_goes_on() {
    assert_eq!(at(None, &[]), RunState::NoJob);
    assert_eq!(at(Some(&open_job()), &[]), RunState::Starting);
    let creating = container(json!({"waiting": {"reason": "ContainerCreating"}}));
    assert_eq!(
        at(Some(&open_job()), &[pod(bound(), creating)]),
        RunState::Starting
    );
    let running = container(json!({"running": {"startedAt": NOW}}));
    assert_eq!(
        at(Some(&open_job()), &[pod(bound(), running)]),
        RunState::Running
    );
}

#[test]
fn a_pod_of_another_job_says_nothing() {
    let mut stranger = pod(
        bound(),
        container(json!({"terminated": {"exitCode": 0, "message": failure("pod-1")}})),
    );
    stranger.metadata.owner_references.as_mut().unwrap()[0].uid = "job-0".to_owned();
    assert_eq!(at(Some(&open_job()), &[stranger]), RunState::Starting);
}

#[test]
fn a_pod_that_cannot_start() {
    let slow = {
        let mut slow = pod(
            bound(),
            container(json!({"waiting": {"reason": "ContainerCreating"}})),
        );
        slow.metadata.creation_timestamp =
            Some(serde_json::from_value(json!("2026-11-20T10:04:00Z")).unwrap());
        slow
    };
    let cases = [
        (
            pod(
                bound(),
                container(
                    json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}),
                ),
            ),
            "spec.job.imagePullSecrets",
        ),
        (
            pod(
                bound(),
                container(
                    json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"a\" not found"}}),
                ),
            ),
            "secret \"a\" not found",
        ),
        (
            pod(
                unbound(),
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory"}]}),
            ),
            "Insufficient memory",
        ),
        (slow, "60 s"),
    ];
    let mut refused = open_job();
    refused.metadata.creation_timestamp =
        Some(serde_json::from_value(json!("2026-11-20T10:04:00Z")).unwrap());
    match at(Some(&refused), &[]) {
        RunState::NotStarting { message, .. } => assert!(message.contains("60 s"), "{message}"),
        other => panic!("{other:?}"),
    }
    for (pod, part) in cases {
        match at(Some(&open_job()), &[pod]) {
            RunState::NotStarting { reason, message } => {
                assert_eq!(reason, Reason::PodNotStarting);
                assert!(message.contains(part), "{message}");
            }
            other => panic!("{part}: {other:?}"),
        }
    }
}

/// A pod whose container waits for the one that copies Lifeboat's binary.
fn injecting(phase: &str, state: Value) -> Pod {
    let mut status = container(json!({"waiting": {"reason": "PodInitializing"}}));
    status["phase"] = json!(phase);
    status["initContainerStatuses"] = json!([
        {"name": "inject", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state},
    ]);
    pod(bound(), status)
}

#[test]
fn a_binary_that_could_not_be_copied_is_told() {
    let running = injecting("Pending", json!({"running": {}}));
    assert_eq!(at(Some(&open_job()), &[running]), RunState::Starting);

    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
    match at(Some(&open_job()), &[injecting("Pending", waiting)]) {
        RunState::NotStarting { message, .. } => {
            assert!(message.contains("no such image"), "{message}");
        }
        other => panic!("{other:?}"),
    }

    let failed = injecting("Failed", json!({"terminated": {"exitCode": 1}}));
    match at(Some(&open_job()), &[failed]) {
        RunState::EndedSilently(end) => {
            assert_eq!(end.reason, Reason::PodNotStarting);
            assert!(end.known_dead && end.never_ran);
            assert!(
                end.message.contains("could not be copied"),
                "{}",
                end.message
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pods_word_counts_when_it_is_the_pods() {
    let told = |message: String, exit: i32| {
        pod(
            bound(),
            container(json!({"terminated": {"exitCode": exit, "message": message}})),
        )
    };
    match at(
        Some(&failed_job("BackoffLimitExceeded")),
        &[told(failure("pod-1"), 1)],
    ) {
        RunState::EndedByWord(outcome) => match outcome.result {
            RunResult::Failed(failure) => {
                assert_eq!(failure.reason, Reason::DatabaseUnreachable);
                assert_eq!(failure.message, "influxdb can't be reached");
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let success = json!({"runId": "pod-1", "result": "done", "totals": {}}).to_string();
    assert!(matches!(
        at(Some(&open_job()), &[told(success.clone(), 0)]),
        RunState::EndedByWord(_)
    ));
    let hostile = [
        ("another run's", failure("pod-2"), 1),
        ("no JSON", "panicked at".to_owned(), 101),
        (
            "an unknown reason",
            failure("pod-1").replace("DatabaseUnreachable", "Fine"),
            1,
        ),
        ("success of a process that failed", success, 137),
        (
            "too long",
            format!("{}{}", failure("pod-1"), " ".repeat(OUTCOME_LIMIT)),
            1,
        ),
        ("empty", String::new(), 1),
    ];
    for (what, message, exit) in hostile {
        match at(Some(&open_job()), &[told(message, exit)]) {
            RunState::EndedSilently(end) => {
                assert!(end.known_dead, "{what}");
                assert_eq!(end.reason, Reason::PodLost, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_run_that_ended_without_a_word() {
    let terminated =
        |reason: &str| container(json!({"terminated": {"exitCode": 137, "reason": reason}}));
    let running = container(json!({"running": {"startedAt": NOW}}));
    let with = |mut status: Value, extra: Value| {
        for (key, value) in extra.as_object().unwrap() {
            status[key] = value.clone();
        }
        status
    };
    // what, job, pods, reason, known dead, never ran
    let cases = [
        (
            "oom",
            open_job(),
            vec![pod(bound(), terminated("OOMKilled"))],
            Reason::OutOfMemory,
            true,
            false,
        ),
        (
            "evicted",
            open_job(),
            vec![pod(
                bound(),
                with(
                    terminated("Error"),
                    json!({"phase": "Failed", "reason": "Evicted"}),
                ),
            )],
            Reason::PodLost,
            true,
            false,
        ),
        (
            "stopped at the deadline",
            failed_job("DeadlineExceeded"),
            vec![pod(bound(), terminated("Error"))],
            Reason::TimedOut,
            true,
            false,
        ),
        (
            "deadline, pod gone",
            failed_job("DeadlineExceeded"),
            vec![],
            Reason::TimedOut,
            false,
            false,
        ),
        (
            "pod deleted",
            failed_job("BackoffLimitExceeded"),
            vec![],
            Reason::PodLost,
            false,
            false,
        ),
        (
            "node gone, collected while it ran",
            open_job(),
            vec![pod(
                bound(),
                with(running.clone(), json!({"phase": "Failed"})),
            )],
            Reason::PodLost,
            false,
            false,
        ),
        (
            "deadline while it is seen to run",
            failed_job("DeadlineExceeded"),
            vec![pod(bound(), running)],
            Reason::TimedOut,
            false,
            false,
        ),
        (
            "deadline before a node was found",
            failed_job("DeadlineExceeded"),
            vec![pod(unbound(), json!({"phase": "Pending"}))],
            Reason::TimedOut,
            true,
            true,
        ),
        (
            "deadline before the container began",
            failed_job("DeadlineExceeded"),
            vec![pod(
                bound(),
                with(
                    container(json!({"waiting": {"reason": "ContainerCreating"}})),
                    json!({"phase": "Pending"}),
                ),
            )],
            Reason::TimedOut,
            false,
            true,
        ),
    ];
    for (what, job, pods, reason, known_dead, never_ran) in cases {
        match at(Some(&job), &pods) {
            RunState::EndedSilently(end) => {
                assert_eq!(end.reason, reason, "{what}");
                assert_eq!(end.known_dead, known_dead, "{what}");
                assert_eq!(end.never_ran, never_ran, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}
