//! Rows as JSON text: their canonical form, their keys, and as terms of a query.
//!
//! Rows stay text from the source to the target: a number or a character is never changed on its
//! way. What is read here was checked to be JSON before ([`check`], or by `serde_json`).

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The deepest nesting that is compared. Deeper rows are refused, with their key.
pub(super) const DEPTH_LIMIT: usize = 400;
const TYPE: &[u8] = b"\"$reql_type$\"";

/// A text that is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRow {
    /// No JSON object.
    #[error("it is no JSON object")]
    NoObject,
    /// A number that no double can be.
    #[error("it holds a number that is out of range, or a text that is not Unicode")]
    NoValue,
    /// Nested too deep.
    #[error("it is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
}

/// Checks that a text is one JSON object, and gives it without what stands around it.
pub(super) fn check(line: &[u8]) -> Result<&str, NoRow> {
    let row: &RawValue = serde_json::from_slice(line).map_err(|_| NoRow::NoObject)?;
    let row = row.get();
    if row.starts_with('{') {
        Ok(row)
    } else {
        Err(NoRow::NoObject)
    }
}

/// The text of a field of a row.
pub(super) fn field<'a>(row: &'a str, name: &str) -> Option<&'a str> {
    struct Find<'n>(&'n str);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if key == self.0 {
                    found = Some(map.next_value::<&'de RawValue>()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(row);
    reader
        .deserialize_map(Find(name))
        .ok()
        .flatten()
        .map(RawValue::get)
}

/// Writes a value as a term: the same text, with each array as the arguments of `MAKE_ARRAY`. So
/// nothing in a row can be taken for a term.
pub(super) fn write_term(value: &str, out: &mut String) {
    let bytes = value.as_bytes();
    let (mut at, mut from, mut in_string) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'[' if !in_string => {
                out.push_str(&value[from..at]);
                out.push_str("[2,[");
                from = at + 1;
            }
            b']' if !in_string => {
                out.push_str(&value[from..at]);
                out.push_str("]]");
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    out.push_str(&value[from..]);
}

/// A value as a term.
pub(super) fn term(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    write_term(value, &mut out);
    out
}

/// Appends the canonical form of a value: two values have the same form exactly when RethinkDB holds
/// them to be the same, content and all.
///
/// - Keys of objects are sorted by their UTF-8 bytes; there is no white space.
/// - Numbers are doubles, as RethinkDB stores them, with the fewest digits that give them back:
///   `1`, `1.0` and `1e0` are `1e0`. Integers beyond 2^53 are what the server made of them.
///   `-0.0` is `-0e0`, and another value than `0`: the server keeps its sign.
/// - Strings are Unicode, and escape only `"`, `\` and control characters (as `\u00xx`).
/// - Pseudotypes are objects like any other: a time is its epoch time and its zone. Only the line
///   breaks that servers put into the Base64 of a `BINARY` are taken out.
pub(super) fn canonical(value: &str, out: &mut Vec<u8>) -> Result<(), NoRow> {
    let mut reader = Reader { text: value, at: 0 };
    reader.value(out, 0)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A member of an object: where its key and its value are in the output.
struct Member {
    start: usize,
    key_end: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), NoRow> {
        if depth > DEPTH_LIMIT {
            return Err(NoRow::TooDeep);
        }
        match self.peek().ok_or(NoRow::NoObject)? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => self.string(out),
            b't' | b'f' | b'n' => {
                out.extend_from_slice(self.word().as_bytes());
                Ok(())
            }
            _ => self.number(out),
        }
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), NoRow> {
        self.at += 1;
        out.push(b'[');
        if !self.take(b']') {
            loop {
                self.value(out, depth + 1)?;
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(NoRow::NoObject);
                }
                out.push(b',');
            }
        }
        out.push(b']');
        Ok(())
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), NoRow> {
        self.at += 1;
        out.push(b'{');
        let from = out.len();
        let mut members = Vec::new();
        if !self.take(b'}') {
            loop {
                let start = out.len();
                if self.peek() != Some(b'"') {
                    return Err(NoRow::NoObject);
                }
                self.string(out)?;
                let key_end = out.len();
                out.push(b':');
                if !self.take(b':') {
                    return Err(NoRow::NoObject);
                }
                self.value(out, depth + 1)?;
                members.push(Member {
                    start,
                    key_end,
                    end: out.len(),
                });
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(NoRow::NoObject);
                }
                out.push(b',');
            }
        }
        // The server gives keys in their order, as a rule.
        let sorted = members.is_sorted_by(|one, other| key(out, one) <= key(out, other));
        if !sorted {
            sort(out, from, &mut members);
        }
        if is_binary(out, &members) {
            out.splice(from.., without_breaks(&out[from..]));
        }
        out.push(b'}');
        Ok(())
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), NoRow> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                None => return Err(NoRow::NoObject),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let text = self.text.get(start..self.at).ok_or(NoRow::NoObject)?;
        if escaped {
            let plain: String = serde_json::from_str(text).map_err(|_| NoRow::NoValue)?;
            write_string(&plain, out);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    /// All up to the end of a number or a word.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), NoRow> {
        use std::io::Write as _;
        let number: f64 = self.word().parse().map_err(|_| NoRow::NoValue)?;
        if !number.is_finite() {
            return Err(NoRow::NoValue);
        }
        write!(out, "{number:e}").map_err(|_| NoRow::NoValue)
    }
}

fn key<'a>(out: &'a [u8], member: &Member) -> &'a [u8] {
    &out[member.start..member.key_end]
}

/// Puts the members, which are all of `out` from `from` on, into the order of their keys.
fn sort(out: &mut Vec<u8>, from: usize, members: &mut [Member]) {
    members.sort_by(|one, other| key(out, one).cmp(key(out, other)));
    let mut sorted = Vec::with_capacity(out.len() - from);
    for member in members.iter_mut() {
        if !sorted.is_empty() {
            sorted.push(b',');
        }
        let start = from + sorted.len();
        sorted.extend_from_slice(&out[member.start..member.end]);
        member.key_end = start + (member.key_end - member.start);
        member.start = start;
        member.end = from + sorted.len();
    }
    out.truncate(from);
    out.extend_from_slice(&sorted);
}

fn is_binary(out: &[u8], members: &[Member]) -> bool {
    members.len() == 2
        && members.iter().any(|member| {
            key(out, member) == TYPE && &out[member.key_end + 1..member.end] == b"\"BINARY\""
        })
}

fn without_breaks(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest
            .strip_prefix(b"\\u000d")
            .or_else(|| rest.strip_prefix(b"\\u000a"))
        {
            rest = after;
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(value: &str) -> Result<String, NoRow> {
        let mut out = Vec::new();
        canonical(value, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_value_has_one_form() {
        for (value, want) in [
            ("{}", "{}"),
            ("{ \"b\" : 1 ,\n\"a\": [ ] }", r#"{"a":[],"b":1e0}"#),
            ("[1, 1.0, 1e0, 10, 0.1]", "[1e0,1e0,1e0,1e1,1e-1]"),
            ("[0, 0.0, -0.0, -0]", "[0e0,0e0,-0e0,-0e0]"),
            (
                "[9007199254740992,9007199254740993,9007199254740992.0]",
                "[9.007199254740992e15,9.007199254740992e15,9.007199254740992e15]",
            ),
            (
                "[5e-324,1.7976931348623157e308]",
                "[5e-324,1.7976931348623157e308]",
            ),
            (r#""\u00eb\/\n\"\\\ud83d\ude00""#, "\"ë/\\u000a\\\"\\\\😀\""),
            ("\"ë/😀\"", "\"ë/😀\""),
            ("[true,false,null]", "[true,false,null]"),
            (
                r#"{"data":"AP\r\n8A","$reql_type$":"BINARY"}"#,
                r#"{"$reql_type$":"BINARY","data":"AP8A"}"#,
            ),
            (
                r#"{"data":"AP\r\n8A","$reql_type$":"OTHER"}"#,
                r#"{"$reql_type$":"OTHER","data":"AP\u000d\u000a8A"}"#,
            ),
            (
                r#"{"z":{"y":1,"x":2},"a":{"é":1,"e":2,"":3}}"#,
                r#"{"a":{"":3e0,"e":2e0,"é":1e0},"z":{"x":2e0,"y":1e0}}"#,
            ),
        ] {
            assert_eq!(form(value).as_deref(), Ok(want), "{value}");
            assert_eq!(form(want).as_deref(), Ok(want), "{want}");
        }
    }

    #[test]
    fn what_is_no_value() {
        for (value, want) in [
            ("1e999", NoRow::NoValue),
            ("\"\\ud800\"", NoRow::NoValue),
            ("[1", NoRow::NoObject),
            ("\"", NoRow::NoObject),
            ("\"\\", NoRow::NoObject),
            ("", NoRow::NoObject),
            ("{1:2}", NoRow::NoObject),
            ("{\"a\" 2}", NoRow::NoObject),
            ("inf", NoRow::NoValue),
        ] {
            assert_eq!(form(value), Err(want), "{value}");
        }
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(form(&deep), Err(NoRow::TooDeep));
        let good = format!("{}{}", "[".repeat(DEPTH_LIMIT), "]".repeat(DEPTH_LIMIT));
        assert_eq!(form(&good), Ok(good.clone()));
    }

    #[test]
    fn rows_are_objects() {
        assert_eq!(check(b" {\"a\":1} "), Ok("{\"a\":1}"));
        for line in [
            &b"[57,[\"x\"]]"[..],
            b"1",
            b"{",
            b"{\"a\":1}{\"b\":1}",
            b"",
            b"{\"a\":\"\xff\"}",
        ] {
            assert_eq!(check(line), Err(NoRow::NoObject));
        }
    }

    #[test]
    fn nothing_in_a_row_is_a_term() {
        for (value, want) in [
            ("[57,[\"x\"]]", "[2,[57,[2,[\"x\"]]]]"),
            (r#"{"a[":"]\"[","b":[]}"#, r#"{"a[":"]\"[","b":[2,[]]}"#),
            (r#"["\\",[1]]"#, r#"[2,["\\",[2,[1]]]]"#),
            ("7", "7"),
        ] {
            assert_eq!(term(value), want);
        }
    }

    #[test]
    fn fields() {
        let row = r#"{"a":{"id":1},"id":[1, "x"],"\u00eb":2}"#;
        assert_eq!(field(row, "id"), Some("[1, \"x\"]"));
        assert_eq!(field(row, "ë"), Some("2"));
        assert_eq!(field(row, "b"), None);
        assert_eq!(field("[1]", "b"), None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
            any::<i32>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_says_the_same(value in json()) {
            let text = value.to_string();
            let form = form(&text).unwrap();
            let back: serde_json::Value = serde_json::from_str(&form).unwrap();
            prop_assert_eq!(super::tests::form(&back.to_string()).unwrap(), form);
            let terms: serde_json::Value = serde_json::from_str(&term(&text)).unwrap();
            prop_assert_eq!(unterm(terms), value);
        }

        #[test]
        fn any_text_is_survived(text in ".{0,64}") {
            let _ = form(&text);
            let _ = check(text.as_bytes());
            let _ = term(&text);
        }
    }

    fn unterm(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Array(mut call) => {
                assert_eq!(call[0], 2);
                match call.remove(1) {
                    Value::Array(items) => items.into_iter().map(unterm).collect(),
                    other => panic!("{other}"),
                }
            }
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| (key, unterm(value)))
                .collect(),
            other => other,
        }
    }
}
