//! `lifeboat migrate`: from one server to another, with no bucket in between.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::args::MigrateArgs;
use super::{CliError, run, text};
use crate::api::common::Limits;
use crate::api::engines::{SourceSpec, TargetSpec};
use crate::api::order::{Bounds, ImportOrder};
use crate::api::restore::{ConflictPolicy, Deletions, Preflight, Remap, Verify};
use crate::api::storage_location::StorageLocationSpec;
use crate::engine::{Access, ImportPlan, connect_source, connect_target};
use crate::job::{self, JobError, Run};
use crate::secrets::Secrets;

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// The most bytes of a plan: a Kubernetes object has no more either.
const PLAN_LIMIT: usize = 1024 * 1024;

/// What is moved where. The fields are those of a Backup and of a Restore.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Plan {
    source: SourceSpec,
    target: TargetSpec,
    #[serde(default)]
    remap: Vec<Remap>,
    #[serde(default)]
    conflict_policy: ConflictPolicy,
    #[serde(default)]
    confirm: Option<String>,
    #[serde(default = "strictest")]
    verify: Verify,
    #[serde(default)]
    limits: Limits,
}

fn strictest() -> Verify {
    Verify::Equal
}

/// Moves what the plan names, and prints what was moved.
pub(super) async fn migrate(args: &MigrateArgs, out: &mut impl Write) -> Result<(), CliError> {
    let directories = [&args.source_credentials_dir, &args.target_credentials_dir];
    let directories: Vec<&Path> = directories
        .into_iter()
        .flatten()
        .map(AsRef::as_ref)
        .collect();
    let secrets = Secrets::read(&directories);
    let plan = read(&args.plan)?;
    let run = run::for_people()?;
    let bar = ProgressBar::new_spinner();
    let drawing = tokio::spawn(draw(Arc::clone(&run), bar.clone()));
    let moved = carry_out(args, plan, &run).await;
    drawing.abort();
    bar.finish_and_clear();
    let mut say = |line: String| {
        writeln!(out, "{}", secrets.mask(&line)).map_err(|error| text::cannot_print(&error))
    };
    for warning in run.warnings() {
        say(format!("note: {warning}"))?;
    }
    let moved = moved.map_err(|error| {
        // A server may repeat what it was told.
        JobError::refused(error.reason(), secrets.mask(&error.to_string()))
    })?;
    let totals = &moved.totals;
    if args.dry_run {
        return say(format!(
            "dry run: {} parts; nothing was changed",
            totals.parts
        ));
    }
    say(format!(
        "migrated {} records in {} parts, {}; {} past the target's retention; verified: {:?}",
        totals.records,
        totals.parts,
        text::bytes(totals.plain_bytes),
        moved.expired_records,
        moved.verified
    ))
}

async fn carry_out(
    args: &MigrateArgs,
    plan: Plan,
    run: &Arc<Run>,
) -> Result<crate::api::outcome::Imported, JobError> {
    let access = |credentials: &Option<_>, ca: &Option<_>| Access {
        credentials: credentials.clone(),
        ca_bundle: ca.clone(),
        ..Access::default()
    };
    let order = order(args, plan.target, plan.remap, run);
    let order = ImportOrder {
        conflict_policy: plan.conflict_policy,
        confirm: plan.confirm,
        verify: plan.verify,
        limits: plan.limits,
        ..order
    };
    let import = ImportPlan {
        remap: order.remap.clone(),
        conflict_policy: order.conflict_policy,
        ..ImportPlan::default()
    };
    let from = access(&args.source_credentials_dir, &args.source_ca_file);
    let to = access(&args.target_credentials_dir, &args.target_ca_file);
    let same_engine = match (plan.source.named(), order.target.named()) {
        (Some(source), Some(target)) => source.engine() == target.engine(),
        // Whichever is not built is told when it is connected.
        _ => true,
    };
    if !same_engine {
        return Err(JobError::refused(
            crate::api::conditions::Reason::NotSupported,
            "source and target are of two engines: name the same one on both sides",
        ));
    }
    let source = connect_source(&plan.source, &from)?.into();
    let target = connect_target(&order.target, &to, &import)?.into();
    job::migrate(run, &order, source, target).await
}

/// The rules of an import, without what only a bucket has.
fn order(args: &MigrateArgs, target: TargetSpec, remap: Vec<Remap>, run: &Run) -> ImportOrder {
    ImportOrder {
        restore: "by hand".to_owned(),
        storage: StorageLocationSpec::default(),
        manifests: Vec::new(),
        vendor_dump: None,
        target,
        remap,
        conflict_policy: ConflictPolicy::default(),
        deletions: Deletions::default(),
        confirm: None,
        dry_run: args.dry_run,
        preflight: Preflight::default(),
        verify: Verify::default(),
        drill_prefix: None,
        drill_again: false,
        limits: Limits::default(),
        bounds: Bounds {
            timeout_seconds: run.clock.allowed().as_secs(),
            not_after: jiff::Timestamp::MAX,
        },
    }
}

/// Reads a plan. A field that nobody knows is refused: it would be ignored otherwise.
fn read(path: &Path) -> Result<Plan, CliError> {
    let problem = |problem: &dyn std::fmt::Display| CliError::file(path, problem);
    let text = std::fs::read_to_string(path).map_err(|error| problem(&error))?;
    if text.len() > PLAN_LIMIT {
        return Err(problem(&"it has more than 1 MiB; it is no plan"));
    }
    parse(&text).map_err(|error| problem(&error))
}

fn parse(text: &str) -> Result<Plan, String> {
    let given: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let plan: Plan = serde_json::from_value(given.clone()).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(&plan).map_err(|error| error.to_string())?;
    match unknown(&given, &known) {
        Some(path) => Err(format!("it has a field that is not known: {path}")),
        None => Ok(plan),
    }
}

/// The first field that was given and not read.
fn unknown(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            given.iter().find_map(|(key, value)| match known.get(key) {
                Some(known) => unknown(value, known).map(|path| format!("{key}.{path}")),
                None if is_empty(value) => None,
                None => Some(key.clone()),
            })
        }
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| unknown(given, known)),
        _ => None,
    }
}

/// What is left out where it says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

async fn draw(run: Arc<Run>, bar: ProgressBar) {
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let mut ticks = tokio::time::interval(DRAW_EVERY);
    loop {
        ticks.tick().await;
        let now = run.progress.snapshot();
        bar.set_message(format!(
            "{}: {} of {} parts, {} records, {} ({}/s)",
            now.phase,
            now.parts_done,
            now.parts_total,
            now.records,
            text::bytes(now.bytes),
            text::bytes(now.bytes_per_second)
        ));
        bar.tick();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let good = "source: {cnosdb: {url: 'http://a:8902', tenants: []}}\ntarget: {cnosdb: {url: 'http://b:8902'}}\n";
        let plan = parse(good).unwrap();
        assert_eq!(plan.verify, Verify::Equal);
        assert_eq!(plan.conflict_policy, ConflictPolicy::Fail);
        assert_eq!(plan.target.cnosdb.unwrap().url, "http://b:8902");
        for (more, part) in [
            ("verfy: Counts\n", "verfy"),
            ("verify: Most\n", "Most"),
            ("confirm: [\n", ""),
        ] {
            let error = parse(&format!("{good}{more}")).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let error = parse(&good.replace("tenants", "tenant")).unwrap();
        assert!(error.source.cnosdb.is_some(), "an empty one says nothing");
        let odd = good.replace("tenants: []", "password: x");
        assert!(parse(&odd).unwrap_err().contains("source.cnosdb.password"));
    }
}
