//! The built binary, on a store that is a local directory: no cluster, no server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat::api::common::{Codec, Compression};
use lifeboat::api::storage_location::{LocalLocation, StorageLocationSpec};
use lifeboat::manifest::{Chain, Identity, Manifest, Part, SourceInfo, part_stem};
use lifeboat::storage::{self, Location};
use lifeboat::transfer::{
    IndexWriter, PartFormat, PartWriter, RecordSink, Throttle, UploadBudget, catalog,
};

const FULL: &str = "20261120t100000z";
const WINDOW: &str = "20261120t101500z";
const HEADER: &str = "# DML\n# CONTEXT-DATABASE: telemetry\n";

/// A store with a full backup, a window on top of it, and a void slot.
struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    async fn new() -> Self {
        let store = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let location = store.location();
        backup(&location, FULL, Chain::Full, &["cpu", "disk"]).await;
        let window = Chain::Incremental {
            base: FULL.to_owned(),
            previous: FULL.to_owned(),
            window_start: 0,
            window_end: None,
        };
        backup(&location, WINDOW, window, &["cpu"]).await;
        let lost = identity("20261120t103000z");
        let now = "2026-11-20T10:31:00Z".parse().unwrap();
        catalog::void(&location, &lost, "its run was lost", now)
            .await
            .unwrap();
        store
    }

    fn location(&self) -> Location {
        let spec = StorageLocationSpec {
            local: Some(LocalLocation {
                claim_name: "test".to_owned(),
                prefix: String::new(),
            }),
            ..StorageLocationSpec::default()
        };
        storage::open(&spec, None, None, self.dir.path()).unwrap()
    }

    fn run(&self, line: &str) -> Output {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let dir = self.dir.path().to_str().unwrap();
        words.splice(1..1, ["--local", dir]);
        lifeboat(&words)
    }

    fn data_files(&self, slot: &str) -> Vec<PathBuf> {
        let run = self
            .dir
            .path()
            .join(identity(slot).data_dir("run-1"))
            .join("parts");
        let mut files: Vec<PathBuf> = std::fs::read_dir(run)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }
}

fn lifeboat(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(words)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env_remove("LIFEBOAT_LOG")
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn identity(slot: &str) -> Identity {
    Identity {
        cluster: "prod".to_owned(),
        cluster_uid: "0c2f".to_owned(),
        namespace: "iot".to_owned(),
        schedule: Some("telemetry".to_owned()),
        backup: format!("telemetry-{slot}"),
        backup_uid: "77aa".to_owned(),
        slot: slot.to_owned(),
    }
}

fn records(slot: &str, table: &str) -> String {
    use std::fmt::Write;
    (0..50).fold(String::new(), |mut text, n| {
        writeln!(text, "{table} slot=\"{slot}\" {n}").unwrap();
        text
    })
}

/// A backup of InfluxDB's rows, or of an archive that EMQX made.
async fn backup(location: &Location, slot: &str, chain: Chain, tables: &[&str]) {
    let archive = tables.iter().any(|table| table.ends_with(".tar.gz"));
    let engine = if archive { "emqx" } else { "influxdb" };
    let data_dir = identity(slot).data_dir("run-1");
    let budget = UploadBudget::new(2);
    let mut index = IndexWriter::create(location.clone(), &data_dir, budget.clone()).unwrap();
    for (number, table) in (1..).zip(tables) {
        let format = PartFormat {
            stem: part_stem(number),
            extension: "lp".to_owned(),
            file_name: table.ends_with(".tar.gz").then(|| (*table).to_owned()),
            header: HEADER.into(),
            compression: Compression {
                codec: Codec::Zstd,
                level: None,
            },
            max_file_bytes: PartFormat::MAX_FILE_BYTES,
        };
        let throttle = Throttle::unlimited();
        let mut writer = PartWriter::create(
            location.clone(),
            &data_dir,
            format,
            budget.clone(),
            throttle,
        );
        writer.write(records(slot, table).into()).await.unwrap();
        let part = Part {
            kind: "measurement".to_owned(),
            name: BTreeMap::from([("measurement".to_owned(), (*table).to_owned())]),
            records: 50,
            files: writer.finish().await.unwrap(),
            ..Part::default()
        };
        index.push(&part).await.unwrap();
    }
    let (index, totals) = index.finish().await.unwrap();
    let time = "2026-11-20T10:00:00Z".parse().unwrap();
    let manifest = Manifest {
        format_version: 1,
        identity: identity(slot),
        run_id: "run-1".to_owned(),
        source: SourceInfo {
            engine: engine.to_owned(),
            method: "lineProtocol".to_owned(),
            engine_version: "1.8.10".to_owned(),
            server_id: "http://primary:8086".to_owned(),
            scope: BTreeMap::new(),
        },
        tools: BTreeMap::new(),
        consistency_time: time,
        start_time: time,
        end_time: time,
        totals,
        chain,
        codec: Codec::Zstd,
        encryption: None,
        index,
        warnings: vec![],
    };
    catalog::commit(location, &manifest).await.unwrap();
}

fn unpack(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[tokio::test]
async fn list_shows_every_slot() {
    let store = Store::new().await;
    let output = store.run("list");
    assert!(output.status.success(), "{}", err(&output));
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("CLUSTER  NAMESPACE  SCHEDULE"),
        "{text}"
    );
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        words(1)[..6],
        [
            "prod",
            "iot",
            "telemetry",
            FULL,
            "Full",
            "2026-11-20T10:00:00Z"
        ]
    );
    assert_eq!(words(1)[6], "100");
    assert_eq!(*words(1).last().unwrap(), identity(FULL).manifest_key());
    assert_eq!(words(2)[3..5], [WINDOW, "Incremental"]);
    assert_eq!(words(3)[4], "Void");
    assert!(text.contains("its run was lost"), "{text}");
}

#[tokio::test]
async fn list_as_json_can_be_filtered() {
    let store = Store::new().await;
    let read = |line: &str| -> Vec<serde_json::Value> {
        let output = store.run(line);
        assert!(output.status.success(), "{}", err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let all = read("list -o json");
    assert_eq!(all.len(), 3);
    assert_eq!(all[0]["kind"], "Full");
    assert_eq!(all[0]["records"], 100);
    assert_eq!(all[0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        read("list -o json --schedule telemetry --namespace iot").len(),
        3
    );
    assert!(read("list -o json --schedule other").is_empty());
    assert!(read("list -o json --cluster other").is_empty());
}

#[tokio::test]
async fn verify_finds_what_is_damaged() {
    let store = Store::new().await;
    let output = store.run("verify --all");
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    assert!(
        out(&output).ends_with("2 whole, 0 damaged\n"),
        "{}",
        out(&output)
    );

    let file = store.data_files(FULL).remove(1);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(store.data_files(WINDOW).remove(0)).unwrap();
    let output = store.run("verify --all");
    assert_eq!(output.status.code(), Some(3));
    let text = out(&output);
    assert!(text.ends_with("0 whole, 2 damaged\n"), "{text}");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        text.lines()
            .any(|line| line.starts_with("damaged") && line.contains(name)),
        "{text}"
    );

    let one = store.run(&format!("verify {}", identity(WINDOW).manifest_key()));
    assert_eq!(one.status.code(), Some(3));
}

#[tokio::test]
async fn a_manifest_that_was_edited_is_damaged() {
    let store = Store::new().await;
    let key = identity(FULL).manifest_key();
    let path = store.dir.path().join(&key);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("\"namespace\": \"iot\"", "\"namespace\": \"iat\""),
    )
    .unwrap();
    let output = store.run("verify --all");
    assert_eq!(output.status.code(), Some(3));
    assert!(
        out(&output).contains(&format!("damaged  {key}")),
        "{}",
        out(&output)
    );
    assert!(out(&store.run("list")).contains("Invalid"));
}

#[tokio::test]
async fn fetch_lays_a_chain_out_for_the_vendors_tool() {
    let store = Store::new().await;
    let to = tempfile::tempdir().unwrap();
    let target = to.path().join("out");
    let line = format!(
        "fetch {} --to {}",
        identity(WINDOW).manifest_key(),
        target.display()
    );
    let output = store.run(&line);
    assert!(output.status.success(), "{}", err(&output));
    let mut names: Vec<String> = std::fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "0001-20261120t100000z-000001-0001.lp.gz",
            "0001-20261120t100000z-000002-0001.lp.gz",
            "0002-20261120t101500z-000001-0001.lp.gz",
            "contents.jsonl",
        ]
    );
    let expected = format!("{HEADER}{}", records(WINDOW, "cpu"));
    assert_eq!(unpack(&target.join(&names[2])), expected);
    let contents = std::fs::read_to_string(target.join("contents.jsonl")).unwrap();
    assert_eq!(contents.lines().count(), 3);
    assert!(contents.contains("\"measurement\":\"disk\""), "{contents}");

    // A second time: nothing is mixed up.
    let again = store.run(&line);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("not empty"), "{}", err(&again));
}

#[tokio::test]
async fn fetch_alone_and_plain() {
    let store = Store::new().await;
    let to = tempfile::tempdir().unwrap();
    let output = store.run(&format!(
        "fetch {} --only --format plain --to {}",
        identity(WINDOW).manifest_key(),
        to.path().display()
    ));
    assert!(output.status.success(), "{}", err(&output));
    let file = to.path().join("0001-20261120t101500z-000001-0001.lp");
    let expected = format!("{HEADER}{}", records(WINDOW, "cpu"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), expected);
}

#[tokio::test]
async fn fetch_gives_a_vendors_file_its_own_name_and_bytes() {
    let store = Store::new().await;
    let slot = "20261120t110000z";
    backup(&store.location(), slot, Chain::Full, &["own-name.tar.gz"]).await;
    let expected = format!("{HEADER}{}", records(slot, "own-name.tar.gz"));
    for format in ["vendor", "plain"] {
        let to = tempfile::tempdir().unwrap();
        let output = store.run(&format!(
            "fetch {} --format {format} --to {}",
            identity(slot).manifest_key(),
            to.path().display()
        ));
        assert!(output.status.success(), "{}", err(&output));
        let directory = to.path().join(format!("0001-{slot}-000001"));
        let found = std::fs::read_to_string(directory.join("own-name.tar.gz")).unwrap();
        assert_eq!(found, expected);
        assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn fetch_leaves_no_damaged_file() {
    let store = Store::new().await;
    let file = store.data_files(FULL).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    let to = tempfile::tempdir().unwrap();
    let output = store.run(&format!(
        "fetch {} --to {}",
        identity(FULL).manifest_key(),
        to.path().display()
    ));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("error: "), "{}", err(&output));
    let left: Vec<_> = std::fs::read_dir(to.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "contents.jsonl")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_goes_wrong_is_said_in_a_sentence() {
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &["list", "--local", "/nonexistent/store"],
            1,
            "it is not a directory",
        ),
        (
            &["list", "--bucket", "dr-exports"],
            1,
            "set AWS_ACCESS_KEY_ID",
        ),
        (&["list"], 2, "--bucket <NAME>"),
        (&["verify", "--bucket", "b"], 2, "required"),
        (&["export", "--order", "/nonexistent/order.json"], 1, ""),
        (&["frobnicate"], 2, "unrecognized subcommand"),
    ];
    for (words, code, part) in cases {
        let output = lifeboat(words);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{words:?}: {}",
            err(&output)
        );
        assert!(err(&output).contains(part), "{words:?}: {}", err(&output));
    }
    let empty = tempfile::tempdir().unwrap();
    let output = lifeboat(&["list", "--local", empty.path().to_str().unwrap()]);
    assert!(output.status.success());
    assert!(
        out(&output).starts_with("no backups in"),
        "{}",
        out(&output)
    );
}

#[test]
fn crds_are_printed() {
    let output = lifeboat(&["crds"]);
    assert!(output.status.success());
    let text = out(&output);
    assert_eq!(text.matches("kind: CustomResourceDefinition").count(), 5);
}

#[test]
fn help_has_examples() {
    for command in ["list", "verify", "fetch", "crds"] {
        let text = out(&lifeboat(&[command, "--help"]));
        assert!(text.contains("Example"), "{command}: {text}");
    }
}
