//! The HTTP client below a location in a cloud or on a server.
//!
//! Made here and not by `object_store`, for five reasons: TLS works in an image without any system
//! certificates, redirects are not followed (requests carry a signature), the body of an error is
//! bounded, a web page is not taken for an empty listing, and the store's `Date` is seen, so that a
//! wrong clock can be told without writing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use url::Url;

use super::StorageError;
use crate::api::conditions::Reason;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store may be silent. Not a bound on a whole transfer: a file may take its time.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Error bodies have some 500 bytes; nothing behind this is read.
const ERROR_BODY_LIMIT: usize = 16 * 1024;

/// The store's clock, by the `Date` of its last answer.
#[derive(Debug, Default)]
pub(super) struct StoreClock(Mutex<Option<(Timestamp, Instant)>>);

impl StoreClock {
    /// The store's time now, once it answered anything.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (date, at) = seen?;
        date.checked_add(at.elapsed()).ok()
    }

    fn saw(&self, date: &str) {
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(date) {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some((zoned.timestamp(), Instant::now()));
        }
    }
}

/// Hands the client to `object_store`.
#[derive(Debug)]
pub(super) struct Connector {
    client: reqwest::Client,
    clock: Arc<StoreClock>,
}

impl Connector {
    /// A client for `endpoint` (none: the cloud's own). `ca_pem` is trusted beside the system's certificates,
    /// of which there need not be any.
    pub(super) fn new(
        endpoint: Option<&Url>,
        ca_pem: Option<&[u8]>,
        clock: Arc<StoreClock>,
    ) -> Result<Self, StorageError> {
        let plain = endpoint.is_some_and(|url| url.scheme() == "http");
        let extra = ca_pem.map(certificates).transpose()?;
        let builder = reqwest::Client::builder()
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .http1_only()
            .https_only(!plain);
        let builder = match extra {
            Some(extra) => builder.tls_certs_merge(extra),
            // An image without certificates must not fail where none are needed.
            None if plain => builder.tls_certs_only([]),
            None => builder,
        };
        let client = builder.build().map_err(|_| {
            StorageError::lasting(
                Reason::TlsFailed,
                "there are no certificates to trust in this image; put the store's CA \
                 certificates into a ConfigMap and name it in spec.caBundle",
            )
        })?;
        Ok(Self { client, clock })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, StorageError> {
    let invalid = |problem: &str| {
        StorageError::lasting(
            Reason::CaBundleInvalid,
            format!("the CA bundle {problem}; put certificates in PEM form there"),
        )
    };
    let found = reqwest::Certificate::from_pem_bundle(pem)
        .map_err(|_| invalid("is not readable as PEM"))?;
    if found.is_empty() {
        return Err(invalid("holds no certificate"));
    }
    Ok(found)
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Observed {
            client: self.client.clone(),
            clock: self.clock.clone(),
        }))
    }
}

/// Stands in for the answer of something that is no store: a login page, a proxy's own page.
const NOT_A_STORE: &str = "<Error><Code>NotAStore</Code></Error>";

fn is_web_page(response: &HttpResponse) -> bool {
    let kind = response.headers().get("content-type");
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
}

#[derive(Debug)]
struct Observed {
    client: reqwest::Client,
    clock: Arc<StoreClock>,
}

#[async_trait]
impl HttpService for Observed {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let listing = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("list-type=") || query.contains("comp=list"));
        let response = HttpService::call(&self.client, request).await?;
        if let Some(date) = response.headers().get("date").and_then(|d| d.to_str().ok()) {
            self.clock.saw(date);
        }
        let status = response.status();
        if listing && status.is_success() && is_web_page(&response) {
            let (mut parts, _) = response.into_parts();
            parts.status = reqwest::StatusCode::BAD_REQUEST;
            return Ok(HttpResponse::from_parts(
                parts,
                NOT_A_STORE.to_owned().into(),
            ));
        }
        if !(status.is_client_error() || status.is_server_error()) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let kept = read_bounded(body, ERROR_BODY_LIMIT).await?;
        Ok(HttpResponse::from_parts(parts, Bytes::from(kept).into()))
    }
}

/// Reads a body up to `limit` bytes; what is behind them is left.
pub(super) async fn read_bounded(
    body: HttpResponseBody,
    limit: usize,
) -> Result<Vec<u8>, HttpError> {
    let mut stream = body.bytes_stream();
    let mut kept = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let room = limit - kept.len();
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if kept.len() == limit {
            break;
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_stores_clock_goes_on() {
        let clock = StoreClock::default();
        assert!(clock.now().is_none());
        clock.saw("not a date");
        assert!(clock.now().is_none());
        clock.saw("Fri, 20 Nov 2026 10:15:00 GMT");
        let now = clock.now().unwrap();
        let seen: Timestamp = "2026-11-20T10:15:00Z".parse().unwrap();
        assert!(now >= seen && now < seen + jiff::SignedDuration::from_secs(60));
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        for pem in [
            &b"hello"[..],
            b"",
            b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        ] {
            let error = certificates(pem).unwrap_err();
            assert_eq!(error.reason, Reason::CaBundleInvalid);
        }
    }
}
