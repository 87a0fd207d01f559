use super::*;

#[test]
fn what_is_done_before_a_run() {
    let rows: [(&str, Change, &str, &str); 18] = [
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
            "no login",
            |s| s.missing_secret = Some("login".to_owned()),
            "wait",
            "SecretNotFound",
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
                });
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
