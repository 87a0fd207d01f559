//! What retention comes to.

use super::*;
use crate::api::common::ManifestRef;
use crate::api::order::Order;
use crate::controller::store::StoreFault;
use crate::manifest::line::manifest_key;

const LINE: &str = "lifeboat/v1/prod/iot/schedules/telemetry";

fn spec() -> Value {
    json!({"every": "1m", "retention": {"keepLast": 1, "keepFailed": 1}})
}

fn item(slot: &str) -> Item {
    Item {
        id: slot_name(time(slot)),
        time: time(slot),
        complete: true,
        hold: false,
        locked: false,
        chain: Chain::Full,
        expire_after: None,
    }
}

fn key(slot: &str) -> String {
    manifest_key(LINE, &slot_name(time(slot)))
}

fn three() -> Observed {
    let mut seen = with(
        noted(spec(), "10:03"),
        &[
            ("10:01", End::Complete),
            ("10:02", End::Complete),
            ("10:03", End::Complete),
        ],
    );
    for child in &mut seen.backups {
        child.manifest = Some(ManifestRef {
            path: manifest_key(LINE, child.slot_name.as_deref().unwrap()),
            sha256: "0".repeat(64),
        });
    }
    seen
}

#[test]
fn it_is_time_after_a_complete_backup_and_not_too_often() {
    let due = |seen: &Observed, now| prune::is_due(&seen.schedule, &seen.backups, time(now));
    let mut seen = three();
    assert!(due(&seen, "10:03:05"));
    let status = seen.schedule.status.as_mut().unwrap();
    status.last_prune_time = Some(time("10:02:30"));
    assert!(!due(&seen, "10:03:05"), "a moment ago");
    assert!(due(&seen, "10:17:30"));
    let status = seen.schedule.status.as_mut().unwrap();
    status.last_prune_time = Some(time("10:03:05"));
    assert!(!due(&seen, "10:30"), "nothing new");
    let keeps_all = with(noted(minutely(), "10:03"), &[("10:03", End::Complete)]);
    assert!(!due(&keeps_all, "10:03:05"));
}

#[test]
fn a_job_deletes_what_the_rules_don_t_keep() {
    let mut seen = three();
    seen.pruning = Pruning::Due {
        storage: Box::default(),
        items: vec![item("10:01"), item("10:02"), item("10:03")],
    };
    let plan = decide(&seen, time("10:03:05"));
    let prune = plan.prune.unwrap();
    let Order::Prune(order) = prune.order else {
        panic!("a prune order");
    };
    assert_eq!(order.delete, [key("10:02"), key("10:01")]);
    assert_eq!(order.identity.line(), LINE);
    assert!(prune.job_name.len() <= 63);
    assert_eq!(plan.delete, [], "objects go after the files");
    assert_eq!(plan.status.last_prune_time, None);

    seen.pruning = Pruning::Due {
        storage: Box::default(),
        items: vec![item("10:03")],
    };
    let plan = decide(&seen, time("10:03:05"));
    assert_eq!(plan.prune, None);
    assert_eq!(plan.status.last_prune_time, Some(time("10:03:05")));
}

#[test]
fn without_rules_what_killed_runs_left_is_swept_once_a_day() {
    let due = |seen: &Observed, now: &str| {
        prune::is_due(&seen.schedule, &seen.backups, now.parse().unwrap())
    };
    let mut seen = with(noted(minutely(), "10:03"), &[]);
    assert!(!due(&seen, "2026-11-21T10:00:29Z"));
    assert!(due(&seen, "2026-11-21T10:00:30Z"), "a day old");
    seen.pruning = Pruning::Due {
        storage: Box::default(),
        items: vec![item("10:03")],
    };
    let now = "2026-11-21T11:00:00Z".parse().unwrap();
    let Order::Prune(order) = decide(&seen, now).prune.unwrap().order else {
        panic!("a prune order");
    };
    assert_eq!(order.delete, Vec::<String>::new());
    assert_eq!(order.sweep_before, "2026-11-14T11:00:00Z".parse().unwrap());

    seen.pruning = Pruning::Ended {
        run: RunState::NoJob,
        gone: Vec::new(),
    };
    let status = decide(&seen, now).status;
    assert_eq!(status.last_sweep_time, Some(now));
    seen.schedule.status = Some(status);
    assert!(!due(&seen, "2026-11-22T10:59:59Z"));
    assert!(due(&seen, "2026-11-22T11:00:00Z"));
}

#[test]
fn objects_go_when_their_files_are_gone() {
    let mut seen = three();
    seen.backups[1].hold = true;
    let ended = |run| Pruning::Ended {
        run,
        gone: vec![key("10:01"), key("10:02")],
    };
    seen.pruning = ended(RunState::NoJob);
    let plan = decide(&seen, time("10:03:30"));
    let names: Vec<String> = plan.delete.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [backup_name("telemetry", time("10:01"))]);
    assert_eq!(plan.status.last_prune_time, Some(time("10:03:30")));

    seen.pruning = ended(RunState::EndedSilently(SilentEnd {
        reason: Reason::OutOfMemory,
        message: "it went".to_owned(),
        known_dead: true,
        never_ran: false,
    }));
    let plan = decide(&seen, time("10:03:30"));
    assert_eq!(plan.notes[0].reason, Reason::OutOfMemory);
}

#[test]
fn a_bucket_that_can_t_be_read_is_told_and_stops_nothing_else() {
    let mut seen = three();
    seen.pruning = Pruning::Blocked(StoreFault {
        reason: Reason::ManifestInvalid,
        message: "edited".to_owned(),
        retryable: false,
    });
    let plan = decide(&seen, time("10:04"));
    assert!(plan.create.is_some());
    assert_eq!(plan.notes[0].reason, Reason::ManifestInvalid);
    assert_eq!((plan.prune, plan.delete), (None, Vec::new()));
}

#[test]
fn failed_backups_are_kept_by_their_number() {
    let seen = with(
        noted(spec(), "10:03"),
        &[
            ("10:01", End::Failed),
            ("10:02", End::Failed),
            ("10:03", End::Failed),
        ],
    );
    let plan = decide(&seen, time("10:03:30"));
    let names: Vec<String> = plan.delete.into_iter().map(|(name, _)| name).collect();
    let wanted = ["10:01", "10:02"].map(|slot| backup_name("telemetry", time(slot)));
    assert_eq!(names, wanted);
}
