//! Checks that backups are whole, without any target.

use std::sync::Arc;

use super::{JobError, Run, whole};
use crate::api::common::{ManifestRef, Totals};
use crate::api::order::VerifyOrder;
use crate::api::restore::Preflight;
use crate::storage::Location;
use crate::transfer::catalog;

/// Parts looked at at once: a check only reads, and an order of this kind has no limits.
const WIDTH: usize = 4;
/// How many broken backups are named.
const EXAMPLES: usize = 5;

/// Reads every file of every backup of the order. All backups are looked at; the failure names
/// those that are not whole.
pub(super) async fn verify(
    run: &Arc<Run>,
    order: &VerifyOrder,
    location: &Location,
) -> Result<Totals, JobError> {
    let mut totals = Totals::default();
    let mut broken: Vec<JobError> = Vec::new();
    for reference in &order.manifests {
        match verify_one(run, reference, location).await {
            Ok(found) => add(&mut totals, &found),
            // The run's own end is no word about the backup.
            Err(error @ (JobError::Stopped | JobError::TimedOut { .. })) => return Err(error),
            Err(error) => broken.push(error),
        }
    }
    let count = broken.len();
    match broken.first() {
        None => Ok(totals),
        Some(_) if count == 1 => Err(broken.remove(0)),
        Some(first) => Err(JobError::Refused {
            reason: first.reason(),
            retryable: broken.iter().all(JobError::retryable),
            message: format!(
                "{count} of {} backups are not whole, the first: {}",
                order.manifests.len(),
                broken
                    .iter()
                    .take(EXAMPLES)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            ),
        }),
    }
}

async fn verify_one(
    run: &Arc<Run>,
    reference: &ManifestRef,
    location: &Location,
) -> Result<Totals, JobError> {
    let read = catalog::read_backup(location, &reference.path, Some(&reference.sha256));
    let manifest = run.clock.within(read).await?.manifest;
    run.phase("verify", manifest.totals.parts);
    whole::check(run, location, &manifest, Preflight::Digests, WIDTH).await?;
    Ok(manifest.totals)
}

/// Adds what one backup holds.
pub(super) fn add(totals: &mut Totals, more: &Totals) {
    totals.parts += more.parts;
    totals.records += more.records;
    totals.files += more.files;
    totals.plain_bytes += more.plain_bytes;
    totals.stored_bytes += more.stored_bytes;
}
