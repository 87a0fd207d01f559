//! The Kuzzle engine against real Elasticsearch servers.
//!
//! Runs when `LIFEBOAT_TEST_KUZZLE_A` and `LIFEBOAT_TEST_KUZZLE_B` hold the URLs of two servers that
//! may be filled and emptied; with `LIFEBOAT_TEST_ELASTICDUMP`, the path of the vendor's
//! `multielasticdump`, that restores a backup too. What is compared is asked of the servers by code of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::match_bool,
    missing_docs,
    unreachable_pub
)]

#[path = "kuzzle_support/harness.rs"]
mod harness;
#[path = "kuzzle_support/hostile.rs"]
mod hostile;
#[path = "pod_support/pod.rs"]
mod pod;
#[path = "kuzzle_support/policies.rs"]
mod policies;
#[path = "kuzzle_support/server.rs"]
mod server;
#[path = "kuzzle_support/swap.rs"]
mod swap;
#[path = "kuzzle_support/traps.rs"]
mod traps;
#[path = "kuzzle_support/vendor.rs"]
mod vendor;

use harness::{Lab, document};
use lifeboat::api::engines::KuzzleSource;
use lifeboat::engine::ImportPlan;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_indices_go_round_equal() {
    let Some(lab) = Lab::take("round").await else {
        return;
    };
    let indices = hostile::fill(&lab).await;
    // As a person writes it, over several lines.
    let path = format!("{}/_doc/pretty?refresh=true", server::escape(&indices[3]));
    lab.a
        .ask(
            Method::PUT,
            &path,
            "{\r\n  \"a\" : 1.50,\n  \"b\" : \"x\\ny\"\n}\n",
        )
        .await;
    let export = lab.export(lab.spec()).await;
    assert_eq!(export.parts.len(), indices.len());
    assert_eq!(export.plan.warnings, Vec::<String>::new());
    let moved = lab.import(&export, &ImportPlan::default()).await;
    assert_eq!(moved.report.refused, 0, "{:?}", moved.report.examples);
    let mut documents = 0;
    for index in &indices {
        lab.assert_same(index, index).await;
        assert_eq!(lab.a.definition(index).await, lab.b.definition(index).await);
        documents += lab.a.count(index).await;
    }
    assert_eq!(export.records(), documents);
    moved.verify(&export).await.unwrap();
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_index_is_read_in_slices_and_its_settings_come_back() {
    let Some(lab) = Lab::take("large").await else {
        return;
    };
    let index = lab.index("large");
    let settings = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "3s"}});
    lab.a.make(&index, settings).await;
    for batch in 0..5 {
        let mut documents = String::new();
        for n in batch * 10_000..(batch + 1) * 10_000 {
            documents += &document(&n.to_string(), None, &format!(r#"{{"n":{n}}}"#));
        }
        lab.a.write(&index, &documents).await;
    }
    for slices in [1, 3, 8] {
        let spec = KuzzleSource {
            slices: Some(slices),
            ..lab.spec()
        };
        let export = lab.export(spec).await;
        assert_eq!(export.records(), 50_000);
    }
    let export = lab.export(lab.spec()).await;
    let moved = lab.import(&export, &ImportPlan::default()).await;
    assert_eq!(moved.report.written, 50_000);
    assert_eq!(
        lab.a.definition(&index).await,
        lab.b.definition(&index).await
    );
    moved.verify(&export).await.unwrap();
    // A load that was killed leaves its settings; the next run's end puts them back.
    let left = json!({"index.number_of_replicas": "0", "index.refresh_interval": "-1"});
    let path = format!("{}/_settings", server::escape(&index));
    lab.b.ask(Method::PUT, &path, left.to_string()).await;
    moved
        .engine
        .finish_import(&ImportPlan::default(), &export.plan.structure)
        .await
        .unwrap();
    assert_eq!(
        lab.a.definition(&index).await,
        lab.b.definition(&index).await
    );
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_ten_megabytes() {
    let Some(lab) = Lab::take("huge").await else {
        return;
    };
    let index = lab.index("huge");
    lab.a
        .make(&index, json!({"mappings": {"dynamic": false}}))
        .await;
    for n in 0..4 {
        let text: String = (0..10_000_000u32)
            .map(|at| char::from(b'a' + ((at ^ n) % 23) as u8))
            .collect();
        lab.a
            .write(
                &index,
                &document(
                    &n.to_string(),
                    None,
                    &format!(r#"{{"n":{n},"text":"{text}"}}"#),
                ),
            )
            .await;
        lab.a
            .write(
                &index,
                &document(&format!("small{n}"), None, &format!(r#"{{"n":{n}}}"#)),
            )
            .await;
    }
    let export = lab.export(lab.spec()).await;
    assert_eq!(export.records(), 8);
    let moved = lab.import(&export, &ImportPlan::default()).await;
    assert_eq!(moved.report.written, 8);
    moved.verify(&export).await.unwrap();
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_indices() {
    let Some(lab) = Lab::take("many").await else {
        return;
    };
    for n in 0..300 {
        let index = lab.index(&format!("c{n:03}"));
        lab.a
            .make(&index, json!({"aliases": {format!("@{index}"): {}}}))
            .await;
        lab.a
            .write(&index, &document("one", None, &format!(r#"{{"n":{n}}}"#)))
            .await;
    }
    let export = lab.export(lab.spec()).await;
    assert_eq!((export.parts.len(), export.records()), (300, 300));
    let moved = lab.import(&export, &ImportPlan::default()).await;
    moved.verify(&export).await.unwrap();
    assert_eq!(
        lab.b.indices(&lab.mark).await,
        lab.a.indices(&lab.mark).await
    );
    lab.clean().await;
}
