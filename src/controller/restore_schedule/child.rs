//! The Restores of a RestoreSchedule: how they are made, and what they tell.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::api::conditions::types;
use crate::api::labels;
use crate::api::restore::{ChainScope, ManifestSource, RestoreSource};
use crate::api::{Restore, RestoreSchedule, RestoreSpec, RestoreStatus};
use crate::controller::restore::decide::has_ended;
use crate::manifest::chain::Head;
use crate::schedule::{bounded_name, slot_name};

/// How much of a chain a Restore brings.
pub(super) use crate::api::restore::ChainScope as Scope;

/// A Restore of a schedule.
#[derive(Clone, Copy)]
pub(super) struct Child<'a>(pub(super) &'a Restore);

impl<'a> Child<'a> {
    pub(super) fn name(&self) -> String {
        self.0.name_any()
    }

    pub(super) fn uid(&self) -> String {
        self.0.uid().unwrap_or_default()
    }

    pub(super) fn has_ended(&self) -> bool {
        has_ended(self.0)
    }

    /// The slot that it replays.
    pub(super) fn slot(&self) -> Option<&'a str> {
        self.0.annotations().get(labels::SLOT).map(String::as_str)
    }

    /// Its status, where it is Complete.
    pub(super) fn success(&self) -> Option<&'a RestoreStatus> {
        let status = self.0.status.as_ref()?;
        crate::api::conditions::is_true(&status.conditions, types::COMPLETE).then_some(status)
    }

    /// Reason and message, where it is Failed.
    pub(super) fn failure(&self) -> Option<(&'a str, &'a str)> {
        let conditions = &self.0.status.as_ref()?.conditions;
        conditions
            .iter()
            .find(|c| c.type_ == types::FAILED && c.status == "True")
            .map(|c| (c.reason.as_str(), c.message.as_str()))
    }

    /// When it ended.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        self.0.status.as_ref()?.completion_time
    }
}

/// The Restore of one backup. `attempt` counts earlier ones of the same backup.
pub(super) fn of_backup(schedule: &RestoreSchedule, head: &Head, scope: ChainScope, attempt: usize) -> Restore {
    let name = schedule.name_any();
    let name = if attempt == 0 {
        format!("{name}-{}", head.slot)
    } else {
        format!("{name}-{}-{}", head.slot, attempt + 1)
    };
    let source = RestoreSource {
        manifest: Some(ManifestSource {
            storage: schedule.spec.source.storage.clone(),
            path: head.path.clone(),
            sha256: Some(head.sha256.clone()),
            scope,
        }),
        ..RestoreSource::default()
    };
    make(schedule, &name, &head.slot, source, false)
}

/// The Restore of a drill's slot: the newest backup, into names of the drill's own.
pub(super) fn of_drill(schedule: &RestoreSchedule, slot: Timestamp) -> Restore {
    let slot = slot_name(slot);
    let source = RestoreSource {
        latest: Some(schedule.spec.source.clone()),
        ..RestoreSource::default()
    };
    make(schedule, &format!("{}-{slot}", schedule.name_any()), &slot, source, true)
}

fn make(schedule: &RestoreSchedule, name: &str, slot: &str, source: RestoreSource, drill: bool) -> Restore {
    let meta = schedule.spec.template.metadata.clone().unwrap_or_default();
    let mut set: BTreeMap<String, String> = meta.labels.unwrap_or_default();
    set.insert(labels::RESTORE_SCHEDULE.to_owned(), schedule.name_any());
    set.insert(labels::SCHEDULE_UID.to_owned(), schedule.uid().unwrap_or_default());
    set.insert(labels::MANAGED_BY.to_owned(), "lifeboat".to_owned());
    let mut annotations: BTreeMap<String, String> = meta.annotations.unwrap_or_default();
    annotations.insert(labels::SLOT.to_owned(), slot.to_owned());
    Restore {
        metadata: ObjectMeta {
            name: Some(bounded_name(name)),
            namespace: schedule.namespace(),
            labels: Some(set),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: RestoreSpec {
            source,
            parameters: schedule.spec.template.spec.clone(),
            drill,
            cancel: false,
        },
        status: None,
    }
}
