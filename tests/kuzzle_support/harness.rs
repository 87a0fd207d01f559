//! Two servers, a copy from one to the other through the engine, and a look at both without it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use lifeboat::api::engines::{Elasticsearch, KuzzleSource, KuzzleTarget, SourceSpec, TargetSpec};
use lifeboat::engine::{
    Access, Engine, ExportPlan, ExportRequest, ImportPlan, ImportReport, connect_source,
    connect_target,
};
use lifeboat::manifest::Part;
use lifeboat::transfer::{RecordSink, RecordSource, TransferError};
use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};
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

    /// Status and text of an answer.
    pub async fn say(&self, method: Method, path: &str, body: impl Into<String>) -> (u16, String) {
        let answer = self
            .http
            .request(method, format!("{}/{path}", self.url))
            .header("content-type", "application/json")
            .body(body.into())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// An answer that is no error.
    pub async fn ask(&self, method: Method, path: &str, body: impl Into<String>) -> Value {
        let (status, text) = self.say(method, path, body).await;
        assert!(status < 300, "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn make(&self, index: &str, body: Value) {
        self.ask(Method::PUT, &escape(index), body.to_string())
            .await;
    }

    /// Writes documents, each its action line and its content; all of them are acknowledged.
    pub async fn write(&self, index: &str, documents: &str) {
        let path = format!("{}/_bulk?refresh=true", escape(index));
        let answer = self.ask(Method::POST, &path, documents).await;
        assert_eq!(answer["errors"], false, "{answer}");
    }

    pub async fn count(&self, index: &str) -> u64 {
        let index = escape(index);
        self.ask(Method::POST, &format!("{index}/_refresh"), "")
            .await;
        let answer = self.ask(Method::GET, &format!("{index}/_count"), "").await;
        answer["count"].as_u64().unwrap()
    }

    pub async fn indices(&self, prefix: &str) -> Vec<String> {
        let answer = self
            .ask(
                Method::GET,
                "_all/_settings/index.uuid?expand_wildcards=all",
                "",
            )
            .await;
        let names = answer.as_object().unwrap().keys();
        names
            .filter(|name| name.contains(prefix))
            .cloned()
            .collect()
    }

    /// All documents of an index, by id and routing, with their content as the server tells it.
    pub async fn documents(&self, index: &str) -> BTreeMap<(String, Option<String>), String> {
        #[derive(serde::Deserialize)]
        struct Answer {
            hits: Hits,
        }
        #[derive(serde::Deserialize)]
        struct Hits {
            hits: Vec<Hit>,
        }
        #[derive(serde::Deserialize)]
        struct Hit {
            #[serde(rename = "_id")]
            id: String,
            #[serde(rename = "_routing")]
            routing: Option<String>,
            #[serde(rename = "_source")]
            source: Box<RawValue>,
        }
        self.count(index).await;
        let path = format!("{}/_search?size=10000", escape(index));
        let (status, text) = self.say(Method::POST, &path, "{}").await;
        assert_eq!(status, 200, "{text}");
        let answer: Answer = serde_json::from_str(&text).unwrap();
        let hits = answer.hits.hits.into_iter();
        hits.map(|hit| {
            let source = hit.source.get().replace(['\n', '\r'], " ");
            ((hit.id, hit.routing), source)
        })
        .collect()
    }

    /// Mappings, aliases, and the settings that people set.
    pub async fn definition(&self, index: &str) -> Value {
        let mut answer = self.ask(Method::GET, &escape(index), "").await;
        let mut definition = answer[index].take();
        let settings = definition["settings"]["index"].as_object_mut().unwrap();
        for own in ["creation_date", "uuid", "provided_name", "version"] {
            settings.remove(own);
        }
        definition
    }

    async fn delete(&self, prefix: &str) {
        for index in self.indices(prefix).await {
            self.ask(Method::DELETE, &escape(&index), "").await;
        }
    }
}

/// Escapes a name for a path.
pub fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

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
