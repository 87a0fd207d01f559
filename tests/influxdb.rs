//! The InfluxDB engine against real servers.
//!
//! Runs when `LIFEBOAT_TEST_INFLUX_A` and `LIFEBOAT_TEST_INFLUX_B` hold the URLs of two servers that
//! may be filled and emptied; with `LIFEBOAT_TEST_INFLUX_CLI`, the path of the vendor's `influx`, its
//! importer reads the files too; with `LIFEBOAT_TEST_INFLUXD`, the path of the server, one that asks
//! for logins is started, and its `backup` and `restore` are tried. Each server's backup service is on
//! port 8088 of its host. What is compared is asked of the servers by code of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::naive_bytecount,
    missing_docs,
    unreachable_pub
)]

#[path = "influxdb_support/chain.rs"]
mod chain;
#[path = "influxdb_support/generate.rs"]
mod generate;
#[path = "influxdb_support/harness.rs"]
mod harness;
#[path = "influxdb_support/login.rs"]
mod login;
#[path = "influxdb_support/portable.rs"]
mod portable;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use harness::{Lab, now, quote, whole};
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::InfluxDbSource;
use lifeboat::api::restore::{ConflictPolicy, Remap};
use lifeboat::engine::{ImportPlan, TargetState};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_hostile_databases_go_round_equal() {
    let Some(lab) = Lab::take("round").await else {
        return;
    };
    lab.clean().await;
    let mut points = BTreeMap::new();
    for seed in 0..100 {
        let database = generate::database(&lab.prefix, seed);
        let acknowledged = lab.fill(&database).await;
        points.insert(database.name, acknowledged);
    }
    let moved = lab.copy(&lab.all().await, ImportPlan::default()).await;
    assert_eq!(moved.warnings, Vec::<String>::new());
    assert_eq!(moved.refused, Vec::<String>::new());
    assert_eq!(moved.expired, 0);
    let databases = lab.a.databases(&lab.prefix).await;
    assert_eq!(databases.len(), 100);
    assert_eq!(lab.b.databases(&lab.prefix).await, databases);
    for database in &databases {
        let (a, b) = (lab.a.picture(database).await, lab.b.picture(database).await);
        assert_eq!(a, b, "{database:?}");
    }
    assert_eq!(
        moved.records_by_database(),
        points,
        "every point that was acknowledged"
    );
    moved.verify_all().await;
    lab.clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_importer_reads_each_file_alone() {
    let Some(lab) = Lab::take("vendor").await else {
        return;
    };
    let Ok(cli) = std::env::var("LIFEBOAT_TEST_INFLUX_CLI") else {
        eprintln!("skipped: LIFEBOAT_TEST_INFLUX_CLI names no influx");
        return;
    };
    lab.clean().await;
    for seed in 200..230 {
        let mut database = generate::database(&lab.prefix, seed);
        // The vendor's importer adds a newline to each newline within a string.
        database.writes.retain(|(_, lines, points)| {
            lines.iter().filter(|byte| **byte == b'\n').count() as u64 == *points
        });
        lab.fill(&database).await;
    }
    let spec = InfluxDbSource {
        databases: lab.all().await,
        ..InfluxDbSource::default()
    };
    let export = lab.export(spec, &now()).await;
    let (host, port) = lab.b.host_and_port();
    let directory = tempfile::tempdir().unwrap();
    // What the server loses from memory (see `Lab::fill`) is imported again.
    for _ in 0..2 {
        for (at, stored) in export.parts.iter().enumerate() {
            let path = directory.path().join(format!("{at}.lp"));
            std::fs::write(&path, &stored.file).unwrap();
            let done = Command::new(&cli)
                .args(["-host", &host, "-port", &port, "-import", "-path"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        let mut seen = 0;
        for database in lab.b.databases(&lab.prefix).await {
            seen += lab.b.rows(&database).await;
        }
        if seen == export.records() {
            break;
        }
    }
    // The importer makes only what a file speaks of.
    let with_parts: BTreeSet<&String> = export
        .parts
        .iter()
        .map(|stored| &stored.part.name["database"])
        .collect();
    assert!(with_parts.len() > 20);
    for database in with_parts {
        let (mut a, mut b) = (lab.a.picture(database).await, lab.b.picture(database).await);
        a.remove("policies");
        b.remove("policies");
        assert_eq!(a, b, "{database:?}");
    }
    lab.clean().await;
}

#[tokio::test]
async fn fields_of_several_types_keep_each_of_them() {
    let Some(lab) = Lab::take("mixed").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    lab.a
        .ask(&format!("CREATE DATABASE {}", quote(&name)))
        .await;
    let week = 604_800_000_000_000i64;
    for (at, value) in ["9007199254740993i", "1.5", "\"text\"", "t", "-7i"]
        .iter()
        .enumerate()
    {
        let time = i64::try_from(at).unwrap() * 4 * week;
        lab.a
            .write(
                &name,
                "autogen",
                format!("m,t=a v={value},w={at} {time}\n").into(),
            )
            .await;
    }
    let moved = lab
        .copy(&[whole(name.clone())], ImportPlan::default())
        .await;
    let file = String::from_utf8_lossy(&moved.export.parts[0].file).into_owned();
    for value in [
        "v=9007199254740993i,",
        "v=1.5,",
        "v=\"text\",",
        "v=t,",
        "v=-7i,",
    ] {
        assert!(file.contains(value), "{value}: {file}");
    }
    assert_eq!(moved.records(), 5);
    moved.verify_all().await;
    lab.clean().await;
}

#[tokio::test]
async fn a_large_measurement_goes_round_in_slices() {
    const POINTS: usize = 40_000;
    let Some(lab) = Lab::take("slices").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    // Some points have no host, and `a` has far too many values to be asked for one by one.
    let hosts = [
        ",host=plain",
        ",host=it's",
        ",host=back\\slash",
        ",host=two\\ words",
        ",host=\"q\"",
        ",host=ü",
        "",
    ];
    for start in (0..POINTS).step_by(5000) {
        let mut lines = String::new();
        for at in start..start + 5000 {
            let host = hosts[at % hosts.len()];
            lines.push_str(&format!("m,a={}{host} v={at}i {at}\n", at % 2000));
        }
        lab.a.write(&db, "autogen", lines.into()).await;
    }
    let moved = lab.copy(&[whole(db.clone())], ImportPlan::default()).await;
    assert_eq!(moved.records(), POINTS as u64);
    let file = String::from_utf8_lossy(&moved.export.parts[0].file).into_owned();
    let host_of = |line: &str| Some(line.split_once(",host=")?.1.split_once(" v=")?.0.to_owned());
    let mut slices: Vec<Option<String>> = file
        .lines()
        .filter(|line| line.starts_with("m,"))
        .map(host_of)
        .collect();
    slices.dedup();
    assert_eq!(slices.len(), hosts.len(), "{slices:?}");
    let (a, b) = (lab.a.picture(&db).await, lab.b.picture(&db).await);
    assert_eq!(a, b);
    moved.verify_all().await;
    lab.clean().await;
}

#[tokio::test]
async fn what_the_target_cannot_take_is_counted_by_reason() {
    let Some(lab) = Lab::take("refuse").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let mut lines = String::new();
    for at in 0..500 {
        let time = now - at * 60_000_000_000;
        lines.push_str(&format!("m,h=a{} v={at}i,w=1 {time}\n", at % 3));
    }
    lab.a.write(&db, "autogen", lines.into()).await;
    // The target keeps four hours, and has one of the series with another type of field.
    lab.b
        .ask(&format!(
            "CREATE DATABASE {db} WITH DURATION 4h SHARD DURATION 1h NAME autogen"
        ))
        .await;
    lab.b
        .write(&db, "autogen", format!("m,h=x v=\"text\" {now}\n").into())
        .await;
    let plan = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    };
    let moved = lab.copy(&[whole(db.clone())], plan).await;
    let rows = lab
        .b
        .ask(&format!("SELECT count(w) FROM {db}.autogen.m"))
        .await;
    let there: u64 = rows
        .split("[[0,")
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // The last shard takes what is in its hour as long as a point of the same batch is not expired.
    assert!(
        (moved.written..moved.written + 60).contains(&there),
        "{there} {}",
        moved.written
    );
    assert!(moved.expired > 200, "{}", moved.expired);
    assert!(moved.refused_records > 0);
    assert!(
        moved.refused[0].contains("field type conflict"),
        "{:?}",
        moved.refused
    );
    let part = &moved.export.parts[0];
    let found = moved
        .engine
        .contains_part(&part.part, &mut part.reader())
        .await
        .unwrap();
    assert_eq!(found.found, there, "{found:?}");
    assert_eq!(
        found.missing + found.different,
        moved.refused_records,
        "{found:?}"
    );
    assert_eq!(
        found.found + found.expired,
        moved.written + moved.expired,
        "{found:?}"
    );
    lab.clean().await;
}

#[tokio::test]
async fn contains_finds_what_is_missing_and_what_differs() {
    let Some(lab) = Lab::take("contains").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    // Many sparse series and one long one.
    let mut lines = String::new();
    for at in 0..300 {
        lines.push_str(&format!("m,h=a{at} v={at}i,s=\"x\" {at}\n"));
    }
    for at in 0..9000 {
        lines.push_str(&format!("m v={at}i {at}\n"));
    }
    lab.a.write(&db, "autogen", lines.into()).await;
    let moved = lab.copy(&[whole(db.clone())], ImportPlan::default()).await;
    moved.verify_all().await;
    let part = &moved.export.parts[0];
    let look = async || {
        moved
            .engine
            .contains_part(&part.part, &mut part.reader())
            .await
            .unwrap()
    };
    // More than the backup: further points, series, tags and fields.
    let more = "m,h=a1,z=1 v=1i 1\nm,h=new v=1i 5\nm v=1i 100000\nm,h=a2 further=1 2\n";
    lab.b.write(&db, "autogen", more.into()).await;
    let found = look().await;
    assert_eq!(
        (found.found, found.missing, found.different),
        (9300, 0, 0),
        "{found:?}"
    );
    assert_ne!(
        moved.engine.fingerprint_part(&part.part).await.unwrap(),
        part.part.fingerprint.unwrap()
    );
    lab.b
        .write(&db, "autogen", "m v=-1i 4000\nm,h=a7 s=\"y\" 7\n".into())
        .await;
    lab.b.ask_in(&db, "DELETE FROM \"m\" WHERE h = 'a9'").await;
    let found = look().await;
    assert_eq!(
        (found.found, found.missing, found.different),
        (9297, 1, 2),
        "{found:?}"
    );
    assert_eq!(found.examples.len(), 3, "{found:?}");
    lab.clean().await;
}

#[tokio::test]
async fn replace_drops_what_it_writes_and_nothing_else() {
    let Some(lab) = Lab::take("replace").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    for server in [&lab.a, &lab.b] {
        server.ask(&format!("CREATE DATABASE {db}")).await;
    }
    lab.a.write(&db, "autogen", "m v=1 1\n".into()).await;
    lab.b
        .write(&db, "autogen", "m v=9 9\nother v=1 1\n".into())
        .await;
    let plan = ImportPlan {
        conflict_policy: ConflictPolicy::Replace,
        ..ImportPlan::default()
    };
    let moved = lab.copy(&[whole(db.clone())], plan.clone()).await;
    moved.verify_all().await;
    let other = lab
        .b
        .ask(&format!("SELECT * FROM {db}.autogen.other"))
        .await;
    assert!(other.contains("[1,1]"), "{other}");

    // The measurement also has points in a retention policy that the backup knows nothing of.
    lab.b
        .ask(&format!(
            "CREATE RETENTION POLICY keep ON {db} DURATION INF REPLICATION 1"
        ))
        .await;
    lab.b.write(&db, "keep", "m v=5 5\n".into()).await;
    let engine = lab.target(&plan);
    let error = engine
        .prepare_import(&plan, &moved.export.plan.structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupported);
    assert!(error.to_string().contains("\"keep\""), "{error}");
    let kept = lab.b.ask(&format!("SELECT * FROM {db}.keep.m")).await;
    assert!(kept.contains("[5,5]"), "{kept}");
    lab.clean().await;
}

#[tokio::test]
async fn a_drill_makes_its_own_databases_and_drops_only_those() {
    let Some(lab) = Lab::take("drill").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    lab.a.write(&db, "autogen", "m v=1 1\n".into()).await;
    let query = format!(
        "CREATE CONTINUOUS QUERY cq ON {db} BEGIN SELECT mean(v) INTO {db}.autogen.o FROM {db}.autogen.m GROUP BY time(1h) END"
    );
    lab.a.ask(&query).await;
    lab.b.ask(&format!("CREATE DATABASE {db}")).await;
    lab.b.write(&db, "autogen", "live v=1 1\n".into()).await;
    let drill = format!("{}drill_1_", lab.prefix);
    let plan = ImportPlan {
        drill_prefix: Some(drill.clone()),
        ..ImportPlan::default()
    };
    let moved = lab.copy(&[whole(db.clone())], plan.clone()).await;
    moved.verify_all().await;
    let structure = moved.export.plan.structure.clone();
    // The same run may go on; another one may not.
    moved
        .engine
        .prepare_import(&plan, &structure)
        .await
        .unwrap();
    let error = lab
        .target(&plan)
        .prepare_import(&plan, &structure)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    assert!(
        !lab.b
            .ask("SHOW CONTINUOUS QUERIES")
            .await
            .contains("\"cq\"")
    );
    let no_drill = moved
        .engine
        .drop_drill(&ImportPlan::default(), &structure)
        .await
        .unwrap_err();
    assert_eq!(no_drill.reason(), Reason::NotSupported);
    moved.engine.drop_drill(&plan, &structure).await.unwrap();
    assert_eq!(
        lab.b.databases(&lab.prefix).await,
        std::slice::from_ref(&db)
    );
    assert!(
        lab.b
            .ask(&format!("SELECT * FROM {db}.autogen.live"))
            .await
            .contains("[1,1]")
    );
    lab.clean().await;
}

#[tokio::test]
async fn structure_and_names_come_along() {
    let Some(lab) = Lab::take("structure").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a
        .ask(&format!(
            "CREATE DATABASE {db} WITH DURATION 52w SHARD DURATION 1d NAME \"the year\""
        ))
        .await;
    lab.a
        .ask(&format!(
            "CREATE RETENTION POLICY month ON {db} DURATION 30d REPLICATION 1 DEFAULT"
        ))
        .await;
    let query = format!(
        "CREATE CONTINUOUS QUERY \"c q\" ON {db} RESAMPLE EVERY 1h BEGIN SELECT mean(v) INTO {db}.\"the year\".o FROM {db}.month.m WHERE x =~ /a;b'/ GROUP BY time(1h) END"
    );
    lab.a.ask(&query).await;
    let moved = lab.copy(&[whole(db.clone())], ImportPlan::default()).await;
    assert_eq!(moved.records(), 0);
    assert_eq!(lab.a.picture(&db).await, lab.b.picture(&db).await);
    let cqs = |text: String| {
        text.split(&format!("\"{db}\""))
            .nth(1)
            .unwrap()
            .split("name\":")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        cqs(lab.a.ask("SHOW CONTINUOUS QUERIES").await),
        cqs(lab.b.ask("SHOW CONTINUOUS QUERIES").await)
    );
    // Again: nothing is in the way. Under another name: a second database.
    let again = ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    };
    lab.copy(&[whole(db.clone())], again).await;
    let renamed = format!("{}renamed", lab.prefix);
    let plan = ImportPlan {
        remap: vec![Remap {
            from: db.clone(),
            to: renamed.clone(),
        }],
        ..ImportPlan::default()
    };
    lab.copy(&[whole(db.clone())], plan).await;
    assert_eq!(lab.b.databases(&lab.prefix).await, [db.clone(), renamed]);
    lab.clean().await;
}

#[tokio::test]
async fn what_the_spec_names_must_be_there() {
    let Some(lab) = Lab::take("names").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    lab.a
        .write(&db, "autogen", "m v=1 1\nn v=1 1\n".into())
        .await;
    let with = |policies: &[&str], measurements: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut database = whole(db.clone());
        database.retention_policies = owned(policies);
        database.measurements = owned(measurements);
        InfluxDbSource {
            databases: vec![database],
            ..InfluxDbSource::default()
        }
    };
    for (spec, what) in [
        (
            InfluxDbSource {
                databases: vec![whole("nowhere".into())],
                ..InfluxDbSource::default()
            },
            "\"nowhere\"",
        ),
        (with(&["none"], &[]), "\"none\""),
        (with(&[], &["x"]), "\"x\""),
    ] {
        let error = lab.source(spec).plan_export(&now()).await.unwrap_err();
        assert_eq!(error.reason(), Reason::DatabaseNotFound);
        assert!(error.to_string().contains(what), "{error}");
    }
    let twice = InfluxDbSource {
        databases: vec![whole(db.clone()), whole(db.clone())],
        ..InfluxDbSource::default()
    };
    let error = lab.source(twice).plan_export(&now()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupported);
    let some = lab.export(with(&["autogen"], &["n"]), &now()).await;
    assert_eq!(some.parts.len(), 1);
    let engine = lab.target(&ImportPlan::default());
    assert_eq!(
        engine.target_state(&some.parts[0].part).await.unwrap(),
        TargetState::Empty
    );
    lab.clean().await;
}
