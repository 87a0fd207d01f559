//! Real children, of this machine's shell.

use std::path::Path;
use std::time::Instant;

use super::*;

/// No step of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Command {
        what: "the test's command".to_owned(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: Environment::default().with("PATH", path),
        directory: std::env::temp_dir(),
        secrets: Secrets::from_values(["pa55w0rd".to_owned()]),
    }
}

async fn output(command: &Command) -> Result<Vec<u8>, ProcessError> {
    let mut process = command.start(Input::Nothing, Output::Stream)?;
    let mut all = Vec::new();
    while let Some(piece) = process.read().await? {
        all.extend_from_slice(&piece);
    }
    process.finish().await.map(|()| all)
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn words_are_handed_on_as_they_are() {
    let mut command = shell("");
    command.argv = ["printf", "%s\\n", "a b", "$(id)", "; rm -rf x", "*"]
        .map(str::to_owned)
        .to_vec();
    let seen = output(&command).await.unwrap();
    assert_eq!(seen, b"a b\n$(id)\n; rm -rf x\n*\n");
}

#[tokio::test]
async fn a_command_sees_its_environment_and_directory_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = shell("env | sort; pwd -P");
    command.directory = directory.path().canonicalize().unwrap();
    command.environment = command.environment.with("PGUSER", "reader");
    let seen = String::from_utf8(output(&command).await.unwrap()).unwrap();
    let names: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    assert_eq!(names, ["PATH", "PGUSER"], "{seen}");
    assert_eq!(
        seen.lines().last().map(Path::new),
        Some(&*command.directory)
    );
}

#[tokio::test]
async fn a_failure_says_how_it_ended_and_what_was_said_last() {
    let failing = output(&shell("echo out; echo no login for pa55w0rd >&2; exit 3")).await;
    let error = failing.unwrap_err();
    assert!(error.retryable());
    assert_eq!(
        error.to_string(),
        "the test's command failed (exit status: 3): no login for [secret]"
    );
    let killed = shell("kill -9 $$").run().await.unwrap_err().to_string();
    assert_eq!(
        killed,
        "the test's command failed (signal: 9 (SIGKILL)): it said nothing"
    );
    // Where the output is not the backup, it is what the command says.
    let said = shell("echo on standard output; exit 1").run().await;
    assert!(
        said.unwrap_err()
            .to_string()
            .ends_with("on standard output")
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let mut command = shell("");
    command.argv = vec!["no-such-program".to_owned()];
    let error = command.run().await.unwrap_err();
    assert!(!error.retryable());
    let text = error.to_string();
    assert!(text.contains("can't be started: no-such-program"), "{text}");
    command.argv.clear();
    assert!(command.run().await.is_err());
}

#[tokio::test]
async fn much_goes_through_in_small_pieces() {
    let mut process = shell("head -c 20000000 /dev/zero")
        .start(Input::Nothing, Output::Stream)
        .unwrap();
    let mut all = 0;
    while let Some(piece) = process.read().await.unwrap() {
        assert!(piece.len() <= CHUNK);
        all += piece.len();
    }
    process.finish().await.unwrap();
    assert_eq!(all, 20_000_000);
}

#[tokio::test]
async fn input_is_read_to_its_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!("cat > {}", file.path().display());
    let mut process = shell(&script).start(Input::Stream, Output::Log).unwrap();
    for _ in 0..100 {
        process.write(&[b'x'; 10_000]).await.unwrap();
    }
    process.finish().await.unwrap();
    assert_eq!(file.as_file().metadata().unwrap().len(), 1_000_000);

    // One that ends early did not take the backup, whatever its exit status says.
    let cases = [
        ("exit 0", "ended before it had read all"),
        (
            "echo the table is missing >&2; exit 3",
            "the table is missing",
        ),
    ];
    for (script, expected) in cases {
        let mut process = shell(script).start(Input::Stream, Output::Log).unwrap();
        let error = loop {
            if let Err(error) = process.write(&[b'x'; 10_000]).await {
                break error.to_string();
            }
        };
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[tokio::test]
async fn dropped_it_is_killed_with_all_that_it_started() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "sleep 600 & echo $! >> {0}; echo $$ >> {0}; wait",
        file.path().display()
    );
    let process = shell(&script).start(Input::Nothing, Output::Log).unwrap();
    let pids = || -> Vec<String> {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    until("both run", || pids().len() == 2).await;
    drop(process);
    // A zombie is dead; only its parent has not looked yet.
    let dead = |pid: &String| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        state.map_or(true, |state| state.contains(") Z "))
    };
    until("both are dead", || pids().iter().all(dead)).await;
}

#[tokio::test]
async fn what_is_left_of_a_group_ends_with_its_leader() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!("sleep 600 & echo $! > {}", file.path().display());
    let begin = Instant::now();
    shell(&script).run().await.unwrap();
    assert!(begin.elapsed() < PATIENCE);
    let pid = std::fs::read_to_string(file.path()).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    until("it is dead", || {
        std::fs::read_to_string(&stat).map_or(true, |state| state.contains(") Z "))
    })
    .await;
}
