//! Deletes rows that a backup does not hold, while its rows are written.
//!
//! Rows come in the order of their primary keys. So all that the target has from the first key of one
//! batch to the first key of the next has to be in that batch; what is not is deleted. Memory holds
//! the keys of a batch and of a page, whatever the table has.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use super::connection::Connection;
use super::json::{self, NoRow};
use super::slice::Slice;
use super::{fault, term};
use crate::engine::EngineError;

/// Keys of the target that are looked at, and deleted, at once.
const PAGE: u32 = 1000;

/// The keys of some rows, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    terms: Vec<String>,
    forms: HashSet<Vec<u8>>,
}

impl Keys {
    /// Adds the key of a row.
    pub(super) fn add(&mut self, row: &str, primary_key: &str) -> Result<(), NoRow> {
        let key = json::field(row, primary_key).ok_or(NoRow::NoObject)?;
        self.forms.insert(form(key)?);
        self.terms.push(json::term(key));
        Ok(())
    }

    /// The first, as a term.
    pub(super) fn first(&self) -> Option<&str> {
        self.terms.first().map(String::as_str)
    }
}

fn form(key: &str) -> Result<Vec<u8>, NoRow> {
    let mut form = Vec::new();
    json::canonical(key, &mut form)?;
    Ok(form)
}

/// What there may be from one key to before another, which are terms; none: no bound there.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    /// All keys that the backup has there.
    pub(super) keys: Keys,
    /// The first key.
    pub(super) from: Option<String>,
    /// The key that ends it.
    pub(super) to: Option<String>,
}

impl Sweep {
    /// All of a part that has no rows.
    pub(super) fn whole(slice: &Slice) -> Self {
        Self {
            keys: Keys::default(),
            from: slice.range.from.as_deref().map(json::term),
            to: slice.range.to.as_deref().map(json::term),
        }
    }

    /// Deletes what the backup does not hold; how many rows that were.
    pub(super) async fn run(
        &self,
        client: &Client,
        connection: &mut Connection,
        slice: &Slice,
        hard: bool,
    ) -> Result<u64, EngineError> {
        self.check_order(client, connection).await?;
        let (mut deleted, mut last) = (0, None::<String>);
        loop {
            let page = self
                .page(client, connection, slice, last.as_deref())
                .await?;
            let mut more = Vec::new();
            for row in &page {
                let key = json::field(row.get(), &slice.primary_key).unwrap_or("null");
                let known = form(key).map(|form| self.keys.forms.contains(&form));
                let known = known.map_err(|problem| {
                    fault::garbled(
                        client.server(),
                        &format!("a primary key can't be used: {problem}"),
                    )
                })?;
                let key = json::term(key);
                if !known {
                    more.push(key.clone());
                }
                last = Some(key);
            }
            if !more.is_empty() {
                deleted += delete(client, connection, slice, &more, hard).await?;
            }
            if page.len() < PAGE as usize {
                return Ok(deleted);
            }
        }
    }

    /// Keys that the target has, a page of them.
    async fn page(
        &self,
        client: &Client,
        connection: &mut Connection,
        slice: &Slice,
        last: Option<&str>,
    ) -> Result<Vec<Box<RawValue>>, EngineError> {
        let from = last.or(self.from.as_deref());
        let rows = term::between(&slice.table(), from, self.to.as_deref(), last.is_some());
        let rows = term::limit(&term::order_by(&rows, &slice.primary_key), PAGE);
        client
            .all(connection, &term::pluck(&rows, &[&slice.primary_key]))
            .await
    }

    /// Has the server check that the keys are in its order: rows of a backup that are not would be
    /// taken for rows that it does not hold.
    async fn check_order(
        &self,
        client: &Client,
        connection: &mut Connection,
    ) -> Result<(), EngineError> {
        let keys = self.keys.terms.iter().chain(&self.to);
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        let begin: Vec<&str> = self
            .from
            .as_deref()
            .into_iter()
            .chain(self.keys.first())
            .collect();
        let term = term::both(&term::not_above(&begin), &term::rising(&keys));
        let good: Vec<bool> = client.atom(connection, &term).await?;
        if good.iter().all(|good| *good) {
            return Ok(());
        }
        Err(EngineError::BadBackup {
            problem: "its rows are not in the order of their primary keys, so deletions Mirror can't tell what to delete; use conflictPolicy Replace".to_owned(),
        })
    }
}

async fn delete(
    client: &Client,
    connection: &mut Connection,
    slice: &Slice,
    keys: &[String],
    hard: bool,
) -> Result<u64, EngineError> {
    #[derive(Default, Deserialize)]
    struct Counts {
        #[serde(default)]
        deleted: u64,
        #[serde(default)]
        errors: u64,
        #[serde(default)]
        first_error: String,
    }
    let rows = term::get_all(&slice.table(), keys);
    let counts: Counts = client.atom(connection, &term::delete(&rows, hard)).await?;
    if counts.errors > 0 {
        return Err(EngineError::Server {
            server: client.server().to_owned(),
            retryable: fault::is_passing(&counts.first_error),
            problem: fault::word(&format!(
                "{} rows that the backup does not hold could not be deleted: {}",
                counts.errors, counts.first_error
            )),
        });
    }
    // One that somebody else deleted meanwhile is gone as well.
    Ok(counts.deleted)
}
