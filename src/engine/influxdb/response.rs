//! The answer to a query, decoded while it arrives.
//!
//! A chunked answer is a row of MessagePack documents. Errors may stand in any of them, after a
//! status of 200. Only what is incomplete is kept: a row at most.

use super::msgpack::{Cursor, Stop, Value};

/// The most bytes one row or one series head may have. The server's own limits are far below.
const ITEM_LIMIT: usize = 8 * 1024 * 1024;
/// The most items a head's collections may have.
const COUNT_LIMIT: usize = 1 << 20;

/// Why an answer can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server's own word.
    Said(String),
    /// The bytes are not what the protocol says.
    Garbled(&'static str),
    /// It ended before its end.
    Cut,
}

/// What the rows that follow belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Which statement of the query it answers, from 0.
    pub(super) statement: i64,
    /// The measurement, or what a SHOW calls it.
    pub(super) name: Vec<u8>,
    /// Tags, sorted by key. A series without a tag of the measurement has it with an empty value.
    pub(super) tags: Vec<(Vec<u8>, Vec<u8>)>,
    /// Columns.
    pub(super) columns: Vec<Vec<u8>>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for Row<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The row was read once before it was handed out.
        self.cursor.value().ok()
    }
}

/// Takes what is decoded.
pub(super) trait Visit {
    /// Rows of a series follow. A series may come in several pieces, each with its head.
    fn head(&mut self, head: &Head) -> Result<(), Fault>;
    /// A row of the last head, with as many values as it has columns.
    fn row(&mut self, row: Row<'_>) -> Result<(), Fault>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Document,
    Result {
        results: usize,
    },
    ResultKey {
        results: usize,
        keys: usize,
    },
    Series {
        results: usize,
        keys: usize,
        series: usize,
    },
    SeriesKey {
        results: usize,
        keys: usize,
        series: usize,
        pairs: usize,
    },
    Row {
        results: usize,
        keys: usize,
        series: usize,
        pairs: usize,
        rows: usize,
    },
}

/// Decodes an answer piece by piece.
#[derive(Debug)]
pub(super) struct Decoder {
    kept: Vec<u8>,
    at: At,
    head: Head,
    seen: i64,
    partial: bool,
}

impl Decoder {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        Self {
            kept: Vec::new(),
            at: At::Document,
            head: Head::default(),
            seen: -1,
            partial: false,
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], visit: &mut dyn Visit) -> Result<(), Fault> {
        if self.kept.is_empty() {
            let used = self.run(bytes, visit)?;
            self.kept.extend_from_slice(&bytes[used..]);
        } else {
            let mut kept = std::mem::take(&mut self.kept);
            kept.extend_from_slice(bytes);
            let used = self.run(&kept, visit)?;
            kept.drain(..used);
            self.kept = kept;
        }
        if self.kept.len() > ITEM_LIMIT {
            return Err(Fault::Garbled("a row is larger than 8 MiB"));
        }
        Ok(())
    }

    /// Says whether the answer was whole, with a result for each of `statements`.
    pub(super) fn finish(&self, statements: i64) -> Result<(), Fault> {
        let whole = self.at == At::Document
            && self.kept.is_empty()
            && !self.partial
            && self.seen + 1 == statements;
        if whole { Ok(()) } else { Err(Fault::Cut) }
    }

    fn run(&mut self, bytes: &[u8], visit: &mut dyn Visit) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let mut cursor = Cursor::new(&bytes[used..]);
            match self.step(&mut cursor, visit) {
                Ok(()) => used += cursor.read(),
                Err(Halt::Stop(Stop::More)) => return Ok(used),
                Err(Halt::Stop(Stop::Bad(what))) => return Err(Fault::Garbled(what)),
                Err(Halt::Fault(fault)) => return Err(fault),
            }
        }
    }

    /// Reads one item. On `Stop::More` nothing has changed.
    fn step(&mut self, cursor: &mut Cursor<'_>, visit: &mut dyn Visit) -> Result<(), Halt> {
        self.at = match self.at {
            At::Document => Self::document(cursor)?,
            At::Result { results: 0 } => At::Document,
            At::Result { results } => {
                let keys = cursor.map()?;
                self.partial = false;
                At::ResultKey { results, keys }
            }
            At::ResultKey { results, keys: 0 } => At::Result {
                results: results - 1,
            },
            At::ResultKey { results, keys } => self.result_key(cursor, results, keys)?,
            At::Series {
                results,
                keys,
                series: 0,
            } => At::ResultKey { results, keys },
            At::Series {
                results,
                keys,
                series,
            } => {
                let pairs = cursor.map()?;
                self.head.name.clear();
                self.head.tags.clear();
                self.head.columns.clear();
                At::SeriesKey {
                    results,
                    keys,
                    series: series - 1,
                    pairs,
                }
            }
            At::SeriesKey {
                results,
                keys,
                series,
                pairs: 0,
            } => At::Series {
                results,
                keys,
                series,
            },
            At::SeriesKey {
                results,
                keys,
                series,
                pairs,
            } => match self.series_key(cursor, visit)? {
                None => At::SeriesKey {
                    results,
                    keys,
                    series,
                    pairs: pairs - 1,
                },
                Some(rows) => At::Row {
                    results,
                    keys,
                    series,
                    pairs: pairs - 1,
                    rows,
                },
            },
            At::Row {
                results,
                keys,
                series,
                pairs,
                rows: 0,
            } => At::SeriesKey {
                results,
                keys,
                series,
                pairs,
            },
            At::Row {
                results,
                keys,
                series,
                pairs,
                rows,
            } => {
                self.row(cursor, visit)?;
                At::Row {
                    results,
                    keys,
                    series,
                    pairs,
                    rows: rows - 1,
                }
            }
        };
        Ok(())
    }

    fn document(cursor: &mut Cursor<'_>) -> Result<At, Halt> {
        if cursor.map()? != 1 {
            return Err(Stop::Bad("an answer that is neither results nor an error").into());
        }
        match cursor.text()? {
            b"results" => Ok(At::Result {
                results: cursor.array()?,
            }),
            b"error" => Err(said(cursor.text()?)),
            _ => Err(Stop::Bad("an answer that is neither results nor an error").into()),
        }
    }

    fn result_key(
        &mut self,
        cursor: &mut Cursor<'_>,
        results: usize,
        keys: usize,
    ) -> Result<At, Halt> {
        let keys = keys - 1;
        match cursor.text()? {
            b"statement_id" => {
                let Value::Int(id) = cursor.value()? else {
                    return Err(Stop::Bad("a statement's number").into());
                };
                if id != self.seen && id != self.seen + 1 {
                    return Err(Stop::Bad("statements out of order").into());
                }
                self.seen = id;
                self.head.statement = id;
            }
            b"messages" => {
                for _ in 0..bounded(cursor.array()?)? {
                    for _ in 0..bounded(cursor.map()?)? {
                        cursor.text()?;
                        cursor.text()?;
                    }
                }
            }
            b"series" => {
                return Ok(At::Series {
                    results,
                    keys,
                    series: cursor.array()?,
                });
            }
            b"partial" => self.partial = cursor.value()? == Value::Bool(true),
            b"error" => return Err(said(cursor.text()?)),
            _ => {
                return Err(
                    Stop::Bad("a result with a key that the protocol does not have").into(),
                );
            }
        }
        Ok(At::ResultKey { results, keys })
    }

    fn series_key(
        &mut self,
        cursor: &mut Cursor<'_>,
        visit: &mut dyn Visit,
    ) -> Result<Option<usize>, Halt> {
        match cursor.text()? {
            b"name" => self.head.name = cursor.text()?.to_vec(),
            b"tags" => {
                let mut tags = Vec::new();
                for _ in 0..bounded(cursor.map()?)? {
                    tags.push((cursor.text()?.to_vec(), cursor.text()?.to_vec()));
                }
                tags.sort();
                self.head.tags = tags;
            }
            b"columns" => {
                let mut columns = Vec::new();
                for _ in 0..bounded(cursor.array()?)? {
                    columns.push(cursor.text()?.to_vec());
                }
                self.head.columns = columns;
            }
            b"values" => {
                let rows = cursor.array()?;
                visit.head(&self.head).map_err(Halt::Fault)?;
                return Ok(Some(rows));
            }
            b"partial" => {
                cursor.value()?;
            }
            _ => {
                return Err(
                    Stop::Bad("a series with a key that the protocol does not have").into(),
                );
            }
        }
        Ok(None)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, visit: &mut dyn Visit) -> Result<(), Halt> {
        let left = cursor.array()?;
        if left != self.head.columns.len() {
            return Err(Stop::Bad("a row that is shorter or longer than its head").into());
        }
        let row = Row {
            cursor: *cursor,
            left,
        };
        for _ in 0..left {
            cursor.value()?;
        }
        visit.row(row).map_err(Halt::Fault)
    }
}

enum Halt {
    Stop(Stop),
    Fault(Fault),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

fn said(text: &[u8]) -> Halt {
    Halt::Fault(Fault::Said(String::from_utf8_lossy(text).into_owned()))
}

fn bounded(count: usize) -> Result<usize, Stop> {
    if count > COUNT_LIMIT {
        return Err(Stop::Bad("a head with more than a million entries"));
    }
    Ok(count)
}
