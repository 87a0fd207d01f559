//! `lifeboat list`: the backups in a bucket, with nothing but the bucket.

use std::io::Write;

use serde::Serialize;

use super::args::{ListArgs, Output};
use super::{CliError, store, text};
use crate::manifest::line::{Line, Owner};
use crate::manifest::{Chain, Commit};
use crate::storage::Location;
use crate::transfer::TransferError;
use crate::transfer::catalog::{self, SlotEntry};

/// One slot of one line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    cluster: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    name: String,
    slot: String,
    /// `Full`, `Incremental`, `Void`, or `Invalid`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_time: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Prints what is there.
pub(super) async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), CliError> {
    let location = store::open(&args.store)?;
    let mut rows = Vec::new();
    for line in lines(&location, args).await? {
        for entry in catalog::list_slots(&location, &line.path(), None).await? {
            rows.extend(row(&location, &line, entry).await?);
        }
    }
    let printed = match args.output {
        Output::Json => text::json(out, &rows),
        Output::Table => table(out, &rows, location.place()),
    };
    printed.map_err(|error| text::cannot_print(&error))
}

async fn lines(location: &Location, args: &ListArgs) -> Result<Vec<Line>, CliError> {
    let mut lines = catalog::lines(location, args.cluster.as_deref()).await?;
    lines.retain(|line| {
        let namespace = args.namespace.as_ref();
        let in_namespace = namespace.is_none_or(|wanted| *wanted == line.namespace);
        let of_schedule = match (&args.schedule, &line.owner) {
            (None, _) => true,
            (Some(wanted), Owner::Schedule(name)) => wanted == name,
            (Some(_), Owner::Backup(_)) => false,
        };
        in_namespace && of_schedule
    });
    Ok(lines)
}

/// The row of a slot; none where retention deleted it since the listing.
async fn row(location: &Location, line: &Line, entry: SlotEntry) -> Result<Option<Row>, CliError> {
    let mut row = Row {
        cluster: line.cluster.clone(),
        namespace: line.namespace.clone(),
        schedule: match &line.owner {
            Owner::Schedule(name) => Some(name.clone()),
            Owner::Backup(_) => None,
        },
        name: line.owner.name().to_owned(),
        slot: entry.slot,
        kind: "Invalid",
        consistency_time: None,
        records: None,
        stored_bytes: None,
        path: entry.key,
        sha256: None,
        problem: None,
    };
    match catalog::read_commit(location, &row.path, None).await {
        Ok((Commit::Backup(manifest), reference)) => {
            row.kind = match manifest.chain {
                Chain::Full => "Full",
                Chain::Incremental { .. } => "Incremental",
            };
            row.consistency_time = Some(manifest.consistency_time);
            row.records = Some(manifest.totals.records);
            row.stored_bytes = Some(manifest.totals.stored_bytes);
            row.sha256 = Some(reference.sha256);
        }
        Ok((Commit::Void(marker), _)) => {
            row.kind = "Void";
            row.problem = Some(marker.void);
        }
        Err(TransferError::NotFound { .. }) => return Ok(None),
        Err(error @ TransferError::Manifest { .. }) => row.problem = Some(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(row))
}

fn table(out: &mut impl Write, rows: &[Row], place: &str) -> std::io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no backups in {place}; check the bucket and --prefix");
    }
    let head = [
        "CLUSTER",
        "NAMESPACE",
        "SCHEDULE",
        "SLOT",
        "KIND",
        "CONSISTENT",
        "RECORDS",
        "STORED",
        "PATH",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    for row in rows {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        cells.push([
            row.cluster.clone(),
            row.namespace.clone(),
            or_dash(row.schedule.clone()),
            row.slot.clone(),
            row.kind.to_owned(),
            or_dash(row.consistency_time.map(text::time)),
            or_dash(row.records.map(|n| n.to_string())),
            or_dash(row.stored_bytes.map(text::bytes)),
            row.path.clone(),
        ]);
    }
    text::columns(out, &cells)?;
    for row in rows {
        if let Some(problem) = &row.problem {
            writeln!(out, "\n{} {}: {problem}", row.kind.to_lowercase(), row.slot)?;
        }
    }
    Ok(())
}
