use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::*;
use crate::api::conditions::Reason;
use crate::engine::{ByServer, CountRecords, EngineError, ImportReport, PartPlan, PartSummary};
use crate::job::by_server::Files;
use crate::job::progress::Progress;
use crate::manifest::{Part, PartFile};
use crate::transfer::Throttle;

/// A server that writes what it is told to and answers what it is told to.
struct Server {
    store: Arc<InMemory>,
    writes: Vec<(&'static str, &'static str)>,
    answers: u64,
    read: Mutex<Vec<String>>,
}

struct Lines(u64);

impl CountRecords for Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0 += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }

    fn records(self: Box<Self>) -> Result<u64, String> {
        Ok(self.0)
    }
}

#[async_trait]
impl ByServer for Server {
    async fn write_part(&self, _: &PartPlan, directory: &str) -> Result<PartSummary, EngineError> {
        for (name, text) in &self.writes {
            let key = format!("prefix/{directory}/{name}").into();
            let bytes = Bytes::from_static(text.as_bytes());
            self.store.put(&key, bytes.into()).await.unwrap();
        }
        Ok(PartSummary {
            records: self.answers,
            ..PartSummary::default()
        })
    }

    fn counter(
        &self,
        _: &PartPlan,
        size: u64,
        end: &[u8],
    ) -> Result<Box<dyn CountRecords>, EngineError> {
        assert_eq!(end.len() as u64, size.min(8));
        Ok(Box::new(Lines(0)))
    }

    async fn read_part(&self, _: &Part, directory: &str) -> Result<ImportReport, EngineError> {
        self.read.lock().unwrap().push(directory.to_owned());
        Ok(ImportReport {
            written: self.answers,
            ..ImportReport::default()
        })
    }
}

const DATA: &str = "lifeboat/v1/prod/iot/backups/one/data/one/run";
const STEM: &str = "parts/000002.again2";

struct Bench {
    bucket: Bucket,
    server: Server,
}

impl Bench {
    fn new(writes: &[(&'static str, &'static str)], answers: u64) -> Self {
        let bucket = Bucket::new();
        let server = Server {
            store: Arc::clone(&bucket.store),
            writes: writes.to_vec(),
            answers,
            read: Mutex::default(),
        };
        Self { bucket, server }
    }

    async fn write(&self) -> Result<(PartSummary, Vec<PartFile>), JobError> {
        let (throttle, progress) = (Throttle::unlimited(), Progress::default());
        let files = self.files(&throttle, &progress);
        files.write(&self.server, &PartPlan::default(), STEM).await
    }

    async fn read(&self, part: &Part) -> Result<ImportReport, JobError> {
        let (throttle, progress) = (Throttle::unlimited(), Progress::default());
        self.files(&throttle, &progress)
            .read(&self.server, part)
            .await
    }

    fn files<'a>(&'a self, throttle: &'a Throttle, progress: &'a Progress) -> Files<'a> {
        Files {
            location: &self.bucket.location,
            data_dir: DATA,
            throttle,
            progress,
        }
    }
}

#[tokio::test]
async fn what_a_server_wrote_is_counted_and_digested() {
    let bench = Bench::new(&[("queryId-1-part-2-0-0", "a\nb\n"), ("z", "c\n")], 3);
    let (summary, files) = bench.write().await.unwrap();
    assert_eq!(summary.records, 3);
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        names,
        [
            "parts/000002.again2/queryId-1-part-2-0-0",
            "parts/000002.again2/z"
        ]
    );
    assert_eq!((files[0].stored_size, files[0].plain_size), (4, 4));
    assert_eq!(files[0].stored_sha256, files[0].plain_sha256);
    assert_eq!(
        files[1].stored_sha256,
        "a3a5e715f0cc574a73c3f9bebb6bc24f32ffd5b67b387244c2c909da779a1478"
    );
}

#[tokio::test]
async fn a_count_that_the_files_do_not_hold_is_an_error() {
    for (writes, answers, good) in [
        (&[("a", "1\n2\n")][..], 3, false),
        (&[("a", "1\n2\n"), ("b", "3\n")], 2, false),
        // A key that no reader of a manifest would take is not counted either.
        (&[("a", "1\n"), (".b", "2\n")], 2, false),
        (&[], 1, false),
        (&[], 0, true),
        (&[("header-only", "x")], 0, true),
    ] {
        let result = Bench::new(writes, answers).write().await;
        match result {
            Ok((_, files)) => assert!(good && files.is_empty(), "{writes:?}"),
            Err(error) => {
                assert!(!good, "{writes:?}: {error}");
                assert_eq!(error.reason(), Reason::SourceChanged);
                assert!(error.retryable());
            }
        }
    }
}

#[tokio::test]
async fn a_server_reads_the_backups_files_and_no_others() {
    let bench = Bench::new(&[("a", "1\n"), ("b", "2\n")], 2);
    let (_, files) = bench.write().await.unwrap();
    let part = Part {
        records: 2,
        files,
        ..Part::default()
    };
    bench.read(&part).await.unwrap();
    assert_eq!(
        *bench.server.read.lock().unwrap(),
        [format!("{DATA}/{STEM}")]
    );

    let key = format!("{DATA}/{STEM}/stray");
    let stray = Bytes::from_static(b"3\n");
    bench.bucket.location.put(&key, stray).await.unwrap();
    let error = bench.read(&part).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DataCorrupt);
    assert!(error.to_string().contains("stray"), "{error}");
    bench.bucket.location.delete(&key).await.unwrap();

    // Of another size, or gone.
    let key = format!("{DATA}/{STEM}/b");
    let longer = Bytes::from_static(b"2\n3\n");
    bench.bucket.location.put(&key, longer).await.unwrap();
    assert!(bench.read(&part).await.is_err());
    bench.bucket.location.delete(&key).await.unwrap();
    let error = bench.read(&part).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(bench.server.read.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_that_found_nothing_is_no_success() {
    let mut bench = Bench::new(&[("a", "1\n2\n")], 2);
    let (_, files) = bench.write().await.unwrap();
    let part = Part {
        records: 2,
        files,
        ..Part::default()
    };
    for answers in [0, 1, 3] {
        bench.server.answers = answers;
        let error = bench.read(&part).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("read {answers} records")),
            "{error}"
        );
    }
}
