//! Imports backups: look at everything first, then touch the target, then prove what is there.

mod apply;
mod backup;
mod migrate;
mod policy;
mod preflight;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use apply::Applied;
use backup::Backup;
pub use migrate::migrate;

use super::{JobError, Run};
use crate::api::common::Totals;
use crate::api::order::ImportOrder;
use crate::api::outcome::Imported;
use crate::api::restore::{ConflictPolicy, Verify};
use crate::engine::{Engine, ImportPlan};
use crate::manifest::Part;
use crate::storage::Location;

/// How long a drill may take to drop what it made once the run is over. It has to fit into the time
/// that Kubernetes leaves a pod between SIGTERM and SIGKILL.
const DROP_TIME: Duration = Duration::from_secs(15);

/// What every step of an import needs.
struct Import {
    run: Arc<Run>,
    order: ImportOrder,
    location: Location,
    engine: Arc<dyn Engine>,
}

/// Imports what the order says into the target.
///
/// Nothing in the target is changed before every manifest was checked, every file was looked at,
/// and the rules for a target that holds data were kept.
pub(super) async fn import(
    run: &Arc<Run>,
    order: &ImportOrder,
    location: &Location,
    engine: Arc<dyn Engine>,
) -> Result<Imported, JobError> {
    let job = Arc::new(Import {
        run: Arc::clone(run),
        order: order.clone(),
        location: location.clone(),
        engine,
    });
    let backups = job.preflight().await?;
    if order.dry_run {
        return Ok(job.say_what_would_happen(&backups));
    }
    let applied = Applied::default();
    let result = job.apply_all(&backups, &applied).await;
    // Not before the target said that these names were free: they could be somebody else's.
    if order.drill_prefix.is_some() && applied.prepared() {
        job.drop_drill(&backups).await;
    }
    result.map_err(|problem| applied.explain(problem, order))?;
    Ok(Imported {
        consistency_time: newest(&backups),
        verified: order.verify,
        totals: applied.totals(),
        refused_records: 0,
        expired_records: applied.expired(),
    })
}

impl Import {
    async fn apply_all(
        self: &Arc<Self>,
        backups: &[Backup],
        applied: &Applied,
    ) -> Result<(), JobError> {
        for (number, backup) in backups.iter().enumerate() {
            // The next backup of a chain writes over this one's records, so this one is proven
            // before that comes.
            let plan = self.plan(number);
            let structure = structure_for(backups, number, plan.conflict_policy);
            self.apply(backup, &plan, &structure, applied).await?;
            self.prove(backup, applied).await?;
        }
        if let Some(newest) = backups.last() {
            let plan = self.plan(backups.len());
            let finish = self.engine.finish_import(&plan, &newest.structure);
            self.run.clock.within(finish).await?;
        }
        Ok(())
    }

    fn say_what_would_happen(&self, backups: &[Backup]) -> Imported {
        let mut totals = Totals::default();
        for backup in backups {
            let found = &backup.totals;
            let as_of = match backup.consistency_time {
                Some(time) => format!(", as of {time}"),
                None => String::new(),
            };
            self.run.warn(format!(
                "dry run: would import {} records in {} parts of the {}{as_of}",
                found.records, found.parts, backup.title
            ));
            totals.parts += found.parts;
            totals.records += found.records;
            totals.files += found.files;
            totals.plain_bytes += found.plain_bytes;
            totals.stored_bytes += found.stored_bytes;
        }
        self.run.warn(format!(
            "dry run: {}; nothing was changed",
            policy::consequence(&self.order)
        ));
        Imported {
            consistency_time: newest(backups),
            verified: Verify::None,
            totals,
            refused_records: 0,
            expired_records: 0,
        }
    }

    /// Drops what the drill made, also after a failure. What stays is said; its names are the
    /// drill's own, so nobody else's data is in the way.
    async fn drop_drill(&self, backups: &[Backup]) {
        let plan = self.plan(0);
        let structure = all_structure(backups);
        let drop = self.engine.drop_drill(&plan, &structure);
        let problem = match tokio::time::timeout(DROP_TIME, drop).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} s", DROP_TIME.as_secs()),
        };
        self.run.warn(format!(
            "what the drill made (names that begin with {}) could not be dropped: {problem}; drop it by hand",
            plan.drill_prefix.unwrap_or_default()
        ));
    }

    fn plan(&self, number: usize) -> ImportPlan {
        plan_at(&self.order, number)
    }
}

/// How the first backup of the order is imported; the engine is connected with it.
pub(super) fn first_plan(order: &ImportOrder) -> ImportPlan {
    plan_at(order, 0)
}

/// How the backup at this place of the chain is imported: only the first may find (and drop) what
/// others made.
fn plan_at(order: &ImportOrder, number: usize) -> ImportPlan {
    ImportPlan {
        remap: order.remap.clone(),
        conflict_policy: policy::policy_at(order, number),
        deletions: order.deletions,
        verify: order.verify,
        drill_prefix: order.drill_prefix.clone(),
    }
}

/// What is made before the records of the backup at this place. Under `Replace` everything that
/// any backup of the chain holds is dropped with the first one, and never again.
fn structure_for(backups: &[Backup], number: usize, policy: ConflictPolicy) -> Vec<Part> {
    match backups.get(number) {
        Some(_) if policy == ConflictPolicy::Replace => all_structure(backups),
        Some(backup) => backup.structure.clone(),
        None => Vec::new(),
    }
}

/// What is made for any backup of the chain, the oldest first. Parts of one name add up: a long list
/// is cut into several parts, and a later backup may hold more of a database.
fn all_structure(backups: &[Backup]) -> Vec<Part> {
    let structures = backups.iter().map(|backup| &backup.structure);
    structures.flatten().cloned().collect()
}

fn newest(backups: &[Backup]) -> Option<jiff::Timestamp> {
    let times = backups.iter().filter_map(|backup| backup.consistency_time);
    times.max()
}

/// The first few of many words.
fn all_of(words: &[String]) -> String {
    const SHOWN: usize = 5;
    words[..words.len().min(SHOWN)].join("; ")
}

/// A part's name for people, bounded: it comes from the bucket.
fn show(part: &Part) -> String {
    let name: Vec<String> = part
        .name
        .values()
        .map(|word| word.chars().take(60).flat_map(char::escape_debug).collect())
        .collect();
    format!("{} {}", part.kind, name.join("."))
}
