//! Faults of the transport as engine errors, and servers' words made fit to be shown.

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
pub(in crate::engine) fn word(text: &str) -> String {
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

/// What a fault of the transport means.
pub(in crate::engine) fn transport(server: &str, error: reqwest::Error) -> EngineError {
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

    #[test]
    fn words_are_short() {
        assert_eq!(word("a\nb\u{1b}"), "a b ");
        assert_eq!(word(&"x".repeat(1000)).chars().count(), 301);
    }
}
