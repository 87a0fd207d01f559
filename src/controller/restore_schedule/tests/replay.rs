use super::*;

type Made = Option<(String, ChainScope)>;

#[test]
fn what_is_replayed() {
    use ChainScope::{Chain, Window};
    let chain = || vec![head(0, true), head(1, false), head(2, false)];
    let name = |minute: u32, more: &str| format!("standby-{}{more}", slot(minute));
    let corrupt = End::Failed(Reason::DataCorrupt);
    let busy = End::Failed(Reason::TargetBusy);
    let blocked = |mut seen: Observed| {
        seen.bucket = Bucket::Blocked(Problem::new(Reason::AccessDenied, "give it"));
        seen
    };
    let suspended = |mut seen: Observed| {
        seen.schedule.spec.suspend = true;
        seen
    };
    let rows: Vec<(&str, Observed, Made, &str, &str)> = vec![
        (
            "an empty bucket",
            seen(),
            None,
            "False NothingYet",
            "Unknown NothingYet",
        ),
        (
            "no way to the bucket",
            blocked(seen()),
            None,
            "False AccessDenied",
            "Unknown AccessDenied",
        ),
        (
            "the first one",
            seen().next(Next::Reseed(chain())),
            Some((name(2, ""), Chain)),
            "False Running",
            "False ReplayPending",
        ),
        (
            "a full one",
            seen().next(Next::Full(head(3, true))),
            Some((name(3, ""), Chain)),
            "False Running",
            "False ReplayPending",
        ),
        (
            "a window",
            seen()
                .with(1, -60, End::Complete)
                .next(Next::Window(head(2, false))),
            Some((name(2, ""), Window)),
            "True Succeeded",
            "False ReplayPending",
        ),
        (
            "nothing newer",
            seen().with(1, -60, End::Complete).next(Next::UpToDate),
            None,
            "True Succeeded",
            "True Succeeded",
        ),
        (
            "one at a time",
            seen()
                .with(1, -60, End::Complete)
                .with(2, -5, End::Running)
                .next(Next::Window(head(2, false))),
            None,
            "True Succeeded",
            "False ReplayPending",
        ),
        (
            "a broken chain",
            seen()
                .with(1, -60, End::Complete)
                .next(Next::Broken(ChainError::NotFound { slot: slot(9) })),
            None,
            "False ChainBroken",
            "False ReplayPending",
        ),
        (
            "suspended",
            suspended(
                seen()
                    .with(1, -60, End::Complete)
                    .next(Next::Window(head(2, false))),
            ),
            None,
            "True Suspended",
            "False ReplayPending",
        ),
        (
            "failed just now",
            seen()
                .with(1, -60, End::Complete)
                .with(2, -19, busy)
                .next(Next::Window(head(2, false))),
            None,
            "False TargetBusy",
            "False ReplayPending",
        ),
        (
            "failed a while ago",
            seen()
                .with(1, -60, End::Complete)
                .with(2, -20, busy)
                .next(Next::Window(head(2, false))),
            Some((name(2, "-2"), Window)),
            "False TargetBusy",
            "False ReplayPending",
        ),
        (
            "failed twice",
            seen()
                .with(2, -70, busy)
                .with(2, -34, busy)
                .next(Next::Window(head(2, false))),
            None,
            "False TargetBusy",
            "False ReplayPending",
        ),
        (
            "failed twice, a while ago",
            seen()
                .with(2, -70, busy)
                .with(2, -35, busy)
                .next(Next::Window(head(2, false))),
            Some((name(2, "-3"), Window)),
            "False TargetBusy",
            "False ReplayPending",
        ),
        (
            "failed and gone on",
            seen()
                .with(2, -70, busy)
                .with(2, -35, End::Complete)
                .next(Next::Window(head(3, false))),
            Some((name(3, ""), Window)),
            "True Succeeded",
            "False ReplayPending",
        ),
        (
            "can't be restored",
            seen()
                .with(1, -60, End::Complete)
                .with(2, -20, corrupt)
                .next(Next::Reseed(vec![head(3, true)])),
            Some((name(3, ""), Chain)),
            "False DataCorrupt",
            "False ReplayPending",
        ),
    ];
    for (row, seen, wanted, ready, in_sync) in rows {
        let plan = decide(&seen, at(NOW));
        check(&plan, row);
        assert_eq!(made(&plan), wanted, "{row}");
        assert_eq!(condition(&plan, types::READY), ready, "{row}");
        assert_eq!(condition(&plan, types::IN_SYNC), in_sync, "{row}");
        assert_eq!(
            condition(&plan, types::PROMOTED),
            "False NothingYet",
            "{row}"
        );
    }
}

#[test]
fn when_the_newest_chain_is_replayed_instead() {
    let busy = End::Failed(Reason::TargetBusy);
    for (row, seen, wanted) in vec![
        ("none", seen(), false),
        ("once", seen().with(2, -90, busy), false),
        ("twice", seen().with(2, -90, busy).with(2, -60, busy), false),
        (
            "three times",
            seen()
                .with(2, -90, busy)
                .with(2, -60, busy)
                .with(2, -30, busy),
            true,
        ),
        (
            "gone on since",
            seen()
                .with(2, -90, busy)
                .with(2, -60, busy)
                .with(2, -30, busy)
                .with(3, -10, End::Complete),
            false,
        ),
        (
            "while the next runs",
            seen()
                .with(2, -90, busy)
                .with(2, -60, busy)
                .with(2, -30, busy)
                .with(3, -10, End::Running),
            true,
        ),
        (
            "it can never be",
            seen().with(2, -90, End::Failed(Reason::DataCorrupt)),
            true,
        ),
        (
            "it was pruned",
            seen().with(2, -90, End::Failed(Reason::BackupNotFound)),
            true,
        ),
        (
            "it is not there as it should be",
            seen().with(2, -90, End::Failed(Reason::VerificationFailed)),
            true,
        ),
    ] {
        assert_eq!(seen.starts_over(), wanted, "{row}");
    }
}

#[test]
fn a_window_never_drops_what_it_builds_on() {
    let mut schedule = seen().schedule;
    schedule.spec.template.spec.conflict_policy = ConflictPolicy::Replace;
    schedule.spec.template.spec.verify = Verify::Equal;
    for (head, scope, policy, verify) in [
        (
            head(2, false),
            ChainScope::Window,
            ConflictPolicy::Overwrite,
            Verify::Contains,
        ),
        (
            head(2, false),
            ChainScope::Chain,
            ConflictPolicy::Replace,
            Verify::Contains,
        ),
        (
            head(0, true),
            ChainScope::Chain,
            ConflictPolicy::Replace,
            Verify::Equal,
        ),
    ] {
        let made = child::of_backup(&schedule, &head, scope, 1).spec.parameters;
        assert_eq!(
            (made.conflict_policy, made.verify),
            (policy, verify),
            "{}",
            head.slot
        );
    }
}

#[test]
fn only_what_is_the_same_is_adopted() {
    let schedule = seen().schedule;
    let wanted = child::of_backup(&schedule, &head(2, false), ChainScope::Window, 1);
    assert_eq!(child::check(&wanted, &wanted), Ok(()));
    let changes: [fn(&mut Restore); 4] = [
        |r| r.metadata.labels = None,
        |r| r.spec.source.manifest.as_mut().unwrap().scope = ChainScope::Chain,
        |r| r.spec.parameters = parameters("http://influxdb-c:8086"),
        |r| r.spec.drill = true,
    ];
    for change in changes {
        let mut found = wanted.clone();
        change(&mut found);
        assert!(child::check(&found, &wanted).is_err());
    }
}
