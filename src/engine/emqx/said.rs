//! EMQX's words as engine errors.

use serde_json::Value;

use crate::engine::EngineError;
use crate::engine::http::word;

/// The text of an error's body: `message` is a string on 5.x, and an object with a text for each
/// namespace on 6.x.
pub(super) fn message(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return word(&String::from_utf8_lossy(body));
    };
    let code = answer.get("code").and_then(Value::as_str).unwrap_or("");
    let text = match answer.get("message") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(namespaces)) => namespaces
            .iter()
            .map(|(namespace, text)| {
                let text = text
                    .as_str()
                    .map_or_else(|| text.to_string(), str::to_owned);
                match namespace.as_str() {
                    "" | "global" | "$global" => text,
                    other => format!("namespace {other}: {text}"),
                }
            })
            .collect::<Vec<_>>()
            .join("; "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    match (code, text.is_empty()) {
        (code, true) => word(code),
        ("" | "BAD_REQUEST", false) => word(&text),
        (code, false) => word(&format!("{code}: {text}")),
    }
}

/// What an answer that is no success means.
pub(super) fn said(server: &str, status: u16, body: &[u8]) -> EngineError {
    let problem = message(body);
    let server = server.to_owned();
    let lower = problem.to_ascii_lowercase();
    match status {
        401 => EngineError::LoginFailed { server, problem },
        403 => EngineError::PermissionDenied {
            server,
            problem: format!(
                "{problem}; an API key may not move API keys and dashboard users in newer versions, a dashboard user with login: dashboardUser may"
            ),
        },
        300..=399 => EngineError::Server {
            server,
            problem: "a redirect, which is not followed; set url to where it leads".to_owned(),
            retryable: false,
        },
        400 if lower.contains("unknown node") => EngineError::Server {
            server,
            problem: format!("{problem}: the node that made the file is gone"),
            retryable: true,
        },
        400 if lower.contains("is newer than") || lower.contains("enterprise data backup") => {
            EngineError::NotSupported {
                problem: format!("{server} refuses the archive: {problem}"),
            }
        }
        400 if lower.contains("only allowed on core") => EngineError::Server {
            server,
            problem: format!("{problem}; let url lead to core nodes only"),
            retryable: true,
        },
        _ => EngineError::Server {
            server,
            problem: format!("HTTP {status}: {problem}"),
            retryable: status >= 500 || status == 408 || status == 429,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    #[test]
    fn both_shapes_of_a_message() {
        let cases: [(&str, &str); 7] = [
            (r#"{"code":"BAD_REQUEST","message":"no"}"#, "no"),
            (
                r#"{"code":"BAD_API_KEY_OR_SECRET","message":"Check api_key/api_secret"}"#,
                "BAD_API_KEY_OR_SECRET: Check api_key/api_secret",
            ),
            (
                r#"{"code":"BAD_REQUEST","message":{"ns1":"bad rule","global":"bad table"}}"#,
                "bad table; namespace ns1: bad rule",
            ),
            (
                r#"{"code":"BAD_REQUEST","message":{"a":{"b":1}}}"#,
                "namespace a: {\"b\":1}",
            ),
            (r#"{"code":"NOT_FOUND"}"#, "NOT_FOUND"),
            ("<html>", "<html>"),
            ("[]", ""),
        ];
        for (body, expected) in cases {
            let mut found: Vec<String> = message(body.as_bytes())
                .split("; ")
                .map(str::to_owned)
                .collect();
            let mut expected: Vec<&str> = expected.split("; ").collect();
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn what_is_tried_again() {
        let cases = [
            (
                401,
                "BAD_API_KEY_OR_SECRET",
                Reason::DatabaseLoginFailed,
                false,
            ),
            (403, "FORBIDDEN", Reason::DatabasePermissionDenied, false),
            (302, "", Reason::DatabaseError, false),
            (400, "Unknown node: emqx@x", Reason::DatabaseError, true),
            (
                400,
                "[warning] Backup version \\\"5.9.0\\\" is newer than EMQX version \\\"5.4.1\\\", import is not allowed.\\n",
                Reason::NotSupported,
                false,
            ),
            (
                400,
                "importing EMQX Enterprise data backup to EMQX is not allowed",
                Reason::NotSupported,
                false,
            ),
            (
                400,
                "backup data import is only allowed on core EMQX nodes, but requested node 'emqx@r' is not core",
                Reason::DatabaseError,
                true,
            ),
            (400, "Unexpected end of file", Reason::DatabaseError, false),
            (404, "backup file not found", Reason::DatabaseError, false),
            (500, "badrpc", Reason::DatabaseError, true),
        ];
        for (status, text, reason, retryable) in cases {
            let body = format!("{{\"code\":\"BAD_REQUEST\",\"message\":\"{text}\"}}");
            let error = said("h:1", status, body.as_bytes());
            assert_eq!(error.reason(), reason, "{text}");
            assert_eq!(error.retryable(), retryable, "{text}");
        }
    }
}
