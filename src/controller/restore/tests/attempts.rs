use serde_json::json;

use super::*;
use crate::controller::restore::apply::apply;
use crate::controller::restore::observe::observe;
use crate::controller::testing::standby::End;
use crate::controller::testing::world::{NAMESPACE, World};
use crate::manifest::samples::full;

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
        let next = now + jiff::SignedDuration::from_secs(wait);
        assert_eq!(plan.status.next_attempt_time, Some(next));
        assert_eq!(plan.status.attempt, attempt);
        assert_eq!((&plan.status.job, plan.status.not_after), (&None, None));
        now = next;
        let mut next_seen = super::seen();
        next_seen.restore.status = Some(plan.status);
        let plan = decide(&next_seen, now);
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
fn a_refused_job_is_tried_again_and_then_fails() {
    let mut seen = seen();
    seen.restore.status = Some(decide(&seen, at(CREATED)).status);
    let plan = job_refused(&seen, "exceeded quota", at(CREATED));
    assert_eq!(verdict(&plan), ("retry", "JobRefused".to_owned()));
    seen.restore.status.as_mut().unwrap().attempt = 4;
    let plan = job_refused(&seen, "exceeded quota", at(CREATED));
    assert_eq!(verdict(&plan), ("failed", "JobRefused".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_controller_holds_nothing_for_a_restore_that_ended() {
    let mut world = World::new("2026-11-20T10:05:00Z");
    world.commit(full(0)).await;
    world.add_restore("again", &json!({}));
    world.settle().await;
    // As one controller saw it: the attempt is written, its Job is not made yet.
    let context = world.context();
    let mut slow = observe(&context, world.restore("again")).await.unwrap();
    slow.job = None;
    slow.run = RunState::NoJob;
    slow.storage = Storage::Ready(Box::default());
    slow.restore.status.as_mut().unwrap().job = None;
    let written = Some(decide(&slow, world.now()).status);
    world
        .server
        .change::<Restore>(NAMESPACE, "again", |now| now.status = written);
    slow.restore = world.restore("again");
    let plan = decide(&slow, world.now());
    assert!(plan.start.is_some());
    assert_eq!(Some(&plan.status), slow.restore.status.as_ref());
    // Another one sees it through.
    world.run_import(End::Imported);
    world.settle().await;
    assert_eq!(world.leases().len(), 0);
    assert!(apply(&context, &slow, plan).await.is_ok());
    assert_eq!((world.leases().len(), world.jobs().len()), (0, 1));
}

#[test]
fn what_an_earlier_attempt_may_have_left_is_said() {
    let mut seen = with_run(by_word(RunResult::Failed(Failure {
        reason: Reason::TargetNotEmpty,
        message: "the target holds data".to_owned(),
        retryable: false,
        applied_parts: 0,
    })));
    for (attempt, said) in [(1, false), (2, true)] {
        seen.restore.status.as_mut().unwrap().attempt = attempt;
        let plan = decide(&seen, later(40));
        let message = &plan.status.conditions[0].message;
        assert_eq!(message.contains("earlier attempt"), said, "{message}");
    }
}

#[test]
fn a_long_chain_is_named_by_its_end_and_a_status_stays_small() {
    // The longest names that a key can have.
    let line = format!(
        "lifeboat/v1/{}/{}/schedules/{}/manifests",
        "c".repeat(63),
        "n".repeat(63),
        "s".repeat(40)
    );
    let chain: Vec<ManifestRef> = (0..512)
        .map(|n| ManifestRef {
            path: format!("{line}/20261120t{:06}z.json", 100_000 + n),
            sha256: "0".repeat(64),
        })
        .collect();
    let orders = |plan: &Plan| match &plan.start.as_ref().unwrap().order {
        Order::Import(order) => order.manifests.clone(),
        other => panic!("{other:?}"),
    };
    let mut seen = seen();
    seen.resolved = Some(Resolved::Manifests(chain.clone()));
    let plan = decide(&seen, at(CREATED));
    assert_eq!(orders(&plan), chain);
    assert_eq!(plan.status.manifests, chain[511..]);
    assert_eq!(plan.status.manifest_count, 512);

    // Another attempt asks the bucket for the same chain.
    seen.restore.status = Some(plan.status.clone());
    seen.resolved = None;
    assert_eq!(verdict(&decide(&seen, later(5))).0, "wait");
    seen.resolved = Some(Resolved::Manifests(chain.clone()));
    assert_eq!(orders(&decide(&seen, later(5))), chain);

    // All that a status may hold at once; a pod's warnings and phases come in 4 KiB.
    let mut status = plan.status;
    status.choose(&chain[..8]);
    assert!(status.names_all());
    for type_ in [
        types::COMPLETE,
        types::FAILED,
        types::READY,
        types::RECONCILING,
        types::STALLED,
    ] {
        let list = &mut status.conditions;
        let message = "m".repeat(5000);
        let state = crate::api::conditions::State::False;
        let reason = Reason::DatabasePermissionDenied;
        crate::api::conditions::set(list, type_, state, reason, &message, Some(1), later(0));
    }
    status.warnings = vec!["w".repeat(256); 16];
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size < 16 * 1024, "{size}");
}
