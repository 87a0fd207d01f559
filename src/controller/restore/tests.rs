#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::decide::{decide, job_refused};
use super::lease;
use super::order;
use super::state::{Observed, Plan, Problem, Resolved, Storage, TargetLease};
use crate::api::backup::Phase;
use crate::api::common::{ManifestRef, PhaseTiming, RetryPolicy, Totals};
use crate::api::conditions::{Reason, types};
use crate::api::engines::{InfluxDbTarget, TargetSpec};
use crate::api::order::Order;
use crate::api::outcome::{Exported, Failure, Imported, Outcome, RunResult};
use crate::api::restore::{RestoreParameters, Verify};
use crate::api::storage_location::StorageLocationSpec;
use crate::api::{Restore, RestoreSpec, RestoreStatus};
use crate::controller::run_state::{RunState, SilentEnd};

const CREATED: &str = "2026-11-20T10:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Seconds after the Restore was created.
fn later(seconds: i64) -> Timestamp {
    at(CREATED) + jiff::SignedDuration::from_secs(seconds)
}

fn manifest() -> ManifestRef {
    ManifestRef {
        path: "lifeboat/v1/prod/iot/schedules/telemetry/manifests/20261120t095900z.json".to_owned(),
        sha256: "0".repeat(64),
    }
}

fn target(url: &str) -> TargetSpec {
    TargetSpec {
        influxdb: Some(InfluxDbTarget {
            url: url.to_owned(),
            ..InfluxDbTarget::default()
        }),
        ..TargetSpec::default()
    }
}

/// A Restore that may start: everything it needs is there.
fn seen() -> Observed {
    Observed {
        restore: Restore {
            metadata: ObjectMeta {
                name: Some("again".to_owned()),
                namespace: Some("iot".to_owned()),
                uid: Some("0a1b-2c3d".to_owned()),
                generation: Some(1),
                creation_timestamp: Some(Time(at(CREATED))),
                ..ObjectMeta::default()
            },
            spec: RestoreSpec {
                parameters: RestoreParameters {
                    target: target("http://influxdb-b:8086"),
                    timeout: Some("10m".into()),
                    ..RestoreParameters::default()
                },
                ..RestoreSpec::default()
            },
            status: None,
        },
        job: None,
        run: RunState::NoJob,
        fenced: false,
        storage: Storage::Ready(Box::default()),
        resolved: Some(Resolved::Manifests(vec![manifest()])),
        target: TargetLease::Free,
    }
}

/// The first attempt's Job was made at creation, and its run is as given.
fn with_run(run: RunState) -> Observed {
    let mut seen = seen();
    seen.restore.status = Some(RestoreStatus {
        attempt: 1,
        manifests: vec![manifest()],
        not_after: Some(later(720)),
        job: (run == RunState::NoJob).then(|| "the-job".to_owned()),
        ..RestoreStatus::default()
    });
    seen.job = (run != RunState::NoJob).then(|| Job {
        metadata: ObjectMeta {
            name: Some("the-job".to_owned()),
            uid: Some("job-uid".to_owned()),
            ..ObjectMeta::default()
        },
        ..Job::default()
    });
    seen.run = run;
    seen
}

fn by_word(result: RunResult) -> RunState {
    RunState::EndedByWord(Box::new(Outcome {
        run_id: "pod-uid".to_owned(),
        result,
        phases: vec![PhaseTiming {
            name: "import".to_owned(),
            start_time: later(5),
            end_time: Some(later(30)),
        }],
        warnings: vec!["a word".to_owned()],
    }))
}

fn imported() -> RunState {
    by_word(RunResult::Imported(Imported {
        consistency_time: at("2026-11-20T09:59:00Z"),
        verified: Verify::Contains,
        totals: Totals {
            records: 7,
            ..Totals::default()
        },
        refused_records: 0,
        expired_records: 2,
    }))
}

fn failed(reason: Reason, retryable: bool) -> RunState {
    by_word(RunResult::Failed(Failure {
        reason,
        message: "what to do".to_owned(),
        retryable,
        applied_parts: 3,
    }))
}

fn silent(known_dead: bool) -> RunState {
    RunState::EndedSilently(SilentEnd {
        reason: Reason::PodLost,
        message: "the pod is gone".to_owned(),
        known_dead,
        never_ran: false,
    })
}

/// What a plan comes to, in one word, and the reason that people see.
fn verdict(plan: &Plan) -> (&'static str, String) {
    let conditions = &plan.status.conditions;
    let reason_of = |type_: &str| {
        conditions
            .iter()
            .find(|c| c.type_ == type_)
            .map(|c| c.reason.clone())
            .unwrap_or_default()
    };
    let is = |type_: &str| crate::api::conditions::is_true(conditions, type_);
    let word = if plan.start.is_some() {
        "start"
    } else if plan.stop.is_some() {
        "stop"
    } else if is(types::COMPLETE) {
        "complete"
    } else if is(types::FAILED) {
        "failed"
    } else if plan.release {
        "retry"
    } else {
        "wait"
    };
    // kstatus: exactly one of the three, and never two.
    let ended = word == "complete" || word == "failed";
    assert_eq!(is(types::READY), word == "complete", "{word}");
    assert_eq!(is(types::STALLED), word == "failed", "{word}");
    if !conditions.is_empty() {
        assert_eq!(is(types::RECONCILING), !ended, "{word}");
    }
    assert_eq!(plan.requeue.is_none(), ended, "{word} is looked at again");
    // Nothing is held once it is over, and nothing given back while it may go on.
    assert_eq!(plan.release, ended || word == "retry");
    (word, reason_of(types::READY))
}

type Change = fn(&mut Observed);

#[test]
fn what_is_done_before_a_run() {
    let rows: [(&str, Change, &str, &str); 17] = [
        ("all there", |_| {}, "start", "Running"),
        (
            "cancelled",
            |s| s.restore.spec.cancel = true,
            "failed",
            "Cancelled",
        ),
        ("promoted", |s| s.fenced = true, "failed", "Promoted"),
        (
            "a span that can't be read",
            |s| s.restore.spec.parameters.timeout = Some("soon".into()),
            "failed",
            "InvalidSpec",
        ),
        (
            "no location",
            |s| s.storage = Storage::Blocked(Problem::new(Reason::StorageNotFound, "create it")),
            "wait",
            "StorageNotFound",
        ),
        (
            "no location in time",
            |s| {
                s.storage = Storage::Blocked(Problem::new(Reason::StorageNotFound, "create it"));
                s.restore.metadata.creation_timestamp = Some(Time(at("2026-11-20T09:49:50Z")));
            },
            "failed",
            "StorageNotFound",
        ),
        (
            "not looked at",
            |s| s.storage = Storage::NotLooked,
            "wait",
            "Pending",
        ),
        ("not resolved", |s| s.resolved = None, "wait", "Pending"),
        (
            "no such backup",
            |s| {
                s.storage = Storage::NotLooked;
                s.resolved = Some(Resolved::Refused(Problem::new(
                    Reason::BackupNotFound,
                    "choose another",
                )));
            },
            "failed",
            "BackupNotFound",
        ),
        (
            "a store that does not answer",
            |s| s.resolved = Some(Resolved::Waiting(Problem::new(Reason::StoreError, "wait"))),
            "wait",
            "StoreError",
        ),
        (
            "another has the target",
            |s| {
                s.target = TargetLease::Busy {
                    holder: "iot/other".to_owned(),
                    until: later(60),
                }
            },
            "wait",
            "TargetBusy",
        ),
        (
            "the next attempt's time has not come",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    attempt: 1,
                    next_attempt_time: Some(later(60)),
                    ..RestoreStatus::default()
                });
            },
            "wait",
            "",
        ),
        (
            "the next attempt's time has come",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    attempt: 1,
                    next_attempt_time: Some(later(-1)),
                    ..RestoreStatus::default()
                });
            },
            "start",
            "Running",
        ),
        (
            "an attempt whose Job was not made yet",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    attempt: 1,
                    not_after: Some(later(60)),
                    ..RestoreStatus::default()
                });
            },
            "start",
            "Running",
        ),
        (
            "an attempt whose Job could never be made",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    attempt: 1,
                    not_after: Some(later(-1)),
                    ..RestoreStatus::default()
                });
            },
            "retry",
            "JobRefused",
        ),
        (
            "the source went once the manifests were chosen",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    manifests: vec![manifest()],
                    ..RestoreStatus::default()
                });
                s.storage = Storage::Blocked(Problem::new(Reason::BackupNotFound, "deleted"));
                s.resolved = None;
            },
            "wait",
            "BackupNotFound",
        ),
        (
            "manifests that were chosen are not chosen again",
            |s| {
                s.restore.status = Some(RestoreStatus {
                    manifests: vec![manifest()],
                    ..RestoreStatus::default()
                });
                s.resolved = None;
            },
            "start",
            "Running",
        ),
    ];
    for (name, change, word, reason) in rows {
        let mut seen = seen();
        change(&mut seen);
        let plan = decide(&seen, at(CREATED));
        assert_eq!(verdict(&plan), (word, reason.to_owned()), "{name}");
    }
}

#[test]
fn what_is_done_about_a_run() {
    let not_starting = || RunState::NotStarting {
        reason: Reason::PodNotStarting,
        message: "no image".to_owned(),
    };
    let rows: Vec<(&str, RunState, Change, i64, &str, &str)> = vec![
        ("starts", RunState::Starting, |_| {}, 5, "wait", "Running"),
        ("runs", RunState::Running, |_| {}, 5, "wait", "Running"),
        (
            "does not start",
            not_starting(),
            |_| {},
            60,
            "wait",
            "PodNotStarting",
        ),
        (
            "cancelled",
            RunState::Running,
            |s| s.restore.spec.cancel = true,
            5,
            "stop",
            "Cancelled",
        ),
        (
            "a run goes on when promoted",
            RunState::Running,
            |s| s.fenced = true,
            5,
            "wait",
            "Running",
        ),
        (
            "a pod that does not start is stopped when promoted",
            not_starting(),
            |s| s.fenced = true,
            5,
            "stop",
            "Promoted",
        ),
        ("late", RunState::Running, |_| {}, 779, "wait", "Running"),
        (
            "too late",
            RunState::Running,
            |_| {},
            780,
            "stop",
            "TimedOut",
        ),
        ("done", imported(), |_| {}, 40, "complete", "Succeeded"),
        (
            "done although cancelled",
            imported(),
            |s| s.restore.spec.cancel = true,
            40,
            "complete",
            "Succeeded",
        ),
        (
            "failed for now",
            failed(Reason::DatabaseUnreachable, true),
            |_| {},
            40,
            "retry",
            "DatabaseUnreachable",
        ),
        (
            "failed for good",
            failed(Reason::TargetNotEmpty, false),
            |_| {},
            40,
            "failed",
            "TargetNotEmpty",
        ),
        (
            "failed once too often",
            failed(Reason::DatabaseUnreachable, true),
            |s| {
                s.restore.spec.parameters.retry = Some(RetryPolicy {
                    limit: Some(0),
                    ..RetryPolicy::default()
                })
            },
            40,
            "failed",
            "DatabaseUnreachable",
        ),
        (
            "failed and cancelled",
            failed(Reason::TimedOut, true),
            |s| s.restore.spec.cancel = true,
            40,
            "failed",
            "Cancelled",
        ),
        (
            "failed and promoted",
            failed(Reason::DatabaseUnreachable, true),
            |s| s.fenced = true,
            40,
            "failed",
            "DatabaseUnreachable",
        ),
        (
            "another image's words",
            by_word(RunResult::Exported(Exported {
                manifest: manifest(),
                adopted: false,
            })),
            |_| {},
            40,
            "failed",
            "InternalError",
        ),
        (
            "dead without a word",
            silent(true),
            |_| {},
            40,
            "retry",
            "PodLost",
        ),
        (
            "perhaps not dead",
            silent(false),
            |_| {},
            40,
            "wait",
            "PodLost",
        ),
        (
            "perhaps not dead, cancelled",
            silent(false),
            |s| s.restore.spec.cancel = true,
            40,
            "wait",
            "PodLost",
        ),
        (
            "perhaps not dead, promoted",
            silent(false),
            |s| s.fenced = true,
            719,
            "wait",
            "PodLost",
        ),
        (
            "dead by its deadline",
            silent(false),
            |_| {},
            720,
            "retry",
            "PodLost",
        ),
        (
            "dead by its deadline, cancelled",
            silent(false),
            |s| s.restore.spec.cancel = true,
            720,
            "failed",
            "Cancelled",
        ),
        (
            "dead by its deadline, promoted",
            silent(false),
            |s| s.fenced = true,
            720,
            "failed",
            "PodLost",
        ),
        (
            "the Job was deleted",
            RunState::NoJob,
            |_| {},
            40,
            "wait",
            "PodLost",
        ),
        (
            "the Job was deleted, cancelled",
            RunState::NoJob,
            |s| s.restore.spec.cancel = true,
            40,
            "wait",
            "PodLost",
        ),
        (
            "the Job was deleted long ago",
            RunState::NoJob,
            |_| {},
            720,
            "retry",
            "PodLost",
        ),
    ];
    for (name, run, change, seconds, word, reason) in rows {
        let mut seen = with_run(run);
        change(&mut seen);
        let plan = decide(&seen, later(seconds));
        assert_eq!(verdict(&plan), (word, reason.to_owned()), "{name}");
    }
}

#[test]
fn the_job_is_known_before_it_is_deleted() {
    let mut seen = with_run(RunState::Running);
    seen.restore.spec.cancel = true;
    let plan = decide(&seen, later(5));
    assert_eq!(
        plan.stop,
        Some(("the-job".to_owned(), "job-uid".to_owned()))
    );
    assert!(plan.status.job.is_some());
}

#[test]
fn an_attempt_is_made_again_with_the_same_orders() {
    let first = decide(&seen(), at(CREATED));
    let start = first.start.clone().unwrap();
    assert_eq!((start.attempt, start.not_after), (1, later(720)));
    assert_eq!(first.status.not_after, Some(later(720)));
    let Order::Import(order) = &start.order else {
        panic!("{:?}", start.order)
    };
    assert_eq!(order.manifests, [manifest()]);
    assert_eq!(order.bounds.not_after, later(720));
    assert_eq!(order.drill_prefix, None);

    // The controller died after the status was written.
    let mut again = seen();
    again.restore.status = Some(first.status);
    again.resolved = None;
    let second = decide(&again, later(100));
    assert_eq!(second.start.unwrap(), start);
    assert_eq!(second.status.attempt, 1);
}

#[test]
fn each_attempt_has_its_own_number_and_deadline() {
    let mut seen = with_run(silent(true));
    let mut now = later(40);
    for (attempt, wait) in [(1, 30), (2, 60), (3, 120)] {
        let plan = decide(&seen, now);
        assert_eq!(plan.requeue, Some(Duration::from_secs(wait)));
        assert_eq!(plan.status.attempt, attempt);
        assert_eq!((&plan.status.job, plan.status.not_after), (&None, None));
        now = now + jiff::SignedDuration::from_secs(wait.cast_signed());
        let mut next = super::tests::seen();
        next.restore.status = Some(plan.status);
        let plan = decide(&next, now);
        assert_eq!(plan.start.as_ref().unwrap().attempt, attempt + 1);
        assert_eq!(plan.status.next_attempt_time, None);
        assert_eq!(
            plan.status.not_after,
            Some(now + jiff::SignedDuration::from_secs(720))
        );
        seen = with_run(silent(true));
        seen.restore.status = Some(plan.status);
    }
    assert_eq!(verdict(&decide(&seen, now)).0, "failed");
}

#[test]
fn what_a_complete_restore_tells() {
    let plan = decide(&with_run(imported()), later(300));
    let status = plan.status;
    assert_eq!(status.phase, Phase::Complete);
    assert_eq!(status.consistency_time, Some(at("2026-11-20T09:59:00Z")));
    assert_eq!(status.verified, Some(Verify::Contains));
    // By the pod's word of when it was done, not by when the controller looked.
    assert_eq!(status.rto_seconds, Some(30));
    assert_eq!(status.expired_records, 2);
    let names: Vec<_> = status.phases.iter().map(|phase| &*phase.name).collect();
    assert_eq!(names, ["wait", "import"]);
    assert_eq!(status.warnings, ["a word"]);

    let mut dry = with_run(imported());
    dry.restore.spec.parameters.dry_run = true;
    let status = decide(&dry, later(300)).status;
    assert_eq!(
        (status.consistency_time, status.verified, status.rto_seconds),
        (None, None, None)
    );
}

#[test]
fn an_ended_restore_is_left_alone() {
    let done = decide(&with_run(imported()), later(300)).status;
    let mut seen = with_run(RunState::Running);
    seen.restore.status = Some(done.clone());
    seen.restore.spec.cancel = true;
    seen.restore.metadata.generation = Some(2);
    let plan = decide(&seen, later(400));
    assert_eq!(
        (plan.start, plan.stop, plan.requeue, plan.release),
        (None, None, None, false)
    );
    assert_eq!(plan.status.observed_generation, Some(2));
    assert_eq!(plan.status.completion_time, done.completion_time);
    assert!(crate::api::conditions::is_true(
        &plan.status.conditions,
        types::COMPLETE
    ));
}

#[test]
fn a_refused_job_is_tried_again_and_then_fails() {
    let mut seen = seen();
    seen.restore.status = Some(decide(&seen, at(CREATED)).status);
    let plan = job_refused(&seen, "exceeded quota", at(CREATED));
    assert_eq!(verdict(&plan), ("retry", "JobRefused".to_owned()));
    seen.restore.status.as_mut().unwrap().attempt = 4;
    let plan = job_refused(&seen, "exceeded quota", at(CREATED));
    assert_eq!(verdict(&plan), ("failed", "JobRefused".to_owned()));
}

#[test]
fn a_drill_has_names_of_its_own() {
    let mut seen = seen();
    seen.restore.spec.drill = true;
    let storage = StorageLocationSpec::default();
    let Order::Import(order) = order::import(&seen, &storage, &[manifest()], later(0)) else {
        panic!("no import")
    };
    assert_eq!(
        order.drill_prefix.as_deref(),
        Some("lifeboat_drill_0a1b2c3d_")
    );
}

#[test]
fn one_target_has_one_name() {
    for (url, name) in [
        ("http://influxdb-b:8086", Some("influxdb/influxdb-b:8086")),
        ("https://InfluxDB-B:8086/", Some("influxdb/influxdb-b:8086")),
        (
            "http://influxdb-b.:8086/path",
            Some("influxdb/influxdb-b:8086"),
        ),
        ("http://influxdb-b", Some("influxdb/influxdb-b:80")),
        ("https://influxdb-b", Some("influxdb/influxdb-b:443")),
        ("http://[::1]:8086", Some("influxdb/[::1]:8086")),
        ("influxdb-b:8086", None),
        ("", None),
    ] {
        assert_eq!(lease::normalised(&target(url)).as_deref(), name, "{url}");
    }
}
