// The tables are long by their nature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::large_stack_arrays
)]

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::*;
use crate::api::backup::Phase;
use crate::api::conditions::{is_true, types};
use crate::api::outcome::{Exported, Failure};
use crate::api::{Backup, BackupStatus, labels};
use crate::controller::store::StoreFault;
use crate::manifest::{VoidMarker, samples, sha256_hex};

mod fixtures;

use fixtures::*;

/// What a plan comes to, in one word and a reason.
fn gist(plan: &Plan) -> String {
    if let Some(void) = &plan.void {
        return format!("void, else {}", gist(&void.otherwise));
    }
    let status = plan.status.as_ref();
    let reason = status
        .and_then(|status| status.conditions.iter().find(|c| c.type_ == types::READY))
        .map_or("", |ready| ready.reason.as_str());
    let list = status
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let kind = if let Some(start) = &plan.start {
        format!("start {}", start.attempt)
    } else if is_true(list, types::COMPLETE) {
        "complete".to_owned()
    } else if is_true(list, types::FAILED) {
        "failed".to_owned()
    } else if status.is_some_and(|status| status.next_attempt_time.is_some()) {
        "back off".to_owned()
    } else if status.is_some_and(|status| status.phase == Phase::Running) {
        "running".to_owned()
    } else {
        "wait".to_owned()
    };
    let delete = if plan.delete_job.is_some() {
        ", delete"
    } else {
        ""
    };
    format!("{kind}{delete} {reason}")
}

#[test]
fn what_is_decided() {
    let not_ready = || Storage::NotReady {
        spec: Box::default(),
        reason: Reason::BucketNotFound,
        message: "create it".to_owned(),
    };
    let cancelled = |seen: Observed| seen.and(|seen| seen.backup.spec.cancel = true);
    let backing_off =
        |seen: Observed| seen.and(|seen| seen.status_mut().next_attempt_time = Some(at(30)));
    let lost = |seen: Observed| seen.and(|seen| seen.status_mut().lost_until = Some(at(900)));
    let commit = |seen: Observed, commit: Commit| seen.and(|seen| seen.commit = commit);
    let stuck = || RunState::NotStarting {
        reason: Reason::PodNotStarting,
        message: "no image".to_owned(),
    };
    let never_started = || {
        RunState::EndedSilently(SilentEnd {
            reason: Reason::TimedOut,
            message: "the pod did not start".to_owned(),
            known_dead: true,
            never_ran: true,
        })
    };
    let unreachable = || failure(Reason::DatabaseUnreachable, true);
    let login = || failure(Reason::DatabaseLoginFailed, false);

    // what, observed, seconds after T0, decided
    let cases: Vec<(&str, Observed, i64, &str)> = vec![
        // Before the first attempt.
        ("all is there", fresh(), 0, "start 1 Running"),
        (
            "no location",
            fresh().and(|s| s.storage = Storage::Missing),
            0,
            "wait StorageNotFound",
        ),
        (
            "location not ready",
            fresh().and(|s| s.storage = not_ready()),
            599,
            "wait StorageNotReady",
        ),
        (
            "location never ready",
            fresh().and(|s| s.storage = not_ready()),
            600,
            "failed StorageNotReady",
        ),
        (
            "location read only",
            fresh().and(|s| s.storage = read_only()),
            0,
            "wait StorageReadOnly",
        ),
        (
            "store gone",
            commit(fresh(), fault()),
            0,
            "wait Unreachable",
        ),
        (
            "store gone for good",
            commit(fresh(), fault()),
            600,
            "failed Unreachable",
        ),
        (
            "no login",
            fresh().and(|s| s.missing_secret = Some("login".into())),
            0,
            "wait SecretNotFound",
        ),
        (
            "etcd is older than the bucket",
            commit(fresh(), committed()),
            0,
            "complete Succeeded",
        ),
        (
            "the slot is void",
            commit(fresh(), void()),
            0,
            "failed SlotVoid",
        ),
        (
            "rubbish at the key",
            commit(fresh(), Commit::Unusable("edited".into())),
            0,
            "failed ManifestInvalid",
        ),
        (
            "cancelled at once",
            cancelled(fresh()),
            0,
            "failed Cancelled",
        ),
        (
            "a span that can't be read",
            fresh().and(|s| s.backup.spec.timeout = Some("soon".into())),
            0,
            "failed InvalidSpec",
        ),
        // While it runs.
        (
            "starting",
            with_run(1, RunState::Starting),
            5,
            "running Running",
        ),
        (
            "running",
            with_run(1, RunState::Running),
            599,
            "running Running",
        ),
        (
            "the pod can't start",
            with_run(1, stuck()),
            60,
            "running PodNotStarting",
        ),
        (
            "beyond its deadline",
            with_run(1, RunState::Running),
            900,
            "back off, delete RunLost",
        ),
        (
            "beyond its deadline, the last",
            with_run(2, RunState::Running),
            900,
            "void, else failed, delete RunLost",
        ),
        (
            "cancelled while it runs",
            cancelled(with_run(1, RunState::Running)),
            5,
            "void, else running, delete Cancelled",
        ),
        (
            "cancelled, and it is void",
            commit(cancelled(with_run(1, RunState::Running)), void()),
            5,
            "failed, delete Cancelled",
        ),
        (
            "cancelled, and it had committed",
            commit(cancelled(with_run(1, RunState::Running)), committed()),
            5,
            "complete, delete Succeeded",
        ),
        (
            "cancelled, and the store is gone",
            commit(cancelled(with_run(1, RunState::Running)), fault()),
            5,
            "running, delete Cancelled",
        ),
        (
            "cancelled, and the store stays gone",
            commit(cancelled(with_run(1, RunState::Running)), fault()),
            900,
            "failed, delete Cancelled",
        ),
        // It ended.
        (
            "done",
            commit(with_run(1, exported()), committed()),
            60,
            "complete Succeeded",
        ),
        (
            "done, the manifest can't be read",
            commit(with_run(1, exported()), fault()),
            60,
            "running Unreachable",
        ),
        (
            "done, the location is not ready",
            commit(with_run(1, exported()), Commit::NotLooked).and(|s| s.storage = not_ready()),
            60,
            "running StorageNotReady",
        ),
        (
            "done, the manifest can never be read",
            commit(with_run(1, exported()), fault()),
            900,
            "failed Unreachable",
        ),
        (
            "done, and there is no manifest",
            with_run(1, exported()),
            60,
            "back off RunLost",
        ),
        (
            "failed, may pass",
            with_run(1, unreachable()),
            60,
            "back off DatabaseUnreachable",
        ),
        (
            "failed, may pass, the last",
            with_run(2, unreachable()),
            60,
            "failed DatabaseUnreachable",
        ),
        (
            "failed, needs a person",
            with_run(1, login()),
            60,
            "failed DatabaseLoginFailed",
        ),
        (
            "failed, but another run committed",
            commit(with_run(1, login()), committed()),
            60,
            "complete Succeeded",
        ),
        (
            "failed, an earlier run is lost",
            lost(with_run(2, login())),
            60,
            "void, else running DatabaseLoginFailed",
        ),
        (
            "failed, an earlier run is over by now",
            lost(with_run(2, login())),
            900,
            "void, else failed DatabaseLoginFailed",
        ),
        (
            "killed for its memory",
            with_run(1, silent(Reason::OutOfMemory, true)),
            60,
            "back off OutOfMemory",
        ),
        (
            "killed for its memory, the last",
            with_run(2, silent(Reason::OutOfMemory, true)),
            60,
            "failed OutOfMemory",
        ),
        (
            "killed after its commit",
            commit(with_run(1, silent(Reason::OutOfMemory, true)), committed()),
            60,
            "complete Succeeded",
        ),
        (
            "its node is gone",
            with_run(1, silent(Reason::PodLost, false)),
            60,
            "back off PodLost",
        ),
        (
            "its node is gone, the last",
            with_run(2, silent(Reason::PodLost, false)),
            60,
            "void, else running PodLost",
        ),
        (
            "its node is gone, and it is void",
            commit(with_run(2, silent(Reason::PodLost, false)), void()),
            60,
            "failed PodLost",
        ),
        (
            "its Job was deleted",
            with_run(1, RunState::NoJob).and(|s| s.job = None),
            60,
            "back off PodLost",
        ),
        (
            "the pod never started",
            with_run(1, never_started()),
            700,
            "failed TimedOut",
        ),
        // Between two attempts.
        (
            "not yet",
            backing_off(with_run(1, unreachable())),
            29,
            "back off ",
        ),
        (
            "it is time",
            backing_off(with_run(1, unreachable())),
            30,
            "start 2 Running",
        ),
        (
            "it is time, the store is gone",
            commit(backing_off(with_run(1, unreachable())), fault()),
            30,
            "back off Unreachable",
        ),
        (
            "it is time, and a late run has committed",
            commit(backing_off(with_run(1, unreachable())), committed()),
            30,
            "complete Succeeded",
        ),
        (
            "cancelled meanwhile",
            cancelled(backing_off(with_run(1, unreachable()))),
            5,
            "failed Cancelled",
        ),
        (
            "cancelled, a run is lost",
            lost(cancelled(backing_off(with_run(
                1,
                silent(Reason::PodLost, false),
            )))),
            5,
            "void, else back off Cancelled",
        ),
    ];
    for (what, seen, seconds, expected) in cases {
        let plan = decide(&seen, at(seconds));
        assert_eq!(gist(&plan), expected, "{what}");
        let ended = expected.starts_with("complete") || expected.starts_with("failed");
        assert_eq!(
            plan.requeue.is_none(),
            ended,
            "{what}: nothing waits for ever"
        );
    }
}

#[test]
fn every_state_reads_as_kstatus_should_read_it() {
    // plan, Ready, Reconciling, Stalled
    let cases = [
        (fresh(), 0, false, true, false),
        (with_run(1, RunState::Running), 5, false, true, false),
        (
            with_run(1, failure(Reason::DatabaseUnreachable, true)),
            5,
            false,
            true,
            false,
        ),
        (
            with_run(2, failure(Reason::DatabaseUnreachable, true)),
            5,
            false,
            false,
            true,
        ),
        (
            fresh().and(|seen| seen.commit = committed()),
            5,
            true,
            false,
            false,
        ),
    ];
    for (seen, seconds, ready, reconciling, stalled) in cases {
        let status = decide(&seen, at(seconds)).status.unwrap();
        let list = &status.conditions;
        assert_eq!(is_true(list, types::READY), ready, "{list:?}");
        assert_eq!(is_true(list, types::RECONCILING), reconciling, "{list:?}");
        assert_eq!(is_true(list, types::STALLED), stalled, "{list:?}");
        assert_eq!(is_true(list, types::COMPLETE), ready, "{list:?}");
        assert_eq!(is_true(list, types::FAILED), stalled, "{list:?}");
        assert_eq!(status.observed_generation, Some(1));
        for condition in list {
            assert_eq!(condition.observed_generation, Some(1));
        }
    }
}

#[test]
fn an_ended_backup_only_follows_its_generation() {
    let mut seen = fresh();
    seen.commit = committed();
    seen.backup.status = decide(&seen, at(60)).status;
    let again = decide(&seen, at(120));
    assert_eq!(again.status, seen.backup.status);
    assert_eq!((again.requeue, again.note, again.start), (None, None, None));
    seen.backup.metadata.generation = Some(2);
    let held = decide(&seen, at(120)).status.unwrap();
    assert_eq!(held.observed_generation, Some(2));
    assert_eq!(held.completion_time, Some(at(60)));
}

#[test]
fn what_a_complete_backup_says() {
    let mut seen = with_run(1, exported());
    seen.commit = committed();
    let plan = decide(&seen, at(60));
    // A schedule's Backup is told by its status alone.
    assert_eq!(plan.note, None);
    let status = plan.status.unwrap();
    let manifest = samples::full(0);
    assert_eq!(status.consistency_time, Some(manifest.consistency_time));
    assert_eq!(status.completion_time, Some(at(60)));
    assert_eq!(status.chain.as_deref(), Some("Full"));
    assert_eq!(status.phases[0].start_time, manifest.start_time);
    assert_eq!(
        status.manifest.unwrap().path,
        manifest.identity.manifest_key()
    );

    seen.backup.metadata.labels = None;
    assert!(!decide(&seen, at(60)).note.unwrap().warning);
}

#[test]
fn a_lost_run_is_remembered_until_its_own_deadline() {
    let seen = with_run(1, silent(Reason::PodLost, false));
    let status = decide(&seen, at(60)).status.unwrap();
    assert_eq!(status.lost_until, Some(at(900)));
    assert_eq!(status.next_attempt_time, Some(at(90)));
    let seen = with_run(1, silent(Reason::OutOfMemory, true));
    let status = decide(&seen, at(60)).status.unwrap();
    assert_eq!(status.lost_until, None);
}

#[test]
fn an_order_acts_on_nothing_after_its_time() {
    let plan = decide(&fresh(), at(7));
    let crate::api::order::Order::Export(order) = plan.start.unwrap().order else {
        panic!("an export");
    };
    assert_eq!(order.bounds.timeout_seconds, 600);
    assert_eq!(order.bounds.not_after, at(607));
    assert_eq!(order.identity, samples::full(0).identity);
}

#[test]
fn a_refused_job_is_told_and_given_up_at_the_timeout() {
    let plan = job_refused(&fresh(), "exceeded quota", at(10));
    assert_eq!(gist(&plan), "wait JobRefused");
    let plan = job_refused(&fresh(), "exceeded quota", at(600));
    assert_eq!(gist(&plan), "failed JobRefused");
    assert!(plan.note.unwrap().message.contains("exceeded quota"));
}

#[test]
fn why_a_pod_never_started_is_told_at_the_end() {
    let stuck = RunState::NotStarting {
        reason: Reason::PodNotStarting,
        message: "no image".to_owned(),
    };
    let mut seen = with_run(1, stuck);
    seen.backup.status = decide(&seen, at(60)).status;
    seen.run = RunState::EndedSilently(SilentEnd {
        reason: Reason::TimedOut,
        message: "the pod did not start".to_owned(),
        known_dead: true,
        never_ran: true,
    });
    let plan = decide(&seen, at(700));
    assert_eq!(gist(&plan), "failed PodNotStarting");
    assert!(plan.note.unwrap().message.contains("no image"));
}
