//! The server's words and the network's faults as engine errors.

use super::response::Fault;
use crate::engine::EngineError;

/// The most characters of a server's word that go into a message.
const WORD_LIMIT: usize = 300;

/// In what rustls says when a handshake fails.
const TLS_WORDS: [&str; 5] = [
    "certificate",
    "TLS",
    "tls handshake",
    "corrupt message",
    "fatal alert",
];

/// A server's word, short and printable.
pub(super) fn word(text: &str) -> String {
    let mut short: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORD_LIMIT)
        .collect();
    if text.trim().chars().count() > WORD_LIMIT {
        short.push('…');
    }
    short
}

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

/// What a fault of the transport means.
pub(super) fn transport(server: &str, error: reqwest::Error) -> EngineError {
    let error = error.without_url();
    let mut texts = vec![error.to_string()];
    let mut tls = false;
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        let text = inner.to_string();
        tls |= TLS_WORDS.iter().any(|word| text.contains(word));
        if !texts.iter().any(|have| have.contains(&text)) {
            texts.push(text);
        }
        source = inner.source();
    }
    let server = server.to_owned();
    // The innermost words say most; the outer ones are the library's.
    let problem = word(texts.last().map_or("the connection failed", String::as_str));
    if tls {
        EngineError::Tls { server, problem }
    } else if error.is_timeout() {
        EngineError::Unreachable {
            server,
            problem: "no answer in time".to_owned(),
        }
    } else {
        EngineError::Unreachable { server, problem }
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

    #[test]
    fn words_are_short() {
        assert_eq!(word("a\nb\u{1b}"), "a b ");
        assert_eq!(word(&"x".repeat(1000)).chars().count(), 301);
    }
}
