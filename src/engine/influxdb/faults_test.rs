//! The engine against a stand-in that does what servers and networks do at their worst.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;

use super::InfluxDb;
use super::stand_in::{Call, Ending, Pack, Reply, StandIn, failed, list, nothing};
use crate::api::conditions::Reason;
use crate::api::engines::{InfluxDbSource, InfluxDbTarget};
use crate::engine::{
    Access, Engine, EngineError, ExportRequest, ImportPlan, ImportReport, PartPlan, TargetState,
};
use crate::manifest::Part;
use crate::transfer::{RecordSink, RecordSource, TransferError};

#[derive(Default)]
struct Memory(Vec<u8>);

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        self.0.extend_from_slice(&records);
        Ok(())
    }
}

struct Once(Option<Bytes>);

#[async_trait]
impl RecordSource for Once {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        Ok(self.0.take())
    }
}

fn part() -> Part {
    let name = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Part {
        kind: "measurement".into(),
        name: [
            ("database", "d"),
            ("retentionPolicy", "r"),
            ("measurement", "m"),
        ]
        .map(name)
        .into(),
        ..Part::default()
    }
}

fn source(stand_in: &StandIn) -> InfluxDb {
    let spec = InfluxDbSource {
        url: stand_in.url.clone(),
        ..InfluxDbSource::default()
    };
    InfluxDb::source(&spec, &Access::default()).unwrap()
}

fn target(stand_in: &StandIn) -> InfluxDb {
    let spec = InfluxDbTarget {
        url: stand_in.url.clone(),
        ..InfluxDbTarget::default()
    };
    InfluxDb {
        first_wait: Duration::from_millis(1),
        ..InfluxDb::target(&spec, &Access::default(), &ImportPlan::default()).unwrap()
    }
}

async fn export(reply: Reply) -> Result<(u64, Vec<u8>), EngineError> {
    let stand_in = StandIn::start(move |call: &Call| {
        if call.text.starts_with("SHOW FIELD KEYS") {
            Reply::rows(nothing())
        } else {
            reply.clone()
        }
    })
    .await;
    let part = part();
    let plan = PartPlan {
        kind: part.kind,
        name: part.name,
        ..PartPlan::default()
    };
    let mut file = Memory::default();
    let summary = source(&stand_in).export_part(&plan, &mut file).await?;
    Ok((summary.records, file.0))
}

async fn import(
    records: &str,
    answer: impl FnMut(&Call) -> Reply + Send + 'static,
) -> (Result<ImportReport, EngineError>, Vec<Call>) {
    let stand_in = StandIn::start(answer).await;
    let bytes = Bytes::copy_from_slice(records.as_bytes());
    let report = target(&stand_in)
        .import_part(&part(), &mut Once(Some(bytes)))
        .await;
    (report, stand_in.calls())
}

#[tokio::test]
async fn many_parts_at_once_don_t_wait_for_one_another() {
    let stand_in = StandIn::start(|_: &Call| Reply::empty(204)).await;
    let engine = target(&stand_in);
    let parts = (0..32).map(|number| {
        let line = Bytes::from(format!("m v={number} {number}\n"));
        let engine = &engine;
        async move { engine.import_part(&part(), &mut Once(Some(line))).await }
    });
    let reports = tokio::time::timeout(Duration::from_secs(60), join_all(parts)).await;
    let written = reports
        .unwrap()
        .into_iter()
        .map(|report| report.unwrap().written);
    assert_eq!(written.sum::<u64>(), 32);
}

fn one_row() -> Vec<u8> {
    let pack = Pack::default()
        .result(2, 1)
        .series("m", &[], &["time", "v"], 1);
    pack.array(2).int(5).float(1.5).0
}

#[tokio::test]
async fn a_whole_answer_is_exported() {
    let (records, file) = export(Reply::rows(one_row())).await.unwrap();
    assert_eq!((records, file.as_slice()), (1, &b"m v=1.5 5\n"[..]));
}

#[tokio::test]
async fn broken_answers_are_never_a_finished_part() {
    let two = Pack::default()
        .result(2, 1)
        .series("m", &[], &["time", "v"], 2);
    let half = two.array(2).int(5).float(1.5).0;
    let more = Pack::default().result(3, 0).text("partial").flag(true).0;
    let lost = Reply {
        ending: Ending::Lost,
        ..Reply::rows(one_row())
    };
    let redirect = Reply {
        headers: vec![("location", "http://127.0.0.1:1/query".to_owned())],
        ..Reply::empty(307)
    };
    let json = Reply {
        headers: vec![("content-type", "application/json".to_owned())],
        ..Reply::rows(b"{\"results\":[]}".to_vec())
    };
    for (name, reply, reason, retryable) in [
        (
            "an error in the first piece",
            Reply::rows(failed("engine is closed")),
            Reason::DatabaseError,
            true,
        ),
        (
            "an error in a later piece",
            Reply::rows([one_row(), failed("timeout")].concat()),
            Reason::DatabaseError,
            true,
        ),
        (
            "cut within a document",
            Reply::rows(half),
            Reason::DatabaseUnreachable,
            true,
        ),
        (
            "whole documents, but more were to follow",
            Reply::rows(more),
            Reason::DatabaseUnreachable,
            true,
        ),
        (
            "the connection is lost",
            lost,
            Reason::DatabaseUnreachable,
            true,
        ),
        (
            "no body",
            Reply::rows(Vec::new()),
            Reason::DatabaseUnreachable,
            true,
        ),
        (
            "the database is gone",
            Reply::rows(failed("database not found: d")),
            Reason::SourceChanged,
            true,
        ),
        (
            "wrong password",
            Reply::refusal(401, "authorization failed"),
            Reason::DatabaseLoginFailed,
            false,
        ),
        (
            "no right",
            Reply::refusal(403, "error authorizing query"),
            Reason::DatabasePermissionDenied,
            false,
        ),
        (
            "not found",
            Reply::refusal(404, "not found"),
            Reason::DatabaseError,
            false,
        ),
        (
            "server error",
            Reply::refusal(500, "boom"),
            Reason::DatabaseError,
            true,
        ),
        ("redirect", redirect, Reason::DatabaseError, false),
        ("JSON", json, Reason::VersionUnsupported, false),
        (
            "garbage",
            Reply::rows(b"<html>".to_vec()),
            Reason::DatabaseError,
            false,
        ),
    ] {
        let error = export(reply).await.expect_err(name);
        assert_eq!(error.reason(), reason, "{name}: {error}");
        assert_eq!(error.retryable(), retryable, "{name}: {error}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let stand_in = StandIn::start(|_| Reply::empty(204)).await;
    let engine = source(&stand_in);
    drop(stand_in);
    let error = loop {
        // The listener ends when its task was dropped.
        if let Err(error) = engine.probe().await
            && error.reason() == Reason::DatabaseUnreachable
        {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn versions() {
    for (version, ok) in [
        ("1.7.11", true),
        ("1.11.8-c1.11.8", true),
        ("v2.7.1", false),
        ("", true),
    ] {
        let stand_in = StandIn::start(move |call: &Call| {
            if call.path == "/ping" {
                let headers = vec![
                    ("x-influxdb-version", version.to_owned()),
                    ("x-influxdb-build", "ENT".to_owned()),
                ];
                Reply {
                    headers,
                    ..Reply::empty(204)
                }
            } else {
                Reply::rows(list("databases", "name", &["_internal", "d"]))
            }
        })
        .await;
        let found = source(&stand_in).probe().await;
        if ok {
            let info = found.unwrap();
            assert_eq!(info.version, format!("{version} (ENT)"));
            assert_eq!(format!("http://{}", info.server_id), stand_in.url);
        } else {
            assert_eq!(found.unwrap_err().reason(), Reason::VersionUnsupported);
        }
    }
}

#[tokio::test]
async fn a_login_goes_into_the_header_only() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("username"), "me").unwrap();
    std::fs::write(directory.path().join("password"), "hunter2").unwrap();
    let stand_in = StandIn::start(|_| Reply::refusal(401, "authorization failed")).await;
    let spec = InfluxDbSource {
        url: stand_in.url.clone(),
        ..InfluxDbSource::default()
    };
    let access = Access {
        credentials: Some(directory.path().to_owned()),
        ..Access::default()
    };
    let error = InfluxDb::source(&spec, &access)
        .unwrap()
        .probe()
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseLoginFailed);
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let calls = stand_in.calls();
    assert_eq!(
        calls[0].authorization.as_deref(),
        Some("Basic bWU6aHVudGVyMg==")
    );
    assert!(!calls[0].text.contains("hunter2"));
}

#[tokio::test]
async fn writes_are_tried_again_when_the_server_falters() {
    for (status, text) in [(503, "shutting down"), (500, "timeout"), (429, "slow down")] {
        let mut left = 2;
        let (report, calls) = import("m v=1 1\nm v=2 2\n", move |_| {
            if left == 0 {
                return Reply::empty(204);
            }
            left -= 1;
            Reply::refusal(status, text)
        })
        .await;
        assert_eq!(report.unwrap().written, 2, "{status}");
        assert_eq!(calls.len(), 3);
        assert!(calls.iter().all(|call| call.text == "m v=1 1\nm v=2 2\n"));
    }
    let (report, calls) = import("m v=1 1\n", |_| Reply::refusal(503, "down")).await;
    assert!(report.unwrap_err().retryable());
    assert_eq!(calls.len(), 6);
}

#[tokio::test]
async fn writes_end_at_once_where_trying_again_is_no_use() {
    for (status, text, reason) in [
        (401, "authorization failed", Reason::DatabaseLoginFailed),
        (
            403,
            "not authorized to write to d",
            Reason::DatabasePermissionDenied,
        ),
        (404, "database not found: \"d\"", Reason::DatabaseNotFound),
    ] {
        let (report, calls) = import("m v=1 1\n", move |_| Reply::refusal(status, text)).await;
        assert_eq!(report.unwrap_err().reason(), reason);
        assert_eq!(calls.len(), 1, "{status}");
    }
}

/// A stand-in's write: lines with `bad` are refused as a type conflict, lines with `old` as expired,
/// and as the server does, a conflict hides how many were expired.
fn judge(call: &Call) -> Reply {
    let count = |word: &str| call.text.lines().filter(|line| line.contains(word)).count();
    match (count("bad"), count("old")) {
        (0, 0) => Reply::empty(204),
        (0, old) => Reply::refusal(
            400,
            &format!("partial write: points beyond retention policy dropped={old}"),
        ),
        (bad, _) => Reply::refusal(
            400,
            &format!("partial write: field type conflict: input field \"v\" dropped={bad}"),
        ),
    }
}

#[tokio::test]
async fn refused_and_expired_records_are_told_apart_and_counted() {
    let lines: String = (0..100)
        .map(|at| match at {
            7 | 8 | 60 => format!("m bad={at} {at}\n"),
            20..30 => format!("m old={at} {at}\n"),
            _ => format!("m v={at} {at}\n"),
        })
        .collect();
    let (report, _) = import(&lines, judge).await;
    let report = report.unwrap();
    assert_eq!(
        (report.written, report.refused, report.expired),
        (87, 3, 10)
    );
    assert_eq!(report.examples.len(), 1, "{:?}", report.examples);
    assert!(report.examples[0].contains("field type conflict"));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    let lines: String = (0..64).map(|at| format!("m v={at} {at}\n")).collect();
    let (report, calls) = import(&lines, |call| {
        if call.text.len() > 200 {
            Reply::empty(413)
        } else {
            Reply::empty(204)
        }
    })
    .await;
    assert_eq!(report.unwrap().written, 64);
    let taken: String = calls
        .iter()
        .filter(|call| call.text.len() <= 200)
        .map(|call| call.text.as_str())
        .collect();
    assert_eq!(taken.lines().count(), 64);
}

#[tokio::test]
async fn files_that_are_no_line_protocol_are_refused() {
    for (text, want) in [("m v=1 1\nm v=2", "cut"), ("m v=\"open\n", "cut")] {
        let (report, _) = import(text, |_| Reply::empty(204)).await;
        let error = report.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!(error.reason(), Reason::DataCorrupt);
    }
}

#[tokio::test]
async fn nothing_from_a_file_is_executed() {
    let text = "# DDL\nDROP DATABASE d\n# DML\n# CONTEXT-DATABASE: d\nm v=1 1\n";
    let (report, calls) = import(text, |_| Reply::empty(204)).await;
    assert_eq!(report.unwrap().written, 1);
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].path.as_str(), calls[0].text.as_str()),
        ("/write", "m v=1 1\n")
    );
}

#[tokio::test]
async fn a_target_is_looked_at() {
    for (answer, want) in [
        (nothing(), Some(TargetState::Empty)),
        (failed("database not found: d"), Some(TargetState::Empty)),
        (
            failed("retention policy not found: r"),
            Some(TargetState::Empty),
        ),
        (
            one_row(),
            Some(TargetState::Holds("points in \"d\".\"r\".\"m\"".into())),
        ),
        (failed("engine is closed"), None),
    ] {
        let stand_in = StandIn::start(move |_| Reply::rows(answer.clone())).await;
        assert_eq!(target(&stand_in).target_state(&part()).await.ok(), want);
    }
}

#[tokio::test]
async fn parts_of_a_hostile_index_are_refused() {
    let stand_in = StandIn::start(|_| Reply::rows(nothing())).await;
    let engine = target(&stand_in);
    let mut unknown = part();
    unknown.kind = "shell".into();
    let mut nameless = part();
    nameless.name.remove("measurement");
    let mut timeless = part();
    timeless
        .attributes
        .insert("windowStart".into(), "now()".into());
    for part in [unknown, nameless, timeless] {
        let error = engine.count_part(&part).await.unwrap_err();
        assert_eq!(error.reason(), Reason::DataCorrupt, "{error}");
    }
    assert!(stand_in.calls().is_empty());
}

/// A source with one measurement. What is listed and when it was started change as the test says.
async fn changing(second: (&'static str, &'static str)) -> StandIn {
    let (mut listings, mut looks) = (0, 0);
    StandIn::start(move |call: &Call| match call.text.as_str() {
        "SHOW DATABASES" => Reply::rows(list("databases", "name", &["d"])),
        "SHOW DIAGNOSTICS" => {
            looks += 1;
            let started = if looks > 1 { second.1 } else { "morning" };
            Reply::rows(list("system", "started", &[started]))
        }
        text if text.starts_with("SHOW RETENTION POLICIES") => {
            let columns = [
                "name",
                "duration",
                "shardGroupDuration",
                "replicaN",
                "default",
            ];
            let row = Pack::default()
                .result(2, 1)
                .series("", &[], &columns, 1)
                .array(5);
            Reply::rows(
                row.text("r")
                    .text("0s")
                    .text("168h0m0s")
                    .int(1)
                    .flag(true)
                    .0,
            )
        }
        text if text.starts_with("SHOW FIELD KEYS") => {
            listings += 1;
            let name = if listings > 1 { second.0 } else { "m" };
            let columns = ["fieldKey", "fieldType"];
            let row = Pack::default()
                .result(2, 1)
                .series(name, &[], &columns, 1)
                .array(2);
            Reply::rows(row.text("v").text("float").0)
        }
        _ if call.path == "/ping" => Reply::empty(204),
        _ => Reply::rows(nothing()),
    })
    .await
}

#[tokio::test]
async fn a_source_that_changes_is_noticed() {
    for (second, want) in [
        (("m", "morning"), None),
        (("other", "morning"), Some("\"m\"")),
        (("m", "evening"), Some("restarted")),
    ] {
        let stand_in = changing(second).await;
        let engine = source(&stand_in);
        let request = ExportRequest {
            consistency_time: jiff::Timestamp::now(),
            previous: None,
        };
        let plan = engine.plan_export(&request).await.unwrap();
        assert_eq!(plan.parts.len(), 1);
        let found = engine.finish_export(&plan).await;
        match want {
            None => found.unwrap(),
            Some(words) => {
                let error = found.unwrap_err();
                assert_eq!(error.reason(), Reason::SourceChanged);
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}
