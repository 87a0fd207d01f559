//! Cuts a stream of line protocol into batches of whole records.

use super::line;

/// The most bytes one record may have.
const RECORD_LIMIT: usize = 32 * 1024 * 1024;

/// Whole records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Their bytes, newlines included.
    pub(super) bytes: Vec<u8>,
    /// How many.
    pub(super) records: u64,
}

/// Collects pieces that are cut anywhere, and leaves out comments and the DDL of each file's head:
/// nothing from a bucket is ever executed.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    kept: Vec<u8>,
    whole: usize,
    records: u64,
    in_ddl: bool,
    room: usize,
}

/// What is not line protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The last record has no end.
    #[error("its last record is cut")]
    Cut,
    /// A record is larger than any that a server wrote.
    #[error("a record is larger than 32 MiB")]
    TooLarge,
}

impl Batcher {
    /// One whose batches have about `room` bytes: memory is taken once for each.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            kept: Vec::with_capacity(room),
            room,
            ..Self::default()
        }
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.kept.extend_from_slice(piece);
        while let Some(len) = line::end(&self.kept[self.whole..]) {
            let end = self.whole + len;
            if self.is_record(end) {
                self.whole = end;
                self.records += 1;
            } else {
                self.kept.drain(self.whole..end);
            }
        }
        if self.kept.len() - self.whole > RECORD_LIMIT {
            return Err(Malformed::TooLarge);
        }
        Ok(())
    }

    fn is_record(&mut self, end: usize) -> bool {
        let text = self.kept[self.whole..end].trim_ascii();
        if text.first() == Some(&b'#') {
            self.in_ddl =
                text.starts_with(b"# DDL") || (self.in_ddl && !text.starts_with(b"# DML"));
            return false;
        }
        !self.in_ddl && !text.is_empty()
    }

    /// Bytes of whole records that wait.
    pub(super) fn waiting(&self) -> usize {
        self.whole
    }

    /// Whole records that wait.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// All whole records.
    pub(super) fn take(&mut self) -> Batch {
        let rest = &self.kept[self.whole..];
        let mut next = Vec::with_capacity(self.room.max(rest.len()));
        next.extend_from_slice(rest);
        let mut bytes = std::mem::replace(&mut self.kept, next);
        bytes.truncate(self.whole);
        self.whole = 0;
        Batch {
            bytes,
            records: std::mem::take(&mut self.records),
        }
    }

    /// The last records; an error where one is cut.
    pub(super) fn finish(mut self) -> Result<Batch, Malformed> {
        if self.kept.len() > self.whole {
            return Err(Malformed::Cut);
        }
        Ok(self.take())
    }
}

impl Batch {
    /// Two halves; none where there is but one record.
    pub(super) fn halves(&self) -> Option<(Batch, Batch)> {
        let first = self.records / 2;
        if first == 0 {
            return None;
        }
        let mut at = 0;
        for _ in 0..first {
            at += line::end(&self.bytes[at..])?;
        }
        let half = |bytes: &[u8], records| Batch {
            bytes: bytes.to_vec(),
            records,
        };
        Some((
            half(&self.bytes[..at], first),
            half(&self.bytes[at..], self.records - first),
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = "# DDL\nCREATE DATABASE \"x\"\n# DML\n# CONTEXT-DATABASE: x\nm v=1 1\nm v=\"a\nb\" 2\n\n# DDL\nDROP DATABASE x\n# DML\nm v=3 3\n";

    #[test]
    fn any_cut_gives_the_same_records() {
        for step in 1..FILE.len() {
            let mut batcher = Batcher::default();
            for piece in FILE.as_bytes().chunks(step) {
                batcher.push(piece).unwrap();
            }
            let batch = batcher.finish().unwrap();
            assert_eq!(batch.records, 3);
            assert_eq!(
                String::from_utf8(batch.bytes).unwrap(),
                "m v=1 1\nm v=\"a\nb\" 2\nm v=3 3\n"
            );
        }
    }

    #[test]
    fn a_cut_record_is_an_error() {
        let mut batcher = Batcher::default();
        batcher.push(b"m v=1 1\nm v=2").unwrap();
        assert_eq!(batcher.finish(), Err(Malformed::Cut));
    }

    #[test]
    fn halves() {
        let batch = Batch {
            bytes: b"a v=1 1\nb v=\"\n\" 2\nc v=1 3\n".to_vec(),
            records: 3,
        };
        let (a, b) = batch.halves().unwrap();
        assert_eq!((a.records, b.records), (1, 2));
        assert_eq!(a.bytes, b"a v=1 1\n");
        assert!(a.halves().is_none());
        let (b, c) = b.halves().unwrap();
        assert_eq!(
            (b.bytes.as_slice(), c.bytes.as_slice()),
            (&b"b v=\"\n\" 2\n"[..], &b"c v=1 3\n"[..])
        );
    }
}
