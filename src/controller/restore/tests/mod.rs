#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

mod attempts;
mod quiesce;
mod sources;
mod tables;
mod words;

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
        missing_secret: None,
        target: TargetLease::Free,
        workloads: Ok(Vec::new()),
        came_back: None,
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
        consistency_time: Some(at("2026-11-20T09:59:00Z")),
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
