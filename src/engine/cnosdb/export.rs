//! Reads one part and writes its rows as they come: JSON objects, one a line, as the server's own
//! `COPY INTO … FILE_FORMAT = (TYPE = 'JSON')` writes and reads them.

use bytes::Bytes;

use super::client::Client;
use super::read::{Place, Reader, Visit};
use super::row::{Layout, Row};
use crate::engine::{EngineError, PartSummary};
use crate::manifest::Fingerprint;
use crate::transfer::RecordSink;

/// Bytes that are handed on at once.
const PIECE: usize = 256 * 1024;

struct Copy<'a> {
    layout: &'a Layout,
    out: Vec<u8>,
    canonical: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Visit for Copy<'_> {
    fn row(&mut self, line: &[u8], row: &Row<'_>) -> Result<(), EngineError> {
        self.out.extend_from_slice(line);
        self.out.push(b'\n');
        self.canonical.clear();
        self.layout.canonical(row, &mut self.canonical);
        self.fingerprint.add(&self.canonical);
        Ok(())
    }
}

/// Reads a place and writes its records.
pub(super) async fn export(
    client: &Client,
    place: &Place,
    layout: &Layout,
    sink: &mut dyn RecordSink,
) -> Result<PartSummary, EngineError> {
    let mut copy = Copy {
        layout,
        out: Vec::new(),
        canonical: Vec::new(),
        fingerprint: Fingerprint::default(),
    };
    let mut reader = Reader::new(client, place, layout).await?;
    while reader.next(&mut copy).await? {
        if copy.out.len() >= PIECE {
            sink.write(Bytes::from(std::mem::take(&mut copy.out)))
                .await?;
        }
    }
    if !copy.out.is_empty() {
        sink.write(Bytes::from(copy.out)).await?;
    }
    Ok(PartSummary {
        records: copy.fingerprint.records(),
        fingerprint: Some(copy.fingerprint),
        ..PartSummary::default()
    })
}
