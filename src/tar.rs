//! Writes a tar archive as a stream: names and sizes come first, so sizes have to be known.
//!
//! The format is GNU's, which every tool reads: names above 100 bytes and sizes above 8 GiB have
//! its extensions.

use std::io::{self, Write};

const BLOCK: usize = 512;
const NAME: usize = 100;
/// The first size that eleven octal digits can't say.
const LARGE: u64 = 1 << 33;

/// A tar archive that is written.
pub(crate) struct Tar<W: Write> {
    out: W,
    /// Bytes that the file under way still has to get.
    left: u64,
    padding: usize,
    time: u64,
}

impl<W: Write> Tar<W> {
    /// Begins an archive; its files get the time, in seconds since 1970.
    pub(crate) fn new(out: W, time: u64) -> Self {
        Self {
            out,
            left: 0,
            padding: 0,
            time,
        }
    }

    /// Begins a file of `size` bytes, which follow by [`Self::write`].
    pub(crate) fn file(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.end_file()?;
        if name.len() > NAME {
            let long = [name.as_bytes(), &[0]].concat();
            self.head("././@LongLink", long.len() as u64, b'L')?;
            self.write(&long)?;
            self.end_file()?;
        }
        self.head(name, size, b'0')
    }

    /// Bytes of the file under way.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong_size("more"))?;
        self.out.write_all(bytes)
    }

    /// What it writes to.
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end_file()?;
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn end_file(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(wrong_size("fewer"));
        }
        self.out.write_all(&[0; BLOCK][..self.padding])?;
        self.padding = 0;
        Ok(())
    }

    fn head(&mut self, name: &str, size: u64, kind: u8) -> io::Result<()> {
        let mut head = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &name.as_bytes()[..name.len().min(NAME)]);
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        if size < LARGE {
            put(124, format!("{size:011o}\0").as_bytes());
        } else {
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
        put(
            136,
            format!("{:011o}\0", self.time.min(LARGE - 1)).as_bytes(),
        );
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar  \0");
        let sum: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(&head)?;
        self.left = size;
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        self.padding = (BLOCK - over) % BLOCK;
        Ok(())
    }
}

fn wrong_size(how: &str) -> io::Error {
    io::Error::other(format!("a file has {how} bytes than its manifest says"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_small_archive() {
        let mut tar = Tar::new(Vec::new(), 1_700_000_000);
        tar.file("d/a.json", 3).unwrap();
        tar.write(b"ab").unwrap();
        tar.write(b"c").unwrap();
        tar.file(&"n".repeat(150), 0).unwrap();
        let bytes = tar.finish().unwrap();
        // Head and body; head and body of the long name, head; the end.
        assert_eq!(bytes.len(), (2 + 3 + 2) * BLOCK);
        assert!(bytes.starts_with(b"d/a.json\0"));
        assert_eq!(&bytes[124..136], b"00000000003\0");
        assert_eq!(&bytes[BLOCK..BLOCK + 4], b"abc\0");
        assert_eq!(&bytes[2 * BLOCK + 156..][..1], b"L");
        assert_eq!(
            &bytes[3 * BLOCK..][..151],
            [&[b'n'; 150][..], &[0]].concat()
        );
    }

    #[test]
    fn sizes_are_held_to() {
        let mut tar = Tar::new(Vec::new(), 0);
        tar.file("a", 3).unwrap();
        assert!(tar.write(b"abcd").is_err());
        tar.write(b"ab").unwrap();
        assert!(tar.file("b", 1).is_err());
        let mut tar = Tar::new(Vec::new(), 0);
        tar.file("large", LARGE).unwrap();
        assert_eq!(&tar.out[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
