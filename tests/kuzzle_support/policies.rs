//! What happens where the target already holds something: policies, new names, drills.

use lifeboat::api::conditions::Reason;
use lifeboat::api::restore::{ConflictPolicy, Remap};
use lifeboat::engine::{ImportPlan, TargetState};
use reqwest::Method;
use serde_json::json;

use super::harness::{Export, Lab, document};
use super::server::escape;

/// One collection with its alias, three documents, in A.
async fn one(lab: &Lab) -> (String, Export) {
    let index = lab.index("one");
    let body = json!({"mappings": {"properties": {"n": {"type": "long"}}}, "aliases": {format!("@{index}"): {}}});
    lab.a.make(&index, body).await;
    for n in 0..3 {
        let source = format!(r#"{{"n":{n}}}"#);
        lab.a
            .write(&index, &document(&n.to_string(), None, &source))
            .await;
    }
    let export = lab.export(lab.spec()).await;
    (index, export)
}

fn plan(policy: ConflictPolicy) -> ImportPlan {
    ImportPlan {
        conflict_policy: policy,
        ..ImportPlan::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_write_over_and_replace_leaves_nothing_else() {
    let Some(lab) = Lab::take("policy").await else {
        return;
    };
    let (index, export) = one(&lab).await;
    let part = &export.parts[0].part;
    let first = lab.import(&export, &plan(ConflictPolicy::Fail)).await;
    first.verify(&export).await.unwrap();
    let state = first.engine.target_state(part).await.unwrap();
    assert!(matches!(state, TargetState::Holds(text) if text.contains("3 documents")));

    // Others write to the standby, the source goes on.
    let changed = document("1", None, r#"{"n":99}"#) + &document("other", None, r#"{"n":5}"#);
    lab.b.write(&index, &changed).await;
    let report = first
        .engine
        .contains_part(part, &mut export.parts[0].reader())
        .await
        .unwrap();
    assert_eq!(
        (report.found, report.missing, report.different),
        (2, 0, 1),
        "{report:?}"
    );
    assert_eq!(report.examples, ["different: 1"]);
    lab.a
        .write(&index, &document("new", None, r#"{"n":7,"field":"new"}"#))
        .await;
    let export = lab.export(lab.spec()).await;
    let second = lab.import(&export, &plan(ConflictPolicy::Overwrite)).await;
    let report = second
        .engine
        .contains_part(&export.parts[0].part, &mut export.parts[0].reader())
        .await
        .unwrap();
    assert_eq!(report.found, 4);
    assert_eq!(lab.b.count(&index).await, 5);
    assert!(
        second.verify(&export).await.is_err(),
        "a document that the backup does not have"
    );

    let third = lab.import(&export, &plan(ConflictPolicy::Replace)).await;
    third.verify(&export).await.unwrap();
    lab.assert_same(&index, &format!("@{index}")).await;
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_names_take_their_alias_along() {
    let Some(lab) = Lab::take("remap").await else {
        return;
    };
    let (index, export) = one(&lab).await;
    let to = lab.index("copy");
    let plan = ImportPlan {
        remap: vec![Remap {
            from: index.clone(),
            to: to.clone(),
        }],
        ..ImportPlan::default()
    };
    lab.import(&export, &plan)
        .await
        .verify(&export)
        .await
        .unwrap();
    assert_eq!(lab.b.indices(&lab.mark).await, vec![to.clone()]);
    let definition = lab.b.definition(&to).await;
    assert_eq!(definition["aliases"], json!({format!("@{to}"): {}}));
    lab.assert_same(&index, &to).await;
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_mean_something_else_are_refused() {
    let Some(lab) = Lab::take("names").await else {
        return;
    };
    let (index, export) = one(&lab).await;
    let other = lab.index("other");
    for aliases in [format!("@{index}"), index.clone()] {
        lab.b.make(&other, json!({"aliases": {aliases: {}}})).await;
        for policy in [
            ConflictPolicy::Fail,
            ConflictPolicy::Overwrite,
            ConflictPolicy::Replace,
        ] {
            let plan = plan(policy);
            let error = lab
                .target(&plan)
                .prepare_import(&plan, &export.plan.structure)
                .await
                .unwrap_err();
            assert_eq!(error.reason(), Reason::TargetNotEmpty, "{error}");
            assert_eq!(
                lab.b.indices(&lab.mark).await,
                vec![other.clone()],
                "nothing was changed"
            );
        }
        lab.b.ask(Method::DELETE, &escape(&other), "").await;
    }
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_works_in_names_of_its_own() {
    let Some(lab) = Lab::take("drill").await else {
        return;
    };
    let (index, export) = one(&lab).await;
    let live = lab.import(&export, &plan(ConflictPolicy::Fail)).await;
    let drill = ImportPlan {
        drill_prefix: Some("lifeboat_drill_0a1b2c3d_".to_owned()),
        ..ImportPlan::default()
    };
    let engine = lab.target(&drill);
    for part in &export.plan.structure {
        assert_eq!(engine.target_state(part).await.unwrap(), TargetState::Empty);
    }
    let moved = lab.import(&export, &drill).await;
    moved.verify(&export).await.unwrap();
    let own = format!("lifeboat_drill_0a1b2c3d_{index}");
    let definition = lab.b.definition(&own).await;
    assert_eq!(
        definition["aliases"],
        json!({format!("lifeboat_drill_0a1b2c3d_@{index}"): {}})
    );
    // A second drill of that name finds it, and refuses.
    let state = engine
        .target_state(&export.plan.structure[0])
        .await
        .unwrap();
    assert!(matches!(state, TargetState::Holds(_)));
    let error = engine
        .prepare_import(&drill, &export.plan.structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    moved
        .engine
        .drop_drill(&drill, &export.plan.structure)
        .await
        .unwrap();
    assert_eq!(lab.b.indices(&lab.mark).await, [index]);
    live.verify(&export).await.unwrap();
    // What is no drill is never dropped.
    let none = plan(ConflictPolicy::Fail);
    assert!(
        lab.target(&none)
            .drop_drill(&none, &export.plan.structure)
            .await
            .is_err()
    );
    lab.clean().await;
}
