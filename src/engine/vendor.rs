//! A vendor's own files, read as a backup.

use super::EngineError;
use crate::manifest::{Part, PartFile};
use crate::transfer::{DumpFile, RecordSource};

/// A dump that the vendor's own tool made, seen as the parts of a backup.
///
/// It is made by reading all of the dump once, so that what is cut off, malformed or hostile is found
/// before a target is touched.
pub trait VendorDump: Send + Sync {
    /// Its parts, those without records first, as an export of the engine writes them. Counts and
    /// fingerprints are of what was read; the files are those of the dump, without digests.
    fn parts(&self) -> &[Part];

    /// What a person should know.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// Whether the parts say how many records the target has to hold afterwards. If not, the restore
    /// can't be verified.
    fn counted(&self) -> bool {
        true
    }

    /// The records of one of [`Self::parts`], from the first, in the form that the engine's own
    /// export writes. May be asked for several times, and of several parts at once.
    fn records(&self, part: &Part) -> Result<Box<dyn RecordSource>, EngineError>;
}

/// A file of a dump as the file of a part: nothing says what its digests should be.
pub fn part_file(file: &DumpFile, plain_size: u64) -> PartFile {
    PartFile {
        path: file.name.clone(),
        stored_size: file.size,
        plain_size,
        ..PartFile::default()
    }
}
