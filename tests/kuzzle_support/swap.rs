//! Exact copies: another index is loaded while the old one serves, and takes its place at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lifeboat::api::restore::{ConflictPolicy, Deletions};
use lifeboat::engine::{ImportPlan, TargetState};
use reqwest::Method;
use serde_json::json;

use super::harness::{Export, Lab, Pieces, document, now, source};
use super::server::{Server, escape};

fn replace() -> ImportPlan {
    ImportPlan {
        conflict_policy: ConflictPolicy::Replace,
        ..ImportPlan::default()
    }
}

fn mirror() -> ImportPlan {
    ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        deletions: Deletions::Mirror,
        ..ImportPlan::default()
    }
}

/// So many documents of one generation in the test's collection, which is made where it is not there.
async fn fill(server: &Server, index: &str, generation: u64, documents: u64) {
    let alias = format!("@{index}");
    let (status, _) = server.say(Method::HEAD, &escape(&alias), "").await;
    if status == 404 {
        let body = json!({
            "mappings": {"properties": {"generation": {"type": "long"}}},
            "aliases": {&alias: {}},
        });
        server.make(index, body).await;
    }
    let mut lines = String::new();
    for n in 0..documents {
        let source = format!(r#"{{"generation":{generation},"n":{n}}}"#);
        lines += &document(&format!("{generation}-{n}"), None, &source);
    }
    server.write(&alias, &lines).await;
}

/// What a search of the collection sees: documents of each generation. None for an answer in which
/// not all shards had a part.
async fn seen(server: &Server, index: &str) -> Result<Vec<(u64, u64)>, String> {
    let path = format!("{}/_search", escape(&format!("@{index}")));
    let body =
        r#"{"size":0,"track_total_hits":true,"aggs":{"g":{"terms":{"field":"generation"}}}}"#;
    let (status, text) = server.say(Method::POST, &path, body).await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    if status != 200 || answer["_shards"]["failed"] != 0 {
        return Err(text);
    }
    let buckets = answer["aggregations"]["g"]["buckets"].as_array().unwrap();
    let number = |bucket: &serde_json::Value, key: &str| bucket[key].as_u64().unwrap();
    let mut all: Vec<(u64, u64)> = buckets
        .iter()
        .map(|bucket| (number(bucket, "key"), number(bucket, "doc_count")))
        .collect();
    all.sort_unstable();
    Ok(all)
}

/// Reads all the time until it is told to stop; how often. Every answer is one of `allowed`.
async fn read_on(
    url: String,
    index: String,
    allowed: Vec<Vec<(u64, u64)>>,
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
) {
    let server = Server::new(&url);
    while !stop.load(Ordering::Relaxed) {
        let found = seen(&server, &index).await.unwrap();
        assert!(allowed.contains(&found), "a reader saw {found:?}");
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_old_documents_or_the_new_and_nothing_else() {
    let Some(lab) = Lab::take("swap").await else {
        return;
    };
    let index = lab.index("one");
    fill(&lab.a, &index, 1, 3000).await;
    let first = lab.export(lab.spec()).await;
    lab.import(&first, &ImportPlan::default()).await;
    let mut before = (1, 3000);
    for (generation, plan) in [(2, mirror()), (3, mirror()), (4, replace())] {
        lab.a.delete(&lab.mark).await;
        let after = (generation, 2000 + generation * 1000);
        fill(&lab.a, &index, after.0, after.1).await;
        let export = lab.export(lab.spec()).await;
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let reader = tokio::spawn(read_on(
            lab.b.url.clone(),
            index.clone(),
            vec![vec![before], vec![after]],
            Arc::clone(&stop),
            Arc::clone(&reads),
        ));
        let moved = lab.import(&export, &plan).await;
        stop.store(true, Ordering::Relaxed);
        reader.await.unwrap();
        assert!(reads.load(Ordering::Relaxed) > 5);
        assert_eq!(seen(&lab.b, &index).await.unwrap(), [after]);
        moved.verify(&export).await.unwrap();
        let left = lab.b.indices(&lab.mark).await;
        assert_eq!(left.len(), 1, "{left:?}");
        let definition = lab.b.definition(&left[0]).await;
        assert_eq!(definition["aliases"], json!({format!("@{index}"): {}}));
        before = after;
    }

    // A replay that only writes over finds the index behind the alias.
    let export = lab.export(lab.spec()).await;
    let over = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    };
    let state = lab.target(&over).target_state(&export.parts[0].part).await;
    assert!(matches!(state.unwrap(), TargetState::Holds(text) if text.contains("6000")));
    lab.b
        .write(&format!("@{index}"), &document("other", None, "{}"))
        .await;
    lab.import(&export, &over).await;
    assert_eq!(lab.b.count(&format!("@{index}")).await, 6001);
    assert_eq!(lab.b.indices(&lab.mark).await.len(), 1);
    lab.clean().await;
}

/// Loads half of a backup; the engine that did.
async fn half(lab: &Lab, export: &Export) -> Box<dyn lifeboat::engine::Engine> {
    let engine = lab.target(&mirror());
    engine
        .prepare_import(&mirror(), &export.plan.structure)
        .await
        .unwrap();
    let stored = &export.parts[0];
    let mut cut = Pieces {
        rest: &stored.file[..stored.file.len() / 2],
        size: 10_000,
    };
    engine
        .import_part(&stored.part, &mut cut)
        .await
        .unwrap_err();
    engine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_half_way_leaves_the_old_index_and_nothing_else() {
    let Some(lab) = Lab::take("half").await else {
        return;
    };
    let index = lab.index("one");
    fill(&lab.b, &index, 1, 10).await;
    fill(&lab.a, &index, 2, 3000).await;
    let export = lab.export(lab.spec()).await;
    let engine = half(&lab, &export).await;
    assert_eq!(lab.b.indices(&lab.mark).await.len(), 2);
    engine.clean_up().await.unwrap();
    assert_eq!(lab.b.indices(&lab.mark).await, std::slice::from_ref(&index));
    assert_eq!(seen(&lab.b, &index).await.unwrap(), [(1, 10)]);

    // Killed before it could clean up; a Kuzzle that starts meanwhile gives the index an alias.
    drop(half(&lab, &export).await);
    let left = lab.b.indices(&lab.mark).await;
    let new = left.iter().find(|name| **name != index).unwrap();
    let actions = json!({"actions": [{"add": {"index": new, "alias": format!("@{new}")}}]});
    lab.b
        .ask(Method::POST, "_aliases", actions.to_string())
        .await;
    let mut spec = lab.spec();
    spec.elasticsearch.url.clone_from(&lab.b.url);
    let plan = source(spec).plan_export(&now()).await.unwrap();
    assert_eq!(plan.parts.len(), 1, "what is loaded is in no backup");
    assert_eq!(seen(&lab.b, &index).await.unwrap(), [(1, 10)]);

    let moved = lab.import(&export, &mirror()).await;
    moved.verify(&export).await.unwrap();
    assert_eq!(seen(&lab.b, &index).await.unwrap(), [(2, 3000)]);
    assert_eq!(lab.b.indices(&lab.mark).await.len(), 1);
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_without_an_alias_is_never_swapped() {
    let Some(lab) = Lab::take("plain").await else {
        return;
    };
    let (index, other) = (lab.index("one"), lab.index("other"));
    lab.a.make(&index, json!({})).await;
    lab.a
        .write(&index, &document("1", None, r#"{"n":1}"#))
        .await;
    lab.b.make(&index, json!({})).await;
    lab.b
        .write(&index, &document("2", None, r#"{"n":2}"#))
        .await;
    lab.b.make(&other, json!({})).await;
    let export = lab.export(lab.spec()).await;
    let error = lab
        .target(&mirror())
        .prepare_import(&mirror(), &export.plan.structure)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has no alias"), "{error}");
    assert_eq!(lab.b.count(&index).await, 1);
    let moved = lab.import(&export, &replace()).await;
    moved.verify(&export).await.unwrap();
    lab.assert_same(&index, &index).await;
    // What the backup does not have stays.
    assert_eq!(lab.b.indices(&lab.mark).await.len(), 2);
    lab.clean().await;
}
