use super::*;
use crate::api::quiesce::{HeldWorkload, Quiesce, QuiesceStatus, Workload};
use crate::controller::restore::quiesce::{Quieten, Record, Seen};

fn workload(name: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        ..Workload::default()
    }
}

/// A workload that is held, at zero, without a pod.
fn quiet(name: &str) -> Seen {
    Seen {
        workload: workload(name),
        replicas: Some(0),
        pods: 0,
        autoscaler: None,
        record: Record::Held(2),
    }
}

fn with(workloads: Vec<Seen>) -> Observed {
    let mut seen = seen();
    seen.restore.spec.parameters.quiesce = Some(Quiesce {
        workloads: workloads.iter().map(|it| it.workload.clone()).collect(),
        timeout: Some("2m".into()),
    });
    seen.workloads = Ok(workloads);
    seen
}

#[test]
fn what_workloads_ask_for_before_an_import() {
    let other = || Record::Other("iot/first".to_owned());
    for (name, change, wanted, step) in [
        ("quiet", (|_: &mut Seen| ()) as fn(&mut Seen), "start", None),
        (
            "not held",
            |it| it.record = Record::Free,
            "wait Quiescing",
            Some(Quieten::Claim),
        ),
        (
            "held by half",
            |it| it.record = Record::Claimed,
            "wait Quiescing",
            Some(Quieten::Claim),
        ),
        (
            "given back, and now it goes on",
            |it| it.record = Record::GivenBack(2),
            "wait Quiescing",
            Some(Quieten::Claim),
        ),
        (
            "up",
            |it| it.replicas = Some(1),
            "wait Quiescing",
            Some(Quieten::ScaleDown),
        ),
        (
            "pods",
            |it| it.pods = 1,
            "wait Quiescing",
            Some(Quieten::Wait),
        ),
        (
            "gone",
            |it| it.replicas = None,
            "wait WorkloadNotFound",
            None,
        ),
        (
            "autoscaled",
            |it| it.autoscaler = Some("hpa".to_owned()),
            "failed WorkloadAutoscaled",
            None,
        ),
    ] {
        let mut second = quiet("plugin");
        change(&mut second);
        let plan = decide(&with(vec![quiet("kuzzle"), second]), later(1));
        let (word, reason) = verdict(&plan);
        let found = if word == "start" {
            word.to_owned()
        } else {
            format!("{word} {reason}")
        };
        assert_eq!((found.as_str(), plan.quieten), (wanted, step), "{name}");
    }
    let mut busy = quiet("kuzzle");
    busy.record = other();
    let plan = decide(&with(vec![busy]), later(1));
    assert_eq!(verdict(&plan), ("wait", "WorkloadBusy".to_owned()));
    let mut forbidden = with(vec![]);
    forbidden.workloads = Err(Problem::new(Reason::WorkloadForbidden, "no right"));
    let plan = decide(&forbidden, later(1));
    assert_eq!(verdict(&plan), ("wait", "WorkloadForbidden".to_owned()));
}

#[test]
fn their_time_begins_again_with_each_attempt() {
    let mut up = quiet("kuzzle");
    up.pods = 1;
    let mut seen = with(vec![up]);
    let began = QuiesceStatus {
        start_time: later(0),
        workloads: vec![HeldWorkload {
            workload: workload("kuzzle"),
            replicas: 2,
        }],
        ..QuiesceStatus::default()
    };
    for (quiet_time, now, word) in [
        (None, 119, "wait"),
        (None, 120, "failed"),
        (Some(later(5)), 300, "wait"),
    ] {
        seen.restore.status = Some(RestoreStatus {
            manifests: vec![manifest()],
            quiesce: Some(QuiesceStatus {
                quiet_time,
                ..began.clone()
            }),
            ..RestoreStatus::default()
        });
        let plan = decide(&seen, later(now));
        assert_eq!(verdict(&plan).0, word, "{quiet_time:?} {now}");
        assert_eq!(plan.scale_back, word == "failed");
    }
}

#[test]
fn quiet_has_a_phase_of_its_own() {
    let mut seen = with_run(imported());
    seen.restore.status.as_mut().unwrap().quiesce = Some(QuiesceStatus {
        start_time: later(1),
        quiet_time: Some(later(4)),
        ..QuiesceStatus::default()
    });
    let plan = decide(&seen, later(40));
    let phases = &plan.status.phases;
    let names: Vec<_> = phases.iter().map(|phase| &*phase.name).collect();
    assert_eq!(names, ["wait", "quiesce", "import"]);
    assert_eq!(phases[0].end_time, Some(later(1)));
    assert!(plan.scale_back);
}

#[test]
fn what_came_back_is_written_before_anything_is_given_back() {
    let mut seen = with_run(imported());
    seen.restore.status.as_mut().unwrap().quiesce = Some(QuiesceStatus::default());
    seen.came_back = Some("Deployment kuzzle".to_owned());
    let plan = decide(&seen, later(40));
    assert_eq!(verdict(&plan), ("wait", "WorkloadCameBack".to_owned()));
    assert!(!plan.scale_back);
    seen.restore.status = Some(plan.status);
    seen.came_back = None;
    let plan = decide(&seen, later(41));
    assert_eq!(verdict(&plan), ("failed", "WorkloadCameBack".to_owned()));
    assert!(plan.scale_back);

    // While it runs, the run is stopped, and how it ended says no more.
    let mut seen = with_run(RunState::Running);
    seen.restore.status.as_mut().unwrap().quiesce = Some(QuiesceStatus::default());
    seen.came_back = Some("Deployment kuzzle".to_owned());
    let plan = decide(&seen, later(40));
    assert_eq!(verdict(&plan), ("stop", "WorkloadCameBack".to_owned()));
    let mut after = with_run(silent(true));
    after.restore.status = Some(plan.status);
    let plan = decide(&after, later(50));
    assert_eq!(verdict(&plan), ("failed", "WorkloadCameBack".to_owned()));
}
