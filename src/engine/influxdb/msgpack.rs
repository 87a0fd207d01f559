//! As much of MessagePack as the server writes, read from a buffer that may end anywhere.
//!
//! Vendor source: `services/httpd/response_writer.go` (`msgpackFormatter`). Unlike the server's JSON
//! this format tells an integer from a float, and keeps bytes that are not UTF-8.

/// Why no item could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The buffer ends within it.
    More,
    /// It is not what the protocol has here.
    Bad(&'static str),
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// No value.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A string: bytes, not always UTF-8.
    Str(&'a [u8]),
}

/// Reads items from the front of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the front of `buffer`.
    pub(super) fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn read(&self) -> usize {
        self.at
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(len).ok_or(Stop::Bad("a length"))?;
        let bytes = self.buffer.get(self.at..end).ok_or(Stop::More)?;
        self.at = end;
        Ok(bytes)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.buffer.get(self.at).ok_or(Stop::More)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self
            .buffer
            .get(self.at..)
            .and_then(|rest| rest.first_chunk());
        let bytes = *bytes.ok_or(Stop::More)?;
        self.at += N;
        Ok(bytes)
    }

    fn length(&mut self, code: u8, base: u8) -> Result<usize, Stop> {
        Ok(match code - base {
            0 => usize::from(self.byte()?),
            1 => usize::from(u16::from_be_bytes(self.number()?)),
            _ => u32::from_be_bytes(self.number()?) as usize,
        })
    }

    /// How many pairs follow.
    pub(super) fn map(&mut self) -> Result<usize, Stop> {
        match self.byte()? {
            code @ 0x80..=0x8f => Ok(usize::from(code & 0x0f)),
            code @ 0xde..=0xdf => self.length(code, 0xdd),
            _ => Err(Stop::Bad("no map where the protocol has one")),
        }
    }

    /// How many items follow.
    pub(super) fn array(&mut self) -> Result<usize, Stop> {
        match self.byte()? {
            code @ 0x90..=0x9f => Ok(usize::from(code & 0x0f)),
            code @ 0xdc..=0xdd => self.length(code, 0xdb),
            _ => Err(Stop::Bad("no array where the protocol has one")),
        }
    }

    /// A string's bytes.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Stop> {
        match self.value()? {
            Value::Str(bytes) => Ok(bytes),
            _ => Err(Stop::Bad("no string where the protocol has one")),
        }
    }

    /// A value that is not a collection.
    #[inline]
    #[allow(clippy::cast_possible_wrap)] // the protocol's own two's complement
    pub(super) fn value(&mut self) -> Result<Value<'a>, Stop> {
        let code = self.byte()?;
        Ok(match code {
            0x00..=0x7f => Value::Int(i64::from(code)),
            0xe0..=0xff => Value::Int(i64::from(code as i8)),
            0xa0..=0xbf => Value::Str(self.take(usize::from(code & 0x1f))?),
            0xc0 => Value::Nil,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(code, 0xc4)?;
                Value::Str(self.take(len)?)
            }
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.number()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.number()?)),
            0xcc => Value::Int(i64::from(self.byte()?)),
            0xcd => Value::Int(i64::from(u16::from_be_bytes(self.number()?))),
            0xce => Value::Int(i64::from(u32::from_be_bytes(self.number()?))),
            0xcf => {
                let wide = u64::from_be_bytes(self.number()?);
                i64::try_from(wide).map_or(Value::Uint(wide), Value::Int)
            }
            0xd0 => Value::Int(i64::from(self.byte()? as i8)),
            0xd1 => Value::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xd2 => Value::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xd3 => Value::Int(i64::from_be_bytes(self.number()?)),
            0xd9..=0xdb => {
                let len = self.length(code, 0xd9)?;
                Value::Str(self.take(len)?)
            }
            _ => {
                return Err(Stop::Bad(
                    "a value of a type that the protocol does not have",
                ));
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (bytes, want) in [
            (&[0x05][..], Value::Int(5)),
            (&[0xff], Value::Int(-1)),
            (&[0xc0], Value::Nil),
            (&[0xc3], Value::Bool(true)),
            (&[0xd0, 0x80], Value::Int(-128)),
            (&[0xd1, 0x80, 0x00], Value::Int(-32768)),
            (&[0xd2, 0x7f, 0xff, 0xff, 0xff], Value::Int(2_147_483_647)),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Value::Int(i64::MIN)),
            (
                &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                Value::Uint(u64::MAX),
            ),
            (&[0xcc, 0xff], Value::Int(255)),
            (&[0xca, 0x3f, 0xc0, 0, 0], Value::Float(1.5)),
            (&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Value::Float(1.5)),
            (&[0xa2, b'h', b'i'], Value::Str(b"hi")),
            (&[0xd9, 1, b'x'], Value::Str(b"x")),
            (&[0xda, 0, 1, 0xff], Value::Str(b"\xff")),
            (&[0xdb, 0, 0, 0, 0], Value::Str(b"")),
        ] {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(cursor.value(), Ok(want));
            assert_eq!(cursor.read(), bytes.len());
            for cut in 0..bytes.len() {
                assert_eq!(Cursor::new(&bytes[..cut]).value(), Err(Stop::More));
            }
        }
    }

    #[test]
    fn collections() {
        assert_eq!(Cursor::new(&[0x82]).map(), Ok(2));
        assert_eq!(Cursor::new(&[0xde, 1, 0]).map(), Ok(256));
        assert_eq!(Cursor::new(&[0x93]).array(), Ok(3));
        assert_eq!(Cursor::new(&[0xdc, 0x13, 0x88]).array(), Ok(5000));
        assert_eq!(Cursor::new(&[0xdd, 0, 1, 0, 0]).array(), Ok(65536));
        assert!(matches!(Cursor::new(&[0x01]).map(), Err(Stop::Bad(_))));
        assert!(matches!(Cursor::new(&[0xc7]).value(), Err(Stop::Bad(_))));
    }
}
