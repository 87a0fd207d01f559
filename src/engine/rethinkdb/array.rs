//! Takes the rows out of a JSON array, a line each: what [`super::archive`] puts them in. Pure.

/// Where the array stands between two bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Before `[`.
    #[default]
    Begin,
    /// Behind `[`.
    First,
    /// Within a row.
    Row,
    /// Behind a row.
    Behind,
    /// Behind a comma.
    Comma,
    /// Behind `]`.
    End,
}

/// Takes rows out of an array that comes in pieces. Whether a row is JSON is for others to say.
#[derive(Debug, Default)]
pub(super) struct ArrayRows {
    at: At,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl ArrayRows {
    /// Takes a piece of the array, cut anywhere, and appends rows to `out`.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        for &byte in piece {
            if self.at == At::Row {
                self.in_row(byte, out);
                continue;
            }
            self.at = match (self.at, byte) {
                (at, b' ' | b'\n' | b'\r' | b'\t') => at,
                (At::Begin, b'[') => At::First,
                (At::First | At::Comma, b'{') => {
                    out.push(byte);
                    self.depth = 1;
                    At::Row
                }
                (At::Behind, b',') => At::Comma,
                (At::First | At::Behind, b']') => At::End,
                _ => return Err("the rows of a table are no JSON array of objects"),
            };
        }
        Ok(())
    }

    /// Whether the array came to its end.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        if self.at == At::End {
            Ok(())
        } else {
            Err("the rows of a table are cut off")
        }
    }

    fn in_row(&mut self, byte: u8, out: &mut Vec<u8>) {
        // Between tokens a line break is white space; a string can't hold one.
        out.push(if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            byte
        });
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 {
            out.push(b'\n');
            self.at = At::Behind;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rows(array: &str, size: usize) -> Result<String, &'static str> {
        let (mut rows, mut out) = (ArrayRows::default(), Vec::new());
        for piece in array.as_bytes().chunks(size) {
            rows.push(piece, &mut out)?;
        }
        rows.finish()?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn any_cut_gives_the_same_rows() {
        for (array, want) in [
            ("[\n]\n", ""),
            ("[]", ""),
            ("[\n{\"a\": [1, {}]},\n{}\n]\n", "{\"a\": [1, {}]}\n{}\n"),
            (
                "[{\"a\":\"]},\\\"{é\"},{\"b\\\\\":\n1}]",
                "{\"a\":\"]},\\\"{é\"}\n{\"b\\\\\": 1}\n",
            ),
        ] {
            for size in 1..=array.len() {
                assert_eq!(rows(array, size).unwrap(), want, "{array} {size}");
            }
        }
    }

    #[test]
    fn what_is_no_array_of_objects() {
        for array in [
            "",
            "[",
            "{}",
            "[1]",
            "[{}",
            "[{},]",
            "[,{}]",
            "[{} {}]",
            "[{}]]",
            "[{}][",
            "[[{}]]",
            "[{\"a\":\"}]",
            "null",
        ] {
            assert!(rows(array, 1).is_err(), "{array}");
        }
    }
}
