//! How many rows a Parquet file has, by its footer: a struct in Thrift's compact protocol, of which
//! the third field is the number of rows. After it come the four bytes of its length and `PAR1`.
//!
//! Format: <https://parquet.apache.org/docs/file-format/>. Only what it takes is read, of bounded
//! size; the file's content is the server's business.

use crate::engine::CountRecords;

const MAGIC: &[u8] = b"PAR1";
/// Length and magic.
const TAIL: u64 = 8;
/// The most bytes of a footer that are kept: the columns' names and types come before the number.
const KEPT: usize = 1024 * 1024;
/// The deepest nesting of structs and lists.
const DEEPEST: u32 = 16;

/// Keeps the beginning of the footer as it passes.
pub(super) struct Footer {
    /// Bytes before the footer that are still to come.
    before: u64,
    size: u64,
    kept: Vec<u8>,
}

impl Footer {
    /// For a file of `size` bytes that ends in `end`.
    pub(super) fn new(size: u64, end: &[u8]) -> Result<Self, String> {
        let broken = || "it is no whole Parquet file".to_owned();
        let (length, magic) = end.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = u64::from(u32::from_le_bytes(*length));
        let before = size.checked_sub(length + TAIL).ok_or_else(broken)?;
        if magic != MAGIC || before < MAGIC.len() as u64 {
            return Err(broken());
        }
        Ok(Self {
            before,
            size: length,
            kept: Vec::new(),
        })
    }
}

impl CountRecords for Footer {
    fn push(&mut self, bytes: &[u8]) {
        let skip = usize::try_from(self.before).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.before -= skip as u64;
        let most = usize::try_from(self.size).map_or(KEPT, |size| size.min(KEPT));
        let room = most - self.kept.len();
        self.kept.extend(bytes[skip..].iter().take(room));
    }

    fn records(self: Box<Self>) -> Result<u64, String> {
        let mut thrift = Thrift(&self.kept);
        thrift
            .rows()
            .ok_or_else(|| "its Parquet footer can't be read".to_owned())
    }
}

/// A reader of Thrift's compact protocol.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    /// The third field of a struct, which is a number that is not negative.
    fn rows(&mut self) -> Option<u64> {
        let mut id = 0;
        loop {
            let kind = self.field(&mut id)?;
            if id == 3 {
                return match kind {
                    6 => u64::try_from(self.number()?).ok(),
                    _ => None,
                };
            }
            self.skip(kind, 0)?;
        }
    }

    /// The type of the next field, with its id; none at the struct's end.
    fn field(&mut self, id: &mut i64) -> Option<u8> {
        let head = self.byte()?;
        let (delta, kind) = (head >> 4, head & 0xf);
        if kind == 0 {
            return None;
        }
        *id = match delta {
            0 => self.number()?,
            delta => *id + i64::from(delta),
        };
        Some(kind)
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            // Booleans lie in the head of their field.
            1 | 2 => Some(()),
            3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    few => u64::from(few),
                };
                for _ in 0..count {
                    match head & 0xf {
                        // In a list a boolean is a byte.
                        1 | 2 => self.take(1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Some(())
            }
            12 => {
                let mut id = 0;
                while *self.0.first()? != 0 {
                    let kind = self.field(&mut id)?;
                    self.skip(kind, depth + 1)?;
                }
                self.take(1)
            }
            _ => None,
        }
    }

    /// A number, by zigzag.
    fn number(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<()> {
        self.0 = self.0.get(length..)?;
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::count::tests::count;
    use super::*;

    /// Files that CnosDB 2.4.2 wrote of one table of 20 rows.
    const FILES: [(&[u8], u64); 2] = [
        (include_bytes!("testdata/part-1-0.parquet"), 7),
        (include_bytes!("testdata/part-0-0.parquet"), 13),
    ];

    fn rows(file: &[u8]) -> Result<u64, String> {
        let end = &file[file.len().saturating_sub(8)..];
        Footer::new(file.len() as u64, end)?;
        count(file, || Footer::new(file.len() as u64, end).unwrap())
    }

    #[test]
    fn the_servers_files_are_counted() {
        for (file, want) in FILES {
            assert_eq!(rows(file), Ok(want));
        }
    }

    #[test]
    fn what_is_broken_is_said_and_never_a_number_that_is_made_up() {
        let whole = FILES[0].0;
        for at in 0..whole.len() {
            // A cut file has no end; one with a wrong byte may say another number or none.
            assert!(rows(&whole[..at]).is_err(), "{at}");
        }
        let footer = whole.len() - 8;
        for at in footer - 900..whole.len() {
            let mut wrong = whole.to_vec();
            wrong[at] ^= 0xff;
            let _ = rows(&wrong);
        }
        let mut deep = vec![0x19, 0x19];
        deep.extend([0x19; 100]);
        assert_eq!(Thrift(&deep).rows(), None);
        assert_eq!(Thrift(&[0x1c, 0xff]).rows(), None);
    }
}
