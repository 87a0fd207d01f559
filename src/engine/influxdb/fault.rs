//! The server's words and the network's faults as engine errors.

use super::response::Fault;
use crate::engine::EngineError;
pub(super) use crate::engine::http::{transport, word};

/// What a server's word means. `status` is the HTTP status, 200 for an error within an answer.
pub(super) fn said(server: &str, status: u16, text: &str) -> EngineError {
    let server = server.to_owned();
    let problem = word(text);
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    match status {
        401 => EngineError::LoginFailed { server, problem },
        403 => EngineError::PermissionDenied { server, problem },
        300..=399 => EngineError::Server {
            server,
            problem: "a redirect, which is not followed; set url to where it leads".to_owned(),
            retryable: false,
        },
        _ if has("not authorized") || has("authorization") || has("requires admin") => {
            EngineError::PermissionDenied { server, problem }
        }
        _ if lower.starts_with("database not found")
            || lower.starts_with("retention policy not found") =>
        {
            EngineError::NotFound {
                server,
                what: problem.replacen(" not found", "", 1),
            }
        }
        _ => EngineError::Server {
            server,
            problem: if status == 200 {
                problem
            } else {
                format!("HTTP {status}: {problem}")
            },
            // A statement that the server can't parse will not be parsed later either.
            retryable: status != 400
                && status != 404
                && status != 413
                && !has("error parsing query"),
        },
    }
}

/// What an answer that can't be used means.
pub(super) fn fault(server: &str, fault: Fault) -> EngineError {
    match fault {
        Fault::Said(text) => said(server, 200, &text),
        Fault::Garbled(what) => EngineError::Server {
            server: server.to_owned(),
            problem: format!("its answer is not as the protocol says: {what}"),
            retryable: false,
        },
        Fault::Cut => EngineError::Unreachable {
            server: server.to_owned(),
            problem: "the answer ended before its end".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    #[test]
    fn words_become_reasons() {
        for (status, text, reason, retryable) in [
            (
                401,
                "authorization failed",
                Reason::DatabaseLoginFailed,
                false,
            ),
            (
                403,
                "error authorizing query",
                Reason::DatabasePermissionDenied,
                false,
            ),
            (
                200,
                "not authorized to execute",
                Reason::DatabasePermissionDenied,
                false,
            ),
            (
                200,
                "database not found: x",
                Reason::DatabaseNotFound,
                false,
            ),
            (
                200,
                "retention policy not found: x",
                Reason::DatabaseNotFound,
                false,
            ),
            (
                404,
                "database not found: \"x\"",
                Reason::DatabaseNotFound,
                false,
            ),
            (302, "", Reason::DatabaseError, false),
            (400, "error parsing query: x", Reason::DatabaseError, false),
            (
                200,
                "query-timeout limit exceeded",
                Reason::DatabaseError,
                true,
            ),
            (503, "engine is closed", Reason::DatabaseError, true),
            (429, "slow down", Reason::DatabaseError, true),
        ] {
            let error = said("h:1", status, text);
            assert_eq!(error.reason(), reason, "{status} {text}");
            assert_eq!(error.retryable(), retryable, "{status} {text}");
        }
        assert_eq!(
            said("h:1", 200, "database not found: x").to_string(),
            "database: x does not exist in h:1; create it or take it out of the spec"
        );
    }
}
