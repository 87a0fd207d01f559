//! The manifest's head: one small JSON object whose presence is the commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Identity;
use crate::api::common::{Codec, Totals};

/// The format version that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// The most bytes a head may have.
pub const HEAD_LIMIT: usize = 64 * 1024;

/// What is stored at a manifest's key: a backup, or the word that none will ever be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
// One is read at a time.
#[allow(clippy::large_enum_variant)]
pub enum Commit {
    /// The slot is void: its run was lost.
    Void(VoidMarker),
    /// A committed backup.
    Backup(Box<Manifest>),
}

/// Takes a slot's manifest key so that no late run can commit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoidMarker {
    /// Version of the format.
    pub format_version: u32,
    /// Whose slot it was.
    pub identity: Identity,
    /// Why, in plain words.
    pub void: String,
    /// When.
    pub time: jiff::Timestamp,
}

/// A committed backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Version of the format.
    pub format_version: u32,
    /// Whose backup it is.
    pub identity: Identity,
    /// Uid of the pod that wrote it: its files lie below `data/<slot>/<run id>/`.
    pub run_id: String,
    /// What was read.
    pub source: SourceInfo,
    /// Versions of the tools that wrote it: `lifeboat`, and a vendor's where one was used.
    pub tools: BTreeMap<String, String>,
    /// Every write acknowledged before this is in the backup.
    pub consistency_time: jiff::Timestamp,
    /// When the run began.
    pub start_time: jiff::Timestamp,
    /// When the last file was written.
    pub end_time: jiff::Timestamp,
    /// What is in it.
    pub totals: Totals,
    /// What it builds on.
    pub chain: Chain,
    /// How stored bytes are packed.
    pub codec: Codec,
    /// Room for encryption: null until it is built; a reader refuses anything else.
    #[serde(default)]
    pub encryption: Option<serde_json::Value>,
    /// The parts index.
    pub index: IndexRef,
    /// What a person should know. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// The engine: `influxdb`.
    pub engine: String,
    /// The method: `lineProtocol`.
    pub method: String,
    /// The server's version, by its own word.
    pub engine_version: String,
    /// The server's identity, where its protocol has one; else its normalised URL.
    pub server_id: String,
    /// What was asked for, in the engine's words (no secrets): decides whether a window builds on a full.
    pub scope: BTreeMap<String, String>,
}

/// What a backup builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Chain {
    /// Everything.
    Full,
    /// A window of event time, on top of all that came before in its chain.
    #[serde(rename_all = "camelCase")]
    Incremental {
        /// Slot of the full backup at the chain's root.
        base: String,
        /// Slot of the backup just before this one in the chain.
        previous: String,
        /// Start of the window, in nanoseconds of event time, inclusive.
        window_start: i64,
        /// End of the window, in nanoseconds of event time, exclusive; none: open.
        window_end: Option<i64>,
    },
}

/// Where the parts index is, and what it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexRef {
    /// Path below the run's data directory: `parts.jsonl.zst`.
    pub path: String,
    /// Bytes in the bucket.
    pub stored_size: u64,
    /// SHA-256 of the bytes in the bucket, in hex.
    pub stored_sha256: String,
    /// Bytes unpacked.
    pub plain_size: u64,
    /// Lines.
    pub parts: u64,
}
