//! The storage format, version 1: manifests, the parts index, keys, fingerprints, chains.
//!
//! Pure. Readers treat everything from a bucket as hostile: see [`Commit::parse`] and
//! [`IndexDecoder`].

pub mod chain;
mod check;
#[cfg(test)]
mod doc_tests;
mod error;
pub mod fingerprint;
pub mod head;
pub mod identity;
mod index;
pub mod line;
pub mod parts;
#[cfg(test)]
pub(crate) mod samples;
mod tally;
mod text;

pub use check::{
    MAX_FILE_SIZE, MAX_FILES, MAX_NUMBER, MAX_PARTS, MAX_WARNING, MAX_WARNINGS, fit_warnings,
    sha256_hex,
};
pub use error::ManifestError;
pub use fingerprint::Fingerprint;
pub use head::{
    Chain, Commit, FORMAT_VERSION, HEAD_LIMIT, IndexRef, Manifest, SourceInfo, VoidMarker,
};
pub use identity::Identity;
pub use index::{IndexDecoder, IndexEncoder};
pub use line::{Line, Owner};
pub use parts::{INDEX_PATH, Part, PartFile, own_name, part_stem};
pub(crate) use text::{is_namespace, is_object_name};
