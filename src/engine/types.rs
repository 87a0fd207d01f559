//! What goes into and comes out of an engine.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::api::restore::{ConflictPolicy, Deletions, Remap, Verify};
pub use crate::manifest::chain::ChainState;
use crate::manifest::{Chain, Fingerprint, Part};

/// Who a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, by its own word.
    pub version: String,
    /// Its identity, where the protocol has one; else its normalised URL.
    pub server_id: String,
}

/// What an export is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// The start of the earliest read.
    pub consistency_time: jiff::Timestamp,
    /// The newest chain in the bucket.
    pub previous: Option<ChainState>,
}

/// Whether an export builds on others.
pub type ChainPlan = Chain;

/// What an export is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPlan {
    /// Who the server is.
    pub server: ServerInfo,
    /// `lineProtocol`, for example.
    pub method: String,
    /// What was asked for, in the engine's words; goes into the manifest.
    pub scope: BTreeMap<String, String>,
    /// Everything, or a window.
    pub chain: ChainPlan,
    /// Parts without records (`ddl`), which go into the index as they are.
    pub structure: Vec<Part>,
    /// Parts with records.
    pub parts: Vec<PartPlan>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// One part that is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartPlan {
    /// `measurement`, for example.
    pub kind: String,
    /// Its name, in the engine's words.
    pub name: BTreeMap<String, String>,
    /// What the import needs to know, in the engine's words.
    pub attributes: BTreeMap<String, String>,
    /// Written at the head of each of its files: what the vendor's tool needs to read it alone.
    pub header: Bytes,
    /// Suffix of its files before the codec's: `lp`, for example.
    pub extension: String,
    /// The name of its one file, where the vendor's tool takes the file under no other; such a file
    /// is never cut. None: the files are numbered.
    pub file_name: Option<String>,
}

/// What an export of a part found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartSummary {
    /// Records written.
    pub records: u64,
    /// Their fingerprint.
    pub fingerprint: Option<Fingerprint>,
    /// What the import needs to know and the plan could not say yet; added to the plan's.
    pub attributes: BTreeMap<String, String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// How an import is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportPlan {
    /// New names.
    pub remap: Vec<Remap>,
    /// What happens where the target already holds data.
    pub conflict_policy: ConflictPolicy,
    /// What becomes of records that the backup does not have. Mirror only goes with a full backup
    /// alone, and to engines that say that they can.
    pub deletions: Deletions,
    /// What is proven after the import.
    pub verify: Verify,
    /// For a drill: put before every database's name.
    pub drill_prefix: Option<String>,
}

/// What the target already holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing under that name, or the name itself is not there.
    Empty,
    /// Something; the text says what, in few words.
    Holds(String),
}

/// What an import of a part did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that the target took.
    pub written: u64,
    /// Records that the target refused.
    pub refused: u64,
    /// Records past the target's retention.
    pub expired: u64,
    /// Records that the backup does not hold, and that were deleted for it.
    pub deleted: u64,
    /// The first few refusals, in the server's words.
    pub examples: Vec<String>,
}

/// What a look-up of a part's records found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainsReport {
    /// Records that are there with the same content.
    pub found: u64,
    /// Records that are not there.
    pub missing: u64,
    /// Records that are there with other content.
    pub different: u64,
    /// Records past the target's retention.
    pub expired: u64,
    /// The first few that are missing or different, by key.
    pub examples: Vec<String>,
}
