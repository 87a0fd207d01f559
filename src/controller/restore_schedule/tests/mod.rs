#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

mod drills;
mod promotion;
mod replay;
mod taken_over;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::child;
use super::decide::{decide, restore_refused};
use super::state::{Bucket, Observed, Plan, replayed};
use crate::api::common::ManifestRef;
use crate::api::conditions::{self, Reason, State, types};
use crate::api::engines::{InfluxDbTarget, TargetSpec};
use crate::api::restore::{ChainScope, ConflictPolicy, RestoreParameters, Verify};
use crate::api::restore_schedule::{Mode, RestoreObjectives, RestoreTemplate};
use crate::api::{Restore, RestoreSchedule, RestoreScheduleSpec, RestoreStatus, labels};
use crate::controller::restore::{Problem, TargetLease};
use crate::manifest::Chain;
use crate::manifest::chain::{ChainError, Head, Next};

const NOW: &str = "2026-11-20T10:10:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    at(NOW) + SignedDuration::from_secs(seconds)
}

/// The slot of a minute after ten.
fn slot(minute: u32) -> String {
    format!("20261120t10{minute:02}00z")
}

fn head(minute: u32, full: bool) -> Head {
    let slot = slot(minute);
    Head {
        chain: if full {
            Chain::Full
        } else {
            Chain::Incremental {
                base: self::slot(0),
                previous: self::slot(minute - 1),
                window_start: 0,
                window_end: None,
            }
        },
        consistency_time: at(&format!("2026-11-20T10:{minute:02}:00Z")),
        source: "server".to_owned(),
        path: format!("lifeboat/v1/prod/iot/schedules/telemetry/manifests/{slot}.json"),
        sha256: format!("{minute:064}"),
        slot,
    }
}

fn seen() -> Observed {
    Observed {
        schedule: RestoreSchedule {
            metadata: ObjectMeta {
                name: Some("standby".to_owned()),
                namespace: Some("iot".to_owned()),
                uid: Some("uid-1".to_owned()),
                generation: Some(1),
                creation_timestamp: Some(Time(later(-3600))),
                ..ObjectMeta::default()
            },
            spec: RestoreScheduleSpec {
                objectives: Some(RestoreObjectives {
                    rpo: Some("2m".into()),
                    rto: Some("1m".into()),
                }),
                template: RestoreTemplate {
                    metadata: None,
                    spec: parameters("http://influxdb-b:8086"),
                },
                ..RestoreScheduleSpec::default()
            },
            status: None,
        },
        restores: Vec::new(),
        bucket: Bucket::Read {
            newer: None,
            next: None,
        },
        target: TargetLease::Free,
    }
}

fn parameters(url: &str) -> RestoreParameters {
    RestoreParameters {
        target: TargetSpec {
            influxdb: Some(InfluxDbTarget {
                url: url.to_owned(),
                ..InfluxDbTarget::default()
            }),
            ..TargetSpec::default()
        },
        conflict_policy: ConflictPolicy::Overwrite,
        verify: Verify::Contains,
        ..RestoreParameters::default()
    }
}

impl Observed {
    fn next(mut self, next: Next) -> Self {
        let newer = match &next {
            Next::UpToDate => None,
            Next::Full(head) | Next::Window(head) => Some(head.slot.clone()),
            Next::Reseed(set) => set.last().map(|head| head.slot.clone()),
            Next::Broken(_) => Some(slot(9)),
        };
        self.bucket = Bucket::Read {
            newer,
            next: Some(next),
        };
        self
    }

    /// Adds a Restore of a minute's backup that was made so many seconds from now.
    fn with(mut self, minute: u32, made: i64, end: End) -> Self {
        let tried = self.restores.iter().filter(|restore| {
            restore.metadata.annotations.as_ref().unwrap()[labels::SLOT] == slot(minute)
        });
        let attempt = u32::try_from(tried.count()).unwrap() + 1;
        let mut restore = child::of_backup(
            &self.schedule,
            &head(minute, minute == 0),
            ChainScope::Chain,
            attempt,
        );
        restore.metadata.uid = Some(format!("uid-{minute}-{attempt}"));
        restore.metadata.creation_timestamp = Some(Time(later(made)));
        let ended = later(made + 5);
        let mut status = RestoreStatus::default();
        match end {
            End::Running => {}
            End::Complete => {
                set(&mut status, types::COMPLETE, Reason::Succeeded);
                status.completion_time = Some(ended);
                status.consistency_time = Some(head(minute, true).consistency_time);
                status.rto_seconds = Some(4);
                status.manifests = vec![head(minute, true).reference()];
            }
            End::Failed(reason) => {
                set(&mut status, types::FAILED, reason);
                status.completion_time = Some(ended);
            }
        }
        restore.status = Some(status);
        self.restores.push(restore);
        self
    }

    /// As it is after a look at it.
    fn looked(mut self, now: Timestamp) -> Self {
        self.schedule.status = Some(decide(&self, now).status);
        self
    }
}

#[derive(Clone, Copy)]
enum End {
    Running,
    Complete,
    Failed(Reason),
}

fn set(status: &mut RestoreStatus, type_: &str, reason: Reason) {
    let now = at(NOW);
    conditions::set(
        &mut status.conditions,
        type_,
        State::True,
        reason,
        "words",
        None,
        now,
    );
}

fn condition(plan: &Plan, type_: &str) -> String {
    let found = plan.status.conditions.iter().find(|c| c.type_ == type_);
    found.map_or("-".to_owned(), |c| format!("{} {}", c.status, c.reason))
}

fn made(plan: &Plan) -> Option<(String, ChainScope)> {
    let restore = plan.create.as_ref()?;
    let manifest = restore.spec.source.manifest.as_ref().unwrap();
    Some((restore.metadata.name.clone().unwrap(), manifest.scope))
}

/// kstatus reads one thing, and what is in progress or can change by itself is looked at again.
fn check(plan: &Plan, name: &str) {
    let is = |type_| conditions::is_true(&plan.status.conditions, type_);
    let told = [types::READY, types::RECONCILING, types::STALLED];
    assert_eq!(
        told.into_iter().filter(|type_| is(type_)).count(),
        1,
        "{name}"
    );
    assert!(
        plan.requeue.is_some() || is(types::PROMOTED) || is(types::STALLED),
        "{name}"
    );
}

fn drill(every: Option<&str>, cron: Option<&str>) -> Observed {
    let mut seen = seen();
    seen.bucket = Bucket::NotLooked;
    let spec = &mut seen.schedule.spec;
    spec.mode = Mode::Drill;
    spec.every = every.map(Into::into);
    spec.cron = cron.map(str::to_owned);
    seen
}
