//! From an error of `object_store` to a reason and a sentence.
//!
//! `object_store` keeps the status and the body of a refusal only in the text of a private error
//! type, so S3's code is read out of that text. The text itself never leaves this module: it can
//! hold what the server was sent.

use object_store::client::{HttpError, HttpErrorKind};

use super::StorageError;
use crate::api::conditions::Reason;

/// How deep a chain of sources is followed.
const DEPTH_LIMIT: usize = 16;

/// What is known of a failed request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// HTTP status, where there was an answer.
    pub(super) status: Option<u16>,
    /// S3's code, for example `SignatureDoesNotMatch`.
    pub(super) code: Option<String>,
    /// Why there was no answer.
    pub(super) transport: Option<Transport>,
    /// What the file system said.
    pub(super) io: Option<std::io::ErrorKind>,
    /// The variant of `object_store`'s error, which is all that an in-memory or local store has.
    pub(super) variant: Variant,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// The name could not be resolved.
    Name,
    /// The TLS handshake failed.
    Tls,
    /// The connection was not made.
    Connect,
    /// It took too long.
    Timeout,
    /// The connection broke.
    Broken,
}

/// The variants of `object_store`'s error that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Variant {
    /// Anything else.
    #[default]
    Other,
    /// No such object (or bucket).
    NotFound,
    /// There is one already, or somebody else is just writing it.
    Exists,
    /// Not allowed.
    Denied,
    /// Not known to the store.
    Unauthenticated,
    /// The store can't do this.
    NotBuilt,
}

impl Fault {
    /// Reads what can be known out of an error and its sources.
    pub(super) fn of(error: &object_store::Error) -> Self {
        let mut fault = Self {
            variant: variant(error),
            ..Self::default()
        };
        let mut text = String::new();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut depth = 0;
        while let Some(current) = next.filter(|_| depth < DEPTH_LIMIT) {
            if let Some(http) = current.downcast_ref::<HttpError>() {
                fault.transport = Some(match http.kind() {
                    HttpErrorKind::Connect => Transport::Connect,
                    HttpErrorKind::Timeout => Transport::Timeout,
                    _ => Transport::Broken,
                });
            }
            if let Some(io) = current.downcast_ref::<std::io::Error>() {
                fault.io = Some(io.kind());
            }
            text.push_str(&current.to_string());
            text.push('\n');
            next = current.source();
            depth += 1;
        }
        if fault.transport.is_some() {
            fault.transport = refine(fault.transport, &text);
        } else {
            fault.status = status(&text);
            fault.code = code(&text);
        }
        fault
    }

    /// True where the object is not there, though its bucket is.
    pub(super) fn is_missing(&self) -> bool {
        self.variant == Variant::NotFound && self.code.as_deref() != Some("NoSuchBucket")
    }

    /// True where a create-only put found an object, or another writer at work.
    pub(super) fn is_taken(&self) -> bool {
        self.variant == Variant::Exists
    }

    /// Reason, sentence, and whether another attempt may succeed. `what` was being done at `place`.
    pub(super) fn explain(&self, what: &str, place: &str) -> StorageError {
        let (reason, retryable, words) = self.meaning();
        let seen = match (&self.code, self.status) {
            (Some(code), _) => format!(" ({code})"),
            (None, Some(status)) => format!(" (HTTP {status})"),
            (None, None) => String::new(),
        };
        StorageError {
            reason,
            message: format!("{what} in the {place}: {words}{seen}"),
            retryable,
        }
    }

    fn meaning(&self) -> (Reason, bool, &'static str) {
        if let Some(transport) = self.transport {
            return transport_meaning(transport);
        }
        if let Some(known) = self.code.as_deref().and_then(code_meaning) {
            return known;
        }
        if let Some(known) = self.status.and_then(status_meaning) {
            return known;
        }
        if let Some(kind) = self.io {
            return io_meaning(kind);
        }
        match self.variant {
            Variant::Denied => (Reason::AccessDenied, false, DENIED),
            Variant::Unauthenticated => (Reason::InvalidAccessKey, false, ACCESS_KEY),
            Variant::NotBuilt => (
                Reason::StoreUnsuitable,
                false,
                "the store can't do this; use another one",
            ),
            Variant::NotFound => (
                Reason::StoreError,
                false,
                "the object is gone; see what deletes objects in this bucket",
            ),
            Variant::Exists => (
                Reason::StoreError,
                true,
                "another writer is at work; it is tried again",
            ),
            Variant::Other => (
                Reason::StoreError,
                true,
                "the store failed in a way that can't be told; see its own log",
            ),
        }
    }
}

const DENIED: &str = "the store forbids it; allow these keys to list and get below the prefix, and to put and delete where accessMode is ReadWrite";
const ACCESS_KEY: &str =
    "the store does not know the access key; put the right accessKeyId into the Secret";

fn variant(error: &object_store::Error) -> Variant {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Variant::NotFound,
        E::AlreadyExists { .. } | E::Precondition { .. } => Variant::Exists,
        E::PermissionDenied { .. } => Variant::Denied,
        E::Unauthenticated { .. } => Variant::Unauthenticated,
        E::NotImplemented { .. } | E::NotSupported { .. } => Variant::NotBuilt,
        _ => Variant::Other,
    }
}

fn refine(transport: Option<Transport>, text: &str) -> Option<Transport> {
    // The words of rustls, whose error type is behind two others.
    const TLS: [&str; 7] = [
        "invalid peer certificate",
        "received fatal alert",
        "received corrupt message",
        "peer is incompatible",
        "peer misbehaved",
        "tls handshake",
        "certificate not valid",
    ];
    if TLS.iter().any(|words| text.contains(words)) {
        return Some(Transport::Tls);
    }
    if text.contains("dns error") || text.contains("failed to lookup address") {
        return Some(Transport::Name);
    }
    transport
}

/// The status in `Server returned non-2xx status code: 403 Forbidden: …`.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The first `<Code>` of an S3 error body, if it looks like one.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let good =
        !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    good.then(|| code.to_owned())
}

fn transport_meaning(transport: Transport) -> (Reason, bool, &'static str) {
    match transport {
        Transport::Name => (
            Reason::Unreachable,
            true,
            "the endpoint's name can't be resolved; check spec.s3.endpoint and the cluster's DNS",
        ),
        Transport::Tls => (
            Reason::TlsFailed,
            false,
            "the TLS handshake failed; check that the endpoint speaks https, and that spec.caBundle holds the certificate of its CA",
        ),
        Transport::Connect => (
            Reason::Unreachable,
            true,
            "the endpoint can't be reached; check spec.s3.endpoint, network policies and that the store runs",
        ),
        Transport::Timeout => (
            Reason::Unreachable,
            true,
            "the store did not answer in time; check the network and that the store runs",
        ),
        Transport::Broken => (
            Reason::Unreachable,
            true,
            "the connection to the store broke; check the network and that the store runs",
        ),
    }
}

fn code_meaning(code: &str) -> Option<(Reason, bool, &'static str)> {
    Some(match code {
        "InvalidAccessKeyId" | "InvalidAccessKey" | "UnrecognizedClientException" => {
            (Reason::InvalidAccessKey, false, ACCESS_KEY)
        }
        "SignatureDoesNotMatch" => (
            Reason::InvalidSecretKey,
            false,
            "the store refuses the signature; put the right secretAccessKey into the Secret",
        ),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (
            Reason::InvalidAccessKey,
            false,
            "the session token is not valid any more; put a new sessionToken into the Secret",
        ),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => {
            (Reason::AccessDenied, false, DENIED)
        }
        "NoSuchBucket" => (
            Reason::BucketNotFound,
            false,
            "there is no such bucket; make it, or correct spec.s3.bucket",
        ),
        "InvalidBucketName" => (
            Reason::BucketNotFound,
            false,
            "the store takes no bucket of this name; correct spec.s3.bucket",
        ),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => (
            Reason::InvalidSpec,
            false,
            "the bucket is in another region; correct spec.s3.region and spec.s3.endpoint",
        ),
        "RequestTimeTooSkewed" => (
            Reason::ClockSkew,
            true,
            "this machine's clock is too far from the store's; set it right",
        ),
        "NotImplemented" => (
            Reason::StoreUnsuitable,
            false,
            "the store can't do this; use another one",
        ),
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => (
            Reason::StoreError,
            true,
            "the store is full; give it room or keep fewer backups",
        ),
        "ObjectLocked" | "InvalidObjectState" => {
            (Reason::Locked, false, "the object is locked by the store")
        }
        "SlowDown"
        | "ServiceUnavailable"
        | "InternalError"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "TooManyRequests" => (
            Reason::StoreError,
            true,
            "the store is overloaded or failed; it is tried again",
        ),
        _ => return None,
    })
}

fn status_meaning(status: u16) -> Option<(Reason, bool, &'static str)> {
    Some(match status {
        300..=399 => (
            Reason::InvalidSpec,
            false,
            "the endpoint redirects elsewhere, which is not followed; correct spec.s3.endpoint and spec.s3.region",
        ),
        401 => (Reason::InvalidAccessKey, false, ACCESS_KEY),
        403 => (Reason::AccessDenied, false, DENIED),
        408 | 429 | 500..=599 => (
            Reason::StoreError,
            true,
            "the store is overloaded or failed; it is tried again",
        ),
        _ => return None,
    })
}

fn io_meaning(kind: std::io::ErrorKind) -> (Reason, bool, &'static str) {
    use std::io::ErrorKind as K;
    match kind {
        K::PermissionDenied => (
            Reason::AccessDenied,
            false,
            "the volume forbids it; give the job pods' user the right to it (fsGroup)",
        ),
        K::ReadOnlyFilesystem => (
            Reason::AccessDenied,
            false,
            "the volume is mounted read-only; mount it writable or set accessMode to ReadOnly",
        ),
        K::ConnectionReset
        | K::ConnectionAborted
        | K::BrokenPipe
        | K::UnexpectedEof
        | K::TimedOut => transport_meaning(Transport::Broken),
        K::StorageFull | K::QuotaExceeded => (
            Reason::StoreError,
            true,
            "the volume is full; give it room or keep fewer backups",
        ),
        _ => (
            Reason::StoreError,
            true,
            "the volume failed; see the node's log",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// An error as `object_store` makes it: the body only in the text of a source.
    fn refused(status: &str, body: &str) -> object_store::Error {
        let text = format!(
            "Error performing GET http://127.0.0.1/b in 1ms - Server returned non-2xx status code: {status}: {body}"
        );
        object_store::Error::Generic {
            store: "S3",
            source: text.into(),
        }
    }

    fn broken(kind: HttpErrorKind, text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(kind, std::io::Error::other(text.to_owned()))),
        }
    }

    #[test]
    fn recorded_refusals() {
        for (status, body, reason, retryable) in [
            // AWS
            (
                "403 Forbidden",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our records.</Message><AWSAccessKeyId>AKIDSECRETISH</AWSAccessKeyId><RequestId>1</RequestId></Error>",
                Reason::InvalidAccessKey,
                false,
            ),
            (
                "403 Forbidden",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><AWSAccessKeyId>AKIDSECRETISH</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 AKIDSECRETISH</StringToSign></Error>",
                Reason::InvalidSecretKey,
                false,
            ),
            (
                "403 Forbidden",
                "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/AKIDSECRETISH is not authorized</Message></Error>",
                Reason::AccessDenied,
                false,
            ),
            (
                "404 Not Found",
                "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>dr</BucketName></Error>",
                Reason::BucketNotFound,
                false,
            ),
            ("301 Moved Permanently", "", Reason::InvalidSpec, false),
            (
                "400 Bad Request",
                "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
                Reason::InvalidSpec,
                false,
            ),
            (
                "400 Bad Request",
                "<Error><Code>ExpiredToken</Code></Error>",
                Reason::InvalidAccessKey,
                false,
            ),
            (
                "403 Forbidden",
                "<Error><Code>RequestTimeTooSkewed</Code></Error>",
                Reason::ClockSkew,
                true,
            ),
            (
                "409 Conflict",
                "<Error><Code>ConditionalRequestConflict</Code></Error>",
                Reason::StoreError,
                true,
            ),
            (
                "501 Not Implemented",
                "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>",
                Reason::StoreUnsuitable,
                false,
            ),
            (
                "503 Service Unavailable",
                "<Error><Code>SlowDown</Code></Error>",
                Reason::StoreError,
                true,
            ),
            // A proxy in between, or a HEAD without a body.
            ("403 Forbidden", "", Reason::AccessDenied, false),
            ("401 Unauthorized", "", Reason::InvalidAccessKey, false),
            (
                "502 Bad Gateway",
                "<html><h1>Bad Gateway</h1></html>",
                Reason::StoreError,
                true,
            ),
            ("429 Too Many Requests", "", Reason::StoreError, true),
            // Hostile: a code that is no code is not shown.
            (
                "403 Forbidden",
                "<Error><Code>Signature\nDoesNotMatch AKIDSECRETISH</Code></Error>",
                Reason::AccessDenied,
                false,
            ),
            (
                "403 Forbidden",
                "<Error><Code></Code></Error>",
                Reason::AccessDenied,
                false,
            ),
        ] {
            let error =
                Fault::of(&refused(status, body)).explain("listing x", "bucket dr at https://s3");
            assert_eq!(error.reason, reason, "{status} {body}");
            assert_eq!(error.retryable, retryable, "{status} {body}");
            assert!(!error.message.contains("AKIDSECRETISH"), "{error}");
            assert!(
                error
                    .message
                    .starts_with("listing x in the bucket dr at https://s3: "),
                "{error}"
            );
            assert!(
                error.message.len() < 400 && !error.message.contains('<'),
                "{error}"
            );
        }
    }

    #[test]
    fn connections_that_fail() {
        for (kind, text, reason, retryable) in [
            (
                HttpErrorKind::Connect,
                "tcp connect error: Connection refused",
                Reason::Unreachable,
                true,
            ),
            (
                HttpErrorKind::Connect,
                "dns error: failed to lookup address information",
                Reason::Unreachable,
                true,
            ),
            (
                HttpErrorKind::Connect,
                "invalid peer certificate: UnknownIssuer",
                Reason::TlsFailed,
                false,
            ),
            (
                HttpErrorKind::Connect,
                "received corrupt message of type InvalidContentType",
                Reason::TlsFailed,
                false,
            ),
            (
                HttpErrorKind::Unknown,
                "received fatal alert: HandshakeFailure",
                Reason::TlsFailed,
                false,
            ),
            (
                HttpErrorKind::Timeout,
                "operation timed out",
                Reason::Unreachable,
                true,
            ),
            (
                HttpErrorKind::Interrupted,
                "connection reset",
                Reason::Unreachable,
                true,
            ),
        ] {
            let error = Fault::of(&broken(kind, text)).explain("listing x", "bucket dr");
            assert_eq!(
                (error.reason, error.retryable),
                (reason, retryable),
                "{text}"
            );
            assert!(!error.message.contains(text), "{error}");
        }
    }

    #[test]
    fn a_missing_object_is_not_a_missing_bucket() {
        let missing = |body: &str| object_store::Error::NotFound {
            path: "k".to_owned(),
            source: refused("404 Not Found", body).into(),
        };
        assert!(Fault::of(&missing("<Error><Code>NoSuchKey</Code></Error>")).is_missing());
        assert!(Fault::of(&missing("")).is_missing());
        let bucket = Fault::of(&missing("<Error><Code>NoSuchBucket</Code></Error>"));
        assert!(!bucket.is_missing());
        assert_eq!(bucket.explain("x", "y").reason, Reason::BucketNotFound);
    }
}
