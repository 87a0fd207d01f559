//! Two servers, and a copy from one to the other through the engine.

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::engines::{Elasticsearch, KuzzleSource, KuzzleTarget, SourceSpec, TargetSpec};
use lifeboat::engine::{
    Access, Engine, ExportPlan, ExportRequest, ImportPlan, ImportReport, connect_source,
    connect_target,
};
use lifeboat::manifest::Part;
use lifeboat::transfer::{RecordSink, RecordSource, TransferError};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::server::Server;

/// One test at a time uses the servers.
static SERVERS: Mutex<()> = Mutex::const_new(());

/// Two servers.
pub struct Lab {
    _alone: MutexGuard<'static, ()>,
    pub a: Server,
    pub b: Server,
    /// What the names of the test's indices have in them.
    pub mark: String,
}

impl Lab {
    /// None where no servers are named.
    pub async fn take(test: &str) -> Option<Self> {
        let (Ok(a), Ok(b)) = (
            std::env::var("LIFEBOAT_TEST_KUZZLE_A"),
            std::env::var("LIFEBOAT_TEST_KUZZLE_B"),
        ) else {
            eprintln!("skipped: LIFEBOAT_TEST_KUZZLE_A and _B name no servers");
            return None;
        };
        let lab = Self {
            _alone: SERVERS.lock().await,
            a: Server::new(&a),
            b: Server::new(&b),
            mark: format!("lb-{test}-"),
        };
        lab.clean().await;
        Some(lab)
    }

    /// The name of a public collection of the test.
    pub fn index(&self, collection: &str) -> String {
        format!("&{}.{collection}", self.mark)
    }

    /// Deletes the test's indices.
    pub async fn clean(&self) {
        self.a.delete(&self.mark).await;
        self.b.delete(&self.mark).await;
    }

    pub fn spec(&self) -> KuzzleSource {
        KuzzleSource {
            elasticsearch: Elasticsearch {
                url: self.a.url.clone(),
                ..Elasticsearch::default()
            },
            include: vec![format!("^[&%]{}", self.mark)],
            ..KuzzleSource::default()
        }
    }

    pub fn target(&self, plan: &ImportPlan) -> Box<dyn Engine> {
        target_at(&self.b.url, plan)
    }

    /// Exports from A.
    pub async fn export(&self, spec: KuzzleSource) -> Export {
        let engine = source(spec);
        engine.probe().await.unwrap();
        let plan = engine.plan_export(&now()).await.unwrap();
        let mut parts = Vec::new();
        for part in &plan.parts {
            let mut file = Memory::default();
            let summary = engine.export_part(part, &mut file).await.unwrap();
            assert_eq!(summary.warnings, Vec::<String>::new());
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

    /// Imports into B.
    pub async fn import(&self, export: &Export, plan: &ImportPlan) -> Moved {
        let engine = self.target(plan);
        let mut all = ImportReport::default();
        engine.probe().await.unwrap();
        engine
            .prepare_import(plan, &export.plan.structure)
            .await
            .unwrap();
        for stored in &export.parts {
            let report = engine
                .import_part(&stored.part, &mut stored.reader())
                .await
                .unwrap();
            assert_eq!(report.written + report.refused, stored.part.records);
            all.written += report.written;
            all.refused += report.refused;
            all.examples.extend(report.examples);
        }
        engine
            .finish_import(plan, &export.plan.structure)
            .await
            .unwrap();
        engine.clean_up().await.unwrap();
        Moved {
            engine,
            report: all,
        }
    }

    /// Whether both servers hold the same under these names, by their own words.
    pub async fn assert_same(&self, there: &str, here: &str) {
        let (a, b) = (self.a.documents(there).await, self.b.documents(here).await);
        assert_eq!(
            a.keys().collect::<Vec<_>>(),
            b.keys().collect::<Vec<_>>(),
            "{there}"
        );
        assert!(a == b, "documents of {there} differ in {here}");
    }
}

pub fn source(spec: KuzzleSource) -> Box<dyn Engine> {
    let spec = SourceSpec {
        kuzzle: Some(spec),
        ..SourceSpec::default()
    };
    connect_source(&spec, &Access::default()).unwrap()
}

pub fn target_at(url: &str, plan: &ImportPlan) -> Box<dyn Engine> {
    let spec = TargetSpec {
        kuzzle: Some(KuzzleTarget {
            elasticsearch: Elasticsearch {
                url: url.to_owned(),
                ..Elasticsearch::default()
            },
        }),
        ..TargetSpec::default()
    };
    connect_target(&spec, &Access::default(), plan).unwrap()
}

pub fn now() -> ExportRequest {
    ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: None,
    }
}

/// A document as its two lines of a bulk request.
pub fn document(id: &str, routing: Option<&str>, source: &str) -> String {
    let mut action = json!({"index": {"_id": id}});
    if let Some(routing) = routing {
        action["index"]["routing"] = json!(routing);
    }
    format!("{action}\n{source}\n")
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
    pub file: Vec<u8>,
}

impl Stored {
    pub fn index(&self) -> &str {
        &self.part.name["index"]
    }

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
    pub report: ImportReport,
}

impl Moved {
    /// All three checks, of all parts.
    pub async fn verify(&self, export: &Export) -> Result<(), String> {
        for stored in &export.parts {
            let part = &stored.part;
            let count = self
                .engine
                .count_part(part)
                .await
                .map_err(|error| error.to_string())?;
            if count != part.records {
                return Err(format!(
                    "{}: {count} documents of {}",
                    stored.index(),
                    part.records
                ));
            }
            let report = self
                .engine
                .contains_part(part, &mut stored.reader())
                .await
                .map_err(|error| error.to_string())?;
            if report.found != part.records || report.missing + report.different > 0 {
                return Err(format!("{}: {report:?}", stored.index()));
            }
            let found = self
                .engine
                .fingerprint_part(part)
                .await
                .map_err(|error| error.to_string())?;
            if Some(found) != part.fingerprint {
                return Err(format!("{}: the fingerprint differs", stored.index()));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
pub struct Memory {
    pub bytes: Vec<u8>,
}

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        assert_eq!(
            records.last().copied().unwrap_or(b'\n'),
            b'\n',
            "whole records"
        );
        self.bytes.extend_from_slice(&records);
        Ok(())
    }
}

/// Gives bytes in pieces that are cut anywhere.
pub struct Pieces<'a> {
    pub rest: &'a [u8],
    pub size: usize,
}

#[async_trait]
impl RecordSource for Pieces<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let (piece, rest) = self.rest.split_at(self.rest.len().min(self.size));
        self.rest = rest;
        Ok((!piece.is_empty()).then(|| Bytes::copy_from_slice(piece)))
    }
}
