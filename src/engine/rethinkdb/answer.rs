//! Answers of the server. Pure.
//!
//! Vendor source: `ql2.proto` (`Response`).

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::Kind;
use super::large::Pass;

const ATOM: u64 = 1;
const SEQUENCE: u64 = 2;
const PARTIAL: u64 = 3;
const CLIENT_ERROR: u64 = 16;
const COMPILE_ERROR: u64 = 17;
const RUNTIME_ERROR: u64 = 18;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    Atom,
    /// The last rows of a sequence.
    End,
    /// Rows, and more can be asked for.
    Partial,
}

/// Why a frame gives no values.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server's error.
    Said(Kind, String),
    /// It is not as the protocol says.
    Garbled(&'static str),
}

/// Values of an answer, as the JSON text that the server sent.
#[derive(Debug)]
pub(super) struct Values {
    frame: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// Held as long as the values are.
    pass: Pass,
}

#[derive(Deserialize)]
struct Raw<'a> {
    t: u64,
    #[serde(borrow, default)]
    r: Vec<&'a RawValue>,
    #[serde(default)]
    e: Option<u64>,
}

/// Reads a frame, which may be held by its pass.
pub(super) fn parse(frame: Vec<u8>, pass: Pass) -> Result<(Shape, Values), Refusal> {
    let raw: Raw<'_> = serde_json::from_slice(&frame)
        .map_err(|_| Refusal::Garbled("a frame is no JSON answer"))?;
    let first = || {
        raw.r
            .first()
            .and_then(|text| serde_json::from_str(text.get()).ok())
            .unwrap_or_default()
    };
    let shape = match raw.t {
        ATOM => Shape::Atom,
        SEQUENCE => Shape::End,
        PARTIAL => Shape::Partial,
        CLIENT_ERROR => return Err(Refusal::Said(Kind::Client, first())),
        COMPILE_ERROR => return Err(Refusal::Said(Kind::Compile, first())),
        RUNTIME_ERROR => {
            let code = raw.e.unwrap_or_default();
            return Err(Refusal::Said(Kind::Runtime(code), first()));
        }
        _ => return Err(Refusal::Garbled("an answer of an unknown type")),
    };
    if shape == Shape::Atom && raw.r.len() != 1 {
        return Err(Refusal::Garbled("one value was due"));
    }
    let base = frame.as_ptr() as usize;
    let spans = raw.r.iter().map(|value| {
        let start = value.get().as_ptr() as usize - base;
        start..start + value.get().len()
    });
    let spans = spans.collect();
    Ok((shape, Values { frame, spans, pass }))
}

impl Values {
    /// Each value's text.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        // The frame was read as JSON, so it is Unicode.
        self.spans
            .iter()
            .map(|span| std::str::from_utf8(&self.frame[span.clone()]).unwrap_or_default())
    }

    /// The values as lines. Nothing is copied where the server put nothing but a comma between two
    /// values and no line break into one, as it does. They may be held as long as the pass is.
    pub(super) fn into_lines(mut self) -> (Bytes, Pass) {
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return (Bytes::new(), None);
        };
        let (start, end) = (first.start, last.end);
        let dense = self
            .spans
            .windows(2)
            .all(|pair| pair[0].end + 1 == pair[1].start)
            && end < self.frame.len()
            && memchr::memchr(b'\n', &self.frame[start..end]).is_none();
        if dense {
            for span in &self.spans {
                self.frame[span.end] = b'\n';
            }
            return (Bytes::from(self.frame).slice(start..=end), self.pass);
        }
        let mut lines = Vec::with_capacity(end - start + 1);
        for value in self.iter() {
            // A line break between two tokens is white space; within a string it can't be.
            lines.extend(value.bytes().map(|b| if b == b'\n' { b' ' } else { b }));
            lines.push(b'\n');
        }
        (lines.into(), self.pass)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (frame, want) in [
            (r#"{"t":1,"r":["x"]}"#, Ok((Shape::Atom, vec!["\"x\""]))),
            (r#"{"t":2,"r":[],"n":[]}"#, Ok((Shape::End, vec![]))),
            (
                r#"{"t":3,"r":[{"a":1}, [2] ]}"#,
                Ok((Shape::Partial, vec!["{\"a\":1}", "[2]"])),
            ),
            (
                r#"{"t":16,"r":["no"],"b":[]}"#,
                Err(Refusal::Said(Kind::Client, "no".into())),
            ),
            (
                r#"{"t":18,"e":4100000,"r":["x"]}"#,
                Err(Refusal::Said(Kind::Runtime(4_100_000), "x".into())),
            ),
            (
                r#"{"t":18,"r":[7]}"#,
                Err(Refusal::Said(Kind::Runtime(0), String::new())),
            ),
            (
                r#"{"t":1,"r":[]}"#,
                Err(Refusal::Garbled("one value was due")),
            ),
            (
                r#"{"t":99,"r":[]}"#,
                Err(Refusal::Garbled("an answer of an unknown type")),
            ),
            ("[]x", Err(Refusal::Garbled("a frame is no JSON answer"))),
        ] {
            let found = parse(frame.as_bytes().to_vec(), None);
            let found = match &found {
                Ok((shape, values)) => Ok((*shape, values.iter().collect::<Vec<_>>())),
                Err(refusal) => Err(refusal),
            };
            assert_eq!(
                found,
                want.as_ref().map(|(s, v)| (*s, v.clone())),
                "{frame}"
            );
        }
    }

    #[test]
    fn lines() {
        for (frame, want) in [
            (
                r#"{"t":3,"r":[{"a":1},{"b":"x,]"}]}"#,
                "{\"a\":1}\n{\"b\":\"x,]\"}\n",
            ),
            (
                "{\"t\":3,\"r\":[{\"a\":1}, {\n\"b\":\"x\"}]}",
                "{\"a\":1}\n{ \"b\":\"x\"}\n",
            ),
            ("{\"t\":3,\"r\":[{\n}]}", "{ }\n"),
            (r#"{"t":3,"r":[]}"#, ""),
        ] {
            let (_, values) = parse(frame.as_bytes().to_vec(), None).unwrap();
            assert_eq!(values.into_lines().0, want.as_bytes(), "{frame}");
        }
    }
}
