//! Decides whether an import may go on. Pure: it looks at what was found, and touches nothing.

use crate::api::conditions::Reason;
use crate::api::engines::TargetEngineSpec;
use crate::api::order::ImportOrder;
use crate::api::restore::{ConflictPolicy, Deletions, Preflight, Verify};
use crate::job::JobError;
use crate::manifest::Manifest;

/// Written before the URL in `confirm` to allow a restore into its own source.
const SOURCE_WORD: &str = "source ";
/// The shortest prefix of a drill's names.
const SHORTEST_DRILL_PREFIX: usize = 8;

/// The URL that names the target in `confirm`.
fn target_url(order: &ImportOrder) -> Result<&str, JobError> {
    Ok(target_spec(order)?.url())
}

fn target_spec(order: &ImportOrder) -> Result<&dyn TargetEngineSpec, JobError> {
    order.target.named().ok_or_else(|| {
        JobError::refused(
            Reason::NotSupported,
            "target names no engine that is built; see the reference of Restore for those that are",
        )
    })
}

/// Whether the backups can go into a target of this engine.
pub(super) fn check_engine(order: &ImportOrder, manifests: &[Manifest]) -> Result<(), JobError> {
    let spec = target_spec(order)?;
    let target = spec.engine();
    for manifest in manifests {
        let source = &manifest.source;
        if source.engine != target {
            return Err(JobError::refused(
                Reason::NotSupported,
                format!(
                    "the backup {} was made of {}, the target is {target}: choose a target of the same engine",
                    manifest.identity.slot, source.engine
                ),
            ));
        }
        if !spec.imports(&source.method) {
            return Err(JobError::refused(
                Reason::NotSupported,
                format!(
                    "the backup {} was made with the method {}, which this Lifeboat can't import",
                    manifest.identity.slot, source.method
                ),
            ));
        }
        if !spec.verifies(&source.method, order.verify) {
            return Err(JobError::refused(
                Reason::NotSupported,
                format!(
                    "the backup {} was made with the method {}, which keeps files and not records that could be looked up: set verify to Counts",
                    manifest.identity.slot, source.method
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a dump, which has no digests, is read whole before the target is touched.
pub(super) fn check_dump(order: &ImportOrder) -> Result<(), JobError> {
    if order.preflight == Preflight::Digests {
        return Ok(());
    }
    Err(JobError::refused(
        Reason::NotSupported,
        "a vendor's dump says nothing of its sizes, so all of it is read first: remove preflight",
    ))
}

/// Whether a dump says enough of its records for the check that is asked for.
pub(super) fn check_counted(order: &ImportOrder, counted: bool) -> Result<(), JobError> {
    if counted || order.verify == Verify::None {
        return Ok(());
    }
    Err(JobError::refused(
        Reason::NotSupported,
        "this vendor's dump does not say what the target must hold afterwards, so nothing can be verified: set verify to None, and look at the target yourself",
    ))
}

/// Whether the target can be brought to what is asked for, and be checked. `Equal` says that nothing
/// else is there, which only a full backup alone can say.
pub(super) fn check_wishes(
    order: &ImportOrder,
    engine_supports: bool,
    only_full: bool,
) -> Result<(), JobError> {
    if !engine_supports {
        return Err(JobError::refused(
            Reason::NotSupported,
            format!(
                "{} can't do verify {:?}; use Contains or Counts",
                target_spec(order)?.engine(),
                order.verify
            ),
        ));
    }
    check_mirror(order, target_spec(order)?, only_full)?;
    if order.verify == Verify::Equal && !only_full {
        return Err(JobError::refused(
            Reason::NotSupported,
            "verify Equal needs a full backup alone; use Contains for a chain or a window",
        ));
    }
    Ok(())
}

/// `Mirror` deletes what a backup does not hold, which only a full backup alone can say.
fn check_mirror(
    order: &ImportOrder,
    spec: &dyn TargetEngineSpec,
    only_full: bool,
) -> Result<(), JobError> {
    if order.deletions == Deletions::Keep {
        return Ok(());
    }
    let refuse = |problem: String| Err(JobError::refused(Reason::NotSupported, problem));
    if !spec.mirrors() {
        return refuse(format!(
            "{} can't do deletions Mirror; use conflictPolicy Replace",
            spec.engine()
        ));
    }
    if order.conflict_policy != ConflictPolicy::Overwrite || order.drill_prefix.is_some() {
        return refuse("deletions Mirror goes with conflictPolicy Overwrite only".to_owned());
    }
    if !only_full {
        return refuse(
            "deletions Mirror needs a full backup alone: a window does not say what was deleted"
                .to_owned(),
        );
    }
    Ok(())
}

/// Refuses a restore into the server that the backup was read from, unless `confirm` allows it.
pub(super) fn check_not_source(
    order: &ImportOrder,
    manifests: &[Manifest],
    target_id: &str,
) -> Result<(), JobError> {
    let url = target_url(order)?;
    let allowed = source_allowed(order, url);
    let own = manifests.iter().find(|manifest| {
        let source_id = &manifest.source.server_id;
        same_url(source_id, target_id) || same_url(source_id, url)
    });
    match own {
        Some(manifest) if !allowed => Err(JobError::refused(
            Reason::TargetIsSource,
            format!(
                "the backup {} was read from {}, which is the target: a restore would write old data over new. Choose another target, or set confirm to \"{SOURCE_WORD}{url}\"",
                manifest.identity.slot, manifest.source.server_id
            ),
        )),
        _ => Ok(()),
    }
}

fn source_allowed(order: &ImportOrder, url: &str) -> bool {
    order
        .confirm
        .as_deref()
        .and_then(|text| text.strip_prefix(SOURCE_WORD))
        .is_some_and(|confirmed| same_url(confirmed, url))
}

/// Refuses a migration from a server to itself, unless `confirm` allows it.
pub(super) fn check_other_server(
    order: &ImportOrder,
    source_id: &str,
    target_id: &str,
) -> Result<(), JobError> {
    let url = target_url(order)?;
    if !same_url(source_id, target_id) || source_allowed(order, url) {
        return Ok(());
    }
    Err(JobError::refused(
        Reason::TargetIsSource,
        format!(
            "source and target are one server, {source_id}: name two, or, with new names in remap, set confirm to \"{SOURCE_WORD}{url}\""
        ),
    ))
}

/// How the backup at this place of the chain is imported. Only the first may refuse or drop what it
/// finds: the others find what the one before them brought. A drill only ever finds nothing.
pub(super) fn policy_at(order: &ImportOrder, number: usize) -> ConflictPolicy {
    if number > 0 {
        ConflictPolicy::Overwrite
    } else if order.drill_prefix.is_some() {
        ConflictPolicy::Fail
    } else {
        order.conflict_policy
    }
}

/// Refuses a prefix that could be the beginning of a name in use: what begins with it is dropped.
pub(super) fn check_drill(order: &ImportOrder) -> Result<(), JobError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match &order.drill_prefix {
        Some(prefix)
            if prefix.len() < SHORTEST_DRILL_PREFIX
                || !prefix.ends_with('_')
                || !prefix.chars().all(plain) =>
        {
            Err(JobError::refused(
                Reason::NotSupported,
                format!(
                    "{prefix:?} can't be a drill's prefix: it takes at least {SHORTEST_DRILL_PREFIX} of a-z, 0-9 and _, and a _ at its end"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Whether what an earlier attempt of a drill left is dropped before anything is looked for.
pub(super) fn drops_leftovers(order: &ImportOrder) -> bool {
    order.drill_prefix.is_some() && order.drill_again && !order.dry_run
}

/// Whether another attempt would refuse the target once records are in it.
pub(super) fn must_be_empty(order: &ImportOrder) -> bool {
    order.drill_prefix.is_none() && order.conflict_policy == ConflictPolicy::Fail
}

/// What the policy does to a target, for a dry run.
pub(super) fn consequence(order: &ImportOrder) -> &'static str {
    if order.drill_prefix.is_some() {
        return "it would go into databases of the drill's own, which are dropped at the end";
    }
    if order.deletions == Deletions::Mirror {
        return "records of the same key would be written over, and those that the backup does not have deleted";
    }
    match order.conflict_policy {
        ConflictPolicy::Fail => "the target holds nothing under these names",
        ConflictPolicy::Overwrite => {
            "records of the same key would be written over, all others stay"
        }
        ConflictPolicy::Replace => "what the target holds under these names would be dropped first",
    }
}

/// Whether it matters what the target holds; if not, nobody needs to look.
pub(super) fn must_look(order: &ImportOrder) -> Result<bool, JobError> {
    if order.drill_prefix.is_some() {
        return Ok(true);
    }
    Ok(match order.conflict_policy {
        ConflictPolicy::Fail => true,
        ConflictPolicy::Overwrite => !confirmed(order)?,
        ConflictPolicy::Replace => false,
    })
}

/// Whether `confirm` says what the policy needs, whatever the target holds.
pub(super) fn check_confirm(order: &ImportOrder) -> Result<(), JobError> {
    let why = if order.deletions == Deletions::Mirror {
        "deletions Mirror deletes what the backup does not hold"
    } else if order.conflict_policy == ConflictPolicy::Replace && order.drill_prefix.is_none() {
        "conflictPolicy Replace drops what the target holds"
    } else {
        return Ok(());
    };
    if confirmed(order)? {
        return Ok(());
    }
    Err(confirmation_missing(order, why))
}

/// Whether the import may go into a target that holds `what`.
pub(super) fn check_holds(order: &ImportOrder, what: &str) -> Result<(), JobError> {
    if let Some(prefix) = &order.drill_prefix {
        return Err(JobError::refused(
            Reason::TargetNotEmpty,
            format!(
                "the target already holds names that begin with the drill's prefix {prefix}: {what}. A drill only works in names of its own; drop them by hand if an earlier drill left them"
            ),
        ));
    }
    match order.conflict_policy {
        ConflictPolicy::Fail => Err(JobError::refused(
            Reason::TargetNotEmpty,
            format!(
                "the target is not empty: {what}. Empty it, restore under new names with remap, or set conflictPolicy to Overwrite and confirm to \"{}\"",
                target_url(order)?
            ),
        )),
        ConflictPolicy::Overwrite if !confirmed(order)? => Err(confirmation_missing(
            order,
            &format!("conflictPolicy Overwrite would write over what the target holds ({what})"),
        )),
        ConflictPolicy::Overwrite | ConflictPolicy::Replace => Ok(()),
    }
}

fn confirmation_missing(order: &ImportOrder, why: &str) -> JobError {
    match target_url(order) {
        Ok(url) => JobError::refused(
            Reason::ConfirmationMissing,
            format!("{why}: set confirm to \"{url}\""),
        ),
        Err(error) => error,
    }
}

fn confirmed(order: &ImportOrder) -> Result<bool, JobError> {
    let url = target_url(order)?;
    Ok(order
        .confirm
        .as_deref()
        .is_some_and(|text| same_url(text.strip_prefix(SOURCE_WORD).unwrap_or(text), url)))
}

/// Whether two texts name one server: equal as URLs (host in any case, default port, with or
/// without a slash at the end), or as they are.
fn same_url(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

fn normal(text: &str) -> String {
    let text = text.trim();
    let normal = url::Url::parse(text).map_or_else(|_| text.to_owned(), String::from);
    normal.trim_end_matches('/').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "policy_tests.rs"]
mod tests;
