//! Reads one part.

use bytes::Bytes;

use super::catalog::{self, Fields};
use super::client::Client;
use super::encode::Encoder;
use super::ql::{self, Range};
use super::response::Visit;
use super::slices;
use crate::engine::{EngineError, PartSummary};
use crate::transfer::RecordSink;

/// Bytes that are handed on at once.
const PIECE: usize = 256 * 1024;

/// A measurement of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its database.
    pub(super) database: String,
    /// Its retention policy.
    pub(super) policy: String,
    /// Its name.
    pub(super) measurement: String,
    /// What of it is meant.
    pub(super) window: Range,
}

impl Place {
    /// For a FROM.
    pub(super) fn source(&self) -> String {
        ql::source(&self.database, &self.policy, &self.measurement)
    }
}

/// What is asked for, one after another.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Spans that don't meet.
    pub(super) ranges: Vec<Range>,
    /// What a person should know.
    pub(super) warning: Option<String>,
}

/// The queries that give each value with its own type.
///
/// Where a field has several types in different shards, one query over all of them gives but one:
/// integers would become floats, and strings be lost. So then each shard group is asked alone.
pub(super) async fn ranges(client: &Client, place: &Place) -> Result<Ranges, EngineError> {
    let fields = catalog::fields(client, &place.database, &place.source()).await?;
    ranges_for(client, place, &fields).await
}

async fn ranges_for(
    client: &Client,
    place: &Place,
    fields: &Fields,
) -> Result<Ranges, EngineError> {
    let Some(field) = fields.mixed.first() else {
        return Ok(Ranges {
            ranges: vec![place.window],
            warning: None,
        });
    };
    let (pieces, shared) = catalog::shard_ranges(client, &place.database, &place.policy)
        .await
        .map_err(|error| match error {
            EngineError::PermissionDenied { server, problem } => EngineError::PermissionDenied {
                server,
                problem: format!(
                    "the field {field:?} of {:?} has several types, so each shard has to be read alone, which takes an admin ({problem})",
                    place.measurement
                ),
            },
            other => other,
        })?;
    let warning = shared.then(|| {
        format!(
            "{:?}.{:?}: the field {field:?} has several types, and a shard group has several shards: where they differ in its type, the query gives but one of them",
            place.database, place.measurement
        )
    });
    let ranges = pieces
        .into_iter()
        .filter_map(|piece| piece.cut(place.window));
    Ok(Ranges {
        ranges: ranges.collect(),
        warning,
    })
}

/// The queries that give all rows of a place, each row once.
struct Queries {
    queries: Vec<String>,
    warning: Option<String>,
}

async fn queries(client: &Client, place: &Place) -> Result<Queries, EngineError> {
    let source = place.source();
    let fields = catalog::fields(client, &place.database, &source).await?;
    let Ranges { ranges, warning } = ranges_for(client, place, &fields).await?;
    // A window has few rows for each series, so slices of it would be small.
    let slices = match &fields.one {
        Some(field) if fields.mixed.is_empty() && place.window == Range::default() => {
            let rows = catalog::rows(client, &source, field).await?;
            slices::slices(client, place, rows).await?
        }
        _ => Vec::new(),
    };
    let queries = if slices.is_empty() {
        let whole = |range| ql::select_rows(&source, range, &[]);
        ranges.into_iter().map(whole).collect()
    } else {
        let of = |slice| ql::select_rows(&source, place.window, &[slice]);
        slices.into_iter().map(of).collect()
    };
    Ok(Queries { queries, warning })
}

/// Streams all rows of a place.
pub(super) async fn read(
    client: &Client,
    place: &Place,
    visit: &mut (dyn Visit + Send),
) -> Result<(), EngineError> {
    for query in queries(client, place).await?.queries {
        let mut rows = client.rows(&query, 1).await?;
        while rows.next(visit).await? {}
    }
    Ok(())
}

/// Reads a place and writes its records.
pub(super) async fn export(
    client: &Client,
    place: &Place,
    sink: &mut dyn RecordSink,
) -> Result<PartSummary, EngineError> {
    let mut encoder = Encoder::default();
    let Queries { queries, warning } = queries(client, place).await?;
    for query in queries {
        let mut rows = client.rows(&query, 1).await?;
        while rows.next(&mut encoder).await? {
            if encoder.waiting() >= PIECE {
                sink.write(Bytes::from(encoder.take())).await?;
            }
        }
    }
    if encoder.waiting() > 0 {
        sink.write(Bytes::from(encoder.take())).await?;
    }
    let fingerprint = encoder.fingerprint();
    let (unwritable, series) = encoder.unwritable();
    let mut warnings: Vec<String> = warning.into_iter().collect();
    if unwritable > 0 {
        warnings.push(format!(
            "{:?}.{:?}: {unwritable} points are left out, because line protocol can't say their names: {}",
            place.database,
            place.measurement,
            super::fault::word(&series.join(" | "))
        ));
    }
    Ok(PartSummary {
        records: fingerprint.records(),
        fingerprint: Some(fingerprint),
        warnings,
        ..PartSummary::default()
    })
}
