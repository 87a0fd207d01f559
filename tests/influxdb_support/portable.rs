//! The method `portable`, against real servers and against the vendor's `influxd backup` and
//! `influxd restore`, where `LIFEBOAT_TEST_INFLUXD` names it.

use std::path::Path;
use std::process::Command;

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{
    Incremental, InfluxDbDatabase, InfluxDbMethod, InfluxDbSource, InfluxDbTarget, SourceSpec,
    TargetSpec,
};
use lifeboat::api::restore::{ConflictPolicy, Remap, Verify};
use lifeboat::engine::{
    Access, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan, ImportReport, TargetState,
    connect_source, connect_target,
};
use lifeboat::manifest::chain::ChainState;
use lifeboat::manifest::{Chain, Part};
use lifeboat::transfer::{RecordSink, TransferError};

use super::generate;
use super::harness::{Lab, Pieces, Server, now, quote, whole};

/// The backup service of a server.
fn service(server: &Server) -> String {
    format!("{}:8088", server.host_and_port().0)
}

fn source(lab: &Lab, spec: InfluxDbSource) -> Box<dyn Engine> {
    let influxdb = Some(InfluxDbSource {
        url: lab.a.url.clone(),
        method: Some(InfluxDbMethod::Portable),
        backup_address: Some(service(&lab.a)),
        ..spec
    });
    let spec = SourceSpec {
        influxdb,
        ..SourceSpec::default()
    };
    connect_source(&spec, &Access::default()).unwrap()
}

fn target(lab: &Lab, plan: &ImportPlan) -> Box<dyn Engine> {
    let influxdb = Some(InfluxDbTarget {
        url: lab.b.url.clone(),
        backup_address: Some(service(&lab.b)),
        ..InfluxDbTarget::default()
    });
    let spec = TargetSpec {
        influxdb,
        ..TargetSpec::default()
    };
    connect_target(&spec, &Access::default(), plan).unwrap()
}

/// An export, its files in a directory under the vendor's names.
struct Stored {
    plan: ExportPlan,
    parts: Vec<Part>,
    warnings: Vec<String>,
    directory: tempfile::TempDir,
}

#[derive(Default)]
struct Memory(Vec<u8>);

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        self.0.extend_from_slice(&records);
        Ok(())
    }
}

async fn export(lab: &Lab, spec: InfluxDbSource, request: &ExportRequest) -> Stored {
    let engine = source(lab, spec);
    assert!(engine.packs_itself());
    engine.probe().await.unwrap();
    let plan = engine.plan_export(request).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (mut parts, mut warnings) = (Vec::new(), Vec::new());
    for part in &plan.parts {
        let mut file = Memory::default();
        let summary = engine.export_part(part, &mut file).await.unwrap();
        let name = part.file_name.as_ref().unwrap();
        std::fs::write(directory.path().join(name), &file.0).unwrap();
        let mut attributes = part.attributes.clone();
        attributes.extend(summary.attributes);
        warnings.extend(summary.warnings);
        parts.push(Part {
            kind: part.kind.clone(),
            name: part.name.clone(),
            attributes,
            records: summary.records,
            ..Part::default()
        });
    }
    engine.finish_export(&plan).await.unwrap();
    Stored {
        plan,
        parts,
        warnings,
        directory,
    }
}

impl Stored {
    fn file(&self, part: &Part) -> Vec<u8> {
        let name = self
            .plan
            .parts
            .iter()
            .find(|planned| planned.name == part.name);
        let name = name.unwrap().file_name.as_ref().unwrap();
        std::fs::read(self.directory.path().join(name)).unwrap()
    }

    fn shards(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.kind == "shard")
    }

    fn values(&self) -> u64 {
        self.shards().map(|part| part.records).sum()
    }

    /// Imports and counts; what the target's engine said of each shard.
    async fn import(&self, lab: &Lab, plan: &ImportPlan) -> ImportReport {
        let engine = target(lab, plan);
        let report = self.import_with(engine.as_ref(), plan).await.unwrap();
        engine.clean_up().await.unwrap();
        report
    }

    async fn import_with(
        &self,
        engine: &dyn Engine,
        plan: &ImportPlan,
    ) -> Result<ImportReport, EngineError> {
        engine.probe().await?;
        for part in self.plan.structure.iter().chain(&self.parts) {
            if engine.wants(part) {
                engine.check_part(part).await?;
            }
        }
        engine.prepare_import(plan, &self.plan.structure).await?;
        let mut all = ImportReport::default();
        for part in self.shards() {
            let file = self.file(part);
            let report = engine
                .import_part(part, &mut Pieces::new(&file, 7001))
                .await?;
            assert_eq!(
                report.written + report.refused + report.expired,
                part.records
            );
            let found = engine.count_part(part).await?;
            assert_eq!(found, part.records - report.expired, "{:?}", part.name);
            all.written += report.written;
            all.refused += report.refused;
            all.expired += report.expired;
        }
        engine.finish_import(plan, &self.plan.structure).await?;
        Ok(all)
    }
}

fn all_of(databases: Vec<InfluxDbDatabase>) -> InfluxDbSource {
    InfluxDbSource {
        databases,
        ..InfluxDbSource::default()
    }
}

fn overwrite() -> ImportPlan {
    ImportPlan {
        conflict_policy: ConflictPolicy::Overwrite,
        ..ImportPlan::default()
    }
}

/// Runs the vendor's tool; false where it is not there.
fn vendor(arguments: &[&str], directory: &Path) -> bool {
    let Ok(program) = std::env::var("LIFEBOAT_TEST_INFLUXD") else {
        eprintln!("skipped: LIFEBOAT_TEST_INFLUXD names no server");
        return false;
    };
    let done = Command::new(program)
        .args(arguments)
        .arg(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    true
}

async fn assert_equal(lab: &Lab, databases: &[String]) {
    assert_eq!(lab.b.databases(&lab.prefix).await, databases);
    for database in databases {
        let (a, b) = (lab.a.picture(database).await, lab.b.picture(database).await);
        assert_eq!(a, b, "{database:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_databases_go_round_as_files_and_the_vendors_restore_reads_them() {
    let Some(lab) = Lab::take("files").await else {
        return;
    };
    lab.clean().await;
    for seed in 300..320 {
        lab.fill(&generate::database(&lab.prefix, seed)).await;
    }
    let stored = export(&lab, all_of(lab.all().await), &now()).await;
    assert_eq!(stored.warnings, Vec::<String>::new());
    let databases = lab.a.databases(&lab.prefix).await;
    assert_eq!(databases.len(), 20);

    let plan = ImportPlan::default();
    let report = stored.import(&lab, &plan).await;
    assert_eq!((report.written, report.refused), (stored.values(), 0));
    assert_equal(&lab, &databases).await;

    for database in &databases {
        lab.b
            .ask(&format!("DROP DATABASE {}", quote(database)))
            .await;
    }
    let host = service(&lab.b);
    if vendor(
        &["restore", "-portable", "-host", &host],
        stored.directory.path(),
    ) {
        assert_equal(&lab, &databases).await;
    }

    // Into databases that are there: nothing is lost, nothing comes twice, no database of ours stays.
    for database in databases.iter().step_by(2) {
        lab.b
            .ask(&format!("DROP DATABASE {}", quote(database)))
            .await;
    }
    for _ in 0..2 {
        let report = stored.import(&lab, &overwrite()).await;
        assert_eq!((report.written, report.refused), (stored.values(), 0));
        assert_equal(&lab, &databases).await;
    }
    assert_eq!(lab.b.databases("lifeboat_").await, Vec::<String>::new());
    lab.clean().await;
}

/// A point every four weeks, so that each has a shard of its own.
async fn history(lab: &Lab, name: &str, points: i64) {
    lab.a.ask(&format!("CREATE DATABASE {}", quote(name))).await;
    for at in 0..points {
        let time = 1_500_000_000_000_000_000 + at * 4 * 604_800_000_000_000;
        let line = format!("m,h=a v={at}i,s=\"x\" {time}\n");
        lab.a.write(name, "autogen", line.into_bytes()).await;
    }
}

#[tokio::test]
async fn parts_of_a_server_under_other_names() {
    let Some(lab) = Lab::take("some").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    history(&lab, &name, 3).await;
    let raw = format!(
        "CREATE RETENTION POLICY \"raw p\" ON {} DURATION INF REPLICATION 1",
        quote(&name)
    );
    lab.a.ask(&raw).await;
    lab.a
        .write(
            &name,
            "raw p",
            b"m v=1 1500000000000000000\nn v=2 1500000000000000001\n".to_vec(),
        )
        .await;

    let all = export(&lab, all_of(vec![whole(name.clone())]), &now()).await;
    assert_eq!(all.shards().count(), 4);
    let first = all.shards().next().unwrap().name["shard"].parse().unwrap();
    let one = InfluxDbDatabase {
        shards: vec![first],
        ..whole(name.clone())
    };
    let one = export(&lab, all_of(vec![one]), &now()).await;
    assert_eq!((one.shards().count(), one.values()), (1, 2));

    let policy = InfluxDbDatabase {
        retention_policies: vec!["raw p".to_owned()],
        ..whole(name.clone())
    };
    let policy = export(&lab, all_of(vec![policy]), &now()).await;
    assert_eq!((policy.shards().count(), policy.values()), (1, 2));
    let (new, kept) = (format!("{}new", lab.prefix), "kept".to_owned());
    let plan = ImportPlan {
        remap: vec![
            Remap {
                from: name.clone(),
                to: new.clone(),
            },
            Remap {
                from: format!("{name}/raw p"),
                to: kept.clone(),
            },
        ],
        ..ImportPlan::default()
    };
    policy.import(&lab, &plan).await;
    let rows = lab
        .b
        .ask(&format!("SELECT v FROM {}.{}.m", quote(&new), quote(&kept)))
        .await;
    assert!(rows.contains("1500000000000000000"), "{rows}");
    assert_eq!(lab.b.rows(&new).await, 2);

    // Replace drops whole databases, so it takes a backup of a whole one.
    let replace = ImportPlan {
        conflict_policy: ConflictPolicy::Replace,
        ..plan.clone()
    };
    let engine = target(&lab, &replace);
    let error = policy
        .import_with(engine.as_ref(), &replace)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupported, "{error}");
    assert_eq!(lab.b.rows(&new).await, 2);
    lab.b.write(&new, "kept", b"other v=1 1\n".to_vec()).await;
    all.import(&lab, &replace).await;
    assert_eq!(lab.b.rows(&new).await, 5);

    for absent in [
        InfluxDbDatabase {
            shards: vec![4_000_000],
            ..whole(name.clone())
        },
        InfluxDbDatabase {
            retention_policies: vec!["no".to_owned()],
            ..whole(name.clone())
        },
        whole("no such database".to_owned()),
    ] {
        let engine = source(&lab, all_of(vec![absent]));
        let error = engine.plan_export(&now()).await.unwrap_err();
        assert_eq!(error.reason(), Reason::DatabaseNotFound, "{error}");
    }
    lab.clean().await;
}

#[tokio::test]
async fn an_increment_has_the_shards_that_changed() {
    let Some(lab) = Lab::take("since").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    history(&lab, &name, 4).await;
    let spec = || InfluxDbSource {
        incremental: Some(Incremental {
            overlap: Some("0s".into()),
            ..Incremental::default()
        }),
        ..all_of(vec![whole(name.clone())])
    };
    let request = now();
    let full = export(&lab, spec(), &request).await;
    assert_eq!((full.shards().count(), &full.plan.chain), (4, &Chain::Full));
    full.import(&lab, &ImportPlan::default()).await;
    // What the full export had the server write down is later than its consistency time.
    let written_down = jiff::Timestamp::now();
    let next = ExportRequest {
        // The vendor's names have seconds, and no two backups of a chain may have one name.
        consistency_time: written_down + jiff::SignedDuration::from_secs(1),
        previous: Some(ChainState {
            base: "s1".to_owned(),
            base_consistency: request.consistency_time,
            newest: "s1".to_owned(),
            newest_consistency: written_down,
            newest_chain: Chain::Full,
            scope: full.plan.scope.clone(),
            server_id: full.plan.server.server_id.clone(),
        }),
    };
    lab.a
        .write(
            &name,
            "autogen",
            b"m,h=a v=70i 1500000000000000001\nnew v=true 1500000000000000002\n".to_vec(),
        )
        .await;
    lab.a
        .write(&name, "autogen", b"new v=true 1\n".to_vec())
        .await;
    let window = export(&lab, spec(), &next).await;
    assert!(matches!(window.plan.chain, Chain::Incremental { .. }));
    assert_eq!(window.shards().count(), 2);
    window.import(&lab, &overwrite()).await;
    assert_equal(&lab, std::slice::from_ref(&name)).await;

    // The vendor's tool takes the newest file of each shard from one directory.
    for entry in std::fs::read_dir(window.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, full.directory.path().join(path.file_name().unwrap())).unwrap();
    }
    lab.b.ask(&format!("DROP DATABASE {}", quote(&name))).await;
    let host = service(&lab.b);
    if vendor(
        &["restore", "-portable", "-host", &host],
        full.directory.path(),
    ) {
        assert_equal(&lab, std::slice::from_ref(&name)).await;
    }
    lab.clean().await;
}

#[tokio::test]
async fn a_drill_leaves_nothing_and_a_standby_keeps_what_it_has() {
    let Some(lab) = Lab::take("drill").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    history(&lab, &name, 2).await;
    let stored = export(&lab, all_of(vec![whole(name.clone())]), &now()).await;
    let plan = ImportPlan {
        drill_prefix: Some("lifeboat_drill_0a1b_".to_owned()),
        ..ImportPlan::default()
    };
    let engine = target(&lab, &plan);
    stored.import_with(engine.as_ref(), &plan).await.unwrap();
    // The next backup of a chain comes on top, through a database to merge from.
    stored.import_with(engine.as_ref(), &plan).await.unwrap();
    assert_eq!(lab.b.databases("lifeboat_drill_0a1b_").await.len(), 2);
    // Another attempt, which knows nothing of the first.
    let again = target(&lab, &plan);
    let error = stored.import_with(again.as_ref(), &plan).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty, "{error}");
    for _ in 0..2 {
        again
            .drop_drill(&plan, &stored.plan.structure)
            .await
            .unwrap();
    }
    assert_eq!(lab.b.databases("lifeboat_").await, Vec::<String>::new());

    // A standby with points of its own, one of another type.
    lab.b
        .ask(&format!("CREATE DATABASE {}", quote(&name)))
        .await;
    lab.b
        .write(
            &name,
            "autogen",
            b"own v=1 1\nm,h=a s=5i 1500000000000000001\n".to_vec(),
        )
        .await;
    let engine = target(&lab, &overwrite());
    let part = stored.shards().next().unwrap();
    assert!(matches!(
        engine.target_state(part).await.unwrap(),
        TargetState::Holds(_)
    ));
    engine
        .prepare_import(&overwrite(), &stored.plan.structure)
        .await
        .unwrap();
    let file = stored.file(part);
    let report = engine
        .import_part(part, &mut Pieces::new(&file, 7001))
        .await
        .unwrap();
    assert!(
        report.refused > 0 && report.examples[0].contains("type"),
        "{report:?}"
    );
    engine.clean_up().await.unwrap();
    assert_eq!(lab.b.databases("lifeboat_").await, Vec::<String>::new());
    lab.clean().await;
}

#[tokio::test]
async fn what_was_deleted_and_what_is_too_old() {
    let Some(lab) = Lab::take("gone").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    lab.a
        .ask(&format!("CREATE DATABASE {}", quote(&name)))
        .await;
    lab.a
        .write(
            &name,
            "autogen",
            b"m,h=a v=1 1\nm,h=b v=2 1\nm,h=b v=3 2\n".to_vec(),
        )
        .await;
    // Its files are written down, so that a delete leaves them and notes what is gone.
    export(&lab, all_of(vec![whole(name.clone())]), &now()).await;
    lab.a.ask_in(&name, "DELETE FROM m WHERE h = 'a'").await;
    let stored = export(&lab, all_of(vec![whole(name.clone())]), &now()).await;
    assert_eq!(stored.values(), 2);
    assert!(
        stored.warnings[0].contains("brings them back"),
        "{:?}",
        stored.warnings
    );
    stored.import(&lab, &ImportPlan::default()).await;
    assert_eq!(lab.b.rows(&name).await, 3);

    let short = format!("{}short", lab.prefix);
    history(&lab, &short, 2).await;
    let stored = export(&lab, all_of(vec![whole(short.clone())]), &now()).await;
    lab.b
        .ask(&format!(
            "CREATE DATABASE {} WITH DURATION 1w NAME autogen",
            quote(&short)
        ))
        .await;
    let report = stored.import(&lab, &overwrite()).await;
    assert_eq!((report.written, report.expired), (0, 4));
    lab.clean().await;
}

#[tokio::test]
async fn what_can_not_be_is_said_before_anything_is_touched() {
    let Some(lab) = Lab::take("refused").await else {
        return;
    };
    lab.clean().await;
    let name = format!("{}db", lab.prefix);
    history(&lab, &name, 1).await;
    let stored = export(&lab, all_of(vec![whole(name.clone())]), &now()).await;
    // Two addresses, two servers.
    let spec = SourceSpec {
        influxdb: Some(InfluxDbSource {
            url: lab.a.url.clone(),
            method: Some(InfluxDbMethod::Portable),
            backup_address: Some(service(&lab.b)),
            ..InfluxDbSource::default()
        }),
        ..SourceSpec::default()
    };
    let engine = connect_source(&spec, &Access::default()).unwrap();
    let error = engine.plan_export(&now()).await.unwrap_err();
    assert!(error.to_string().contains("different servers"), "{error}");
    // A target without the address, and checks that files can't have.
    let plan = ImportPlan::default();
    let engine = lab.target(&plan);
    let part = stored.shards().next().unwrap();
    let error = engine.check_part(part).await.unwrap_err();
    assert!(error.to_string().contains("backupAddress"), "{error}");
    assert!(engine.supports(Verify::Counts));
    // No backup service at all.
    let spec = SourceSpec {
        influxdb: Some(InfluxDbSource {
            url: lab.a.url.clone(),
            method: Some(InfluxDbMethod::Portable),
            backup_address: Some(lab.a.url.replace("http://", "")),
            ..InfluxDbSource::default()
        }),
        ..SourceSpec::default()
    };
    let engine = connect_source(&spec, &Access::default()).unwrap();
    let error = engine.probe().await.unwrap_err();
    assert!(error.to_string().contains("backup service"), "{error}");
    // Damaged files: the database is made, and nothing in it counts as written.
    let engine = target(&lab, &plan);
    engine
        .prepare_import(&plan, &stored.plan.structure)
        .await
        .unwrap();
    let mut file = stored.file(part);
    file.truncate(file.len() / 2);
    let error = engine
        .import_part(part, &mut Pieces::new(&file, 50))
        .await
        .unwrap_err();
    assert!(matches!(error, EngineError::BadBackup { .. }), "{error}");
    let whole_file = stored.file(part);
    let report = engine
        .import_part(part, &mut Pieces::new(&whole_file, 50))
        .await
        .unwrap();
    assert_eq!(report.written, part.records);
    assert_equal(&lab, std::slice::from_ref(&name)).await;
    lab.clean().await;
}
