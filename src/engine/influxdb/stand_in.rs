//! A stand-in for a server: it answers as a test says, also as no server would.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;

/// How an answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// As HTTP says.
    #[default]
    Whole,
    /// The connection is closed in the middle.
    Lost,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) ending: Ending,
}

impl Reply {
    /// An answer to a query.
    pub(super) fn rows(document: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/x-msgpack".to_owned())],
            pieces: vec![document],
            ..Self::default()
        }
    }

    /// A refusal, as the server sends it.
    pub(super) fn refusal(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec![("x-influxdb-error", text.to_owned())],
            ..Self::default()
        }
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// `/query`, `/write` or `/ping`.
    pub(super) path: String,
    /// The statement of a query, or the body of a write.
    pub(super) text: String,
    /// The value of the header Authorization.
    pub(super) authorization: Option<String>,
}

type Answer = dyn FnMut(&Call) -> Reply + Send;

/// A running stand-in. It ends with the test.
pub(super) struct StandIn {
    /// Where it listens.
    pub(super) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    answer: Arc<Mutex<Box<Answer>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl StandIn {
    /// Starts one that answers as `answer` says.
    pub(super) async fn start(answer: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared {
            answer: Arc::new(Mutex::new(Box::new(answer))),
            calls: calls.clone(),
        };
        let router = Router::new().fallback(serve).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, calls, task }
    }

    /// All that was asked so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request
        .headers()
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 26)
        .await
        .unwrap();
    let text = if path == "/query" {
        url::form_urlencoded::parse(&body)
            .find(|(key, _)| key == "q")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    let call = Call {
        path,
        text,
        authorization,
    };
    let reply = (shared.answer.lock().unwrap())(&call);
    shared.calls.lock().unwrap().push(call);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let pieces = reply.pieces.into_iter().map(|piece| Ok(Bytes::from(piece)));
    let end = (reply.ending == Ending::Lost).then(|| Err(std::io::Error::other("lost")));
    let stream = futures::stream::iter(pieces.chain(end)).then(|piece| async {
        // Each piece is sent before the next is made.
        tokio::task::yield_now().await;
        piece
    });
    response.body(Body::from_stream(stream)).unwrap()
}

/// Writes MessagePack as the server does.
#[derive(Default)]
pub(super) struct Pack(pub(super) Vec<u8>);

impl Pack {
    pub(super) fn map(mut self, len: u8) -> Self {
        self.0.push(0x80 | len);
        self
    }
    pub(super) fn array(mut self, len: usize) -> Self {
        self.0.push(0xdc);
        self.0
            .extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        self
    }
    pub(super) fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0.push(0xdb);
        self.0
            .extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        self.0.extend_from_slice(text);
        self
    }
    pub(super) fn int(mut self, number: i64) -> Self {
        self.0.push(0xd3);
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    pub(super) fn float(mut self, number: f64) -> Self {
        self.0.push(0xcb);
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    pub(super) fn flag(mut self, flag: bool) -> Self {
        self.0.push(0xc2 + u8::from(flag));
        self
    }
    pub(super) fn nil(mut self) -> Self {
        self.0.push(0xc0);
        self
    }
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    /// The front of a document with one result, up to its series.
    pub(super) fn result(self, keys: u8, series: usize) -> Self {
        self.map(1)
            .text("results")
            .array(1)
            .map(keys)
            .text("statement_id")
            .int(0)
            .text("series")
            .array(series)
    }
    /// The front of a series, up to its rows.
    pub(super) fn series(
        self,
        name: &str,
        tags: &[(&str, &str)],
        columns: &[&str],
        rows: usize,
    ) -> Self {
        let pairs = if tags.is_empty() { 3 } else { 4 };
        let mut pack = self.map(pairs).text("name").text(name);
        if !tags.is_empty() {
            pack = pack.text("tags").map(u8::try_from(tags.len()).unwrap());
            for (key, value) in tags {
                pack = pack.text(key).text(value);
            }
        }
        pack = pack.text("columns").array(columns.len());
        for column in columns {
            pack = pack.text(column);
        }
        pack.text("values").array(rows)
    }
}

/// A list with one column.
pub(super) fn list(name: &str, column: &str, values: &[&str]) -> Vec<u8> {
    let mut pack = Pack::default()
        .result(2, 1)
        .series(name, &[], &[column], values.len());
    for value in values {
        pack = pack.array(1).text(value);
    }
    pack.0
}

/// A result without series.
pub(super) fn nothing() -> Vec<u8> {
    Pack::default().result(2, 0).0
}

/// An error within an answer.
pub(super) fn failed(text: &str) -> Vec<u8> {
    let pack = Pack::default().map(1).text("results").array(1);
    pack.map(1).text("error").text(text).0
}
