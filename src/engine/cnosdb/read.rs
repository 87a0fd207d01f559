//! Reads a table in windows of bounded size.
//!
//! The server makes an answer whole before it sends the first byte, so a statement must ask for few
//! rows. How many a span of time has is counted first, and one with too many is cut.

use super::client::{At, Client, Lines};
use super::row::{Layout, Row};
use super::sql::{self, Range};
use super::time;
use crate::engine::EngineError;

/// Rows that one statement may answer with, unless they are all of one time.
pub(super) const ROWS: u64 = 20_000;
/// The most pieces that a span is cut into at once.
const PIECES: u64 = 64;
/// What the server compares times with.
const FIRST: i128 = i64::MIN as i128;
const LAST: i128 = i64::MAX as i128;

/// A table of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Its tenant.
    pub(super) tenant: String,
    /// Its database.
    pub(super) database: String,
    /// Its name.
    pub(super) table: String,
    /// What of it is meant.
    pub(super) window: Range,
}

impl Place {
    /// Where statements about it run.
    pub(super) fn at(&self) -> At<'_> {
        At {
            tenant: &self.tenant,
            database: &self.database,
        }
    }
}

/// Takes rows: the line they came as, and what they say.
pub(super) trait Visit: Send {
    /// Takes one.
    fn row(&mut self, line: &[u8], row: &Row<'_>) -> Result<(), EngineError>;
}

#[derive(serde::Deserialize)]
struct Count {
    n: u64,
}

#[derive(serde::Deserialize)]
struct Extent {
    n: u64,
    lo: Option<String>,
    hi: Option<String>,
}

/// How many rows a place has.
pub(super) async fn count(client: &Client, place: &Place) -> Result<u64, EngineError> {
    let statement = sql::count(&place.table, place.window);
    let rows: Vec<Count> = client.list(place.at(), &statement).await?;
    Ok(rows.first().map_or(0, |row| row.n))
}

/// Rows of a place that are read one piece after another.
pub(super) struct Reader<'a> {
    client: &'a Client,
    place: &'a Place,
    layout: &'a Layout,
    /// What is still to be read, the next at the end; how many rows it has, where that is known.
    todo: Vec<(Range, Option<u64>)>,
    lines: Option<Lines>,
}

impl<'a> Reader<'a> {
    /// For a place; nothing is asked yet.
    pub(super) async fn new(
        client: &'a Client,
        place: &'a Place,
        layout: &'a Layout,
    ) -> Result<Reader<'a>, EngineError> {
        let statement = sql::extent(&place.table, place.window);
        let extent: Vec<Extent> = client.list(place.at(), &statement).await?;
        let unit = layout.table.precision.unit();
        let mut todo = Vec::new();
        if let Some(Extent {
            n,
            lo: Some(lo),
            hi: Some(hi),
        }) = extent.first()
            && *n > 0
        {
            let read = |text: &str| {
                time::parse(text).ok_or_else(|| client.odd(&format!("a time {text:?}")))
            };
            todo.push((span(read(lo)?, read(hi)?, unit), Some(*n)));
        }
        Ok(Self {
            client,
            place,
            layout,
            todo,
            lines: None,
        })
    }

    /// Reads the next piece of an answer. False at the end.
    pub(super) async fn next(&mut self, visit: &mut dyn Visit) -> Result<bool, EngineError> {
        if let Some(lines) = &mut self.lines {
            if !lines.fill().await? {
                self.lines = None;
                return Ok(true);
            }
            while let Some(line) = lines.line() {
                let row = self
                    .layout
                    .read(line)
                    .map_err(|problem| self.client.odd(&format!("a row: {problem}")))?;
                visit.row(line, &row)?;
            }
            return Ok(true);
        }
        let Some((range, known)) = self.todo.pop() else {
            return Ok(false);
        };
        let rows = if let Some(rows) = known {
            rows
        } else {
            let statement = sql::count(&self.place.table, range);
            let found: Vec<Count> = self.client.list(self.place.at(), &statement).await?;
            found.first().map_or(0, |row| row.n)
        };
        if rows == 0 {
            return Ok(true);
        }
        let unit = self.layout.table.precision.unit();
        let pieces = cut(range, rows, ROWS, unit);
        if pieces.len() > 1 {
            let pieces = pieces.into_iter().rev().map(|piece| (piece, None));
            self.todo.extend(pieces);
            return Ok(true);
        }
        let names = self.layout.table.columns.iter().map(|c| c.name.as_str());
        let statement = sql::rows(&self.place.table, names, range);
        self.lines = Some(self.client.rows(self.place.at(), &statement).await?);
        Ok(true)
    }
}

/// From the first to the last time, open at an end that the server can't compare with.
fn span(first: i128, last: i128, unit: i128) -> Range {
    let end = last + unit;
    Range {
        start: i64::try_from(first).ok(),
        end: i64::try_from(end).ok(),
    }
}

/// Cuts a span so that each piece may have few enough rows, at whole units of the database's times.
fn cut(range: Range, rows: u64, most: u64, unit: i128) -> Vec<Range> {
    let start = range.start.map_or(FIRST, i128::from);
    let end = range.end.map_or(LAST, i128::from);
    // One more than the average asks for: rows are rarely spread evenly.
    let wanted = (rows / most + 2).min(PIECES);
    let width = (end - start).div_euclid(unit);
    let step = (width / i128::from(wanted)).max(1) * unit;
    if rows <= most || width <= 1 {
        return vec![range];
    }
    let mut pieces = Vec::new();
    // The first cut lies on a whole unit, wherever the span begins.
    let mut at = range.start;
    let mut next = start.div_euclid(unit) * unit + step;
    while next < end {
        let bound = i64::try_from(next).ok();
        pieces.push(Range {
            start: at,
            end: bound,
        });
        at = bound;
        next += step;
    }
    pieces.push(Range {
        start: at,
        end: range.end,
    });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> Range {
        Range {
            start: Some(start),
            end: Some(end),
        }
    }

    #[test]
    fn pieces_meet_and_cover_the_span() {
        for (whole, rows, unit) in [
            (range(0, 1000), 100, 1),
            (range(-7, 1_000_003), 95, 1),
            (range(0, 5_000_000), 1000, 1_000_000),
            (range(3, 5_000_001), 1000, 1000),
            (Range::default(), 1 << 40, 1),
            (
                Range {
                    start: Some(5),
                    end: None,
                },
                30,
                1_000_000,
            ),
        ] {
            let pieces = cut(whole, rows, 10, unit);
            assert!((2..=70).contains(&pieces.len()), "{whole:?} {pieces:?}");
            assert_eq!(pieces[0].start, whole.start);
            assert_eq!(pieces[pieces.len() - 1].end, whole.end);
            for pair in pieces.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                assert!(pair[0].end > pair[0].start);
                let bound = i128::from(pair[0].end.unwrap_or(0));
                assert_eq!(bound.rem_euclid(unit), 0);
            }
        }
    }

    #[test]
    fn what_is_small_or_of_one_time_is_read_at_once() {
        assert_eq!(cut(range(0, 1000), 10, 10, 1).len(), 1);
        assert_eq!(cut(range(5, 6), 1000, 10, 1).len(), 1);
        assert_eq!(cut(range(0, 1_000_000), 1000, 10, 1_000_000).len(), 1);
    }

    #[test]
    fn a_span_beyond_what_is_compared_is_open() {
        assert_eq!(span(0, 9, 1), range(0, 10));
        assert_eq!(
            span(FIRST * 2, LAST, 1),
            Range {
                start: None,
                end: None
            }
        );
    }
}
