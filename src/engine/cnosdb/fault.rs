//! The server's words as engine errors.
//!
//! A failure is `{"error_code":"010001","error_message":"…"}`, nearly always with the status 422. The
//! first two digits of a code name the part of the server: 01 queries, 02 storage, 03 metadata,
//! 04 HTTP, 05 the coordinator. Vendor source: `common/models/src/auth/mod.rs`,
//! `query_server/spi/src/lib.rs`, `meta/src/error.rs`, `coordinator/src/errors.rs` of 2.4.2.

use serde::Deserialize;

use crate::engine::EngineError;
use crate::engine::http::word;

/// A failure, as the server tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Said {
    /// Six digits; empty where the answer had none.
    #[serde(default, rename = "error_code")]
    pub(super) code: String,
    /// The server's words.
    #[serde(default, rename = "error_message")]
    pub(super) message: String,
}

impl Said {
    /// From the body of an answer.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            code: String::new(),
            message: String::from_utf8_lossy(body).into_owned(),
        })
    }

    /// Whether the same call may succeed later: replicas without a leader, limits of a tenant, and
    /// nodes that don't reach one another.
    pub(super) fn passes(&self, status: u16) -> bool {
        const LATER: [&str; 6] = ["030024", "030025", "030026", "030028", "050023", "050026"];
        status == 429
            || status >= 500
            || LATER.contains(&self.code.as_str())
            || ("050027".."050031").contains(&self.code.as_str())
    }

    /// Code and words, short and printable.
    pub(super) fn words(&self) -> String {
        match self.code.as_str() {
            "" => word(&self.message),
            code => word(&format!("{code}: {}", self.message)),
        }
    }

    /// What it means.
    pub(super) fn error(&self, server: &str, status: u16) -> EngineError {
        let server = server.to_owned();
        let problem = self.words();
        let lower = self.message.to_ascii_lowercase();
        let has = |part: &str| lower.contains(part);
        match (status, self.code.as_str()) {
            (401, _) => EngineError::LoginFailed { server, problem },
            (403, _) => EngineError::PermissionDenied { server, problem },
            (300..=399, _) => EngineError::Server {
                server,
                problem: "a redirect, which is not followed; set url to where it leads".to_owned(),
                retryable: false,
            },
            (_, "010016") if has("tenant") && has("not found") => EngineError::NotFound {
                server,
                what: problem,
            },
            _ if has("access denied")
                || has("missing request header")
                || has("password not set") =>
            {
                EngineError::LoginFailed { server, problem }
            }
            _ if has("insufficient privileges") => {
                EngineError::PermissionDenied { server, problem }
            }
            (_, "010016") => EngineError::LoginFailed { server, problem },
            _ if has("table not found") || has("database not found") || has("not found db") => {
                EngineError::NotFound {
                    server,
                    what: problem,
                }
            }
            _ => EngineError::Server {
                server,
                retryable: self.passes(status),
                problem: if self.code.is_empty() {
                    format!("HTTP {status}: {problem}")
                } else {
                    problem
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    #[test]
    fn words_become_reasons() {
        for (status, body, reason, retryable) in [
            (
                422,
                r#"{"error_code":"010001","error_message":"Datafusion: Error during planning: Table not found, tenant: cnosdb db: telemetry, table: nosuch"}"#,
                Reason::DatabaseNotFound,
                false,
            ),
            (
                422,
                r#"{"error_code":"030017","error_message":"Database not found: \"x\""}"#,
                Reason::DatabaseNotFound,
                false,
            ),
            (
                422,
                r#"{"error_code":"010016","error_message":"Auth error: The tenant nosuch not found"}"#,
                Reason::DatabaseNotFound,
                false,
            ),
            (
                422,
                r#"{"error_code":"010016","error_message":"Auth error: Access denied for user 'root' (using password)"}"#,
                Reason::DatabaseLoginFailed,
                false,
            ),
            (
                400,
                r#"{"error_code":"000000","error_message":"Missing request header \"authorization\""}"#,
                Reason::DatabaseLoginFailed,
                false,
            ),
            (
                422,
                r#"{"error_code":"010016","error_message":"Insufficient privileges, expected [x]"}"#,
                Reason::DatabasePermissionDenied,
                false,
            ),
            (
                422,
                r#"{"error_code":"030020","error_message":"Table air already exists."}"#,
                Reason::DatabaseError,
                false,
            ),
            (
                422,
                r#"{"error_code":"010047","error_message":"object store error: x"}"#,
                Reason::DatabaseError,
                false,
            ),
            (
                422,
                r#"{"error_code":"050026","error_message":"not the leader"}"#,
                Reason::DatabaseError,
                true,
            ),
            (503, "busy", Reason::DatabaseError, true),
            (404, "", Reason::DatabaseError, false),
            (302, "", Reason::DatabaseError, false),
        ] {
            let error = Said::read(body.as_bytes()).error("h:1", status);
            assert_eq!(error.reason(), reason, "{status} {body}");
            assert_eq!(error.retryable(), retryable, "{status} {body}");
        }
    }
}
