//! The parts index: for each part its count, fingerprint and files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, text};

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
pub const MAX_INDEX_LINE: usize = 1 << 20;
/// The longest path of a file, in bytes.
pub const MAX_FILE_PATH: usize = 256;

/// What the paths of a part's files begin with, below the run's data directory: `parts/000012`.
/// A dot or a slash follows. A number is used once in a backup, and is not above the number of
/// its parts; numbers need not follow the order of the index.
pub fn part_stem(number: u64) -> String {
    format!("parts/{number:06}")
}

/// The name that a file has of its own (`parts/000012/<name>`); none where Lifeboat numbered it.
pub fn own_name(path: &str) -> Option<&str> {
    let (_, name) = path.strip_prefix("parts/")?.split_once('/')?;
    (!name.contains('/')).then_some(name)
}

/// The part's number that a file's path begins with. The rest may be any name that means the same
/// to every store and file system, so that a vendor's file keeps its own.
pub fn parse_file_path(path: &str) -> Result<u64, String> {
    let shown = || text::show(path);
    if path.len() > MAX_FILE_PATH {
        return Err(format!("the path {} is too long", shown()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=+@,~".contains(c);
    for segment in path.split('/') {
        if segment.is_empty() || segment.starts_with('.') {
            return Err(format!(
                "the path {} has an empty segment or one that begins with a dot",
                shown()
            ));
        }
        if !segment.chars().all(plain) {
            return Err(format!(
                "the path {} has a character that paths never have",
                shown()
            ));
        }
    }
    let digits = path
        .strip_prefix("parts/")
        .and_then(|rest| rest.split_once(['.', '/']))
        .map(|(digits, _)| digits)
        .filter(|digits| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("the path {} does not begin with parts/<number>", shown()))
}
