//! The canonical form of a document, which fingerprints and comparisons are made of.
//!
//! Elasticsearch keeps the bytes of a document as they came in, so what counts is what JSON means by
//! them: white space and the order of keys say nothing, `"\u00e9"` is `"é"`. Numbers are compared by
//! their text: 1.50 is not 1.5, 9007199254740993 stays what it is, and -0.0 is not 0.0. Keys are
//! sorted by their bytes, equal keys stay in their order. Deeper than [`MAX_DEPTH`] levels a value is
//! compared by its text without white space.

use sha2::{Digest, Sha256};

/// Levels in which the order of keys says nothing.
const MAX_DEPTH: usize = 100;

/// Bytes of a text that are unescaped at once.
const PIECE: usize = 64 * 1024;

/// A digest of a document's content.
pub(super) type ContentDigest = [u8; 32];

/// The digest of a document, which is valid JSON.
pub(super) fn digest(source: &[u8]) -> ContentDigest {
    let mut hash = Sha256::new();
    let start = skip_space(source, 0);
    value(&mut hash, source, start, 0);
    hash.finalize().into()
}

/// The canonical form of a record: its id, its routing, its content.
pub(super) fn record(id: &str, routing: Option<&str>, content: &ContentDigest) -> Vec<u8> {
    let mut form = Vec::with_capacity(id.len() + 64);
    for text in [Some(id), routing] {
        match text {
            Some(text) => {
                form.extend_from_slice(&(text.len() as u64).to_le_bytes());
                form.extend_from_slice(text.as_bytes());
            }
            None => form.extend_from_slice(&u64::MAX.to_le_bytes()),
        }
    }
    form.extend_from_slice(content);
    form
}

/// Adds the value that begins at `at`; where it ends.
fn value(hash: &mut Sha256, json: &[u8], at: usize, depth: usize) -> usize {
    match json.get(at) {
        Some(b'{' | b'[') if depth >= MAX_DEPTH => {
            let end = end_of(json, at);
            hash.update(b"=");
            without_space(hash, &json[at..end]);
            hash.update(b";");
            end
        }
        Some(b'{') => object(hash, json, at, depth),
        Some(b'[') => array(hash, json, at, depth),
        Some(b'"') => {
            let end = string_end(json, at);
            string(hash, inner(json, at, end));
            end
        }
        Some(_) => {
            let end = end_of(json, at);
            hash.update(b"n");
            hash.update(&json[at..end]);
            hash.update(b";");
            end
        }
        None => at,
    }
}

fn array(hash: &mut Sha256, json: &[u8], at: usize, depth: usize) -> usize {
    hash.update(b"[");
    let mut at = skip_space(json, at + 1);
    while json.get(at).is_some_and(|byte| *byte != b']') {
        at = skip_space(json, value(hash, json, at, depth + 1).max(at + 1));
        if json.get(at) == Some(&b',') {
            at = skip_space(json, at + 1);
        }
    }
    hash.update(b"]");
    (at + 1).min(json.len())
}

fn object(hash: &mut Sha256, json: &[u8], at: usize, depth: usize) -> usize {
    // Where each key begins and ends, and where its value begins.
    let mut entries: Vec<(usize, usize, usize)> = Vec::new();
    let mut at = skip_space(json, at + 1);
    while json.get(at) == Some(&b'"') {
        let end = string_end(json, at);
        let colon = skip_space(json, end);
        let start = skip_space(json, colon + 1);
        entries.push((at, end, start));
        at = skip_space(json, end_of(json, start));
        if json.get(at) == Some(&b',') {
            at = skip_space(json, at + 1);
        }
    }
    let plain = |entry: &(usize, usize, usize)| unescaped(inner(json, entry.0, entry.1));
    if entries.len() > 1 {
        entries.sort_by(|one, other| plain(one).cmp(&plain(other)));
    }
    hash.update(b"{");
    for (start, end, from) in entries {
        string(hash, inner(json, start, end));
        value(hash, json, from, depth + 1);
    }
    hash.update(b"}");
    (at + 1).min(json.len())
}

fn string(hash: &mut Sha256, inner: &[u8]) {
    hash.update(b"s");
    let mut length = 0u64;
    // A large one piece by piece, twice: its length comes first.
    if inner.len() > PIECE && pieces(inner, |plain| length += plain.len() as u64) {
        hash.update(length.to_le_bytes());
        pieces(inner, |plain| hash.update(plain));
        return;
    }
    let plain = unescaped(inner);
    hash.update((plain.len() as u64).to_le_bytes());
    hash.update(&plain);
}

/// Gives what a string means, piece by piece; false where that is no text.
fn pieces(inner: &[u8], mut give: impl FnMut(&[u8])) -> bool {
    let mut rest = inner;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(piece_end(rest));
        match plain(piece) {
            Some(plain) => give(&plain),
            None => return false,
        }
        rest = more;
    }
    true
}

/// The end of what stands at the beginning: text without escapes, or escapes one after another. A
/// pair of surrogates stays together.
fn piece_end(inner: &[u8]) -> usize {
    if inner.first() != Some(&b'\\') {
        return memchr::memchr(b'\\', inner).unwrap_or(inner.len());
    }
    let mut at = 0;
    while inner.get(at) == Some(&b'\\') {
        let unicode = inner.get(at + 1) == Some(&b'u');
        let high = unicode && inner.get(at + 2).is_some_and(|byte| b"dD".contains(byte));
        at = (at + if unicode { 6 } else { 2 }).min(inner.len());
        if at >= PIECE && !high {
            break;
        }
    }
    at
}

/// Between the quotes.
fn inner(json: &[u8], at: usize, end: usize) -> &[u8] {
    json.get(at + 1..end.saturating_sub(1)).unwrap_or_default()
}

/// What a string means; its own bytes where that is no text (half of a surrogate pair).
fn unescaped(inner: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    plain(inner).unwrap_or(inner.into())
}

fn plain(inner: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(inner.into());
    }
    let quoted = [b"\"", inner, b"\""].concat();
    let text = serde_json::from_slice::<String>(&quoted).ok()?;
    Some(text.into_bytes().into())
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let space = rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    at + space
}

fn string_end(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    json.len()
}

/// The end of the value that begins at `at`.
fn end_of(json: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match json.get(at) {
            None => return json.len(),
            Some(b'"') => at = string_end(json, at),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            Some(byte) if *byte == b',' || *byte == b':' || byte.is_ascii_whitespace() => {
                if depth == 0 {
                    return at;
                }
                at += 1;
                continue;
            }
            Some(_) => {
                let rest = &json[at..];
                let plain = |byte: &u8| !(b",:{}[]\"".contains(byte) || byte.is_ascii_whitespace());
                at += rest.iter().take_while(|byte| plain(byte)).count();
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

fn without_space(hash: &mut Sha256, json: &[u8]) {
    let mut at = 0;
    while at < json.len() {
        let end = if json[at] == b'"' {
            string_end(json, at)
        } else {
            at + 1
        };
        if !json[at].is_ascii_whitespace() {
            hash.update(&json[at..end]);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_and_what_is_not() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(300), "]".repeat(300));
        let (one, spaced, other) = (deep("1"), deep(" 1 "), deep("2"));
        let cases = [
            (
                r#"{"a":1,"b":[1,2]}"#,
                "{ \"b\" : [ 1 , 2 ],\n\"a\":1 }",
                true,
            ),
            (r#"{"a":1}"#, r#"{"\u0061":1}"#, true),
            (r#"{"a":"é\n"}"#, r#"{"a":"\u00e9\u000a"}"#, true),
            (
                r#"{"a":{"x":1,"y":{"q":1,"p":2}}}"#,
                r#"{"a":{"y":{"p":2,"q":1},"x":1}}"#,
                true,
            ),
            (r#"{"a":1.50}"#, r#"{"a":1.5}"#, false),
            (r#"{"a":-0.0}"#, r#"{"a":0.0}"#, false),
            (
                r#"{"a":9007199254740993}"#,
                r#"{"a":9007199254740992}"#,
                false,
            ),
            (r#"{"a":1e400}"#, r#"{"a":1e401}"#, false),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
            (r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#, false),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, false),
            (r#"{"a":null}"#, r"{}", false),
            (r#"{"a":"b","c":"d"}"#, r#"{"a":"bc","":"d"}"#, false),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud801"}"#, false),
            (r#"{"a":[]}"#, r#"{"a":{}}"#, false),
            (r#"{"a":true}"#, r#"{"a":false}"#, false),
            (one.as_str(), spaced.as_str(), true),
            (one.as_str(), other.as_str(), false),
        ];
        for (one, other, same) in cases {
            assert_eq!(
                digest(one.as_bytes()) == digest(other.as_bytes()),
                same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn long_texts_are_what_they_mean() {
        let raw = "é\n\"\u{1F600}".repeat(40_000);
        let escaped = r#"\u00e9\n\"\ud83d\ude00"#.repeat(40_000);
        let mixed = format!("{}{}", r"\ud83d\ude00".repeat(90_000), "x".repeat(200_000));
        let plain = format!("{}{}", "\u{1F600}".repeat(90_000), "x".repeat(200_000));
        let half = format!("{}{}", r"\n".repeat(90_000), r"\ud83d");
        let of = |text: &str| digest(format!(r#"{{"a":"{text}"}}"#).as_bytes());
        let raw = raw.replace('\n', r"\n").replace('"', r#"\""#);
        assert_eq!(of(&raw), of(&escaped));
        assert_eq!(of(&mixed), of(&plain));
        assert_ne!(of(&half), of(&half.replace("83d", "83e")));
    }

    #[test]
    fn what_is_no_json_is_no_panic() {
        for text in [
            "",
            "{",
            "[",
            "{\"a\"",
            "{\"a\":",
            "\"\\",
            "[,,]",
            "}",
            "[1",
            "{\"a\" 1}",
            "[}",
        ] {
            digest(text.as_bytes());
        }
    }

    #[test]
    fn a_record_is_its_id_its_routing_and_its_content() {
        let content = digest(b"{}");
        let forms = [
            record("a", None, &content),
            record("a", Some(""), &content),
            record("a", Some("b"), &content),
            record("ab", None, &content),
            record("a", None, &digest(b"[]")),
        ];
        for (at, form) in forms.iter().enumerate() {
            assert!(!forms[at + 1..].contains(form));
        }
    }
}
