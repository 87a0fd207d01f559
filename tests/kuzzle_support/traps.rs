//! What makes other tools end well where nothing, or not all, was done.

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::KuzzleSource;
use lifeboat::api::restore::ConflictPolicy;
use lifeboat::engine::ImportPlan;
use lifeboat::transfer::{RecordSink, TransferError};
use reqwest::Method;
use serde_json::json;

use super::harness::{Lab, Memory, Pieces, document, now, source, target_at};
use super::server::escape;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_is_a_failure() {
    let Some(lab) = Lab::take("down").await else {
        return;
    };
    let index = lab.index("one");
    lab.a.make(&index, json!({})).await;
    lab.a.write(&index, &document("1", None, "{}")).await;
    let export = lab.export(lab.spec()).await;
    let plan = ImportPlan::default();
    let engine = target_at("http://127.0.0.1:1", &plan);
    for error in [
        engine.probe().await.unwrap_err(),
        engine
            .prepare_import(&plan, &export.plan.structure)
            .await
            .unwrap_err(),
        engine
            .import_part(&export.parts[0].part, &mut export.parts[0].reader())
            .await
            .unwrap_err(),
        engine.count_part(&export.parts[0].part).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), Reason::DatabaseUnreachable);
        assert!(error.retryable());
    }
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_documents_are_counted_and_named() {
    let Some(lab) = Lab::take("refused").await else {
        return;
    };
    let index = lab.index("one");
    lab.a
        .make(&index, json!({"mappings": {"dynamic": false}}))
        .await;
    let mut documents = String::new();
    for n in 0..5000 {
        let content = if n % 1000 == 7 {
            r#"{"n":"no number"}"#.to_owned()
        } else {
            format!(r#"{{"n":{n}}}"#)
        };
        documents += &document(&format!("d{n}"), None, &content);
    }
    lab.a.write(&index, &documents).await;
    let export = lab.export(lab.spec()).await;
    lab.b
        .make(
            &index,
            json!({"mappings": {"properties": {"n": {"type": "long"}}}}),
        )
        .await;
    let plan = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    };
    let moved = lab.import(&export, &plan).await;
    assert_eq!((moved.report.written, moved.report.refused), (4995, 5));
    assert_eq!(moved.report.examples.len(), 5);
    let first = &moved.report.examples[0];
    assert!(
        first.contains("document \"d") && first.contains("no number"),
        "{first}"
    );
    assert_eq!(lab.b.count(&index).await, 4995);

    // Fields of another type are told before anything is written.
    lab.a
        .ask(
            Method::PUT,
            &format!("{}/_mapping", escape(&index)),
            r#"{"properties":{"n":{"type":"keyword"}}}"#,
        )
        .await;
    let export = lab.export(lab.spec()).await;
    let error = lab
        .target(&plan)
        .prepare_import(&plan, &export.plan.structure)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("conflictPolicy Replace"),
        "{error}"
    );
    assert!(!error.retryable());
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_ends_too_early_is_a_bad_backup() {
    let Some(lab) = Lab::take("cut").await else {
        return;
    };
    let index = lab.index("one");
    lab.a.make(&index, json!({})).await;
    lab.a
        .write(&index, &document("1", None, r#"{"a":1}"#))
        .await;
    let export = lab.export(lab.spec()).await;
    let plan = ImportPlan::default();
    let engine = lab.target(&plan);
    engine
        .prepare_import(&plan, &export.plan.structure)
        .await
        .unwrap();
    let stored = &export.parts[0];
    for rest in [
        &stored.file[..stored.file.len() - 4],
        b"{}\n",
        b"{\"_id\":\"1\"}\n",
        b"nonsense\n",
    ] {
        let mut pieces = Pieces { rest, size: 10 };
        let error = engine
            .import_part(&stored.part, &mut pieces)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::DataCorrupt, "{error}");
    }
    assert_eq!(lab.b.count(&index).await, 0);
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changes_is_noticed() {
    let Some(lab) = Lab::take("changes").await else {
        return;
    };
    let index = lab.index("one");
    for end in ["deleted", "made anew"] {
        lab.a.make(&index, json!({})).await;
        lab.a.write(&index, &document("1", None, "{}")).await;
        let engine = source(lab.spec());
        let plan = engine.plan_export(&now()).await.unwrap();
        engine.finish_export(&plan).await.unwrap();
        lab.a.ask(Method::DELETE, &escape(&index), "").await;
        if end == "made anew" {
            lab.a.make(&index, json!({})).await;
        } else {
            let error = engine
                .export_part(&plan.parts[0], &mut Memory::default())
                .await
                .unwrap_err();
            assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
        }
        let error = engine.finish_export(&plan).await.unwrap_err();
        assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
        assert!(error.retryable());
    }
    lab.clean().await;
}

/// Deletes the index once the first documents are there.
struct Dropping<'a> {
    lab: &'a Lab,
    index: &'a str,
    writes: u32,
}

#[async_trait]
impl RecordSink for Dropping<'_> {
    async fn write(&mut self, _: Bytes) -> Result<(), TransferError> {
        if self.writes == 0 {
            let path = escape(self.index);
            self.lab.a.ask(Method::DELETE, &path, "").await;
        }
        self.writes += 1;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_dropped_while_it_is_read_is_a_named_failure() {
    let Some(lab) = Lab::take("dropped").await else {
        return;
    };
    let index = lab.index("one");
    let mapping = json!({"mappings": {"dynamic": false}});
    lab.a.make(&index, mapping.clone()).await;
    for batch in 0..4 {
        let text = "x".repeat(2000);
        let ids = batch * 2000..(batch + 1) * 2000;
        let documents = ids
            .map(|n| document(&n.to_string(), None, &format!(r#"{{"t":"{text}"}}"#)))
            .collect::<String>();
        lab.a.write(&index, &documents).await;
    }
    let engine = source(lab.spec());
    let plan = engine.plan_export(&now()).await.unwrap();
    let mut sink = Dropping {
        lab: &lab,
        index: &index,
        writes: 0,
    };
    let error = engine
        .export_part(&plan.parts[0], &mut sink)
        .await
        .unwrap_err();
    // The next attempt finds no index, and says so by name.
    assert!(error.retryable(), "{error}");
    let error = engine
        .export_part(&plan.parts[0], &mut Memory::default())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
    assert!(error.to_string().contains(&index), "{error}");
    lab.a.make(&index, mapping).await;
    assert_eq!(lab.export(lab.spec()).await.records(), 0);
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_refused_by_name() {
    let Some(lab) = Lab::take("unreadable").await else {
        return;
    };
    let index = lab.index("one");
    lab.a
        .make(&index, json!({"mappings": {"_source": {"enabled": false}}}))
        .await;
    let error = source(lab.spec()).plan_export(&now()).await.unwrap_err();
    assert!(
        error.to_string().contains(&index) && error.to_string().contains("kuzzle.exclude"),
        "{error}"
    );
    lab.clean().await;
    lab.a.make(&index, json!({})).await;
    lab.a
        .ask(Method::POST, &format!("{}/_close", escape(&index)), "")
        .await;
    let error = source(lab.spec()).plan_export(&now()).await.unwrap_err();
    assert!(error.to_string().contains("is closed"), "{error}");
    let none = KuzzleSource {
        exclude: vec!["one$".to_owned()],
        ..lab.spec()
    };
    let plan = source(none).plan_export(&now()).await.unwrap();
    assert!(plan.parts.is_empty() && plan.warnings[0].contains("the backup is empty"));
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_acknowledged_before_the_export_is_in_it() {
    let Some(lab) = Lab::take("acked").await else {
        return;
    };
    let index = lab.index("one");
    lab.a
        .make(&index, json!({"settings": {"refresh_interval": "-1"}}))
        .await;
    let path = format!("{}/_bulk", escape(&index));
    lab.a
        .ask(Method::POST, &path, document("1", None, "{}"))
        .await;
    assert_eq!(lab.export(lab.spec()).await.records(), 1);
    lab.clean().await;
}
