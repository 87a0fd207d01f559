//! What a Backup's status becomes. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Problem;
use super::state::{Observed, Plan};
use crate::api::backup::Phase;
use crate::api::common::{ManifestRef, PhaseTiming};
use crate::api::conditions::{self, Reason, State, types};
use crate::api::{BackupStatus, labels};
use crate::controller::events::Note;
use crate::controller::retry::Retry;
use crate::controller::run_state::RunState;
use crate::controller::time::after;
use crate::manifest::{Chain, Manifest};

/// The most warnings that a status holds.
const WARNINGS: usize = 16;

/// The status of an object whose spec was changed in a way that asks for nothing.
pub(super) fn observed(seen: &Observed) -> Option<BackupStatus> {
    let mut status = seen.backup.status.clone()?;
    let generation = seen.backup.metadata.generation;
    status.observed_generation = generation;
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
    }
    Some(status)
}

/// An attempt is under way; `problem` is what keeps its pod from starting.
pub(super) fn running(
    seen: &Observed,
    attempt: u32,
    job: &str,
    problem: Option<&Problem>,
    now: Timestamp,
) -> BackupStatus {
    let attempts = Retry::of(seen.backup.spec.retry.as_ref()).attempts();
    let mut status = seen.status();
    status.phase = Phase::Running;
    status.slot = Some(seen.identity.slot.clone());
    status.attempt = attempt;
    status.job = Some(job.to_owned());
    status.next_attempt_time = None;
    if status.start_time.is_none() {
        status.start_time = Some(seen.run_started().unwrap_or(now));
    }
    if let Some(problem) = problem {
        in_progress(seen, &mut status, problem, now);
    } else {
        let message = format!("attempt {attempt} of {attempts} is under way");
        in_progress(
            seen,
            &mut status,
            &Problem::new(Reason::Running, message),
            now,
        );
    }
    status
}

/// Nothing runs, and something has to happen first.
pub(super) fn waiting(seen: &Observed, problem: &Problem, now: Timestamp) -> BackupStatus {
    let mut status = seen.status();
    if seen.attempt == 0 {
        status.phase = Phase::Pending;
    }
    status.attempt = seen.attempt;
    status.slot = Some(seen.identity.slot.clone());
    in_progress(seen, &mut status, problem, now);
    status
}

/// The next attempt waits for its time.
pub(super) fn backing_off(
    seen: &Observed,
    problem: &Problem,
    wait: Duration,
    lost_until: Option<Timestamp>,
    now: Timestamp,
) -> Plan {
    let attempts = Retry::of(seen.backup.spec.retry.as_ref()).attempts();
    let attempt = seen.attempt;
    let mut status = seen.status();
    status.phase = Phase::Pending;
    status.attempt = attempt;
    status.next_attempt_time = Some(after(now, wait));
    status.lost_until = status.lost_until.max(lost_until);
    let message = format!(
        "attempt {attempt} of {attempts} failed ({}), the next is made in {} s: {}",
        problem.reason,
        wait.as_secs(),
        problem.message
    );
    in_progress(
        seen,
        &mut status,
        &Problem::new(problem.reason, message.clone()),
        now,
    );
    Plan {
        status: Some(status),
        delete_job: unwanted_job(seen),
        note: Some(Note::warning(Reason::BackingOff, "Export", message)),
        requeue: Some(wait),
        ..Plan::default()
    }
}

/// Done, and proven by the manifest.
pub(super) fn complete(
    seen: &Observed,
    manifest: &Manifest,
    reference: &ManifestRef,
    now: Timestamp,
) -> Plan {
    let generation = seen.backup.metadata.generation;
    let mut status = seen.status();
    status.observed_generation = generation;
    status.phase = Phase::Complete;
    status.slot = Some(seen.identity.slot.clone());
    status.attempt = seen.attempt;
    status.next_attempt_time = None;
    status.lost_until = None;
    status.start_time = status.start_time.or(Some(manifest.start_time));
    status.completion_time = Some(now);
    status.consistency_time = Some(manifest.consistency_time);
    status.manifest = Some(reference.clone());
    status.chain = Some(
        match manifest.chain {
            Chain::Full => "Full",
            Chain::Incremental { .. } => "Incremental",
        }
        .to_owned(),
    );
    status.totals = Some(manifest.totals.clone());
    status.warnings = manifest.warnings.iter().take(WARNINGS).cloned().collect();
    status.phases = phases(seen, manifest);
    let message = format!(
        "{} records in {} files, {} bytes stored; consistent at {}",
        manifest.totals.records,
        manifest.totals.files,
        manifest.totals.stored_bytes,
        manifest.consistency_time
    );
    let list = &mut status.conditions;
    for type_ in [types::COMPLETE, types::READY] {
        conditions::set(
            list,
            type_,
            State::True,
            Reason::Succeeded,
            &message,
            generation,
            now,
        );
    }
    conditions::remove(list, types::RECONCILING);
    conditions::remove(list, types::STALLED);
    conditions::remove(list, types::FAILED);
    // A schedule's Backup comes every few minutes and its status says it all; an event would be
    // one more write to the API server for each.
    let by_schedule = seen.backup.labels().contains_key(labels::BACKUP_SCHEDULE);
    let note = (!by_schedule).then(|| Note::normal(Reason::Succeeded, "Export", message));
    Plan {
        status: Some(status),
        delete_job: unwanted_job(seen),
        note,
        ..Plan::default()
    }
}

/// Ended without success.
pub(super) fn failed(seen: &Observed, problem: &Problem, now: Timestamp) -> Plan {
    let generation = seen.backup.metadata.generation;
    let mut status = seen.status();
    status.observed_generation = generation;
    status.phase = Phase::Failed;
    status.slot = Some(seen.identity.slot.clone());
    status.attempt = seen.attempt;
    status.next_attempt_time = None;
    status.lost_until = None;
    status.completion_time = Some(now);
    if let RunState::EndedByWord(outcome) = &seen.run {
        status.phases.clone_from(&outcome.phases);
        status.warnings.clone_from(&outcome.warnings);
    }
    let list = &mut status.conditions;
    let mut set = |type_, state| {
        conditions::set(
            list,
            type_,
            state,
            problem.reason,
            &problem.message,
            generation,
            now,
        );
    };
    set(types::FAILED, State::True);
    set(types::READY, State::False);
    set(types::STALLED, State::True);
    conditions::remove(list, types::RECONCILING);
    Plan {
        status: Some(status),
        delete_job: unwanted_job(seen),
        note: Some(Note::warning(
            problem.reason,
            "Export",
            problem.message.clone(),
        )),
        ..Plan::default()
    }
}

/// The Job, where it still runs although nobody waits for it any more.
pub(super) fn unwanted_job(seen: &Observed) -> Option<(String, String)> {
    let job = seen.job.as_ref().filter(|_| !seen.run.has_ended())?;
    Some((job.name_any(), job.uid()?))
}

/// What `Ready` said last.
pub(super) fn last_problem(status: &BackupStatus) -> Option<Problem> {
    let ready = status.conditions.iter().find(|c| c.type_ == types::READY)?;
    let reason = serde_json::from_value(serde_json::Value::String(ready.reason.clone())).ok()?;
    Some(Problem::new(reason, ready.message.clone()))
}

fn in_progress(seen: &Observed, status: &mut BackupStatus, problem: &Problem, now: Timestamp) {
    let generation = seen.backup.metadata.generation;
    status.observed_generation = generation;
    let list = &mut status.conditions;
    let mut set = |type_, state| {
        conditions::set(
            list,
            type_,
            state,
            problem.reason,
            &problem.message,
            generation,
            now,
        );
    };
    set(types::READY, State::False);
    set(types::RECONCILING, State::True);
}

/// What the run that made the manifest said of its times; else what the manifest says.
fn phases(seen: &Observed, manifest: &Manifest) -> Vec<PhaseTiming> {
    match &seen.run {
        RunState::EndedByWord(outcome)
            if outcome.run_id == manifest.run_id && !outcome.phases.is_empty() =>
        {
            outcome.phases.clone()
        }
        _ => vec![PhaseTiming {
            name: "export".to_owned(),
            start_time: manifest.start_time,
            end_time: Some(manifest.end_time),
        }],
    }
}
