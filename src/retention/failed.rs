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

/// The names of the failed Backups to delete: all but the newest `keep_failed`, and never one that
/// is held. Without the rule all stay; zero keeps none.
pub fn plan_failed(keep_failed: Option<u32>, failed: &[FailedBackup]) -> Vec<String> {
    let Some(keep) = keep_failed else {
        return Vec::new();
    };
    let mut newest_first: Vec<&FailedBackup> = failed.iter().collect();
    newest_first.sort_by(|a, b| (b.finished, &b.name).cmp(&(a.finished, &a.name)));
    newest_first
        .into_iter()
        .skip(usize::try_from(keep).unwrap_or(usize::MAX))
        .filter(|backup| !backup.hold)
        .map(|backup| backup.name.clone())
        .collect()
}
