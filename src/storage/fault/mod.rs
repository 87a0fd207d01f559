//! From an error of `object_store` to a reason and a sentence.
//!
//! `object_store` keeps the status and the body of a refusal only in the text of a private error
//! type, so the store's code is read out of that text. The text itself never leaves this module: it can
//! hold what the server was sent.

use object_store::client::{HttpError, HttpErrorKind};

use super::StorageError;

mod meaning;
#[cfg(test)]
mod tests;

/// How deep a chain of sources is followed.
const DEPTH_LIMIT: usize = 16;

/// What is known of a failed request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// HTTP status, where there was an answer.
    pub(super) status: Option<u16>,
    /// The store's code, for example `SignatureDoesNotMatch`.
    pub(super) code: Option<String>,
    /// The object is held by object lock.
    pub(super) locked: bool,
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
    /// The words that `object_store` puts before the status and the body of a refusal.
    pub(super) const STATUS_WORDS: &str = "Server returned non-2xx status code: ";

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
            // AWS refuses to touch a locked object with a plain AccessDenied and these words.
            fault.locked = text.contains("protected by object lock");
        }
        fault
    }

    /// True where the object is not there, though its bucket is.
    pub(super) fn is_missing(&self) -> bool {
        self.variant == Variant::NotFound
            && !matches!(
                self.code.as_deref(),
                Some("NoSuchBucket" | "ContainerNotFound")
            )
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
}

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

/// The first `<Code>` of an error body, if it looks like one.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let good =
        !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    good.then(|| code.to_owned())
}
