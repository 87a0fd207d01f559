//! Two servers, a copy from one to the other through the engine, and a look at both without it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::engines::{
    InfluxDbDatabase, InfluxDbSource, InfluxDbTarget, SourceSpec, TargetSpec,
};
use lifeboat::engine::{
    Access, Engine, ExportPlan, ExportRequest, ImportPlan, PartPlan, PartSummary, connect_source,
    connect_target,
};
use lifeboat::manifest::Part;
use lifeboat::transfer::{RecordSink, RecordSource, TransferError};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::generate::Database;

/// A server, spoken to without the engine.
pub struct Server {
    pub url: String,
    http: reqwest::Client,
}

impl Server {
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url: url.to_owned(),
            http,
        }
    }

    /// The answer to a query as its text.
    pub async fn ask(&self, query: &str) -> String {
        let form = [("q", query), ("epoch", "ns")];
        let answer = self
            .http
            .post(format!("{}/query", self.url))
            .form(&form)
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("\"error\""), "{query}: {text}");
        text
    }

    /// As [`Self::ask`], in a database.
    pub async fn ask_in(&self, database: &str, query: &str) -> String {
        let form = [("db", database), ("q", query)];
        let url = format!("{}/query", self.url);
        let answer = self.http.post(url).form(&form).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("\"error\""), "{query}: {text}");
        text
    }

    /// Host and port of its URL.
    pub fn host_and_port(&self) -> (String, String) {
        let (host, port) = self.url.rsplit_once(':').unwrap();
        (
            host.trim_start_matches("http://").to_owned(),
            port.to_owned(),
        )
    }

    /// The first column of a list.
    pub async fn list(&self, query: &str) -> Vec<String> {
        let json: Value = serde_json::from_str(&self.ask(query).await).unwrap();
        let rows = json["results"][0]["series"][0]["values"]
            .as_array()
            .cloned();
        rows.unwrap_or_default()
            .iter()
            .map(|row| row[0].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn databases(&self, prefix: &str) -> Vec<String> {
        let mut all = self.list("SHOW DATABASES").await;
        all.retain(|name| name.starts_with(prefix));
        all.sort();
        all
    }

    /// Everything that a database holds, as the server tells it, row by row.
    pub async fn picture(&self, database: &str) -> BTreeMap<String, String> {
        let quoted = quote(database);
        let mut picture = BTreeMap::new();
        let policies = format!("SHOW RETENTION POLICIES ON {quoted}");
        picture.insert("policies".to_owned(), self.sorted(&policies).await);
        for policy in self.list(&policies).await {
            let policy = quote(&policy);
            for measurement in self.list(&format!("SHOW MEASUREMENTS ON {quoted}")).await {
                let from = format!("{quoted}.{policy}.{}", quote(&measurement));
                let rows = self
                    .ask(&format!("SELECT *::field FROM {from} GROUP BY *"))
                    .await;
                if rows.contains("series") {
                    let types = self
                        .ask(&format!("SHOW FIELD KEYS ON {quoted} FROM {from}"))
                        .await;
                    picture.insert(from.clone(), rows);
                    picture.insert(format!("types of {from}"), types);
                }
            }
        }
        picture
    }

    /// How many rows a database has.
    pub async fn rows(&self, database: &str) -> u64 {
        let mut rows = 0;
        for (from, text) in self.picture(database).await {
            if from.starts_with('"') {
                let json: Value = serde_json::from_str(&text).unwrap();
                for series in json["results"][0]["series"].as_array().unwrap() {
                    rows += series["values"].as_array().unwrap().len() as u64;
                }
            }
        }
        rows
    }

    async fn sorted(&self, query: &str) -> String {
        let json: Value = serde_json::from_str(&self.ask(query).await).unwrap();
        let mut rows: Vec<String> = json["results"][0]["series"][0]["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        rows.sort();
        rows.join("\n")
    }

    /// Writes lines; all of them are acknowledged.
    pub async fn write(&self, database: &str, policy: &str, lines: Vec<u8>) {
        let answer = self
            .http
            .post(format!("{}/write", self.url))
            .query(&[("db", database), ("rp", policy), ("precision", "ns")])
            .body(lines.clone())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(
            status.is_success(),
            "{text}\n{}",
            String::from_utf8_lossy(&lines)
        );
    }
}

pub fn quote(name: &str) -> String {
    format!(
        "\"{}\"",
        name.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

/// One test at a time uses the servers: some export all that is there.
static SERVERS: Mutex<()> = Mutex::const_new(());

/// Two servers.
pub struct Lab {
    _alone: MutexGuard<'static, ()>,
    pub a: Server,
    pub b: Server,
    /// What the names of the test's databases begin with.
    pub prefix: String,
}

impl Lab {
    /// None where no servers are named.
    pub async fn take(test: &str) -> Option<Self> {
        let (Ok(a), Ok(b)) = (
            std::env::var("LIFEBOAT_TEST_INFLUX_A"),
            std::env::var("LIFEBOAT_TEST_INFLUX_B"),
        ) else {
            eprintln!("skipped: LIFEBOAT_TEST_INFLUX_A and _B name no servers");
            return None;
        };
        Some(Self {
            _alone: SERVERS.lock().await,
            a: Server::new(&a),
            b: Server::new(&b),
            prefix: format!("lb_{test}_"),
        })
    }

    /// Drops the test's databases.
    pub async fn clean(&self) {
        for server in [&self.a, &self.b] {
            for database in server.databases(&self.prefix).await {
                server
                    .ask(&format!("DROP DATABASE {}", quote(&database)))
                    .await;
            }
        }
    }

    /// Makes a database in A; how many points it has.
    ///
    /// The server frees the memory of idle shards every ten seconds (`Cache.Free`), and a first write
    /// that meets it is acknowledged, and not seen until the next start. With a thousand new shards
    /// that happens; so what is not seen is written again.
    pub async fn fill(&self, database: &Database) -> u64 {
        let name = quote(&database.name);
        self.a.ask(&format!("CREATE DATABASE {name}")).await;
        for (policy, clauses) in &database.policies {
            let statement = format!(
                "CREATE RETENTION POLICY {} ON {name} {clauses}",
                quote(policy)
            );
            self.a.ask(&statement).await;
        }
        let points = database.writes.iter().map(|(_, _, count)| count).sum();
        for _ in 0..3 {
            for (policy, lines, _) in &database.writes {
                self.a.write(&database.name, policy, lines.clone()).await;
            }
            if self.a.rows(&database.name).await == points {
                break;
            }
        }
        points
    }

    /// All of the test's databases in A, for a spec.
    pub async fn all(&self) -> Vec<InfluxDbDatabase> {
        let names = self.a.databases(&self.prefix).await;
        names.into_iter().map(whole).collect()
    }

    pub fn source(&self, spec: InfluxDbSource) -> Box<dyn Engine> {
        let influxdb = Some(InfluxDbSource {
            url: self.a.url.clone(),
            ..spec
        });
        connect_source(
            &SourceSpec {
                influxdb,
                ..SourceSpec::default()
            },
            &Access::default(),
        )
        .unwrap()
    }

    pub fn target(&self, plan: &ImportPlan) -> Box<dyn Engine> {
        let influxdb = Some(InfluxDbTarget {
            url: self.b.url.clone(),
            ..InfluxDbTarget::default()
        });
        let spec = TargetSpec {
            influxdb,
            ..TargetSpec::default()
        };
        connect_target(&spec, &Access::default(), plan).unwrap()
    }

    /// Exports databases of A.
    pub async fn export(&self, spec: InfluxDbSource, request: &ExportRequest) -> Export {
        let engine = self.source(spec);
        engine.probe().await.unwrap();
        let plan = engine.plan_export(request).await.unwrap();
        let mut parts = Vec::new();
        for part in &plan.parts {
            let mut file = Memory::default();
            let summary = engine.export_part(part, &mut file).await.unwrap();
            parts.push(stored(part, &summary, &file.bytes));
        }
        engine.finish_export(&plan).await.unwrap();
        Export { plan, parts }
    }

    /// Exports all databases of A, and keeps the test's own.
    pub async fn export_ours(&self, spec: InfluxDbSource, request: &ExportRequest) -> Export {
        let mut export = self.export(spec, request).await;
        let ours = |name: &BTreeMap<String, String>| name["database"].starts_with(&self.prefix);
        export.parts.retain(|stored| ours(&stored.part.name));
        export.plan.structure.retain(|part| ours(&part.name));
        export
    }

    /// Imports an export into B.
    pub async fn import(&self, export: Export, plan: ImportPlan) -> Moved {
        let engine = self.target(&plan);
        engine.probe().await.unwrap();
        engine
            .prepare_import(&plan, &export.plan.structure)
            .await
            .unwrap();
        let mut refused = Vec::new();
        let (mut written, mut expired, mut refused_records) = (0, 0, 0);
        for stored in &export.parts {
            let report = engine
                .import_part(&stored.part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(
                report.written + report.refused + report.expired,
                stored.part.records,
                "{:?}",
                stored.part.name
            );
            if engine.count_part(&stored.part).await.unwrap() < report.written {
                // As in `fill`: what the server lost from memory is written again.
                engine
                    .import_part(&stored.part, &mut stored.reader())
                    .await
                    .unwrap();
            }
            written += report.written;
            expired += report.expired;
            refused_records += report.refused;
            refused.extend(report.examples);
        }
        engine
            .finish_import(&plan, &export.plan.structure)
            .await
            .unwrap();
        Moved {
            warnings: export
                .parts
                .iter()
                .flat_map(|part| part.warnings.clone())
                .collect(),
            engine,
            export,
            refused,
            written,
            refused_records,
            expired,
        }
    }

    /// Exports and imports.
    pub async fn copy(&self, databases: &[InfluxDbDatabase], plan: ImportPlan) -> Moved {
        let spec = InfluxDbSource {
            databases: databases.to_vec(),
            ..InfluxDbSource::default()
        };
        self.import(self.export(spec, &now()).await, plan).await
    }
}

pub fn whole(name: String) -> InfluxDbDatabase {
    InfluxDbDatabase {
        name,
        ..InfluxDbDatabase::default()
    }
}

pub fn now() -> ExportRequest {
    ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: None,
    }
}

fn stored(part: &PartPlan, summary: &PartSummary, bytes: &[u8]) -> Stored {
    let mut file = part.header.to_vec();
    file.extend_from_slice(bytes);
    Stored {
        part: Part {
            kind: part.kind.clone(),
            name: part.name.clone(),
            attributes: part.attributes.clone(),
            records: summary.records,
            fingerprint: summary.fingerprint,
            ..Part::default()
        },
        warnings: summary.warnings.clone(),
        file,
    }
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
}

/// A part and its one file.
pub struct Stored {
    pub part: Part,
    pub warnings: Vec<String>,
    pub file: Vec<u8>,
}

impl Stored {
    pub fn reader(&self) -> Pieces<'_> {
        Pieces::new(&self.file, 7001)
    }
}

/// A finished import.
pub struct Moved {
    pub engine: Box<dyn Engine>,
    pub export: Export,
    pub warnings: Vec<String>,
    pub refused: Vec<String>,
    pub written: u64,
    pub refused_records: u64,
    pub expired: u64,
}

impl Moved {
    pub fn records(&self) -> u64 {
        self.export.records()
    }

    pub fn records_by_database(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for structure in &self.export.plan.structure {
            all.insert(structure.name["database"].clone(), 0);
        }
        for stored in &self.export.parts {
            *all.entry(stored.part.name["database"].clone()).or_default() += stored.part.records;
        }
        all
    }

    /// Checks of parts of which some are windows of event time.
    pub async fn verify_windows(&self) {
        let windows = self
            .export
            .parts
            .iter()
            .filter(|stored| !stored.part.attributes.is_empty());
        assert!(windows.count() > 0);
        self.verify_all().await;
    }

    /// Each check of each part.
    pub async fn verify_all(&self) {
        for stored in &self.export.parts {
            let part = &stored.part;
            assert_eq!(
                self.engine.count_part(part).await.unwrap(),
                part.records,
                "{:?}",
                part.name
            );
            let found = self
                .engine
                .contains_part(part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(found.found, part.records, "{:?} {found:?}", part.name);
            assert_eq!((found.missing, found.different), (0, 0));
            let fingerprint = self.engine.fingerprint_part(part).await.unwrap();
            assert_eq!(Some(fingerprint), part.fingerprint, "{:?}", part.name);
        }
    }
}

#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
}

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        assert_eq!(records.last(), Some(&b'\n'), "whole records");
        self.bytes.extend_from_slice(&records);
        Ok(())
    }
}

/// Gives bytes in pieces of any size.
pub struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Pieces<'a> {
    pub fn new(bytes: &'a [u8], size: usize) -> Self {
        Self { rest: bytes, size }
    }
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
