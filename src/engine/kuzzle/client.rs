//! The HTTP API of Elasticsearch 7 and 8 and of OpenSearch.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::fault;
use super::split::Splitter;
use crate::engine::http::{self, Http};
use crate::engine::{Access, EngineError};

/// The most bytes of an answer that is read whole.
const ANSWER_LIMIT: usize = 32 << 20;
/// A document larger than this is held alone, by all parts together.
const LARGE: usize = 1 << 20;
/// Bytes of an answer that are looked at before other tasks get their turn.
const STEP: usize = 64 * 1024;
/// How long a server may take for one of its own steps.
const SERVER_TIMEOUT: Duration = Duration::from_secs(120);

/// Who a server is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Root {
    /// Identity of the cluster.
    pub(super) cluster_uuid: String,
    /// What it runs.
    pub(super) version: Version,
}

/// What a server runs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Version {
    /// `7.10.2`, for example.
    pub(super) number: String,
    /// `opensearch`, where it is that.
    #[serde(default)]
    pub(super) distribution: Option<String>,
}

/// A server.
pub(super) struct Client {
    http: Http,
    large: Semaphore,
}

impl Client {
    /// For the server at `url`, with the login and the certificates that are mounted.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, EngineError> {
        Ok(Self {
            http: Http::new(url, access)?,
            large: Semaphore::new(1),
        })
    }

    /// Host and port.
    pub(super) fn server(&self) -> &str {
        self.http.server()
    }

    /// Leave to hold a large document.
    pub(super) async fn large(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= LARGE {
            return None;
        }
        self.large.acquire().await.ok()
    }

    /// Asks who the server is.
    pub(super) async fn root(&self) -> Result<Root, EngineError> {
        self.get("").await
    }

    fn request(&self, method: Method, path: &str, body: Option<Bytes>) -> RequestBuilder {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.http.at(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = self.http.request(method, url);
        match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        }
    }

    async fn checked(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        let response = self.http.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = http::error_body(response).await;
        Err(fault::said(self.server(), status, &body))
    }

    /// A request with a small answer. `path` is escaped, and may have a query.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, EngineError> {
        let request = self.request(method, path, body).timeout(SERVER_TIMEOUT);
        let response = self.checked(request).await?;
        let mut whole = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| fault::transport(self.server(), error))?;
            if whole.len() + piece.len() > ANSWER_LIMIT {
                return Err(fault::garbled(self.server(), "it is longer than 32 MiB"));
            }
            whole.extend_from_slice(&piece);
        }
        serde_json::from_slice(&whole)
            .map_err(|error| fault::garbled(self.server(), &error.to_string()))
    }

    /// A GET with a small answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        self.ask(Method::GET, path, None).await
    }

    /// A change, of which only success is of interest.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(), EngineError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.ask::<Box<RawValue>>(method, path, body)
            .await
            .map(drop)
    }

    /// A POST whose answer has an array that is read while it arrives.
    pub(super) async fn stream(
        &self,
        path: &str,
        body: Bytes,
        array: &'static [&'static str],
    ) -> Result<Elements<'_>, EngineError> {
        let response = self
            .checked(self.request(Method::POST, path, Some(body)))
            .await?;
        Ok(Elements {
            client: self,
            body: response.bytes_stream().boxed(),
            splitter: Splitter::new(array),
            rest: Bytes::new(),
            held: None,
        })
    }
}

/// The elements of an array that arrives.
pub(super) struct Elements<'a> {
    client: &'a Client,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    splitter: Splitter,
    rest: Bytes,
    held: Option<SemaphorePermit<'a>>,
}

/// One element, and the leave to hold it.
pub(super) struct Element<'a> {
    /// Its bytes.
    pub(super) json: Vec<u8>,
    /// Some for a large one.
    pub(super) held: Option<SemaphorePermit<'a>>,
}

impl<'a> Elements<'a> {
    /// The next one; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Element<'a>>, EngineError> {
        loop {
            while !self.rest.is_empty() {
                let step = self.rest.len().min(STEP);
                let mut bytes = &self.rest[..step];
                let found = self
                    .splitter
                    .next(&mut bytes)
                    .map_err(|problem| fault::garbled(self.client.server(), problem))?;
                let read = step - bytes.len();
                self.rest = self.rest.slice(read..);
                if let Some(json) = found {
                    let held = self.held.take();
                    return Ok(Some(Element { json, held }));
                }
                if self.held.is_none() {
                    self.held = self.client.large(self.splitter.waiting()).await;
                }
                tokio::task::consume_budget().await;
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(error)) => return Err(fault::transport(self.client.server(), error)),
                None => return Ok(None),
            }
        }
    }

    /// What else the answer says, after its last element.
    pub(super) fn envelope<T: DeserializeOwned>(self) -> Result<T, EngineError> {
        let server = self.client.server();
        let envelope = self.splitter.finish().ok_or_else(|| fault::cut(server))?;
        serde_json::from_slice(&envelope)
            .map_err(|error| fault::garbled(server, &error.to_string()))
    }
}
