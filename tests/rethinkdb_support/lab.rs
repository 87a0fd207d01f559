//! Two clusters, a copy from one to the other through the engine, and a look at both without it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::engines::{
    RethinkDbDatabase, RethinkDbSource, RethinkDbTarget, SourceSpec, TargetSpec,
};
use lifeboat::engine::{
    Access, Engine, ExportPlan, ExportRequest, ImportPlan, connect_source, connect_target,
};
use lifeboat::manifest::Part;
use lifeboat::transfer::{RecordSink, RecordSource, TransferError};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::driver::{Driver, table, term};

/// One test at a time uses the servers: some export all that is there.
static SERVERS: Mutex<()> = Mutex::const_new(());

pub struct Lab {
    _alone: MutexGuard<'static, ()>,
    pub a: String,
    pub b: String,
}

impl Lab {
    /// Two empty clusters. None where none are named.
    pub async fn take() -> Option<Self> {
        let (Ok(a), Ok(b)) = (
            std::env::var("LIFEBOAT_TEST_RETHINKDB_A"),
            std::env::var("LIFEBOAT_TEST_RETHINKDB_B"),
        ) else {
            eprintln!("skipped: LIFEBOAT_TEST_RETHINKDB_A and _B name no servers");
            return None;
        };
        let lab = Self {
            _alone: SERVERS.lock().await,
            a,
            b,
        };
        for address in [&lab.a, &lab.b] {
            let mut driver = Driver::connect(address).await;
            for name in databases(&mut driver).await {
                driver.must(&format!(r#"[58,["{name}"]]"#)).await;
            }
        }
        Some(lab)
    }

    pub async fn driver_a(&self) -> Driver {
        Driver::connect(&self.a).await
    }

    pub async fn driver_b(&self) -> Driver {
        Driver::connect(&self.b).await
    }

    pub fn source(&self, databases: &[RethinkDbDatabase]) -> Box<dyn Engine> {
        source(
            &format!("rethinkdb://{}", self.a),
            databases,
            &Access::default(),
        )
    }

    pub fn target(&self, spec: RethinkDbTarget, plan: &ImportPlan) -> Box<dyn Engine> {
        target(&format!("rethinkdb://{}", self.b), spec, plan)
    }

    /// Exports all of A.
    pub async fn export(&self) -> Export {
        export(self.source(&[]).as_ref()).await
    }

    /// Exports all of A in ranges of about so many rows.
    pub async fn export_in_ranges(&self, rows: u32) -> Export {
        let url = format!("rethinkdb://{}", self.a);
        export(in_ranges(&url, rows).as_ref()).await
    }

    /// Imports into B, in the order that a job has.
    pub async fn import(&self, export: &Export, spec: RethinkDbTarget, plan: &ImportPlan) -> Moved {
        let engine = self.target(spec, plan);
        engine.probe().await.unwrap();
        let mut moved = Moved {
            written: 0,
            deleted: 0,
            refused: Vec::new(),
            engine,
        };
        let structure = export.structure(moved.engine.as_ref());
        moved.engine.prepare_import(plan, &structure).await.unwrap();
        for stored in &export.parts {
            // As a job does: what has no rows has no files.
            if !moved.engine.wants(&stored.part) || stored.file.is_empty() {
                continue;
            }
            let report = moved
                .engine
                .import_part(&stored.part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(report.written + report.refused, stored.part.records);
            moved.written += report.written;
            moved.deleted += report.deleted;
            moved.refused.extend(report.examples);
        }
        moved.engine.finish_import(plan, &structure).await.unwrap();
        moved
    }
}

pub fn target(url: &str, spec: RethinkDbTarget, plan: &ImportPlan) -> Box<dyn Engine> {
    let rethinkdb = Some(RethinkDbTarget {
        url: url.to_owned(),
        ..spec
    });
    let spec = TargetSpec {
        rethinkdb,
        ..TargetSpec::default()
    };
    connect_target(&spec, &Access::default(), plan).unwrap()
}

pub fn source(url: &str, databases: &[RethinkDbDatabase], access: &Access) -> Box<dyn Engine> {
    let spec = RethinkDbSource {
        url: url.to_owned(),
        databases: databases.to_vec(),
        ..RethinkDbSource::default()
    };
    connect(spec, access)
}

/// All of a server, in ranges of about so many rows.
pub fn in_ranges(url: &str, rows: u32) -> Box<dyn Engine> {
    let spec = RethinkDbSource {
        url: url.to_owned(),
        range_rows: Some(rows),
        ..RethinkDbSource::default()
    };
    connect(spec, &Access::default())
}

fn connect(spec: RethinkDbSource, access: &Access) -> Box<dyn Engine> {
    let spec = SourceSpec {
        rethinkdb: Some(spec),
        ..SourceSpec::default()
    };
    connect_source(&spec, access).unwrap()
}

pub async fn export(engine: &dyn Engine) -> Export {
    engine.probe().await.unwrap();
    let plan = plan(engine).await;
    let mut parts = Vec::new();
    for part in &plan.parts {
        let mut file = Memory::default();
        let summary = engine.export_part(part, &mut file).await.unwrap();
        parts.push(Stored {
            part: Part {
                kind: part.kind.clone(),
                name: part.name.clone(),
                attributes: part.attributes.clone(),
                records: summary.records,
                fingerprint: summary.fingerprint,
                ..Part::default()
            },
            file: file.bytes,
        });
    }
    engine.finish_export(&plan).await.unwrap();
    Export { plan, parts }
}

pub async fn plan(engine: &dyn Engine) -> ExportPlan {
    let request = ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: None,
    };
    engine.plan_export(&request).await.unwrap()
}

/// Names of all databases but the system's.
pub async fn databases(driver: &mut Driver) -> Vec<String> {
    let names = driver.must("[59,[]]").await;
    let names = names[0].as_array().unwrap().iter();
    let names = names.map(|name| name.as_str().unwrap().to_owned());
    names.filter(|name| name != "rethinkdb").collect()
}

/// Everything that a cluster holds, as it tells it.
pub async fn picture(driver: &mut Driver) -> BTreeMap<String, Vec<Value>> {
    let mut picture = BTreeMap::new();
    for database in databases(driver).await {
        picture.insert(database.clone(), Vec::new());
        let tables = driver.must(&format!(r#"[62,[[14,["{database}"]]]]"#)).await;
        for name in tables[0].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let table = table(&database, name);
            let info = driver.must(&format!("[79,[{table}]]")).await;
            let key = info[0]["primary_key"].clone();
            let mut all = vec![key.clone()];
            let indexes = driver.must(&format!("[140,[{table}]]")).await;
            for index in indexes[0].as_array().unwrap() {
                all.extend(["index", "function", "multi", "geo"].map(|key| index[key].clone()));
            }
            all.extend(driver.must(&format!("[190,[{table}]]")).await);
            all.extend(
                driver
                    .must(&format!(r#"[41,[{table}],{{"index":{key}}}]"#))
                    .await,
            );
            picture.insert(format!("{database}.{name}"), all);
        }
    }
    picture
}

/// Makes a table with rows.
pub async fn fill(driver: &mut Driver, database: &str, name: &str, key: &str, rows: &[Value]) {
    let _ = driver.ask(&format!(r#"[57,["{database}"]]"#)).await;
    driver
        .must(&format!(
            r#"[60,[[14,["{database}"]],"{name}"],{{"primary_key":"{key}"}}]"#
        ))
        .await;
    for some in rows.chunks(200) {
        put(driver, database, name, some).await;
    }
}

pub async fn put(driver: &mut Driver, database: &str, name: &str, rows: &[Value]) {
    let rows = term(&Value::from(rows));
    let insert = format!(
        r#"[56,[{},{rows}],{{"conflict":"replace"}}]"#,
        table(database, name)
    );
    let answer = driver.must(&insert).await;
    assert_eq!(answer[0]["errors"], 0, "{answer:?}");
}

/// A finished export.
pub struct Export {
    pub plan: ExportPlan,
    pub parts: Vec<Stored>,
}

impl Export {
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|stored| stored.part.records).sum()
    }

    /// The parts without files that an engine wants.
    fn structure(&self, engine: &dyn Engine) -> Vec<Part> {
        let empty = self.parts.iter().filter(|stored| stored.file.is_empty());
        let parts = self.plan.structure.iter();
        let parts = parts.chain(empty.map(|stored| &stored.part));
        parts.filter(|part| engine.wants(part)).cloned().collect()
    }

    /// All rows of a table, range after range.
    pub fn rows(&self, table: &str) -> Vec<u8> {
        let parts = self.parts.iter();
        let parts = parts.filter(|stored| stored.part.name["table"] == table);
        parts.flat_map(|stored| stored.file.clone()).collect()
    }

    pub fn part(&self, table: &str) -> &Stored {
        let mut parts = self.parts.iter();
        parts
            .find(|stored| stored.part.name["table"] == table)
            .unwrap()
    }
}

/// A part and its one file.
pub struct Stored {
    pub part: Part,
    pub file: Vec<u8>,
}

impl Stored {
    pub fn reader(&self) -> Pieces<'_> {
        Pieces {
            rest: &self.file,
            size: 70_001,
        }
    }
}

/// A finished import.
pub struct Moved {
    pub engine: Box<dyn Engine>,
    pub written: u64,
    pub deleted: u64,
    pub refused: Vec<String>,
}

impl Moved {
    /// Each check of each part.
    pub async fn verify_all(&self, export: &Export) {
        for stored in &export.parts {
            let part = &stored.part;
            let count = self.engine.count_part(part).await.unwrap();
            assert_eq!(count, part.records, "{:?}", part.name);
            let found = self
                .engine
                .contains_part(part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(
                (found.found, found.missing, found.different),
                (part.records, 0, 0),
                "{:?} {:?}",
                part.name,
                found.examples
            );
            let fingerprint = self.engine.fingerprint_part(part).await.unwrap();
            assert_eq!(Some(fingerprint), part.fingerprint, "{:?}", part.name);
        }
    }
}

#[derive(Default)]
pub struct Memory {
    pub bytes: Vec<u8>,
}

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        assert_eq!(records.last(), Some(&b'\n'), "whole records");
        self.bytes.extend_from_slice(&records);
        Ok(())
    }
}

/// Runs terms on a server once some bytes went through.
pub struct Meddling<T> {
    inner: T,
    driver: Driver,
    terms: Vec<String>,
    pieces: usize,
}

impl<T> Meddling<T> {
    pub fn new(inner: T, driver: Driver, terms: &[&str]) -> Self {
        Self {
            inner,
            driver,
            terms: terms.iter().map(|&term| term.to_owned()).collect(),
            pieces: 0,
        }
    }

    async fn meddle(&mut self) {
        self.pieces += 1;
        if self.pieces == 2 {
            for term in std::mem::take(&mut self.terms) {
                self.driver.must(&term).await;
            }
        }
    }
}

#[async_trait]
impl RecordSink for Meddling<Memory> {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        self.meddle().await;
        self.inner.write(records).await
    }
}

#[async_trait]
impl RecordSource for Meddling<Pieces<'_>> {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        self.meddle().await;
        self.inner.next().await
    }
}

/// Gives bytes in pieces.
pub struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

#[async_trait]
impl RecordSource for Pieces<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (piece, rest) = self.rest.split_at(self.size.min(self.rest.len()));
        self.rest = rest;
        Ok(Some(Bytes::copy_from_slice(piece)))
    }
}
