//! Records that are a line each, as one text with something around them. Pure.

use crate::engine::Around;

/// Turns lines, piece by piece.
#[derive(Debug)]
pub(super) struct Lines {
    around: Around,
    records: u64,
    begun: bool,
    /// A record ended, and what is between it and the next was not written.
    between: bool,
}

impl Lines {
    /// The size of the text that so many records make; `bytes` is theirs, line breaks and all.
    pub(super) fn size(around: &Around, records: u64, bytes: u64) -> u64 {
        let long = |text: &str| text.len() as u64;
        match records.checked_sub(1) {
            None => long(around.none),
            // Hostile numbers give a wrong size, which is noticed as the file is written.
            Some(gaps) => (bytes.saturating_sub(records))
                .saturating_add(long(around.begin) + long(around.end))
                .saturating_add(gaps.saturating_mul(long(around.between))),
        }
    }

    /// Before the first piece.
    pub(super) fn new(around: Around) -> Self {
        Self {
            around,
            records: 0,
            begun: false,
            between: false,
        }
    }

    /// Turns a piece of the lines, cut anywhere.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while !rest.is_empty() {
            if !std::mem::replace(&mut self.begun, true) {
                out.extend_from_slice(self.around.begin.as_bytes());
            }
            if std::mem::take(&mut self.between) {
                out.extend_from_slice(self.around.between.as_bytes());
            }
            let end = memchr::memchr(b'\n', rest);
            let (line, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            out.extend_from_slice(line);
            if end.is_some() {
                self.records += 1;
                self.between = true;
            }
            rest = after;
        }
    }

    /// What the text ends with, and the number of its records.
    pub(super) fn finish(self) -> (&'static [u8], u64) {
        let end = if self.begun {
            self.around.end
        } else {
            self.around.none
        };
        (end.as_bytes(), self.records)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_array() {
        let around = Around {
            begin: "[\n",
            between: ",\n",
            end: "\n]\n",
            none: "[\n]\n",
        };
        for (lines, want) in [
            ("", "[\n]\n"),
            ("{}\n", "[\n{}\n]\n"),
            ("{\"a\":1}\n{}\n{}\n", "[\n{\"a\":1},\n{},\n{}\n]\n"),
        ] {
            for size in 1..=lines.len().max(1) {
                let (mut text, mut out) = (Lines::new(around), Vec::new());
                for piece in lines.as_bytes().chunks(size) {
                    text.push(piece, &mut out);
                }
                let (end, count) = text.finish();
                out.extend_from_slice(end);
                assert_eq!(String::from_utf8(out.clone()).unwrap(), want);
                assert_eq!(count, lines.lines().count() as u64);
                let size = Lines::size(&around, count, lines.len() as u64);
                assert_eq!(size, out.len() as u64);
            }
        }
        assert_eq!(Lines::size(&around, u64::MAX, 0), u64::MAX);
    }
}
