//! A stand-in for a data system: tables in memory, a record a line (`key=value`), every call noted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::api::restore::{ConflictPolicy, Verify};
use crate::engine::{
    ContainsReport, Engine, EngineError, ExportPlan, ExportRequest, ImportPlan, ImportReport,
    PartPlan, PartSummary, ServerInfo, TargetState, VendorDump, part_file,
};
use crate::manifest::{Chain, Fingerprint, Part};
use crate::transfer::{Dump, RecordSink, RecordSource};

/// One table: records by key.
pub(super) type Table = BTreeMap<String, String>;

/// A data system in memory.
#[derive(Default)]
pub(super) struct StandInEngine {
    pub(super) server_id: String,
    pub(super) tables: Mutex<BTreeMap<String, Table>>,
    pub(super) calls: Mutex<Vec<String>>,
    /// Keys that the target refuses.
    pub(super) refuses: Vec<String>,
    /// The next exports are windows on top of what is in the bucket.
    pub(super) incremental: bool,
    /// The export of a table of this name writes half of it, says so (`half_way`), and waits for
    /// `go_on`.
    pub(super) hangs_in: Option<String>,
    pub(super) half_way: Notify,
    pub(super) go_on: Notify,
    /// The export or import of a table of this name fails, so many times.
    pub(super) breaks_in: Option<String>,
    pub(super) breaks: AtomicU32,
    /// The error's text.
    pub(super) break_text: String,
    /// Records that vanish after the import, before they are looked up.
    pub(super) loses: Option<String>,
    /// A record that is acknowledged and lost, but only the first time.
    pub(super) loses_once: Mutex<Option<String>>,
}

impl StandInEngine {
    pub(super) fn new(server_id: &str) -> Self {
        Self {
            server_id: server_id.to_owned(),
            break_text: "it broke".to_owned(),
            breaks: AtomicU32::new(u32::MAX),
            ..Self::default()
        }
    }

    pub(super) fn with_table(self, name: &str, records: usize) -> Self {
        let table = (0..records).map(|n| (format!("k{n:06}"), format!("value of {name} {n}")));
        self.with_records(name, table)
    }

    pub(super) fn with_records(
        self,
        name: &str,
        records: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let table = records.collect();
        self.tables.lock().unwrap().insert(name.to_owned(), table);
        self
    }

    pub(super) fn tables(&self) -> BTreeMap<String, Table> {
        self.tables.lock().unwrap().clone()
    }

    pub(super) fn called(&self, name: &str) -> bool {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .any(|call| call.split(' ').next() == Some(name))
    }

    /// Whether any call changed the target.
    pub(super) fn touched(&self) -> bool {
        ["prepare_import", "import_part", "finish_import"]
            .iter()
            .any(|name| self.called(name))
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn broken(&self, table: &str) -> Result<(), EngineError> {
        let left = |n: u32| n.checked_sub(1);
        if self.breaks_in.as_deref() == Some(table)
            && self.breaks.fetch_update(SeqCst, SeqCst, left).is_ok()
        {
            return Err(EngineError::Server {
                server: self.server_id.clone(),
                problem: self.break_text.clone(),
                retryable: true,
            });
        }
        Ok(())
    }

    fn table_of(&self, part: &Part) -> Table {
        let name = table_name(&part.name);
        let tables = self.tables.lock().unwrap();
        tables.get(&name).cloned().unwrap_or_default()
    }
}

fn table_name(name: &BTreeMap<String, String>) -> String {
    name.get("table").cloned().unwrap_or_default()
}

fn name_of(table: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("table".to_owned(), table.to_owned())])
}

async fn read_all(records: &mut dyn RecordSource) -> Result<Vec<(String, String)>, EngineError> {
    let mut text = Vec::new();
    while let Some(piece) = records.next().await? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

fn fingerprint(table: &Table) -> Fingerprint {
    let mut sum = Fingerprint::default();
    for (key, value) in table {
        sum.add(format!("{key}={value}").as_bytes());
    }
    sum
}

/// A dump of the stand-in's vendor: a file of lines a table.
struct StandInDump {
    dump: Dump,
    parts: Vec<Part>,
    warnings: Vec<String>,
}

impl VendorDump for StandInDump {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn records(&self, part: &Part) -> Result<Box<dyn RecordSource>, EngineError> {
        let file = self.dump.file(&part.files[0].path).unwrap();
        Ok(Box::new(self.dump.read(file)))
    }
}

#[async_trait]
impl Engine for StandInEngine {
    async fn probe(&self) -> Result<ServerInfo, EngineError> {
        self.note("probe".to_owned());
        Ok(ServerInfo {
            version: "1.0".to_owned(),
            server_id: self.server_id.clone(),
        })
    }

    async fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, EngineError> {
        self.note("plan_export".to_owned());
        let chain = match &request.previous {
            Some(previous) if self.incremental => Chain::Incremental {
                base: previous.base.clone(),
                previous: previous.newest.clone(),
                window_start: 0,
                window_end: None,
            },
            _ => Chain::Full,
        };
        let tables = self.tables();
        Ok(ExportPlan {
            server: self.probe().await?,
            method: "lineProtocol".to_owned(),
            scope: BTreeMap::new(),
            chain,
            structure: vec![Part {
                kind: "ddl".to_owned(),
                name: name_of("all"),
                ..Part::default()
            }],
            parts: tables
                .keys()
                .map(|table| PartPlan {
                    kind: "measurement".to_owned(),
                    name: name_of(table),
                    header: Bytes::from_static(b"# head\n"),
                    extension: "lp".to_owned(),
                    ..PartPlan::default()
                })
                .collect(),
            warnings: vec![],
        })
    }

    async fn export_part(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let name = table_name(&part.name);
        self.note(format!("export_part {name}"));
        self.broken(&name)?;
        let table = self.tables().remove(&name).unwrap_or_default();
        for (n, (key, value)) in table.iter().enumerate() {
            if self.hangs_in.as_deref() == Some(&name) && n * 2 == table.len() {
                self.half_way.notify_one();
                self.go_on.notified().await;
            }
            sink.write(format!("{key}={value}\n").into()).await?;
        }
        Ok(PartSummary {
            records: table.len() as u64,
            fingerprint: Some(fingerprint(&table)),
            ..PartSummary::default()
        })
    }

    async fn finish_export(&self, _: &ExportPlan) -> Result<(), EngineError> {
        self.note("finish_export".to_owned());
        Ok(())
    }

    async fn open_dump(&self, dump: Dump) -> Result<Box<dyn VendorDump>, EngineError> {
        self.note(format!("open_dump {}", dump.path()));
        let mut parts = vec![Part {
            kind: "ddl".to_owned(),
            name: name_of("all"),
            ..Part::default()
        }];
        for file in dump.files() {
            let mut reader = dump.read(file);
            let records = read_all(&mut reader).await?;
            parts.push(Part {
                kind: "measurement".to_owned(),
                name: name_of(&file.name),
                records: records.len() as u64,
                // Not every vendor's files let it be made.
                fingerprint: (!file.name.contains('-'))
                    .then(|| fingerprint(&records.into_iter().collect())),
                files: vec![part_file(file, reader.plain_size())],
                ..Part::default()
            });
        }
        Ok(Box::new(StandInDump {
            dump,
            parts,
            warnings: vec!["said of the dump".to_owned()],
        }))
    }

    async fn check_part(&self, part: &Part) -> Result<Vec<String>, EngineError> {
        self.note(format!("check_part {}", table_name(&part.name)));
        Ok(vec![format!("{} comes in", table_name(&part.name))])
    }

    async fn target_state(&self, part: &Part) -> Result<TargetState, EngineError> {
        let name = table_name(&part.name);
        self.note(format!("target_state {name}"));
        Ok(match self.table_of(part).len() {
            0 => TargetState::Empty,
            n => TargetState::Holds(format!("table {name} with {n} records")),
        })
    }

    async fn prepare_import(
        &self,
        plan: &ImportPlan,
        structure: &[Part],
    ) -> Result<(), EngineError> {
        self.note(format!(
            "prepare_import {:?} {}",
            plan.conflict_policy,
            structure.len()
        ));
        if plan.conflict_policy == ConflictPolicy::Replace {
            self.tables.lock().unwrap().clear();
        }
        Ok(())
    }

    async fn import_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ImportReport, EngineError> {
        let name = table_name(&part.name);
        self.note(format!("import_part {name}"));
        let records = read_all(records).await?;
        self.broken(&name)?;
        let mut report = ImportReport::default();
        let mut tables = self.tables.lock().unwrap();
        let table = tables.entry(name).or_default();
        for (key, value) in records {
            if self.refuses.contains(&key) {
                report.refused += 1;
                report.examples.push(format!("{key}: type conflict"));
            } else {
                report.written += 1;
                table.insert(key, value);
            }
        }
        if let Some(lost) = &self.loses {
            table.remove(lost);
        }
        let mut once = self.loses_once.lock().unwrap();
        if let Some(lost) = once.take_if(|lost| table.contains_key(lost)) {
            table.remove(&lost);
        }
        Ok(report)
    }

    fn supports(&self, _: Verify) -> bool {
        true
    }

    async fn count_part(&self, part: &Part) -> Result<u64, EngineError> {
        self.note("count_part".to_owned());
        Ok(self.table_of(part).len() as u64)
    }

    async fn contains_part(
        &self,
        part: &Part,
        records: &mut dyn RecordSource,
    ) -> Result<ContainsReport, EngineError> {
        self.note("contains_part".to_owned());
        let table = self.table_of(part);
        let mut report = ContainsReport::default();
        for (key, value) in read_all(records).await? {
            match table.get(&key) {
                Some(there) if *there == value => report.found += 1,
                Some(_) => {
                    report.different += 1;
                    report.examples.push(key);
                }
                None => {
                    report.missing += 1;
                    report.examples.push(key);
                }
            }
        }
        Ok(report)
    }

    async fn fingerprint_part(&self, part: &Part) -> Result<Fingerprint, EngineError> {
        self.note("fingerprint_part".to_owned());
        Ok(fingerprint(&self.table_of(part)))
    }

    async fn finish_import(&self, _: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        self.note("finish_import".to_owned());
        Ok(())
    }

    async fn drop_drill(&self, plan: &ImportPlan, _: &[Part]) -> Result<(), EngineError> {
        self.note(format!(
            "drop_drill {}",
            plan.drill_prefix.as_deref().unwrap_or_default()
        ));
        self.tables.lock().unwrap().clear();
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), EngineError> {
        self.note("clean_up".to_owned());
        Ok(())
    }
}
