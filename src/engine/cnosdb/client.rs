//! The HTTP API: ping, one statement a call, write.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::ACCEPT;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::fault::Said;
use super::time::Precision;
use crate::engine::http::{Http, error_body, transport};
use crate::engine::{Access, EngineError};

/// Rows as JSON objects, one a line.
const LINES: &str = "application/nd-json";
/// The most bytes of a list, such as the tables of a tenant.
const LIST_LIMIT: usize = 64 * 1024 * 1024;
/// The most bytes of one row.
pub(super) const ROW_LIMIT: usize = 32 * 1024 * 1024;
/// Who a fresh server knows, without a password. It answers nobody without a name.
const FIRST_USER: &str = "root";

/// Where a statement is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    /// The tenant.
    pub(super) tenant: &'a str,
    /// The database that names in the statement are of.
    pub(super) database: &'a str,
}

/// Makes a server's words fit to be shown.
pub(super) type Show<'a> = &'a (dyn Fn(&str) -> String + Send + Sync);

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All records were taken.
    All,
    /// None was taken.
    Refused(Said),
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

    /// As [`Self::new`], for statements that take long before anything is answered.
    pub(super) fn with_silence(
        url: &str,
        access: &Access,
        silence: Duration,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            http: Http::with_silence(url, access, silence)?,
        })
    }

    /// Host and port: the server's identity, as the protocol has none.
    pub(super) fn server(&self) -> &str {
        self.http.server()
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        let request = match self.http.user() {
            Some(_) => request,
            None => request.basic_auth(FIRST_USER, Some("")),
        };
        self.http.send(request).await
    }

    /// Its version: `2.4.2, revision …`.
    pub(super) async fn version(&self) -> Result<String, EngineError> {
        #[derive(serde::Deserialize)]
        struct Ping {
            version: String,
        }
        let response = self
            .send(self.http.get(self.http.at("api/v1/ping")))
            .await?;
        let status = response.status();
        let body = error_body(response).await;
        if !status.is_success() {
            return Err(Said::read(&body).error(self.server(), status.as_u16()));
        }
        let ping: Ping = serde_json::from_slice(&body).map_err(|_| self.odd("a ping"))?;
        Ok(ping.version.chars().take(64).collect())
    }

    async fn ask(
        &self,
        at: At<'_>,
        statement: &str,
        show: Show<'_>,
    ) -> Result<Response, EngineError> {
        let mut url = self.http.at("api/v1/sql");
        url.query_pairs_mut()
            .append_pair("tenant", at.tenant)
            .append_pair("db", at.database);
        let request = self
            .http
            .post(url)
            .header(ACCEPT, LINES)
            .body(statement.to_owned());
        let response = self.send(request).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let said = Said::read(&error_body(response).await);
        let said = Said {
            message: show(&said.message),
            ..said
        };
        Err(said.error(self.server(), status))
    }

    /// Runs a statement and streams its rows. The server answers only when it has all of them, so
    /// what is asked for has to be bounded by the statement.
    pub(super) async fn rows(&self, at: At<'_>, statement: &str) -> Result<Lines, EngineError> {
        let response = self.ask(at, statement, &str::to_owned).await?;
        Ok(self.lines(response))
    }

    fn lines(&self, response: Response) -> Lines {
        Lines {
            server: self.server().to_owned(),
            body: response.bytes_stream().boxed(),
            kept: Vec::new(),
            start: 0,
            ended: false,
        }
    }

    /// Runs a statement with a small answer. An empty answer has an empty body.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        at: At<'_>,
        statement: &str,
    ) -> Result<Vec<T>, EngineError> {
        self.list_showing(at, statement, &str::to_owned).await
    }

    /// As [`Self::list`], for a statement that holds what must not be shown: `show` takes it out of
    /// the server's words.
    pub(super) async fn list_showing<T: DeserializeOwned>(
        &self,
        at: At<'_>,
        statement: &str,
        show: Show<'_>,
    ) -> Result<Vec<T>, EngineError> {
        let mut lines = self.lines(self.ask(at, statement, show).await?);
        let (mut found, mut size) = (Vec::new(), 0);
        while lines.fill().await? {
            while let Some(line) = lines.line() {
                size += line.len();
                if size > LIST_LIMIT {
                    return Err(self.odd("a list of more than 64 MiB"));
                }
                let row = serde_json::from_slice(line)
                    .map_err(|error| self.odd(&format!("a list: {}", show(&error.to_string()))))?;
                found.push(row);
            }
        }
        Ok(found)
    }

    /// Runs a statement that answers nothing.
    pub(super) async fn run(&self, at: At<'_>, statement: &str) -> Result<(), EngineError> {
        self.list::<serde_json::Value>(at, statement)
            .await
            .map(drop)
    }

    /// As [`Self::run`], for a statement that writes: a refusal is an answer.
    pub(super) async fn insert(&self, at: At<'_>, statement: &str) -> Result<Written, EngineError> {
        let mut url = self.http.at("api/v1/sql");
        url.query_pairs_mut()
            .append_pair("tenant", at.tenant)
            .append_pair("db", at.database);
        let request = self.http.post(url).header(ACCEPT, LINES);
        self.written(request.body(statement.to_owned())).await
    }

    /// Writes line protocol.
    pub(super) async fn write(
        &self,
        at: At<'_>,
        precision: Precision,
        body: Bytes,
    ) -> Result<Written, EngineError> {
        let mut url = self.http.at("api/v1/write");
        url.query_pairs_mut()
            .append_pair("tenant", at.tenant)
            .append_pair("db", at.database)
            .append_pair("precision", precision.word());
        self.written(self.http.post(url).body(body)).await
    }

    async fn written(&self, request: RequestBuilder) -> Result<Written, EngineError> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        match status {
            200..=299 => Ok(Written::All),
            413 => Ok(Written::TooLarge),
            _ => {
                let said = Said::read(&error_body(response).await);
                match said.error(self.server(), status) {
                    // What the server holds against the records, and not against us.
                    EngineError::Server {
                        retryable: false, ..
                    } if status == 422 || status == 400 => Ok(Written::Refused(said)),
                    other => Err(other),
                }
            }
        }
    }

    /// An answer that is not as the protocol says.
    pub(super) fn odd(&self, what: &str) -> EngineError {
        odd(self.server(), what)
    }
}

fn odd(server: &str, what: &str) -> EngineError {
    EngineError::Server {
        server: server.to_owned(),
        problem: format!("its answer is not as the protocol says: {what}"),
        retryable: false,
    }
}

/// An answer that arrives, line by line.
pub(super) struct Lines {
    server: String,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    kept: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Lines {
    /// Takes the next piece of the answer. False when all of it was taken and every line was given.
    pub(super) async fn fill(&mut self) -> Result<bool, EngineError> {
        self.kept.drain(..self.start);
        self.start = 0;
        if self.ended {
            return Ok(!self.kept.is_empty());
        }
        match self.body.next().await {
            Some(Ok(piece)) => self.kept.extend_from_slice(&piece),
            Some(Err(error)) => return Err(transport(&self.server, error)),
            None => {
                self.ended = true;
                if self.kept.last().is_some_and(|byte| *byte != b'\n') {
                    self.kept.push(b'\n');
                }
            }
        }
        if self.kept.len() > ROW_LIMIT && memchr::memchr(b'\n', &self.kept).is_none() {
            return Err(odd(&self.server, "a row larger than 32 MiB"));
        }
        Ok(true)
    }

    /// The next whole line that was taken, without its newline.
    pub(super) fn line(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.kept.get(self.start..)?;
            let end = self.start + memchr::memchr(b'\n', rest)?;
            let start = std::mem::replace(&mut self.start, end + 1);
            if end > start {
                return Some(&self.kept[start..end]);
            }
        }
    }
}
