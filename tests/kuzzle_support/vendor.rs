//! The vendor's own tool restores a backup.

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use lifeboat::engine::vendor_layout;
use serde_json::json;

use super::harness::{Lab, document};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn multielasticdump_loads_what_was_fetched() {
    let Some(lab) = Lab::take("vendor").await else {
        return;
    };
    let Ok(tool) = std::env::var("LIFEBOAT_TEST_ELASTICDUMP") else {
        eprintln!("skipped: LIFEBOAT_TEST_ELASTICDUMP names no multielasticdump");
        return;
    };
    let (index, empty) = (lab.index("measures"), lab.index("empty"));
    let body = json!({
        "settings": {"analysis": {"analyzer": {"own": {"type": "custom", "tokenizer": "keyword"}}}},
        "mappings": {"dynamic": false, "properties": {"word": {"type": "text", "analyzer": "own"}}},
        "aliases": {format!("@{index}"): {}},
    });
    lab.a.make(&index, body).await;
    lab.a
        .make(&empty, json!({"mappings": {"dynamic": false}}))
        .await;
    let mut documents = String::new();
    for n in 0..1000 {
        // The tool reads numbers as JavaScript does: it would lose larger ones, and the .0 of floats.
        let source =
            format!(r#"{{"n":{n},"half":{n}.5,"word":"é \"{n}\"","list":[null,true,{{}}]}}"#);
        documents += &document(&n.to_string(), Some("r").filter(|_| n % 3 == 0), &source);
    }
    lab.a.write(&index, &documents).await;
    let export = lab.export(lab.spec()).await;

    let directory = tempfile::tempdir().unwrap();
    let layout = vendor_layout("kuzzle").unwrap();
    let append = |name: &str, content: &[u8]| {
        let path = directory.path().join(format!("{name}.gz"));
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let mut packed = GzEncoder::new(file, Compression::default());
        packed.write_all(content).unwrap();
        packed.finish().unwrap();
    };
    for file in (layout.other_files)(&export.plan.structure).unwrap() {
        append(&file.name, &file.content);
    }
    for stored in &export.parts {
        append(&(layout.records_file)(&stored.part).unwrap(), &stored.file);
    }
    let done = Command::new("node")
        .arg(tool)
        .args([
            "--direction=load",
            "--fsCompress",
            "--ignoreAlias=false",
            "--limit=500",
        ])
        .arg("--includeType=settings,mapping,alias,data")
        .arg(format!("--input={}", directory.path().display()))
        .arg(format!("--output={}", lab.b.url))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{words}");
    lab.assert_same(&index, &index).await;
    lab.assert_same(&empty, &empty).await;
    assert_eq!(
        lab.a.definition(&index).await,
        lab.b.definition(&index).await,
        "{words}"
    );
    lab.clean().await;
}
