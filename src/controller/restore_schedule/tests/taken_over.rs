use super::*;

#[test]
fn each_success_counts_once() {
    let seen = seen()
        .with(1, -120, End::Complete)
        .with(2, -60, End::Complete)
        .next(Next::UpToDate);
    let seen = seen.looked(at(NOW));
    let status = seen.schedule.status.clone().unwrap();
    assert_eq!(status.replays, 2);
    assert_eq!(status.last_slot, Some(slot(2)));
    assert_eq!(
        status.last_manifest,
        Some(ManifestRef {
            path: head(2, true).path,
            sha256: head(2, true).sha256
        })
    );
    assert_eq!(
        status.last_consistency_time,
        Some(at("2026-11-20T10:02:00Z"))
    );
    assert_eq!(status.last_replay_time, Some(later(-55)));
    let again = seen.clone().looked(later(1)).schedule.status.unwrap();
    assert_eq!(again, status, "nothing is written where nothing changed");

    // The status was lost: the Restores tell it.
    let mut lost = seen;
    lost.schedule.status = None;
    assert_eq!(lost.looked(at(NOW)).schedule.status.unwrap(), status);
}

#[test]
fn an_earlier_slot_of_another_line_counts_and_the_old_ones_do_not_come_back() {
    let mut seen = seen().with(8, -120, End::Complete).looked(at(NOW));
    // The bucket was made anew, and the clock of the primary is behind.
    seen = seen.with(3, -60, End::Running).looked(at(NOW));
    assert_eq!(
        seen.schedule.status.as_ref().unwrap().last_slot,
        Some(slot(8))
    );
    seen.restores.pop();
    seen = seen.with(3, -60, End::Complete).looked(at(NOW));
    assert_eq!(
        seen.schedule.status.as_ref().unwrap().last_slot,
        Some(slot(3))
    );
    seen = seen.looked(later(5));
    let status = seen.schedule.status.unwrap();
    assert_eq!((status.last_slot, status.replays), (Some(slot(3)), 2));
}

#[test]
fn another_target_starts_from_nothing() {
    let mut seen = seen().with(1, -120, End::Complete).looked(at(NOW));
    seen.schedule.spec.template.spec = parameters("http://influxdb-c:8086");
    let seen = seen.looked(later(5));
    let status = seen.schedule.status.clone().unwrap();
    assert_eq!(
        (&status.last_slot, &status.last_consistency_time),
        (&None, &None)
    );
    assert_eq!(replayed(&status), None);
    // What was proven of the other one is not taken over again.
    assert_eq!(seen.looked(later(10)).schedule.status.unwrap().replays, 1);
}

#[test]
fn objectives_flip_at_their_time() {
    let seen = seen().with(9, -50, End::Complete).next(Next::UpToDate);
    for (seconds, state, requeue) in [
        // Consistent at 10:09, so the two minutes are over at 10:11.
        (0, "True ObjectiveMet", 5_000),
        (57, "True ObjectiveMet", 3_000),
        (60, "False ObjectiveMissed", 5_000),
    ] {
        let plan = decide(&seen, later(seconds));
        assert_eq!(condition(&plan, types::RPO_MET), state, "{seconds}");
        assert_eq!(
            plan.requeue,
            Some(Duration::from_millis(requeue)),
            "{seconds}"
        );
        assert_eq!(condition(&plan, types::RTO_MET), "True ObjectiveMet");
    }
    let mut slow = seen.clone();
    slow.restores[0].status.as_mut().unwrap().rto_seconds = Some(61);
    assert_eq!(
        condition(&decide(&slow, at(NOW)), types::RTO_MET),
        "False ObjectiveMissed"
    );
    let mut none = seen;
    none.schedule.spec.objectives = None;
    let plan = decide(&none, at(NOW));
    assert_eq!(condition(&plan, types::RPO_MET), "Unknown NoObjective");
    assert_eq!(condition(&plan, types::RTO_MET), "Unknown NoObjective");
    let plan = decide(&super::seen(), at(NOW));
    assert_eq!(condition(&plan, types::RPO_MET), "False NothingYet");
}

#[test]
fn history_is_kept_to_its_limit() {
    let failed = End::Failed(Reason::TargetBusy);
    let names =
        |plan: &Plan| -> Vec<String> { plan.delete.iter().map(|(_, uid)| uid.clone()).collect() };
    let mut seen = seen()
        .with(1, -120, End::Complete)
        .with(2, -90, failed)
        .with(2, -60, End::Complete)
        .with(3, -30, End::Running);
    seen.schedule.spec.history_limit = Some(1);
    assert_eq!(names(&decide(&seen, at(NOW))), ["uid-1-1", "uid-2-1"]);
    seen.schedule.spec.history_limit = None;
    assert_eq!(names(&decide(&seen, at(NOW))), Vec::<String>::new());

    // Failures are counted by what is there, so they are kept; and so is the last success.
    let mut seen = super::seen().with(1, -1200, End::Complete);
    for n in 0..10 {
        seen = seen.with(2, -1100 + n, failed);
    }
    seen.schedule.spec.history_limit = Some(1);
    assert_eq!(names(&decide(&seen, at(NOW))), ["uid-2-1", "uid-2-2"]);
    assert_eq!(
        made(&decide(&seen.next(Next::Window(head(2, false))), at(NOW)))
            .unwrap()
            .0,
        format!("standby-{}-11", slot(2))
    );
}
