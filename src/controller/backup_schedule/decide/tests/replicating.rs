//! What `replicateTo` comes to.

use super::super::super::replicate::{Due, due, job_name, known};
use super::super::super::state::{Replica, ReplicaState};
use super::*;
use crate::api::backup_schedule::ReplicaStatus;
use crate::api::common::{ManifestRef, Totals};
use crate::api::order::{Order, ReplicateOrder};
use crate::api::outcome::{Failure, Outcome, Replicated, RunResult};
use crate::controller::retry::Retry;
use crate::controller::store::StoreFault;
use crate::manifest::line::manifest_key;

fn schedule() -> Observed {
    let spec = json!({
        "every": "1m", "timeZone": null,
        "replicateTo": [{"name": "copies", "retention": {"keepLast": 3}}],
    });
    let mut seen = with(
        noted(spec, "10:02"),
        &[("10:01", End::Complete), ("10:02", End::Complete)],
    );
    for child in &mut seen.backups {
        let slot = child.slot_name.as_deref().unwrap();
        child.manifest = Some(ManifestRef {
            path: manifest_key("lifeboat/v1/prod/iot/schedules/telemetry", slot),
            sha256: "0".repeat(64),
        });
    }
    seen
}

fn with_state(mut seen: Observed, state: ReplicaState) -> Observed {
    seen.replicas = vec![Replica {
        name: "copies".to_owned(),
        state,
    }];
    seen
}

fn due_now() -> ReplicaState {
    ReplicaState::Due {
        from: Box::default(),
        to: Box::default(),
    }
}

/// The order that a schedule gives.
fn order(plan: &Plan) -> ReplicateOrder {
    match &plan.copies[..] {
        [work] => match &work.order {
            Order::Replicate(order) => (**order).clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn word(result: RunResult) -> RunState {
    RunState::EndedByWord(Box::new(Outcome {
        run_id: "r".to_owned(),
        result,
        phases: Vec::new(),
        warnings: Vec::new(),
    }))
}

fn failure(reason: Reason) -> Failure {
    Failure {
        reason,
        message: "it went wrong".to_owned(),
        retryable: true,
        applied_parts: 0,
    }
}

fn copied(slot: &str) -> Replicated {
    Replicated {
        slot: Some(slot_name(time(slot))),
        consistency_time: Some(time(slot)),
        copied: Totals::default(),
        deleted: Totals::default(),
        left_out: None,
    }
}

fn ended(seen: &Observed, run: RunState) -> ReplicaState {
    let plan = decide(&with_state(seen.clone(), due_now()), time("10:02:30"));
    ReplicaState::Ended {
        run,
        order: Some(Box::new(order(&plan))),
    }
}

#[test]
fn when_a_location_is_due() {
    let retry = Retry::default();
    let newest = slot_name(time("10:02"));
    let at = |slot: Option<&str>, failures, last: &str, lost: Option<&str>| ReplicaStatus {
        slot: slot.map(|slot| slot_name(time(slot))),
        failures,
        last_run_time: Some(time(last)),
        lost_until: lost.map(time),
        ..ReplicaStatus::default()
    };
    for (what, replica, newest, now, wanted) in [
        (
            "never",
            ReplicaStatus::default(),
            Some(&newest),
            "10:02",
            Due::Now,
        ),
        (
            "no backup",
            ReplicaStatus::default(),
            None,
            "10:02",
            Due::No,
        ),
        (
            "behind",
            at(Some("10:01"), 0, "10:01:30", None),
            Some(&newest),
            "10:02:01",
            Due::Now,
        ),
        (
            "has all",
            at(Some("10:02"), 0, "10:02:30", None),
            Some(&newest),
            "10:09",
            Due::No,
        ),
        (
            "ahead",
            at(Some("10:03"), 0, "10:02:30", None),
            Some(&newest),
            "10:09",
            Due::No,
        ),
        (
            "failed",
            at(None, 1, "10:02", None),
            Some(&newest),
            "10:02:29",
            Due::At(time("10:02:30")),
        ),
        (
            "waited",
            at(None, 1, "10:02", None),
            Some(&newest),
            "10:02:30",
            Due::Now,
        ),
        (
            "often",
            at(None, 30, "10:02", None),
            Some(&newest),
            "10:05",
            Due::At(time("10:12")),
        ),
        (
            "lost",
            at(None, 1, "10:02", Some("11:00")),
            Some(&newest),
            "10:30",
            Due::At(time("11:00")),
        ),
    ] {
        let seen = due(&replica, newest.map(String::as_str), &retry, time(now));
        assert_eq!(seen, wanted, "{what}");
    }
}

#[test]
fn a_job_copies_and_its_end_is_noted() {
    let mut seen = schedule();
    seen.backups[0].hold = true;
    let plan = decide(&with_state(seen.clone(), due_now()), time("10:02:30"));
    let told = order(&plan);
    assert_eq!(told.up_to, slot_name(time("10:02")));
    assert_eq!(told.held, [slot_name(time("10:01"))]);
    assert_eq!(
        told.identity.line(),
        "lifeboat/v1/prod/iot/schedules/telemetry"
    );
    assert!(told.prune && told.sweep_before.is_some());
    assert!(plan.copies[0].job_name.len() <= 63);
    assert_eq!(state(&plan, types::REPLICATED), ("Unknown", "NothingYet"));

    let run = word(RunResult::Replicated(copied("10:02")));
    let plan = decide(
        &with_state(seen.clone(), ended(&seen, run)),
        time("10:02:40"),
    );
    assert_eq!(state(&plan, types::REPLICATED), ("True", "Succeeded"));
    let replica = &plan.status.replicas[0];
    assert_eq!(replica.slot, Some(slot_name(time("10:02"))));
    assert_eq!(replica.consistency_time, Some(time("10:02")));
    assert_eq!((replica.runs, replica.failures), (1, 0));
    assert_eq!(replica.last_prune_time, Some(time("10:02:40")));
    assert!(plan.copies.is_empty() && plan.notes.is_empty());

    // The next Job has another name, and does not prune so soon.
    let before = job_name(
        &seen.schedule,
        &known(&BackupScheduleStatus::default(), "copies"),
    );
    assert_ne!(job_name(&seen.schedule, replica), before);
    seen.schedule.status = Some(plan.status);
    let told = order(&decide(&with_state(seen, due_now()), time("10:03:30")));
    assert!(!told.prune && told.sweep_before.is_none());
}

#[test]
fn failures_are_told_and_stop_no_backup() {
    let silent = |known_dead| {
        RunState::EndedSilently(SilentEnd {
            reason: Reason::PodLost,
            message: "it went".to_owned(),
            known_dead,
            never_ran: false,
        })
    };
    let left_out = Replicated {
        left_out: Some(failure(Reason::DataCorrupt)),
        ..copied("10:02")
    };
    let blocked = ReplicaState::Blocked(StoreFault {
        reason: Reason::StorageNotReady,
        message: "the StorageLocation copies is not Ready".to_owned(),
        retryable: true,
    });
    let of = |run| ended(&schedule(), run);
    // what, state, reason, failures, lost for a time, told
    for (what, seen, reason, failures, lost, told) in [
        (
            "failed",
            of(word(RunResult::Failed(failure(Reason::AccessDenied)))),
            "AccessDenied",
            1,
            false,
            true,
        ),
        (
            "another task",
            of(word(RunResult::Done {
                totals: Totals::default(),
            })),
            "InternalError",
            1,
            false,
            true,
        ),
        ("dead", of(silent(true)), "PodLost", 1, false, true),
        ("lost", of(silent(false)), "PodLost", 1, true, true),
        (
            "left out",
            of(word(RunResult::Replicated(left_out))),
            "DataCorrupt",
            0,
            false,
            true,
        ),
        ("blocked", blocked, "StorageNotReady", 0, false, false),
    ] {
        let plan = decide(&with_state(schedule(), seen), time("10:03"));
        assert!(plan.create.is_some(), "{what}: the slot has its Backup");
        assert_eq!(state(&plan, types::READY).0, "True", "{what}");
        assert_eq!(state(&plan, types::REPLICATED), ("False", reason), "{what}");
        let replica = &plan.status.replicas[0];
        assert_eq!(replica.failures, failures, "{what}");
        assert_eq!(replica.lost_until.is_some(), lost, "{what}");
        assert_eq!(!plan.notes.is_empty(), told, "{what}");
        assert!(plan.copies.is_empty(), "{what}");
        assert!(plan.requeue.is_some(), "{what}");
    }
}

#[test]
fn a_location_that_is_taken_out_is_forgotten() {
    let mut seen = schedule();
    let run = word(RunResult::Replicated(copied("10:02")));
    let plan = decide(
        &with_state(seen.clone(), ended(&seen, run)),
        time("10:02:40"),
    );
    seen.schedule.status = Some(plan.status);
    seen.schedule.spec.replicate_to = None;
    let plan = decide(&seen, time("10:02:50"));
    assert!(plan.status.replicas.is_empty());
    assert!(
        !plan
            .status
            .conditions
            .iter()
            .any(|c| c.type_ == types::REPLICATED)
    );
}
