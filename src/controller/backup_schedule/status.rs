//! What a BackupSchedule's status becomes. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::spec::{BadSpec, Spec};
use super::state::{Child, End, Gate, Observed, Plan};
use crate::api::BackupScheduleStatus;
use crate::api::conditions::{self, Reason, State, types};
use crate::controller::time::{after, until};
use crate::transfer::catalog::Stored;

/// The most names in `active`.
const ACTIVE: usize = 16;

/// How often a standby's schedule looks whether it is promoted.
const LOOK_FOR_PROMOTION: Duration = Duration::from_secs(10);

/// What was found of the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    /// When the next slot starts.
    pub(super) next: Option<Timestamp>,
    /// Why the newest slot has no Backup.
    pub(super) overdue: Option<Overdue>,
    /// When a slot that waits becomes overdue.
    pub(super) overdue_at: Option<Timestamp>,
    /// When the copies are looked at again.
    pub(super) copies: Option<Timestamp>,
    /// The clock is before a slot that has run.
    pub(super) clock_behind: bool,
}

/// Why the newest slot has no Backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// A spec that can't be read: nothing is done until it is changed.
pub(super) fn stalled(seen: &Observed, bad: &BadSpec, now: Timestamp) -> Plan {
    let mut status = seen.schedule.status.clone().unwrap_or_default();
    let generation = seen.schedule.metadata.generation;
    status.observed_generation = generation;
    note_children(&mut status, &seen.backups);
    status.next_slot_time = None;
    let list = &mut status.conditions;
    for (type_, state) in [(types::READY, State::False), (types::STALLED, State::True)] {
        conditions::set(
            list,
            type_,
            state,
            bad.reason,
            &bad.message,
            generation,
            now,
        );
    }
    Plan {
        status,
        ..Plan::default()
    }
}

/// What the Backups that exist say.
pub(super) fn note_children(status: &mut BackupScheduleStatus, backups: &[Child]) {
    let mut active: Vec<&str> = backups
        .iter()
        .filter(|child| child.end == End::Active)
        .map(|child| child.name.as_str())
        .collect();
    active.sort_unstable();
    status.active = active.into_iter().take(ACTIVE).map(str::to_owned).collect();
    let complete = backups
        .iter()
        .filter(|child| child.end == End::Complete)
        .filter_map(|child| Some((child.consistency?, child)))
        .max_by_key(|(consistency, child)| (*consistency, child.name.clone()));
    if let Some((consistency, child)) = complete
        && status
            .last_consistency_time
            .is_none_or(|last| consistency >= last)
    {
        status.last_consistency_time = Some(consistency);
        status.last_complete = Some(child.name.clone());
        status.last_manifest.clone_from(&child.manifest);
    }
    let failed = backups
        .iter()
        .filter(|child| child.end == End::Failed)
        .max_by_key(|child| (child.completed, child.name.clone()));
    if let Some(failed) = failed {
        status.last_failed = Some(failed.name.clone());
    }
}

/// A backup was found in the bucket that no object speaks of.
pub(super) fn note_found(status: &mut BackupScheduleStatus, found: &Stored) {
    let manifest = &found.manifest;
    status.last_consistency_time = Some(manifest.consistency_time);
    status.last_complete = Some(manifest.identity.backup.chars().take(63).collect());
    status.last_manifest = Some(found.reference.clone());
}

/// A Backup is made.
pub(super) fn note_started(status: &mut BackupScheduleStatus, name: &str) {
    if status.active.len() < ACTIVE && !status.active.iter().any(|active| active == name) {
        status.active.push(name.to_owned());
        status.active.sort_unstable();
    }
}

/// Sets the conditions, and says when to look again.
pub(super) fn conclude(
    status: &mut BackupScheduleStatus,
    seen: &Observed,
    spec: &Spec,
    outlook: &Outlook,
    now: Timestamp,
) -> Option<Duration> {
    let generation = seen.schedule.metadata.generation;
    status.observed_generation = generation;
    let (ready, reason, message) = readiness(seen, outlook);
    let objective = Objective::of(status, seen, spec, now);
    let list = &mut status.conditions;
    conditions::remove(list, types::STALLED);
    let mut set = |type_, state, reason, message: &str| {
        conditions::set(list, type_, state, reason, message, generation, now);
    };
    set(types::READY, ready, reason, &message);
    set(
        types::RPO_MET,
        objective.state,
        objective.reason,
        &objective.message,
    );
    match &outlook.overdue {
        Some(Overdue { reason, message }) => set(types::OVERDUE, State::True, *reason, message),
        None => set(
            types::OVERDUE,
            State::False,
            Reason::Succeeded,
            "every slot has its Backup",
        ),
    }
    let promotion = (seen.gate != Gate::Open).then(|| after(now, LOOK_FOR_PROMOTION));
    [
        outlook.next,
        promotion,
        outlook.overdue_at.filter(|time| *time > now),
        objective.flips_at,
        outlook.copies,
    ]
    .into_iter()
    .flatten()
    .min()
    .map(|time| until(time, now))
}

/// What was overdue stays so until a Backup of that slot or a later one is there.
pub(super) fn still_overdue(status: &BackupScheduleStatus, backups: &[Child]) -> Option<Overdue> {
    let before = status
        .conditions
        .iter()
        .find(|c| c.type_ == types::OVERDUE && c.status == "True")?;
    let last = status.last_slot_time?;
    let is_there = |child: &Child| child.slot.is_some_and(|slot| slot >= last);
    if backups.iter().any(is_there) {
        return None;
    }
    let reason = serde_json::from_value(serde_json::Value::String(before.reason.clone())).ok()?;
    Some(Overdue {
        reason,
        message: before.message.clone(),
    })
}

/// The Backup of a slot could not be made.
pub(super) fn set_refused(
    status: &mut BackupScheduleStatus,
    seen: &Observed,
    message: &str,
    now: Timestamp,
) {
    let generation = seen.schedule.metadata.generation;
    let reason = Reason::BackupRefused;
    let list = &mut status.conditions;
    for (type_, state) in [(types::READY, State::False), (types::OVERDUE, State::True)] {
        conditions::set(list, type_, state, reason, message, generation, now);
    }
}

fn readiness(seen: &Observed, outlook: &Outlook) -> (State, Reason, String) {
    if let Gate::Closed(name) = &seen.gate {
        let message = format!("it starts once the RestoreSchedule {name} is promoted");
        return (State::True, Reason::WaitingForPromotion, message);
    }
    if let Some(refused) = outlook
        .overdue
        .as_ref()
        .filter(|overdue| overdue.reason == Reason::BackupRefused)
    {
        return (State::False, refused.reason, refused.message.clone());
    }
    if let Some((reason, message)) = trouble(&seen.backups) {
        return (State::False, reason, message);
    }
    if seen.schedule.spec.suspend {
        let message = "spec.suspend is set: no slot fires".to_owned();
        return (State::True, Reason::Suspended, message);
    }
    if outlook.clock_behind {
        let message =
            "the clock is before a slot that has run; no slot fires until it has passed that"
                .to_owned();
        return (State::False, Reason::ClockSkew, message);
    }
    let message = "the schedule makes Backups as its spec says".to_owned();
    (State::True, Reason::Succeeded, message)
}

/// What is wrong with the newest Backup that says something: one that runs well says nothing yet.
fn trouble(backups: &[Child]) -> Option<(Reason, String)> {
    let mut newest_first: Vec<&Child> = backups.iter().collect();
    newest_first.sort_by(|a, b| (b.slot, &b.name).cmp(&(a.slot, &a.name)));
    for child in newest_first {
        let reason = child.word.as_ref().and_then(|(reason, message)| {
            let reason = serde_json::from_value(serde_json::Value::String(reason.clone())).ok()?;
            Some((reason, message))
        });
        match (child.end, reason) {
            (End::Complete, _) => return None,
            (End::Active, None | Some((Reason::Running, _))) => {}
            (_, Some((reason, message))) => {
                let name = &child.name;
                return Some((reason, format!("Backup {name}: {message}")));
            }
            (End::Failed, None) => {
                let message = format!("Backup {} failed", child.name);
                return Some((Reason::InternalError, message));
            }
        }
    }
    None
}

/// Whether the promised RPO is kept.
struct Objective {
    state: State,
    reason: Reason,
    message: String,
    /// When it will not be any more, if nothing happens.
    flips_at: Option<Timestamp>,
}

impl Objective {
    fn unknown(reason: Reason, message: &str, flips_at: Option<Timestamp>) -> Self {
        Self {
            state: State::Unknown,
            reason,
            message: message.to_owned(),
            flips_at,
        }
    }

    fn of(status: &BackupScheduleStatus, seen: &Observed, spec: &Spec, now: Timestamp) -> Self {
        let Some(rpo) = spec.rpo else {
            return Self::unknown(Reason::NoObjective, "objectives.rpo is not set", None);
        };
        if seen.gate != Gate::Open {
            let message = "it counts from the promotion";
            return Self::unknown(Reason::WaitingForPromotion, message, None);
        }
        let rpo = SignedDuration::try_from(rpo).unwrap_or(SignedDuration::MAX);
        let since = status
            .last_consistency_time
            .or(status.timing_since)
            .or_else(|| seen.schedule.creation_timestamp().map(|time| time.0))
            .unwrap_or(now);
        let flips_at = since.saturating_add(rpo).unwrap_or(Timestamp::MAX);
        if now >= flips_at {
            let message = match status.last_consistency_time {
                Some(time) => format!(
                    "no complete Backup is younger than the objective; the newest is consistent at {time}"
                ),
                None => "no Backup is complete yet".to_owned(),
            };
            return Self {
                state: State::False,
                reason: Reason::ObjectiveMissed,
                message,
                flips_at: None,
            };
        }
        if status.last_consistency_time.is_none() {
            let message = "no Backup is complete yet";
            return Self::unknown(Reason::NothingYet, message, Some(flips_at));
        }
        Self {
            state: State::True,
            reason: Reason::ObjectiveMet,
            message: "the newest complete Backup is younger than the objective".to_owned(),
            flips_at: Some(flips_at),
        }
    }
}
