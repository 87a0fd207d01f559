//! Method `copyInto`: whole jobs, over a directory that the servers reach too.

use std::sync::Arc;

use lifeboat::api::common::{Codec, Compression, Limits, ManifestRef};
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{
    CnosDbCopyFrom, CnosDbCopyInto, CnosDbMethod, CnosDbSource, CnosDbTarget, CopyConnection,
    CopyFormat, SourceSpec, TargetSpec,
};
use lifeboat::api::order::{Bounds, ExportOrder, ImportOrder, Order};
use lifeboat::api::outcome::{Failure, RunResult};
use lifeboat::api::restore::{ConflictPolicy, Preflight, Verify};
use lifeboat::api::storage_location::{LocalLocation, S3Location, StorageLocationSpec};
use lifeboat::engine::{Access, ImportPlan, PartPlan, ServerStore, connect_source, connect_target};
use lifeboat::job::{Run, execute};
use lifeboat::manifest::{Identity, Manifest, Part};
use lifeboat::storage::{self, Location, S3Keys, StorageCredentials};
use lifeboat::transfer::{IndexReader, catalog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{Lab, named};

const SLOT: &str = "20261120t100000z";
const SECRET: &str = "s3cr3t/of'the bucket";

/// A directory as a location, which the servers know at the same path.
struct Bucket {
    directory: tempfile::TempDir,
    spec: StorageLocationSpec,
}

impl Bucket {
    fn new() -> Self {
        let local = Some(LocalLocation {
            claim_name: "dr".into(),
            prefix: "prod".into(),
        });
        Self {
            directory: tempfile::tempdir().unwrap(),
            spec: StorageLocationSpec {
                local,
                ..StorageLocationSpec::default()
            },
        }
    }

    fn location(&self) -> Location {
        storage::open(&self.spec, None, None, self.directory.path()).unwrap()
    }

    fn access(&self) -> Access {
        Access {
            store: Some(ServerStore {
                spec: self.spec.clone(),
                credentials: None,
            }),
            ..Access::default()
        }
    }

    fn connection(&self) -> CopyConnection {
        CopyConnection {
            mount_path: Some(self.directory.path().to_str().unwrap().to_owned()),
            ..CopyConnection::default()
        }
    }

    async fn parts(&self, manifest: &Manifest) -> Vec<Part> {
        let mut index = IndexReader::open(self.location(), manifest).unwrap();
        let mut parts = Vec::new();
        while let Some(part) = index.next().await.unwrap() {
            parts.push(part);
        }
        parts
    }
}

fn bounds() -> Bounds {
    Bounds {
        timeout_seconds: 600,
        not_after: jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600),
    }
}

fn run() -> Arc<Run> {
    Arc::new(Run::start("run-1".into(), &bounds(), jiff::Timestamp::now()).unwrap())
}

async fn export(lab: &Lab, bucket: &Bucket, spec: CnosDbSource) -> (ManifestRef, Manifest) {
    let spec = CnosDbSource {
        url: lab.a.url.clone(),
        method: Some(CnosDbMethod::CopyInto),
        ..spec
    };
    let source = SourceSpec {
        cnosdb: Some(spec),
        ..SourceSpec::default()
    };
    let engine = connect_source(&source, &bucket.access()).unwrap();
    let order = Order::Export(Box::new(ExportOrder {
        identity: Identity {
            cluster: "prod".into(),
            cluster_uid: "0c2f".into(),
            namespace: "iot".into(),
            schedule: None,
            backup: "one".into(),
            backup_uid: "77aa".into(),
            slot: SLOT.into(),
        },
        source,
        storage: bucket.spec.clone(),
        compression: Compression::default(),
        limits: Limits::default(),
        bounds: bounds(),
    }));
    let location = bucket.location();
    let result = execute(&run(), &order, &location, Some(engine.into())).await;
    let RunResult::Exported(exported) = result.unwrap() else {
        panic!("an export exports");
    };
    let path = &exported.manifest.path;
    let stored = catalog::read_backup(&location, path, None).await.unwrap();
    (exported.manifest, *stored.manifest)
}

async fn import(
    lab: &Lab,
    bucket: &Bucket,
    manifest: &ManifestRef,
    verify: Verify,
) -> Result<u64, Failure> {
    let target = TargetSpec {
        cnosdb: Some(CnosDbTarget {
            url: lab.b.url.clone(),
            copy_into: Some(CnosDbCopyFrom {
                auto_infer_schema: None,
                connection: Some(bucket.connection()),
            }),
            ..CnosDbTarget::default()
        }),
        ..TargetSpec::default()
    };
    let plan = ImportPlan::default();
    let engine = connect_target(&target, &bucket.access(), &plan).unwrap();
    let order: ImportOrder = serde_json::from_value(serde_json::json!({
        "restore": "iot/one",
        "storage": bucket.spec,
        "manifests": [manifest],
        "target": target,
        "remap": [],
        "conflictPolicy": ConflictPolicy::Fail,
        "confirm": null,
        "dryRun": false,
        "preflight": Preflight::Sizes,
        "verify": verify,
        "drillPrefix": null,
        "limits": Limits::default(),
        "bounds": bounds(),
    }))
    .unwrap();
    let order = Order::Import(Box::new(order));
    let location = bucket.location();
    let run = run();
    let result = execute(&run, &order, &location, Some(engine.into())).await;
    match run.outcome(result).result {
        RunResult::Imported(imported) => Ok(imported.totals.records),
        RunResult::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

async fn fill(lab: &Lab, name: &str) {
    lab.a.make(name, "TTL 'INF' PRECISION 'ns'").await;
    let lines: Vec<String> = (0..500i64)
        .map(|n| {
            format!("air,station=S{},region=eu\\ west v={n}.25,n={n}i,u={n}u,ok=true,s=\"a;b, \\\"c\\\" é {n}\nnext\" {}", n % 7, n * n - 50)
        })
        .collect();
    lab.a.write(name, "ns", &lines.join("\n")).await;
    // Columns that came later are not where CREATE TABLE puts them.
    lab.a
        .write(name, "ns", "air,later=x,station=S1 w=1.5,v=2 7")
        .await;
    lab.a
        .ask(name, "CREATE TABLE empty_table (v DOUBLE, TAGS(t))")
        .await;
}

#[tokio::test]
async fn the_server_writes_and_reads_each_format() {
    let Some(lab) = Lab::take("copy").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    fill(&lab, &name).await;
    let formats = [
        (None, None, None),
        (Some(CopyFormat::Json), None, None),
        (Some(CopyFormat::Csv), None, None),
        (Some(CopyFormat::Csv), Some(";"), Some(false)),
    ];
    for (format, delimiter, with_header) in formats {
        let bucket = Bucket::new();
        let spec = CnosDbSource {
            tenants: vec![named(&name)],
            copy_into: Some(CnosDbCopyInto {
                format,
                delimiter: delimiter.map(str::to_owned),
                with_header,
                connection: Some(bucket.connection()),
            }),
            ..CnosDbSource::default()
        };
        let (reference, manifest) = export(&lab, &bucket, spec).await;
        assert_eq!(manifest.source.method, "copyInto");
        assert_eq!(manifest.codec, Codec::None);
        assert_eq!(manifest.totals.records, 501);
        for part in bucket.parts(&manifest).await {
            let table = part.name.get("table").map(String::as_str);
            let files = match (part.kind.as_str(), table) {
                ("table", Some("air")) => 2,
                _ => 0,
            };
            assert_eq!(part.files.len(), files, "{part:?}");
        }
        let error = import(&lab, &bucket, &reference, Verify::Contains).await;
        let failure = error.unwrap_err();
        assert_eq!(failure.reason, Reason::NotSupported);
        assert!(failure.message.contains("verify to Counts"), "{failure:?}");
        assert!(!lab.b.databases().await.contains(&name));

        let records = import(&lab, &bucket, &reference, Verify::Counts).await;
        assert_eq!(records, Ok(501));
        let (a, b) = (lab.a.picture(&name).await, lab.b.picture(&name).await);
        assert_eq!(a, b, "{format:?}");
        lab.b.drop(&name).await;
    }
    lab.clean().await;
}

#[tokio::test]
async fn a_file_that_was_changed_or_put_there_is_found_before_the_target_is_touched() {
    let Some(lab) = Lab::take("strays").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    fill(&lab, &name).await;
    let bucket = Bucket::new();
    let spec = CnosDbSource {
        tenants: vec![named(&name)],
        copy_into: Some(CnosDbCopyInto {
            connection: Some(bucket.connection()),
            ..CnosDbCopyInto::default()
        }),
        ..CnosDbSource::default()
    };
    let (reference, manifest) = export(&lab, &bucket, spec).await;
    let parts = bucket.parts(&manifest).await;
    let file = parts.iter().find_map(|part| part.files.first()).unwrap();
    let data = manifest.identity.data_dir(&manifest.run_id);
    let path = bucket.directory.path().join("prod").join(data);
    let path = path.join(&file.path);

    // The order asks for sizes alone; files that a server reads are read before all the same.
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    std::fs::write(&path, flipped).unwrap();
    let failure = import(&lab, &bucket, &reference, Verify::Counts).await;
    assert_eq!(failure.unwrap_err().reason, Reason::DataCorrupt);
    assert!(!lab.b.databases().await.contains(&name));

    std::fs::write(&path, &whole).unwrap();
    std::fs::copy(&path, path.with_file_name("queryId-0-part-0-0-0")).unwrap();
    let failure = import(&lab, &bucket, &reference, Verify::Counts).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.reason, Reason::DataCorrupt);
    assert!(failure.message.contains("queryId-0-part"), "{failure:?}");
    lab.clean().await;
}

/// A server that answers each statement with an error that repeats it.
async fn parrot() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let size = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..size]).into_owned();
            let sql = text.split("\r\n\r\n").nth(1).unwrap_or_default();
            let said = serde_json::json!({"error_code": "010013", "error_message": sql});
            let said = said.to_string();
            let answer = format!(
                "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
                said.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_repeats_the_statement_gives_no_key_away() {
    let access = Access {
        store: Some(ServerStore {
            spec: StorageLocationSpec {
                s3: Some(S3Location {
                    bucket: "dr-exports".into(),
                    ..S3Location::default()
                }),
                ..StorageLocationSpec::default()
            },
            credentials: Some(StorageCredentials::S3(S3Keys {
                access_key_id: "AKID".into(),
                secret_access_key: SECRET.to_owned().into(),
                session_token: Some("t0k3n-lent".to_owned().into()),
            })),
        }),
        ..Access::default()
    };
    let cnosdb = CnosDbSource {
        url: parrot().await,
        method: Some(CnosDbMethod::CopyInto),
        ..CnosDbSource::default()
    };
    let spec = SourceSpec {
        cnosdb: Some(cnosdb.clone()),
        ..SourceSpec::default()
    };
    let engine = connect_source(&spec, &access).unwrap();
    let columns = r#"[{"name":"time","kind":"TIME","type":"TIMESTAMP(NANOSECOND)"}]"#;
    let part = PartPlan {
        kind: "table".into(),
        name: ["tenant", "database", "table"]
            .map(|key| (key.to_owned(), "m".to_owned()))
            .into(),
        attributes: [("columns", columns), ("format", "PARQUET")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..PartPlan::default()
    };
    let server = engine.by_server("copyInto").unwrap();
    let error = server.write_part(&part, "x/y").await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("COPY INTO 's3://dr-exports/x/y/'"), "{text}");
    assert!(text.contains("secret_key = '[secret]'"), "{text}");
    assert!(
        !text.contains("s3cr3t") && !text.contains("t0k3n"),
        "{text}"
    );

    // Without keys of its own, or without a location, nothing is sent at all.
    let mut keyless = access.clone();
    if let Some(store) = &mut keyless.store {
        store.credentials = None;
    }
    for access in [keyless, Access::default()] {
        let error = connect_source(&spec, &access).err().unwrap();
        assert_eq!(error.reason(), Reason::NotSupported, "{error}");
    }
}
