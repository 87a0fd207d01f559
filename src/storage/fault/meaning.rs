//! What each fault means, and what a person should do about it.

use super::{Fault, Transport, Variant};
use crate::api::conditions::Reason;

const DENIED: &str = "the store forbids it; allow these keys to list and get below the prefix, and to put and delete where accessMode is ReadWrite";
const ACCESS_KEY: &str =
    "the store does not know the access key; put the right accessKeyId into the Secret";
const LOCKED: (Reason, bool, &str) = (
    Reason::Locked,
    false,
    "the object is held by the store's object lock",
);

impl Fault {
    /// Reason, whether another attempt may succeed, and what to do.
    pub(super) fn meaning(&self) -> (Reason, bool, &'static str) {
        if self.locked {
            return LOCKED;
        }
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

fn transport_meaning(transport: Transport) -> (Reason, bool, &'static str) {
    match transport {
        Transport::Name => (
            Reason::Unreachable,
            true,
            "the endpoint's name can't be resolved; check the endpoint in the spec and the cluster's DNS",
        ),
        Transport::Tls => (
            Reason::TlsFailed,
            false,
            "the TLS handshake failed; check that the endpoint speaks https, and that spec.caBundle holds the certificate of its CA",
        ),
        Transport::Connect => (
            Reason::Unreachable,
            true,
            "the endpoint can't be reached; check the endpoint in the spec, network policies and that the store runs",
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
        // Azure says so of an unknown account, a wrong key and a clock that is off alike.
        "AuthenticationFailed" | "InvalidAuthenticationInfo" => (
            Reason::InvalidSecretKey,
            false,
            "the store refuses the login; put the right accountKey or a sasToken that is still valid into the Secret, and check this machine's clock",
        ),
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
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "AccountIsDisabled"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "InsufficientAccountPermissions" => (Reason::AccessDenied, false, DENIED),
        "NotAStore" => (
            Reason::InvalidSpec,
            false,
            "the endpoint answers with a web page and is no object store; correct the endpoint in the spec",
        ),
        "NoSuchBucket" | "ContainerNotFound" => (
            Reason::BucketNotFound,
            false,
            "there is no such bucket or container; make it, or correct its name in the spec",
        ),
        "InvalidBucketName" | "InvalidResourceName" => (
            Reason::BucketNotFound,
            false,
            "the store takes no bucket or container of this name; correct it in the spec",
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
        "ObjectLocked" | "BlobImmutableDueToPolicy" | "RetentionPolicyNotMet" => LOCKED,
        "InvalidObjectState" => (
            Reason::AccessDenied,
            false,
            "the object was moved to an archive; restore it from there, and exempt the prefix from that rule",
        ),
        "SlowDown"
        | "ServiceUnavailable"
        | "ServerBusy"
        | "OperationTimedOut"
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
            "the endpoint redirects elsewhere, which is not followed; correct the endpoint in the spec, and for S3 the region",
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
            "the volume forbids it; give the user 65532 the right to write it (fsGroup), and use a file system that has hard links",
        ),
        K::ReadOnlyFilesystem => (
            Reason::AccessDenied,
            false,
            "the volume is mounted read-only; mount it writable or set accessMode to ReadOnly",
        ),
        K::InvalidInput | K::NotADirectory | K::IsADirectory => (
            Reason::ManifestInvalid,
            false,
            "there is a link, a pipe or a directory where a file of Lifeboat should be, and it is not followed; see who can write to the volume",
        ),
        K::Unsupported => (
            Reason::StoreUnsuitable,
            false,
            "the file system can't do this; use one that has hard links",
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
