//! Both ways with the vendor's own tool: it restores a backup, and its dump is restored.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::harness::{Lab, document};
use super::pod::{STORE, pod, restore_dump};

/// Backs the test's indices up; the path of the manifest.
fn back_up(root: &Path, url: &str, mark: &str) -> String {
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
    });
    let (outcome, success) = pod(root, order);
    assert!(success, "{outcome}");
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

/// Dumps the test's indices of A.
fn dump(tool: &str, lab: &Lab, directory: &Path, more: &[&str]) {
    std::fs::create_dir_all(directory).unwrap();
    let done = Command::new("node")
        .arg(tool)
        .args(["--direction=dump", "--limit=500"])
        .arg("--includeType=data,mapping,settings,analyzer,alias,template")
        .args(more)
        .arg(format!("--match=^[&%]{}", lab.mark))
        .arg(format!("--input={}", lab.a.url))
        .arg(format!("--output={}", directory.display()))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_multielasticdump_wrote_is_restored() {
    let Some(lab) = Lab::take("dumped").await else {
        return;
    };
    let Ok(tool) = std::env::var("LIFEBOAT_TEST_ELASTICDUMP") else {
        eprintln!("skipped: LIFEBOAT_TEST_ELASTICDUMP names no multielasticdump");
        return;
    };
    let collections = ["measures", "empty", "settings", "mapping", "alias"];
    let mut indices: Vec<String> = collections.map(|name| lab.index(name)).to_vec();
    indices.push(format!("%{}.users", lab.mark));
    for index in &indices {
        let body = json!({
            "settings": {"analysis": {"analyzer": {"own": {"type": "custom", "tokenizer": "keyword"}}}},
            "mappings": {"dynamic": false, "properties": {"word": {"type": "text", "analyzer": "own"}}},
            "aliases": {format!("@{index}"): {}},
        });
        lab.a.make(index, body).await;
    }
    for (index, count) in indices.iter().zip([1200, 0, 3, 1, 2, 7]) {
        let mut documents = String::new();
        for n in 0..count {
            // The tool reads numbers as JavaScript does.
            let source =
                format!(r#"{{"n":{n},"half":{n}.5,"word":"é \"{n}\"","list":[null,{{}}]}}"#);
            documents += &document(&n.to_string(), Some("r").filter(|_| n % 3 == 0), &source);
        }
        if count > 0 {
            lab.a.write(index, &documents).await;
        }
    }
    let target = json!({"kuzzle": {"elasticsearch": {"url": lab.b.url}}});
    let root = tempfile::tempdir().unwrap();
    let dumps = root.path().join(STORE).join("dumps");
    for (name, more) in [("plain", &[][..]), ("packed", &["--fsCompress"])] {
        lab.b.delete(&lab.mark).await;
        dump(&tool, &lab, &dumps.join(name), more);
        let path = format!("dumps/{name}");
        let (outcome, success) = restore_dump(root.path(), &path, &target, &json!({}));
        assert!(success, "{outcome}");
        assert_eq!(outcome["totals"]["records"], 1213, "{outcome}");
        assert_eq!(outcome["warnings"], json!([]), "{outcome}");
        for index in &indices {
            lab.assert_same(index, index).await;
            assert_eq!(lab.a.definition(index).await, lab.b.definition(index).await);
        }
    }
    // Over what is there, which needs a word; then in part, which is told before it is touched.
    let over = json!({"conflictPolicy": "Overwrite", "confirm": lab.b.url, "verify": "Contains"});
    let (outcome, success) = restore_dump(root.path(), "dumps/plain", &target, &over);
    assert!(success, "{outcome}");
    let (outcome, success) = restore_dump(root.path(), "dumps/plain", &target, &json!({}));
    assert!(
        !success && outcome["reason"] == "TargetNotEmpty",
        "{outcome}"
    );
    let cut = dumps.join("packed").join(format!("{}.json.gz", indices[0]));
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    lab.b.delete(&lab.mark).await;
    let (outcome, success) = restore_dump(root.path(), "dumps/packed", &target, &json!({}));
    assert!(!success && outcome["reason"] == "DataCorrupt", "{outcome}");
    assert!(
        outcome["message"].as_str().unwrap().contains(&indices[0]),
        "{outcome}"
    );
    assert!(lab.b.indices(&lab.mark).await.is_empty());
    lab.clean().await;
}
