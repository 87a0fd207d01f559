//! The HTTP API: ping, query, write.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};

use super::fault;
use super::response::{Decoder, Visit};
use super::table::{Collect, Table};
use crate::engine::http::{self, Http};
use crate::engine::{Access, EngineError};

/// Rows a piece of an answer. Small pieces keep the server's memory flat, and ours.
const CHUNK_ROWS: &str = "2000";
const MSGPACK: &str = "application/x-msgpack";

/// What a server says of itself without a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ping {
    /// `1.7.11`, for example; empty where it does not say.
    pub(super) version: String,
    /// `OSS` or `ENT`.
    pub(super) build: String,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All points were taken.
    All,
    /// Some or all were refused, in the server's words.
    Refused(String),
    /// The body is larger than the server takes.
    TooLarge,
}

/// A server.
pub(super) struct Client {
    http: Http,
}

impl Client {
    /// For the server at `url`, with the login and the certificates that are mounted.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, EngineError> {
        Ok(Self {
            http: Http::new(url, access)?,
        })
    }

    /// Host and port: the server's identity, as the protocol has none.
    pub(super) fn server(&self) -> &str {
        self.http.server()
    }

    /// Name of the user, where there is a login.
    pub(super) fn user(&self) -> Option<&str> {
        self.http.user()
    }

    async fn refusal(&self, response: Response) -> EngineError {
        let status = response.status().as_u16();
        let text = error_text(response).await;
        fault::said(self.server(), status, &text)
    }

    /// Asks who the server is.
    pub(super) async fn ping(&self) -> Result<Ping, EngineError> {
        let response = self.http.send(self.http.get(self.http.at("ping"))).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(64).collect())
                .unwrap_or_default()
        };
        Ok(Ping {
            version: header("x-influxdb-version"),
            build: header("x-influxdb-build"),
        })
    }

    /// Sends `statements` statements, and streams their rows.
    pub(super) async fn rows(&self, query: &str, statements: i64) -> Result<Rows<'_>, EngineError> {
        self.rows_in("", query, statements).await
    }

    async fn rows_in(
        &self,
        database: &str,
        query: &str,
        statements: i64,
    ) -> Result<Rows<'_>, EngineError> {
        let form = [
            ("db", database),
            ("q", query),
            ("epoch", "ns"),
            ("chunked", "true"),
            ("chunk_size", CHUNK_ROWS),
        ];
        let request = self
            .http
            .post(self.http.at("query"))
            .header(ACCEPT, MSGPACK)
            .form(&form);
        let response = self.http.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        if !is_msgpack(response.headers()) {
            return Err(EngineError::Version {
                server: self.server().to_owned(),
                version: "that is not known".to_owned(),
                problem:
                    "it does not answer in MessagePack; InfluxDB 1.4 and later of the 1.x line do"
                        .to_owned(),
            });
        }
        Ok(Rows {
            server: self.server(),
            body: response.bytes_stream().boxed(),
            decoder: Decoder::new(),
            statements,
        })
    }

    /// Sends one statement with a small answer.
    pub(super) async fn table(&self, query: &str) -> Result<Vec<Table>, EngineError> {
        self.table_in("", query).await
    }

    /// As [`Self::table`], with the database that the right to ask is looked up for.
    pub(super) async fn table_in(
        &self,
        database: &str,
        query: &str,
    ) -> Result<Vec<Table>, EngineError> {
        let mut collect = Collect::default();
        let mut rows = self.rows_in(database, query, 1).await?;
        while rows.next(&mut collect).await? {}
        Ok(collect.into_tables())
    }

    /// Writes line protocol. An empty body checks the right to write, and that the database is there.
    pub(super) async fn write(
        &self,
        database: &str,
        policy: Option<&str>,
        body: Bytes,
    ) -> Result<Written, EngineError> {
        let mut url = self.http.at("write");
        url.query_pairs_mut()
            .append_pair("db", database)
            .append_pair("precision", "ns");
        if let Some(policy) = policy {
            url.query_pairs_mut().append_pair("rp", policy);
        }
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let response = self.http.send(request.body(body)).await?;
        match response.status().as_u16() {
            200..=299 => Ok(Written::All),
            400 => Ok(Written::Refused(error_text(response).await)),
            413 => Ok(Written::TooLarge),
            _ => Err(self.refusal(response).await),
        }
    }
}

/// An answer that arrives.
pub(super) struct Rows<'a> {
    server: &'a str,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: Decoder,
    statements: i64,
}

impl Rows<'_> {
    /// Decodes the next piece. False at the end, when the answer was whole.
    pub(super) async fn next(
        &mut self,
        visit: &mut (dyn Visit + Send),
    ) -> Result<bool, EngineError> {
        match self.body.next().await {
            Some(Ok(piece)) => {
                self.decoder
                    .push(&piece, visit)
                    .map_err(|fault| fault::fault(self.server, fault))?;
                Ok(true)
            }
            Some(Err(error)) => Err(fault::transport(self.server, error)),
            None => {
                self.decoder
                    .finish(self.statements)
                    .map_err(|fault| fault::fault(self.server, fault))?;
                Ok(false)
            }
        }
    }
}

fn is_msgpack(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(MSGPACK.as_bytes()))
}

async fn error_text(response: Response) -> String {
    if let Some(text) = response
        .headers()
        .get("x-influxdb-error")
        .and_then(|value| value.to_str().ok())
    {
        return text.to_owned();
    }
    let body = http::error_body(response).await;
    serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|json| json.get("error")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned())
}
