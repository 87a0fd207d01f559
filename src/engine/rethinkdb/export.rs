//! Reads one part.

use super::client::Client;
use super::fault;
use super::json::{self, NoRow};
use super::names::TableName;
use super::scan::Scan;
use super::slice::Slice;
use crate::engine::{EngineError, PartSummary};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSink;

/// A buffer that grew beyond this for a large row is given back.
const KEPT: usize = 1 << 20;

/// Fingerprints rows.
#[derive(Default)]
pub(super) struct Hasher {
    fingerprint: Fingerprint,
    form: Vec<u8>,
}

impl Hasher {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &str) -> Result<(), NoRow> {
        self.form.clear();
        json::canonical(row, &mut self.form)?;
        self.fingerprint.add(&self.form);
        if self.form.capacity() > KEPT {
            self.form = Vec::new();
        }
        Ok(())
    }

    /// Of all rows so far.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// A row that can't be compared, and so not be backed up either.
pub(super) fn unreadable(client: &Client, table: &TableName, problem: NoRow) -> EngineError {
    fault::garbled(
        client.server(),
        &format!("a row of {table} can't be used: {problem}"),
    )
}

/// Reads a part and writes its rows, a line each, as the server says them.
pub(super) async fn export(
    client: &Client,
    slice: &Slice,
    sink: &mut dyn RecordSink,
) -> Result<PartSummary, EngineError> {
    let mut hasher = Hasher::default();
    let mut scan = Scan::new(client, slice);
    while let Some(values) = scan.next().await? {
        for row in values.iter() {
            hasher
                .add(row)
                .map_err(|problem| unreadable(client, &slice.name, problem))?;
        }
        let (lines, _pass) = values.into_lines();
        sink.write(lines).await?;
    }
    let fingerprint = hasher.fingerprint();
    Ok(PartSummary {
        records: fingerprint.records(),
        fingerprint: Some(fingerprint),
        ..PartSummary::default()
    })
}
