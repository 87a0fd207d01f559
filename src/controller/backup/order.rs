//! The order of an export. Pure.

use jiff::Timestamp;

use super::decide::Problem;
use super::state::Observed;
use crate::api::BackupSpec;
use crate::api::conditions::Reason;
use crate::api::order::{Bounds, ExportOrder, Order};
use crate::api::storage_location::StorageLocationSpec;
use crate::controller::time::after;

/// What the job pod is told.
pub(super) fn export(seen: &Observed, storage: &StorageLocationSpec, now: Timestamp) -> Order {
    let spec = &seen.backup.spec;
    Order::Export(Box::new(ExportOrder {
        identity: seen.identity.clone(),
        source: spec.source.clone(),
        storage: storage.clone(),
        compression: spec.compression.clone().unwrap_or_default(),
        limits: spec.limits.clone().unwrap_or_default(),
        bounds: Bounds {
            timeout_seconds: seen.timeout().as_secs(),
            not_after: after(now, seen.timeout()),
        },
    }))
}

/// What of the spec can't be read: it can't be changed, so no attempt is made.
pub(super) fn unreadable_spec(spec: &BackupSpec) -> Option<Problem> {
    let retry = spec.retry.as_ref();
    let spans = [
        ("timeout", spec.timeout.as_ref()),
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
