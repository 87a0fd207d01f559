//! Failed Backups: objects in Kubernetes that have no data in the bucket.

use jiff::Timestamp;

/// A Backup that ended with `Failed=True`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBackup {
    /// The object's name.
    pub name: String,
    /// When it failed.
    pub finished: Timestamp,
    /// A person wants it kept.
    pub hold: bool,
}

/// How many failed Backups stay where `keepFailed` is not set.
pub const DEFAULT_KEEP_FAILED: u32 = 3;

/// The names of the failed Backups to delete: all but the newest `keep_failed`, and never one that
/// is held. Zero keeps none.
pub fn plan_failed(keep_failed: Option<u32>, failed: &[FailedBackup]) -> Vec<String> {
    let keep = keep_failed.unwrap_or(DEFAULT_KEEP_FAILED);
    let mut newest_first: Vec<&FailedBackup> = failed.iter().collect();
    newest_first.sort_by(|a, b| (b.finished, &b.name).cmp(&(a.finished, &a.name)));
    newest_first
        .into_iter()
        .skip(usize::try_from(keep).unwrap_or(usize::MAX))
        .filter(|backup| !backup.hold)
        .map(|backup| backup.name.clone())
        .collect()
}
