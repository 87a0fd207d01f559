//! Manifests for tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Chain, FORMAT_VERSION, Identity, IndexRef, Manifest, Part, PartFile, SourceInfo, sha256_hex,
};
use crate::api::common::{Codec, Totals};
use crate::schedule::{parse_slot_name, slot_name};

/// The line of all samples.
pub(crate) const LINE: &str = "lifeboat/v1/prod/iot/schedules/telemetry";

/// The slot `minute` minutes after ten o'clock.
pub(crate) fn slot(minute: i64) -> String {
    slot_name(time(minute * 60))
}

/// The time `second` seconds after ten o'clock.
pub(crate) fn time(second: i64) -> Timestamp {
    let ten = parse_slot_name("20261120t100000z").unwrap();
    Timestamp::from_second(ten.as_second() + second).unwrap()
}

/// An empty full backup of the slot at `minute`, consistent ten seconds later.
pub(crate) fn full(minute: i64) -> Manifest {
    let slot = slot(minute);
    let begin = minute * 60;
    Manifest {
        format_version: FORMAT_VERSION,
        identity: Identity {
            cluster: "prod".to_owned(),
            cluster_uid: "5c6f4ad4-0b5e-4d5e-9c36-0c1f2f0f8a11".to_owned(),
            namespace: "iot".to_owned(),
            schedule: Some("telemetry".to_owned()),
            backup: format!("telemetry-{slot}"),
            backup_uid: "9a3f".to_owned(),
            slot,
        },
        run_id: "run-1".to_owned(),
        source: SourceInfo {
            engine: "influxdb".to_owned(),
            method: "lineProtocol".to_owned(),
            engine_version: "1.8.10".to_owned(),
            server_id: "http://influxdb:8086".to_owned(),
            scope: BTreeMap::from([("databases".to_owned(), "[\"telemetry\"]".to_owned())]),
        },
        tools: BTreeMap::from([("lifeboat".to_owned(), "0.1.0".to_owned())]),
        consistency_time: time(begin + 10),
        start_time: time(begin + 5),
        end_time: time(begin + 20),
        totals: Totals::default(),
        chain: Chain::Full,
        codec: Codec::Zstd,
        encryption: None,
        index: IndexRef {
            path: "parts.jsonl.zst".to_owned(),
            stored_size: 13,
            stored_sha256: sha256_hex(b""),
            plain_size: 0,
            parts: 0,
        },
        warnings: Vec::new(),
    }
}

/// A window on top of the backup at `previous`, in the chain of the full one at `base`. It reaches
/// from two seconds before the consistency time of `previous` up to its own.
pub(crate) fn window(minute: i64, base: i64, previous: i64) -> Manifest {
    let nanos = |second: i64| time(second).as_second() * 1_000_000_000;
    Manifest {
        chain: Chain::Incremental {
            base: slot(base),
            previous: slot(previous),
            window_start: nanos(previous * 60 + 8),
            window_end: Some(nanos(minute * 60 + 10)),
        },
        ..full(minute)
    }
}

/// A part with one file, of the number `number`.
pub(crate) fn part(number: u64, records: u64) -> Part {
    Part {
        kind: "measurement".to_owned(),
        name: BTreeMap::from([
            ("database".to_owned(), "telemetry".to_owned()),
            ("measurement".to_owned(), format!("m\n{number}")),
        ]),
        records,
        fingerprint: None,
        attributes: BTreeMap::new(),
        files: vec![PartFile {
            path: format!("{}.0001.lp.zst", super::part_stem(number)),
            stored_size: 10,
            stored_sha256: sha256_hex(b"stored"),
            plain_size: 20,
            plain_sha256: sha256_hex(b"plain"),
        }],
    }
}
