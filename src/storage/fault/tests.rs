//! Faults as stores and networks make them.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::api::conditions::Reason;

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
#[allow(clippy::too_many_lines)] // One table.
fn recorded_refusals() {
    for (status, body, reason, retryable) in [
        // Azure
        (
            "403 Server failed to authenticate the request.",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.</Message><AuthenticationErrorDetail>The MAC signature AKIDSECRETISH is not the same</AuthenticationErrorDetail></Error>",
            Reason::InvalidSecretKey,
            false,
        ),
        (
            "404 The specified container does not exist.",
            "<Error><Code>ContainerNotFound</Code><Message>The specified container does not exist.</Message></Error>",
            Reason::BucketNotFound,
            false,
        ),
        (
            "403 Forbidden",
            "<Error><Code>AuthorizationPermissionMismatch</Code></Error>",
            Reason::AccessDenied,
            false,
        ),
        (
            "503 Server Busy",
            "<Error><Code>ServerBusy</Code></Error>",
            Reason::StoreError,
            true,
        ),
        (
            "409 Conflict",
            "<Error><Code>BlobImmutableDueToPolicy</Code></Error>",
            Reason::Locked,
            false,
        ),
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
        (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>",
            Reason::Locked,
            false,
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
