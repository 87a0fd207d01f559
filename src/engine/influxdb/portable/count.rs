//! Counts what a shard holds, asked of the server over HTTP: the values of all fields of all points
//! within the shard's span. That is what a server can count without handing out its points.

use super::super::catalog;
use super::super::client::Client;
use super::super::msgpack::Value;
use super::super::ql::{self, Range};
use super::super::response::{Fault, Head, Row, Visit};
use crate::engine::EngineError;

/// Measurements that are counted by one request.
const STATEMENTS: usize = 50;

/// A span of a retention policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The database.
    pub(super) database: String,
    /// The retention policy.
    pub(super) policy: String,
    /// What of it is meant.
    pub(super) range: Range,
}

/// The measurements of a retention policy that can be asked for; none where the database is gone.
pub(super) async fn measurements(client: &Client, span: &Span) -> Result<Vec<String>, EngineError> {
    match catalog::measurements(client, &span.database, &span.policy).await {
        Err(EngineError::NotFound { .. }) => Ok(Vec::new()),
        Err(other) => Err(other),
        Ok((found, _)) => Ok(found
            .into_iter()
            .map(|measurement| measurement.name)
            .filter(|name| !ql::is_system_name(name))
            .collect()),
    }
}

/// Counts the values of a span.
pub(super) async fn values(client: &Client, span: &Span) -> Result<u64, EngineError> {
    let mut sum = Sum::default();
    for some in measurements(client, span).await?.chunks(STATEMENTS) {
        let query: Vec<String> = some
            .iter()
            .map(|name| {
                let source = ql::source(&span.database, &span.policy, name);
                ql::count_values(&source, span.range)
            })
            .collect();
        let statements = i64::try_from(query.len()).unwrap_or(i64::MAX);
        let mut rows = client.rows(&query.join(";"), statements).await?;
        loop {
            match rows.next(&mut sum).await {
                Ok(true) => {}
                Ok(false) => break,
                // The database was dropped meanwhile.
                Err(EngineError::NotFound { .. }) => return Ok(0),
                Err(other) => return Err(other),
            }
        }
    }
    Ok(sum.0)
}

/// Adds up all columns but the time, which is the first.
#[derive(Default)]
struct Sum(u64);

impl Visit for Sum {
    fn head(&mut self, _: &Head) -> Result<(), Fault> {
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), Fault> {
        for value in row.skip(1) {
            match value {
                Value::Int(number) => self.0 += u64::try_from(number).unwrap_or(0),
                Value::Uint(number) => self.0 += number,
                _ => {}
            }
        }
        Ok(())
    }
}
