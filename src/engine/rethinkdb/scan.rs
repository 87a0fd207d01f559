//! Reads the rows of a part in the order of their keys, also over connections that are lost.

use std::time::Duration;

use super::answer::{Shape, Values};
use super::client::Client;
use super::connection::Connection;
use super::slice::Slice;
use super::{fault, json};
use crate::engine::EngineError;

/// Attempts without a row between them.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Rows to read.
pub(super) struct Scan<'a> {
    client: &'a Client,
    slice: &'a Slice,
    /// Where a partial answer waits for more.
    connection: Option<Connection>,
    /// The key of the last row, as a term.
    last: Option<String>,
    failures: u32,
    ended: bool,
}

impl<'a> Scan<'a> {
    /// Begins to read.
    pub(super) fn new(client: &'a Client, slice: &'a Slice) -> Self {
        Self {
            client,
            slice,
            connection: None,
            last: None,
            failures: 0,
            ended: false,
        }
    }

    /// The next rows; none at the end. After a lost connection it goes on behind the last row.
    pub(super) async fn next(&mut self) -> Result<Option<Values>, EngineError> {
        while !self.ended {
            let values = match self.step().await {
                Ok(values) => values,
                Err(error) if error.retryable() && self.failures < ATTEMPTS => {
                    self.failures += 1;
                    tracing::warn!(%error, attempt = self.failures, "a table is read on from the last row");
                    tokio::time::sleep(FIRST_WAIT * 2u32.pow(self.failures)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(row) = values.iter().next_back() else {
                continue;
            };
            let key = json::field(row, &self.slice.primary_key).ok_or_else(|| {
                fault::garbled(self.client.server(), "a row without its primary key")
            })?;
            self.last = Some(json::term(key));
            self.failures = 0;
            return Ok(Some(values));
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Values, EngineError> {
        let (connection, (shape, values)) = if let Some(mut open) = self.connection.take() {
            let answer = open.more().await?;
            (open, answer)
        } else {
            let mut open = self.client.connect().await?;
            let rows = self.slice.ordered(self.last.as_deref());
            let answer = open.start(&rows).await?;
            (open, answer)
        };
        match shape {
            Shape::Partial => self.connection = Some(connection),
            Shape::End => self.ended = true,
            Shape::Atom => {
                let server = self.client.server();
                return Err(fault::garbled(server, "one value where rows were due"));
            }
        }
        Ok(values)
    }
}
