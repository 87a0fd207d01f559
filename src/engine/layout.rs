//! How a backup is laid out for the vendor's own tool. Pure: an engine says what goes where, and who
//! fetches a backup writes it.

use jiff::Timestamp;

use super::{EngineError, kuzzle, rethinkdb};
use crate::manifest::Part;

/// A small file that the vendor's tool wants beside the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorFile {
    /// Its name, without directories. The records of a part may follow in a file of the same name.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// A directory that the vendor's own tool restores.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryLayout {
    /// The name of the file that the records of a part go into, one part after another.
    pub records_file: fn(&Part) -> Result<String, EngineError>,
    /// The files beside them, of all parts that hold no records.
    pub other_files: fn(&[Part]) -> Result<Vec<VendorFile>, EngineError>,
}

/// One `tar.gz` that the vendor's own tool restores.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLayout {
    /// The name of the archive without its end, by the time that the backup is of. A plain file name.
    pub name: fn(Timestamp) -> String,
    /// The directory that all of its files lie in.
    pub directory: fn(Timestamp) -> String,
    /// Its files, in their order.
    pub files: fn(&[Part]) -> Result<Vec<ArchiveFile>, EngineError>,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its path below the archive's directory, of plain names.
    pub path: String,
    /// What is in it.
    pub content: ArchiveContent,
}

/// What is in a file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The records of these parts (places in the list that was given), a line each, as one text.
    Records {
        /// The parts, in the order in which their records go.
        parts: Vec<usize>,
        /// What stands around the records.
        around: Around,
    },
}

/// What stands around records that were a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// Before the first.
    pub begin: &'static str,
    /// Between two, instead of the line break.
    pub between: &'static str,
    /// Behind the last, instead of its line break.
    pub end: &'static str,
    /// Instead of all of it, where there are none.
    pub none: &'static str,
}

/// How an engine's vendor has a backup laid out.
#[derive(Clone, Copy, Debug)]
pub enum VendorLayout {
    /// As a directory.
    Directory(DirectoryLayout),
    /// As one archive.
    Archive(ArchiveLayout),
}

/// The layout of an engine's vendor, where that has one: most read each file by itself.
pub fn vendor_layout(engine: &str) -> Option<VendorLayout> {
    match engine {
        "kuzzle" => Some(VendorLayout::Directory(kuzzle::VENDOR_LAYOUT)),
        "rethinkdb" => Some(VendorLayout::Archive(rethinkdb::VENDOR_LAYOUT)),
        _ => None,
    }
}
