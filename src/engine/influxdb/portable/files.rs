//! The files of a portable backup beside those of the shards, as `influxd backup -portable` writes
//! them. Vendor source: `cmd/influxd/backup_util`.

use serde::{Deserialize, Serialize};

/// `<UTC>.manifest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listing {
    /// The file with the metadata.
    pub(super) meta: MetaFile,
    /// Enterprise: whether only some was asked for.
    #[serde(default)]
    pub(super) limited: bool,
    /// The shards' files. The vendor writes null where there are none.
    pub(super) files: Option<Vec<ShardFile>>,
}

/// The file with the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaFile {
    /// `<UTC>.meta`
    pub(super) file_name: String,
    /// Bytes of the metadata in it.
    pub(super) size: u64,
}

/// The file of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShardFile {
    /// The shard's database.
    pub(super) database: String,
    /// Its retention policy.
    pub(super) policy: String,
    /// Its number.
    #[serde(rename = "shardID")]
    pub(super) shard_id: u64,
    /// `<UTC>.s<number>.tar.gz`
    pub(super) file_name: String,
    /// Bytes before packing.
    pub(super) size: u64,
    /// Always 0 on OSS.
    pub(super) last_modified: i64,
}

/// The beginning of all names of a backup: its time in UTC.
pub(super) fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The name of a shard's file.
pub(super) fn shard_file(stamp: &str, id: u64) -> String {
    format!("{stamp}.s{id}.tar.gz")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let time = "2006-01-02T15:04:05.678Z".parse().unwrap();
        assert_eq!(shard_file(&stamp(time), 4), "20060102T150405Z.s4.tar.gz");
    }

    /// From the real `influxd backup -portable` 1.7.11.
    #[test]
    fn the_vendors_own_listing_is_read() {
        let text = r#"{"meta": {"fileName": "20261121T180836Z.meta", "size": 120}, "limited": false,
            "files": [{"database": "one", "policy": "autogen", "shardID": 1, "fileName":
            "20261121T180836Z.s1.tar.gz", "size": 2048, "lastModified": 0}]}"#;
        let listing: Listing = serde_json::from_str(text).unwrap();
        assert_eq!(listing.files.as_ref().unwrap()[0].shard_id, 1);
        let again: Listing =
            serde_json::from_str(&serde_json::to_string(&listing).unwrap()).unwrap();
        assert_eq!(again, listing);
        let none =
            r#"{"meta": {"fileName": "x.meta", "size": 20}, "limited": false, "files": null}"#;
        assert_eq!(serde_json::from_str::<Listing>(none).unwrap().files, None);
    }
}
