//! Imports. A database that is not there is made from the backup's metadata, and gets the shards' files
//! as they are. One that is there can't be given files: the shards go into a database of our own, and
//! their points from there into the target, by queries and writes through this process. That has what
//! the vendor's way (`SELECT … INTO`) lacks: each value keeps its type, and what the target refuses is
//! counted and named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::super::catalog;
use super::super::client::Client;
use super::super::export::{self, Place};
use super::super::structure;
use super::super::{import, names, prepare, ql};
use super::archive::Unpacker;
use super::count::{self, Span};
use super::meta::{Database, Meta, Shard};
use super::parts::{self, ShardPart, Shards};
use super::pipe;
use super::plan::check_one_server;
use super::wire::Service;
use crate::api::restore::ConflictPolicy;
use crate::engine::tar::Fault;
use crate::engine::{EngineError, ImportPlan, ImportReport};
use crate::manifest::Part;
use crate::transfer::RecordSource;

/// What the name of a database begins with that points are merged from.
const MERGE: &str = "lifeboat_";

/// Where the shards of a backup's database go.
#[derive(Clone, Debug, Default)]
struct Placed {
    /// The database that gets the files.
    files: String,
    /// The database that is to have the points. The same, but where they are merged.
    target: String,
    /// The numbers that the server gave the shards.
    ids: HashMap<u64, u64>,
    /// How long points are kept, by retention policy of the target; 0: for ever.
    durations: BTreeMap<String, u64>,
}

/// The databases of a run.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By name in the backup.
    placed: Mutex<BTreeMap<String, Placed>>,
    /// Databases of our own, which are to be dropped.
    own: Mutex<BTreeSet<String>>,
}

/// The name of the database that points are merged from. It is the same in each attempt of a restore,
/// so that none stays; for a drill it begins as all its names do.
fn merge_name(plan: &ImportPlan, target: &str) -> String {
    let hash = hex::encode(&Sha256::digest(target.as_bytes())[..8]);
    let prefix = plan.drill_prefix.as_deref().unwrap_or(MERGE);
    format!("{prefix}merge_{hash}")
}

/// Makes the databases that the shards of a backup go into.
pub(super) async fn prepare(
    client: &Client,
    service: &Service,
    plan: &ImportPlan,
    structure: &[Part],
    made: &BTreeSet<String>,
    places: &Places,
) -> Result<Vec<String>, EngineError> {
    let mut lists = parts::read_lists(structure)?;
    let described = super::databases(structure);
    check_one_server(client, service).await?;
    let databases = names::named(plan, &described)?;
    let there: BTreeSet<String> = catalog::databases(client).await?.into_iter().collect();
    for (target, _) in &databases {
        prepare::check_free_for_drill(plan, &there, made, target)?;
    }
    let mut new = Vec::new();
    for (target, database) in databases {
        let shards = lists.remove(&database.name).unwrap_or_default();
        let mut exists = there.contains(&target);
        if exists && plan.conflict_policy == ConflictPolicy::Replace {
            if !shards.whole {
                return Err(EngineError::NotSupported {
                    problem: format!(
                        "Replace would drop the whole database {target:?}, and the backup holds but some of it: use Overwrite, or drop it by hand"
                    ),
                });
            }
            drop_database(client, &target).await?;
            exists = false;
        }
        let files = if exists {
            let only = [(target.clone(), database.clone())];
            prepare::prepare_named(client, plan, &only, made).await?;
            let name = merge_name(plan, &target);
            places.own(&name);
            drop_database(client, &name).await?;
            name
        } else {
            new.push(target.clone());
            target.clone()
        };
        let policies = if exists {
            catalog::policies(client, &target).await?
        } else {
            database.policies.clone()
        };
        let durations = policies
            .into_iter()
            .map(|policy| (policy.name, policy.duration_seconds));
        let goes = Placed {
            ids: make(client, service, plan, &files, &database, shards, exists).await?,
            durations: durations.collect(),
            files,
            target,
        };
        places.place(&database.name, goes);
    }
    Ok(new)
}

/// Makes a database with the backup's retention policies and shards. One to merge from keeps its points
/// for ever: what is too old for the target is the target's to say.
async fn make(
    client: &Client,
    service: &Service,
    plan: &ImportPlan,
    name: &str,
    database: &structure::Database,
    shards: Shards,
    to_merge: bool,
) -> Result<HashMap<u64, u64>, EngineError> {
    if shards.of.values().all(Vec::is_empty) {
        // The service says nothing where no shard is mapped, just as where it failed.
        prepare::create(client, name, database).await?;
        return Ok(HashMap::new());
    }
    let of = shards.of.into_iter().map(|(policy, shards)| {
        let policy = names::target_policy(plan, &database.name, &policy);
        (policy.to_owned(), shards)
    });
    let mut of: BTreeMap<String, Vec<Shard>> = of.collect();
    let policies = database.policies.iter().cloned().map(|mut policy| {
        if to_merge {
            policy.duration_seconds = 0;
        }
        let shards = of.remove(&policy.name).unwrap_or_default();
        (policy, shards)
    });
    let meta = Meta {
        cluster: 0,
        databases: vec![Database {
            name: name.to_owned(),
            policies: policies.collect(),
            queries: Vec::new(),
        }],
    };
    service.make(&meta, name).await
}

async fn drop_database(client: &Client, name: &str) -> Result<(), EngineError> {
    let statement = format!("DROP DATABASE {}", ql::ident(name));
    client.table(&statement).await.map(drop)
}

impl Places {
    fn own(&self, name: &str) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert(name.to_owned());
    }

    fn place(&self, database: &str, placed: Placed) {
        let mut all = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(database.to_owned(), placed);
    }

    fn of(&self, database: &str) -> Result<Placed, EngineError> {
        let all = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(database)
            .cloned()
            .ok_or_else(|| parts::bad(&format!("a shard of {database:?}, of which it lists none")))
    }

    /// Drops the databases of our own.
    pub(super) async fn clean_up(&self, client: &Client) -> Result<(), EngineError> {
        let own = std::mem::take(&mut *self.own.lock().unwrap_or_else(PoisonError::into_inner));
        for name in own {
            drop_database(client, &name)
                .await
                .map_err(|error| EngineError::Server {
                    server: client.server().to_owned(),
                    problem: format!(
                        "the database {name:?} is still there, drop it by hand: {error}"
                    ),
                    retryable: false,
                })?;
        }
        Ok(())
    }
}

/// Drops what an attempt of a drill left that was stopped while it merged.
pub(super) async fn drop_merged(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<(), EngineError> {
    for (target, _) in names::named(plan, structure)? {
        drop_database(client, &merge_name(plan, &target)).await?;
    }
    Ok(())
}

/// What an import of a shard works with.
pub(super) struct Work<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// Its backup service.
    pub(super) service: &'a Service,
    /// Where shards go.
    pub(super) places: &'a Places,
}

impl Work<'_> {
    /// Writes the files of one shard; `policy` is the target's name of its retention policy. `target`
    /// writes points, where the database was there before.
    pub(super) async fn shard(
        &self,
        part: &ShardPart,
        policy: &str,
        target: import::Target<'_>,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let placed = self.places.of(&part.database)?;
        let merged = placed.files != placed.target;
        let all = part.values.0;
        let keep = placed.durations.get(policy).copied().unwrap_or(0);
        if !merged && expired(part.shard.end, keep, jiff::Timestamp::now()) {
            // The server would drop it at its next look.
            return Ok(ImportReport {
                expired: all,
                ..ImportReport::default()
            });
        }
        let id = placed.ids.get(&part.shard.id).ok_or_else(|| {
            parts::bad(&format!(
                "the shard {}, which its list does not name",
                part.shard.id
            ))
        })?;
        self.upload(&placed.files, policy, *id, records).await?;
        if !merged {
            return Ok(ImportReport {
                written: all,
                ..ImportReport::default()
            });
        }
        let from = Span {
            database: placed.files.clone(),
            policy: policy.to_owned(),
            range: part.range(),
        };
        let mut report = self.merge(&from, target).await?;
        if report.expired > 0 {
            // Points were refused for their age: as many values as the files have of that age.
            let until = horizon(keep, jiff::Timestamp::now());
            let range = ql::Range {
                start: None,
                end: until,
            };
            report.expired = match from.range.cut(range) {
                Some(range) => count::values(self.client, &Span { range, ..from })
                    .await?
                    .min(all),
                None => 0,
            };
        }
        report.written = all.saturating_sub(report.refused + report.expired);
        Ok(report)
    }

    async fn upload(
        &self,
        database: &str,
        policy: &str,
        id: u64,
        records: &mut dyn RecordSource,
    ) -> Result<(), EngineError> {
        let bad = |fault: Fault| EngineError::BadBackup {
            problem: format!("the files of a shard can't be used: {fault}"),
        };
        let mut upload = self.service.update(id).await?;
        let mut unpacker = Unpacker::new(format!("{database}/{policy}/{id}"));
        while let Some(packed) = records.next().await? {
            let out = unpacker.push(&packed).map_err(bad)?;
            upload.write(&out).await?;
            tokio::task::consume_budget().await;
        }
        upload.write(&unpacker.finish().map_err(bad)?).await?;
        upload.finish().await
    }

    /// Copies all points of a span, one measurement after another.
    async fn merge(
        &self,
        from: &Span,
        target: import::Target<'_>,
    ) -> Result<ImportReport, EngineError> {
        let mut total = ImportReport::default();
        for measurement in count::measurements(self.client, from).await? {
            let place = Place {
                database: from.database.clone(),
                policy: from.policy.clone(),
                measurement,
                window: from.range,
            };
            let (sink, source) = pipe::pipe();
            // Each owns its end, so that the other sees when it is done.
            let read = async {
                let mut sink = sink;
                export::export(self.client, &place, &mut sink).await
            };
            let write = async {
                let mut source = source;
                import::import(target, &mut source).await
            };
            let (read, written) = tokio::join!(read, write);
            let report = match (read, written) {
                // Where writing ended, reading found nobody to read for.
                (_, Err(error)) | (Err(error), Ok(_)) => return Err(error),
                (Ok(_), Ok(report)) => report,
            };
            total.refused += report.refused;
            total.expired += report.expired;
            total.examples.extend(report.examples);
        }
        Ok(total)
    }
}

/// The time that points must not be older than; none: they are kept for ever.
fn horizon(keep_seconds: u64, now: jiff::Timestamp) -> Option<i64> {
    let keep = i64::try_from(keep_seconds)
        .ok()?
        .checked_mul(1_000_000_000)?;
    (keep > 0).then(|| catalog::nanoseconds(now).saturating_sub(keep))
}

/// Whether a retention policy lets go of all of a shard.
fn expired(end: i64, keep_seconds: u64, now: jiff::Timestamp) -> bool {
    horizon(keep_seconds, now).is_some_and(|horizon| end <= horizon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_retention_policy_lets_go_of() {
        let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1000);
        let second = 1_000_000_000;
        for (end, keep, want) in [
            (900 * second, 100, true),
            (900 * second + 1, 100, false),
            (0, 0, false),
            (i64::MIN, u64::MAX, false),
        ] {
            assert_eq!(expired(end, keep, now), want, "{end} {keep}");
        }
    }

    #[test]
    fn names_to_merge_from() {
        let plan = ImportPlan::default();
        assert_eq!(merge_name(&plan, "a"), merge_name(&plan, "a"));
        assert_ne!(merge_name(&plan, "a"), merge_name(&plan, "b"));
        assert!(merge_name(&plan, &"d".repeat(255)).starts_with("lifeboat_merge_"));
        let drill = ImportPlan {
            drill_prefix: Some("lifeboat_drill_1_".to_owned()),
            ..plan
        };
        assert!(merge_name(&drill, "a").starts_with("lifeboat_drill_1_merge_"));
    }
}
