use super::*;

#[test]
fn promotion_is_a_latch_and_waits_for_the_last_import() {
    let chain = vec![head(3, true)];
    let mut seen = seen()
        .with(1, -120, End::Complete)
        .with(2, -60, End::Running)
        .next(Next::Reseed(chain));
    seen.schedule.spec.promoted = true;
    let plan = decide(&seen, at(NOW));
    check(&plan, "an import is under way");
    assert_eq!(made(&plan), None);
    assert_eq!(condition(&plan, types::PROMOTED), "False Fencing");
    assert_eq!(condition(&plan, types::READY), "False Fencing");
    assert_eq!(plan.status.promotion_requested_time, Some(at(NOW)));
    assert_eq!(plan.status.promoted_time, None);

    // A tool sets it back: the latch holds.
    seen.schedule.status = Some(plan.status);
    seen.schedule.spec.promoted = false;
    let plan = decide(&seen, later(5));
    assert_eq!(condition(&plan, types::PROMOTED), "False Fencing");

    // The last import is over; what it proved counts.
    seen.restores.pop();
    let mut seen = seen.with(2, -60, End::Complete);
    seen.target = TargetLease::Busy {
        holder: "iot/gone".to_owned(),
        until: later(100),
    };
    let plan = decide(&seen, later(10));
    assert_eq!(
        condition(&plan, types::PROMOTED),
        "False Fencing",
        "a lease is held"
    );
    seen.target = TargetLease::Free;
    let plan = decide(&seen, later(15));
    check(&plan, "promoted");
    assert_eq!(condition(&plan, types::PROMOTED), "True Promoted");
    assert_eq!(condition(&plan, types::READY), "True Promoted");
    assert_eq!(condition(&plan, types::RPO_MET), "Unknown Promoted");
    assert_eq!(plan.status.last_slot, Some(slot(2)));
    assert_eq!(plan.status.promotion_requested_time, Some(at(NOW)));
    assert_eq!(plan.status.promoted_time, Some(later(15)));
    assert!(plan.note.is_some());
    assert_eq!((made(&plan), plan.requeue), (None, None));

    // For good, whatever a person restores later.
    seen.schedule.status = Some(plan.status);
    seen.target = TargetLease::Busy {
        holder: "iot/by-hand".to_owned(),
        until: later(100),
    };
    let plan = decide(&seen, later(20));
    assert_eq!(condition(&plan, types::PROMOTED), "True Promoted");
    assert_eq!(plan.note, None);
}
