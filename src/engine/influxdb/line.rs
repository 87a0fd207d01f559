//! Line protocol as the server reads it.
//!
//! Vendor source: `models/points.go` of 1.7.11: `scanLine`, `scanKey`, `scanFields`, `unescapeTag`,
//! `escape.Unescape`. In keys a byte is escaped when a `\` stands before it, whatever stands before
//! that; in fields `\` takes the next byte with it.

use memchr::{memchr, memchr2};

pub(super) use crate::engine::escape::{escape, unescape};

/// Where the record at the front of `text` ends, its newline included; none: not within `text`.
pub(super) fn end(text: &[u8]) -> Option<usize> {
    let newline = memchr(b'\n', text)?;
    let first = &text[..newline];
    if first.last() != Some(&b'\\') && memchr(b'"', first).is_none() {
        return Some(newline + 1);
    }
    let (mut at, mut in_fields, mut quoted) = (0, false, false);
    let (mut equals, mut commas) = (0u32, 0u32);
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'\n' if !quoted => return Some(at + 1),
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => {
                quoted = !quoted;
                if quoted {
                    // Strings are most of what is slow here.
                    at += memchr2(b'"', b'\\', &text[at + 1..])?;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Keys and values, as they are.
pub(super) type Tags = Vec<(Vec<u8>, Vec<u8>)>;

/// A record, split into its three pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Measurement and tags, escaped.
    pub(super) key: &'a [u8],
    /// Fields, escaped.
    pub(super) text: &'a [u8],
    /// Nanoseconds.
    pub(super) time: i64,
}

impl<'a> Line<'a> {
    /// Splits a record that ends without its newline. None where it is no record with a time.
    pub(super) fn parse(record: &'a [u8]) -> Option<Self> {
        let space = unescaped(record, 1, b' ')?;
        let (key, rest) = (&record[..space], &record[space + 1..]);
        let last = memchr::memrchr(b' ', rest)?;
        let time = std::str::from_utf8(&rest[last + 1..]).ok()?.parse().ok()?;
        let text = &rest[..last];
        (!text.is_empty() && memchr(b'=', text).is_some()).then_some(Self { key, text, time })
    }

    /// Measurement and tags, as they are.
    pub(super) fn series(&self) -> (Vec<u8>, Tags) {
        let name_end = unescaped(self.key, 1, b',').unwrap_or(self.key.len());
        let name = unescape(&self.key[..name_end], b", ");
        let mut tags = Vec::new();
        let mut at = name_end + 1;
        while at < self.key.len() {
            let equals = unescaped(self.key, at, b'=').unwrap_or(self.key.len());
            let from = (equals + 1).min(self.key.len());
            let end = unescaped(self.key, from, b',').unwrap_or(self.key.len());
            tags.push((
                unescape(&self.key[at..equals], b",= "),
                unescape(&self.key[from..end], b",= "),
            ));
            at = end + 1;
        }
        (name, tags)
    }

    /// Each field's key and value, escaped as they stand.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (mut at, mut equals, mut quoted) = (0, None, false);
            while at < rest.len() {
                match rest[at] {
                    b'\\' => at += 1,
                    b'"' if equals.is_some() => quoted = !quoted,
                    b'=' if equals.is_none() => equals = Some(at),
                    b',' if !quoted => break,
                    _ => {}
                }
                at += 1;
            }
            let end = at.min(rest.len());
            let equals = equals.unwrap_or(end);
            let field = (&rest[..equals], &rest[(equals + 1).min(end)..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
            Some(field)
        })
    }
}

/// First `stop` at or after `from` with no `\` just before it.
fn unescaped(text: &[u8], from: usize, stop: u8) -> Option<usize> {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| memchr(stop, rest)) {
        at += found;
        if at == 0 || text[at - 1] != b'\\' {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        pairs
            .iter()
            .map(|(a, b)| (a.as_bytes().to_vec(), b.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn ends() {
        for (text, want) in [
            ("m v=1 1\nm v=2 2\n", Some(8)),
            ("m v=1 1", None),
            ("m v=\"a\nb\" 1\nx", Some(12)),
            ("m v=\"a\\\"\nb\" 1\n", Some(14)),
            ("m v=\"a\\\\\" 1\nb", Some(12)),
            ("m v=\"open\n1\n", None),
            ("m\\\nx v=1 1\nz", Some(11)),
            ("m\"x,a=\" v=1 1\nz", Some(14)),
            ("m a\"b=1,c\"d=2 1\nz", Some(16)),
            ("m a=1,b=\"x,\n=\" 1\nz", Some(17)),
            ("# c\n", Some(4)),
            ("\n", Some(1)),
        ] {
            assert_eq!(end(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn pieces() {
        for (text, name, tags, fields, time) in [
            ("m v=1 5", "m", words(&[]), words(&[("v", "1")]), 5),
            (
                "a\\ b\\,c,t\\=1=v\\ 2,u=\\,\\= f\\ 1=\"x y, \\\"=\",g=-1i -9",
                "a b,c",
                words(&[("t=1", "v 2"), ("u", ",=")]),
                words(&[("f\\ 1", "\"x y, \\\"=\""), ("g", "-1i")]),
                -9,
            ),
            (
                "a\\\\,b,t=x\\\\y v=\"\\\\\" 1",
                "a\\,b",
                words(&[("t", "x\\\\y")]),
                words(&[("v", "\"\\\\\"")]),
                1,
            ),
        ] {
            let line = Line::parse(text.as_bytes()).unwrap();
            assert_eq!(line.series(), (name.as_bytes().to_vec(), tags), "{text}");
            let found: Vec<_> = line
                .fields()
                .map(|(a, b)| (a.to_vec(), b.to_vec()))
                .collect();
            assert_eq!(found, fields, "{text}");
            assert_eq!(line.time, time);
        }
        for text in ["", "m", "m v=1", "m v=1 x", "m  1", "CREATE DATABASE \"x\""] {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
    }
}
