//! Cuts bytes into rows, a line each, and gathers rows. Pure.

use super::json::{self, NoRow};
use super::mirror::Keys;
use crate::engine::EngineError;

/// The longest row: the server takes no query above 64 MiB.
const ROW_LIMIT: usize = 64 << 20;

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The begin of a line that has no end yet.
    rest: Vec<u8>,
    rows: u64,
}

impl Lines {
    /// Gives each line that ends within `piece` to `take`.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(&str) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut piece = piece;
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, after) = piece.split_at(end);
            piece = &after[1..];
            if self.rest.is_empty() {
                self.line(line, &mut take)?;
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole, &mut take)?;
            }
        }
        if self.rest.len() + piece.len() > ROW_LIMIT {
            return Err(self.bad("it is longer than the 64 MiB that RethinkDB takes"));
        }
        self.rest.extend_from_slice(piece);
        Ok(())
    }

    /// Bytes of the line that has no end yet.
    pub(super) fn held(&self) -> usize {
        self.rest.len()
    }

    /// Checks that the last line has an end.
    pub(super) fn finish(&self) -> Result<(), EngineError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.bad("its line has no end"))
        }
    }

    /// A row that can't be used.
    pub(super) fn no_row(&self, problem: NoRow) -> EngineError {
        self.bad(&problem.to_string())
    }

    fn bad(&self, problem: &str) -> EngineError {
        EngineError::BadBackup {
            problem: format!("row {} of a table can't be used: {problem}", self.rows + 1),
        }
    }

    fn line(
        &mut self,
        line: &[u8],
        take: &mut impl FnMut(&str) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let row = json::check(line).map_err(|problem| self.no_row(problem))?;
        take(row)?;
        self.rows += 1;
        Ok(())
    }
}

/// Rows as the terms of an insert.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Terms with commas between.
    pub(super) terms: String,
    /// How many there are.
    pub(super) rows: u64,
    /// Their keys, where those are asked for.
    pub(super) keys: Keys,
}

impl Batch {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &str) {
        if self.rows > 0 {
            self.terms.push(',');
        }
        self.terms.reserve(row.len());
        json::write_term(row, &mut self.terms);
        self.rows += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cut(text: &[u8], size: usize) -> Result<(Vec<String>, Lines), EngineError> {
        let (mut lines, mut rows) = (Lines::default(), Vec::new());
        for piece in text.chunks(size) {
            lines.push(piece, |row| {
                rows.push(row.to_owned());
                Ok(())
            })?;
        }
        Ok((rows, lines))
    }

    #[test]
    fn any_cut_gives_the_same_rows() {
        let text = "{\"a\":\"ë\"}\n {\"b\":[1]}\n{}\n".as_bytes();
        for size in 1..text.len() {
            let (rows, lines) = cut(text, size).unwrap();
            assert_eq!(rows, ["{\"a\":\"ë\"}", "{\"b\":[1]}", "{}"]);
            lines.finish().unwrap();
        }
        let (_, lines) = cut(b"{}\n{", 3).unwrap();
        let error = lines.finish().unwrap_err().to_string();
        assert!(error.contains("row 2 of a table"), "{error}");
        let error = cut(b"{}\n[57,[\"x\"]]\n", 3).err().unwrap().to_string();
        assert!(error.contains("row 2 of a table"), "{error}");
    }

    #[test]
    fn batches() {
        let mut batch = Batch::default();
        batch.add("{\"a\":[1]}");
        batch.add("{}");
        assert_eq!(
            (batch.terms.as_str(), batch.rows),
            ("{\"a\":[2,[1]]},{}", 2)
        );
    }
}
