// The tables are long by their nature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::needless_pass_by_value
)]

use serde_json::{Value, json};

use super::super::state::{Child, Pruning};
use super::*;
use crate::api::conditions::{is_true, types};
use crate::api::{Backup, BackupSchedule, BackupScheduleSpec, labels};
use crate::controller::run_state::RunState;
use crate::controller::run_state::SilentEnd;
use crate::retention::{Chain, Item};
use crate::schedule::{backup_name, slot_name};

mod pruning;
mod replicating;

/// The schedule is made at T0.
const T0: &str = "2026-11-20T10:00:30Z";

fn time(text: &str) -> Timestamp {
    let full = if text.len() == 5 {
        format!("2026-11-20T{text}:00Z")
    } else {
        format!("2026-11-20T{text}Z")
    };
    full.parse().unwrap()
}

/// A schedule with this spec beside its template and this status.
fn seen(mut spec: Value, status: Value) -> Observed {
    spec["template"] = json!({"spec": {
        "source": {"influxdb": {"url": "http://influxdb:8086"}},
        "storage": {"name": "dr-bucket"},
    }});
    let schedule: BackupSchedule = serde_json::from_value(json!({
        "apiVersion": "lifeboat.dev/v1alpha1", "kind": "BackupSchedule",
        "metadata": {"name": "telemetry", "namespace": "iot", "uid": "s-1", "generation": 1, "creationTimestamp": T0},
        "spec": spec,
        "status": status,
    }))
    .unwrap();
    Observed {
        schedule,
        namespace: "iot".to_owned(),
        cluster: "prod".to_owned(),
        cluster_uid: "c-1".to_owned(),
        backups: Vec::new(),
        gate: Gate::Open,
        newest: None,
        pruning: Pruning::NotDue,
        replicas: Vec::new(),
    }
}

fn minutely() -> Value {
    json!({"every": "1m"})
}

/// A schedule whose slots up to `last` are noted down.
fn noted(spec: Value, last: &str) -> Observed {
    let mut seen = seen(spec, Value::Null);
    seen.schedule.status = Some(decide(&seen, time("10:00:31")).status);
    let status = seen.schedule.status.as_mut().unwrap();
    status.last_slot_time = Some(time(last));
    status.last_trigger = None;
    status.active.clear();
    seen
}

fn backup(slot: &str, end: End) -> Child {
    let backup = child::of_slot(
        &BackupSchedule::new("telemetry", BackupScheduleSpec::default()),
        time(slot),
    );
    Child {
        uid: format!("uid-{slot}"),
        end,
        completed: (end != End::Active).then(|| time(slot)),
        consistency: (end == End::Complete).then(|| time(slot)),
        slot_name: Some(slot_name(time(slot))),
        ..Child::of(&backup)
    }
}

fn with(mut seen: Observed, backups: &[(&str, End)]) -> Observed {
    seen.backups = backups
        .iter()
        .map(|(slot, end)| backup(slot, *end))
        .collect();
    seen
}

fn state<'a>(plan: &'a Plan, type_: &str) -> (&'a str, &'a str) {
    let list = &plan.status.conditions;
    let found = list.iter().find(|c| c.type_ == type_).unwrap();
    (&found.status, &found.reason)
}

#[test]
fn which_slot_runs() {
    let done = [("10:01", End::Complete)];
    let busy = [("10:01", End::Active)];
    let missed_deadline = || noted(json!({"every": "1m", "startingDeadline": "20s"}), "10:01");
    // what, observed, now, the slot that is run, last slot, missed
    let cases: Vec<(&str, Observed, &str, Option<&str>, Option<&str>, u64)> = vec![
        (
            "new, no slot yet",
            seen(minutely(), Value::Null),
            "10:00:59",
            None,
            None,
            0,
        ),
        (
            "the first slot",
            seen(minutely(), Value::Null),
            "10:01",
            Some("10:01"),
            Some("10:01"),
            0,
        ),
        (
            "nothing is due",
            with(noted(minutely(), "10:01"), &done),
            "10:01:59",
            None,
            Some("10:01"),
            0,
        ),
        (
            "the next slot",
            with(noted(minutely(), "10:01"), &done),
            "10:02",
            Some("10:02"),
            Some("10:02"),
            0,
        ),
        (
            "the one before still runs",
            with(noted(minutely(), "10:01"), &busy),
            "10:02",
            None,
            Some("10:01"),
            0,
        ),
        (
            "a day away",
            with(noted(json!({"every": "1h"}), "10:00"), &[]),
            "20:00",
            Some("20:00"),
            Some("20:00"),
            9,
        ),
        (
            "two slots while one ran",
            with(noted(minutely(), "10:01"), &done),
            "10:03:10",
            Some("10:03"),
            Some("10:03"),
            1,
        ),
        (
            "too late to start",
            missed_deadline(),
            "10:02:30",
            None,
            Some("10:02"),
            1,
        ),
        (
            "late, but in time",
            missed_deadline(),
            "10:02:20",
            Some("10:02"),
            Some("10:02"),
            0,
        ),
        (
            "made and not noted",
            with(noted(minutely(), "10:01"), &[("10:02", End::Active)]),
            "10:02:05",
            None,
            Some("10:02"),
            0,
        ),
        (
            "made, not noted, past its deadline",
            with(missed_deadline(), &[("10:02", End::Active)]),
            "10:02:40",
            None,
            Some("10:02"),
            0,
        ),
        (
            "two made and not noted",
            with(
                noted(minutely(), "10:01"),
                &[("10:02", End::Complete), ("10:03", End::Complete)],
            ),
            "10:03:05",
            None,
            Some("10:03"),
            0,
        ),
        (
            "suspended",
            noted(json!({"every": "1m", "suspend": true}), "10:01"),
            "10:05",
            None,
            Some("10:01"),
            0,
        ),
    ];
    for (what, seen, now, slot, last, missed) in cases {
        let plan = decide(&seen, time(now));
        let made = plan.create.as_ref().map(|backup| backup.name_any());
        let wanted = slot.map(|slot| backup_name("telemetry", time(slot)));
        assert_eq!(made, wanted, "{what}");
        assert_eq!(plan.status.last_slot_time, last.map(time), "{what}");
        assert_eq!(plan.status.missed_slots, missed, "{what}");
        let told = plan
            .notes
            .iter()
            .any(|note| note.reason == Reason::SlotsMissed);
        assert_eq!(told, missed > 0, "{what}");
        if let Some(backup) = plan.create {
            assert_eq!(plan.status.active, [backup.name_any()], "{what}");
            assert_eq!(backup.metadata.owner_references, None, "{what}");
            assert_eq!(backup.labels()[labels::SCHEDULE_UID], "s-1", "{what}");
        }
    }
}

#[test]
fn slots_that_waited_run_in_their_order_within_the_deadline() {
    let spec = |deadline: &str| json!({"every": "1m", "startingDeadline": deadline});
    // The Backup of 10:01 ends at this time; what is run next, and how many are missed.
    let after = |deadline: &str, ended: &str, now: &str| {
        let mut seen = with(noted(spec(deadline), "10:01"), &[("10:01", End::Complete)]);
        seen.backups[0].completed = Some(time(ended));
        let plan = decide(&seen, time(now));
        (
            plan.create.map(|backup| backup.name_any()),
            plan.status.missed_slots,
        )
    };
    let run = |slot: &str| Some(backup_name("telemetry", time(slot)));
    let cases = [
        (
            "it ran over two slots",
            "4m",
            "10:03:10",
            "10:03:10",
            run("10:02"),
            0,
        ),
        (
            "the oldest is too late",
            "90s",
            "10:04:10",
            "10:04:10",
            run("10:03"),
            1,
        ),
        (
            "the controller was away since",
            "4m",
            "10:01:40",
            "10:05:10",
            run("10:05"),
            3,
        ),
        (
            "it was away after one had waited",
            "4m",
            "10:02:10",
            "10:05:10",
            run("10:02"),
            0,
        ),
        ("nothing waited", "4m", "10:01:40", "10:02", run("10:02"), 0),
    ];
    for (what, deadline, ended, now, slot, missed) in cases {
        assert_eq!(after(deadline, ended, now), (slot, missed), "{what}");
    }
    // The second of two that waited: its predecessor started late and has ended since.
    let mut seen = with(
        noted(spec("4m"), "10:02"),
        &[("10:01", End::Complete), ("10:02", End::Complete)],
    );
    seen.backups[1].completed = Some(time("10:04:05"));
    let plan = decide(&seen, time("10:04:06"));
    assert_eq!(plan.create.map(|backup| backup.name_any()), run("10:03"));
}

#[test]
fn a_schedule_never_fires_for_the_time_before_it_was_changed() {
    let since = |seen: &Observed, now| decide(seen, time(now)).status.timing_since;
    let fresh = seen(minutely(), Value::Null);
    assert_eq!(since(&fresh, "10:00:40"), Some(T0.parse().unwrap()));
    // Edited at a moment when the new cron's slot has just passed.
    let mut edited = noted(minutely(), "10:01");
    edited.schedule.spec.every = Some("5m".into());
    let plan = decide(&edited, time("10:05:10"));
    assert!(plan.create.is_none());
    assert_eq!(plan.status.timing_since, Some(time("10:05:10")));
    assert_eq!(plan.status.missed_slots, 0);
    assert_eq!(plan.status.next_slot_time, Some(time("10:10")));
    // Suspended for a while.
    let mut paused = noted(json!({"every": "1m", "suspend": true}), "10:01");
    paused.schedule.status = Some(decide(&paused, time("10:02")).status);
    paused.schedule.spec.suspend = false;
    let plan = decide(&paused, time("10:09:30"));
    assert!(plan.create.is_none());
    assert_eq!(plan.status.missed_slots, 0);
    assert_eq!(plan.status.next_slot_time, Some(time("10:10")));
}

#[test]
fn a_standby_waits_for_its_promotion() {
    let mut standby = seen(
        json!({"every": "1m", "objectives": {"rpo": "5m"}, "trigger": "now"}),
        Value::Null,
    );
    standby.gate = Gate::Closed("telemetry-standby".to_owned());
    let plan = decide(&standby, time("10:20"));
    assert!(plan.create.is_none());
    assert_eq!(state(&plan, types::READY), ("True", "WaitingForPromotion"));
    assert_eq!(
        state(&plan, types::RPO_MET),
        ("Unknown", "WaitingForPromotion")
    );
    assert!(plan.requeue.is_some(), "the promotion is looked for");

    standby.schedule.status = Some(plan.status);
    standby.gate = Gate::Open;
    let plan = decide(&standby, time("10:20:10"));
    // The trigger runs at once: the new primary has a backup.
    assert!(plan.create.unwrap().name_any().contains("manual"));
    assert_eq!(plan.status.next_slot_time, Some(time("10:21")));
    assert_eq!(plan.status.timing_since, Some(time("10:20:10")));
}

#[test]
fn a_trigger_runs_once_and_in_its_place() {
    let spec = || json!({"every": "1m", "trigger": "before-upgrade"});
    let made = |seen: &Observed, now| decide(seen, time(now)).create;
    let slot_of = |backup: &Backup| backup.annotations()[labels::SLOT].clone();

    let manual = made(&noted(spec(), "10:01"), "10:01:20").unwrap();
    assert_eq!(slot_of(&manual), "2026-11-20T10:01:20Z");
    assert_eq!(manual.annotations()[labels::TRIGGER], "before-upgrade");

    // At the moment of a slot the slot goes first, and the trigger after it has ended.
    let both = noted(spec(), "10:01");
    assert!(!made(&both, "10:02").unwrap().name_any().contains("manual"));
    let after = with(noted(spec(), "10:02"), &[("10:02", End::Active)]);
    assert!(made(&after, "10:02").is_none());
    let after = with(noted(spec(), "10:02"), &[("10:02", End::Complete)]);
    assert_eq!(
        slot_of(&made(&after, "10:02").unwrap()),
        "2026-11-20T10:02:01Z"
    );

    let mut suspended = noted(spec(), "10:01");
    suspended.schedule.spec.suspend = true;
    let plan = decide(&suspended, time("10:05"));
    assert!(plan.create.is_some());
    suspended.schedule.status = Some(plan.status);
    assert!(made(&suspended, "10:06").is_none(), "only once");
}

#[test]
fn the_objective_flips_when_its_time_comes() {
    let spec = |every: &str| json!({"every": every, "objectives": {"rpo": "5m"}});
    let none = noted(spec("1h"), "10:00");
    let done = with(noted(spec("1h"), "10:00"), &[("10:01", End::Complete)]);
    // what, observed, now, RPOMet, its reason, seconds until the next look
    let cases = [
        ("nothing yet", &none, "10:05:29", "Unknown", "NothingYet", 1),
        (
            "nothing, too long",
            &none,
            "10:05:30",
            "False",
            "ObjectiveMissed",
            3270,
        ),
        ("young enough", &done, "10:05:59", "True", "ObjectiveMet", 1),
        ("too old", &done, "10:06", "False", "ObjectiveMissed", 3240),
    ];
    for (what, seen, now, met, reason, wait) in cases {
        let plan = decide(seen, time(now));
        assert_eq!(state(&plan, types::RPO_MET), (met, reason), "{what}");
        assert_eq!(plan.requeue.unwrap().as_secs(), wait, "{what}");
    }
    // The objects may go; what was reached stays.
    let mut later = done.clone();
    later.schedule.status = Some(decide(&done, time("10:02")).status);
    later.backups.clear();
    let plan = decide(&later, time("10:03"));
    assert_eq!(state(&plan, types::RPO_MET), ("True", "ObjectiveMet"));
}

#[test]
fn what_is_wrong_is_said_on_the_schedule() {
    let cases = [
        (json!({"cron": "61 * * * *"}), "InvalidCron"),
        (
            json!({"cron": "0 1 * * *", "timeZone": "Mars/Olympus"}),
            "UnknownTimeZone",
        ),
        (json!({"every": "0s"}), "InvalidSpec"),
        (json!({"every": "1m", "jitter": "soon"}), "InvalidSpec"),
        (
            json!({"every": "1m", "retention": {"keepWithin": "soon"}}),
            "InvalidSpec",
        ),
    ];
    for (spec, reason) in cases {
        let plan = decide(&seen(spec, Value::Null), time("10:10"));
        assert_eq!(state(&plan, types::READY), ("False", reason));
        assert!(is_true(&plan.status.conditions, types::STALLED), "{reason}");
        assert_eq!((plan.create, plan.requeue), (None, None));
    }
    let says = |mut child: Child, reason: &str| {
        child.word = Some((reason.to_owned(), "see here".to_owned()));
        child
    };
    let failed = || says(backup("10:01", End::Failed), "DatabaseUnreachable");
    let well = || says(backup("10:02", End::Active), "Running");
    let stuck = || says(backup("10:02", End::Active), "SecretNotFound");
    let done = || backup("10:02", End::Complete);
    let cases = [
        (vec![failed()], "False", "DatabaseUnreachable"),
        (vec![failed(), well()], "False", "DatabaseUnreachable"),
        (vec![failed(), stuck()], "False", "SecretNotFound"),
        (vec![failed(), done()], "True", "Succeeded"),
        (vec![], "True", "Succeeded"),
    ];
    for (backups, ready, reason) in cases {
        let mut seen = noted(minutely(), "10:02");
        seen.backups = backups;
        let plan = decide(&seen, time("10:02:10"));
        assert_eq!(state(&plan, types::READY), (ready, reason));
        assert!(!is_true(&plan.status.conditions, types::STALLED));
    }
}

#[test]
fn a_slot_that_waits_becomes_overdue() {
    let seen = with(noted(minutely(), "10:01"), &[("10:01", End::Active)]);
    let plan = decide(&seen, time("10:02:10"));
    assert_eq!(state(&plan, types::OVERDUE).0, "False");
    assert_eq!(plan.requeue.unwrap().as_secs(), 50);
    // By 10:03 another slot is the newest; that one has not waited long.
    let slow = with(
        noted(json!({"every": "5m"}), "10:00"),
        &[("10:00", End::Active)],
    );
    let plan = decide(&slow, time("10:06"));
    assert_eq!(state(&plan, types::OVERDUE), ("True", "SlotsMissed"));
}

#[test]
fn a_clock_that_was_set_back_fires_nothing() {
    let plan = decide(&noted(minutely(), "11:00"), time("10:30"));
    assert!(plan.create.is_none());
    assert_eq!(state(&plan, types::READY), ("False", "ClockSkew"));
}

#[test]
fn nothing_is_written_when_nothing_happened() {
    let mut seen = with(noted(minutely(), "10:01"), &[("10:01", End::Complete)]);
    seen.schedule.status = Some(decide(&seen, time("10:01:10")).status);
    let plan = decide(&seen, time("10:01:50"));
    assert_eq!(Some(plan.status), seen.schedule.status);
    assert_eq!(plan.notes, []);
}

#[test]
fn a_refused_backup_is_a_missed_slot() {
    let seen = noted(minutely(), "10:01");
    let plan = decide(&seen, time("10:02"));
    let plan = refused(&seen, plan, "exceeded quota", time("10:02"));
    assert_eq!(plan.create, None);
    assert_eq!(plan.status.missed_slots, 1);
    assert_eq!(plan.status.last_slot_time, Some(time("10:02")));
    assert!(plan.status.active.is_empty());
    assert_eq!(state(&plan, types::READY), ("False", "BackupRefused"));
    assert!(plan.requeue.is_some());
}
