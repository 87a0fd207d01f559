//! A row, as one JSON object on a line: what the server answers with, what its `COPY INTO` writes, and
//! what is stored.
//!
//! JSON is the only one of the server's formats that tells a tag or string that is empty from one that
//! is not there. Numbers are read from their own text, so that integers beyond 2^53 and floats keep
//! each bit. A float that is no number has no word in JSON: the server answers `null`.
//!
//! The canonical form, which fingerprints are made of: the time in nanoseconds; then each tag that is
//! there, by name, as `,"name":"value"`; then each field that is there, by name, as `,"name"=value`.
//! Strings are JSON strings; an integer has the suffix `i`, an unsigned one `u`; booleans are `t` and
//! `f`; a float has the fewest digits that read back to the same bits, and `-0` keeps its sign. It
//! does not know the order of columns, the database's precision, or names of database and table.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::schema::{Kind, Table, Type};
use super::time;
use crate::engine::number;

/// A value that is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A tag, a string or a geometry.
    Text(Cow<'a, str>),
    /// `BIGINT`.
    Int(i64),
    /// `BIGINT UNSIGNED`.
    Uint(u64),
    /// `DOUBLE`.
    Float(f64),
    /// `BOOLEAN`.
    Bool(bool),
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row<'a> {
    /// Nanoseconds since the epoch.
    pub(super) time: i128,
    /// By the layout's columns; none: not there. The time's own place is empty.
    pub(super) values: Vec<Option<Value<'a>>>,
}

/// A table's columns, ready to read rows by.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// The table.
    pub(super) table: Table,
    types: Vec<Type>,
    by_name: std::collections::HashMap<String, usize>,
    /// Tags, then fields, each by name.
    tags: Vec<usize>,
    fields: Vec<usize>,
    /// Names as JSON strings.
    keys: Vec<Vec<u8>>,
}

impl Layout {
    /// For a table.
    pub(super) fn new(table: Table) -> Self {
        let of = |kind| {
            let mut found: Vec<usize> = (0..table.columns.len())
                .filter(|at| table.columns[*at].kind == kind)
                .collect();
            found.sort_by(|a, b| table.columns[*a].name.cmp(&table.columns[*b].name));
            found
        };
        let names = table.columns.iter().enumerate();
        Self {
            tags: of(Kind::Tag),
            fields: of(Kind::Field),
            by_name: names.map(|(at, c)| (c.name.clone(), at)).collect(),
            types: table
                .columns
                .iter()
                .map(|column| column.holds().unwrap_or(Type::Text))
                .collect(),
            keys: table
                .columns
                .iter()
                .map(|column| quoted(&column.name))
                .collect(),
            table,
        }
    }

    /// Columns that are tags, by name.
    pub(super) fn tags(&self) -> &[usize] {
        &self.tags
    }

    /// Columns that are fields, by name.
    pub(super) fn fields(&self) -> &[usize] {
        &self.fields
    }

    /// A column's name.
    pub(super) fn name(&self, at: usize) -> &str {
        &self.table.columns[at].name
    }

    /// Where a column is.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Reads a row; the error says what is wrong with it.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Row<'a>, String> {
        let mut json = serde_json::Deserializer::from_slice(line);
        let raw = Slots(self)
            .deserialize(&mut json)
            .and_then(|raw| json.end().map(|()| raw))
            .map_err(|error| error.to_string())?;
        let mut time = None;
        let mut values = Vec::with_capacity(raw.len());
        for (at, raw) in raw.into_iter().enumerate() {
            let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
                values.push(None);
                continue;
            };
            let bad = || format!("{:?} has a value that is not of its type", self.name(at));
            let value = match self.types[at] {
                Type::Time => {
                    let found = unquoted(text).and_then(|text| time::parse(&text));
                    time = Some(found.ok_or_else(bad)?);
                    None
                }
                Type::Text => Some(Value::Text(unquoted(text).ok_or_else(bad)?)),
                Type::Int => Some(Value::Int(text.parse().map_err(|_| bad())?)),
                Type::Uint => Some(Value::Uint(text.parse().map_err(|_| bad())?)),
                Type::Float => {
                    let number: f64 = text.parse().map_err(|_| bad())?;
                    Some(Value::Float(
                        Some(number).filter(|n| n.is_finite()).ok_or_else(bad)?,
                    ))
                }
                Type::Bool => Some(Value::Bool(text.parse().map_err(|_| bad())?)),
            };
            values.push(value);
        }
        let time = time.ok_or("it has no time")?;
        Ok(Row { time, values })
    }

    /// Appends the canonical form; what is before the fields is the record's key.
    pub(super) fn canonical(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Range<usize> {
        let start = out.len();
        time::put(out, row.time);
        for at in &self.tags {
            if let Some(value) = &row.values[*at] {
                out.push(b',');
                out.extend_from_slice(&self.keys[*at]);
                out.push(b':');
                put(out, value);
            }
        }
        let key = start..out.len();
        for at in &self.fields {
            if let Some(value) = &row.values[*at] {
                out.push(b',');
                out.extend_from_slice(&self.keys[*at]);
                out.push(b'=');
                put(out, value);
            }
        }
        key
    }
}

/// Appends a value in its canonical form.
pub(super) fn put(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => out.extend_from_slice(&quoted(text)),
        Value::Int(n) => {
            number::integer(out, *n);
            out.push(b'i');
        }
        Value::Uint(n) => {
            out.extend_from_slice(n.to_string().as_bytes());
            out.push(b'u');
        }
        Value::Float(n) => {
            // Reading has refused what is no number.
            let _ = number::float(out, *n);
        }
        Value::Bool(yes) => out.push(if *yes { b't' } else { b'f' }),
    }
}

fn quoted(text: &str) -> Vec<u8> {
    // A string always has a JSON form.
    serde_json::to_vec(text).unwrap_or_default()
}

fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    if text.starts_with('"') && text.len() >= 2 && !text.contains('\\') {
        return Some(Cow::Borrowed(&text[1..text.len() - 1]));
    }
    String::deserialize(&mut serde_json::Deserializer::from_str(text))
        .ok()
        .map(Cow::Owned)
}

/// Reads an object into one place a column.
struct Slots<'l>(&'l Layout);

impl<'de> DeserializeSeed<'de> for Slots<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Slots<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut slots = vec![None; self.0.keys.len()];
        while let Some(key) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            let slot = self.0.find(&key).and_then(|at| slots.get_mut(at));
            match slot {
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => return Err(A::Error::custom("a column is there twice")),
                None => {
                    let key: String = key.chars().take(64).collect();
                    let text = format!("a column that the table does not have: {key:?}");
                    return Err(A::Error::custom(text));
                }
            }
        }
        Ok(slots)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::schema::tests::air;
    use super::*;

    fn canonical(text: &str) -> String {
        let layout = Layout::new(air());
        let mut out = Vec::new();
        let row = layout.read(text.as_bytes()).unwrap();
        layout.canonical(&row, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_canonical_form_keeps_each_value() {
        for (text, want) in [
            (
                r#"{"n":-9223372036854775808,"ok":false,"region":"eu west","s":"q\"uote, comma é 0\n\\","station":"S0","time":"2023-11-14T22:13:20","u":18446744073709551615,"visibility":0.5}"#,
                r#"1700000000000000000,"region":"eu west","station":"S0","n"=-9223372036854775808i,"ok"=f,"s"="q\"uote, comma é 0\n\\","u"=18446744073709551615u,"visibility"=0.5"#,
            ),
            (
                r#"{"time":"1969-12-31T23:59:59.999999999","visibility":-0.0,"n":9007199254740993,"s":null,"station":""}"#,
                r#"-1,"station":"","n"=9007199254740993i,"visibility"=-0"#,
            ),
            (
                r#"{"time":"2262-04-11T23:47:16.854775807","visibility":1.7976931348623157e308,"s":""}"#,
                r#"9223372036854775807,"s"="","visibility"=1.7976931348623157e308"#,
            ),
            (
                r#"{"time":"1970-01-01T00:00:00.001","visibility":5e-324}"#,
                r#"1000000,"visibility"=5e-324"#,
            ),
        ] {
            assert_eq!(canonical(text), want);
        }
        // The same number in another text.
        assert_eq!(
            canonical(r#"{"time":"1970-01-01T00:00:00","visibility":100.0}"#),
            canonical(r#"{"visibility":1e2,"time":"1970-01-01T00:00:00.000"}"#)
        );
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let layout = Layout::new(air());
        for text in [
            "",
            "[]",
            "{}",
            r#"{"time":"2023-11-14T22:13:20","n":1.5}"#,
            r#"{"time":"2023-11-14T22:13:20","n":"1"}"#,
            r#"{"time":"2023-11-14T22:13:20","n":9223372036854775808}"#,
            r#"{"time":"2023-11-14T22:13:20","u":-1}"#,
            r#"{"time":"2023-11-14T22:13:20","visibility":1e999}"#,
            r#"{"time":"2023-11-14T22:13:20","s":1}"#,
            r#"{"time":"2023-11-14T22:13:20","s":{"a":1}}"#,
            r#"{"time":"2023-11-14T22:13:20","ok":1}"#,
            r#"{"time":"2023-11-14T22:13:20","other":1}"#,
            r#"{"time":"2023-11-14T22:13:20","n":1,"n":2}"#,
            r#"{"time":1700000000}"#,
            r#"{"time":"2023-11-14T22:13:20"} x"#,
            "{\"time\":\"2023-11-14T22:13:20\",\"s\":\"\u{1}",
        ] {
            assert!(layout.read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
