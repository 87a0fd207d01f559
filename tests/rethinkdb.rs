//! The RethinkDB engine against two clusters, which are stand-ins where no server is at hand
//! (`e2e/run.sh servers-rethinkdb` starts them).
//!
//! Runs when `LIFEBOAT_TEST_RETHINKDB_A` and `LIFEBOAT_TEST_RETHINKDB_B` hold host and port of two
//! clusters that may be emptied and filled, whose user admin has no password. What is compared is
//! asked by a driver of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "rethinkdb_support/corpus.rs"]
mod corpus;
#[path = "rethinkdb_support/driver.rs"]
mod driver;
#[path = "job_support/pod.rs"]
mod job;
#[path = "rethinkdb_support/lab.rs"]
mod lab;
#[path = "pod_support/pod.rs"]
mod pod;
#[path = "rethinkdb_support/vendor.rs"]
mod vendor;
#[path = "rethinkdb_support/wire.rs"]
mod wire;

use driver::table;
use lab::{Lab, export, fill, picture, plan, put, source};
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{RethinkDbDatabase, RethinkDbDurability, RethinkDbTarget};
use lifeboat::api::restore::{ConflictPolicy, Deletions, Remap};
use lifeboat::engine::{ImportPlan, TargetState};
use serde_json::json;

fn overwrite() -> ImportPlan {
    ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    }
}

fn shop(tables: &[&str]) -> RethinkDbDatabase {
    RethinkDbDatabase {
        name: "shop".to_owned(),
        tables: tables.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_databases_go_round_equal() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    let exported = lab.export().await;
    assert_eq!(exported.records(), 2500 + 19 + 1 + 1);
    let moved = lab
        .import(
            &exported,
            RethinkDbTarget::default(),
            &ImportPlan::default(),
        )
        .await;
    assert_eq!(
        (moved.written, moved.refused.len()),
        (exported.records(), 0)
    );
    moved.verify_all(&exported).await;
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
    // Again, over what is there: nothing changes.
    let again = lab
        .import(&exported, RethinkDbTarget::default(), &overwrite())
        .await;
    assert_eq!(again.written, exported.records());
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_brought_up_to_date() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    let exported = lab.export().await;
    lab.import(&exported, RethinkDbTarget::default(), &overwrite())
        .await;
    // An index of that name that finds something else, a row changed, one gone, one too many.
    let orders = table("shop", "orders");
    b.must(&format!(r#"[76,[{orders},"tags"]]"#)).await;
    let other = corpus::binary(corpus::BY_NAME);
    b.must(&format!(r#"[75,[{orders},"tags",{other}]]"#)).await;
    let deleted = format!("[54,[[78,[{orders},7]]]]");
    b.must(&deleted).await;
    let more = [json!({"id": 8, "changed": true}), json!({"id": "more"})];
    put(&mut b, "shop", "orders", &more).await;

    let part = exported.part("orders");
    let target = lab.target(RethinkDbTarget::default(), &overwrite());
    let found = target
        .contains_part(&part.part, &mut part.reader())
        .await
        .unwrap();
    assert_eq!((found.found, found.missing, found.different), (2498, 1, 1));
    assert_eq!(found.examples, ["missing: 7e0", "different: 8e0"]);
    let fingerprint = target.fingerprint_part(&part.part).await.unwrap();
    assert_ne!(Some(fingerprint), part.part.fingerprint);

    lab.import(&exported, RethinkDbTarget::default(), &overwrite())
        .await;
    assert_eq!(target.count_part(&part.part).await.unwrap(), 2501);
    b.must(&format!(r#"[54,[[78,[{orders},"more"]]]]"#)).await;
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_kept() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    fill(&mut a, "shop", "orders", "id", &[json!({"id": 1})]).await;
    fill(&mut a, "shop", "users", "uid", &[json!({"uid": 1})]).await;
    fill(&mut b, "shop", "orders", "id", &[json!({"id": 2})]).await;
    fill(&mut b, "shop", "users", "id", &[]).await;
    let exported = lab.export().await;
    let target = lab.target(RethinkDbTarget::default(), &ImportPlan::default());
    let state = |table: &'static str| target.target_state(&exported.part(table).part);
    assert_eq!(
        state("orders").await.unwrap(),
        TargetState::Holds("rows in shop.orders".to_owned())
    );
    assert_eq!(state("users").await.unwrap(), TargetState::Empty);
    let before = picture(&mut b).await;
    let structure = &exported.plan.structure;
    let error = target
        .prepare_import(&overwrite(), structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    assert!(error.to_string().contains("primary key \"id\""), "{error}");
    assert_eq!(picture(&mut b).await, before, "nothing is changed");
    let replace = ImportPlan {
        conflict_policy: ConflictPolicy::Replace,
        ..ImportPlan::default()
    };
    lab.import(&exported, RethinkDbTarget::default(), &replace)
        .await;
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_an_import() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    a.must(r#"[60,[[14,["shop"]],"wide"],{"shards":2,"replicas":3}]"#)
        .await;
    let exported = lab.export().await;
    let spec = RethinkDbTarget {
        databases: vec![shop(&["orders", "wide"])],
        durability: Some(RethinkDbDurability::Hard),
        no_secondary_indexes: true,
        shards_and_replicas: true,
        ..RethinkDbTarget::default()
    };
    let remap = |from: &str, to: &str| Remap {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let plan = ImportPlan {
        remap: vec![remap("shop", "shop2"), remap("shop.wide", "deep.down")],
        ..ImportPlan::default()
    };
    let moved = lab.import(&exported, spec, &plan).await;
    assert_eq!(moved.written, 2500);
    let there = picture(&mut b).await;
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    assert_eq!(names, ["deep", "deep.down", "shop2", "shop2.orders"]);
    let orders = &picture(&mut a).await["shop.orders"];
    // The primary key, the hook, the rows; and no indexes.
    assert_eq!(there["shop2.orders"].len(), orders.len() - 3 * 4);
    assert!(there["shop2.orders"][1].is_object(), "the write hook");
    let configs = b.must(r#"[15,[[14,["rethinkdb"]],"table_config"]]"#).await;
    let wide = configs.iter().find(|config| config["name"] == "down");
    let shards = wide.unwrap()["shards"].as_array().unwrap().clone();
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[0]["replicas"].as_array().unwrap().len(), 3);
    // What the backup does not hold is said.
    let spec = RethinkDbTarget {
        databases: vec![shop(&["orders", "missing"])],
        ..RethinkDbTarget::default()
    };
    let target = lab.target(spec, &plan);
    let structure = exported.plan.structure.clone();
    let error = target.prepare_import(&plan, &structure).await.unwrap_err();
    assert!(error.to_string().contains("shop.missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_leaves_nothing() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    fill(&mut b, "shop", "orders", "id", &[json!({"id": "standby"})]).await;
    let before = picture(&mut b).await;
    let exported = lab.export().await;
    let plan = ImportPlan {
        drill_prefix: Some("lifeboat_drill_0a1b_".to_owned()),
        ..ImportPlan::default()
    };
    let moved = lab
        .import(&exported, RethinkDbTarget::default(), &plan)
        .await;
    moved.verify_all(&exported).await;
    let made = lab::databases(&mut b).await;
    assert!(made.contains(&"lifeboat_drill_0a1b_shop".to_owned()));
    let structure = &exported.plan.structure;
    let error = moved
        .engine
        .prepare_import(&plan, structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    moved.engine.drop_drill(&plan, structure).await.unwrap();
    // As a further attempt does, with nothing there.
    moved.engine.drop_drill(&plan, structure).await.unwrap();
    assert_eq!(picture(&mut b).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changes_is_noticed() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let mut a = lab.driver_a().await;
    fill(&mut a, "shop", "orders", "id", &[json!({"id": 1})]).await;
    let engine = lab.source(&[shop(&["orders"])]);
    let planned = plan(engine.as_ref()).await;
    engine.finish_export(&planned).await.unwrap();
    a.must(r#"[61,[[14,["shop"]],"orders"]]"#).await;
    let part = &planned.parts[0];
    let gone = engine
        .export_part(part, &mut lab::Memory::default())
        .await
        .unwrap_err();
    assert_eq!(gone.reason(), Reason::SourceChanged);
    fill(&mut a, "shop", "orders", "id", &[]).await;
    let error = engine.finish_export(&planned).await.unwrap_err();
    assert!(error.to_string().contains("made anew"), "{error}");
    assert_eq!(error.reason(), Reason::SourceChanged);
    let engine = lab.source(&[shop(&["nowhere"])]);
    let request = lifeboat::engine::ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: None,
    };
    let error = engine.plan_export(&request).await.unwrap_err();
    assert!(error.to_string().contains("shop.nowhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_goes_while_it_is_read_is_no_backup() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let drop = r#"[61,[[14,["shop"]],"orders"]]"#;
    let again = r#"[60,[[14,["shop"]],"orders"]]"#;
    for (terms, word) in [
        (vec![drop], "dropped or renamed"),
        (vec![drop, again], "made anew"),
    ] {
        let mut a = lab.driver_a().await;
        let _ = a.ask(r#"[58,["shop"]]"#).await;
        fill(&mut a, "shop", "orders", "id", &corpus::orders(3000)).await;
        let engine = lab.source(&[shop(&["orders"])]);
        let planned = plan(engine.as_ref()).await;
        let mut sink = lab::Meddling::new(lab::Memory::default(), a, &terms);
        // What it says of the rows may be either: nothing is committed before the last look.
        if let Err(error) = engine.export_part(&planned.parts[0], &mut sink).await {
            assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
        }
        let error = engine.finish_export(&planned).await.unwrap_err();
        assert_eq!(error.reason(), Reason::SourceChanged);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fails_half_way_is_named_and_tried_anew() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    fill(&mut a, "shop", "orders", "id", &corpus::orders(5000)).await;
    let exported = lab.export().await;
    let part = exported.part("orders");
    let target = lab.target(RethinkDbTarget::default(), &overwrite());
    let structure = &exported.plan.structure;
    target
        .prepare_import(&overwrite(), structure)
        .await
        .unwrap();
    let drop = [r#"[61,[[14,["shop"]],"orders"]]"#];
    let mut rows = lab::Meddling::new(part.reader(), lab.driver_b().await, &drop);
    let error = target.import_part(&part.part, &mut rows).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseNotFound, "{error}");
    assert!(error.to_string().contains("shop.orders"), "{error}");
    // Again, by a wire that breaks every few answers, over what is half there.
    let proxy = wire::Breaking::start(&lab.b, 600).await;
    target
        .prepare_import(&overwrite(), structure)
        .await
        .unwrap();
    let by_wire = lab::target(&proxy.url, RethinkDbTarget::default(), &overwrite());
    let report = by_wire.import_part(&part.part, &mut part.reader()).await;
    let report = report.unwrap();
    assert_eq!((report.written, report.refused), (5000, 0));
    assert!(proxy.broke() > 1, "it broke {} times", proxy.broke());
    target.finish_import(&overwrite(), structure).await.unwrap();
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_indexes_that_differ_are_built() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    a.must(r#"[58,["big"]]"#).await;
    let exported = lab.export().await;
    lab.import(&exported, RethinkDbTarget::default(), &overwrite())
        .await;
    let orders = table("shop", "orders");
    b.must(&format!(r#"[76,[{orders},"tags"]]"#)).await;
    let other = corpus::binary(corpus::BY_NAME);
    b.must(&format!(r#"[75,[{orders},"tags",{other}]]"#)).await;
    let proxy = wire::Breaking::start(&lab.b, usize::MAX).await;
    let target = lab::target(&proxy.url, RethinkDbTarget::default(), &overwrite());
    let structure = &exported.plan.structure;
    target
        .prepare_import(&overwrite(), structure)
        .await
        .unwrap();
    target.finish_import(&overwrite(), structure).await.unwrap();
    let heard = proxy.heard();
    let of = |code: &str| heard.matches(code).count();
    // One is made and put in the place of the other; no hook is set, nothing is dropped.
    assert_eq!((of("[1,[75,["), of("[1,[156,[")), (1, 1), "{heard}");
    assert_eq!((of("[1,[76,["), of("[1,[189,[")), (0, 0), "{heard}");
    assert!(heard.contains("lifeboat_new_tags"), "{heard}");
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_on_where_its_connection_broke() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let mut a = lab.driver_a().await;
    fill(&mut a, "shop", "orders", "id", &corpus::orders(5000)).await;
    fill(&mut a, "types", "types", "id", &corpus::types()).await;
    let whole = lab.export().await;
    let proxy = wire::Breaking::start(&lab.a, 400_000).await;
    let access = lifeboat::engine::Access::default();
    let engine = source(&proxy.url, &[], &access);
    let broken = export(engine.as_ref()).await;
    assert!(proxy.broke() > 2, "it broke {} times", proxy.broke());
    for (one, other) in whole.parts.iter().zip(&broken.parts) {
        assert_eq!(one.part, other.part);
        assert_eq!(one.file, other.file);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_is_read_and_written_in_ranges() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    let whole = lab.export().await;
    for (rows, ranges) in [(1, [32, 19]), (5, [32, 3]), (1250, [2, 1])] {
        let cut = lab.export_in_ranges(rows).await;
        for (table, ranges) in ["orders", "types"].iter().zip(ranges) {
            let parts = cut.parts.iter();
            let parts = parts.filter(|stored| stored.part.name["table"] == *table);
            assert_eq!(parts.count(), ranges, "{table} by {rows}");
            // Keys of every type: each row is in one range, and none is in two.
            assert!(cut.rows(table) == whole.rows(table), "{table} by {rows}");
        }
    }
    let cut = lab.export_in_ranges(1).await;
    let moved = lab
        .import(&cut, RethinkDbTarget::default(), &ImportPlan::default())
        .await;
    moved.verify_all(&cut).await;
    assert_eq!(picture(&mut b).await, picture(&mut a).await);
    // A row too many is found in its range alone.
    put(&mut b, "shop", "orders", &[json!({"id": 1000.5})]).await;
    let (mut more, mut parts) = (0, 0);
    for stored in &cut.parts {
        let part = &stored.part;
        let found = moved.engine.fingerprint_part(part).await.unwrap();
        parts += usize::from(Some(found) != part.fingerprint);
        more += moved.engine.count_part(part).await.unwrap() - part.records;
    }
    assert_eq!((more, parts), (1, 1));
    // And over a wire that breaks: it passes more than an answer, and less than a range of the orders.
    let proxy = wire::Breaking::start(&lab.a, 350_000).await;
    a.must(r#"[58,["big"]]"#).await;
    let broken = export(lab::in_ranges(&proxy.url, 1250).as_ref()).await;
    assert!(proxy.broke() > 0, "it broke {} times", proxy.broke());
    assert!(broken.rows("orders") == whole.rows("orders"));
    assert!(broken.rows("types") == whole.rows("types"));
}

fn mirror() -> ImportPlan {
    ImportPlan {
        deletions: Deletions::Mirror,
        ..overwrite()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_deletes_what_the_source_deleted() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    corpus::make(&mut a).await;
    a.must(r#"[58,["big"]]"#).await;
    let exported = lab.export().await;
    let spec = RethinkDbTarget::default;
    lab.import(&exported, spec(), &overwrite()).await;
    // A table and a database that the backup does not have are left alone.
    fill(&mut b, "shop", "own", "id", &[json!({"id": 1})]).await;
    fill(&mut b, "own", "own", "id", &[json!({"id": 1})]).await;
    let own = |picture: &std::collections::BTreeMap<String, Vec<serde_json::Value>>| {
        let mut picture = picture.clone();
        picture.retain(|name, _| !name.ends_with("own"));
        picture
    };
    // Nothing to delete.
    let moved = lab.import(&exported, spec(), &mirror()).await;
    assert_eq!(moved.deleted, 0);
    // Rows go at the source: the first, the last, some between, all of a table; and at the standby
    // there are rows of its own, before, between and behind the others, more than a page of them.
    let orders = table("shop", "orders");
    a.must(&format!("[54,[[182,[{orders},[180,[]],100]]]]"))
        .await;
    a.must(&format!("[54,[[182,[{orders},700,1400]]]]")).await;
    a.must(&format!("[54,[[182,[{orders},2450,[181,[]]]]]]"))
        .await;
    a.must(&format!("[54,[{}]]", table("Types_2", "types")))
        .await;
    let more: Vec<_> = (0..2500)
        .map(|n| json!({"id": f64::from(n) + 0.5}))
        .collect();
    for rows in more.chunks(500) {
        put(&mut b, "shop", "orders", rows).await;
    }
    put(
        &mut b,
        "shop",
        "orders",
        &[json!({"id": "z"}), json!({"id": [1]})],
    )
    .await;
    for exported in [lab.export().await, lab.export_in_ranges(300).await] {
        let moved = lab.import(&exported, spec(), &mirror()).await;
        moved.verify_all(&exported).await;
        let there = picture(&mut b).await;
        assert_eq!(own(&there), picture(&mut a).await);
        assert_eq!(there["shop.own"].len(), 3);
        assert!(there.contains_key("own.own"));
        // Rows of the standby's own, for the next round.
        put(
            &mut b,
            "shop",
            "orders",
            &[json!({"id": 7.5}), json!({"id": ["z"]})],
        )
        .await;
    }
    // Rows that are in another order than the server's are never taken for what is not there.
    let mut exported = lab.export().await;
    for stored in &mut exported.parts {
        let mut lines: Vec<&[u8]> = stored.file.split_inclusive(|b| *b == b'\n').collect();
        lines.reverse();
        stored.file = lines.concat();
    }
    let part = exported.part("orders");
    let engine = lab.target(spec(), &mirror());
    let before = engine.count_part(&part.part).await.unwrap();
    let error = engine.import_part(&part.part, &mut part.reader()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("order of their primary keys"), "{error}");
    assert_eq!(engine.count_part(&part.part).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_by_one_large_row() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let (mut a, mut b) = (lab.driver_a().await, lab.driver_b().await);
    for table in ["one", "two", "three", "four"] {
        fill(&mut a, "large", table, "id", &[]).await;
        for id in 0..3 {
            let row = json!({"id": id, "text": format!("{id} {table} ").repeat(1_500_000)});
            put(&mut a, "large", table, &[row]).await;
        }
    }
    let pod = job::Pod::new();
    let place = |server: &str| json!({"rethinkdb": {"url": format!("rethinkdb://{server}")}});
    let exported = pod.export(&place(&lab.a));
    let imported = pod.import(&place(&lab.b), "Contains");
    eprintln!("12 rows of 10 MB: the export's peak was {exported} KiB, the import's {imported}");
    assert!(exported.max(imported) < 64 << 10, "{exported} {imported}");
    assert!(picture(&mut b).await == picture(&mut a).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_certificates() {
    let Some(lab) = Lab::take().await else {
        return;
    };
    let mut a = lab.driver_a().await;
    a.must(
        r#"[56,[[15,[[14,["rethinkdb"]],"users"]],{"id":"bob=,","password":"s3cr3t"}],{"conflict":"replace"}]"#,
    )
    .await;
    let tls = wire::Tls::start(&lab.a).await;
    let url = format!("rethinkdb://{}", lab.a);
    for (url, user, password, ca, want) in [
        (&url, "admin", "", false, None),
        (
            &url,
            "admin",
            "s3cr3t",
            false,
            Some(Reason::DatabaseLoginFailed),
        ),
        (
            &url,
            "bob=,",
            "wrong",
            false,
            Some(Reason::DatabaseLoginFailed),
        ),
        (&url, "eve", "", false, Some(Reason::DatabaseLoginFailed)),
        (
            &url,
            "bob=,",
            "s3cr3t",
            false,
            Some(Reason::DatabasePermissionDenied),
        ),
        (&tls.url, "admin", "", true, None),
        (&tls.url, "admin", "", false, Some(Reason::TlsFailed)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("username"), user).unwrap();
        std::fs::write(directory.path().join("password"), password).unwrap();
        let access = lifeboat::engine::Access {
            credentials: Some(directory.path().to_owned()),
            ca_bundle: ca.then(|| tls.ca.path().to_owned()),
            ..lifeboat::engine::Access::default()
        };
        let result = source(url, &[], &access).probe().await;
        let error = result.err();
        assert_eq!(
            error.as_ref().map(lifeboat::engine::EngineError::reason),
            want,
            "{error:?}"
        );
        if let Some(error) = error {
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
            assert!(!error.retryable(), "{error}");
        }
    }
    // One cluster is the same by any of its addresses.
    let access = lifeboat::engine::Access::default();
    let one = source(&url, &[], &access).probe().await.unwrap();
    let proxy = wire::Breaking::start(&lab.a, usize::MAX).await;
    let other = source(&proxy.url, &[], &access).probe().await.unwrap();
    assert_eq!(one, other);
}
