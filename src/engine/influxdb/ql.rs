//! InfluxQL text: quoting, and the few statements that are sent.
//!
//! Vendor source: `influxql` 1.x, `scanner.go` (`ScanString`, `ScanDelimited`): inside quotes only
//! `\n`, `\\` and the quote itself may be escaped, a raw newline ends the string in an error, and a
//! carriage return is read as a newline. A name with such a byte is sent as a regular expression
//! that matches it alone.

/// Measurements whose names the query language keeps for itself: their points can't be queried.
const SYSTEM_NAMES: [&str; 7] = [
    "_fieldKeys",
    "_measurements",
    "_name",
    "_series",
    "_tagKey",
    "_tagKeys",
    "_tags",
];

/// Whether the query language keeps the measurement's name for itself.
pub(super) fn is_system_name(measurement: &str) -> bool {
    SYSTEM_NAMES.contains(&measurement)
}

/// A quoted identifier.
pub(super) fn ident(name: &str) -> String {
    quoted(name, '"')
}

/// A quoted string.
pub(super) fn string(text: &str) -> String {
    quoted(text, '\'')
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Whether quoting keeps every character: the scanner changes these two.
fn quotable(text: &str) -> bool {
    !text.contains(['\r', '\0'])
}

/// A regular expression that matches `text` and nothing else.
fn exact_regex(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::from("/^");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
        }
    }
    out.push_str("$/");
    out
}

/// `"db"."rp"."measurement"`, for a FROM.
pub(super) fn source(database: &str, policy: &str, measurement: &str) -> String {
    let last = if quotable(measurement) {
        ident(measurement)
    } else {
        exact_regex(measurement)
    };
    format!("{}.{}.{last}", ident(database), ident(policy))
}

/// A condition that holds for one value of a tag; the empty value: for series without the tag.
/// None where the query language can't say it.
pub(super) fn tag_is(key: &str, value: &str) -> Option<String> {
    if !quotable(key) {
        return None;
    }
    Some(if quotable(value) {
        format!("{}::tag = {}", ident(key), string(value))
    } else {
        format!("{}::tag =~ {}", ident(key), exact_regex(value))
    })
}

/// The first time that the server keeps (`models.MinNanoTime`).
const MIN_TIME: i64 = i64::MIN + 2;

/// A span of event time in nanoseconds; `end` is exclusive, none: open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// First nanosecond; none: open.
    pub(super) start: Option<i64>,
    /// First nanosecond after; none: open.
    pub(super) end: Option<i64>,
}

impl Range {
    /// The part of both; none where they don't meet.
    pub(super) fn cut(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = match (self.end, other.end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match (start, end) {
            (Some(start), Some(end)) if start >= end => None,
            _ => Some(Self { start, end }),
        }
    }

    fn conditions(self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(start) = self.start {
            all.push(format!("time >= {}", start.max(MIN_TIME)));
        }
        if let Some(end) = self.end {
            all.push(format!("time < {}", end.max(MIN_TIME)));
        }
        all
    }
}

/// Every row of a measurement, one series after another.
///
/// `*::field`: a tag may have the name of a field, and `*` would then name both.
pub(super) fn select_rows(source: &str, range: Range, tags: &[String]) -> String {
    let mut conditions = range.conditions();
    conditions.extend_from_slice(tags);
    let filter = filter(&conditions);
    format!("SELECT *::field FROM {source}{filter} GROUP BY *")
}

/// How many values each field of a measurement has.
pub(super) fn count_values(source: &str, range: Range) -> String {
    let filter = filter(&range.conditions());
    format!("SELECT count(*::field) FROM {source}{filter}")
}

fn filter(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!(" WHERE {}", conditions.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        for (name, want) in [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\", "\"a\\\\\""),
            ("a\nb", "\"a\\nb\""),
            ("it's", "\"it's\""),
        ] {
            assert_eq!(ident(name), want);
        }
        assert_eq!(string("it's \"x\" \\"), "'it\\'s \"x\" \\\\'");
    }

    #[test]
    fn names_that_quotes_change_become_expressions() {
        assert_eq!(source("d", "r", "a\rb"), "\"d\".\"r\"./^a\\x{d}b$/");
        assert_eq!(source("d", "r", "a.b"), "\"d\".\"r\".\"a.b\"");
        assert_eq!(
            tag_is("k", "v\r").as_deref(),
            Some("\"k\"::tag =~ /^v\\x{d}$/")
        );
        assert_eq!(tag_is("k\r", "v"), None);
    }

    #[test]
    fn ranges() {
        let all = Range::default();
        let some = Range {
            start: Some(5),
            end: Some(9),
        };
        let late = Range {
            start: Some(9),
            end: None,
        };
        assert_eq!(all.cut(some), Some(some));
        assert_eq!(some.cut(late), None);
        assert_eq!(
            late.cut(Range {
                start: Some(1),
                end: Some(12)
            }),
            Some(Range {
                start: Some(9),
                end: Some(12)
            })
        );
        assert_eq!(
            select_rows("s", some, &["\"k\"::tag = 'v'".into()]),
            "SELECT *::field FROM s WHERE time >= 5 AND time < 9 AND \"k\"::tag = 'v' GROUP BY *"
        );
        assert_eq!(
            select_rows(
                "s",
                Range {
                    start: Some(i64::MIN),
                    end: None
                },
                &[]
            ),
            "SELECT *::field FROM s WHERE time >= -9223372036854775806 GROUP BY *"
        );
    }
}
