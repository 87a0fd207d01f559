//! What a Restore's status becomes. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::state::{Observed, Plan, Problem};
use crate::api::backup::Phase;
use crate::api::common::PhaseTiming;
use crate::api::conditions::{self, Reason, State, types};
use crate::api::outcome::{Imported, Outcome};
use crate::api::{RestoreStatus, labels};
use crate::controller::events::Note;
use crate::controller::run_state::RunState;

/// What events say was done.
const ACTION: &str = "Import";
/// The most phases that a status holds.
const PHASES: usize = 16;

/// The plan that only writes this status.
pub(super) fn plan(status: RestoreStatus, requeue: Duration) -> Plan {
    Plan {
        release: false,
        scale_back: false,
        status,
        quieten: None,
        start: None,
        stop: None,
        note: None,
        requeue: Some(requeue),
    }
}

/// An ended Restore whose spec was changed in a way that asks for nothing.
pub(super) fn seen_again(seen: &Observed) -> Plan {
    let mut status = seen.status();
    let generation = seen.restore.metadata.generation;
    status.observed_generation = generation;
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
    }
    Plan {
        requeue: None,
        ..plan(status, Duration::ZERO)
    }
}

/// The Job is known to be there: from now on its absence means that it was deleted.
pub(super) fn with_job(seen: &Observed, now: Timestamp) -> RestoreStatus {
    let mut status = seen.status();
    if seen.job.is_some() {
        status.job = Some(super::job_name(&seen.restore, status.attempt));
    }
    status.start_time.get_or_insert(now);
    status
}

/// Not over yet: kstatus reads it as in progress.
pub(super) fn progress(
    seen: &Observed,
    status: &mut RestoreStatus,
    problem: &Problem,
    now: Timestamp,
) {
    let generation = seen.restore.metadata.generation;
    status.observed_generation = generation;
    status.phase = match seen.run {
        RunState::Starting | RunState::Running => Phase::Running,
        _ => Phase::Pending,
    };
    for (type_, state) in [
        (types::READY, State::False),
        (types::RECONCILING, State::True),
    ] {
        conditions::set(
            &mut status.conditions,
            type_,
            state,
            problem.reason,
            &problem.message,
            generation,
            now,
        );
    }
}

/// Says how it is with the workloads of `spec.quiesce`.
pub(super) fn quiesced(
    seen: &Observed,
    status: &mut RestoreStatus,
    state: State,
    word: &Problem,
    now: Timestamp,
) {
    conditions::set(
        &mut status.conditions,
        types::QUIESCED,
        state,
        word.reason,
        &word.message,
        seen.restore.metadata.generation,
        now,
    );
}

/// Says which workloads stay at zero, after the end was decided.
pub(super) fn left_at_zero(
    seen: &Observed,
    status: &mut RestoreStatus,
    left: &[String],
    now: Timestamp,
) -> Note {
    let word = Problem::new(Reason::WorkloadLeftAtZero, left.join("; "));
    quiesced(seen, status, State::True, &word, now);
    warn(&word)
}

/// Takes over what the pod said of its phases and warnings, whatever the end.
pub(super) fn take_outcome(seen: &Observed, status: &mut RestoreStatus, outcome: &Outcome) {
    let mut phases = outcome.phases.clone();
    let mut first = phases.iter().map(|phase| phase.start_time).min();
    let mut before = |name: &str, start: Timestamp, end: Timestamp| {
        let phase = PhaseTiming {
            name: name.to_owned(),
            start_time: start,
            end_time: Some(end.max(start)),
        };
        phases.insert(0, phase);
    };
    let quiesce = status.quiesce.as_ref();
    if let Some((start, quiet)) = quiesce.and_then(|it| Some((it.start_time, it.quiet_time?)))
        && first.is_some()
    {
        before("quiesce", start, quiet);
        first = Some(start);
    }
    if let (Some(first), Some(created)) = (first, seen.restore.creation_timestamp()) {
        before("wait", created.0, first);
    }
    phases.truncate(PHASES);
    status.phases = phases;
    status.warnings.clone_from(&outcome.warnings);
}

/// Done, and proven.
pub(super) fn complete(
    seen: &Observed,
    mut status: RestoreStatus,
    imported: &Imported,
    now: Timestamp,
) -> Plan {
    status.totals = Some(imported.totals.clone());
    status.refused_records = imported.refused_records;
    status.expired_records = imported.expired_records;
    let message = if seen.restore.spec.parameters.dry_run {
        "the dry run changed nothing; status.warnings says what a restore would do".to_owned()
    } else {
        status.consistency_time = imported.consistency_time;
        status.verified = Some(imported.verified);
        status.rto_seconds = rto_seconds(seen, &status, now);
        let place = if seen.restore.spec.drill {
            "were restored by the drill, whose databases are dropped again"
        } else {
            "are in the target"
        };
        let of = match &seen.restore.spec.source.vendor_dump {
            Some(dump) => format!(
                " of the vendor's dump {} in {}",
                dump.path, dump.storage.name
            ),
            None => String::new(),
        };
        let consistent = match imported.consistency_time {
            Some(time) => format!("consistent at {time}"),
            None => "the dump does not say of when it is".to_owned(),
        };
        format!(
            "{} records{of} {place}; verified: {:?}; {consistent}",
            imported.totals.records, imported.verified
        )
    };
    let note = told(seen, Reason::Succeeded, message.clone());
    let word = Problem::new(Reason::Succeeded, message);
    end(seen, status, Phase::Complete, &word, note, now)
}

/// Ended without success.
pub(super) fn failed(
    seen: &Observed,
    status: RestoreStatus,
    problem: &Problem,
    now: Timestamp,
) -> Plan {
    end(
        seen,
        status,
        Phase::Failed,
        problem,
        Some(warn(problem)),
        now,
    )
}

fn end(
    seen: &Observed,
    mut status: RestoreStatus,
    phase: Phase,
    word: &Problem,
    note: Option<Note>,
    now: Timestamp,
) -> Plan {
    let complete = phase == Phase::Complete;
    let generation = seen.restore.metadata.generation;
    status.observed_generation = generation;
    status.phase = phase;
    status.completion_time = Some(now);
    status.next_attempt_time = None;
    let mut set = |type_, state| {
        conditions::set(
            &mut status.conditions,
            type_,
            state,
            word.reason,
            &word.message,
            generation,
            now,
        );
    };
    set(
        if complete {
            types::COMPLETE
        } else {
            types::FAILED
        },
        State::True,
    );
    set(types::READY, complete.into());
    if !complete {
        set(types::STALLED, State::True);
    }
    conditions::remove(&mut status.conditions, types::RECONCILING);
    let held = status.quiesce.is_some();
    if held {
        let word = Problem::new(
            Reason::ScaledBack,
            "the workloads have their replicas again",
        );
        quiesced(seen, &mut status, State::False, &word, now);
    }
    Plan {
        release: true,
        scale_back: held,
        note,
        requeue: None,
        ..plan(status, Duration::ZERO)
    }
}

/// Seconds from the object's creation to verified: by the pod's own word of its last phase, so
/// that a controller that was away does not count.
fn rto_seconds(seen: &Observed, status: &RestoreStatus, now: Timestamp) -> Option<u64> {
    let created = seen.restore.creation_timestamp()?.0;
    let told = status
        .phases
        .iter()
        .filter_map(|phase| phase.end_time)
        .max();
    let verified = told.filter(|end| *end >= created).unwrap_or(now).min(now);
    let took = verified.duration_since(created);
    // Rounded up: a promise is not kept by rounding.
    let seconds = took.as_secs() + i64::from(took.subsec_nanos() > 0);
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// An event about something that went as it should. A schedule's Restore comes every few minutes
/// and its status says it all; an event would be one more write to the API server for each.
pub(super) fn told(seen: &Observed, reason: Reason, message: String) -> Option<Note> {
    let by_schedule = seen.restore.labels().contains_key(labels::RESTORE_SCHEDULE);
    (!by_schedule).then(|| Note::normal(reason, ACTION, message))
}

/// An event that a person should look at.
pub(super) fn warn(problem: &Problem) -> Note {
    Note::warning(problem.reason, ACTION, problem.message.clone())
}
