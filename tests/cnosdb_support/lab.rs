//! Two servers, a copy from one to the other through the engine, and a look at both without it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::engines::{
    CnosDbDatabase, CnosDbSource, CnosDbTarget, CnosDbTenant, SourceSpec, TargetSpec,
};
use lifeboat::engine::{
    Access, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan, PartPlan, PartSummary,
    ServerInfo, connect_source, connect_target,
};
use lifeboat::manifest::Part;
use lifeboat::transfer::{RecordSink, RecordSource, TransferError};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

/// A server, spoken to without the engine.
pub struct Server {
    pub url: String,
    http: reqwest::Client,
}

impl Server {
    fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url: url.to_owned(),
            http,
        }
    }

    /// The answer to a statement as JSON; an empty one is an empty list.
    pub async fn ask(&self, database: &str, statement: &str) -> Value {
        let answer = self
            .http
            .post(format!("{}/api/v1/sql", self.url))
            .query(&[("tenant", "cnosdb"), ("db", database)])
            .basic_auth("root", Some(""))
            .header("accept", "application/json")
            .body(statement.to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{statement}: {text}");
        if text.is_empty() {
            return Value::Array(Vec::new());
        }
        serde_json::from_str(&text).unwrap()
    }

    pub async fn write(&self, database: &str, precision: &str, lines: &str) {
        let answer = self
            .http
            .post(format!("{}/api/v1/write", self.url))
            .query(&[
                ("tenant", "cnosdb"),
                ("db", database),
                ("precision", precision),
            ])
            .basic_auth("root", Some(""))
            .body(lines.to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{text}");
    }

    pub async fn make(&self, database: &str, options: &str) {
        let name = quote(database);
        self.ask("public", &format!("CREATE DATABASE {name} WITH {options}"))
            .await;
    }

    pub async fn drop(&self, database: &str) {
        self.ask("public", &format!("DROP DATABASE {}", quote(database)))
            .await;
    }

    async fn list(&self, database: &str, statement: &str, column: &str) -> Vec<String> {
        let rows = self.ask(database, statement).await;
        let names = rows.as_array().unwrap().iter();
        names
            .map(|row| row[column].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn databases(&self) -> Vec<String> {
        self.list("public", "SHOW DATABASES", "database_name").await
    }

    /// Everything that a database holds, as the server tells it: each table's columns and rows.
    pub async fn picture(&self, database: &str) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        let options = format!("DESCRIBE DATABASE {}", quote(database));
        picture.insert(
            String::new(),
            self.ask(database, &options).await.to_string(),
        );
        for table in self.list(database, "SHOW TABLES", "table_name").await {
            let name = quote(&table);
            let columns = format!("DESCRIBE TABLE {name}");
            let rows = format!("SELECT * FROM {name} ORDER BY \"time\"");
            let (columns, rows) = (
                self.ask(database, &columns).await,
                self.ask(database, &rows).await,
            );
            let mut columns: Vec<String> = columns
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            columns.sort();
            let mut rows: Vec<String> = rows
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            rows.sort();
            picture.insert(table, format!("{columns:?}\n{rows:?}"));
        }
        picture
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One database of the first tenant.
pub fn named(database: &str) -> CnosDbTenant {
    CnosDbTenant {
        name: "cnosdb".into(),
        databases: vec![CnosDbDatabase {
            name: database.into(),
            tables: Vec::new(),
        }],
    }
}

/// A request for a full export.
pub fn now() -> ExportRequest {
    ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: None,
    }
}

/// One test at a time uses the servers.
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
            std::env::var("LIFEBOAT_TEST_CNOSDB_A"),
            std::env::var("LIFEBOAT_TEST_CNOSDB_B"),
        ) else {
            eprintln!("skipped: LIFEBOAT_TEST_CNOSDB_A and _B name no servers");
            return None;
        };
        let lab = Self {
            _alone: SERVERS.lock().await,
            a: Server::new(&a),
            b: Server::new(&b),
            prefix: format!("lb_{test}_"),
        };
        lab.clean().await;
        Some(lab)
    }

    /// Drops the test's databases.
    pub async fn clean(&self) {
        for server in [&self.a, &self.b] {
            for database in server.databases().await {
                if database.starts_with(&self.prefix) {
                    server.drop(&database).await;
                }
            }
        }
    }

    /// The first tenant, with the test's databases in A.
    pub async fn ours(&self) -> Vec<CnosDbTenant> {
        let names = self.a.databases().await.into_iter();
        let databases = names
            .filter(|name| name.starts_with(&self.prefix))
            .map(|name| CnosDbDatabase {
                name,
                tables: Vec::new(),
            })
            .collect();
        vec![CnosDbTenant {
            name: "cnosdb".into(),
            databases,
        }]
    }

    pub fn try_source(&self, spec: CnosDbSource) -> Result<Box<dyn Engine>, EngineError> {
        self.source_with(spec, &Access::default())
    }

    pub fn source_with(
        &self,
        spec: CnosDbSource,
        access: &Access,
    ) -> Result<Box<dyn Engine>, EngineError> {
        let cnosdb = Some(CnosDbSource {
            url: self.a.url.clone(),
            ..spec
        });
        let spec = SourceSpec {
            cnosdb,
            ..SourceSpec::default()
        };
        connect_source(&spec, access)
    }

    pub fn source(&self, spec: CnosDbSource) -> Box<dyn Engine> {
        self.try_source(spec).unwrap()
    }

    /// Asks A who it is, with a login from files.
    pub async fn probe_as(&self, user: &str, password: &str) -> Result<ServerInfo, EngineError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("username"), user).unwrap();
        std::fs::write(directory.path().join("password"), password).unwrap();
        let access = Access {
            credentials: Some(directory.path().to_owned()),
            ..Access::default()
        };
        let engine = self.source_with(CnosDbSource::default(), &access)?;
        engine.probe().await
    }

    pub fn target(&self, plan: &ImportPlan) -> Box<dyn Engine> {
        let cnosdb = Some(CnosDbTarget {
            url: self.b.url.clone(),
            ..CnosDbTarget::default()
        });
        let spec = TargetSpec {
            cnosdb,
            ..TargetSpec::default()
        };
        connect_target(&spec, &Access::default(), plan).unwrap()
    }

    pub async fn export(&self, tenants: Vec<CnosDbTenant>, request: &ExportRequest) -> Export {
        let spec = CnosDbSource {
            tenants,
            ..CnosDbSource::default()
        };
        self.export_by(spec, request).await
    }

    pub async fn export_by(&self, spec: CnosDbSource, request: &ExportRequest) -> Export {
        let engine = self.source(spec);
        engine.probe().await.unwrap();
        let plan = engine.plan_export(request).await.unwrap();
        let mut parts = Vec::new();
        for part in &plan.parts {
            let mut file = Memory::default();
            let summary = engine.export_part(part, &mut file).await.unwrap();
            parts.push(stored(part, &summary, file.bytes));
        }
        engine.finish_export(&plan).await.unwrap();
        Export { plan, parts }
    }

    /// Makes ready for an import, as a run of its own.
    pub async fn prepare(&self, export: &Export, plan: ImportPlan) -> Result<(), EngineError> {
        let engine = self.target(&plan);
        engine.prepare_import(&plan, &export.plan.structure).await
    }

    pub async fn import(&self, export: Export, plan: ImportPlan) -> Moved {
        let engine = self.target(&plan);
        engine.probe().await.unwrap();
        let structure = &export.plan.structure;
        engine.prepare_import(&plan, structure).await.unwrap();
        // A second attempt of the same run finds what the first one made.
        engine.prepare_import(&plan, structure).await.unwrap();
        let (mut written, mut expired, mut refused) = (0, 0, 0);
        let mut examples = Vec::new();
        for stored in &export.parts {
            let report = engine
                .import_part(&stored.part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(
                report.written + report.refused + report.expired,
                stored.part.records
            );
            written += report.written;
            expired += report.expired;
            refused += report.refused;
            examples.extend(report.examples);
        }
        engine.finish_import(&plan, structure).await.unwrap();
        Moved {
            engine,
            export,
            written,
            expired,
            refused,
            examples,
        }
    }

    pub async fn copy(&self, tenants: Vec<CnosDbTenant>, plan: ImportPlan) -> Moved {
        let export = self.export(tenants, &now()).await;
        self.import(export, plan).await
    }
}

/// A part and its file.
pub struct Stored {
    pub part: Part,
    pub file: Vec<u8>,
}

impl Stored {
    /// The file in pieces that end anywhere.
    pub fn reader(&self) -> Pieces {
        Pieces(
            self.file
                .chunks(1009)
                .map(Bytes::copy_from_slice)
                .rev()
                .collect(),
        )
    }
}

fn stored(plan: &PartPlan, summary: &PartSummary, file: Vec<u8>) -> Stored {
    Stored {
        part: Part {
            kind: plan.kind.clone(),
            name: plan.name.clone(),
            attributes: plan.attributes.clone(),
            records: summary.records,
            fingerprint: summary.fingerprint,
            files: Vec::new(),
        },
        file,
    }
}

/// What was exported.
pub struct Export {
    pub plan: ExportPlan,
    pub parts: Vec<Stored>,
}

impl Export {
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|stored| stored.part.records).sum()
    }
}

/// What was imported.
pub struct Moved {
    pub engine: Box<dyn Engine>,
    pub export: Export,
    pub written: u64,
    pub expired: u64,
    pub refused: u64,
    pub examples: Vec<String>,
}

impl Moved {
    pub fn records(&self) -> u64 {
        self.export.records()
    }

    /// Counts, content and fingerprints.
    pub async fn verify_all(&self) {
        for stored in &self.export.parts {
            let part = &stored.part;
            assert_eq!(self.engine.count_part(part).await.unwrap(), part.records);
            assert_eq!(
                self.engine.fingerprint_part(part).await.unwrap(),
                part.fingerprint.unwrap(),
                "{:?}",
                part.name
            );
        }
        self.verify_contains().await;
    }

    /// Each record of the backup is there.
    pub async fn verify_contains(&self) {
        for stored in &self.export.parts {
            let found = self
                .engine
                .contains_part(&stored.part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(found.found, stored.part.records, "{:?}", found.examples);
            assert_eq!(found.missing + found.different + found.expired, 0);
        }
    }
}

/// A sink that keeps all.
#[derive(Default)]
pub struct Memory {
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

/// A source of pieces.
pub struct Pieces(Vec<Bytes>);

#[async_trait]
impl RecordSource for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        Ok(self.0.pop())
    }
}
