//! The parts index: for each part its count, fingerprint and files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fingerprint;

/// One part of a backup: a measurement, a table, an index, a vendor's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// What it is, in the engine's words: `measurement`, `ddl`.
    pub kind: String,
    /// Its name, in the engine's words: for a measurement `database`, `retentionPolicy`, `measurement`.
    pub name: BTreeMap<String, String>,
    /// Records in it.
    pub records: u64,
    /// Fingerprint of its records, where the engine makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What else the engine needs to import it, in the engine's words: field types, for example.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Its files, in order. None where it has no records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PartFile>,
}

/// One stored file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartFile {
    /// Path below the run's data directory.
    pub path: String,
    /// Bytes in the bucket.
    pub stored_size: u64,
    /// SHA-256 of the bytes in the bucket, in hex.
    pub stored_sha256: String,
    /// Bytes before the codec.
    pub plain_size: u64,
    /// SHA-256 of the bytes before the codec, in hex.
    pub plain_sha256: String,
}

/// Path of the parts index below the run's data directory.
pub const INDEX_PATH: &str = "parts.jsonl.zst";
/// The most bytes of one line of the parts index, without its newline.
pub const MAX_INDEX_LINE: usize = 64 * 1024;
