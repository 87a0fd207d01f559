//! Whose backup it is, and the keys that follow from it.

use serde::{Deserialize, Serialize};

use super::line::{ROOT_DIR, manifest_key};

/// Whose backup it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Name of the cluster, a required value of the installation.
    pub cluster: String,
    /// Uid of the cluster's kube-system namespace.
    pub cluster_uid: String,
    /// Namespace of the Backup.
    pub namespace: String,
    /// The BackupSchedule that made the Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Name of the Backup.
    pub backup: String,
    /// Uid of the Backup.
    pub backup_uid: String,
    /// Name of the slot, for example `20261120t101500z`. Sorts by time.
    pub slot: String,
}

impl Identity {
    /// `lifeboat/v1/<cluster>/<namespace>/<schedules|backups>/<name>`, below the location's prefix.
    pub fn line(&self) -> String {
        let (kind, name) = match &self.schedule {
            Some(schedule) => ("schedules", schedule),
            None => ("backups", &self.backup),
        };
        format!(
            "{ROOT_DIR}/{}/{}/{kind}/{name}",
            self.cluster, self.namespace
        )
    }

    /// Key of the slot's manifest: the commit.
    pub fn manifest_key(&self) -> String {
        manifest_key(&self.line(), &self.slot)
    }

    /// Key below which a run writes its files.
    pub fn data_dir(&self, run_id: &str) -> String {
        format!("{}/data/{}/{run_id}", self.line(), self.slot)
    }
}
