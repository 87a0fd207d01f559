//! The Restores of a RestoreSchedule: how they are made, and what they tell. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::api::conditions::{is_true, types};
use crate::api::labels;
use crate::api::restore::{
    ChainScope, ConflictPolicy, ManifestSource, RestoreParameters, RestoreSource, Verify,
};
use crate::api::{Restore, RestoreSchedule, RestoreSpec, RestoreStatus};
use crate::controller::restore::{has_ended, normalised};
use crate::manifest::Chain;
use crate::manifest::chain::Head;
use crate::schedule::{bounded_name, slot_name};

/// A Restore of a schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a>(pub(super) &'a Restore);

impl<'a> Child<'a> {
    pub(super) fn name(self) -> String {
        self.0.name_any()
    }

    pub(super) fn has_ended(self) -> bool {
        has_ended(self.0)
    }

    pub(super) fn created(self) -> Option<Timestamp> {
        self.0.creation_timestamp().map(|time| time.0)
    }

    /// Where it writes.
    pub(super) fn place(self) -> String {
        place(&self.0.spec.parameters)
    }

    /// The slot that it replays.
    pub(super) fn slot(self) -> Option<&'a str> {
        self.0.annotations().get(labels::SLOT).map(String::as_str)
    }

    /// Which attempt at its slot it is, counted from 1.
    pub(super) fn attempt(self) -> u32 {
        let label = self.0.labels().get(labels::ATTEMPT);
        label.and_then(|label| label.parse().ok()).unwrap_or(1)
    }

    /// Its status, where it is Complete.
    pub(super) fn success(self) -> Option<&'a RestoreStatus> {
        let status = self.0.status.as_ref()?;
        is_true(&status.conditions, types::COMPLETE).then_some(status)
    }

    /// Reason and message, where it is Failed.
    pub(super) fn failure(self) -> Option<(&'a str, &'a str)> {
        let conditions = &self.0.status.as_ref()?.conditions;
        conditions
            .iter()
            .find(|c| c.type_ == types::FAILED && c.status == "True")
            .map(|c| (c.reason.as_str(), c.message.as_str()))
    }

    /// When it ended.
    pub(super) fn ended_at(self) -> Option<Timestamp> {
        self.0.status.as_ref()?.completion_time
    }
}

/// Stands for where a Restore writes: the target and the new names.
pub(super) fn place(parameters: &RestoreParameters) -> String {
    let target = normalised(&parameters.target).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(target.as_bytes());
    for remap in &parameters.remap {
        // Lengths, so that no two lists of names read the same.
        for name in [&remap.from, &remap.to] {
            hash.update(name.len().to_be_bytes());
            hash.update(name.as_bytes());
        }
    }
    hex::encode(&hash.finalize()[..8])
}

/// The Restore of one backup; `attempt` counts from 1.
pub(super) fn of_backup(
    schedule: &RestoreSchedule,
    head: &Head,
    scope: ChainScope,
    attempt: u32,
) -> Restore {
    let source = RestoreSource {
        manifest: Some(ManifestSource {
            storage: schedule.spec.source.storage.clone(),
            path: head.path.clone(),
            sha256: Some(head.sha256.clone()),
            scope,
        }),
        ..RestoreSource::default()
    };
    let mut spec = RestoreSpec {
        source,
        parameters: schedule.spec.template.spec.clone(),
        ..RestoreSpec::default()
    };
    if scope == ChainScope::Window || head.chain != Chain::Full {
        fit_to_window(&mut spec.parameters, scope);
    }
    make(schedule, &head.slot, attempt, spec)
}

/// A window goes on top of what is there: dropping that would leave the window alone. And that
/// nothing else is there can only be said of a full backup.
fn fit_to_window(parameters: &mut RestoreParameters, scope: ChainScope) {
    if scope == ChainScope::Window && parameters.conflict_policy == ConflictPolicy::Replace {
        parameters.conflict_policy = ConflictPolicy::Overwrite;
    }
    if parameters.verify == Verify::Equal {
        parameters.verify = Verify::Contains;
    }
}

/// The Restore of a drill's slot: the newest backup, into names of the drill's own.
pub(super) fn of_drill(schedule: &RestoreSchedule, slot: Timestamp) -> Restore {
    let spec = RestoreSpec {
        source: RestoreSource {
            latest: Some(schedule.spec.source.clone()),
            ..RestoreSource::default()
        },
        parameters: schedule.spec.template.spec.clone(),
        drill: true,
        cancel: false,
    };
    make(schedule, &slot_name(slot), 1, spec)
}

fn make(schedule: &RestoreSchedule, slot: &str, attempt: u32, spec: RestoreSpec) -> Restore {
    let name = schedule.name_any();
    let suffix = match attempt {
        1 => slot.to_owned(),
        _ => format!("{slot}-{attempt}"),
    };
    let template = schedule.spec.template.metadata.clone().unwrap_or_default();
    let mut set = template.labels.unwrap_or_default();
    set.extend([
        (labels::MANAGED_BY.to_owned(), "lifeboat".to_owned()),
        (
            labels::SCHEDULE_UID.to_owned(),
            schedule.uid().unwrap_or_default(),
        ),
        (labels::ATTEMPT.to_owned(), attempt.to_string()),
        (labels::RESTORE_SCHEDULE.to_owned(), name.clone()),
    ]);
    let mut annotations = template.annotations.unwrap_or_default();
    annotations.insert(labels::SLOT.to_owned(), slot.to_owned());
    Restore {
        metadata: ObjectMeta {
            name: Some(bounded_name(&name, &suffix)),
            namespace: schedule.namespace(),
            labels: Some(set),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

/// Says what tells a Restore that is there from the one that is wanted under its name.
pub(super) fn check(found: &Restore, wanted: &Restore) -> Result<(), String> {
    for label in [labels::RESTORE_SCHEDULE, labels::SCHEDULE_UID] {
        if found.labels().get(label) != wanted.labels().get(label) {
            return Err(format!("its label {label} is another"));
        }
    }
    if found.spec.source != wanted.spec.source || found.spec.drill != wanted.spec.drill {
        return Err("it restores something else".to_owned());
    }
    if found.spec.parameters.target != wanted.spec.parameters.target {
        return Err("it restores into another target".to_owned());
    }
    Ok(())
}
