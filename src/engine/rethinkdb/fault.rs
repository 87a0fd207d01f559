//! The server's words and the network's faults as engine errors.
//!
//! Vendor source: `ql2.proto` (`Response.ErrorType`).

use crate::engine::EngineError;
pub(super) use crate::engine::http::word;

/// What kind of answer an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The query was not understood.
    Client,
    /// The query makes no sense to the server.
    Compile,
    /// The query failed; with the type of the error.
    Runtime(u64),
}

const INTERNAL: u64 = 1_000_000;
const RESOURCE_LIMIT: u64 = 2_000_000;
const NON_EXISTENCE: u64 = 3_100_000;
const OP_FAILED: u64 = 4_100_000;
const OP_INDETERMINATE: u64 = 4_200_000;
const PERMISSION: u64 = 6_000_000;

/// What the server says where a table can't be used for now: a replica is lost or not yet ready.
const UNAVAILABLE: [&str; 6] = [
    "not available",
    "primary replica",
    "lost contact",
    "could not be reached",
    "timed out",
    "not ready",
];
/// What it says where a name leads nowhere; it has no type of its own for that.
const MISSING: [&str; 2] = ["does not exist", "was not found"];

/// Whether the server says that a table can't be used for now.
pub(super) fn is_passing(text: &str) -> bool {
    UNAVAILABLE.iter().any(|word| text.contains(word))
}

/// What an error answer means.
pub(super) fn said(server: &str, kind: Kind, text: &str) -> EngineError {
    let server = server.to_owned();
    let problem = word(text);
    match kind {
        Kind::Runtime(PERMISSION) => EngineError::PermissionDenied { server, problem },
        Kind::Runtime(OP_FAILED | NON_EXISTENCE) if MISSING.iter().any(|m| text.contains(m)) => {
            EngineError::NotFound {
                server,
                what: problem
                    .trim_end_matches('.')
                    .replacen(" does not exist", "", 1),
            }
        }
        Kind::Runtime(code) => EngineError::Server {
            server,
            retryable: matches!(code, INTERNAL | RESOURCE_LIMIT | OP_INDETERMINATE)
                || (code == OP_FAILED && is_passing(text)),
            problem,
        },
        Kind::Client | Kind::Compile => EngineError::Server {
            server,
            problem: format!("it does not take the query: {problem}"),
            retryable: false,
        },
    }
}

/// An answer that is not as the protocol says.
pub(super) fn garbled(server: &str, what: &str) -> EngineError {
    EngineError::Server {
        server: server.to_owned(),
        problem: format!("its answer is not as the protocol says: {what}"),
        retryable: false,
    }
}

/// A connection that failed.
pub(super) fn lost(server: &str, problem: &std::io::Error) -> EngineError {
    let server = server.to_owned();
    let inner = problem.get_ref();
    if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<tokio_rustls::rustls::Error>) {
        return EngineError::Tls {
            server,
            problem: word(&problem.to_string()),
        };
    }
    EngineError::Unreachable {
        server,
        problem: match problem.kind() {
            std::io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            _ => word(&problem.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    #[test]
    fn what_errors_mean() {
        for (kind, text, reason, retryable) in [
            (
                Kind::Runtime(PERMISSION),
                "User `bob` does not have the required `read` permission",
                Reason::DatabasePermissionDenied,
                false,
            ),
            (
                Kind::Runtime(OP_FAILED),
                "Table `shop.orders` does not exist.",
                Reason::DatabaseNotFound,
                false,
            ),
            (
                Kind::Runtime(OP_FAILED),
                "Cannot perform read: primary replica for shard [\"\", +inf) not available",
                Reason::DatabaseError,
                true,
            ),
            (
                Kind::Runtime(OP_FAILED),
                "Table `shop.orders` already exists.",
                Reason::DatabaseError,
                false,
            ),
            (
                Kind::Runtime(OP_INDETERMINATE),
                "Cannot perform write: lost contact with primary replica",
                Reason::DatabaseError,
                true,
            ),
            (
                Kind::Runtime(RESOURCE_LIMIT),
                "Array over size limit",
                Reason::DatabaseError,
                true,
            ),
            (
                Kind::Runtime(3_000_000),
                "Expected type NUMBER",
                Reason::DatabaseError,
                false,
            ),
            (
                Kind::Compile,
                "Unrecognized optional argument",
                Reason::DatabaseError,
                false,
            ),
            (
                Kind::Client,
                "Client is buggy",
                Reason::DatabaseError,
                false,
            ),
        ] {
            let error = said("h:1", kind, text);
            assert_eq!(
                (error.reason(), error.retryable()),
                (reason, retryable),
                "{error}"
            );
        }
    }
}
