//! One part from one engine into another, a few pieces at a time.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{JobError, Progress};
use crate::engine::{Engine, ImportReport, PartPlan, PartSummary};
use crate::manifest::Part;
use crate::transfer::{RecordSink, RecordSource, Throttle, TransferError};

/// Pieces that wait between the two.
const WAITING: usize = 4;

/// Reads a part and writes it as it comes. Gives what was read, how many bytes that were, and what
/// became of it. A part without records is not written at all.
pub(super) async fn pipe(
    source: &dyn Engine,
    part: &PartPlan,
    target: &dyn Engine,
    throttle: &Throttle,
    progress: &Progress,
) -> Result<(PartSummary, u64, ImportReport), JobError> {
    let (sender, receiver) = channel(WAITING);
    let mut inlet = Inlet {
        sender: Some(sender),
        header: part.header.clone(),
        throttle,
        progress,
        bytes: 0,
        cut: false,
    };
    let read = async {
        let read = source.export_part(part, &mut inlet).await;
        inlet.end(read.is_ok()).await;
        read
    };
    let write = write(target, part, receiver);
    let (read, written) = tokio::join!(read, write);
    match (read, written) {
        (Ok(read), Ok(report)) => Ok((read, inlet.bytes, report)),
        // Who stopped first is who failed: the other one only lost its partner.
        (Err(read), _) if !inlet.cut => Err(read.into()),
        (_, Err(written)) => Err(written),
        (Err(read), Ok(_)) => Err(read.into()),
    }
}

async fn write(
    target: &dyn Engine,
    part: &PartPlan,
    mut receiver: Receiver<Piece>,
) -> Result<ImportReport, JobError> {
    let first = match receiver.recv().await {
        Some(Piece::Records(first)) => first,
        Some(Piece::End) => return Ok(ImportReport::default()),
        None => return Err(lost().into()),
    };
    let part = Part {
        kind: part.kind.clone(),
        name: part.name.clone(),
        attributes: part.attributes.clone(),
        ..Part::default()
    };
    let mut outlet = Outlet {
        first: Some(first),
        receiver,
        ended: false,
    };
    Ok(target.import_part(&part, &mut outlet).await?)
}

enum Piece {
    Records(Bytes),
    /// The part was read to its end, and did not break off.
    End,
}

fn lost() -> TransferError {
    TransferError::Internal("the other side of the migration broke off".to_owned())
}

/// The end that the source writes to.
struct Inlet<'a> {
    sender: Option<Sender<Piece>>,
    header: Bytes,
    throttle: &'a Throttle,
    progress: &'a Progress,
    bytes: u64,
    /// The target takes no more.
    cut: bool,
}

impl Inlet<'_> {
    async fn send(&mut self, piece: Piece) -> Result<(), TransferError> {
        let sender = self.sender.as_ref().ok_or_else(lost)?;
        if sender.send(piece).await.is_err() {
            self.cut = true;
            return Err(lost());
        }
        Ok(())
    }

    async fn end(&mut self, whole: bool) {
        if whole {
            let _ = self.send(Piece::End).await;
        }
        self.sender = None;
    }
}

#[async_trait]
impl RecordSink for Inlet<'_> {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        if records.is_empty() {
            return Ok(());
        }
        self.throttle.pass(records.len()).await;
        self.bytes += records.len() as u64;
        self.progress.add_bytes(records.len() as u64);
        let header = std::mem::take(&mut self.header);
        if !header.is_empty() {
            self.send(Piece::Records(header)).await?;
        }
        self.send(Piece::Records(records)).await
    }
}

/// The end that the target reads from.
struct Outlet {
    first: Option<Bytes>,
    receiver: Receiver<Piece>,
    ended: bool,
}

#[async_trait]
impl RecordSource for Outlet {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        if self.ended {
            return Ok(None);
        }
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match self.receiver.recv().await {
            Some(Piece::Records(records)) => Ok(Some(records)),
            Some(Piece::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(lost()),
        }
    }
}
