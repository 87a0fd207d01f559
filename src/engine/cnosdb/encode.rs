//! Rows as the server takes them: as line protocol, and as `INSERT` where line protocol can't say them.
//!
//! Vendor source: `common/protocol_parser/src/line_protocol/parser.rs` of 2.4.2. Its reading of line
//! protocol differs from InfluxDB's: a name or tag that ends in `\` swallows what follows, a `\`
//! before a `"` within a string ends the string too early, an empty tag is an error, and a record
//! needs a field. Such rows are written by SQL, one a statement.

use super::row::{Layout, Row, Value};
use super::schema::Kind;
use super::sql::{ident, string};
use super::time::{self, Precision};
use crate::engine::escape::escape;
use crate::engine::number;

/// How one row is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A line of line protocol was appended.
    Line,
    /// A statement.
    Statement(String),
    /// It can't be said; the text says why.
    Not(&'static str),
}

/// Writes rows of one table.
pub(super) struct Encoder<'a> {
    layout: &'a Layout,
    table: String,
    precision: Precision,
    head: Vec<u8>,
    keys: Vec<Vec<u8>>,
    names_fit: bool,
}

impl<'a> Encoder<'a> {
    /// For a table of the target, whose times are counted in `precision`.
    pub(super) fn new(layout: &'a Layout, table: &str, precision: Precision) -> Self {
        let mut head = Vec::new();
        escape(&mut head, table.as_bytes(), b", ");
        let columns = &layout.table.columns;
        let keys = columns.iter().map(|column| {
            let mut key = Vec::new();
            escape(&mut key, column.name.as_bytes(), b",= ");
            key.push(b'=');
            key
        });
        let starts_blank = table.starts_with(|c: char| c.is_ascii_whitespace());
        let names_fit = !starts_blank
            && !table.ends_with('\\')
            && columns.iter().all(|column| !column.name.ends_with('\\'));
        Self {
            layout,
            table: table.to_owned(),
            precision,
            head,
            keys: keys.collect(),
            names_fit,
        }
    }

    /// Appends a row to `out`, or gives the statement that writes it.
    pub(super) fn row(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Written {
        if row.time.rem_euclid(self.precision.unit()) != 0 {
            return Written::Not("its time is finer than the target's database keeps");
        }
        let start = out.len();
        if self.names_fit && self.line(row, out).is_some() {
            return Written::Line;
        }
        out.truncate(start);
        self.statement(row)
            .map_or(Written::Not("its time can't be said in SQL"), |text| {
                Written::Statement(text)
            })
    }

    fn line(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(&self.head);
        for at in self.layout.tags() {
            if let Some(Value::Text(value)) = &row.values[*at] {
                if value.is_empty() || value.ends_with('\\') {
                    return None;
                }
                out.push(b',');
                out.extend_from_slice(&self.keys[*at]);
                escape(out, value.as_bytes(), b",= ");
            }
        }
        let mut before = b' ';
        for at in self.layout.fields() {
            if let Some(value) = &row.values[*at] {
                out.push(before);
                before = b',';
                out.extend_from_slice(&self.keys[*at]);
                put(out, value)?;
            }
        }
        if before == b' ' {
            return None;
        }
        out.push(b' ');
        time::put(out, row.time.div_euclid(self.precision.unit()));
        out.push(b'\n');
        Some(())
    }

    fn statement(&self, row: &Row<'_>) -> Option<String> {
        let mut names = vec![ident("time")];
        let mut values = vec![time::literal(row.time)?];
        for (at, column) in self.layout.table.columns.iter().enumerate() {
            let Some(value) = &row.values[at] else {
                continue;
            };
            if column.kind == Kind::Time {
                continue;
            }
            names.push(ident(&column.name));
            values.push(match value {
                Value::Text(text) => string(text),
                // The number without its sign would be too large.
                Value::Int(i64::MIN) => format!("CAST('{}' AS BIGINT)", i64::MIN),
                Value::Int(n) => n.to_string(),
                Value::Uint(n) => n.to_string(),
                // Never with an exponent, which older servers don't read, and always with a point.
                Value::Float(n) if n.fract() == 0.0 => format!("{n}.0"),
                Value::Float(n) => n.to_string(),
                Value::Bool(yes) => yes.to_string(),
            });
        }
        Some(format!(
            "INSERT INTO {} ({}) VALUES ({})",
            ident(&self.table),
            names.join(", "),
            values.join(", ")
        ))
    }
}

fn put(out: &mut Vec<u8>, value: &Value<'_>) -> Option<()> {
    match value {
        Value::Text(text) => {
            if text.contains("\\\"") {
                return None;
            }
            out.push(b'"');
            escape(out, text.as_bytes(), b"\"\\");
            out.push(b'"');
        }
        Value::Int(n) => {
            number::integer(out, *n);
            out.push(b'i');
        }
        Value::Uint(n) => {
            out.extend_from_slice(n.to_string().as_bytes());
            out.push(b'u');
        }
        Value::Float(n) => number::float(out, *n)?,
        Value::Bool(yes) => out.push(if *yes { b't' } else { b'f' }),
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::schema::tests::air;
    use super::*;

    fn written(table: &str, precision: Precision, json: &str) -> (Written, String) {
        let layout = Layout::new(air());
        let mut out = Vec::new();
        let row = layout.read(json.as_bytes()).unwrap();
        let written = Encoder::new(&layout, table, precision).row(&row, &mut out);
        (written, String::from_utf8(out).unwrap())
    }

    #[test]
    fn lines() {
        for (table, json, want) in [
            (
                "air",
                r#"{"time":"2023-11-14T22:13:20","station":"S0","region":"eu west","visibility":0.5,"n":-1,"u":18446744073709551615,"ok":true,"s":"q\"uote, é\n"}"#,
                "air,region=eu\\ west,station=S0 n=-1i,ok=t,s=\"q\\\"uote, é\n\",u=18446744073709551615u,visibility=0.5 1700000000000000000\n",
            ),
            (
                "a b,c=\"d\"",
                r#"{"time":"1969-12-31T23:59:59.999999999","station":"a=b,c\\,d","s":"\\"}"#,
                "a\\ b\\,c=\"d\",station=a\\=b\\,c\\\\,d s=\"\\\\\" -1\n",
            ),
            (
                "m",
                r#"{"time":"1970-01-01T00:00:00","visibility":-0.0}"#,
                "m visibility=-0 0\n",
            ),
        ] {
            let (how, line) = written(table, Precision::Ns, json);
            assert_eq!((how, line.as_str()), (Written::Line, want));
        }
        let (how, line) = written(
            "m",
            Precision::Ms,
            r#"{"time":"1969-12-31T23:59:59.999","n":1}"#,
        );
        assert_eq!((how, line.as_str()), (Written::Line, "m n=1i -1\n"));
    }

    #[test]
    fn what_line_protocol_cannot_say_is_a_statement() {
        for (table, json, want) in [
            (
                "air",
                r#"{"time":"2023-11-14T22:13:20","station":"a\\","n":1}"#,
                r#"INSERT INTO "air" ("time", "station", "n") VALUES ('2023-11-14T22:13:20Z', 'a\', 1)"#,
            ),
            (
                "air",
                r#"{"time":"2023-11-14T22:13:20","station":"","visibility":1e20}"#,
                r#"INSERT INTO "air" ("time", "station", "visibility") VALUES ('2023-11-14T22:13:20Z', '', 100000000000000000000.0)"#,
            ),
            (
                "air",
                r#"{"time":"2023-11-14T22:13:20","s":"it's \\\"","n":-9223372036854775808}"#,
                r#"INSERT INTO "air" ("time", "n", "s") VALUES ('2023-11-14T22:13:20Z', CAST('-9223372036854775808' AS BIGINT), 'it''s \"')"#,
            ),
            (
                "air",
                r#"{"time":"2023-11-14T22:13:20","station":"a"}"#,
                r#"INSERT INTO "air" ("time", "station") VALUES ('2023-11-14T22:13:20Z', 'a')"#,
            ),
            (
                "a\"\\",
                r#"{"time":"2023-11-14T22:13:20","visibility":-0.0}"#,
                r#"INSERT INTO "a""\" ("time", "visibility") VALUES ('2023-11-14T22:13:20Z', -0.0)"#,
            ),
        ] {
            let (how, line) = written(table, Precision::Ns, json);
            assert_eq!(how, Written::Statement(want.to_owned()));
            assert_eq!(line, "");
        }
    }

    #[test]
    fn a_time_that_the_target_would_cut_is_not_written() {
        let json = r#"{"time":"1970-01-01T00:00:00.000001","n":1}"#;
        let (how, _) = written("m", Precision::Ms, json);
        assert!(matches!(how, Written::Not(_)));
    }
}
