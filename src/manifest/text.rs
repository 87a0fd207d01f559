//! Bounds on text that comes from a bucket.

use std::collections::BTreeMap;

/// The longest name of a cluster or a namespace: a DNS label.
pub(super) const MAX_LABEL: usize = 63;
/// The longest name of a Backup: a DNS subdomain.
pub(super) const MAX_SUBDOMAIN: usize = 253;

/// Shows hostile text in a message: its start, with everything but plain characters escaped.
pub(super) fn show(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// A DNS label: lower-case letters, digits and inner hyphens.
pub(super) fn is_label(text: &str, max: usize) -> bool {
    let bytes = text.as_bytes();
    (1..=max).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// A DNS subdomain: labels joined by dots.
pub(super) fn is_subdomain(text: &str, max: usize) -> bool {
    text.len() <= max && text.split('.').all(|label| is_label(label, MAX_SUBDOMAIN))
}

/// The name of a namespace.
pub(crate) fn is_namespace(text: &str) -> bool {
    is_label(text, MAX_LABEL)
}

/// The name of an object of most kinds. No such name is a path of its own: it has no slash, and no
/// two dots beside one another.
pub(crate) fn is_object_name(text: &str) -> bool {
    is_subdomain(text, MAX_SUBDOMAIN)
}

/// The uid of an object: letters, digits and hyphens.
pub(super) fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A word of an engine: `influxdb`, `lineProtocol`.
pub(super) fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// A SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Printable text of at most `max` bytes: what may be shown in a terminal or a status.
pub(super) fn is_printable(text: &str, max: usize) -> bool {
    text.len() <= max && !text.chars().any(char::is_control)
}

/// What is wrong with a map of words, if anything. Values may hold any character: they are names
/// in a database.
pub(super) fn map_problem(
    map: &BTreeMap<String, String>,
    entries: usize,
    value: usize,
) -> Option<String> {
    if map.len() > entries {
        return Some(format!(
            "it has {} entries, at most {entries} may be",
            map.len()
        ));
    }
    let (name, _) = map
        .iter()
        .find(|(name, text)| name.is_empty() || !is_printable(name, 256) || text.len() > value)?;
    Some(format!(
        "the entry {} is too long, empty, or holds control characters",
        show(name)
    ))
}
