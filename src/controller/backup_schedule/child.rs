//! The Backup of a slot or trigger. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use crate::api::backup_schedule::TemplateMeta;
use crate::api::{Backup, BackupSchedule, labels};
use crate::controller::children::check_label;
use crate::schedule::{backup_name, manual_backup_name};

/// The Backup of a slot. It has no owner: deleting the schedule keeps it.
pub(super) fn of_slot(schedule: &BackupSchedule, slot: Timestamp) -> Backup {
    let name = backup_name(&schedule.name_any(), slot);
    describe(schedule, name, slot, None)
}

/// The Backup of a trigger. `slot` is its place in the line of backups.
pub(super) fn of_trigger(schedule: &BackupSchedule, trigger: &str, slot: Timestamp) -> Backup {
    let name = manual_backup_name(&schedule.name_any(), trigger);
    describe(schedule, name, slot, Some(trigger))
}

fn describe(
    schedule: &BackupSchedule,
    name: String,
    slot: Timestamp,
    trigger: Option<&str>,
) -> Backup {
    let template = &schedule.spec.template;
    let TemplateMeta {
        labels: own_labels,
        annotations,
    } = template.metadata.clone().unwrap_or_default();
    let mut all_labels = own_labels.unwrap_or_default();
    all_labels.extend([
        (labels::MANAGED_BY.to_owned(), "lifeboat".to_owned()),
        (labels::BACKUP_SCHEDULE.to_owned(), schedule.name_any()),
        (
            labels::SCHEDULE_UID.to_owned(),
            schedule.uid().unwrap_or_default(),
        ),
    ]);
    let mut all_annotations = annotations.unwrap_or_default();
    all_annotations.insert(labels::SLOT.to_owned(), slot.to_string());
    if let Some(trigger) = trigger {
        all_annotations.insert(labels::TRIGGER.to_owned(), trigger.to_owned());
    }
    Backup {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: schedule.namespace(),
            labels: Some(all_labels),
            annotations: Some(all_annotations),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Says what tells a Backup that was found from the one that was to be made. The template may have
/// been edited in between, so its spec may differ; the schedule, the slot or the trigger may not.
pub(super) fn check(wanted: &Backup, found: &Backup) -> Result<(), String> {
    for label in [labels::BACKUP_SCHEDULE, labels::SCHEDULE_UID] {
        let value = wanted.labels().get(label).map_or("", String::as_str);
        check_label(found, label, value)?;
    }
    // A trigger's Backup keeps the slot that it was made with.
    let annotation = if wanted.annotations().contains_key(labels::TRIGGER) {
        labels::TRIGGER
    } else {
        labels::SLOT
    };
    let of = |backup: &Backup| backup.annotations().get(annotation).cloned();
    if of(wanted) == of(found) {
        Ok(())
    } else {
        Err(format!("its annotation {annotation} differs"))
    }
}
