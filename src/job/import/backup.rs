//! What is imported: a backup that Lifeboat made, or a vendor's dump that is seen as one.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::common::Totals;
use crate::engine::VendorDump;
use crate::job::JobError;
use crate::manifest::{Chain, Manifest, Part};
use crate::storage::Location;
use crate::transfer::{IndexReader, PartReader, RecordSource, Throttle};

/// One backup of the order.
pub(super) struct Backup {
    /// What messages call it: `backup 20261120t101500z`, `vendor's dump dumps/kuzzle`.
    pub(super) title: String,
    /// What is in it.
    pub(super) totals: Totals,
    /// Every write acknowledged before this is in it; none for a dump, which does not say it.
    pub(super) consistency_time: Option<Timestamp>,
    /// Whether it stands alone, and is no window on top of others.
    pub(super) full: bool,
    /// Its parts that have no files: what the engine makes before records.
    pub(super) structure: Vec<Part>,
    /// Its parts and their records.
    pub(super) content: Content,
}

impl Backup {
    /// A committed backup. Its structure is not read yet.
    pub(super) fn stored(location: &Location, manifest: Manifest) -> Self {
        Self {
            title: format!("backup {}", manifest.identity.slot),
            totals: manifest.totals.clone(),
            consistency_time: Some(manifest.consistency_time),
            full: manifest.chain == Chain::Full,
            structure: Vec::new(),
            content: Content::Stored {
                location: location.clone(),
                manifest: Arc::new(manifest),
            },
        }
    }

    /// The vendor's dump at `path`. Its structure is not read yet.
    pub(super) fn dump(path: &str, dump: Arc<dyn VendorDump>) -> Self {
        let mut totals = Totals::default();
        for part in dump.parts() {
            totals.parts += 1;
            totals.records += part.records;
            totals.files += part.files.len() as u64;
            for file in &part.files {
                totals.plain_bytes += file.plain_size;
                totals.stored_bytes += file.stored_size;
            }
        }
        Self {
            title: format!("vendor's dump {path}"),
            totals,
            consistency_time: None,
            full: true,
            structure: Vec::new(),
            content: Content::Dump(dump),
        }
    }
}

/// The parts of a backup and their records. Cheap to clone.
#[derive(Clone)]
pub(super) enum Content {
    /// In Lifeboat's own format.
    Stored {
        /// Where the backup is.
        location: Location,
        /// Its manifest, checked.
        manifest: Arc<Manifest>,
    },
    /// In a vendor's.
    Dump(Arc<dyn VendorDump>),
}

impl Content {
    /// All parts anew, in the same order each time: an index may be long, so nobody keeps it.
    pub(super) fn parts(&self) -> Result<Parts, JobError> {
        Ok(match self {
            Self::Stored { location, manifest } => {
                Parts::Index(Box::new(IndexReader::open(location.clone(), manifest)?))
            }
            Self::Dump(dump) => Parts::Dump(Arc::clone(dump), 0),
        })
    }

    /// The records of one part.
    pub(super) fn records(
        &self,
        part: &Part,
        throttle: Throttle,
    ) -> Result<Box<dyn RecordSource>, JobError> {
        match self {
            Self::Stored { location, manifest } => {
                let data_dir = manifest.identity.data_dir(&manifest.run_id);
                let location = location.clone();
                let (files, codec) = (&part.files, manifest.codec);
                let reader = PartReader::open(location, &data_dir, files, codec, throttle);
                Ok(Box::new(reader))
            }
            Self::Dump(dump) => Ok(dump.records(part)?),
        }
    }
}

/// The parts of a backup, one after another.
pub(super) enum Parts {
    Index(Box<IndexReader>),
    Dump(Arc<dyn VendorDump>, usize),
}

impl Parts {
    /// The next part; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, JobError> {
        match self {
            Self::Index(index) => Ok(index.next().await?),
            Self::Dump(dump, at) => {
                let part = dump.parts().get(*at).cloned();
                *at += 1;
                Ok(part)
            }
        }
    }
}
