//! A line of backups, and what its keys say.

use super::text;
use super::text::{MAX_LABEL, MAX_SUBDOMAIN};
use crate::schedule::{MAX_SCHEDULE_NAME, parse_slot_name};

/// What all keys of this format version begin with, below the location's prefix.
pub const ROOT_DIR: &str = "lifeboat/v1";

/// The backups of one schedule, or one Backup that no schedule made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Name of the cluster.
    pub cluster: String,
    /// Namespace of the Backups.
    pub namespace: String,
    /// Whose they are.
    pub owner: Owner,
}

/// What made the backups of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The BackupSchedule of this name.
    Schedule(String),
    /// The Backup of this name alone.
    Backup(String),
}

impl Owner {
    /// `schedules` or `backups`.
    pub fn dir(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedules",
            Self::Backup(_) => "backups",
        }
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        match self {
            Self::Schedule(name) | Self::Backup(name) => name,
        }
    }
}

impl Line {
    /// `lifeboat/v1/<cluster>/<namespace>/<schedules|backups>/<name>`, below the location's prefix.
    pub fn path(&self) -> String {
        format!(
            "{ROOT_DIR}/{}/{}/{}/{}",
            self.cluster,
            self.namespace,
            self.owner.dir(),
            self.owner.name()
        )
    }

    /// Reads what [`Line::path`] wrote; nothing for anything else.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(ROOT_DIR)?.strip_prefix('/')?;
        let mut segments = rest.split('/');
        let (cluster, namespace) = (segments.next()?, segments.next()?);
        let (kind, name) = (segments.next()?, segments.next()?);
        let named = text::is_label(cluster, MAX_LABEL) && text::is_label(namespace, MAX_LABEL);
        if !named || segments.next().is_some() {
            return None;
        }
        let owner = match kind {
            "schedules" if text::is_subdomain(name, MAX_SCHEDULE_NAME) => {
                Owner::Schedule(name.to_owned())
            }
            "backups" if text::is_subdomain(name, MAX_SUBDOMAIN) => Owner::Backup(name.to_owned()),
            _ => return None,
        };
        Some(Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            owner,
        })
    }
}

/// Key of the manifest of `slot` in the line at `line`.
pub fn manifest_key(line: &str, slot: &str) -> String {
    format!("{line}/manifests/{slot}.json")
}

/// The line and the slot of a manifest's key; nothing for any other key.
pub fn parse_manifest_key(key: &str) -> Option<(Line, String)> {
    let (dir, file) = key.rsplit_once('/')?;
    let line = Line::parse(dir.strip_suffix("/manifests")?)?;
    let slot = file.strip_suffix(".json")?;
    parse_slot_name(slot)?;
    Some((line, slot.to_owned()))
}

/// The slot and the run id of a data file's key in the line at `line`; nothing for any other key.
pub fn parse_data_key<'a>(line: &str, key: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = key.strip_prefix(line)?.strip_prefix("/data/")?;
    let mut segments = rest.splitn(3, '/');
    let (slot, run) = (segments.next()?, segments.next()?);
    let file = segments.next()?;
    parse_slot_name(slot)?;
    (text::is_uid(run) && !file.is_empty()).then_some((slot, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_round_and_nothing_else_is_taken() {
        let long = format!("lifeboat/v1/prod/iot/schedules/{}", "a".repeat(41));
        for (path, good) in [
            ("lifeboat/v1/prod/iot/schedules/telemetry", true),
            ("lifeboat/v1/prod/iot/backups/before.upgrade-1", true),
            ("lifeboat/v1/prod/iot/restores/telemetry", false),
            ("lifeboat/v1/prod/iot/schedules/telemetry/manifests", false),
            ("lifeboat/v1/prod/iot/schedules", false),
            ("lifeboat/v1/prod/iot/schedules/..", false),
            ("lifeboat/v1/prod/iot/schedules/", false),
            ("lifeboat/v1/../iot/schedules/telemetry", false),
            ("lifeboat/v1/prod/IOT/schedules/telemetry", false),
            ("lifeboat/v1prod/iot/schedules/telemetry", false),
            ("lifeboat/v2/prod/iot/schedules/telemetry", false),
            (long.as_str(), false),
        ] {
            let parsed = Line::parse(path);
            assert_eq!(parsed.is_some(), good, "{path}");
            assert!(parsed.is_none_or(|line| line.path() == path), "{path}");
        }
    }

    #[test]
    fn manifest_keys() {
        let line = "lifeboat/v1/prod/iot/schedules/telemetry";
        for (key, slot) in [
            (
                manifest_key(line, "20261120t101500z"),
                Some("20261120t101500z"),
            ),
            (manifest_key(line, "20261320t101500z"), None),
            (manifest_key(line, "latest"), None),
            (format!("{line}/manifests/20261120t101500z"), None),
            (format!("{line}/data/20261120t101500z.json"), None),
            (format!("{line}/manifests/x/20261120t101500z.json"), None),
            ("20261120t101500z.json".to_owned(), None),
        ] {
            let parsed = parse_manifest_key(&key).map(|(_, slot)| slot);
            assert_eq!(parsed.as_deref(), slot, "{key}");
        }
    }

    #[test]
    fn data_keys() {
        let line = "lifeboat/v1/prod/iot/schedules/telemetry";
        for (rest, found) in [
            (
                "/data/20261120t101500z/run-1/parts.jsonl.zst",
                Some(("20261120t101500z", "run-1")),
            ),
            (
                "/data/20261120t101500z/run-1/parts/0/1.lp",
                Some(("20261120t101500z", "run-1")),
            ),
            ("/data/20261120t101500z/run-1", None),
            ("/data/20261120t101500z/RUN/x", None),
            ("/data/today/run-1/x", None),
            ("/manifests/20261120t101500z/run-1/x", None),
            ("-2/data/20261120t101500z/run-1/x", None),
        ] {
            let key = format!("{line}{rest}");
            assert_eq!(parse_data_key(line, &key), found, "{rest}");
        }
    }
}
