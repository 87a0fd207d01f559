//! Reads the archive that `rethinkdb dump` writes: a tar, packed or not, with two files a table; see
//! [`super::archive`].
//!
//! A tar has no table of contents and gzip has no middle, so it is read from its begin. All of it is
//! read once to see what is in it. Then each table's rows are read by an archive that stands open
//! before them, if one does: as many of these as tables are read at once, each going through the
//! archive but once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::array::ArrayRows;
use super::names::TableName;
use super::survey::{Found, Survey};
use crate::engine::tar::{self, Fault, Kind, Visit};
use crate::engine::{EngineError, VendorDump};
use crate::manifest::{Part, PartFile};
use crate::transfer::{Dump, DumpFile, DumpReader, RecordSource, TransferError, bad_dump};

/// Archives that stay open for the next table.
const OPEN: usize = 4;
/// Bytes of a tar's block.
const BLOCK: usize = 512;
/// Bytes of rows that are given at once.
const PIECE: usize = 128 * 1024;

/// A dump that was read once.
pub(super) struct RethinkDump {
    archive: Arc<Archive>,
    parts: Vec<Part>,
    /// Which entry of the archive holds a table's rows.
    entries: BTreeMap<TableName, usize>,
}

struct Archive {
    dump: Dump,
    file: DumpFile,
    /// Archives that stand somewhere in it.
    open: Mutex<Vec<Cursor>>,
}

impl VendorDump for RethinkDump {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn records(&self, part: &Part) -> Result<Box<dyn RecordSource>, EngineError> {
        let name = super::structure::table_name(&part.name)?;
        let entry = self.entries.get(&name);
        let entry = *entry.ok_or_else(|| self.archive.bad(format!("it has no rows of {name}")))?;
        Ok(Box::new(Rows {
            archive: Arc::clone(&self.archive),
            entry,
            cursor: None,
            array: ArrayRows::default(),
            ended: false,
        }))
    }
}

/// Reads all of a dump.
pub(super) async fn open(dump: Dump) -> Result<RethinkDump, EngineError> {
    let file = match dump.files() {
        [file] => file.clone(),
        files => {
            let problem = format!(
                "it lies among {} files; name the archive itself in source.vendorDump.path",
                files.len()
            );
            return Err(bad_dump(dump.path(), problem).into());
        }
    };
    let archive = Archive {
        dump,
        file,
        open: Mutex::default(),
    };
    let mut reader = archive.dump.read(&archive.file);
    let mut tar = tar::Reader::new().with_large_entries();
    let mut survey = Survey::default();
    while let Some(piece) = reader.next().await? {
        for some in piece.chunks(PIECE) {
            tar.push(some, &mut survey)
                .map_err(|fault| archive.bad(fault.to_string()))?;
            tokio::task::consume_budget().await;
        }
    }
    tar.finish()
        .map_err(|fault| archive.bad(fault.to_string()))?;
    let mut found = survey.finish().map_err(|problem| archive.bad(problem))?;
    // Nothing says what a part of a packed file takes: the first stands for all.
    let first = found.iter_mut().flat_map(|table| &mut table.rows.files);
    if let Some(first) = first.into_iter().next() {
        first.stored_size = archive.file.size;
    }
    Ok(RethinkDump {
        entries: found
            .iter()
            .map(|table| (table.name.clone(), table.entry))
            .collect(),
        parts: parts(found),
        archive: Arc::new(archive),
    })
}

/// What holds no rows first, then rows in the order of the archive.
fn parts(mut found: Vec<Found>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut databases: Vec<&str> = found.iter().map(|found| &*found.name.database).collect();
    databases.sort_unstable();
    databases.dedup();
    parts.extend(databases.into_iter().map(super::structure::database_part));
    found.sort_by_key(|found| found.entry);
    let (structure, rows): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|found| (found.structure, found.rows))
        .unzip();
    parts.extend(structure.into_iter().flatten());
    parts.extend(rows);
    parts
}

/// The file of a table's rows.
pub(super) fn rows_file(name: &str, size: u64) -> PartFile {
    PartFile {
        path: name.to_owned(),
        plain_size: size,
        ..PartFile::default()
    }
}

impl Archive {
    fn bad(&self, problem: impl Into<String>) -> TransferError {
        bad_dump(&self.file.name, problem)
    }

    fn open(&self) -> MutexGuard<'_, Vec<Cursor>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An archive that stands before this entry.
    fn take(&self, entry: usize) -> Cursor {
        let mut open = self.open();
        let before = open.iter().enumerate();
        let before = before.filter(|(_, cursor)| cursor.at.begun <= entry);
        let nearest = before.max_by_key(|(_, cursor)| cursor.at.begun);
        match nearest.map(|(place, _)| place) {
            Some(place) => open.swap_remove(place),
            None => Cursor {
                reader: self.dump.read(&self.file),
                tar: tar::Reader::new().with_large_entries(),
                rest: Bytes::new(),
                at: Place::default(),
            },
        }
    }

    fn give_back(&self, cursor: Cursor) {
        let mut open = self.open();
        if open.len() < OPEN {
            open.push(cursor);
        }
    }
}

/// An archive that is open.
struct Cursor {
    reader: DumpReader,
    tar: tar::Reader,
    rest: Bytes,
    at: Place,
}

/// Where it stands, and what of the wanted entry was read.
#[derive(Default)]
struct Place {
    /// Entries that have begun.
    begun: usize,
    /// The entry whose content is kept.
    wanted: usize,
    content: Vec<u8>,
    ended: bool,
}

impl Visit for Place {
    fn entry(&mut self, _: &str, _: Kind, _: u64) -> Result<(), Fault> {
        self.begun += 1;
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.begun == self.wanted + 1 {
            self.content.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<(), Fault> {
        self.ended |= self.begun == self.wanted + 1;
        Ok(())
    }

    fn blocks(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn last(&mut self) {}
}

/// The rows of one table, a line each.
struct Rows {
    archive: Arc<Archive>,
    entry: usize,
    cursor: Option<Cursor>,
    array: ArrayRows,
    ended: bool,
}

#[async_trait]
impl RecordSource for Rows {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        while !self.ended {
            let mut cursor = match self.cursor.take() {
                Some(cursor) => cursor,
                None => self.begin(),
            };
            let mut rows = Vec::new();
            let read = self.step(&mut cursor, &mut rows).await;
            // A cursor that failed is not used again.
            read?;
            if cursor.at.ended {
                self.ended = true;
                self.array
                    .finish()
                    .map_err(|problem| self.archive.bad(problem))?;
                self.archive.give_back(cursor);
            } else {
                self.cursor = Some(cursor);
            }
            if !rows.is_empty() {
                return Ok(Some(rows.into()));
            }
        }
        Ok(None)
    }
}

impl Rows {
    fn begin(&self) -> Cursor {
        let mut cursor = self.archive.take(self.entry);
        cursor.at.wanted = self.entry;
        cursor.at.ended = false;
        cursor
    }

    /// Reads on, to the end of the entry at most: the next table begins where this one ends.
    async fn step(&mut self, cursor: &mut Cursor, rows: &mut Vec<u8>) -> Result<(), TransferError> {
        if cursor.rest.is_empty() {
            let next = cursor.reader.next().await?;
            cursor.rest = next.ok_or_else(|| self.archive.bad("it is cut off before its end"))?;
        }
        while !cursor.rest.is_empty() && !cursor.at.ended && cursor.at.content.len() < PIECE {
            let block = cursor.rest.split_to(cursor.rest.len().min(BLOCK));
            cursor
                .tar
                .push(&block, &mut cursor.at)
                .map_err(|fault| self.archive.bad(fault.to_string()))?;
        }
        tokio::task::consume_budget().await;
        self.array
            .push(&cursor.at.content, rows)
            .map_err(|problem| self.archive.bad(problem))?;
        cursor.at.content.clear();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "dump_tests.rs"]
mod tests;
