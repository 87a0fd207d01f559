//! Listings of a location.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::{ObjectMeta, ObjectStore};

use super::key::{check_dir, check_key, check_path, join};
use super::{Location, StorageError};
use crate::api::conditions::Reason;

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Key below the location's prefix.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub last_modified: Timestamp,
}

impl Location {
    /// All objects below `dir` whose keys sort after `after`, in no order that can be relied on.
    /// `dir` is `lifeboat/v1` or a key, without a slash at its end. Objects whose keys Lifeboat
    /// would never write are left out.
    pub fn list(
        &self,
        dir: &str,
        after: Option<&str>,
    ) -> Result<BoxStream<'static, Result<Entry, StorageError>>, StorageError> {
        check_dir(dir)?;
        let path = join(&self.prefix, dir)?;
        let found = match after {
            Some(after) => self.store.list_with_offset(Some(&path), &self.path(after)?),
            None => self.store.list(Some(&path)),
        };
        let location = self.clone();
        let what = format!("listing {dir}");
        let after = after.unwrap_or_default().to_owned();
        Ok(found
            .filter_map(move |item| {
                let entry = match item {
                    // Not every server starts where it was asked to.
                    Ok(meta) => location
                        .entry(&meta)
                        .filter(|entry| entry.key > after)
                        .map(Ok),
                    Err(error) => Some(Err(location.explain(&error, &what))),
                };
                std::future::ready(entry)
            })
            .boxed())
    }

    /// As [`Self::list`], sorted by key; more than `limit` objects are an error, not a cut.
    pub async fn list_sorted(
        &self,
        dir: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut entries = self
            .retry(|| async {
                let all: Vec<Entry> = self.list(dir, after)?.take(limit + 1).try_collect().await?;
                Ok(all)
            })
            .await?;
        if entries.len() > limit {
            return Err(StorageError::lasting(
                Reason::StoreError,
                format!("{dir} holds more than {limit} objects; keep fewer backups"),
            ));
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// Names of the directories just below `dir`, sorted.
    pub async fn list_dirs(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        check_dir(dir)?;
        let path = join(&self.prefix, dir)?;
        let listed = self
            .retry(|| async {
                let listed = self.store.list_with_delimiter(Some(&path)).await;
                listed.map_err(|error| self.explain(&error, &format!("listing {dir}")))
            })
            .await?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| {
                path.parts()
                    .next_back()
                    .map(|name| name.as_ref().to_owned())
            })
            .filter(|name| check_path(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn entry(&self, meta: &ObjectMeta) -> Option<Entry> {
        let full = meta.location.as_ref();
        let key = if self.prefix.is_empty() {
            full
        } else {
            full.strip_prefix(&self.prefix)?.strip_prefix('/')?
        };
        check_key(key).ok()?;
        Some(Entry {
            key: key.to_owned(),
            size: meta.size,
            last_modified: Timestamp::from_second(meta.last_modified.timestamp()).ok()?,
        })
    }
}
