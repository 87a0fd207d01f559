//! Deletes what retention does not keep, and data that no manifest names.

mod decision;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{JobError, Run, claim};
use crate::api::common::Totals;
use crate::api::conditions::Reason;
use crate::api::order::PruneOrder;
use crate::manifest::chain::Head;
use crate::manifest::line::parse_manifest_key;
use crate::retention::{MAX_CLOCK_SKEW, clock_skew_stops};
use crate::storage::Location;
use crate::transfer::TransferError;
use crate::transfer::catalog::{self, Deleted};

/// Deletes the manifests of the order that may go, their files, and files that no manifest names
/// and that are older than the order says. Gives what was deleted: `parts` counts manifests.
pub(super) async fn prune(
    run: &Arc<Run>,
    order: &PruneOrder,
    location: &Location,
) -> Result<Totals, JobError> {
    run.phase("prune", order.delete.len() as u64);
    let line = order.identity.line();
    let wanted = wanted_slots(&line, &order.delete)?;
    let take_over = order.storage.take_over_from.as_deref();
    claim::hold(run, location, &order.identity, take_over).await?;
    let heads = read_heads(run, &line, location).await?;
    // By now the store has answered, so its time is known.
    check_clock(location.server_date().await, Timestamp::now())?;

    let decision = decision::decide(&heads, &wanted);
    for (slot, why) in &decision.spared {
        run.warn(format!("the backup {slot} was not deleted: {why}"));
    }
    let mut sum = Sum::default();
    for slot in &decision.delete {
        let key = crate::manifest::line::manifest_key(&line, slot);
        let deleted = run
            .clock
            .within(catalog::delete_backup(location, &key))
            .await;
        sum.add(deleted)?;
        run.progress.part_done(0);
    }
    sum.sweep(run, location, &line, order.sweep_before).await?;
    Ok(sum.finish(run))
}

/// What was deleted so far.
#[derive(Default)]
pub(super) struct Sum {
    totals: Totals,
    locked: u64,
}

impl Sum {
    /// Counts what was deleted. What object lock holds is no fault: it goes later.
    pub(super) fn add(&mut self, deleted: Result<Deleted, JobError>) -> Result<(), JobError> {
        match deleted {
            Ok(deleted) => {
                self.totals.parts += u64::from(deleted.manifest);
                self.totals.files += deleted.files;
                self.totals.stored_bytes += deleted.bytes;
                Ok(())
            }
            Err(JobError::Transfer(TransferError::Storage(error)))
                if error.reason == Reason::Locked =>
            {
                self.locked += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes files of a line that no manifest names, and what killed runs had begun to write, where
    /// they are older than `before`.
    pub(super) async fn sweep(
        &mut self,
        run: &Run,
        location: &Location,
        line: &str,
        before: Timestamp,
    ) -> Result<(), JobError> {
        let swept = catalog::unreferenced_data(location, line, before);
        for unnamed in run.clock.within(swept).await? {
            tracing::info!(
                dir = unnamed.dir,
                files = unnamed.files,
                "data without a manifest is swept"
            );
            let deleted = catalog::delete_run(location, &unnamed);
            self.add(run.clock.within(deleted).await)?;
        }
        let unfinished = location.sweep_unfinished(line, before);
        let unfinished = run.clock.within(unfinished).await?;
        self.totals.files += unfinished.files;
        self.totals.stored_bytes += unfinished.bytes;
        Ok(())
    }

    /// The sums; what object lock holds is told.
    pub(super) fn finish(self, run: &Run) -> Totals {
        if self.locked > 0 {
            run.warn(format!(
                "{} backups are held by the store's object lock; they are deleted once it ends",
                self.locked
            ));
        }
        self.totals
    }
}

/// The slots that the order wants gone. A key of another line is an error: nothing is deleted.
fn wanted_slots(line: &str, keys: &[String]) -> Result<HashSet<String>, JobError> {
    keys.iter()
        .map(|key| match parse_manifest_key(key) {
            Some((found, slot)) if found.path() == line => Ok(slot),
            _ => Err(JobError::refused(
                Reason::ManifestInvalid,
                format!("{key:?} is not a manifest of {line}; nothing was deleted"),
            )),
        })
        .collect()
}

/// All committed backups of the line. One that can't be read stops the pruning: what it needs
/// would look unneeded.
async fn read_heads(
    run: &Arc<Run>,
    line: &str,
    location: &Location,
) -> Result<Vec<Head>, JobError> {
    let mut heads = Vec::new();
    let slots = run
        .clock
        .within(catalog::list_slots(location, line, None))
        .await?;
    for entry in slots {
        let read = catalog::read_backup(location, &entry.key, None);
        match run.clock.within(read).await {
            Ok(stored) => heads.push(stored.head()),
            // A void marker, or a manifest that went since the listing: nothing builds on those.
            Err(JobError::Transfer(
                TransferError::SlotVoid { .. } | TransferError::NotFound { .. },
            )) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(heads)
}

/// Stops where this clock is too far from the store's: ages would be wrong.
pub(super) fn check_clock(store: Option<Timestamp>, now: Timestamp) -> Result<(), JobError> {
    match store {
        Some(date) if clock_skew_stops(date, now) => Err(JobError::refused(
            Reason::ClockSkew,
            format!(
                "this pod's clock says {now}, the store's {date}: more than {} minutes apart, so nothing was deleted; set the clocks right",
                MAX_CLOCK_SKEW.as_mins()
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_stops_pruning() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-11-20T10:00:00Z");
        let cases = [
            (None, true),
            (Some("2026-11-20T10:00:00Z"), true),
            (Some("2026-11-20T10:04:00Z"), true),
            (Some("2026-11-20T10:06:00Z"), false),
            (Some("2026-11-20T09:54:00Z"), false),
        ];
        for (date, goes_on) in cases {
            let result = check_clock(date.map(at), now);
            assert_eq!(result.is_ok(), goes_on, "{date:?}");
        }
    }

    #[test]
    fn only_manifests_of_the_line_are_taken() {
        let line = "lifeboat/v1/prod/iot/schedules/telemetry";
        let cases = [
            (
                "lifeboat/v1/prod/iot/schedules/telemetry/manifests/20261120t101500z.json",
                true,
            ),
            (
                "lifeboat/v1/prod/iot/schedules/other/manifests/20261120t101500z.json",
                false,
            ),
            (
                "lifeboat/v1/prod/iot/schedules/telemetry/data/20261120t101500z/r/x",
                false,
            ),
            ("../manifests/20261120t101500z.json", false),
        ];
        for (key, good) in cases {
            assert_eq!(wanted_slots(line, &[key.to_owned()]).is_ok(), good, "{key}");
        }
    }
}
