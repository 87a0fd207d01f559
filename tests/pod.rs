//! The built binary as a job pod runs it: an order in, an outcome out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lifeboat::api::conditions::Reason;
use lifeboat::api::order::paths;
use lifeboat::api::outcome::{Failure, OUTCOME_LIMIT, Outcome, RunResult};
use serde_json::{Value, json};

const PASSWORD: &str = "pa55w0rd-of-the-database";
/// No step of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pod's files, in a directory of the test's own.
struct Pod {
    root: tempfile::TempDir,
}

/// What a pod left.
struct Ended {
    status: ExitStatus,
    outcome: Outcome,
    log: String,
}

impl Pod {
    fn new() -> Self {
        let pod = Self {
            root: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(pod.file(paths::LOCAL_STORE)).unwrap();
        let secret = pod.file(paths::DATABASE_CREDENTIALS);
        std::fs::create_dir_all(&secret).unwrap();
        std::fs::write(secret.join("username"), "reader").unwrap();
        std::fs::write(secret.join("password"), PASSWORD).unwrap();
        let log = pod.file(paths::TERMINATION_LOG);
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        std::fs::write(log, "").unwrap();
        pod
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn start(&self, task: &str, order: &[u8], run_id: &str) -> Child {
        let file = self.root.path().join("order.json");
        std::fs::write(&file, order).unwrap();
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args([task, "--order"])
            .arg(file)
            .arg("--root")
            .arg(self.root.path())
            .env("LIFEBOAT_RUN_ID", run_id)
            .env("LIFEBOAT_LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn end(&self, mut child: Child) -> Ended {
        let mut log = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        let status = child.wait().unwrap();
        let message = std::fs::read_to_string(self.file(paths::TERMINATION_LOG)).unwrap();
        assert!(message.len() <= OUTCOME_LIMIT);
        Ended {
            status,
            outcome: serde_json::from_str(&message).unwrap_or_else(|_| panic!("{message}\n{log}")),
            log,
        }
    }

    fn run(&self, task: &str, order: &Value) -> Ended {
        self.end(self.start(task, order.to_string().as_bytes(), "run-1"))
    }
}

fn failure(ended: &Ended) -> &Failure {
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    match &ended.outcome.result {
        RunResult::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn soon(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

fn export(url: &str, timeout: u64, not_after: &str) -> Value {
    json!({
        "task": "export",
        "identity": {
            "cluster": "prod", "clusterUid": "aa-1", "namespace": "iot", "schedule": "telemetry",
            "backup": "telemetry-20261120t100000z", "backupUid": "bb-1", "slot": "20261120t100000z",
        },
        "source": {"influxdb": {"url": url}},
        "storage": {"local": {"claimName": "store"}},
        "compression": {"codec": "zstd"},
        "limits": {},
        "bounds": {"timeoutSeconds": timeout, "notAfter": not_after},
    })
}

/// A server that takes connections and never answers.
fn deaf() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn orders_that_cant_be_used_are_refused_with_a_sentence() {
    let (_server, url) = deaf();
    let good = export(&url, 60, &soon(60)).to_string();
    let long = good.replace(
        "\"limits\":{}",
        &format!("\"limits\":{{\"x\":\"{}\"}}", "x".repeat(300_000)),
    );
    let cases: [(&str, &str, &str, &str); 6] = [
        ("export", "", "run-1", "order.json can't be used"),
        (
            "export",
            "{\"task\":\"format\"}",
            "run-1",
            "unknown variant",
        ),
        ("export", "[1,2", "run-1", "order.json can't be used"),
        ("import", &good, "run-1", "it is for export, not for import"),
        ("export", &good, "", "LIFEBOAT_RUN_ID is not set"),
        ("export", &long, "run-1", "more than 262144 bytes"),
    ];
    for (task, order, run_id, part) in cases {
        let pod = Pod::new();
        let ended = pod.end(pod.start(task, order.as_bytes(), run_id));
        let failure = failure(&ended);
        assert!(
            failure.message.contains(part),
            "{part}: {}",
            failure.message
        );
        assert!(!failure.retryable);
    }
}

#[test]
fn a_pod_that_comes_late_does_nothing() {
    let (server, url) = deaf();
    server.set_nonblocking(true).unwrap();
    let pod = Pod::new();
    let ended = pod.run("export", &export(&url, 60, &soon(-5)));
    let failure = failure(&ended);
    assert_eq!(failure.reason, Reason::TimedOut);
    assert!(
        failure.message.contains("nothing was done"),
        "{}",
        failure.message
    );
    assert!(server.accept().is_err(), "it spoke to the database");
    let store = std::fs::read_dir(pod.file(paths::LOCAL_STORE)).unwrap();
    assert_eq!(store.count(), 0);
}

#[test]
fn a_run_ends_with_its_time() {
    let (_server, url) = deaf();
    let pod = Pod::new();
    let begin = Instant::now();
    let ended = pod.run("export", &export(&url, 2, &soon(600)));
    assert!(begin.elapsed() < PATIENCE);
    let failure = failure(&ended);
    assert_eq!(failure.reason, Reason::TimedOut);
    assert!(
        failure.message.contains("timeout of 2 s"),
        "{}",
        failure.message
    );
}

#[test]
fn a_pod_that_is_told_to_stop_says_so() {
    let (server, url) = deaf();
    let pod = Pod::new();
    let child = pod.start(
        "export",
        export(&url, 600, &soon(600)).to_string().as_bytes(),
        "run-1",
    );
    // It speaks to the database, so it listens to signals by now.
    let connection = server.accept().unwrap();
    let begin = Instant::now();
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ended = pod.end(child);
    assert!(begin.elapsed() < PATIENCE);
    let failure = failure(&ended);
    assert_eq!(failure.reason, Reason::PodLost);
    assert!(failure.retryable);
    assert_eq!(ended.outcome.run_id, "run-1");
    drop(connection);
}

#[test]
fn log_lines_are_json_and_hold_no_secret() {
    let pod = Pod::new();
    // Nobody listens there.
    let ended = pod.run("export", &export("http://127.0.0.1:9", 60, &soon(60)));
    assert_eq!(failure(&ended).reason, Reason::DatabaseUnreachable);
    assert!(failure(&ended).retryable);
    assert!(!ended.log.contains(PASSWORD), "{}", ended.log);
    let lines: Vec<Value> = ended
        .log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let last = lines.iter().rev().find_map(|line| line["outcome"].as_str());
    let outcome: Outcome = serde_json::from_str(last.unwrap()).unwrap();
    assert_eq!(outcome, ended.outcome);
}
