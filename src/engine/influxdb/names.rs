//! The names that things of a backup have in the target.

use std::collections::BTreeSet;

use super::structure::{self, Database};
use crate::engine::{EngineError, ImportPlan};
use crate::manifest::Part;

/// A database's name in the target.
pub(super) fn target_name(plan: &ImportPlan, name: &str) -> String {
    let renamed = plan
        .remap
        .iter()
        .find(|remap| remap.from == name)
        .map_or(name, |remap| &remap.to);
    match &plan.drill_prefix {
        Some(prefix) => format!("{prefix}{renamed}"),
        None => renamed.to_owned(),
    }
}

/// A retention policy's name in the target: remap says it as `<database>/<retention policy>`, which is
/// no name of a database, because none has a slash.
pub(super) fn target_policy<'a>(plan: &'a ImportPlan, database: &str, policy: &'a str) -> &'a str {
    let whole = format!("{database}/{policy}");
    let renamed = plan.remap.iter().find(|remap| remap.from == whole);
    renamed.map_or(policy, |remap| &remap.to)
}

/// The databases of a backup, each with its name in the target, and with its retention policies under
/// theirs.
pub(super) fn named(
    plan: &ImportPlan,
    structure: &[Part],
) -> Result<Vec<(String, Database)>, EngineError> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for mut database in structure::read_all(structure)? {
        rename_policies(plan, &mut database)?;
        let target = target_name(plan, &database.name);
        if !seen.insert(target.clone()) {
            return Err(EngineError::NotSupported {
                problem: format!(
                    "remap makes two databases one: {target:?}; give each its own name"
                ),
            });
        }
        all.push((target, database));
    }
    Ok(all)
}

fn rename_policies(plan: &ImportPlan, database: &mut Database) -> Result<(), EngineError> {
    let name = |policy: &str| target_policy(plan, &database.name, policy).to_owned();
    let mut seen = BTreeSet::new();
    for policy in &mut database.policies {
        policy.name = name(&policy.name);
        if !seen.insert(&policy.name) {
            return Err(EngineError::NotSupported {
                problem: format!(
                    "remap makes two retention policies of {:?} one: {:?}; give each its own name",
                    database.name, policy.name
                ),
            });
        }
    }
    let complete = std::mem::take(&mut database.complete).into_iter();
    database.complete = complete
        .map(|(policy, names)| (name(&policy), names))
        .collect();
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::restore::Remap;
    use crate::engine::influxdb::catalog::Policy;

    #[test]
    fn names() {
        let remap = vec![Remap {
            from: "a".into(),
            to: "b".into(),
        }];
        for (prefix, name, want) in [
            (None, "a", "b"),
            (None, "c", "c"),
            (Some("drill_1_"), "a", "drill_1_b"),
            (Some("drill_1_"), "c", "drill_1_c"),
        ] {
            let plan = ImportPlan {
                remap: remap.clone(),
                drill_prefix: prefix.map(str::to_owned),
                ..ImportPlan::default()
            };
            assert_eq!(target_name(&plan, name), want);
        }
    }

    fn policy(name: &str) -> Policy {
        Policy {
            name: name.into(),
            ..Policy::default()
        }
    }

    #[test]
    fn retention_policies() {
        let database = Database {
            name: "d".into(),
            policies: vec![policy("autogen"), policy("raw")],
            complete: [("autogen".to_owned(), vec!["m".to_owned()])].into(),
            ..Database::default()
        };
        let plan = |to: &str| ImportPlan {
            remap: vec![
                Remap {
                    from: "d/autogen".into(),
                    to: to.into(),
                },
                Remap {
                    from: "other/raw".into(),
                    to: "x".into(),
                },
            ],
            ..ImportPlan::default()
        };
        let found = named(&plan("new"), &database.to_parts()).unwrap();
        let (name, found) = &found[0];
        assert_eq!(name, "d");
        let policies: Vec<&str> = found
            .policies
            .iter()
            .map(|policy| policy.name.as_str())
            .collect();
        assert_eq!(policies, ["new", "raw"]);
        assert!(found.complete.contains_key("new"));
        assert_eq!(target_policy(&plan("new"), "d", "raw"), "raw");
        let error = named(&plan("raw"), &database.to_parts()).unwrap_err();
        assert!(
            error.to_string().contains("two retention policies"),
            "{error}"
        );
    }
}
