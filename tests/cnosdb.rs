//! The CnosDB engine against two servers, real ones or stand-ins.
//!
//! Runs when `LIFEBOAT_TEST_CNOSDB_A` and `LIFEBOAT_TEST_CNOSDB_B` hold the URLs of two servers that
//! may be filled and emptied, with the user `root` and no password. What is compared is asked of the
//! servers by code of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "cnosdb_support/copy.rs"]
mod copy;
#[path = "cnosdb_support/faults.rs"]
mod faults;
#[path = "cnosdb_support/lab.rs"]
mod lab;
#[path = "cnosdb_support/migrate.rs"]
mod migrate;

use lab::{Lab, named, now};
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{CnosDbMethod, CnosDbSource, CnosDbTenant, Incremental};
use lifeboat::api::restore::{ConflictPolicy, Remap};
use lifeboat::engine::{ChainPlan, ChainState, ExportRequest, ImportPlan, TargetState};

/// Databases, tables, columns and values that are hard to say.
fn hostile() -> Vec<&'static str> {
    vec![
        "CREATE TABLE \"a \"\"b\"\" c,d=e\" (\"f,1 =\" DOUBLE, \"ü\" STRING, n BIGINT, u BIGINT UNSIGNED, ok BOOLEAN, TAGS(\"t g\", \"日本\"))",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"t g\", \"日本\", \"f,1 =\", \"ü\", n, u, ok) VALUES ('2023-11-14T22:13:20Z', 'a b,c=d', 'x\\y', 0.1, 'it''s \"q\", \\ and \n newline', CAST('-9223372036854775808' AS BIGINT), 18446744073709551615, true)",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"t g\", \"f,1 =\", \"ü\", n) VALUES ('2023-11-14T22:13:20Z', 'ends in \\', -0.0, '\\\" and \\\\\"', 9007199254740993)",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"t g\", \"ü\") VALUES ('1969-12-31T23:59:59.999999999Z', '', '')",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"日本\", n) VALUES ('1677-09-21T00:12:43.145224193Z', 'é', 9223372036854775807)",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"日本\", \"f,1 =\") VALUES ('2262-04-11T23:47:16.854775806Z', '🚀', 0.00000000000000000001)",
        "INSERT INTO \"a \"\"b\"\" c,d=e\" (\"time\", \"t g\") VALUES ('2023-11-14T22:13:21Z', 'no fields')",
        "CREATE TABLE \"ends\\\" (v BIGINT CODEC(DELTA), TAGS(t))",
        "INSERT INTO \"ends\\\" (\"time\", t, v) VALUES ('2023-11-14T22:13:20.5Z', 'a', 1)",
        "CREATE TABLE empty_table (v DOUBLE, TAGS(t))",
        "CREATE TABLE no_tags (g GEOMETRY(POINT, 0), v DOUBLE)",
        "INSERT INTO no_tags (\"time\", g, v) VALUES ('2023-11-14T22:13:20Z', 'POINT(1 2)', 100000000000000000000.0)",
    ]
}

#[tokio::test]
async fn everything_goes_round_equal() {
    let Some(lab) = Lab::take("round").await else {
        return;
    };
    let odd = format!("{}odd \"name\" ü", lab.prefix);
    let telemetry = format!("{}telemetry", lab.prefix);
    lab.a.make(&telemetry, "TTL 'INF' PRECISION 'ns'").await;
    lab.a.make(&odd, "TTL 'INF' PRECISION 'us' SHARD 2").await;
    for statement in hostile() {
        lab.a.ask(&telemetry, statement).await;
    }
    // More rows than one statement may answer with, unevenly spread.
    for batch in 0..10i64 {
        let lines: Vec<String> = (0..5000)
            .map(|at| {
                let n = batch * 5000 + at;
                let time = 1_700_000_000_000_000i64 + n * n;
                format!("air,station=S{} v={}.25,n={n}i {time}", n % 7, n % 13)
            })
            .collect();
        lab.a.write(&odd, "us", &lines.join("\n")).await;
    }
    let moved = lab.copy(lab.ours().await, ImportPlan::default()).await;
    assert_eq!(moved.records(), 50_000 + 8);
    assert_eq!(
        (moved.refused, moved.expired),
        (0, 0),
        "{:?}",
        moved.examples
    );
    for database in [&telemetry, &odd] {
        let (a, b) = (lab.a.picture(database).await, lab.b.picture(database).await);
        assert_eq!(a.len(), if *database == odd { 2 } else { 5 });
        assert_eq!(a, b);
    }
    moved.verify_all().await;
    // Doing it again changes nothing.
    let again = lab
        .import(
            moved.export,
            ImportPlan {
                conflict_policy: ConflictPolicy::Overwrite,
                ..ImportPlan::default()
            },
        )
        .await;
    assert_eq!(lab.a.picture(&odd).await, lab.b.picture(&odd).await);
    again.verify_all().await;
    lab.clean().await;
}

#[tokio::test]
async fn names_change_drills_are_dropped_and_policies_hold() {
    let Some(lab) = Lab::take("names").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF'").await;
    lab.a.write(&name, "ns", "air,t=a v=1 1\ncpu v=2i 2").await;
    let drill = ImportPlan {
        drill_prefix: Some(format!("{}drill_", lab.prefix)),
        ..ImportPlan::default()
    };
    let moved = lab.copy(vec![named(&name)], drill.clone()).await;
    moved.verify_all().await;
    let made = format!("{}drill_{name}", lab.prefix);
    assert!(lab.b.databases().await.contains(&made));
    // Another run finds the name taken.
    let error = lab.prepare(&moved.export, drill.clone()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    let engine = lab.target(&drill);
    engine
        .drop_drill(&drill, &moved.export.plan.structure)
        .await
        .unwrap();
    assert!(!lab.b.databases().await.contains(&made));
    let error = engine
        .drop_drill(&ImportPlan::default(), &moved.export.plan.structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupported);

    let renamed = format!("{}other", lab.prefix);
    let plan = ImportPlan {
        remap: vec![Remap {
            from: name.clone(),
            to: renamed.clone(),
        }],
        ..ImportPlan::default()
    };
    let moved = lab.import(moved.export, plan.clone()).await;
    moved.verify_all().await;
    assert_eq!(
        lab.a.picture(&name).await["air"],
        lab.b.picture(&renamed).await["air"]
    );
    assert!(matches!(
        moved
            .engine
            .target_state(&moved.export.parts[0].part)
            .await
            .unwrap(),
        TargetState::Holds(_)
    ));
    // Replace leaves only what the backup has; Overwrite leaves the rest alone.
    lab.b
        .write(&renamed, "ns", "air,t=z v=9 9\nother v=1 1")
        .await;
    let overwrite = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..plan.clone()
    };
    let moved = lab.import(moved.export, overwrite).await;
    let part = moved.export.parts[0].part.clone();
    assert_eq!(moved.engine.count_part(&part).await.unwrap(), 2);
    assert_ne!(
        moved.engine.fingerprint_part(&part).await.unwrap(),
        part.fingerprint.unwrap()
    );
    let replace = ImportPlan {
        conflict_policy: ConflictPolicy::Replace,
        ..plan
    };
    let moved = lab.import(moved.export, replace).await;
    moved.verify_all().await;
    assert!(lab.b.picture(&renamed).await.contains_key("other"));
    lab.clean().await;
}

#[tokio::test]
async fn what_the_target_cannot_hold_is_refused_or_counted() {
    let Some(lab) = Lab::take("refuse").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF' PRECISION 'us'").await;
    let recent = jiff::Timestamp::now().as_microsecond();
    lab.a
        .write(&name, "us", &format!("m,t=a v=1i {recent}\nm,t=a v=2i 5"))
        .await;
    let export = lab.export(vec![named(&name)], &now()).await;

    // Coarser times would lose what the backup has.
    lab.b.make(&name, "PRECISION 'ms'").await;
    let error = lab
        .prepare(&export, ImportPlan::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("keeps times in ms"), "{error}");

    // A column of another type.
    lab.b.drop(&name).await;
    lab.b.make(&name, "PRECISION 'us'").await;
    lab.b.write(&name, "us", "m,t=a v=1.5 1").await;
    let error = lab
        .prepare(&export, ImportPlan::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("DOUBLE in the target"),
        "{error}"
    );

    // A table with fewer columns gets the others; what is past the retention is counted.
    lab.b.drop(&name).await;
    lab.b.make(&name, "TTL '1d' PRECISION 'us'").await;
    lab.b.ask(&name, "CREATE TABLE m (w DOUBLE)").await;
    let moved = lab.import(export, ImportPlan::default()).await;
    assert_eq!((moved.written, moved.refused, moved.expired), (1, 0, 1));
    let stored = &moved.export.parts[0];
    let found = moved
        .engine
        .contains_part(&stored.part, &mut stored.reader())
        .await
        .unwrap();
    assert_eq!((found.found, found.expired, found.missing), (1, 1, 0));

    // What changed in the target is told.
    lab.b
        .write(&name, "us", &format!("m,t=a v=7i {recent}"))
        .await;
    let found = moved
        .engine
        .contains_part(&stored.part, &mut stored.reader())
        .await
        .unwrap();
    assert_eq!((found.found, found.different), (0, 1));
    assert!(
        found.examples[0].contains("different"),
        "{:?}",
        found.examples
    );
    lab.clean().await;
}

#[tokio::test]
async fn refused_records_are_counted_and_the_others_written() {
    let Some(lab) = Lab::take("halves").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF'").await;
    let lines: Vec<String> = (0..100)
        .map(|at| match at % 25 {
            7 => format!("m v={at}i {at}"),
            _ => format!("m w={at}i {at}"),
        })
        .collect();
    lab.a.write(&name, "ns", &lines.join("\n")).await;
    let export = lab.export(vec![named(&name)], &now()).await;
    let plan = ImportPlan::default();
    let engine = lab.target(&plan);
    engine
        .prepare_import(&plan, &export.plan.structure)
        .await
        .unwrap();
    // Somebody makes the table anew while the import begins.
    lab.b.ask(&name, "DROP TABLE m").await;
    lab.b
        .ask(&name, "CREATE TABLE m (v DOUBLE, w BIGINT)")
        .await;
    let stored = &export.parts[0];
    let report = engine
        .import_part(&stored.part, &mut stored.reader())
        .await
        .unwrap();
    assert_eq!((report.written, report.refused), (96, 4));
    assert!(report.examples[0].contains("DOUBLE"), "{report:?}");
    assert_eq!(engine.count_part(&stored.part).await.unwrap(), 96);
    let found = engine
        .contains_part(&stored.part, &mut stored.reader())
        .await
        .unwrap();
    assert_eq!((found.found, found.missing), (96, 4));
    lab.clean().await;
}

#[tokio::test]
async fn windows_build_on_a_full_export() {
    let Some(lab) = Lab::take("windows").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF'").await;
    let base = jiff::Timestamp::now();
    let at = |seconds: i64| i64::try_from(base.as_nanosecond()).unwrap() + seconds * 1_000_000_000;
    lab.a
        .write(
            &name,
            "ns",
            &format!("m v=1i {}\nm v=2i {}", at(-7200), at(-30)),
        )
        .await;
    let spec = CnosDbSource {
        tenants: vec![named(&name)],
        incremental: Some(Incremental {
            overlap: Some("1m".into()),
            ..Incremental::default()
        }),
        ..CnosDbSource::default()
    };
    let request = ExportRequest {
        consistency_time: base,
        previous: None,
    };
    let full = lab.export_by(spec.clone(), &request).await;
    assert_eq!(
        (full.records(), full.plan.chain.clone()),
        (2, ChainPlan::Full)
    );
    lab.a
        .write(&name, "ns", &format!("m v=3i {}\nlate v=1 1", at(5)))
        .await;
    let request = ExportRequest {
        consistency_time: base + jiff::SignedDuration::from_secs(10),
        previous: Some(ChainState {
            base: "full".into(),
            base_consistency: base,
            newest: "full".into(),
            newest_consistency: base,
            newest_chain: ChainPlan::Full,
            scope: full.plan.scope.clone(),
            server_id: full.plan.server.server_id.clone(),
        }),
    };
    let window = lab.export_by(spec, &request).await;
    assert!(matches!(window.plan.chain, ChainPlan::Incremental { .. }));
    // The overlap's row and the new one; of the new table all that there is.
    assert_eq!(window.records(), 3);
    let plan = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    };
    lab.import(full, plan.clone()).await.verify_contains().await;
    lab.import(window, plan).await.verify_contains().await;
    assert_eq!(lab.a.picture(&name).await, lab.b.picture(&name).await);
    lab.clean().await;
}

#[tokio::test]
async fn a_source_that_changes_or_is_not_there_fails_the_export() {
    let Some(lab) = Lab::take("changes").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF'").await;
    lab.a.write(&name, "ns", "m v=1i 1\nn v=1i 1").await;
    let source = lab.source(CnosDbSource {
        tenants: vec![named(&name)],
        ..CnosDbSource::default()
    });
    let plan = source.plan_export(&now()).await.unwrap();
    source.finish_export(&plan).await.unwrap();
    lab.a.ask(&name, "DROP TABLE n").await;
    lab.a.ask(&name, "CREATE TABLE n (v DOUBLE)").await;
    let error = source.finish_export(&plan).await.unwrap_err();
    assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
    lab.a.ask(&name, "DROP TABLE n").await;
    let error = source.finish_export(&plan).await.unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    let mut sink = lab::Memory::default();
    let part = plan.parts.iter().find(|part| part.name["table"] == "n");
    let error = source
        .export_part(part.unwrap(), &mut sink)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::SourceChanged, "{error}");

    for (tenants, word) in [
        (vec![named("no_such_database")], "no_such_database"),
        (vec![named(&name), named(&name)], "twice"),
        (
            vec![CnosDbTenant {
                name: "no_such_tenant".into(),
                databases: Vec::new(),
            }],
            "no_such_tenant",
        ),
    ] {
        let source = lab.source(CnosDbSource {
            tenants,
            ..CnosDbSource::default()
        });
        let error = source.plan_export(&now()).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    lab.clean().await;
}

#[tokio::test]
async fn logins_and_methods_are_told_apart() {
    let Some(lab) = Lab::take("login").await else {
        return;
    };
    let error = lab.probe_as("root", "wrong").await.unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseLoginFailed, "{error}");
    assert!(!error.to_string().contains("wrong"));
    let info = lab.probe_as("root", "").await.unwrap();
    assert!(info.version.starts_with("2."), "{info:?}");
    let error = lab
        .try_source(CnosDbSource {
            method: Some(CnosDbMethod::CopyInto),
            ..CnosDbSource::default()
        })
        .err()
        .unwrap();
    assert_eq!(error.reason(), Reason::NotSupported);
}
