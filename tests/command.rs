//! The engine `command` as a job pod runs it: the built binary, an order, real children of this
//! machine's shell, and a local store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lifeboat::api::common::ManifestRef;
use lifeboat::api::conditions::Reason;
use lifeboat::api::order::paths;
use lifeboat::api::outcome::{Exported, Failure, Imported, Outcome, RunResult};
use serde_json::{Value, json};

/// No step of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
const SECRET: &str = "pa55w0rd-of-the-system";

/// A pod's files and the system that its commands speak to, in a directory of the test's own.
struct Pod {
    root: tempfile::TempDir,
}

struct Ended {
    outcome: Outcome,
    log: String,
}

impl Pod {
    fn new() -> Self {
        let pod = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for path in [paths::LOCAL_STORE, paths::SCRATCH] {
            std::fs::create_dir_all(pod.file(path)).unwrap();
        }
        let log = pod.file(paths::TERMINATION_LOG);
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        std::fs::write(log, "").unwrap();
        pod
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// A script for the shell, which finds the test's directory in `$T`.
    fn sh(&self, script: &str) -> Value {
        let script = script.replace("$T", self.root.path().to_str().unwrap());
        json!(["sh", "-c", script])
    }

    fn start(&self, task: &str, order: &Value) -> Child {
        let file = self.root.path().join("order.json");
        std::fs::write(&file, order.to_string()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args([task, "--order"])
            .arg(file)
            .arg("--root")
            .arg(self.root.path())
            .env("LIFEBOAT_RUN_ID", format!("run-{task}"))
            .env("LIFEBOAT_SECRET_ENV", "SYSTEM_PASSWORD")
            .env("SYSTEM_PASSWORD", SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn end(&self, child: Child) -> Ended {
        let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
        let log = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
        let message = std::fs::read_to_string(self.file(paths::TERMINATION_LOG)).unwrap();
        assert!(
            !log.contains(SECRET) && !message.contains(SECRET),
            "{log}\n{message}"
        );
        Ended {
            outcome: serde_json::from_str(&message).unwrap_or_else(|_| panic!("{message}\n{log}")),
            log,
        }
    }

    fn run(&self, task: &str, order: &Value) -> Ended {
        self.end(self.start(task, order))
    }

    fn export(&self, source: &Value) -> Ended {
        self.run("export", &export(source, 60))
    }

    fn exported(&self, source: &Value) -> Exported {
        let ended = self.export(source);
        match ended.outcome.result {
            RunResult::Exported(exported) => exported,
            other => panic!("{other:?}\n{}", ended.log),
        }
    }

    fn import(&self, manifest: &ManifestRef, target: &Value, settings: &Value) -> Ended {
        self.run("import", &import(manifest, target, settings))
    }

    fn imported(&self, manifest: &ManifestRef, target: &Value, settings: &Value) -> Imported {
        let ended = self.import(manifest, target, settings);
        match ended.outcome.result {
            RunResult::Imported(imported) => imported,
            other => panic!("{other:?}\n{}", ended.log),
        }
    }

    /// The names of all files in the store.
    fn stored(&self) -> Vec<String> {
        fn below(directory: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, found);
                } else {
                    found.push(path.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        below(&self.file(paths::LOCAL_STORE), &mut found);
        found
    }
}

fn failure(ended: &Ended) -> &Failure {
    match &ended.outcome.result {
        RunResult::Failed(failure) => failure,
        other => panic!("{other:?}\n{}", ended.log),
    }
}

fn bounds(timeout: u64) -> Value {
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    json!({"timeoutSeconds": timeout, "notAfter": later.to_string()})
}

fn export(source: &Value, timeout: u64) -> Value {
    json!({
        "task": "export",
        "identity": {
            "cluster": "prod", "clusterUid": "aa-1", "namespace": "iot", "schedule": "shop",
            "backup": "shop-20261120t100000z", "backupUid": "bb-1", "slot": "20261120t100000z",
        },
        "source": {"command": source},
        "storage": {"local": {"claimName": "store"}},
        "compression": {"codec": "zstd"},
        "limits": {},
        "bounds": bounds(timeout),
    })
}

fn import(manifest: &ManifestRef, target: &Value, settings: &Value) -> Value {
    let mut order = json!({
        "task": "import", "restore": "iot/shop",
        "storage": {"local": {"claimName": "store"}},
        "manifests": [manifest],
        "target": {"command": target},
        "remap": [], "conflictPolicy": "Fail", "deletions": "Keep", "confirm": null, "dryRun": false,
        "preflight": "Digests", "verify": "Counts", "drillPrefix": null,
        "limits": {},
        "bounds": bounds(60),
    });
    for (key, value) in settings.as_object().unwrap() {
        order[key] = value.clone();
    }
    order
}

/// Lines of a file, counted.
const COUNT_A: &str = "echo counting; printf '{\"lines\": %d}\\n' $(wc -l < $T/a)";
const COUNT_B: &str = "printf '{\"lines\": %d}\\n' $(cat $T/b 2>/dev/null | wc -l)";

fn source(pod: &Pod, script: &str) -> Value {
    json!({
        "name": "file:a", "image": "i", "count": {"command": pod.sh(COUNT_A)},
        "export": {"command": pod.sh(script), "from": "stdout"},
    })
}

fn target(pod: &Pod, script: &str) -> Value {
    json!({
        "name": "file:b", "image": "i", "count": {"command": pod.sh(COUNT_B)},
        "import": {"command": pod.sh(script), "to": "stdin"},
    })
}

fn lines(pod: &Pod, count: u32) -> String {
    let text: String = (0..count).fold(String::new(), |text, n| text + &format!("line {n} é\n"));
    std::fs::write(pod.file("a"), &text).unwrap();
    text
}

#[test]
fn a_stream_goes_out_and_in_and_is_counted() {
    let pod = Pod::new();
    let text = lines(&pod, 50_000);
    let exported = pod.exported(&source(&pod, "cat $T/a"));
    let imported = pod.imported(&exported.manifest, &target(&pod, "cat > $T/b"), &json!({}));
    assert_eq!(imported.totals.records, 50_000);
    assert_eq!(std::fs::read_to_string(pod.file("b")).unwrap(), text);

    // Now it is not empty, and a second restore says so.
    let again = pod.import(&exported.manifest, &target(&pod, "cat > $T/b"), &json!({}));
    assert_eq!(failure(&again).reason, Reason::TargetNotEmpty);
    assert!(
        failure(&again).message.contains("lines: 50000"),
        "{}",
        failure(&again).message
    );
    let over = json!({"conflictPolicy": "Overwrite", "confirm": "file:b"});
    pod.imported(&exported.manifest, &target(&pod, "cat > $T/b"), &over);

    // Its own source is refused, whatever the command would do.
    let mut own = target(&pod, "cat > $T/a");
    own["name"] = json!("file:a");
    let own = pod.import(&exported.manifest, &own, &over);
    assert_eq!(failure(&own).reason, Reason::TargetIsSource);
}

#[test]
fn a_directory_goes_out_and_in() {
    let pod = Pod::new();
    lines(&pod, 10);
    let make = "mkdir -p 'base/1 2' none && cp $T/a 'base/1 2/a' && : > empty && printf x > ./-rf";
    let source = json!({
        "name": "file:a", "image": "i", "count": {"command": pod.sh(COUNT_A)},
        "export": {"command": pod.sh(make), "from": "directory"},
    });
    let exported = pod.exported(&source);
    let take =
        "find . -type f | sort > $T/names; find . -type d -empty >> $T/names; cp 'base/1 2/a' $T/b";
    let mut target = target(&pod, take);
    target["import"]["to"] = json!("directory");
    let imported = pod.imported(&exported.manifest, &target, &json!({}));
    assert_eq!(imported.totals.records, 10);
    let names = std::fs::read_to_string(pod.file("names")).unwrap();
    assert_eq!(names, "./-rf\n./base/1 2/a\n./empty\n./none\n");

    // The form is the backup's, and the message says which.
    target["import"]["to"] = json!("stdin");
    let over = json!({"conflictPolicy": "Overwrite", "confirm": "file:b"});
    let ended = pod.import(&exported.manifest, &target, &over);
    assert!(
        failure(&ended)
            .message
            .contains("set target.command.import.to to directory")
    );
}

#[test]
fn an_export_that_fails_commits_nothing() {
    // What the export command does, what the count command says, and what is said of it.
    let good = "echo '{}'";
    let cases = [
        (
            "cat $T/a; echo disk full >&2; exit 3",
            good,
            "the export command failed (exit status: 3): disk full",
        ),
        ("cat $T/a; kill -9 $$", good, "signal: 9"),
        ("true", good, "left nothing"),
        (
            "echo no such user $SYSTEM_PASSWORD >&2; exit 1",
            good,
            "no such user [secret]",
        ),
        (
            "cat $T/a",
            "exit 4",
            "the count command failed (exit status: 4)",
        ),
        ("cat $T/a", "echo 17", "print a line such as"),
        ("cat $T/a", "true", "print a line such as"),
    ];
    for from in ["stdout", "directory"] {
        for (script, count, part) in cases {
            let pod = Pod::new();
            lines(&pod, 1000);
            let script = match from {
                "directory" => script.replace("cat $T/a", "cp $T/a ."),
                _ => script.to_owned(),
            };
            let ended = pod.export(&json!({
                "name": "file:a", "image": "i", "count": {"command": pod.sh(count)},
                "export": {"command": pod.sh(&script), "from": from},
            }));
            let message = &failure(&ended).message;
            assert!(message.contains(part), "{from} {script}: {message}");
            let stored = pod.stored();
            assert!(
                !stored.iter().any(|path| path.contains("/manifests/")),
                "{stored:?}"
            );
        }
    }
}

#[test]
fn what_cant_be_laid_out_elsewhere_is_no_backup() {
    let pod = Pod::new();
    lines(&pod, 1);
    let ended = pod.export(&json!({
        "name": "file:a", "image": "i",
        "export": {"command": pod.sh("cp $T/a . && ln -s /etc/passwd link"), "from": "directory"},
    }));
    assert_eq!(failure(&ended).reason, Reason::ScratchFailed);
    assert!(
        failure(&ended).message.contains("holds no links"),
        "{}",
        failure(&ended).message
    );
}

#[test]
fn an_import_is_believed_only_when_it_is_counted() {
    let pod = Pod::new();
    lines(&pod, 100);
    let exported = pod.exported(&source(&pod, "cat $T/a"));
    // Each is run once, says that all went well, and did not do it.
    let cases = [
        (
            "echo run >> $T/runs; head -n 99 > $T/b; cat > /dev/null",
            "lines: 99 in the target, 100 in the backup",
        ),
        (
            "echo run >> $T/runs; cat > /dev/null",
            "lines: 0 in the target",
        ),
        (
            "echo run >> $T/runs; cat > $T/b; echo one more >> $T/b",
            "lines: 101 in the target",
        ),
    ];
    for (script, part) in cases {
        let _ = std::fs::remove_file(pod.file("b"));
        let _ = std::fs::remove_file(pod.file("runs"));
        let ended = pod.import(&exported.manifest, &target(&pod, script), &json!({}));
        let failure = failure(&ended);
        assert_eq!(failure.reason, Reason::VerificationFailed);
        assert!(failure.message.contains(part), "{}", failure.message);
        assert_eq!(std::fs::read_to_string(pod.file("runs")).unwrap(), "run\n");
    }
    // Nothing is proven where nothing was asked for.
    let _ = std::fs::remove_file(pod.file("b"));
    let none = json!({"verify": "None"});
    pod.imported(&exported.manifest, &target(&pod, "cat > /dev/null"), &none);
}

#[test]
fn an_import_that_fails_says_how() {
    let pod = Pod::new();
    lines(&pod, 100_000);
    let exported = pod.exported(&source(&pod, "cat $T/a"));
    let cases = [
        (
            "cat > /dev/null; echo violates a key >&2; exit 3",
            "the import command failed (exit status: 3): violates a key",
        ),
        ("exit 0", "ended before it had read all"),
    ];
    for (script, part) in cases {
        let ended = pod.import(&exported.manifest, &target(&pod, script), &json!({}));
        assert_eq!(failure(&ended).reason, Reason::CommandFailed);
        assert!(
            failure(&ended).message.contains(part),
            "{}",
            failure(&ended).message
        );
    }
}

#[test]
fn without_counts_nothing_is_claimed() {
    let pod = Pod::new();
    lines(&pod, 5);
    let mut uncounted = source(&pod, "cat $T/a");
    uncounted.as_object_mut().unwrap().remove("count");
    let exported = pod.exported(&uncounted);
    let touched = target(&pod, "cat > $T/b");
    let ended = pod.import(&exported.manifest, &touched, &json!({}));
    assert_eq!(failure(&ended).reason, Reason::NotSupported);
    assert!(failure(&ended).message.contains("set verify to None"));
    assert!(!pod.file("b").exists(), "the target was touched");

    let mut blind = target(&pod, "cat > $T/b");
    blind.as_object_mut().unwrap().remove("count");
    let counts = pod.import(&exported.manifest, &blind, &json!({}));
    assert_eq!(failure(&counts).reason, Reason::NotSupported);
    let fail = pod.import(&exported.manifest, &blind, &json!({"verify": "None"}));
    assert_eq!(failure(&fail).reason, Reason::TargetNotEmpty);
    let over = json!({"verify": "None", "conflictPolicy": "Overwrite", "confirm": "file:b"});
    pod.imported(&exported.manifest, &blind, &over);
    assert!(pod.file("b").exists());
}

#[test]
fn a_run_that_ends_takes_its_commands_with_it() {
    // Its time is over, or it is told to stop.
    for told in [false, true] {
        let pod = Pod::new();
        let script = "sleep 600 & echo $! > $T/pid.new; mv $T/pid.new $T/pid; wait";
        let source = json!({
            "name": "file:a", "image": "i",
            "export": {"command": pod.sh(script), "from": "stdout"},
        });
        let child = pod.start("export", &export(&source, if told { 600 } else { 5 }));
        let begin = Instant::now();
        while !pod.file("pid").exists() {
            assert!(begin.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(10));
        }
        if told {
            let id = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-TERM", &id])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let ended = pod.end(child);
        assert!(begin.elapsed() < PATIENCE);
        let expected = if told {
            Reason::PodLost
        } else {
            Reason::TimedOut
        };
        assert_eq!(failure(&ended).reason, expected);
        let pid = std::fs::read_to_string(pod.file("pid")).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        let dead = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
        while !dead() {
            assert!(begin.elapsed() < PATIENCE, "the command outlived its run");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    const MUCH: u64 = 96 * 1024 * 1024;
    let pod = Pod::new();
    let source = json!({
        "name": "file:a", "image": "i",
        "export": {"command": ["head", "-c", MUCH.to_string(), "/dev/zero"], "from": "stdout"},
    });
    let mut child = pod.start("export", &export(&source, 110));
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = kib.unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = pod.end(child);
    assert!(
        matches!(ended.outcome.result, RunResult::Exported(_)),
        "{}",
        ended.log
    );
    assert!(peak > 0 && peak * 1024 < 64 * 1024 * 1024, "{peak} KiB");
}
