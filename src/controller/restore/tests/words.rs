use super::*;

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
fn a_vendors_dump_is_told_of_by_its_place() {
    let mut seen = with_run(by_word(RunResult::Imported(Imported {
        consistency_time: None,
        verified: Verify::Counts,
        totals: Totals::default(),
        refused_records: 0,
        expired_records: 0,
    })));
    seen.restore.spec.source = serde_json::from_value(serde_json::json!({
        "vendorDump": {"storage": {"name": "dr-bucket"}, "path": "dumps/kuzzle"},
    }))
    .unwrap();
    let status = decide(&seen, later(300)).status;
    assert_eq!(status.consistency_time, None);
    let message = &status.conditions[0].message;
    for part in ["dumps/kuzzle in dr-bucket", "does not say of when it is"] {
        assert!(message.contains(part), "{message}");
    }
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
fn only_a_further_attempt_of_a_drill_drops_what_is_there() {
    for (drill, attempt, again) in [
        (true, 1, false),
        (true, 2, true),
        (true, 3, true),
        (false, 1, false),
        (false, 2, false),
    ] {
        let mut seen = seen();
        seen.restore.spec.drill = drill;
        let order = order::import(
            &seen,
            &StorageLocationSpec::default(),
            &[],
            attempt,
            at(CREATED),
        );
        let Order::Import(order) = order else {
            panic!("an import")
        };
        assert_eq!(order.drill_again, again, "{drill} {attempt}");
    }
}

#[test]
fn a_drill_has_names_of_its_own() {
    let mut seen = seen();
    seen.restore.spec.drill = true;
    let storage = StorageLocationSpec::default();
    let Order::Import(order) = order::import(&seen, &storage, &[manifest()], 1, later(0)) else {
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
        ("influxdb-b:8086", Some("influxdb/influxdb-b:8086")),
        ("", None),
    ] {
        assert_eq!(lease::normalised(&target(url)).as_deref(), name, "{url}");
    }
}
