//! Copies what is committed in a line into another location, byte for byte and under the same keys, and
//! prunes there. So everything that reads a backup reads its copy.

mod backup;
mod decision;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::parallel::{throttle, width};
use super::prune::{Sum, check_clock};
use super::{JobError, Run, claim};
use crate::api::common::Totals;
use crate::api::conditions::Reason;
use crate::api::order::ReplicateOrder;
use crate::api::outcome::Replicated;
use crate::manifest::line::manifest_key;
use crate::retention::Rules;
use crate::storage::{Location, ensure_two_places};
use crate::transfer::Copier;
use crate::transfer::catalog::{self, SlotEntry};
use backup::Line;
use decision::Decision;

/// Copies every backup that is missing in `to`, oldest first, and deletes there what the order's rules
/// don't keep. A backup that is not whole in `from` is left out and told; others go on.
pub async fn replicate(
    run: &Arc<Run>,
    order: &ReplicateOrder,
    from: &Location,
    to: &Location,
) -> Result<Replicated, JobError> {
    run.phase("compare", 0);
    let take_over = order.replica.take_over_from.as_deref();
    claim::hold(run, to, &order.identity, take_over).await?;
    let cluster = &order.identity.cluster;
    run.clock
        .within(ensure_two_places(from, to, cluster))
        .await?;
    let path = order.identity.line();
    let there = slots(run, to, &path).await?;
    let decision = decide(run, order, from, to, &there).await?;

    run.phase("copy", decision.copy.len() as u64);
    let width = width(&order.limits);
    let throttle = throttle(&order.limits)?;
    let line = Line {
        run,
        from,
        to,
        copier: Copier::new(from.clone(), to.clone(), width, throttle),
        path: &path,
        width,
    };
    let mut done = Replicated::default();
    let mut present: HashSet<String> = there.into_iter().collect();
    let mut left_out: Vec<JobError> = Vec::new();
    for slot in &decision.copy {
        match line.copy(slot, &present).await {
            Ok(Some(totals)) => {
                super::verify::add(&mut done.copied, &totals);
                present.insert(slot.clone());
            }
            // A void slot, or one that was pruned since the listing.
            Ok(None) => {}
            Err(error) if backup::is_its_own_fault(&error) => left_out.push(error),
            Err(error) => return Err(error),
        }
        run.progress.part_done(0);
    }
    done.left_out = summary(left_out, decision.copy.len()).map(|error| error.failure());
    // What is to stay instead of them may be among those that were left out.
    if done.left_out.is_none() {
        done.deleted = prune(run, order, to, &decision.delete).await?;
    }
    let newest = run.clock.within(catalog::newest(to, &path)).await?;
    done.consistency_time = newest
        .as_ref()
        .map(|stored| stored.manifest.consistency_time);
    done.slot = newest.map(|stored| stored.manifest.identity.slot);
    Ok(done)
}

async fn slots(run: &Run, location: &Location, line: &str) -> Result<Vec<String>, JobError> {
    let listed = catalog::list_slots(location, line, None);
    let listed: Vec<SlotEntry> = run.clock.within(listed).await?;
    Ok(listed.into_iter().map(|entry| entry.slot).collect())
}

async fn decide(
    run: &Arc<Run>,
    order: &ReplicateOrder,
    from: &Location,
    to: &Location,
    there: &[String],
) -> Result<Decision, JobError> {
    let path = order.identity.line();
    let bad = |error: String| JobError::refused(Reason::InvalidSpec, error);
    let rules = order.retention.as_ref().map(Rules::try_from).transpose();
    let rules = rules.map_err(|error| bad(format!("retention.keepWithin: {error}")))?;
    let rules = rules.filter(|rules| !rules.is_empty());
    let (Some(rules), true) = (&rules, order.prune) else {
        let here = slots(run, from, &path).await?;
        return Ok(decision::missing(&here, there, rules.is_some()));
    };
    let zone = order.time_zone.as_deref().unwrap_or("Etc/UTC");
    let zone = TimeZone::get(zone).map_err(|_| bad(format!("the zone {zone:?} is unknown")))?;
    let held: HashSet<&str> = order.held.iter().map(String::as_str).collect();
    let is_held = |slot: &str| held.contains(slot);
    let read = async |location| {
        run.clock
            .within(catalog::items(location, &path, is_held))
            .await
    };
    let (here_items, there_items) = match (read(from).await, read(to).await) {
        (Ok(here), Ok(there)) => (here, there),
        (Err(error), _) | (_, Err(error)) if backup::is_its_own_fault(&error) => {
            run.warn(format!("no copy is pruned: {error}"));
            let here = slots(run, from, &path).await?;
            return Ok(decision::missing(&here, there, true));
        }
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    // By now the store has answered, so its time is known.
    check_clock(to.server_date().await, Timestamp::now())?;
    let now = run.clock.now();
    Ok(decision::by_rules(
        &here_items,
        &there_items,
        rules,
        &zone,
        now,
    ))
}

/// Deletes copies that the rules don't keep, and what killed runs left.
async fn prune(
    run: &Arc<Run>,
    order: &ReplicateOrder,
    to: &Location,
    delete: &[String],
) -> Result<Totals, JobError> {
    run.phase("prune", delete.len() as u64);
    let path = order.identity.line();
    let mut sum = Sum::default();
    for slot in delete {
        let key = manifest_key(&path, slot);
        let deleted = run.clock.within(catalog::delete_backup(to, &key)).await;
        sum.add(deleted)?;
    }
    if let Some(before) = order.sweep_before {
        sum.sweep(run, to, &path, before).await?;
    }
    Ok(sum.finish(run))
}

/// One error for all that were left out.
fn summary(mut left_out: Vec<JobError>, of: usize) -> Option<JobError> {
    let count = left_out.len();
    if count < 2 {
        return left_out.pop();
    }
    let first = left_out.first()?;
    Some(JobError::Refused {
        reason: first.reason(),
        message: format!("{count} of {of} backups were not copied, the first: {first}"),
        retryable: left_out.iter().any(JobError::retryable),
    })
}
