//! What to say of a StorageLocation, and when to check it again. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::conditions::{self, Reason, State, types};
use crate::api::{StorageLocation, StorageLocationStatus};
use crate::controller::events::Note;
use crate::controller::store::StoreFault;
use crate::storage::Checked;

/// How often a location that can be used is checked.
const CHECK_EVERY: Duration = Duration::from_secs(300);
/// How soon one that can't is checked again at first, and how late at most.
const RECHECK: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(120));

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) location: StorageLocation,
    pub(super) check: Result<Checked, StoreFault>,
    /// Name of the operator's cluster.
    pub(super) cluster: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) status: StorageLocationStatus,
    pub(super) note: Option<Note>,
    pub(super) requeue: Duration,
}

/// What a location shows while it is looked at for the first time: an endpoint may take its time,
/// and tools take an object without conditions for one that is done.
pub(super) fn first_word(
    location: &StorageLocation,
    now: Timestamp,
) -> Option<StorageLocationStatus> {
    if location.status.is_some() {
        return None;
    }
    let generation = location.metadata.generation;
    let mut status = StorageLocationStatus {
        observed_generation: generation,
        bucket: location.spec.bucket().map(str::to_owned),
        ..StorageLocationStatus::default()
    };
    let message = "the store is being looked at";
    for (type_, state) in [
        (types::READY, State::False),
        (types::RECONCILING, State::True),
    ] {
        let list = &mut status.conditions;
        conditions::set(
            list,
            type_,
            state,
            Reason::Pending,
            message,
            generation,
            now,
        );
    }
    Some(status)
}

/// Decides.
pub(super) fn decide(seen: &Observed, now: Timestamp) -> Plan {
    let generation = seen.location.metadata.generation;
    let before = seen.location.status.clone().unwrap_or_default();
    let mut status = before.clone();
    status.observed_generation = generation;
    status.bucket = seen.location.spec.bucket().map(str::to_owned);
    let (ready, reason, message, stalled) = match &seen.check {
        Ok(checked) => {
            status.claimed_by = checked.claim.as_ref().map(|_| seen.cluster.clone());
            let (reason, message): (Reason, String) = words(checked);
            (true, reason, message, false)
        }
        Err(fault) => (false, fault.reason, fault.message.clone(), !fault.retryable),
    };
    let list = &mut status.conditions;
    let mut set = |type_, state| {
        conditions::set(list, type_, state, reason, &message, generation, now);
    };
    set(types::READY, ready.into());
    if stalled {
        set(types::STALLED, State::True);
        conditions::remove(list, types::RECONCILING);
    } else if ready {
        conditions::remove(list, types::STALLED);
        conditions::remove(list, types::RECONCILING);
    } else {
        set(types::RECONCILING, State::True);
        conditions::remove(list, types::STALLED);
    }
    let changed = ready_of(&before.conditions).map(|c| (&c.status, &c.reason))
        != ready_of(&status.conditions).map(|c| (&c.status, &c.reason));
    let requeue = if ready {
        CHECK_EVERY
    } else {
        recheck_in(&status, now)
    };
    if changed {
        status.last_check_time = Some(now);
    }
    let note = changed.then(|| {
        if ready {
            Note::normal(reason, "Check", message)
        } else {
            Note::warning(reason, "Check", message)
        }
    });
    Plan {
        status,
        note,
        requeue,
    }
}

fn words(checked: &Checked) -> (Reason, String) {
    if checked.clock_is_off() {
        return (
            Reason::ClockSkew,
            "the location can be used, but the clock is more than five minutes from the store's: nothing is pruned until they agree".to_owned(),
        );
    }
    let message = if checked.claim.is_some() {
        "the location can be read and written"
    } else {
        "the location can be read"
    };
    (Reason::Succeeded, message.to_owned())
}

/// The longer it has not been usable, the longer the wait.
fn recheck_in(status: &StorageLocationStatus, now: Timestamp) -> Duration {
    let (soonest, latest) = RECHECK;
    let since = ready_of(&status.conditions).map_or(now, |c| c.last_transition_time.0);
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    (age / 2).clamp(soonest, latest)
}

fn ready_of(list: &[Condition]) -> Option<&Condition> {
    list.iter().find(|c| c.type_ == types::READY)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::unnecessary_wraps)]

    use jiff::SignedDuration;

    use super::*;
    use crate::storage::Claimed;

    const T0: &str = "2026-11-20T10:00:00Z";

    fn good() -> Result<Checked, StoreFault> {
        Ok(Checked {
            clock_skew: Some(SignedDuration::from_secs(1)),
            claim: Some(Claimed {
                number: 1,
                new: false,
            }),
        })
    }

    fn bad(reason: Reason, retryable: bool) -> Result<Checked, StoreFault> {
        Err(StoreFault {
            reason,
            message: "see here".to_owned(),
            retryable,
        })
    }

    fn seen(status: Option<StorageLocationStatus>, check: Result<Checked, StoreFault>) -> Observed {
        let mut location = StorageLocation::default();
        location.metadata.generation = Some(3);
        location.status = status;
        Observed {
            location,
            check,
            cluster: "prod".to_owned(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        T0.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn every_store_shows_its_bucket() {
        for (spec, shown) in [
            (serde_json::json!({"s3": {"bucket": "a"}}), "a"),
            (serde_json::json!({"gcs": {"bucket": "b"}}), "b"),
            (
                serde_json::json!({"azure": {"account": "x", "container": "c"}}),
                "c",
            ),
            (serde_json::json!({"local": {"claimName": "d"}}), "d"),
        ] {
            let mut seen = seen(None, good());
            seen.location.spec = serde_json::from_value(spec).unwrap();
            let first = first_word(&seen.location, at(0)).unwrap();
            assert_eq!(first.bucket.as_deref(), Some(shown));
            assert_eq!(decide(&seen, at(0)).status.bucket.as_deref(), Some(shown));
        }
    }

    #[test]
    fn conditions_tell_passing_from_lasting() {
        // what was found, Ready, its reason, Stalled, Reconciling
        let skewed = Ok(Checked {
            clock_skew: Some(SignedDuration::from_mins(6)),
            claim: None,
        });
        let cases = [
            (good(), "True", Reason::Succeeded, false, false),
            (skewed, "True", Reason::ClockSkew, false, false),
            (
                bad(Reason::BucketNotFound, false),
                "False",
                Reason::BucketNotFound,
                true,
                false,
            ),
            (
                bad(Reason::Unreachable, true),
                "False",
                Reason::Unreachable,
                false,
                true,
            ),
        ];
        for (check, ready, reason, stalled, reconciling) in cases {
            let plan = decide(&seen(None, check), at(0));
            let list = &plan.status.conditions;
            let condition = ready_of(list).unwrap();
            assert_eq!(condition.status, ready, "{reason}");
            assert_eq!(condition.reason, reason.as_str());
            assert_eq!(condition.observed_generation, Some(3));
            assert_eq!(
                conditions::is_true(list, types::STALLED),
                stalled,
                "{reason}"
            );
            assert_eq!(
                conditions::is_true(list, types::RECONCILING),
                reconciling,
                "{reason}"
            );
            assert_eq!(plan.note.unwrap().warning, ready == "False");
        }
    }

    #[test]
    fn a_new_location_is_in_progress_until_it_was_looked_at() {
        let mut location = seen(None, good()).location;
        let first = first_word(&location, at(0)).unwrap();
        let ready = ready_of(&first.conditions).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "Pending")
        );
        assert!(conditions::is_true(&first.conditions, types::RECONCILING));
        location.status = Some(first.clone());
        assert_eq!(first_word(&location, at(1)), None);
        let plan = decide(&seen(Some(first), good()), at(1));
        assert!(plan.note.is_some(), "it became ready");
        assert!(!conditions::is_true(
            &plan.status.conditions,
            types::RECONCILING
        ));
    }

    #[test]
    fn nothing_is_written_when_nothing_changed() {
        for check in [good(), bad(Reason::AccessDenied, false)] {
            let first = decide(&seen(None, check.clone()), at(0));
            assert_eq!(first.status.last_check_time, Some(at(0)));
            let second = decide(&seen(Some(first.status.clone()), check), at(300));
            assert_eq!(second.status, first.status);
            assert_eq!(second.note, None);
        }
    }

    #[test]
    fn a_location_is_checked_less_often_the_longer_it_fails() {
        let mut status = None;
        let mut waits = Vec::new();
        for seconds in [0, 20, 60, 120, 600] {
            let check = bad(Reason::Unreachable, true);
            let plan = decide(&seen(status, check), at(seconds));
            waits.push(plan.requeue.as_secs());
            status = Some(plan.status);
        }
        assert_eq!(waits, [20, 20, 30, 60, 120]);
        let plan = decide(&seen(status, good()), at(700));
        assert_eq!(plan.requeue, CHECK_EVERY);
        assert_eq!(plan.status.claimed_by.as_deref(), Some("prod"));
    }
}
