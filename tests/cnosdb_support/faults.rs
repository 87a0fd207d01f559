//! Servers that go away in the middle, and what a run takes of memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{CnosDbSource, CnosDbTarget, SourceSpec, TargetSpec};
use lifeboat::api::order::paths;
use lifeboat::engine::{Access, ImportPlan, connect_source, connect_target};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::{Lab, Memory, named, now};

/// Stands before a server, and cuts every connection once so many bytes went to it or came from it.
struct Proxy {
    url: String,
    left: Arc<AtomicI64>,
}

impl Proxy {
    async fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let budget = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(pass(near_in, far_out, Arc::clone(&budget)));
                tokio::spawn(pass(far_in, near_out, Arc::clone(&budget)));
            }
        });
        Self { url, left }
    }

    fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    fn is_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    fn mend(&self) {
        self.cut_after(i64::MAX);
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    left: Arc<AtomicI64>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(size @ 1..) = from.read(&mut piece).await {
        let size_left = i64::try_from(size).unwrap();
        if left.fetch_sub(size_left, Ordering::SeqCst) <= size_left {
            return;
        }
        if to.write_all(&piece[..size]).await.is_err() {
            return;
        }
    }
}

async fn fill(lab: &Lab, name: &str, rows: i64) {
    lab.a.make(name, "TTL 'INF' PRECISION 'ns'").await;
    for first in (0..rows).step_by(10_000) {
        let lines: Vec<String> = (first..rows.min(first + 10_000))
            .map(|n| {
                format!(
                    "air,station=S{} n={n}i,s=\"some words of row {n}\" {n}",
                    n % 7
                )
            })
            .collect();
        lab.a.write(name, "ns", &lines.join("\n")).await;
    }
}

#[tokio::test]
async fn a_source_that_goes_away_in_the_middle_is_named_and_read_anew() {
    let Some(lab) = Lab::take("away").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    fill(&lab, &name, 60_000).await;
    let proxy = Proxy::before(&lab.a.url).await;
    let source = SourceSpec {
        cnosdb: Some(CnosDbSource {
            url: proxy.url.clone(),
            tenants: vec![named(&name)],
            ..CnosDbSource::default()
        }),
        ..SourceSpec::default()
    };
    let engine = connect_source(&source, &Access::default()).unwrap();
    let plan = engine.plan_export(&now()).await.unwrap();
    proxy.cut_after(2_000_000);
    let mut sink = Memory::default();
    let error = engine.export_part(&plan.parts[0], &mut sink).await;
    let error = error.unwrap_err();
    assert!(proxy.is_cut());
    assert_eq!(error.reason(), Reason::DatabaseUnreachable, "{error}");
    assert!(error.retryable());
    assert!(engine.finish_export(&plan).await.is_err());

    proxy.mend();
    let mut sink = Memory::default();
    let summary = engine.export_part(&plan.parts[0], &mut sink).await.unwrap();
    assert_eq!(summary.records, 60_000);
    engine.finish_export(&plan).await.unwrap();

    // The database is dropped in the middle.
    lab.a.drop(&name).await;
    let error = engine.export_part(&plan.parts[0], &mut sink).await;
    assert_eq!(error.unwrap_err().reason(), Reason::SourceChanged);
    assert!(engine.finish_export(&plan).await.is_err());
    lab.clean().await;
}

#[tokio::test]
async fn a_target_that_fails_half_way_is_named_and_written_anew() {
    let Some(lab) = Lab::take("halfway").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    fill(&lab, &name, 60_000).await;
    let export = lab.export(vec![named(&name)], &now()).await;
    let proxy = Proxy::before(&lab.b.url).await;
    let target = TargetSpec {
        cnosdb: Some(CnosDbTarget {
            url: proxy.url.clone(),
            ..CnosDbTarget::default()
        }),
        ..TargetSpec::default()
    };
    let plan = ImportPlan::default();
    let engine = connect_target(&target, &Access::default(), &plan).unwrap();
    let structure = &export.plan.structure;
    engine.prepare_import(&plan, structure).await.unwrap();
    proxy.cut_after(2_000_000);
    let stored = &export.parts[0];
    let error = engine.import_part(&stored.part, &mut stored.reader()).await;
    let error = error.unwrap_err();
    assert!(proxy.is_cut());
    assert_eq!(error.reason(), Reason::DatabaseUnreachable, "{error}");
    assert!(error.retryable());
    proxy.mend();
    let some = engine.count_part(&stored.part).await.unwrap();
    assert!(some > 0 && some < 60_000, "{some} rows were written before");
    let report = engine
        .import_part(&stored.part, &mut stored.reader())
        .await
        .unwrap();
    assert_eq!((report.written, report.refused), (60_000, 0));
    assert_eq!(lab.a.picture(&name).await, lab.b.picture(&name).await);
    lab.clean().await;
}

/// The most memory, in KiB, that a program had while it ran.
fn peak(command: &mut Command) -> u64 {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(size.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak;
        }
        assert!(begin.elapsed() < Duration::from_secs(300), "it hangs");
        // Often enough: the mark only rises, and a run takes seconds.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_big_table_takes_no_more_memory_than_a_small_one() {
    let Some(lab) = Lab::take("memory").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    fill(&lab, &name, 300_000).await;
    let root = tempfile::tempdir().unwrap();
    let below = |path: &str| root.path().join(Path::new(path).strip_prefix("/").unwrap());
    std::fs::create_dir_all(below(paths::LOCAL_STORE)).unwrap();
    std::fs::create_dir_all(below(paths::TERMINATION_LOG).parent().unwrap()).unwrap();
    let order = json!({
        "task": "export",
        "identity": {
            "cluster": "prod", "clusterUid": "aa-1", "namespace": "iot", "schedule": null,
            "backup": "one", "backupUid": "bb-1", "slot": "20261120t100000z",
        },
        "source": {"cnosdb": {"url": lab.a.url, "tenants": [named(&name)]}},
        "storage": {"local": {"claimName": "store"}},
        "compression": {"codec": "zstd"},
        "limits": {},
        "bounds": {"timeoutSeconds": 300, "notAfter": jiff::Timestamp::now() + jiff::SignedDuration::from_secs(300)},
    });
    let path = root.path().join("order.json");
    std::fs::write(&path, order.to_string()).unwrap();
    let exported = peak(
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(["export", "--order"])
            .arg(&path)
            .arg("--root")
            .arg(root.path())
            .env("LIFEBOAT_RUN_ID", "run-1"),
    );
    let plan = root.path().join("plan.yaml");
    let migration = json!({
        "source": order["source"],
        "target": {"cnosdb": {"url": lab.b.url}},
    });
    std::fs::write(&plan, migration.to_string()).unwrap();
    let migrated = peak(
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .arg("migrate")
            .arg(&plan),
    );
    eprintln!("peak: export {exported} KiB, migrate {migrated} KiB");
    assert!(exported < 64 * 1024, "{exported} KiB");
    assert!(migrated < 64 * 1024, "{migrated} KiB");
    assert_eq!(lab.a.picture(&name).await, lab.b.picture(&name).await);
    lab.clean().await;
}
