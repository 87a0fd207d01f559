//! What engines that speak HTTP share: the connection, the login, the certificates, and the words of
//! what goes wrong.

mod fault;
mod net;
mod token;

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Certificate, IntoUrl, Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{Access, EngineError};
pub(super) use fault::{transport, word};
pub(super) use net::is_link_local;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence within an answer: a server may plan a large query for minutes.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// The most bytes of an error's body that are read.
const ERROR_LIMIT: usize = 64 * 1024;

/// A server that is spoken to over HTTP, with basic authentication where there is a login.
///
/// Redirects and proxies are not followed: a login goes nowhere but to the host that the spec names.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    server: String,
    login: Option<(String, SecretString)>,
}

impl Http {
    /// For the server at `url`, with the login and the certificates that are mounted.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, EngineError> {
        Self::with_silence(url, access, SILENCE_LIMIT)
    }

    /// As [`Self::new`], for a server that may be silent for so long before it answers.
    pub(super) fn with_silence(
        url: &str,
        access: &Access,
        silence: Duration,
    ) -> Result<Self, EngineError> {
        let (base, server) = base_url(url)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .dns_resolver(net::Resolver)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(silence)
            .tcp_nodelay(true)
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
        builder = if base.scheme() == "https" {
            builder.tls_certs_merge(trusted(access)?)
        } else {
            // The system's certificates are not read for nothing.
            builder.tls_certs_only([])
        };
        let client = builder.build().map_err(|error| transport(&server, error))?;
        Ok(Self {
            client,
            base,
            server,
            login: login(access)?,
        })
    }

    /// Host, port and path: the server's identity where its protocol has none.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Name of the user, where there is a login.
    pub(super) fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|(user, _)| user.as_str())
    }

    /// The URL of a path, which is escaped already and has no slash before it.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/{path}"));
        url
    }

    /// A GET, to be sent by [`Self::send`].
    pub(super) fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.get(url)
    }

    /// A POST, to be sent by [`Self::send`].
    pub(super) fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.post(url)
    }

    /// A request of another method, to be sent by [`Self::send`].
    pub(super) fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request with the login. Any status is an answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        let request = match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password.expose_secret())),
            None => request,
        };
        request
            .send()
            .await
            .map_err(|error| transport(&self.server, error))
    }
}

/// The beginning of an answer that tells an error: at most some 64 KiB.
pub(super) async fn error_body(response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(piece)) = stream.next().await {
        body.extend_from_slice(&piece);
        if body.len() > ERROR_LIMIT {
            break;
        }
    }
    body
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
            ..Access::default()
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
