//! Names of databases and tables: what is chosen, and what they are called in the target. Pure.

use crate::api::engines::RethinkDbDatabase;
use crate::engine::{EngineError, ImportPlan};

/// The database that tells of the cluster, and configures it: nothing is ever restored into it.
pub(super) const SYSTEM: &str = "rethinkdb";

/// A table of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    /// Its database.
    pub(super) database: String,
    /// Its name.
    pub(super) table: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// Whether a database, or a table of it, is among those that are chosen. None chosen: all.
pub(super) fn chosen(choice: &[RethinkDbDatabase], database: &str, table: Option<&str>) -> bool {
    choice.is_empty()
        || choice.iter().any(|one| {
            one.name == database
                && (one.tables.is_empty()
                    || table.is_none_or(|table| one.tables.iter().any(|name| name == table)))
        })
}

/// Checks the new names of a plan.
pub(super) fn check(plan: &ImportPlan) -> Result<(), EngineError> {
    for remap in &plan.remap {
        let good = match (remap.from.split_once('.'), remap.to.split_once('.')) {
            (None, None) => is_name(&remap.from) && is_name(&remap.to),
            (Some((a, b)), Some((c, d))) => [a, b, c, d].into_iter().all(is_name),
            _ => false,
        };
        if !good {
            return Err(EngineError::NotSupported {
                problem: format!(
                    "remap from {:?} to {:?}: write two databases (shop) or two tables (shop.orders), of letters, digits, underscores and dashes",
                    remap.from, remap.to
                ),
            });
        }
    }
    Ok(())
}

/// Whether the server takes it as the name of a database or table.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What a database is called in the target.
pub(super) fn target_database(plan: &ImportPlan, database: &str) -> Result<String, EngineError> {
    let renamed = plan.remap.iter().find(|remap| remap.from == database);
    let name = renamed.map_or(database, |remap| remap.to.as_str());
    place(plan, name)
}

/// What a table is called in the target. The new name of a table goes before that of its database.
pub(super) fn target_table(plan: &ImportPlan, from: &TableName) -> Result<TableName, EngineError> {
    let whole = from.to_string();
    let renamed = plan.remap.iter().find(|remap| remap.from == whole);
    if let Some((database, table)) = renamed.and_then(|remap| remap.to.split_once('.')) {
        return Ok(TableName {
            database: place(plan, database)?,
            table: table.to_owned(),
        });
    }
    if !is_name(&from.table) {
        return Err(bad(&from.table));
    }
    Ok(TableName {
        database: target_database(plan, &from.database)?,
        table: from.table.clone(),
    })
}

fn place(plan: &ImportPlan, database: &str) -> Result<String, EngineError> {
    if !is_name(database) {
        return Err(bad(database));
    }
    let name = match &plan.drill_prefix {
        Some(prefix) => format!("{prefix}{database}"),
        None => database.to_owned(),
    };
    if name == SYSTEM {
        return Err(EngineError::NotSupported {
            problem: "the database rethinkdb configures the cluster: nothing is restored into it; choose another name with remap".to_owned(),
        });
    }
    Ok(name)
}

fn bad(name: &str) -> EngineError {
    let name: String = name.chars().take(40).collect();
    EngineError::BadBackup {
        problem: format!("it names {name:?}, which RethinkDB takes for no database or table"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::restore::Remap;

    fn plan(remap: &[(&str, &str)], prefix: Option<&str>) -> ImportPlan {
        ImportPlan {
            remap: remap
                .iter()
                .map(|(from, to)| Remap {
                    from: (*from).to_owned(),
                    to: (*to).to_owned(),
                })
                .collect(),
            drill_prefix: prefix.map(str::to_owned),
            ..ImportPlan::default()
        }
    }

    #[test]
    fn new_names() {
        type Case<'a> = (
            &'a [(&'a str, &'a str)],
            Option<&'a str>,
            &'a str,
            Option<&'a str>,
        );
        let cases: [Case<'_>; 10] = [
            (&[], None, "shop.orders", Some("shop.orders")),
            (
                &[("shop", "shop2")],
                None,
                "shop.orders",
                Some("shop2.orders"),
            ),
            (
                &[("shop", "shop2"), ("shop.orders", "old.o2")],
                None,
                "shop.orders",
                Some("old.o2"),
            ),
            (
                &[("shop.users", "a.b")],
                None,
                "shop.orders",
                Some("shop.orders"),
            ),
            (
                &[],
                Some("drill_x_"),
                "shop.orders",
                Some("drill_x_shop.orders"),
            ),
            (&[("shop", "rethinkdb")], None, "shop.orders", None),
            (
                &[("shop.orders", "rethinkdb.users")],
                None,
                "shop.orders",
                None,
            ),
            (&[], None, "rethinkdb.users", None),
            (&[], None, "shop.or ders", None),
            (&[], None, "sh\"op.orders", None),
        ];
        for (remap, prefix, from, want) in cases {
            let (database, table) = from.split_once('.').unwrap();
            let from = TableName {
                database: database.to_owned(),
                table: table.to_owned(),
            };
            let found = target_table(&plan(remap, prefix), &from).ok();
            assert_eq!(
                found.map(|name| name.to_string()).as_deref(),
                want,
                "{from}"
            );
        }
    }

    #[test]
    fn remaps_are_checked() {
        for (from, to, good) in [
            ("a", "b", true),
            ("a.b", "c.d", true),
            ("a", "b.c", false),
            ("a.b", "c", false),
            ("a.b.c", "a.b.c", false),
            ("a b", "c", false),
            ("a", "", false),
        ] {
            assert_eq!(
                check(&plan(&[(from, to)], None)).is_ok(),
                good,
                "{from} {to}"
            );
        }
    }

    #[test]
    fn choices() {
        let choice = [
            RethinkDbDatabase {
                name: "shop".into(),
                tables: vec!["orders".into()],
            },
            RethinkDbDatabase {
                name: "all".into(),
                tables: vec![],
            },
        ];
        for (database, table, want) in [
            ("shop", None, true),
            ("shop", Some("orders"), true),
            ("shop", Some("users"), false),
            ("all", Some("users"), true),
            ("other", None, false),
        ] {
            assert_eq!(
                chosen(&choice, database, table),
                want,
                "{database} {table:?}"
            );
            assert!(chosen(&[], database, table));
        }
    }
}
