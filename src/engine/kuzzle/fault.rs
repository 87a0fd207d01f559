//! The server's words as engine errors.

use serde::Deserialize;

use crate::engine::EngineError;
pub(super) use crate::engine::http::{transport, word};

/// An error, as the server puts it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Said {
    /// `index_not_found_exception`, for example.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// In a sentence.
    pub(super) reason: Option<String>,
    /// What lies below it: it often says more.
    pub(super) caused_by: Option<Box<Said>>,
    /// The index that it is about.
    pub(super) index: Option<String>,
}

/// What an answer that is an error holds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Structured { error: Said },
    Text { error: String },
}

impl Said {
    /// In few words.
    pub(super) fn words(&self) -> String {
        let mut text = format!(
            "{}: {}",
            self.kind,
            self.reason.as_deref().unwrap_or("no reason")
        );
        let mut below = self.caused_by.as_deref();
        while let Some(cause) = below {
            if let Some(reason) = cause
                .reason
                .as_deref()
                .filter(|_| cause.caused_by.is_none())
            {
                text.push_str(", caused by ");
                text.push_str(reason);
            }
            below = cause.caused_by.as_deref();
        }
        word(&text)
    }

    fn read(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Body::Structured { error }) => error,
            Ok(Body::Text { error }) => Self {
                kind: "error".to_owned(),
                reason: Some(error),
                ..Self::default()
            },
            Err(_) => Self {
                kind: "no JSON".to_owned(),
                reason: Some(String::from_utf8_lossy(body).into_owned()),
                ..Self::default()
            },
        }
    }
}

/// What the status and the body of an answer mean.
pub(super) fn said(server: &str, status: u16, body: &[u8]) -> EngineError {
    let said = Said::read(body);
    let server = server.to_owned();
    let problem = said.words();
    match (status, said.kind.as_str()) {
        (401, _) => EngineError::LoginFailed { server, problem },
        (403, "cluster_block_exception") => EngineError::Server {
            server,
            problem: format!("{problem}; free disk space or take the block off the index"),
            retryable: true,
        },
        (403, _) => EngineError::PermissionDenied { server, problem },
        (404, "index_not_found_exception") => EngineError::NotFound {
            server,
            what: match said.index {
                Some(index) => format!("the index {}", word(&index)),
                None => problem,
            },
        },
        (300..=399, _) => EngineError::Server {
            server,
            problem: "a redirect, which is not followed; set url to where it leads".to_owned(),
            retryable: false,
        },
        _ => EngineError::Server {
            server,
            retryable: status == 429 || status >= 500 || lost_scroll(&problem),
            problem: format!("HTTP {status}: {problem}"),
        },
    }
}

/// Whether a scroll is gone, because its index was deleted or its server restarted: the next attempt
/// begins a new one. A server says so by the kind, or by the cause of a search that failed.
fn lost_scroll(problem: &str) -> bool {
    problem.contains("search_context_missing") || problem.contains("No search context found")
}

/// An answer that is not as the protocol says.
pub(super) fn garbled(server: &str, what: &str) -> EngineError {
    EngineError::Server {
        server: server.to_owned(),
        problem: format!("its answer is not as the protocol says: {}", word(what)),
        retryable: false,
    }
}

/// An answer that ended too early.
pub(super) fn cut(server: &str) -> EngineError {
    EngineError::Unreachable {
        server: server.to_owned(),
        problem: "the answer ended before its end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    #[test]
    fn words_become_reasons() {
        let error =
            |kind: &str| format!(r#"{{"error":{{"type":"{kind}","reason":"why"}},"status":1}}"#);
        for (status, body, reason, retryable) in [
            (
                401,
                error("security_exception"),
                Reason::DatabaseLoginFailed,
                false,
            ),
            (
                403,
                error("security_exception"),
                Reason::DatabasePermissionDenied,
                false,
            ),
            (
                403,
                error("cluster_block_exception"),
                Reason::DatabaseError,
                true,
            ),
            (
                404,
                error("index_not_found_exception"),
                Reason::DatabaseNotFound,
                false,
            ),
            (
                404,
                error("search_context_missing_exception"),
                Reason::DatabaseError,
                true,
            ),
            (
                404,
                r#"{"error":{"type":"search_phase_execution_exception","reason":"all shards failed","caused_by":{"type":"search_context_missing_exception","reason":"No search context found for id [795]"}}}"#.to_owned(),
                Reason::DatabaseError,
                true,
            ),
            (
                400,
                error("mapper_parsing_exception"),
                Reason::DatabaseError,
                false,
            ),
            (
                429,
                error("circuit_breaking_exception"),
                Reason::DatabaseError,
                true,
            ),
            (503, "<html>".to_owned(), Reason::DatabaseError, true),
            (
                405,
                r#"{"error":"Incorrect HTTP method","status":405}"#.to_owned(),
                Reason::DatabaseError,
                false,
            ),
            (301, String::new(), Reason::DatabaseError, false),
        ] {
            let error = said("h:9200", status, body.as_bytes());
            assert_eq!(error.reason(), reason, "{status} {body}");
            assert_eq!(error.retryable(), retryable, "{status} {body}");
        }
        let nested = br#"{"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [a]","caused_by":{"type":"x","reason":"For input string: \"b\""}}}"#;
        assert_eq!(
            said("h:1", 400, nested).to_string(),
            "h:1 answered with an error: HTTP 400: mapper_parsing_exception: failed to parse field [a], caused by For input string: \"b\""
        );
    }
}
