//! Imports: the archive goes up to one core node, which imports it.

use std::io;

use bytes::Bytes;
use futures::future::{Either, select};
use reqwest::Body;
use tokio::sync::mpsc;

use super::api::{Form, Stored, Uploaded};
use super::archive::{Contents, Look, Rows, Scan};
use super::attributes::Archive;
use super::counts::{API_KEYS, BANNED, DASHBOARD_USERS};
use super::{Emqx, word};
use crate::engine::{EngineError, ImportReport};
use crate::transfer::RecordSource;

/// Pieces between the bucket and the target.
const PIECES: usize = 2;
/// Bans that end within so many seconds are not asked for afterwards.
const ENDING: i64 = 60 * 60;
/// What never comes into a standby unless it is asked for.
const CREDENTIALS: [&str; 2] = [API_KEYS, DASHBOARD_USERS];

/// How the feeding of an upload ended.
enum Fed {
    /// All was sent, and the archive is whole.
    Whole(Box<Contents>),
    /// The server stopped reading.
    Unread,
}

impl Emqx {
    /// Uploads the archive, has it imported, and takes it away again, whatever came of it.
    pub(super) async fn import_archive(
        &self,
        archive: &Archive,
        records: &mut dyn RecordSource,
        size: Option<u64>,
    ) -> Result<ImportReport, EngineError> {
        self.check_taken(archive).await?;
        // What an upload left that was broken off has the same name, and so the same origin: names
        // hold the millisecond of their export, and the archive itself is in the bucket.
        self.take_back(&archive.name).await?;
        self.leaves(&archive.name, None);
        let result = self.upload_and_import(archive, records, size).await;
        if let Err(error) = self.take_back(&archive.name).await {
            tracing::warn!(%error, "the uploaded archive is still on the target");
        }
        let contents = result?;
        let ending = match contents.tables.get("emqx_banned") {
            Some(Some(Rows { ending, .. })) => *ending,
            _ => 0,
        };
        let bans = archive.counts.get(BANNED).copied().unwrap_or(0);
        let expired = ending.min(bans);
        Ok(ImportReport {
            written: archive.counts.values().sum::<u64>() - expired,
            expired,
            ..ImportReport::default()
        })
    }

    async fn upload_and_import(
        &self,
        archive: &Archive,
        records: &mut dyn RecordSource,
        size: Option<u64>,
    ) -> Result<Contents, EngineError> {
        let contents = self.upload(archive, records, size).await?;
        if !contents.left_out.is_empty() {
            tracing::info!(tables = ?contents.left_out, "left out of the import");
        }
        let file = self.uploaded(&archive.name).await?;
        self.api.import(&file).await?;
        Ok(contents)
    }

    /// Where the upload went: a Service may lead to any node.
    async fn uploaded(&self, name: &str) -> Result<Stored, EngineError> {
        let cluster = self.cluster().await?;
        let found = self.api.find(name).await?;
        let lost = |problem: String| EngineError::Server {
            server: self.api.server().to_owned(),
            problem,
            retryable: true,
        };
        match found.iter().find(|file| cluster.is_core(&file.node)) {
            Some(file) => Ok(file.clone()),
            None => Err(lost(match found.first() {
                Some(file) => format!(
                    "the upload came to {}, which is no core node, and only core nodes import; let url lead to core nodes only",
                    word(&file.node)
                ),
                None => "the uploaded archive is on no node that runs".to_owned(),
            })),
        }
    }

    /// Sends the archive, as it is or without the tables that stay out. It is looked into on its
    /// way; the form is ended only once the archive proved whole, so nothing else is ever taken.
    async fn upload(
        &self,
        archive: &Archive,
        records: &mut dyn RecordSource,
        size: Option<u64>,
    ) -> Result<Contents, EngineError> {
        let without: Option<&[&str]> = (!self.target.import_credentials).then_some(&CREDENTIALS);
        let scan = Scan::new(&Look {
            name: &archive.name,
            ending_before: jiff::Timestamp::now().as_second() + ENDING,
            copy_without: without,
        })
        .map_err(|fault| refused(&fault))?;
        let form = Form::new(&archive.name);
        // A copy's size is known only at its end.
        let length = size
            .filter(|_| without.is_none())
            .map(|size| size + (form.head.len() + form.tail.len()) as u64);
        let (sender, receiver) = mpsc::channel(PIECES);
        let (head, tail) = (form.head.clone(), form.tail.clone());
        let upload = self.api.upload(form, body(receiver), length);
        let feed = feed(scan, without.is_some(), records, sender, head, tail);
        let (sent, answer) = match select(Box::pin(feed), Box::pin(upload)).await {
            Either::Left((sent, upload)) => (sent?, upload.await?),
            Either::Right((Ok(answer), feed)) => (feed.await?, answer),
            // The error of what was sent says more than that of the sending.
            Either::Right((Err(error), feed)) => return Err(feed.await.err().unwrap_or(error)),
        };
        match (answer, sent) {
            (Uploaded::Done, Fed::Whole(contents)) => Ok(*contents),
            (Uploaded::Refused(error), _) => Err(error),
            (Uploaded::AlreadyThere, _) => Err(EngineError::Server {
                server: self.api.server().to_owned(),
                problem: "a file of the archive's name came to the target meanwhile".to_owned(),
                retryable: true,
            }),
            (Uploaded::Done, Fed::Unread) => Err(EngineError::Server {
                server: self.api.server().to_owned(),
                problem: "it took the upload before its end".to_owned(),
                retryable: true,
            }),
        }
    }
}

fn refused(fault: &super::archive::Fault) -> EngineError {
    EngineError::BadBackup {
        problem: format!("the archive: {fault}"),
    }
}

fn body(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::wrap_stream(futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

/// Sends head, archive and tail. An archive that is not whole breaks the request off.
async fn feed(
    scan: Scan,
    copies: bool,
    records: &mut dyn RecordSource,
    sender: mpsc::Sender<io::Result<Bytes>>,
    head: String,
    tail: String,
) -> Result<Fed, EngineError> {
    let result = feed_all(scan, copies, records, &sender, head, tail).await;
    if result.is_err() {
        let broken = io::Error::other("the archive is not whole");
        // The server may have stopped reading; then nothing needs to be broken off.
        let _ = sender.send(Err(broken)).await;
    }
    result
}

async fn feed_all(
    mut scan: Scan,
    copies: bool,
    records: &mut dyn RecordSource,
    sender: &mpsc::Sender<io::Result<Bytes>>,
    head: String,
    tail: String,
) -> Result<Fed, EngineError> {
    if sender.send(Ok(head.into())).await.is_err() {
        return Ok(Fed::Unread);
    }
    while let Some(piece) = records.next().await? {
        scan.push(&piece).await.map_err(|fault| refused(&fault))?;
        let ready = if copies { scan.copied().into() } else { piece };
        if !ready.is_empty() && sender.send(Ok(ready)).await.is_err() {
            return Ok(Fed::Unread);
        }
    }
    let (contents, rest) = scan.finish().map_err(|fault| refused(&fault))?;
    for last in [Bytes::from(rest), tail.into()] {
        if !last.is_empty() && sender.send(Ok(last)).await.is_err() {
            return Ok(Fed::Unread);
        }
    }
    Ok(Fed::Whole(Box::new(contents)))
}
