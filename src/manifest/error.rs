//! Why a manifest or a parts index can't be used.

use super::head::{FORMAT_VERSION, HEAD_LIMIT};

/// Why a manifest or a parts index can't be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Too many bytes.
    #[error(
        "the manifest has {0} bytes, more than the {HEAD_LIMIT} of the format: it was not written by Lifeboat"
    )]
    TooLarge(usize),
    /// Not the JSON of a manifest.
    #[error("the manifest is not valid: {0}")]
    Syntax(String),
    /// A later format.
    #[error(
        "the manifest has format version {0}; this Lifeboat reads version {FORMAT_VERSION}: use a newer Lifeboat"
    )]
    Version(u64),
    /// A value that can't be.
    #[error("the manifest's {field} can't be: {problem}")]
    Field {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It lies at another key than its identity says.
    #[error("the manifest lies at {found} but belongs at {expected}: it was moved or edited")]
    Misplaced {
        /// Where it lies.
        found: String,
        /// Where it belongs.
        expected: String,
    },
    /// Its bytes are not those that were asked for.
    #[error(
        "the manifest has the SHA-256 {found} instead of {expected}: it was edited after it was written"
    )]
    Edited {
        /// What was asked for.
        expected: String,
        /// What its bytes have.
        found: String,
    },
    /// A line of the parts index that can't be.
    #[error("the parts index can't be at part {part}: {problem}")]
    Part {
        /// Number of the part, from 0.
        part: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The parts index as a whole is not what the manifest says.
    #[error("the parts index is not what the manifest says: {0}")]
    Index(String),
}
