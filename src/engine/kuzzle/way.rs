//! Decides how an index of a backup comes into a target. Pure.

use crate::api::restore::{ConflictPolicy, Deletions};
use crate::engine::{EngineError, ImportPlan};

/// How an index comes into the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is not there: made, with its aliases.
    Make,
    /// It is there under this name, and gets what it lacks.
    Complete(String),
    /// It is deleted and made: nobody finds it by an alias that could be moved.
    MakeAnew(String),
    /// Another one is loaded, and then put in the place of this.
    Load(String),
}

/// What is known of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index<'a> {
    /// Its name in the target.
    pub(super) target: &'a str,
    /// Whether Kuzzle finds it by an alias.
    pub(super) aliased: bool,
    /// The index that serves in its place now.
    pub(super) serving: Option<&'a String>,
    /// Whether this run made it.
    pub(super) made: bool,
}

/// Decides how one comes in.
pub(super) fn way(plan: &ImportPlan, index: Index<'_>) -> Result<Way, EngineError> {
    let Some(serving) = index.serving.cloned() else {
        return Ok(Way::Make);
    };
    let mirror = plan.deletions == Deletions::Mirror;
    let exact = mirror || plan.conflict_policy == ConflictPolicy::Replace;
    if !exact || index.made {
        return Ok(Way::Complete(serving));
    }
    if index.aliased {
        return Ok(Way::Load(serving));
    }
    if mirror {
        return Err(EngineError::NotSupported {
            problem: format!(
                "the index {:?} has no alias @… in the backup by which Kuzzle finds it, so no other can take its place at one moment; stop Kuzzle and use conflictPolicy Replace without deletions Mirror",
                index.target
            ),
        });
    }
    Ok(Way::MakeAnew(serving))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ways() {
        use ConflictPolicy::{Fail, Overwrite, Replace};
        use Deletions::{Keep, Mirror};
        let there = "&i.c.5".to_owned();
        let complete = Some(Way::Complete(there.clone()));
        let load = Some(Way::Load(there.clone()));
        for (policy, deletions, aliased, serves, made, want) in [
            (Replace, Keep, true, false, false, Some(Way::Make)),
            (Fail, Keep, true, true, false, complete.clone()),
            (Overwrite, Keep, true, true, false, complete.clone()),
            (Overwrite, Mirror, true, true, false, load.clone()),
            (Overwrite, Mirror, true, true, true, complete.clone()),
            (Overwrite, Mirror, false, true, false, None),
            (Overwrite, Mirror, false, false, false, Some(Way::Make)),
            (Replace, Keep, true, true, false, load),
            (Replace, Keep, true, true, true, complete),
            (
                Replace,
                Keep,
                false,
                true,
                false,
                Some(Way::MakeAnew(there.clone())),
            ),
        ] {
            let plan = ImportPlan {
                conflict_policy: policy,
                deletions,
                ..ImportPlan::default()
            };
            let index = Index {
                target: "&i.c",
                aliased,
                serving: serves.then_some(&there),
                made,
            };
            let found = way(&plan, index).ok();
            assert_eq!(found, want, "{policy:?} {deletions:?} {index:?}");
        }
    }
}
