#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::samples::{full, part, slot, window};
use super::*;

/// A window with a part, so that all fields hold something.
fn sample() -> Manifest {
    let file = &part(0, 7).files[0];
    let mut manifest = window(15, 0, 10);
    manifest.totals = Totals {
        parts: 2,
        records: 7,
        files: 1,
        plain_bytes: file.plain_size,
        stored_bytes: file.stored_size,
    };
    manifest.index.parts = 2;
    manifest.index.plain_size = 500;
    manifest.index.stored_size = 200;
    manifest.warnings = vec!["two points of the same time were joined".to_owned()];
    manifest
}

fn marker() -> VoidMarker {
    VoidMarker::new(
        full(0).identity,
        "the node went away\nand the pod with it",
        super::super::samples::time(0),
    )
}

fn parse(value: &Value) -> Result<Commit, ManifestError> {
    let key = sample().identity.manifest_key();
    Commit::parse(&serde_json::to_vec(value).unwrap(), &key)
}

#[test]
fn what_is_written_is_read() {
    for manifest in [full(0), sample()] {
        let key = manifest.identity.manifest_key();
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'));
        let commit = Commit::parse(&bytes, &key).unwrap();
        assert_eq!(commit.to_bytes().unwrap(), bytes, "canonical");
        assert_eq!(commit, Commit::Backup(Box::new(manifest)));
    }
    let marker = marker();
    let bytes = marker.to_bytes().unwrap();
    let commit = Commit::parse(&bytes, &marker.identity.manifest_key()).unwrap();
    assert_eq!(commit.to_bytes().unwrap(), bytes);
    assert_eq!(commit, Commit::Void(marker));
}

#[test]
fn a_single_backup_has_a_line_of_its_own() {
    let mut manifest = full(0);
    manifest.identity.schedule = None;
    manifest.identity.backup = "before-upgrade".to_owned();
    let key = format!(
        "lifeboat/v1/prod/iot/backups/before-upgrade/manifests/{}.json",
        slot(0)
    );
    assert!(Commit::parse(&manifest.to_bytes().unwrap(), &key).is_ok());
}

#[test]
fn unknown_fields_are_ignored() {
    let mut value = serde_json::to_value(sample()).unwrap();
    for place in ["", "/identity", "/source", "/totals", "/chain", "/index"] {
        let object = value.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.insert("comment".to_owned(), json!({"added": "later"}));
    }
    assert_eq!(parse(&value), Ok(Commit::Backup(Box::new(sample()))));
}

#[test]
fn each_thing_that_is_refused() {
    let long = "a".repeat(64);
    let rows: Vec<(&str, Value, &str)> = vec![
        (
            "/formatVersion",
            json!(2),
            "format version 2; this Lifeboat reads version 1: use a newer",
        ),
        ("/formatVersion", json!(0), "format version 0"),
        (
            "/formatVersion",
            json!(5_000_000_000_u64),
            "format version 5000000000",
        ),
        (
            "/formatVersion",
            json!("1"),
            "not valid: invalid type: string",
        ),
        ("/formatVersion", json!(-1), "not valid"),
        ("/formatVersion", Value::Null, "not valid"),
        (
            "/void",
            json!("and a backup too"),
            "not valid: missing field `time`",
        ),
        ("/identity", json!("prod"), "not valid"),
        (
            "/identity/cluster",
            json!(""),
            "identity.cluster can't be: \"\" is not a DNS name",
        ),
        ("/identity/cluster", json!(".."), "identity.cluster"),
        ("/identity/cluster", json!("a/b"), "identity.cluster"),
        ("/identity/cluster", json!("a.b"), "identity.cluster"),
        ("/identity/cluster", json!("Prod"), "identity.cluster"),
        ("/identity/cluster", json!("-prod"), "identity.cluster"),
        ("/identity/cluster", json!(long), "identity.cluster"),
        ("/identity/cluster", json!("\u{1b}[2J"), "\"\\u{1b}[2J\""),
        (
            "/identity/clusterUid",
            json!(""),
            "identity.clusterUid can't be: \"\" is not 1 to 64",
        ),
        ("/identity/clusterUid", json!("a/b"), "identity.clusterUid"),
        ("/identity/namespace", json!("io t"), "identity.namespace"),
        (
            "/identity/schedule",
            json!("tele_metry"),
            "identity.schedule",
        ),
        (
            "/identity/schedule",
            json!("a".repeat(41)),
            "identity.schedule",
        ),
        ("/identity/schedule", json!("a..b"), "identity.schedule"),
        ("/identity/backup", json!("../x"), "identity.backup"),
        (
            "/identity/backup",
            json!("a".repeat(254)),
            "identity.backup",
        ),
        ("/identity/backupUid", json!("A"), "identity.backupUid"),
        (
            "/identity/slot",
            json!("today"),
            "identity.slot can't be: \"today\" is not a slot such as",
        ),
        ("/identity/slot", json!("20261131t101500z"), "identity.slot"),
        (
            "/identity/slot",
            json!("20261120t101600z"),
            "it was moved or edited",
        ),
        (
            "/identity/namespace",
            json!("other"),
            "lies at \"lifeboat/v1/prod/iot/",
        ),
        ("/runId", json!("../../run"), "runId"),
        ("/runId", json!(""), "runId"),
        ("/runId", json!("a".repeat(65)), "runId"),
        (
            "/source/engine",
            json!("influx db"),
            "source.engine can't be: \"influx db\" is not a word",
        ),
        ("/source/method", json!("$(id)"), "source.method"),
        (
            "/source/engineVersion",
            json!("1\n2"),
            "source.engineVersion",
        ),
        ("/source/serverId", json!(""), "source.serverId"),
        (
            "/source/serverId",
            json!("a".repeat(1025)),
            "source.serverId",
        ),
        (
            "/source/scope",
            json!({"": "x"}),
            "source.scope can't be: the entry \"\" is too long",
        ),
        (
            "/source/scope",
            json!({"x": "y".repeat(32 * 1024 + 1)}),
            "source.scope",
        ),
        (
            "/source/scope",
            (0..65)
                .map(|n| (n.to_string(), json!("")))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            "it has 65 entries, at most 64",
        ),
        ("/tools", json!({"lifeboat": 1}), "not valid"),
        ("/tools", json!({"a\u{7}": "1"}), "tools"),
        (
            "/consistencyTime",
            json!("2026-11-20T10:15:04Z"),
            "consistencyTime can't be: it is before startTime",
        ),
        ("/consistencyTime", json!("yesterday"), "not valid"),
        (
            "/endTime",
            json!("2026-11-20T10:15:09Z"),
            "endTime can't be: it is before consistencyTime",
        ),
        (
            "/chain/kind",
            json!("differential"),
            "not valid: unknown variant `differential`",
        ),
        ("/chain/base", json!("../full"), "chain.base"),
        (
            "/chain/base",
            json!(slot(11)),
            "chain.previous can't be: it is older than chain.base",
        ),
        (
            "/chain/previous",
            json!(slot(15)),
            "it is not older than the backup's own slot",
        ),
        (
            "/chain/previous",
            json!(slot(16)),
            "it is not older than the backup's own slot",
        ),
        ("/chain/previous", json!("x"), "chain.previous"),
        (
            "/chain/windowEnd",
            json!(0),
            "chain.windowEnd can't be: it is not after chain.windowStart",
        ),
        ("/chain/windowStart", json!(1.5), "not valid"),
        ("/codec", json!("lz4"), "not valid: unknown variant `lz4`"),
        (
            "/codec",
            json!("none"),
            "totals.storedBytes can't be: codec none stores bytes as they are",
        ),
        (
            "/encryption",
            json!({"scheme": "age"}),
            "encryption can't be: this Lifeboat can't decrypt",
        ),
        ("/encryption", json!(false), "encryption"),
        (
            "/totals/parts",
            json!(3),
            "index.parts can't be: 2 parts, but the totals have 3",
        ),
        ("/totals/parts", json!(MAX_PARTS + 1), "totals.parts"),
        ("/totals/files", json!(MAX_FILES + 1), "totals.files"),
        (
            "/totals/files",
            json!(0),
            "totals.files can't be: there are records or bytes but no files",
        ),
        ("/totals/records", json!(MAX_NUMBER + 1), "totals.records"),
        ("/totals/records", json!(-1), "not valid"),
        (
            "/totals/plainBytes",
            json!(MAX_NUMBER + 1),
            "totals.plainBytes",
        ),
        ("/totals/storedBytes", json!(1e30), "not valid"),
        (
            "/totals/storedBytes",
            json!(MAX_NUMBER + 1),
            "totals.storedBytes",
        ),
        (
            "/index/path",
            json!("../parts.jsonl.zst"),
            "index.path can't be: it is \"../parts.jsonl.zst\", not parts.jsonl.zst",
        ),
        ("/index/storedSha256", json!("00"), "index.storedSha256"),
        (
            "/index/storedSha256",
            json!("A".repeat(64)),
            "index.storedSha256",
        ),
        (
            "/index/plainSize",
            json!(2 * ((1_u64 << 20) + 1) + 1),
            "index.plainSize",
        ),
        ("/index/plainSize", json!(u64::MAX), "index.plainSize"),
        ("/index/storedSize", json!(1_u64 << 40), "index.storedSize"),
        ("/index/storedSize", json!(0), "index.storedSize"),
        (
            "/warnings",
            json!(vec![""; 65]),
            "warnings can't be: there are 65, at most 64",
        ),
        ("/warnings", json!(["\u{1b}]0;owned\u{7}"]), "warnings"),
        ("/warnings", json!(["x".repeat(513)]), "warnings"),
    ];
    for (place, wrong, message) in rows {
        let mut value = serde_json::to_value(sample()).unwrap();
        let (parent, field) = place.rsplit_once('/').unwrap();
        let object = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        object.insert(field.to_owned(), wrong.clone());
        let error = parse(&value).expect_err(place).to_string();
        assert!(error.contains(message), "{place} = {wrong}: {error}");
        assert!(error.len() < 600, "{place}: {error}");
        assert!(!error.contains(char::is_control), "{place}: {error}");
    }
}

#[test]
fn files_without_parts() {
    let mut manifest = sample();
    manifest.totals.parts = 0;
    manifest.index.parts = 0;
    let error = manifest.to_bytes().unwrap_err().to_string();
    assert!(error.contains("there are files but no parts"), "{error}");
}

#[test]
fn documents_that_are_no_manifest() {
    let key = sample().identity.manifest_key();
    let deep = "[".repeat(10_000);
    let nested = format!(
        "{{\"formatVersion\":1,\"encryption\":{}{}}}",
        "[".repeat(1000),
        "]".repeat(1000)
    );
    let doubled = String::from_utf8(sample().to_bytes().unwrap())
        .unwrap()
        .replacen("\"runId\"", "\"runId\": \"other\", \"runId\"", 1);
    let trailing = format!(
        "{}{{}}",
        String::from_utf8(sample().to_bytes().unwrap()).unwrap()
    );
    for (bytes, message) in [
        (&b""[..], "not valid: EOF"),
        (b"null", "not valid"),
        (b"[]", "not valid"),
        (b"{}", "missing field `formatVersion`"),
        (b"{\"formatVersion\":1}", "missing field"),
        (b"\xff\xfe", "not valid"),
        (deep.as_bytes(), "not valid"),
        (nested.as_bytes(), "recursion limit"),
        (doubled.as_bytes(), "duplicate field `runId`"),
        (trailing.as_bytes(), "trailing characters"),
        (
            &vec![b' '; HEAD_LIMIT + 1],
            "has 65537 bytes, more than the 65536",
        ),
    ] {
        let error = Commit::parse(bytes, &key).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(error.len() < 500, "{error}");
    }
}

#[test]
fn a_void_marker_is_checked_too() {
    let key = marker().identity.manifest_key();
    assert_eq!(marker().void, "the node went away and the pod with it");
    for (field, wrong, message) in [
        ("formatVersion", json!(2), "format version 2"),
        ("void", json!("a\nb"), "void can't be"),
        ("void", json!("x".repeat(513)), "void can't be"),
        ("void", json!(["x"]), "not valid"),
        ("identity", json!({}), "not valid"),
        ("time", json!(0), "not valid"),
    ] {
        let mut value = serde_json::to_value(marker()).unwrap();
        value[field] = wrong;
        let bytes = serde_json::to_vec(&value).unwrap();
        let error = Commit::parse(&bytes, &key).unwrap_err().to_string();
        assert!(error.contains(message), "{field}: {error}");
    }
}

#[test]
fn what_no_reader_takes_is_not_written() {
    let mut later = full(0);
    later.format_version = 2;
    assert_eq!(later.to_bytes(), Err(ManifestError::Version(2)));
    let mut large = full(0);
    for n in 0..3 {
        large.source.scope.insert(n.to_string(), "x".repeat(30_000));
    }
    assert!(matches!(large.to_bytes(), Err(ManifestError::TooLarge(_))));
}

#[test]
fn warnings_are_made_to_fit() {
    let many = fit_warnings((0..100).map(|n| n.to_string()));
    assert_eq!(many.len(), MAX_WARNINGS);
    assert_eq!(many[63], "37 more warnings are in the job's log");
    let odd = fit_warnings(["é".repeat(300), "a\r\nb".to_owned()]);
    assert!(
        odd[0].len() <= MAX_WARNING && odd[0].ends_with('…'),
        "{}",
        odd[0]
    );
    assert_eq!(odd[1], "a  b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let manifest = sample();
        let mut bytes = manifest.to_bytes().unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        // Whatever is still taken is as checked as anything: it can be written again.
        if let Ok(commit) = Commit::parse(&bytes, &manifest.identity.manifest_key()) {
            prop_assert!(commit.to_bytes().is_ok());
        }
    }

    #[test]
    fn cut_bytes_are_refused(at in 0usize..1200) {
        let manifest = sample();
        let bytes = manifest.to_bytes().unwrap();
        let end = at.min(bytes.len() - 2);
        prop_assert!(Commit::parse(&bytes[..end], &manifest.identity.manifest_key()).is_err());
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Commit::parse(&bytes, "lifeboat/v1/x").is_err());
    }
}
