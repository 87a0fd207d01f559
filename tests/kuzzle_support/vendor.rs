//! The vendor's own tool restores a backup.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::harness::{Lab, document};

/// Where a pod has its local store, below its root.
const STORE: &str = "var/lib/lifeboat/store";

/// Backs the test's indices up as a job pod does; the path of the manifest.
fn back_up(root: &Path, url: &str, mark: &str) -> String {
    let log = root.join("dev/termination-log");
    for directory in [root.join(STORE), root.join("dev")] {
        std::fs::create_dir_all(directory).unwrap();
    }
    std::fs::write(&log, "").unwrap();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    let order = json!({
        "task": "export",
        "identity": {
            "cluster": "prod", "clusterUid": "aa-1", "namespace": "iot", "schedule": "kuzzle",
            "backup": "kuzzle-20261120t100000z", "backupUid": "bb-1", "slot": "20261120t100000z",
        },
        "source": {"kuzzle": {"elasticsearch": {"url": url}, "include": [mark]}},
        "storage": {"local": {"claimName": "store"}},
        "compression": {"codec": "zstd"},
        "limits": {},
        "bounds": {"timeoutSeconds": 120, "notAfter": soon.to_string()},
    });
    let file = root.join("order.json");
    std::fs::write(&file, order.to_string()).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["export", "--order"])
        .arg(file)
        .arg("--root")
        .arg(root)
        .env("LIFEBOAT_RUN_ID", "run-1")
        .output()
        .unwrap();
    let outcome = std::fs::read_to_string(log).unwrap();
    assert!(done.status.success(), "{outcome}");
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    manifest_path(&outcome).unwrap()
}

fn manifest_path(outcome: &Value) -> Option<String> {
    match outcome {
        Value::String(text) if text.contains("/manifests/") => Some(text.clone()),
        Value::Object(entries) => entries.values().find_map(manifest_path),
        _ => None,
    }
}

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
    let pod = tempfile::tempdir().unwrap();
    let manifest = back_up(pod.path(), &lab.a.url, &lab.mark);
    let directory = pod.path().join("dump");
    let fetched = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["fetch", &manifest, "--local"])
        .arg(pod.path().join(STORE))
        .arg("--to")
        .arg(&directory)
        .output()
        .unwrap();
    assert!(
        fetched.status.success(),
        "{}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    let done = Command::new("node")
        .arg(tool)
        .args([
            "--direction=load",
            "--fsCompress",
            "--ignoreAlias=false",
            "--limit=500",
        ])
        .arg("--includeType=settings,mapping,alias,data")
        .arg(format!("--input={}", directory.display()))
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
