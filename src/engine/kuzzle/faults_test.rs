//! What a server says when it is busy, half there, or not itself: a stand-in answers as a test says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;

use super::bulk::{self, Target};
use super::client::Client;
use super::export::{self, Pages, Place};
use super::{import, verify};
use crate::engine::{Access, EngineError, ImportReport};
use crate::transfer::{RecordSink, RecordSource, TransferError};

/// Answers a request: path with query, body.
type Answer = Box<dyn FnMut(&str, &str) -> (u16, String) + Send>;

#[derive(Clone)]
struct StandIn {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl StandIn {
    async fn start(
        answer: impl FnMut(&str, &str) -> (u16, String) + Send + 'static,
    ) -> (Self, Client) {
        let stand_in = Self {
            answer: Arc::new(Mutex::new(Box::new(answer))),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(reply).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (stand_in, Client::new(&url, &Access::default()).unwrap())
    }

    /// The bodies that were sent to paths with this in them.
    fn asked(&self, part: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let those = asked.iter().filter(|(path, _)| path.contains(part));
        those.map(|(_, body)| body.clone()).collect()
    }
}

async fn reply(State(stand_in): State<StandIn>, request: Request) -> Response {
    let path = request.uri().to_string();
    let body = axum::body::to_bytes(request.into_body(), 1 << 24)
        .await
        .unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (status, text) = (stand_in.answer.lock().unwrap())(&path, &body);
    stand_in.asked.lock().unwrap().push((path, body));
    Response::builder()
        .status(status)
        .body(Body::from(text))
        .unwrap()
}

/// Lines of a backup with so many documents.
struct Documents(u32);

#[async_trait]
impl RecordSource for Documents {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let lines: String = (0..std::mem::take(&mut self.0))
            .map(|n| format!("{{\"_id\":\"{n}\",\"_source\":{{\"n\":{n}}}}}\n"))
            .collect();
        Ok((!lines.is_empty()).then(|| Bytes::from(lines)))
    }
}

struct Nowhere;

#[async_trait]
impl RecordSink for Nowhere {
    async fn write(&mut self, _: Bytes) -> Result<(), TransferError> {
        Ok(())
    }
}

async fn write(client: &Client, documents: u32) -> Result<ImportReport, EngineError> {
    let permits = Semaphore::new(bulk::IN_FLIGHT as usize);
    let target = Target {
        client,
        permits: &permits,
        first_wait: Duration::from_millis(1),
        index: "i",
    };
    import::import(target, u64::from(documents), &mut Documents(documents)).await
}

fn refreshed() -> (u16, String) {
    (
        200,
        r#"{"_shards":{"total":1,"successful":1,"failed":0}}"#.to_owned(),
    )
}

/// An answer to a bulk request: the status of each document by its number.
fn items(body: &str, status: impl Fn(usize) -> u16) -> (u16, String) {
    let mut errors = false;
    let actions = body.lines().step_by(2);
    let items: Vec<_> = actions
        .map(|action| {
            let action: serde_json::Value = serde_json::from_str(action).unwrap();
            let id = action["index"]["_id"].as_str().unwrap();
            match status(id.parse().unwrap()) {
                201 => json!({"index": {"status": 201}}),
                status => {
                    errors = true;
                    json!({"index": {"status": status, "error": {"type": "busy_exception", "reason": "why"}}})
                }
            }
        })
        .collect();
    (200, json!({"errors": errors, "items": items}).to_string())
}

#[tokio::test]
async fn documents_that_a_server_is_too_busy_for_are_sent_again_and_no_others() {
    let mut times = 0;
    let (stand_in, client) = StandIn::start(move |path, body| {
        if path.contains("_refresh") {
            return refreshed();
        }
        times += 1;
        let first = times == 1;
        items(body, |n| match n {
            3 | 7 if first => 429,
            5 if first => 503,
            9 => 400,
            _ => 201,
        })
    })
    .await;
    let report = write(&client, 20).await.unwrap();
    assert_eq!((report.written, report.refused), (19, 1));
    assert_eq!(report.examples, ["document \"9\": busy_exception: why"]);
    let again: Vec<String> = stand_in.asked("_bulk")[1]
        .lines()
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(
        again,
        [
            r#"{"index":{"_id":"3"}}"#,
            r#"{"index":{"_id":"5"}}"#,
            r#"{"index":{"_id":"7"}}"#
        ]
    );
}

#[tokio::test]
async fn a_server_that_stays_busy_is_a_failure() {
    for whole in [true, false] {
        let (stand_in, client) = StandIn::start(move |_, body| {
            if whole {
                (
                    429,
                    r#"{"error":{"type":"es_rejected_execution_exception"}}"#.to_owned(),
                )
            } else {
                items(body, |_| 429)
            }
        })
        .await;
        let error = write(&client, 3).await.unwrap_err();
        assert!(error.retryable(), "{error}");
        assert_eq!(stand_in.asked("_bulk").len(), 8);
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_cut_in_halves() {
    let (_, client) = StandIn::start(|path, body| {
        if path.contains("_refresh") {
            return refreshed();
        }
        if body.contains(r#""_id":"4""#) || body.lines().count() > 10 {
            (413, String::new())
        } else {
            items(body, |_| 201)
        }
    })
    .await;
    let report = write(&client, 40).await.unwrap();
    assert_eq!((report.written, report.refused), (39, 1));
    assert!(report.examples[0].contains("413"), "{:?}", report.examples);
}

#[tokio::test]
async fn an_answer_for_other_documents_is_no_success() {
    for answer in [
        r#"{"errors":false,"items":[{"index":{"status":201}}]}"#,
        r#"{"errors":false,"items":[]}"#,
        r#"{"errors":true,"items":[{"index":{"status":201}},{"index":{"status":201}}]}"#,
        r#"{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}},{"index":{"status":201}}]}"#,
        r#"{"errors":false,"items":[{"delete":{"status":200}},{"index":{"status":201}}]}"#,
        r#"{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}}]"#,
        "{}",
        "<html>",
    ] {
        let (_, client) = StandIn::start(move |path, _| {
            if path.contains("_refresh") {
                refreshed()
            } else {
                (200, answer.to_owned())
            }
        })
        .await;
        assert!(write(&client, 2).await.is_err(), "{answer}");
    }
}

#[tokio::test]
async fn settings_are_put_back_after_a_failure() {
    let (stand_in, client) = StandIn::start(|path, _| match path {
        path if path.contains("_count") => (
            200,
            r#"{"count":0,"_shards":{"total":1,"successful":1,"failed":0}}"#.to_owned(),
        ),
        path if path.contains("flat_settings") => (
            200,
            r#"{"i":{"settings":{"index.number_of_replicas":"2","index.refresh_interval":"5s"}}}"#
                .to_owned(),
        ),
        path if path.contains("_settings") => (200, "{}".to_owned()),
        _ => (401, r#"{"error":{"type":"security_exception"}}"#.to_owned()),
    })
    .await;
    let error = write(&client, 20_000).await.unwrap_err();
    assert!(matches!(error, EngineError::LoginFailed { .. }), "{error}");
    let settings = stand_in.asked("/i/_settings");
    assert_eq!(
        settings[settings.len() - 1],
        r#"{"index.number_of_replicas":"2","index.refresh_interval":"5s"}"#
    );
    assert_eq!(
        settings[settings.len() - 2],
        r#"{"index.number_of_replicas":"0","index.refresh_interval":"-1"}"#
    );
}

async fn read(client: &Client) -> Result<u64, EngineError> {
    let place = Place {
        client,
        pages: &Pages::default(),
        index: "i",
        slices: 2,
    };
    Ok(export::export(place, &mut Nowhere).await?.records)
}

/// Answers to a scroll: a first page, and pages after it.
async fn scroll(first: &'static str, next: &'static str) -> (StandIn, Client) {
    StandIn::start(move |path, _| match path {
        path if path.contains("_count") => (
            200,
            r#"{"count":2,"_shards":{"total":1,"successful":1,"failed":0}}"#.to_owned(),
        ),
        path if path.contains("_stats") => (200, "{}".to_owned()),
        path if path.contains("/i/_search") => (200, first.to_owned()),
        _ => (200, next.to_owned()),
    })
    .await
}

const PAGE: &str = r#"{"_scroll_id":"s","timed_out":false,"_shards":{"total":1,"successful":1,"failed":0},"hits":{"total":{"value":2},"hits":[{"_id":"1","_source":{}},{"_id":"2","_source":{}}]}}"#;
const END: &str = r#"{"_scroll_id":"s","timed_out":false,"_shards":{"total":1,"successful":1,"failed":0},"hits":{"total":{"value":2},"hits":[]}}"#;

#[tokio::test]
async fn a_scroll_is_read_to_its_end_and_cleared() {
    let (stand_in, client) = scroll(PAGE, END).await;
    assert_eq!(read(&client).await.unwrap(), 2);
    assert_eq!(
        stand_in.asked("/_search/scroll").last().unwrap(),
        r#"{"scroll_id":["s"]}"#
    );
}

#[tokio::test]
async fn pages_that_are_not_whole_are_errors() {
    for (first, next, word) in [
        // A shard that failed.
        (
            r#"{"_scroll_id":"s","_shards":{"total":2,"successful":1,"failed":1,"failures":[{}]},"hits":{"total":{"value":2},"hits":[{"_id":"1","_source":{}}]}}"#,
            END,
            "shards",
        ),
        (
            PAGE,
            r#"{"_scroll_id":"s","_shards":{"total":2,"successful":1,"failed":1},"hits":{"hits":[]}}"#,
            "shards",
        ),
        (
            r#"{"_scroll_id":"s","timed_out":true,"_shards":{"total":1,"successful":1},"hits":{"total":{"value":0},"hits":[]}}"#,
            END,
            "timed out",
        ),
        // An end before all is there.
        (
            r#"{"_scroll_id":"s","_shards":{"total":1,"successful":1},"hits":{"total":{"value":3},"hits":[{"_id":"1","_source":{}}]}}"#,
            END,
            "1 of 3",
        ),
        (
            PAGE,
            r#"{"_scroll_id":"s","hits":{"hits":["#,
            "ended before",
        ),
        (PAGE, "", "ended before"),
        (PAGE, "{}", "protocol"),
        (
            r#"{"_scroll_id":"s","_shards":{"total":1,"successful":1},"hits":{"total":{"value":1},"hits":[{"_id":"1"}]}}"#,
            END,
            "_source",
        ),
        (
            r#"{"_scroll_id":"s","hits":{"hits":[{"_source":{}}]}}"#,
            END,
            "protocol",
        ),
    ] {
        let (_, client) = scroll(first, next).await;
        let error = read(&client).await.unwrap_err().to_string();
        assert!(error.contains(word), "{first} {next}: {error}");
    }
}

#[tokio::test]
async fn a_count_without_all_shards_is_no_count() {
    let (_, client) = StandIn::start(|path, _| {
        if path.contains("_refresh") {
            return refreshed();
        }
        (
            200,
            r#"{"count":2,"_shards":{"total":2,"successful":1,"failed":1}}"#.to_owned(),
        )
    })
    .await;
    assert!(verify::count(&client, "i").await.unwrap_err().retryable());
}

#[tokio::test]
async fn a_look_up_that_is_answered_in_part_is_an_error() {
    for answer in [
        r#"{"docs":[{"_id":"0","found":true,"_source":{"n":0}}]}"#,
        r#"{"docs":[{"_id":"1","found":true,"_source":{"n":1}},{"_id":"0","found":true,"_source":{"n":0}}]}"#,
        r#"{"docs":[{"_id":"0","error":{"type":"no_shard_available_action_exception"}},{"_id":"1","found":false}]}"#,
        r#"{"docs":[{"_id":"0","found":false},{"_id":"1","found":false}]"#,
    ] {
        let (_, client) = StandIn::start(move |path, _| match path {
            path if path.contains("_refresh") => refreshed(),
            path if path.contains("_count") => (
                200,
                r#"{"count":2,"_shards":{"total":1,"successful":1,"failed":0}}"#.to_owned(),
            ),
            _ => (200, answer.to_owned()),
        })
        .await;
        let found = verify::contains(&client, "i", &mut Documents(2)).await;
        assert!(found.is_err(), "{answer}");
    }
}
