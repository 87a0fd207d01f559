//! What a target must have before records come in.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog;
use super::client::{At, Client};
use super::schema::{self, Kind, Table};
use super::sql::ident;
use super::structure::{Name, Structure, create_tenant};
use super::time::Precision;
use crate::api::restore::ConflictPolicy;
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// Tenant and database in the target.
pub(super) type Home = (String, String);

/// Where things of a backup lie in the target.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The tenant that everything goes into; none: as in the backup.
    pub(super) tenant: Option<String>,
    /// New names and the drill's prefix.
    pub(super) plan: ImportPlan,
}

impl Names {
    /// A database of the backup.
    pub(super) fn home(&self, tenant: &str, database: &str) -> Home {
        let renamed = self.plan.remap.iter().find(|remap| remap.from == database);
        let renamed = renamed.map_or(database, |remap| &remap.to);
        let prefix = self.plan.drill_prefix.as_deref().unwrap_or_default();
        (
            self.tenant.clone().unwrap_or_else(|| tenant.to_owned()),
            format!("{prefix}{renamed}"),
        )
    }

    /// Each database's place, by its name in the backup.
    fn homes(&self, found: &Structure) -> Result<BTreeMap<Home, Home>, EngineError> {
        let mut seen = BTreeSet::new();
        let mut homes = BTreeMap::new();
        for (tenant, database) in found.databases.keys() {
            let home = self.home(tenant, database);
            if catalog::is_own(&home.1) {
                return Err(refuse(format!(
                    "{:?} is a database of the server itself; take another name",
                    home.1
                )));
            }
            if !seen.insert(home.clone()) {
                return Err(refuse(format!(
                    "remap or target.tenant makes two databases one: {:?}; give each its own name",
                    home.1
                )));
            }
            homes.insert((tenant.clone(), database.clone()), home);
        }
        Ok(homes)
    }
}

fn refuse(problem: String) -> EngineError {
    EngineError::NotSupported { problem }
}

fn bad(problem: String) -> EngineError {
    EngineError::BadBackup { problem }
}

/// Makes tenants, databases, tables and columns. Returns the databases that were made; `made` are
/// those that this run made before. Nothing is changed before everything was looked at.
pub(super) async fn prepare(
    client: &Client,
    names: &Names,
    structure: &[Part],
    made: &BTreeSet<Home>,
) -> Result<Vec<Home>, EngineError> {
    let found = Structure::read(structure)?;
    let homes = names.homes(&found)?;
    let drill = names.plan.drill_prefix.is_some();
    let (there, absent) = look_at_tenants(client, homes.values()).await?;
    if let (true, Some(tenant)) = (drill, absent.iter().next()) {
        return Err(EngineError::NotFound {
            server: client.server().to_owned(),
            what: format!("the tenant {tenant:?}, which a drill does not make,"),
        });
    }
    let mut tables: BTreeMap<&Home, BTreeSet<String>> = BTreeMap::new();
    for (of, home) in &homes {
        if !there.contains(home) {
            continue;
        }
        if drill && !made.contains(home) {
            return Err(EngineError::TargetNotEmpty {
                problem: format!(
                    "the drill's database {:?} is there already; drop it, or start another drill",
                    home.1
                ),
            });
        }
        let wanted = found.databases.get(of).and_then(|o| o.get("precision"));
        check_precision(client, home, wanted.map(String::as_str)).await?;
        let listed = catalog::tables(client, &home.0).await?.remove(&home.1);
        let listed = listed.unwrap_or_default().into_iter();
        tables.insert(home, listed.map(|table| table.name).collect());
    }
    let replace = names.plan.conflict_policy == ConflictPolicy::Replace;
    let mut plan = Vec::new();
    for (name, of) in &found.tables {
        let Some(home) = homes.get(&(name.tenant.clone(), name.database.clone())) else {
            continue;
        };
        let is_there = tables
            .get(home)
            .is_some_and(|all| all.contains(&name.table));
        let drop = is_there && replace && of.complete;
        let missing = if is_there && !drop {
            let now = catalog::table(client, at(home), &name.table).await?;
            lacks(name, &of.table, &now)?
        } else {
            Vec::new()
        };
        plan.push((name, &of.table, home, drop, missing));
    }
    for tenant in absent {
        catalog::run(client, catalog::FIRST_TENANT, &create_tenant(&tenant)).await?;
    }
    let mut new = Vec::new();
    for (of, home) in &homes {
        if !there.contains(home) {
            let none = schema::Options::new();
            let options = found.databases.get(of).unwrap_or(&none);
            let statement = schema::create_database(&home.1, options).map_err(bad)?;
            catalog::run(client, &home.0, &statement).await?;
            new.push(home.clone());
        }
    }
    for (name, table, home, drop, missing) in plan {
        if drop {
            let statement = format!("DROP TABLE IF EXISTS {}", ident(&name.table));
            client.run(at(home), &statement).await?;
        }
        client.run(at(home), &table.create(&name.table)).await?;
        for (word, definition) in missing {
            let name = ident(&name.table);
            let statement = format!("ALTER TABLE {name} ADD {word} {definition}");
            client.run(at(home), &statement).await?;
        }
    }
    Ok(new)
}

fn at(home: &Home) -> At<'_> {
    At {
        tenant: &home.0,
        database: &home.1,
    }
}

/// The databases that are there, and the tenants that are not.
async fn look_at_tenants(
    client: &Client,
    homes: impl Iterator<Item = &Home>,
) -> Result<(BTreeSet<Home>, BTreeSet<String>), EngineError> {
    let tenants: BTreeSet<&String> = homes.map(|home| &home.0).collect();
    let (mut there, mut absent) = (BTreeSet::new(), BTreeSet::new());
    for tenant in tenants {
        match catalog::databases(client, tenant).await {
            Ok(names) => there.extend(names.into_iter().map(|name| (tenant.clone(), name))),
            Err(EngineError::NotFound { .. }) => {
                absent.insert(tenant.clone());
            }
            Err(other) => return Err(other),
        }
    }
    Ok((there, absent))
}

/// A database that counts time more coarsely would lose what the backup has.
async fn check_precision(
    client: &Client,
    home: &Home,
    wanted: Option<&str>,
) -> Result<(), EngineError> {
    let options = catalog::options(client, &home.0, &home.1).await?;
    let now = options
        .get("precision")
        .and_then(|p| Precision::of_option(p));
    let wanted = wanted.and_then(Precision::of_option);
    match (now, wanted) {
        (Some(now), Some(wanted)) if now < wanted => Err(refuse(format!(
            "the database {:?} of the target keeps times in {}, the backup has them in {}: make it anew with the finer precision, or restore into another name",
            home.1,
            now.word(),
            wanted.word()
        ))),
        _ => Ok(()),
    }
}

/// The columns that a table of the target lacks, as `FIELD` or `TAG` and their definition.
fn lacks(
    name: &Name,
    wanted: &Table,
    now: &Table,
) -> Result<Vec<(&'static str, String)>, EngineError> {
    let mut missing = Vec::new();
    for column in &wanted.columns {
        match now.columns.iter().find(|have| have.name == column.name) {
            Some(have)
                if have.kind == column.kind
                    && (have.sql_type == column.sql_type || column.kind == Kind::Time) => {}
            Some(have) => {
                return Err(refuse(format!(
                    "the column {:?} of the table {:?} is {:?} {} in the target and {:?} {} in the backup: drop the table there, or use Replace",
                    column.name, name.table, have.kind, have.sql_type, column.kind, column.sql_type
                )));
            }
            None if column.kind == Kind::Tag => missing.push(("TAG", column.definition())),
            None => missing.push(("FIELD", column.definition())),
        }
    }
    Ok(missing)
}

/// Drops the databases that a drill made.
pub(super) async fn drop_drill(
    client: &Client,
    names: &Names,
    structure: &[Part],
) -> Result<(), EngineError> {
    let prefix = names.plan.drill_prefix.as_deref().unwrap_or_default();
    if prefix.is_empty() {
        return Err(refuse(
            "only a drill's databases are dropped, and this is no drill".to_owned(),
        ));
    }
    let found = Structure::read(structure)?;
    for (tenant, database) in names.homes(&found)?.into_values() {
        if database.starts_with(prefix) && database != prefix {
            let statement = format!("DROP DATABASE IF EXISTS {}", ident(&database));
            match catalog::run(client, &tenant, &statement).await {
                // Without its tenant it was never made.
                Ok(()) | Err(EngineError::NotFound { .. }) => {}
                Err(other) => return Err(other),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::schema::tests::{air, column};
    use super::*;
    use crate::api::restore::Remap;

    #[test]
    fn homes() {
        let remap = vec![Remap {
            from: "a".into(),
            to: "b".into(),
        }];
        for (tenant, prefix, name, want) in [
            (None, None, "a", ("t", "b")),
            (None, Some("drill_1_"), "c", ("t", "drill_1_c")),
            (Some("other"), Some("drill_1_"), "a", ("other", "drill_1_b")),
        ] {
            let names = Names {
                tenant: tenant.map(str::to_owned),
                plan: ImportPlan {
                    remap: remap.clone(),
                    drill_prefix: prefix.map(str::to_owned),
                    ..ImportPlan::default()
                },
            };
            let (tenant, database) = names.home("t", name);
            assert_eq!((tenant.as_str(), database.as_str()), want);
        }
    }

    #[test]
    fn columns_are_added_or_refused() {
        let name = Name::default();
        let with = |columns| Table::new(columns).unwrap();
        let time = column("time", Kind::Time, "TIMESTAMP(NANOSECOND)");
        let some = with(vec![time.clone(), column("station", Kind::Tag, "STRING")]);
        let missing = lacks(&name, &air(), &some).unwrap();
        assert_eq!(missing[0], ("TAG", "\"region\"".to_owned()));
        assert_eq!(missing[1], ("FIELD", "\"visibility\" DOUBLE".to_owned()));
        assert_eq!(missing.len(), 6);
        assert_eq!(lacks(&name, &some, &air()).unwrap(), []);
        for other in [
            column("n", Kind::Field, "DOUBLE"),
            column("n", Kind::Tag, "STRING"),
        ] {
            let error = lacks(&name, &air(), &with(vec![time.clone(), other])).unwrap_err();
            assert!(error.to_string().contains("\"n\""), "{error}");
        }
    }
}
