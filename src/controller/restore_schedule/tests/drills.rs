use super::*;

#[test]
fn drills_come_at_their_times_one_at_a_time() {
    let seen = drill(Some("1h"), None).looked(later(-3600));
    let status = seen.schedule.status.clone().unwrap();
    assert_eq!(status.next_slot_time, Some(at("2026-11-20T10:00:00Z")));
    let plan = decide(&seen, at(NOW));
    check(&plan, "due");
    let restore = plan.create.clone().unwrap();
    assert_eq!(
        restore.metadata.name.as_deref(),
        Some("standby-20261120t100000z")
    );
    assert!(restore.spec.drill);
    assert_eq!(
        restore.spec.source.latest,
        Some(seen.schedule.spec.source.clone())
    );
    assert_eq!(plan.status.last_slot_time, Some(at("2026-11-20T10:00:00Z")));

    // It runs past the next slot, which waits for it.
    let mut seen = seen;
    seen.schedule.status = Some(plan.status);
    let mut running: Restore = *restore;
    running.metadata.creation_timestamp = Some(Time(at(NOW)));
    seen.restores = vec![running];
    let plan = decide(&seen, later(3600));
    assert_eq!(plan.create, None);
    assert_eq!(plan.status.last_slot_time, Some(at("2026-11-20T10:00:00Z")));
    assert_eq!(plan.requeue, Some(Duration::from_secs(5)));
    seen.restores.clear();
    let plan = decide(&seen, later(3600));
    let name = plan.create.unwrap().metadata.name;
    assert_eq!(name.as_deref(), Some("standby-20261120t110000z"));
}

#[test]
fn an_edited_or_resumed_drill_never_fires_for_the_past() {
    let seen = drill(None, Some("0 3 * * *")).looked(later(-3600));
    for change in [
        |seen: &mut Observed| seen.schedule.spec.cron = Some("5 10 * * *".to_owned()),
        |seen: &mut Observed| {
            seen.schedule.spec.suspend = true;
            let now = later(-300);
            seen.schedule.spec.cron = Some("9 10 * * *".to_owned());
            seen.schedule.status = Some(decide(seen, now).status);
            seen.schedule.spec.suspend = false;
        },
    ] {
        let mut seen = seen.clone();
        change(&mut seen);
        let plan = decide(&seen, at(NOW));
        assert_eq!(plan.create, None);
        assert!(plan.status.next_slot_time.unwrap() > later(80_000));
    }
}

#[test]
fn times_that_can_not_be_read_are_told() {
    for (seen, reason) in [
        (drill(None, Some("61 * * * *")), "InvalidCron"),
        (drill(Some("0s"), None), "InvalidSpec"),
        (drill(None, None), "InvalidSpec"),
    ] {
        let plan = decide(&seen, at(NOW));
        check(&plan, reason);
        assert_eq!(condition(&plan, types::READY), format!("False {reason}"));
        assert_eq!(condition(&plan, types::STALLED), format!("True {reason}"));
        assert_eq!(plan.create, None);
    }
    let plan = restore_refused(&seen(), "spec.target: no", at(NOW));
    assert_eq!(condition(&plan, types::STALLED), "True InvalidSpec");
    assert_eq!(plan.requeue, Some(Duration::from_secs(60)));
}
