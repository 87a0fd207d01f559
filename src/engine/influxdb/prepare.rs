//! What a target must have before and after records come in, and the right to make it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::catalog::{self, Policy};
use super::client::{Client, Written};
use super::names::named;
use super::structure::Database;
use super::{cq, ql};
use crate::api::restore::ConflictPolicy;
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// A drill works in databases that it made itself.
pub(super) fn check_free_for_drill(
    plan: &ImportPlan,
    there: &BTreeSet<String>,
    made: &BTreeSet<String>,
    target: &str,
) -> Result<(), EngineError> {
    if plan.drill_prefix.is_none() || !there.contains(target) || made.contains(target) {
        return Ok(());
    }
    Err(EngineError::TargetNotEmpty {
        problem: format!(
            "the drill's database {target:?} is there already; drop it, or start another drill"
        ),
    })
}

/// Checks the right to write, then makes databases and retention policies. Returns the databases
/// that were made. `made` are those that this run made before.
pub(super) async fn prepare(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
    made: &BTreeSet<String>,
) -> Result<Vec<String>, EngineError> {
    prepare_named(client, plan, &named(plan, structure)?, made).await
}

/// As [`prepare`], of databases that were read and named.
pub(super) async fn prepare_named(
    client: &Client,
    plan: &ImportPlan,
    databases: &[(String, Database)],
    made: &BTreeSet<String>,
) -> Result<Vec<String>, EngineError> {
    let there: BTreeSet<String> = catalog::databases(client).await?.into_iter().collect();
    for (target, _) in databases {
        check_free_for_drill(plan, &there, made, target)?;
    }
    let mut have = BTreeMap::new();
    for (target, database) in databases {
        if there.contains(target) {
            let policies = catalog::policies(client, target).await?;
            may_write(client, target).await?;
            if lacks(&policies, database).next().is_some() {
                may_create(client, &format!("retention policies in {target:?}")).await?;
            }
            have.insert(target.as_str(), policies);
        } else {
            may_create(client, &format!("the database {target:?}")).await?;
        }
    }
    if plan.conflict_policy == ConflictPolicy::Replace {
        for (target, database) in databases
            .iter()
            .filter(|(target, _)| there.contains(target))
        {
            let policies = have.get(target.as_str()).map_or(&[][..], Vec::as_slice);
            drop_measurements(client, target, database, policies).await?;
        }
    }
    let mut new = Vec::new();
    for (target, database) in databases {
        match have.get(target.as_str()) {
            None => {
                create(client, target, database).await?;
                new.push(target.clone());
            }
            Some(policies) => complete(client, plan, target, database, policies).await?,
        }
    }
    Ok(new)
}

fn lacks<'a>(have: &'a [Policy], wanted: &'a Database) -> impl Iterator<Item = &'a Policy> {
    let is_there = |policy: &&Policy| !have.iter().any(|have| have.name == policy.name);
    wanted.policies.iter().filter(is_there)
}

/// An empty write is checked for the right to write, and changes nothing.
async fn may_write(client: &Client, target: &str) -> Result<(), EngineError> {
    match client.write(target, None, Bytes::new()).await? {
        Written::All => Ok(()),
        Written::Refused(text) => Err(super::fault::said(client.server(), 400, &text)),
        Written::TooLarge => Err(super::fault::said(client.server(), 413, "an empty write")),
    }
}

/// Databases and retention policies are made by admins, and only they may see the users.
async fn may_create(client: &Client, what: &str) -> Result<(), EngineError> {
    match client.table("SHOW USERS").await {
        Ok(_) => Ok(()),
        Err(EngineError::PermissionDenied { server, problem }) => {
            Err(EngineError::PermissionDenied {
                server,
                problem: format!(
                    "the user {:?} may not make {what}, which takes an admin; make it before, or give the user all privileges ({problem})",
                    client.user().unwrap_or_default()
                ),
            })
        }
        Err(other) => Err(other),
    }
}

/// Makes a database that is not there, with its retention policies.
pub(super) async fn create(
    client: &Client,
    target: &str,
    database: &Database,
) -> Result<(), EngineError> {
    let first = database.policies.iter().find(|policy| policy.default);
    let with = first.map_or(String::new(), |policy| {
        format!(
            " WITH {} NAME {}",
            policy.clauses(),
            ql::ident(&policy.name)
        )
    });
    run(
        client,
        &format!("CREATE DATABASE {}{with}", ql::ident(target)),
    )
    .await?;
    for policy in database
        .policies
        .iter()
        .filter(|policy| Some(*policy) != first)
    {
        // One that the server makes by itself may be there with other values.
        let policy = Policy {
            default: false,
            ..policy.clone()
        };
        make_policy(client, target, &policy).await?;
    }
    Ok(())
}

async fn make_policy(client: &Client, target: &str, policy: &Policy) -> Result<(), EngineError> {
    match run(client, &policy.create(target)).await {
        Err(EngineError::Server { problem, .. }) if problem.contains("already exists") => {
            let alter = format!(
                "ALTER RETENTION POLICY {} ON {} {}",
                ql::ident(&policy.name),
                ql::ident(target),
                policy.clauses()
            );
            run(client, &alter).await
        }
        other => other,
    }
}

/// Adds the retention policies that a database lacks. Those that are there keep their durations:
/// a shorter one would delete data. The default follows the source, so that after a promotion
/// writes go where they went before.
async fn complete(
    client: &Client,
    plan: &ImportPlan,
    target: &str,
    database: &Database,
    have: &[Policy],
) -> Result<(), EngineError> {
    for policy in lacks(have, database) {
        run(client, &policy.create(target)).await?;
    }
    for policy in &database.policies {
        let Some(there) = have.iter().find(|there| there.name == policy.name) else {
            continue;
        };
        if (there.duration_seconds, there.shard_duration_seconds)
            != (policy.duration_seconds, policy.shard_duration_seconds)
        {
            tracing::warn!(
                database = target,
                policy = policy.name,
                "the retention policy is there with other durations, and keeps them"
            );
        }
        if policy.default && !there.default && plan.conflict_policy != ConflictPolicy::Fail {
            let alter = format!(
                "ALTER RETENTION POLICY {} ON {} DEFAULT",
                ql::ident(&policy.name),
                ql::ident(target)
            );
            run(client, &alter).await?;
        }
    }
    Ok(())
}

/// Drops the measurements that the backup holds from the beginning of time. The server can drop a
/// measurement only in all retention policies at once, so one that has points in a policy that is
/// not in the backup is refused.
async fn drop_measurements(
    client: &Client,
    target: &str,
    database: &Database,
    policies: &[Policy],
) -> Result<(), EngineError> {
    let replaced: BTreeSet<&str> = database
        .complete
        .values()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut present = BTreeSet::new();
    for policy in policies {
        let (there, _) = catalog::measurements(client, target, &policy.name).await?;
        let own = database.complete.get(&policy.name);
        for name in there.into_iter().map(|measurement| measurement.name) {
            if !replaced.contains(name.as_str()) {
                continue;
            }
            if !own.is_some_and(|names| names.contains(&name)) {
                return Err(EngineError::NotSupported {
                    problem: format!(
                        "Replace would drop the measurement {name:?} of {target:?} in the retention policy {:?} too, which the backup does not replace; drop it by hand or use Overwrite",
                        policy.name
                    ),
                });
            }
            present.insert(name);
        }
    }
    for name in present {
        // Only admins of the database may; the server says so.
        run_in(
            client,
            target,
            &format!("DROP MEASUREMENT {}", ql::ident(&name)),
        )
        .await?;
    }
    Ok(())
}

/// Makes the continuous queries that are not there. They are left out where names differ from the
/// backup's: their text names databases.
pub(super) async fn finish(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<(), EngineError> {
    for (target, database) in named(plan, structure)? {
        if database.queries.is_empty() {
            continue;
        }
        if target != database.name {
            tracing::warn!(
                database = target,
                "continuous queries are not made, because the database has another name than in the backup"
            );
            continue;
        }
        let there = catalog::continuous_queries(client, &target).await?;
        for query in &database.queries {
            if there.iter().any(|have| have.name == query.name) {
                continue;
            }
            cq::check(&query.query, &query.name, &target).map_err(|problem| {
                EngineError::BadBackup {
                    problem: format!(
                        "the continuous query {:?} is not one: {problem}",
                        query.name
                    ),
                }
            })?;
            run(client, &query.query).await?;
        }
    }
    Ok(())
}

/// Drops the databases that a drill made.
pub(super) async fn drop_drill(
    client: &Client,
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<(), EngineError> {
    let Some(prefix) = plan
        .drill_prefix
        .as_ref()
        .filter(|prefix| !prefix.is_empty())
    else {
        return Err(EngineError::NotSupported {
            problem: "only a drill's databases are dropped, and this is no drill".to_owned(),
        });
    };
    for (target, _) in named(plan, structure)? {
        if target.starts_with(prefix.as_str()) && target != *prefix {
            run(client, &format!("DROP DATABASE {}", ql::ident(&target))).await?;
        }
    }
    Ok(())
}

async fn run(client: &Client, statement: &str) -> Result<(), EngineError> {
    client.table(statement).await.map(drop)
}

async fn run_in(client: &Client, database: &str, statement: &str) -> Result<(), EngineError> {
    client.table_in(database, statement).await.map(drop)
}
