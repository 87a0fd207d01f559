//! The HTTP API: ping, query, write.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::fault;
use super::net;
use super::response::{Decoder, Visit};
use super::table::{Collect, Table};
use crate::engine::{Access, EngineError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence within an answer: a server may plan a large query for minutes.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Rows a piece of an answer. Small pieces keep the server's memory flat, and ours.
const CHUNK_ROWS: &str = "2000";
const MSGPACK: &str = "application/x-msgpack";
/// The most bytes of an error's body that are read.
const ERROR_LIMIT: usize = 64 * 1024;

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
    http: reqwest::Client,
    base: Url,
    server: String,
    login: Option<(String, SecretString)>,
}

impl Client {
    /// For the server at `url`, with the login and the certificates that are mounted.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, EngineError> {
        let (base, server) = base_url(url)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .dns_resolver(net::Resolver)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_LIMIT)
            .tcp_nodelay(true)
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
        builder = if base.scheme() == "https" {
            builder.tls_certs_merge(trusted(access)?)
        } else {
            // The system's certificates are not read for nothing.
            builder.tls_certs_only([])
        };
        let http = builder
            .build()
            .map_err(|error| fault::transport(&server, error))?;
        Ok(Self {
            http,
            base,
            server,
            login: login(access)?,
        })
    }

    /// Host and port: the server's identity, as the protocol has none.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Name of the user, where there is a login.
    pub(super) fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|(user, _)| user.as_str())
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/{path}"));
        url
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password.expose_secret())),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        self.authorized(request)
            .send()
            .await
            .map_err(|error| fault::transport(&self.server, error))
    }

    async fn refusal(&self, response: Response) -> EngineError {
        let status = response.status().as_u16();
        let text = error_text(response).await;
        fault::said(&self.server, status, &text)
    }

    /// Asks who the server is.
    pub(super) async fn ping(&self) -> Result<Ping, EngineError> {
        let response = self.send(self.http.get(self.at("ping"))).await?;
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
            .post(self.at("query"))
            .header(ACCEPT, MSGPACK)
            .form(&form);
        let response = self.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        if !is_msgpack(response.headers()) {
            return Err(EngineError::Version {
                server: self.server.clone(),
                version: "that is not known".to_owned(),
                problem:
                    "it does not answer in MessagePack; InfluxDB 1.4 and later of the 1.x line do"
                        .to_owned(),
            });
        }
        Ok(Rows {
            server: &self.server,
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
        let mut url = self.at("write");
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
        let response = self.send(request.body(body)).await?;
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
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(piece)) = stream.next().await {
        body.extend_from_slice(&piece);
        if body.len() > ERROR_LIMIT {
            break;
        }
    }
    serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|json| json.get("error")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned())
}

/// The URL, and the server's identity: host in lower case, port, and path where there is one.
fn base_url(text: &str) -> Result<(Url, String), EngineError> {
    let refuse = |problem: &str| EngineError::NotSupported {
        problem: format!("url can't be used: {problem}"),
    };
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("it takes http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a login; put that into credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it takes no ? and no #"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => Some(v4.into()),
        Some(Host::Ipv6(v6)) => Some(v6.into()),
        Some(Host::Domain(_)) => None,
        None => return Err(refuse("it has no host")),
    };
    if address.is_some_and(net::is_link_local) {
        return Err(refuse("link-local addresses are refused"));
    }
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let port = url.port_or_known_default().unwrap_or_default();
    // Behind one proxy there may be several servers.
    let path = url.path().trim_end_matches('/');
    let server = format!("{}:{port}{path}", host.trim_end_matches('.'));
    Ok((url, server))
}

fn login(access: &Access) -> Result<Option<(String, SecretString)>, EngineError> {
    let Some(directory) = &access.credentials else {
        return Ok(None);
    };
    let read = |key: &str| {
        std::fs::read_to_string(directory.join(key)).map_err(|error| EngineError::Credentials {
            problem: format!(
                "the database's Secret has no usable key {key} ({}); it takes username and password",
                error.kind()
            ),
        })
    };
    let (user, password) = (read("username")?, read("password")?);
    // Secrets made from files often end in a newline that is not meant.
    let user = user.trim_end_matches(['\r', '\n']).to_owned();
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if user.is_empty() || user.contains(':') {
        return Err(EngineError::Credentials {
            problem: "the key username of the database's Secret is empty or has a colon".to_owned(),
        });
    }
    Ok(Some((user, password.into())))
}

fn trusted(access: &Access) -> Result<Vec<Certificate>, EngineError> {
    let Some(path) = &access.ca_bundle else {
        return Ok(Vec::new());
    };
    let refuse = |problem: String| EngineError::Credentials {
        problem: format!("tls.caBundle of the database can't be used: {problem}"),
    };
    let pem = std::fs::read(path).map_err(|error| refuse(error.kind().to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| refuse(error.to_string()))?;
    if found.is_empty() {
        return Err(refuse("it has no certificate".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, want) in [
            ("http://InfluxDB:8086", Some("influxdb:8086")),
            ("https://h", Some("h:443")),
            ("http://h/", Some("h:80")),
            ("http://h.svc.:8086/influx/", Some("h.svc:8086/influx")),
            ("http://[::1]:1", Some("[::1]:1")),
            ("http://u:p@h", None),
            ("ftp://h", None),
            ("http://169.254.169.254", None),
            ("http://[fe80::1]:8086", None),
            ("http://h?x=1", None),
            ("nothing", None),
        ] {
            let found = base_url(url).ok().map(|(_, server)| server);
            assert_eq!(found.as_deref(), want, "{url}");
        }
    }

    #[test]
    fn logins_come_from_files_and_stay_out_of_messages() {
        let directory = tempfile::tempdir().unwrap();
        let access = Access {
            credentials: Some(directory.path().to_owned()),
            ca_bundle: None,
        };
        let error = login(&access).unwrap_err().to_string();
        assert!(error.contains("no usable key username"), "{error}");
        std::fs::write(directory.path().join("username"), "u\n").unwrap();
        std::fs::write(directory.path().join("password"), "hunter2\n").unwrap();
        let (user, password) = login(&access).unwrap().unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("u", "hunter2"));
        std::fs::write(directory.path().join("username"), "a:b").unwrap();
        let error = login(&access).unwrap_err().to_string();
        assert!(
            !error.contains("hunter2") && error.contains("colon"),
            "{error}"
        );
    }
}
