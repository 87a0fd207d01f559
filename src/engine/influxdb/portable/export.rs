//! Reads what was planned: the shards' files, and those that the vendor's tool wants beside them.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::super::client::Client;
use super::super::structure;
use super::archive::Packer;
use super::count;
use super::files::Listing;
use super::parts::{self, ShardPart};
use super::wire::Service;
use crate::engine::tar::Fault;
use crate::engine::{EngineError, ExportPlan, PartSummary};
use crate::manifest::Part;
use crate::transfer::RecordSink;

/// What an export has planned, for the files that the vendor's tool wants beside the shards'.
#[derive(Debug)]
pub(super) struct Planned {
    meta: Vec<u8>,
    listing: Mutex<Listing>,
    /// How many files of shards are written.
    written: watch::Sender<usize>,
}

pub(super) fn spoilt(service: &Service, id: u64, fault: &Fault) -> EngineError {
    service.lost(&format!(
        "the files of shard {id} came wrong: {fault}; the server's log may say why"
    ))
}

impl Planned {
    /// `meta` is the file with the metadata; `listing` names the shards' files, not yet their sizes.
    pub(super) fn new(meta: Vec<u8>, listing: Listing) -> Self {
        Self {
            meta,
            listing: Mutex::new(listing),
            written: watch::Sender::new(0),
        }
    }

    /// Writes the metadata.
    pub(super) async fn write_meta(
        &self,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        sink.write(Bytes::from(self.meta.clone())).await?;
        Ok(PartSummary::default())
    }

    /// Writes the list of files, once all shards are written: it has their sizes.
    pub(super) async fn write_listing(
        &self,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let all = self.listing(|listing| listing.files.as_ref().map_or(0, Vec::len));
        // The sender is ours, so it is there.
        let _ = self
            .written
            .subscribe()
            .wait_for(|written| *written >= all)
            .await;
        let text =
            self.listing(|listing| serde_json::to_string_pretty(listing).unwrap_or_default());
        sink.write(Bytes::from(text)).await?;
        Ok(PartSummary::default())
    }

    fn note(&self, id: u64, size: u64) {
        let fresh = self.listing(|listing| {
            let files = listing.files.iter_mut().flatten();
            let Some(file) = files.into_iter().find(|file| file.shard_id == id) else {
                return false;
            };
            let fresh = file.size == 0;
            file.size = size;
            fresh
        });
        if fresh {
            self.written.send_modify(|written| *written += 1);
        }
    }

    fn listing<T>(&self, look: impl FnOnce(&mut Listing) -> T) -> T {
        look(&mut self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a shard's files, and counts its values before and after: on a live server points come in
    /// between.
    pub(super) async fn write_shard(
        &self,
        client: &Client,
        service: &Service,
        part: &Part,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let part = ShardPart::read(part)?;
        let span = count::Span {
            database: part.database.clone(),
            policy: part.policy.clone(),
            range: part.range(),
        };
        let before = count::values(client, &span).await?;
        let id = part.shard.id;
        let mut answer = service
            .shard(&part.database, &part.policy, id, None)
            .await?;
        let mut packer = Packer::new();
        let mut any = false;
        while let Some(piece) = answer.next().await? {
            any = true;
            let out = packer
                .push(&piece)
                .map_err(|fault| spoilt(service, id, &fault))?;
            sink.write(Bytes::from(out)).await?;
        }
        if !any {
            return Err(self.nothing(service, &part).await?);
        }
        let contents = packer.contents();
        let (rest, size) = packer
            .finish()
            .map_err(|fault| spoilt(service, id, &fault))?;
        sink.write(Bytes::from(rest)).await?;
        let after = count::values(client, &span).await?;
        self.note(id, size);
        let mut warnings = Vec::new();
        if contents.deleted {
            warnings.push(format!(
                "{:?}.{:?}: the files of shard {id} still hold points that were deleted, and a restore brings them back: the vendor's format has no other way. The server drops them from its files when it next compacts the shard",
                part.database, part.policy
            ));
        }
        Ok(PartSummary {
            records: before.min(after),
            fingerprint: None,
            attributes: parts::seen(before.max(after), contents.deleted),
            warnings,
        })
    }

    /// Why a shard came without a byte: the server tells that to its log only.
    async fn nothing(
        &self,
        service: &Service,
        part: &ShardPart,
    ) -> Result<EngineError, EngineError> {
        let id = part.shard.id;
        let there = service.shards(&part.database).await?;
        Ok(if there.iter().any(|(_, have)| *have == id) {
            service.lost(&format!("it sent nothing of shard {id}; its log says why"))
        } else {
            EngineError::SourceChanged {
                problem: format!("the shard {id} of {:?} is gone", part.database),
            }
        })
    }
}

/// Looks at the source once more: databases and retention policies must still be there.
pub(super) async fn look_again(service: &Service, plan: &ExportPlan) -> Result<(), EngineError> {
    let meta = service.metadata().await?;
    for database in structure::read_all(&super::databases(&plan.structure))? {
        let name = &database.name;
        let now = meta.database(name);
        for policy in &database.policies {
            let is_there = now.is_some_and(|now| {
                now.policies
                    .iter()
                    .any(|(have, _)| have.name == policy.name)
            });
            if !is_there {
                return Err(EngineError::SourceChanged {
                    problem: format!("the retention policy {:?} of {name:?} is gone", policy.name),
                });
            }
        }
    }
    Ok(())
}
