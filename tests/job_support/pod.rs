//! The built binary as a job pod runs it, with a directory as its store.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat::api::order::paths;
use lifeboat::api::outcome::{Exported, Outcome, RunResult};
use serde_json::{Value, json};

/// Where the password of the database lies.
const LOGIN: &str = paths::DATABASE_CREDENTIALS;

/// A pod's files, in a directory of the test's own.
pub struct Pod {
    root: tempfile::TempDir,
}

impl Pod {
    pub fn new() -> Self {
        let pod = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for directory in [paths::LOCAL_STORE, "/dev"] {
            std::fs::create_dir_all(pod.file(directory)).unwrap();
        }
        pod
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The database's Secret.
    #[allow(dead_code)]
    pub fn login(&self, username: &str, password: &str) {
        std::fs::create_dir_all(self.file(LOGIN)).unwrap();
        for (key, value) in [("username", username), ("password", password)] {
            std::fs::write(self.file(LOGIN).join(key), value).unwrap();
        }
    }

    /// Exports a source. The most memory that it took, in KiB.
    pub fn export(&self, source: &Value) -> u64 {
        self.run(
            "export",
            &json!({
                "task": "export",
                "identity": {
                    "cluster": "prod", "clusterUid": "aa-1", "namespace": "iot", "schedule": "shop",
                    "backup": "shop-20261120t100000z", "backupUid": "bb-1", "slot": "20261120t100000z",
                },
                "source": source,
                "storage": {"local": {"claimName": "store"}},
                "compression": {"codec": "zstd"},
                "limits": {},
                "bounds": bounds(),
            }),
        )
    }

    /// Imports what was exported. The most memory that it took, in KiB.
    pub fn import(&self, target: &Value, verify: &str) -> u64 {
        let exported = self.exported();
        self.run(
            "import",
            &json!({
                "task": "import",
                "restore": "iot/shop",
                "remap": [],
                "dryRun": false,
                "storage": {"local": {"claimName": "store"}},
                "manifests": [exported.manifest],
                "target": target,
                "conflictPolicy": "Fail",
                "preflight": "Digests",
                "verify": verify,
                "limits": {},
                "bounds": bounds(),
            }),
        )
    }

    fn exported(&self) -> Exported {
        match self.outcome().result {
            RunResult::Exported(exported) => exported,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(&self) -> Outcome {
        let message = std::fs::read_to_string(self.file(paths::TERMINATION_LOG)).unwrap();
        serde_json::from_str(&message).unwrap()
    }

    fn run(&self, task: &str, order: &Value) -> u64 {
        std::fs::write(self.file(paths::TERMINATION_LOG), "").unwrap();
        let file = self.root.path().join("order.json");
        std::fs::write(&file, order.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args([task, "--order"])
            .arg(file)
            .arg("--root")
            .arg(self.root.path())
            // As a job pod has it.
            .env("MALLOC_MMAP_THRESHOLD_", "1048576")
            .env("LIFEBOAT_RUN_ID", format!("run-{task}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let peak = peak(&child);
        let status = child.wait().unwrap();
        assert!(status.success(), "{task}: {:?}", self.outcome());
        peak
    }
}

fn bounds() -> Value {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(300);
    json!({"timeoutSeconds": 300, "notAfter": end.to_string()})
}

/// Follows a process to its end: the most memory of its own that it was seen with. Pages of the program
/// itself, of which a build for tests has very many, are not its own.
fn peak(child: &Child) -> u64 {
    let file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(&file).unwrap_or_default();
        let mut lines = status.lines();
        let Some(line) = lines.find_map(|line| line.strip_prefix("RssAnon:")) else {
            return peak;
        };
        let now: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        peak = peak.max(now);
        std::thread::sleep(Duration::from_millis(5));
    }
}
