//! Counts the records of a table's backup, as Mnesia writes it, while it goes by.
//!
//! The file is one of Erlang's disk logs: eight bytes, then items of a length, a mark and a term in
//! the external term format. The first is a header, the next describe the table (`{schema, …}`), each
//! other is one record: a tuple whose first element is the table's name.
//! (Erlang/OTP: `disk_log_1.erl`, `mnesia_log.erl`; the external term format's documentation.)

use super::term::{Term, record_of};

const LOG_MARK: [u8; 4] = [1, 2, 3, 4];
const ITEM_MARK: [u8; 4] = *b"bWLA";
/// Longer terms have an MD5 digest of their length before them.
const DIGEST_FROM: usize = 65_528;
/// The most bytes of an item that are looked at.
const LOOKED_AT: usize = 4 * 1024;
/// The table whose records end by themselves.
const BANS: &str = "emqx_banned";

/// What a table's backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::emqx) struct Rows {
    /// Its records.
    pub(in crate::engine::emqx) all: u64,
    /// Those of them that end soon (bans), and need not be in a target for long.
    pub(in crate::engine::emqx) ending: u64,
}

#[derive(Debug)]
enum Next {
    Start,
    Head,
    Skip(usize, usize),
    Item(usize),
    /// It is not as known: nothing can be said of it.
    Unknown,
}

/// Counts one table.
#[derive(Debug)]
pub(super) struct Counter {
    table: String,
    /// Bans that end before this, in seconds since 1970, are counted apart.
    ending_before: i64,
    next: Next,
    buffer: Vec<u8>,
    rows: Rows,
}

impl Counter {
    /// For the table of this name.
    pub(super) fn new(table: &str, ending_before: i64) -> Self {
        Self {
            table: table.to_owned(),
            ending_before,
            next: Next::Start,
            buffer: Vec::new(),
            rows: Rows::default(),
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.next {
                Next::Unknown => return,
                Next::Start => self.gather(bytes, 8, Self::start),
                Next::Head => self.gather(bytes, 8, Self::head),
                Next::Skip(left, then) => {
                    let used = left.min(bytes.len());
                    self.next = match left - used {
                        0 => Next::Item(then),
                        left => Next::Skip(left, then),
                    };
                    &bytes[used..]
                }
                Next::Item(left) => self.item(bytes, left),
            };
        }
    }

    /// What was counted; none where the file is not as known, or is cut off.
    pub(super) fn finish(&self) -> Option<Rows> {
        match self.next {
            Next::Head if self.buffer.is_empty() => Some(self.rows),
            _ => None,
        }
    }

    fn gather<'a>(&mut self, bytes: &'a [u8], need: usize, then: fn(&mut Self)) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(bytes.len().min(need - self.buffer.len()));
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() == need {
            then(self);
            self.buffer.clear();
        }
        rest
    }

    fn start(&mut self) {
        self.next = if self.buffer.starts_with(&LOG_MARK) {
            Next::Head
        } else {
            Next::Unknown
        };
    }

    fn head(&mut self) {
        let size: [u8; 4] = self.buffer[..4].try_into().unwrap_or_default();
        let size = u32::from_be_bytes(size) as usize;
        self.next = match &self.buffer[4..] == ITEM_MARK.as_slice() {
            true if size >= DIGEST_FROM => Next::Skip(16, size),
            true if size > 0 => Next::Item(size),
            _ => Next::Unknown,
        };
    }

    fn item<'a>(&mut self, bytes: &'a [u8], left: usize) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(bytes.len().min(left));
        let room = LOOKED_AT.saturating_sub(self.buffer.len());
        self.buffer
            .extend_from_slice(&piece[..piece.len().min(room)]);
        let left = left - piece.len();
        if left > 0 {
            self.next = Next::Item(left);
            return rest;
        }
        self.next = Next::Head;
        match record_of(&self.buffer) {
            Some((name, _)) if name == b"schema" || name == b"log_header" => {}
            Some((name, elements)) if name == self.table.as_bytes() => {
                self.rows.all += 1;
                let ending = self.table == BANS && self.ends_soon(elements);
                self.rows.ending += u64::from(ending);
            }
            _ => self.next = Next::Unknown,
        }
        self.buffer.clear();
        rest
    }

    /// Whether a ban `{emqx_banned, Who, By, Reason, At, Until}` ends soon.
    fn ends_soon(&self, elements: Term<'_>) -> bool {
        let until = elements.skip(4).and_then(Term::integer);
        until.is_some_and(|until| until < self.ending_before)
    }
}
