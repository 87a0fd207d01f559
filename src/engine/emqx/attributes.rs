//! What a backup's index says of an archive, and reading it back: it comes from a bucket, so it is
//! checked like anything else.

use std::collections::BTreeMap;

use super::archive::{Contents, base_name};
use super::counts::{Counts, LISTS};
use super::meta::Meta;
use super::settings::{Findings, few};
use crate::engine::EngineError;
use crate::manifest::Part;

/// The kind of an archive's part.
pub(super) const KIND: &str = "archive";
/// In a part's name: the archive's own.
pub(super) const ARCHIVE: &str = "archive";
const VERSION: &str = "version";
const EDITION: &str = "edition";
const ENTRIES: &str = "entries";
const LIVE: &str = "live";
const COUNT: &str = "count.";
const ROWS: &str = "rows.";
const SALT: &str = "salt.";

/// What the index says of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    /// Its name.
    pub(super) name: String,
    /// What made it.
    pub(super) meta: Meta,
    /// What the source's lists showed, of what is in it.
    pub(super) counts: Counts,
    /// Records of each table that could be counted.
    pub(super) rows: BTreeMap<String, u64>,
    /// Where each authenticator's passwords have their salt.
    pub(super) salts: BTreeMap<String, String>,
    /// Connectors and the like that are switched on, in words.
    pub(super) live: Option<String>,
}

/// What goes into the index.
pub(super) fn write(
    contents: &Contents,
    counts: &Counts,
    findings: &Findings,
) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::from([
        (VERSION.to_owned(), contents.meta.version.clone()),
        (EDITION.to_owned(), contents.meta.edition.short().to_owned()),
        (ENTRIES.to_owned(), contents.entries.to_string()),
    ]);
    for (list, count) in counts {
        attributes.insert(format!("{COUNT}{list}"), count.to_string());
    }
    for (table, rows) in &contents.tables {
        if let Some(rows) = rows {
            attributes.insert(format!("{ROWS}{table}"), rows.all.to_string());
        }
    }
    for (authenticator, salt) in &findings.salts {
        attributes.insert(format!("{SALT}{authenticator}"), salt.clone());
    }
    if !findings.live.is_empty() {
        attributes.insert(LIVE.to_owned(), few(&findings.live));
    }
    attributes
}

/// Reads what the index says.
pub(super) fn read(part: &Part) -> Result<Archive, EngineError> {
    let bad = |problem: String| EngineError::BadBackup { problem };
    if part.kind != KIND {
        return Err(bad(format!(
            "its parts index has a part of an unknown kind: {:?}",
            super::word(&part.kind)
        )));
    }
    let name = part.name.get(ARCHIVE).cloned().unwrap_or_default();
    base_name(&name).map_err(|fault| bad(format!("the archive can't be used: {fault}")))?;
    let word = |key: &str| part.attributes.get(key).map_or("", String::as_str);
    let meta = Meta::new(word(VERSION), word(EDITION)).ok_or_else(|| {
        bad("its parts index names no version or edition of the archive".to_owned())
    })?;
    let number = |key: &str| -> Result<Option<u64>, EngineError> {
        match part.attributes.get(key).map(|text| text.parse()) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(bad(format!(
                "its parts index has a {key} that is no number"
            ))),
        }
    };
    let mut counts = Counts::new();
    for list in &LISTS {
        if let Some(count) = number(&format!("{COUNT}{}", list.name))? {
            counts.insert(list.name, count);
        }
    }
    let mut rows = BTreeMap::new();
    let mut salts = BTreeMap::new();
    for (key, value) in &part.attributes {
        if let Some(table) = key.strip_prefix(ROWS) {
            rows.insert(table.to_owned(), number(key)?.unwrap_or(0));
        } else if let Some(id) = key.strip_prefix(SALT) {
            salts.insert(id.to_owned(), super::word(value));
        }
    }
    Ok(Archive {
        name,
        meta,
        counts,
        rows,
        salts,
        live: part.attributes.get(LIVE).map(|text| super::word(text)),
    })
}
