//! Reading a manifest that anybody may have written, and writing one that every reader takes.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::head::{FORMAT_VERSION, HEAD_LIMIT};
use super::parts::{INDEX_PATH, MAX_INDEX_LINE};
use super::{Chain, Commit, Identity, Manifest, ManifestError, VoidMarker, text};
use crate::api::common::{Codec, Totals};
use crate::schedule::{MAX_SCHEDULE_NAME, parse_slot_name};

/// The most parts of a backup.
pub const MAX_PARTS: u64 = 10_000_000;
/// The most files of a backup.
pub const MAX_FILES: u64 = 100_000_000;
/// The greatest number that every JSON reader keeps exact: bound of counts and byte sums.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;
/// The most bytes of one stored file: what S3 takes.
pub const MAX_FILE_SIZE: u64 = 5 << 40;
/// The most warnings of a manifest.
pub const MAX_WARNINGS: usize = 64;
/// The longest warning, in bytes.
pub const MAX_WARNING: usize = 512;

const MAX_SCOPE_VALUE: usize = 32 * 1024;

/// SHA-256 of bytes, in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Makes warnings fit into a manifest: printable, each cut at [`MAX_WARNING`] bytes, at most
/// [`MAX_WARNINGS`], the last of which says how many were left out.
pub fn fit_warnings(warnings: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut fitted: Vec<String> = warnings
        .into_iter()
        .map(|warning| {
            let plain: String = warning
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            if plain.len() <= MAX_WARNING {
                return plain;
            }
            let mut end = MAX_WARNING - '…'.len_utf8();
            while !plain.is_char_boundary(end) {
                end -= 1;
            }
            format!("{}…", &plain[..end])
        })
        .collect();
    if fitted.len() > MAX_WARNINGS {
        let left_out = fitted.len() - (MAX_WARNINGS - 1);
        fitted.truncate(MAX_WARNINGS - 1);
        fitted.push(format!("{left_out} more warnings are in the job's log"));
    }
    fitted
}

/// What is looked at first, whatever else the document holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    format_version: u64,
    void: Option<serde::de::IgnoredAny>,
}

impl Commit {
    /// Reads what lies at `key` (below the location's prefix), and checks all of it: nothing of
    /// an unchecked manifest is ever acted on. Fields that this version does not know are
    /// ignored; what a reader must know to restore comes with a new format version.
    pub fn parse(bytes: &[u8], key: &str) -> Result<Self, ManifestError> {
        if bytes.len() > HEAD_LIMIT {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let probe: Probe = from_json(bytes)?;
        if probe.format_version != u64::from(FORMAT_VERSION) {
            return Err(ManifestError::Version(probe.format_version));
        }
        let commit = if probe.void.is_some() {
            Self::Void(from_json(bytes)?)
        } else {
            Self::Backup(from_json(bytes)?)
        };
        let identity = match &commit {
            Self::Void(marker) => {
                marker.check()?;
                &marker.identity
            }
            Self::Backup(manifest) => {
                manifest.check()?;
                &manifest.identity
            }
        };
        let expected = identity.manifest_key();
        if key != expected {
            return Err(ManifestError::Misplaced {
                found: text::show(key),
                expected,
            });
        }
        Ok(commit)
    }

    /// The bytes to store: stable field order, two spaces of indentation, a newline at the end.
    /// Refuses what [`Commit::parse`] would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        match self {
            Self::Void(marker) => marker.to_bytes(),
            Self::Backup(manifest) => manifest.to_bytes(),
        }
    }
}

impl VoidMarker {
    /// The marker of a run that was given up. `why` is cut to what fits.
    pub fn new(identity: Identity, why: &str, time: jiff::Timestamp) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            identity,
            void: fit_warnings([why.to_owned()]).concat(),
            time,
        }
    }

    /// The bytes to store. Refuses what [`Commit::parse`] would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        to_json(self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_identity(&self.identity)?;
        require(text::is_printable(&self.void, MAX_WARNING), "void", || {
            format!("it must be printable and at most {MAX_WARNING} bytes")
        })
    }
}

impl Manifest {
    /// The bytes to store. Refuses what [`Commit::parse`] would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        if self.format_version != FORMAT_VERSION {
            return Err(ManifestError::Version(u64::from(self.format_version)));
        }
        self.check()?;
        to_json(self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_identity(&self.identity)?;
        require(text::is_uid(&self.run_id), "runId", || {
            uid_problem(&self.run_id)
        })?;
        self.check_source()?;
        self.check_times()?;
        check_chain(&self.chain, &self.identity.slot)?;
        require(self.encryption.is_none(), "encryption", || {
            "this Lifeboat can't decrypt; use a newer one".to_owned()
        })?;
        check_totals(&self.totals, self.codec)?;
        self.check_index()?;
        self.check_warnings()
    }

    fn check_source(&self) -> Result<(), ManifestError> {
        let source = &self.source;
        let word = |text: &str| format!("{} is not a word of letters and digits", text::show(text));
        require(text::is_word(&source.engine), "source.engine", || {
            word(&source.engine)
        })?;
        require(text::is_word(&source.method), "source.method", || {
            word(&source.method)
        })?;
        require(
            text::is_printable(&source.engine_version, 128),
            "source.engineVersion",
            || "it must be printable and at most 128 bytes".to_owned(),
        )?;
        require(
            !source.server_id.is_empty() && text::is_printable(&source.server_id, 1024),
            "source.serverId",
            || "it must be printable and 1 to 1024 bytes".to_owned(),
        )?;
        refuse(
            text::map_problem(&source.scope, 64, MAX_SCOPE_VALUE),
            "source.scope",
        )?;
        refuse(text::map_problem(&self.tools, 16, 128), "tools")
    }

    fn check_times(&self) -> Result<(), ManifestError> {
        require(
            self.start_time <= self.consistency_time,
            "consistencyTime",
            || "it is before startTime".to_owned(),
        )?;
        require(self.consistency_time <= self.end_time, "endTime", || {
            "it is before consistencyTime".to_owned()
        })
    }

    fn check_index(&self) -> Result<(), ManifestError> {
        let index = &self.index;
        require(index.path == INDEX_PATH, "index.path", || {
            format!("it is {}, not {INDEX_PATH}", text::show(&index.path))
        })?;
        require(
            text::is_sha256(&index.stored_sha256),
            "index.storedSha256",
            || "it is not 64 lower-case hex digits".to_owned(),
        )?;
        require(index.parts == self.totals.parts, "index.parts", || {
            format!(
                "{} parts, but the totals have {}",
                index.parts, self.totals.parts
            )
        })?;
        let most = index.parts * (MAX_INDEX_LINE as u64 + 1);
        require(index.plain_size <= most, "index.plainSize", || {
            format!(
                "{} bytes are more than {} parts can have",
                index.plain_size, index.parts
            )
        })?;
        // What can't be packed grows by a few bytes a block; an empty index still has a frame.
        let most = index.plain_size + index.plain_size / 128 + 4096;
        require(
            (1..=most).contains(&index.stored_size),
            "index.storedSize",
            || {
                format!(
                    "{} bytes can't hold {} plain bytes",
                    index.stored_size, index.plain_size
                )
            },
        )
    }

    fn check_warnings(&self) -> Result<(), ManifestError> {
        require(self.warnings.len() <= MAX_WARNINGS, "warnings", || {
            format!(
                "there are {}, at most {MAX_WARNINGS} may be",
                self.warnings.len()
            )
        })?;
        require(
            self.warnings
                .iter()
                .all(|warning| text::is_printable(warning, MAX_WARNING)),
            "warnings",
            || format!("each must be printable and at most {MAX_WARNING} bytes"),
        )
    }
}

fn check_identity(identity: &Identity) -> Result<(), ManifestError> {
    let not_dns =
        |name: &str| format!("{} is not a DNS name of the right length", text::show(name));
    require(
        text::is_label(&identity.cluster, text::MAX_LABEL),
        "identity.cluster",
        || not_dns(&identity.cluster),
    )?;
    require(
        text::is_uid(&identity.cluster_uid),
        "identity.clusterUid",
        || uid_problem(&identity.cluster_uid),
    )?;
    require(
        text::is_label(&identity.namespace, text::MAX_LABEL),
        "identity.namespace",
        || not_dns(&identity.namespace),
    )?;
    if let Some(schedule) = &identity.schedule {
        require(
            text::is_subdomain(schedule, MAX_SCHEDULE_NAME),
            "identity.schedule",
            || not_dns(schedule),
        )?;
    }
    require(
        text::is_subdomain(&identity.backup, text::MAX_SUBDOMAIN),
        "identity.backup",
        || not_dns(&identity.backup),
    )?;
    require(
        text::is_uid(&identity.backup_uid),
        "identity.backupUid",
        || uid_problem(&identity.backup_uid),
    )?;
    check_slot(&identity.slot, "identity.slot")
}

fn check_chain(chain: &Chain, slot: &str) -> Result<(), ManifestError> {
    let Chain::Incremental {
        base,
        previous,
        window_start,
        window_end,
    } = chain
    else {
        return Ok(());
    };
    check_slot(base, "chain.base")?;
    check_slot(previous, "chain.previous")?;
    require(base <= previous, "chain.previous", || {
        "it is older than chain.base".to_owned()
    })?;
    require(previous.as_str() < slot, "chain.previous", || {
        "it is not older than the backup's own slot".to_owned()
    })?;
    require(
        window_end.is_none_or(|end| *window_start < end),
        "chain.windowEnd",
        || "it is not after chain.windowStart".to_owned(),
    )
}

fn check_totals(totals: &Totals, codec: Codec) -> Result<(), ManifestError> {
    let bound = |value: u64, most: u64, field: &'static str| {
        require(value <= most, field, || {
            format!("{value} is more than the {most} that may be")
        })
    };
    bound(totals.parts, MAX_PARTS, "totals.parts")?;
    bound(totals.files, MAX_FILES, "totals.files")?;
    bound(totals.records, MAX_NUMBER, "totals.records")?;
    bound(totals.plain_bytes, MAX_NUMBER, "totals.plainBytes")?;
    bound(totals.stored_bytes, MAX_NUMBER, "totals.storedBytes")?;
    let empty = totals.files == 0;
    require(
        !empty || (totals.plain_bytes == 0 && totals.stored_bytes == 0 && totals.records == 0),
        "totals.files",
        || "there are records or bytes but no files".to_owned(),
    )?;
    require(empty || totals.parts > 0, "totals.parts", || {
        "there are files but no parts".to_owned()
    })?;
    require(
        codec != Codec::None || totals.plain_bytes == totals.stored_bytes,
        "totals.storedBytes",
        || "codec none stores bytes as they are, but plainBytes differs".to_owned(),
    )
}

fn check_slot(slot: &str, field: &'static str) -> Result<(), ManifestError> {
    require(parse_slot_name(slot).is_some(), field, || {
        format!(
            "{} is not a slot such as 20261120t101500z",
            text::show(slot)
        )
    })
}

fn uid_problem(uid: &str) -> String {
    format!(
        "{} is not 1 to 64 lower-case letters, digits and hyphens",
        text::show(uid)
    )
}

fn require(
    good: bool,
    field: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), ManifestError> {
    refuse((!good).then(problem), field)
}

fn refuse(problem: Option<String>, field: &'static str) -> Result<(), ManifestError> {
    problem.map_or(Ok(()), |problem| {
        Err(ManifestError::Field { field, problem })
    })
}

pub(super) fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ManifestError::Syntax(shorten(&error.to_string())))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| ManifestError::Syntax(error.to_string()))?;
    bytes.push(b'\n');
    if bytes.len() > HEAD_LIMIT {
        return Err(ManifestError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// One line of JSON, with its newline.
pub(super) fn to_json_line<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ManifestError> {
    let mut bytes =
        serde_json::to_vec(value).map_err(|error| ManifestError::Syntax(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// serde_json repeats unknown names and values of the document: bound them.
fn shorten(message: &str) -> String {
    message
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
