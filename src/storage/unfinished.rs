//! What a run that was killed had begun to write.
//!
//! A bucket doesn't show such pieces, and drops them by its own rule. In a volume they are files
//! beside the key, named `<key>#<number>`, which no listing shows either.

use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::ObjectStore;

use super::key::{check_dir, join};
use super::{Location, StorageError};

/// Files that were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Location {
    /// Removes what was begun below `dir` and not touched since `before`, by the store's clock. A
    /// run that is under way writes such files too: `before` must lie further back than one takes.
    pub async fn sweep_unfinished(
        &self,
        dir: &str,
        before: Timestamp,
    ) -> Result<Unfinished, StorageError> {
        let mut swept = Unfinished::default();
        let Some(volume) = self.volume() else {
            return Ok(swept);
        };
        check_dir(dir)?;
        self.writable(dir)?;
        let below = join(&self.prefix, dir)?;
        let explain = |error| self.explain(&error, &format!("sweeping {dir}"));
        let mut files = volume.list(Some(&below));
        while let Some(file) = files.try_next().await.map_err(explain)? {
            let old = file.last_modified.timestamp() < before.as_second();
            if old && is_unfinished(file.location.as_ref()) {
                volume
                    .remove_staged(&file.location)
                    .await
                    .map_err(explain)?;
                swept.files += 1;
                swept.bytes += file.size;
            }
        }
        Ok(swept)
    }
}

fn is_unfinished(path: &str) -> bool {
    path.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use crate::api::storage_location::{LocalLocation, StorageLocationSpec};
    use crate::storage::{Location, open};

    use super::*;

    const LINE: &str = "lifeboat/v1/prod/iot/schedules/telemetry";

    #[tokio::test]
    async fn only_old_files_that_were_never_finished_go() {
        let dir = tempfile::tempdir().unwrap();
        let spec = StorageLocationSpec {
            local: Some(LocalLocation::default()),
            ..StorageLocationSpec::default()
        };
        let location = open(&spec, None, None, dir.path()).unwrap();
        let run = dir.path().join(LINE).join("data/20261120t101500z/run");
        fs::create_dir_all(&run).unwrap();
        let old = SystemTime::now() - Duration::from_secs(7200);
        for (name, time) in [
            ("000001.0001.lp.zst#1", old),
            ("000002.0001.lp.zst#12", old),
            ("000003.0001.lp.zst#1", SystemTime::now()),
            ("000004.0001.lp.zst", old),
            ("000005#x", old),
            ("000006#", old),
        ] {
            let file = File::create(run.join(name)).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(time).unwrap();
        }
        let before = Timestamp::now() - jiff::SignedDuration::from_hours(1);
        let swept = location.sweep_unfinished(LINE, before).await.unwrap();
        let expected = Unfinished {
            files: 2,
            bytes: 20,
        };
        assert_eq!(swept, expected);
        let mut left: Vec<String> = fs::read_dir(&run)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "000003.0001.lp.zst#1",
                "000004.0001.lp.zst",
                "000005#x",
                "000006#"
            ]
        );
        let forbidden = location.into_read_only();
        assert!(forbidden.sweep_unfinished(LINE, before).await.is_err());
        let bucket = Location::in_memory();
        let none = bucket.sweep_unfinished(LINE, before).await.unwrap();
        assert_eq!(none, Unfinished::default());
    }
}
