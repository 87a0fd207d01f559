//! Rows to line protocol, in one canonical form.
//!
//! The same record always gives the same bytes, on any server: measurement, tags sorted by key,
//! fields sorted by key, then the time in nanoseconds. So a line without its newline is also the
//! canonical form that fingerprints are made of:
//! - an integer has the suffix `i`, an unsigned one `u`; booleans are `t` and `f`;
//! - a float is written with the fewest digits that read back to the same bits, plain between
//!   1e-5 and 1e17 and with an exponent outside; `-0` keeps its sign;
//! - in a measurement `,` and space are escaped; in tags `,`, `=` and space; in field keys those
//!   and `"`; in strings `"` and `\`. Bytes that are not UTF-8 stay as they are.
//!
//! Vendor source: `models/points.go` of 1.7.11. A name that ends in `\`, begins with `#`, or has a
//! newline without `\` before it can't be said in line protocol. Such series can't have come in
//! through `/write`; they are left out, counted and named.

use super::line;
use super::msgpack::Value;
use super::response::{Fault, Head, Row, Visit};
use crate::engine::number::{float, integer};
use crate::manifest::Fingerprint;

/// How many series are named that can't be written.
const NAMED: usize = 5;

/// Writes rows as lines.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    out: Vec<u8>,
    head: Head,
    prefix: Vec<u8>,
    keys: Vec<Vec<u8>>,
    order: Option<Vec<usize>>,
    writable: bool,
    fingerprint: Fingerprint,
    unwritable: u64,
    unwritable_series: Vec<String>,
}

impl Encoder {
    /// Lines written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.out.capacity());
        std::mem::replace(&mut self.out, next)
    }

    /// Forgets the lines, and keeps their fingerprint.
    pub(super) fn clear(&mut self) {
        self.out.clear();
    }

    /// Bytes that wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Count and fingerprint of all lines written.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// How many rows can't be said in line protocol, and the first few of their series.
    pub(super) fn unwritable(&self) -> (u64, &[String]) {
        (self.unwritable, &self.unwritable_series)
    }

    fn set_series(&mut self) {
        self.prefix.clear();
        line::escape(&mut self.prefix, &self.head.name, b", ");
        for (key, value) in self.head.tags.iter().filter(|(_, value)| !value.is_empty()) {
            self.prefix.push(b',');
            line::escape(&mut self.prefix, key, b",= ");
            self.prefix.push(b'=');
            line::escape(&mut self.prefix, value, b",= ");
        }
        self.prefix.push(b' ');
    }

    fn set_columns(&mut self) -> Result<(), Fault> {
        let columns = &self.head.columns;
        if columns.first().map(Vec::as_slice) != Some(b"time") {
            return Err(Fault::Garbled("rows without a time"));
        }
        let mut order: Vec<usize> = (1..columns.len()).collect();
        order.sort_by(|a, b| columns[*a].cmp(&columns[*b]));
        if order
            .windows(2)
            .any(|pair| columns[pair[0]] == columns[pair[1]])
        {
            return Err(Fault::Garbled("two columns of one name"));
        }
        self.order = (!order.is_sorted()).then_some(order);
        self.keys.clear();
        for column in columns {
            let mut key = Vec::with_capacity(column.len() + 1);
            line::escape(&mut key, column, b",=\" ");
            key.push(b'=');
            self.keys.push(key);
        }
        Ok(())
    }

    /// Reads the series back as the server would.
    fn check(&mut self) {
        let head = &self.head;
        let plain = |text: &[u8]| !text.iter().any(|byte| matches!(byte, b'\\' | b'\n'));
        self.writable = head
            .name
            .first()
            .is_some_and(|byte| !b"#\t\0".contains(byte));
        let simple = plain(&head.name)
            && head
                .tags
                .iter()
                .all(|(key, value)| plain(key) && plain(value))
            && head.columns.iter().all(|column| plain(column));
        if !self.writable || simple {
            return;
        }
        let mut probe = self.prefix.clone();
        for (at, key) in self.keys.iter().skip(1).enumerate() {
            if at > 0 {
                probe.push(b',');
            }
            probe.extend_from_slice(key);
            probe.push(b't');
        }
        probe.extend_from_slice(b" 0\n");
        let end = line::end(&probe);
        self.writable = end == Some(probe.len())
            && line::Line::parse(&probe[..probe.len() - 1]).is_some_and(|line| {
                let (name, tags) = line.series();
                name == head.name
                    && tags.iter().map(|(key, value)| (key, value)).eq(head
                        .tags
                        .iter()
                        .filter(|(_, value)| !value.is_empty())
                        .map(|(key, value)| (key, value)))
                    && line
                        .fields()
                        .map(|(key, _)| line::unescape(key, b",=\" "))
                        .eq(head.columns.iter().skip(1).cloned())
            });
    }

    fn skip(&mut self) {
        self.unwritable += 1;
        let name = String::from_utf8_lossy(&self.prefix).trim_end().to_owned();
        if self.unwritable_series.len() < NAMED && self.unwritable_series.last() != Some(&name) {
            self.unwritable_series.push(name);
        }
    }
}

impl Visit for Encoder {
    fn head(&mut self, head: &Head) -> Result<(), Fault> {
        let columns = head.columns != self.head.columns;
        let series = head.name != self.head.name || head.tags != self.head.tags;
        if columns || series {
            self.head.clone_from(head);
            self.set_series();
            if columns {
                self.set_columns()?;
            }
            self.check();
        }
        Ok(())
    }

    fn row(&mut self, mut row: Row<'_>) -> Result<(), Fault> {
        let Some(Value::Int(time)) = row.next() else {
            return Err(Fault::Garbled("a row without a time"));
        };
        if !self.writable {
            self.skip();
            return Ok(());
        }
        let start = self.out.len();
        self.out.extend_from_slice(&self.prefix);
        let fields = self.out.len();
        if let Some(order) = &self.order {
            let values: Vec<Value<'_>> = row.collect();
            for at in order {
                put(&mut self.out, fields, &self.keys[*at], values[*at - 1])?;
            }
        } else {
            for (key, value) in self.keys[1..].iter().zip(row) {
                put(&mut self.out, fields, key, value)?;
            }
        }
        if self.out.len() == fields {
            // A row of a measurement's other fields.
            self.out.truncate(start);
            return Ok(());
        }
        self.out.push(b' ');
        integer(&mut self.out, time);
        self.fingerprint.add(&self.out[start..]);
        self.out.push(b'\n');
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, fields: usize, key: &[u8], value: Value<'_>) -> Result<(), Fault> {
    if value == Value::Nil {
        return Ok(());
    }
    if out.len() > fields {
        out.push(b',');
    }
    out.extend_from_slice(key);
    match value {
        Value::Nil => {}
        Value::Bool(true) => out.push(b't'),
        Value::Bool(false) => out.push(b'f'),
        Value::Int(number) => {
            integer(out, number);
            out.push(b'i');
        }
        Value::Uint(number) => {
            out.extend_from_slice(number.to_string().as_bytes());
            out.push(b'u');
        }
        Value::Float(number) => {
            float(out, number).ok_or(Fault::Garbled("a float that is no number"))?;
        }
        Value::Str(text) => {
            out.push(b'"');
            line::escape(out, text, b"\"\\");
            out.push(b'"');
        }
    }
    Ok(())
}
