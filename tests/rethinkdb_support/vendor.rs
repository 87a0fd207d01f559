//! Both ways with the vendor's client tools, which know nothing of Lifeboat: they restore what
//! `lifeboat fetch` packed, and their own dump holds the same and is restored by Lifeboat.
//!
//! Runs when `LIFEBOAT_TEST_RETHINKDB_TOOLS` is the directory with `rethinkdb-dump` and
//! `rethinkdb-restore` (PyPI, `rethinkdb` 2.4.10.post1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat::api::common::{Codec, Compression};
use lifeboat::api::engines::RethinkDbTarget;
use lifeboat::api::storage_location::{LocalLocation, StorageLocationSpec};
use lifeboat::manifest::{Chain, FORMAT_VERSION, Identity, Manifest, SourceInfo, part_stem};
use lifeboat::storage;
use lifeboat::transfer::{
    IndexWriter, PartFormat, PartWriter, RecordSink, Throttle, UploadBudget, catalog,
};
use serde_json::{Value, json};

use super::lab::{Export, Lab, databases, picture};
use super::{corpus, driver, pod};

fn tools() -> Option<PathBuf> {
    let tools = std::env::var_os("LIFEBOAT_TEST_RETHINKDB_TOOLS");
    if tools.is_none() {
        eprintln!("skipped: LIFEBOAT_TEST_RETHINKDB_TOOLS names no vendor's tools");
    }
    tools.map(PathBuf::from)
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success(), "{command:?}: {said}");
    said
}

/// Stores an export as a backup in a directory; the manifest's key.
async fn store(export: &Export, directory: &Path) -> String {
    let spec = StorageLocationSpec {
        local: Some(LocalLocation {
            claim_name: "test".to_owned(),
            prefix: String::new(),
        }),
        ..StorageLocationSpec::default()
    };
    let location = storage::open(&spec, None, None, directory).unwrap();
    let identity = Identity {
        cluster: "prod".to_owned(),
        cluster_uid: "0c2f".to_owned(),
        namespace: "iot".to_owned(),
        schedule: Some("shop".to_owned()),
        backup: "shop-20261120t100000z".to_owned(),
        backup_uid: "77aa".to_owned(),
        slot: "20261120t100000z".to_owned(),
    };
    let data_dir = identity.data_dir("run-1");
    let budget = UploadBudget::new(2);
    let mut index = IndexWriter::create(location.clone(), &data_dir, budget.clone()).unwrap();
    for part in &export.plan.structure {
        index.push(part).await.unwrap();
    }
    for (number, stored) in (1..).zip(&export.parts) {
        let format = PartFormat {
            stem: part_stem(number),
            file_name: None,
            extension: "json".to_owned(),
            header: bytes::Bytes::new(),
            compression: Compression::default(),
            // Several files a table.
            max_file_bytes: 64 * 1024,
        };
        let mut writer = PartWriter::create(
            location.clone(),
            &data_dir,
            format,
            budget.clone(),
            Throttle::unlimited(),
        );
        for line in stored.file.split_inclusive(|byte| *byte == b'\n') {
            let line = bytes::Bytes::copy_from_slice(line);
            writer.write(line).await.unwrap();
        }
        let mut part = stored.part.clone();
        part.files = writer.finish().await.unwrap();
        index.push(&part).await.unwrap();
    }
    let (index, totals) = index.finish().await.unwrap();
    let time: jiff::Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        identity: identity.clone(),
        run_id: "run-1".to_owned(),
        source: SourceInfo {
            engine: "rethinkdb".to_owned(),
            method: "native".to_owned(),
            engine_version: export.plan.server.version.clone(),
            server_id: export.plan.server.server_id.clone(),
            scope: BTreeMap::new(),
        },
        tools: BTreeMap::new(),
        consistency_time: time,
        start_time: time,
        end_time: time,
        totals,
        chain: Chain::Full,
        codec: Codec::Zstd,
        encryption: None,
        index,
        warnings: Vec::new(),
    };
    catalog::commit(&location, &manifest).await.unwrap();
    identity.manifest_key()
}

/// What an archive holds, by the names of its files below its own directory.
fn unpack(archive: &Path) -> BTreeMap<String, Value> {
    let directory = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .arg("--force-local")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(directory.path()));
    let list = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let tops = list(directory.path());
    assert_eq!(tops.len(), 1, "{tops:?}");
    let mut files = BTreeMap::new();
    for file in list(&tops[0]).iter().flat_map(|path| list(path)) {
        let name = file.strip_prefix(&tops[0]).unwrap().to_str().unwrap();
        let text = std::fs::read(&file).unwrap();
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        if let Some(info) = value.as_object_mut() {
            info.remove("doc_count_estimates");
        }
        files.insert(name.to_owned(), value);
    }
    files
}

/// Row by row, so that a difference can be read.
fn assert_same(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    assert!(ours.keys().eq(theirs.keys()), "{ours:?} {theirs:?}");
    for (name, file) in ours {
        match (file.as_array(), theirs[name].as_array()) {
            (Some(ours), Some(theirs)) => {
                assert_eq!(ours.len(), theirs.len(), "{name}");
                for (one, other) in ours.iter().zip(theirs) {
                    assert_eq!(one, other, "{name}");
                }
            }
            _ => assert_eq!(file, &theirs[name], "{name}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_tools_and_lifeboat_hold_the_same() {
    let (Some(lab), Some(tools)) = (Lab::take().await, tools()) else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    // The archive has no place for a database without tables, and the vendor's restore forgets the
    // write hook of a table without indexes.
    a.must(r#"[58,["nothing-in-it"]]"#).await;
    let hookless = format!("[189,[{},null]]", driver::table("shop", "empty"));
    a.must(&hookless).await;

    // Lifeboat's backup, packed by `lifeboat fetch`.
    let bucket = tempfile::tempdir().unwrap();
    // Of tables that are cut into ranges, which are done in any order.
    let mut exported = lab.export_in_ranges(2).await;
    assert!(exported.parts.len() > 40, "{}", exported.parts.len());
    exported.parts.reverse();
    let key = store(&exported, bucket.path()).await;
    let to = tempfile::tempdir().unwrap();
    run(Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .arg("fetch")
        .arg("--local")
        .arg(bucket.path())
        .arg("--to")
        .arg(to.path())
        .arg(&key));
    let ours = to.path().join("rethinkdb_dump_2026-11-20T10-00-00.tar.gz");

    // The vendor's dump of the same cluster.
    let theirs = to.path().join("theirs.tar.gz");
    run(Command::new(tools.join("rethinkdb-dump"))
        .args(["-c", &lab.a, "-f"])
        .arg(&theirs));
    assert_same(&unpack(&ours), &unpack(&theirs));

    // The vendor's restore of Lifeboat's, into an empty cluster.
    run(Command::new(tools.join("rethinkdb-restore"))
        .arg(&ours)
        .args(["-c", &lab.b]));
    assert_eq!(picture(&mut b).await, picture(&mut a).await);

    // And Lifeboat's replay over what the vendor's tool restored.
    for name in databases(&mut b).await {
        b.must(&format!(r#"[58,["{name}"]]"#)).await;
    }
    run(Command::new(tools.join("rethinkdb-restore"))
        .arg(&theirs)
        .args(["-c", &lab.b]));
    let exported = lab.export().await;
    let moved = lab
        .import(&exported, RethinkDbTarget::default(), &super::overwrite())
        .await;
    moved.verify_all(&exported).await;
    assert_eq!(picture(&mut b).await, picture(&mut a).await);

    // And Lifeboat's restore of the vendor's dump, and of its own archive as if it were one.
    let root = tempfile::tempdir().unwrap();
    let dumps = root.path().join(pod::STORE).join("dumps");
    std::fs::create_dir_all(&dumps).unwrap();
    let target = json!({"rethinkdb": {"url": format!("rethinkdb://{}", lab.b)}});
    for archive in [&theirs, &ours] {
        for name in databases(&mut b).await {
            b.must(&format!(r#"[58,["{name}"]]"#)).await;
        }
        std::fs::copy(archive, dumps.join("dump.tar.gz")).unwrap();
        let path = "dumps/dump.tar.gz";
        let (outcome, success) = pod::restore_dump(root.path(), path, &target, &json!({}));
        assert!(success, "{outcome}");
        assert_eq!(outcome["totals"]["records"], exported.records());
        assert_eq!(picture(&mut b).await, picture(&mut a).await);
    }
}
