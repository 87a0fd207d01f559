//! How many rows a file has that the server wrote.

use crate::engine::CountRecords;

/// JSON objects, one a line; the last newline may not be there.
#[derive(Default)]
pub(super) struct Lines {
    rows: u64,
    open: bool,
}

impl CountRecords for Lines {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open |= !piece.trim_ascii().is_empty();
            if piece.ends_with(b"\n") && std::mem::take(&mut self.open) {
                self.rows += 1;
            }
        }
    }

    fn records(self: Box<Self>) -> Result<u64, String> {
        Ok(self.rows + u64::from(self.open))
    }
}

/// CSV: a row ends at a newline that is not within quotes.
#[derive(Default)]
pub(super) struct Csv {
    rows: u64,
    open: bool,
    quoted: bool,
    header: bool,
}

impl Csv {
    pub(super) fn new(header: bool) -> Self {
        Self {
            header,
            ..Self::default()
        }
    }
}

impl CountRecords for Csv {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                // A quote within quotes is doubled, and comes back to where it was.
                b'"' => {
                    self.quoted = !self.quoted;
                    self.open = true;
                }
                b'\n' if !self.quoted => {
                    self.rows += u64::from(std::mem::take(&mut self.open));
                }
                b'\r' => {}
                _ => self.open = true,
            }
        }
    }

    fn records(self: Box<Self>) -> Result<u64, String> {
        if self.quoted {
            return Err("it ends within quotes".to_owned());
        }
        let rows = self.rows + u64::from(self.open);
        match (self.header, rows) {
            (true, 0) => Err("it has no header".to_owned()),
            (true, rows) => Ok(rows - 1),
            (false, rows) => Ok(rows),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// What a counter says of bytes that come in pieces of each size.
    pub(in super::super) fn count<C: CountRecords + 'static>(
        bytes: &[u8],
        mut make: impl FnMut() -> C,
    ) -> Result<u64, String> {
        let mut said = Vec::new();
        for step in [1, 2, 7, 64 * 1024] {
            let mut counter = make();
            bytes.chunks(step).for_each(|piece| counter.push(piece));
            said.push(Box::new(counter).records());
        }
        assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
        said.swap_remove(0)
    }

    #[test]
    fn lines() {
        for (text, rows) in [
            ("", 0),
            ("\n\n", 0),
            ("{}\n{}\n", 2),
            ("{}\n{}", 2),
            ("{\"s\":\"a\\nb\"}\r\n \n{}\n", 2),
        ] {
            assert_eq!(count(text.as_bytes(), Lines::default), Ok(rows), "{text}");
        }
    }

    #[test]
    fn csv() {
        for (header, text, rows) in [
            (true, "time,s\n1,a\n2,b\n", Ok(2)),
            (true, "time,s\n1,a\n2,b", Ok(2)),
            (true, "time,s\r\n1,\"a\nb \"\"c\"\"\n\"\r\n", Ok(1)),
            (true, "time,s\n", Ok(0)),
            (false, "1,a\n2,b\n", Ok(2)),
            (false, "", Ok(0)),
            (true, "", Err("it has no header".to_owned())),
            (
                true,
                "time,s\n1,\"a\n",
                Err("it ends within quotes".to_owned()),
            ),
        ] {
            assert_eq!(count(text.as_bytes(), || Csv::new(header)), rows, "{text}");
        }
    }
}
