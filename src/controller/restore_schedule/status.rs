//! What a RestoreSchedule's status takes over from its Restores, and how it is judged. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::child::{self, Child};
use super::state::Observed;
use crate::api::common::Span;
use crate::api::conditions::{self, Reason, State, types};
use crate::api::restore_schedule::Mode;
use crate::api::{RestoreScheduleStatus, RestoreStatus};
use crate::controller::restore::Problem;
use crate::controller::time::after;

/// Sets a condition.
pub(super) fn set(
    seen: &Observed,
    status: &mut RestoreScheduleStatus,
    type_: &str,
    state: State,
    word: &Problem,
    now: Timestamp,
) {
    conditions::set(
        &mut status.conditions,
        type_,
        state,
        word.reason,
        &word.message,
        seen.schedule.metadata.generation,
        now,
    );
}

/// Takes over what ended Restores proved, each once. A Restore that wrote into another target
/// than the spec names now proves nothing about this one.
pub(super) fn fold_ended(seen: &Observed, status: &mut RestoreScheduleStatus) {
    let place = child::place(&seen.schedule.spec.template.spec);
    if status
        .last_target
        .as_ref()
        .is_some_and(|last| *last != place)
    {
        status.last_target = None;
        status.last_slot = None;
        status.last_manifest = None;
        status.last_consistency_time = None;
        status.last_replay_time = None;
    }
    for child in seen.children().filter(|child| child.place() == place) {
        if let (Some(result), Some(slot)) = (child.success(), child.slot())
            && is_news(child, slot, status)
        {
            fold(result, slot, &place, status);
        }
    }
    status.active = seen
        .children()
        .rfind(|child| !child.has_ended())
        .map(Child::name);
}

/// True where a success was not taken over yet: that of the Restore that was under way, or one of
/// a later slot that was made after the last one was over. (A standby that started over on another
/// line may hold an earlier slot than Restores of before brought.)
fn is_news(child: Child<'_>, slot: &str, status: &RestoreScheduleStatus) -> bool {
    if status.active.as_deref() == Some(&*child.name()) {
        return true;
    }
    let later = status.last_slot.as_deref().is_none_or(|last| slot > last);
    // Creation times are whole seconds.
    let over = status.last_replay_time.map(Timestamp::as_second);
    let made = child.created().map(Timestamp::as_second);
    later && over.is_none_or(|over| made.is_none_or(|made| made >= over))
}

fn fold(result: &RestoreStatus, slot: &str, place: &str, status: &mut RestoreScheduleStatus) {
    status.last_slot = Some(slot.to_owned());
    status.last_target = Some(place.to_owned());
    status.last_manifest = result.manifests.last().cloned();
    status.last_consistency_time = result.consistency_time;
    status.last_replay_time = result.completion_time;
    status.last_rto_seconds = result.rto_seconds;
    status.replays += 1;
}

/// RPO and RTO against what was promised. Gives the time at which the RPO will be missed.
pub(super) fn judge_objectives(
    seen: &Observed,
    status: &mut RestoreScheduleStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    let objectives = seen.schedule.spec.objectives.clone().unwrap_or_default();
    let (rpo, missed_at) = judge_rpo(
        span(objectives.rpo.as_ref()),
        seen.schedule.spec.mode,
        status.last_consistency_time,
        now,
    );
    set(seen, status, types::RPO_MET, rpo.0, &rpo.1, now);
    let rto = judge_rto(span(objectives.rto.as_ref()), status.last_rto_seconds);
    set(seen, status, types::RTO_MET, rto.0, &rto.1, now);
    missed_at
}

type Verdict = (State, Problem);

fn judge_rpo(
    rpo: Option<Duration>,
    mode: Mode,
    consistent: Option<Timestamp>,
    now: Timestamp,
) -> (Verdict, Option<Timestamp>) {
    let verdict = |state, reason, message: String| (state, Problem::new(reason, message));
    let Some(rpo) = rpo.filter(|_| mode == Mode::Continuous) else {
        let message = match mode {
            Mode::Continuous => "set objectives.rpo to have it judged",
            Mode::Drill => "a drill leaves nothing behind that could lag",
        };
        return (
            verdict(State::Unknown, Reason::NoObjective, message.to_owned()),
            None,
        );
    };
    let Some(consistent) = consistent else {
        let message = "nothing was replayed yet".to_owned();
        return (verdict(State::False, Reason::NothingYet, message), None);
    };
    let seconds = rpo.as_secs();
    let missed_at = after(consistent, rpo);
    if missed_at > now {
        let message = format!(
            "the standby holds all that was acknowledged before {consistent}: at most {seconds} s are lost until {missed_at:.0}"
        );
        return (
            verdict(State::True, Reason::ObjectiveMet, message),
            Some(missed_at),
        );
    }
    let message =
        format!("the standby holds nothing newer than {consistent}; {seconds} s were promised");
    (
        verdict(State::False, Reason::ObjectiveMissed, message),
        None,
    )
}

fn judge_rto(rto: Option<Duration>, took: Option<u64>) -> Verdict {
    let (state, reason, message) = match (rto, took) {
        (None, _) => (
            State::Unknown,
            Reason::NoObjective,
            "set objectives.rto to have it judged".to_owned(),
        ),
        (Some(_), None) => (
            State::Unknown,
            Reason::NothingYet,
            "no restore was verified yet".to_owned(),
        ),
        (Some(rto), Some(took)) => {
            let met = Duration::from_secs(took) <= rto;
            let message = format!(
                "the last restore took {took} s; {} s were promised",
                rto.as_secs()
            );
            if met {
                (State::True, Reason::ObjectiveMet, message)
            } else {
                (State::False, Reason::ObjectiveMissed, message)
            }
        }
    };
    (state, Problem::new(reason, message))
}

fn span(span: Option<&Span>) -> Option<Duration> {
    span.and_then(|span| span.get().ok())
}
