//! The order of an import. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::state::{Observed, Problem};
use crate::api::Restore;
use crate::api::common::ManifestRef;
use crate::api::conditions::Reason;
use crate::api::order::{Bounds, ImportOrder, Order};
use crate::api::storage_location::StorageLocationSpec;

/// What the job pod is told.
pub(super) fn import(
    seen: &Observed,
    storage: &StorageLocationSpec,
    manifests: &[ManifestRef],
    attempt: u32,
    not_after: Timestamp,
) -> Order {
    let restore = &seen.restore;
    let spec = &restore.spec.parameters;
    Order::Import(Box::new(ImportOrder {
        restore: format!(
            "{}/{}",
            restore.namespace().unwrap_or_default(),
            restore.name_any()
        ),
        storage: storage.clone(),
        manifests: manifests.to_vec(),
        vendor_dump: restore
            .spec
            .source
            .vendor_dump
            .as_ref()
            .map(|dump| dump.path.clone()),
        target: spec.target.clone(),
        remap: spec.remap.clone(),
        conflict_policy: spec.conflict_policy,
        deletions: spec.deletions,
        confirm: spec.confirm.clone(),
        dry_run: spec.dry_run,
        preflight: spec.preflight,
        verify: spec.verify,
        drill_prefix: restore.spec.drill.then(|| drill_prefix(restore)),
        // No attempt starts before the one before it is known to be over.
        drill_again: restore.spec.drill && attempt > 1,
        limits: spec.limits.clone().unwrap_or_default(),
        bounds: Bounds {
            timeout_seconds: seen.timeout().as_secs(),
            not_after,
        },
    }))
}

/// What the names of a drill's databases begin with: the whole uid, so that they are nobody
/// else's, and only letters, digits and underscores, which every system takes.
fn drill_prefix(restore: &Restore) -> String {
    let uid: String = restore
        .uid()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!("lifeboat_drill_{uid}_")
}

/// What of the spec can't be read: it can't be changed, so no attempt is made.
pub(super) fn unreadable_spec(restore: &Restore) -> Option<Problem> {
    let spec = &restore.spec.parameters;
    let retry = spec.retry.as_ref();
    let quiesce = spec.quiesce.as_ref();
    let spans = [
        ("timeout", spec.timeout.as_ref()),
        (
            "quiesce.timeout",
            quiesce.and_then(|quiesce| quiesce.timeout.as_ref()),
        ),
        (
            "retry.minBackoff",
            retry.and_then(|retry| retry.min_backoff.as_ref()),
        ),
        (
            "retry.maxBackoff",
            retry.and_then(|retry| retry.max_backoff.as_ref()),
        ),
    ];
    spans.into_iter().find_map(|(field, span)| {
        let error = span?.get().err()?;
        Some(Problem::new(
            Reason::InvalidSpec,
            format!("spec.{field}: {error}"),
        ))
    })
}
