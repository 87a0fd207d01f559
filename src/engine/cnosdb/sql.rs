//! SQL text: quoting, and the few statements that read.
//!
//! Vendor source: `query_server/query/src/sql/parser.rs` of 2.4.2: inside quotes only the quote itself
//! is doubled, and a backslash is a character like any other.

use super::time;

/// A quoted identifier.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string.
pub(super) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A span of event time in nanoseconds; `end` is exclusive, none: open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// First nanosecond; none: open.
    pub(super) start: Option<i64>,
    /// First nanosecond after; none: open.
    pub(super) end: Option<i64>,
}

impl Range {
    /// `WHERE …`, or nothing for all of time.
    pub(super) fn filter(self) -> String {
        let bound = |time: Option<i64>, word: &str| {
            time.and_then(|time| time::literal(i128::from(time)))
                .map(|text| format!("\"time\" {word} {text}"))
        };
        let all: Vec<String> = [bound(self.start, ">="), bound(self.end, "<")]
            .into_iter()
            .flatten()
            .collect();
        if all.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", all.join(" AND "))
        }
    }
}

/// How many rows there are, and the first and last time.
pub(super) fn extent(table: &str, range: Range) -> String {
    format!(
        "SELECT count(*) AS n, min(\"time\") AS lo, max(\"time\") AS hi FROM {}{}",
        ident(table),
        range.filter()
    )
}

/// How many rows there are.
pub(super) fn count(table: &str, range: Range) -> String {
    format!(
        "SELECT count(*) AS n FROM {}{}",
        ident(table),
        range.filter()
    )
}

/// The rows, in the order of their times.
pub(super) fn rows<'a>(
    table: &str,
    columns: impl Iterator<Item = &'a str>,
    range: Range,
) -> String {
    let names: Vec<String> = columns.map(ident).collect();
    format!(
        "SELECT {} FROM {}{} ORDER BY \"time\"",
        names.join(", "),
        ident(table),
        range.filter()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        assert_eq!(ident("a\"b\\c\nd"), "\"a\"\"b\\c\nd\"");
        assert_eq!(string("it's \\"), "'it''s \\'");
    }

    #[test]
    fn statements() {
        let range = Range {
            start: Some(-1),
            end: Some(1_700_000_000_000_000_000),
        };
        assert_eq!(
            rows("air", ["time", "n"].into_iter(), range),
            "SELECT \"time\", \"n\" FROM \"air\" WHERE \"time\" >= '1969-12-31T23:59:59.999999999Z' AND \"time\" < '2023-11-14T22:13:20Z' ORDER BY \"time\""
        );
        assert_eq!(
            count("a b", Range::default()),
            "SELECT count(*) AS n FROM \"a b\""
        );
    }
}
