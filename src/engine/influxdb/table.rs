//! Small answers, collected in memory.

use super::msgpack::Value;
use super::response::{Fault, Head, Row, Visit};

/// The most bytes a collected answer may have in memory.
const TABLE_LIMIT: usize = 64 * 1024 * 1024;

/// A small answer, collected.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    /// Which statement it answers.
    pub(super) statement: i64,
    /// What a SHOW calls it.
    pub(super) name: Vec<u8>,
    /// Columns.
    pub(super) columns: Vec<String>,
    /// Rows.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A value of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// No value.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Bytes.
    Text(Vec<u8>),
}

impl Cell {
    /// The text, where it is UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl Table {
    /// A row's value in a named column.
    pub(super) fn cell<'a>(&self, row: &'a [Cell], column: &str) -> Option<&'a Cell> {
        row.get(self.columns.iter().position(|have| have == column)?)
    }
}

/// Collects an answer.
#[derive(Default)]
pub(super) struct Collect {
    tables: Vec<Table>,
    bytes: usize,
}

impl Collect {
    /// What was collected.
    pub(super) fn into_tables(self) -> Vec<Table> {
        self.tables
    }
}

impl Visit for Collect {
    fn head(&mut self, head: &Head) -> Result<(), Fault> {
        let columns: Vec<String> = head
            .columns
            .iter()
            .map(|column| String::from_utf8_lossy(column).into_owned())
            .collect();
        let same = self.tables.last().is_some_and(|table| {
            table.statement == head.statement && table.name == head.name && table.columns == columns
        });
        if !same {
            self.bytes += 100 + head.name.len();
            self.tables.push(Table {
                statement: head.statement,
                name: head.name.clone(),
                columns,
                rows: Vec::new(),
            });
        }
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), Fault> {
        let cells: Vec<Cell> = row
            .map(|value| match value {
                Value::Bool(flag) => Cell::Bool(flag),
                Value::Int(number) => Cell::Int(number),
                Value::Str(bytes) => Cell::Text(bytes.to_vec()),
                Value::Nil | Value::Uint(_) | Value::Float(_) => Cell::Nil,
            })
            .collect();
        self.bytes += cells
            .iter()
            .map(|cell| match cell {
                Cell::Text(bytes) => 40 + bytes.len(),
                _ => 40,
            })
            .sum::<usize>();
        if self.bytes > TABLE_LIMIT {
            return Err(Fault::Garbled("a list of more than 64 MiB"));
        }
        if let Some(table) = self.tables.last_mut() {
            table.rows.push(cells);
        }
        Ok(())
    }
}
