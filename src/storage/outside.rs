//! What lies in a location beside Lifeboat's own keys: dumps that a vendor's tool made.

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::key::{join, shown};
use super::{Location, StorageError};
use crate::api::conditions::Reason;

/// What Lifeboat's own keys begin with, of whatever version.
const OWN: &str = "lifeboat";
/// The longest name of a file, in bytes: S3's own limit of a key, less the longest prefix.
const NAME_LIMIT: usize = 1024 - 257;

/// Which names a location has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Lifeboat's own keys.
    Own,
    /// A vendor's files.
    Vendor,
}

impl Location {
    /// The directory `path` of this location, where a vendor's files lie, for reading only. An empty
    /// path is the location itself. What is Lifeboat's own is refused.
    pub fn outside(&self, path: &str) -> Result<Self, StorageError> {
        let prefix = if path.is_empty() {
            self.prefix.clone()
        } else {
            check_outside(path)?;
            join(&self.prefix, path)?.to_string()
        };
        Ok(self.clone().into_outside(prefix))
    }

    /// Names and sizes of all files of a vendor's directory, sorted by name. More than `limit`, and
    /// a name that could mean something else than it says, are errors: a dump is restored whole.
    pub async fn outside_files(&self, limit: usize) -> Result<Vec<(String, u64)>, StorageError> {
        let mut files = self
            .retry(|| async {
                let path = (!self.prefix.is_empty()).then(|| join("", &self.prefix));
                let listed = self.store.list(path.transpose()?.as_ref());
                let named = listed
                    .map_err(|error| self.explain(&error, "listing the vendor's dump"))
                    .try_filter_map(|meta| async move {
                        let full = meta.location.as_ref();
                        let name = match full.strip_prefix(&self.prefix) {
                            Some(name) => name.trim_start_matches('/'),
                            None => return Ok(None),
                        };
                        // Some tools put an empty object where a directory would be.
                        if name.is_empty() {
                            return Ok(None);
                        }
                        check_name(name)?;
                        Ok(Some((name.to_owned(), meta.size)))
                    });
                named.take(limit + 1).try_collect::<Vec<_>>().await
            })
            .await?;
        if files.len() > limit {
            return Err(StorageError::lasting(
                Reason::NotSupported,
                format!("the vendor's dump has more than {limit} files; restore it in pieces"),
            ));
        }
        files.sort();
        Ok(files)
    }
}

/// Refuses a path that is Lifeboat's own, or leads elsewhere.
pub(super) fn check_outside(path: &str) -> Result<(), StorageError> {
    if path.split('/').next() == Some(OWN) {
        return Err(refused(
            path,
            "is Lifeboat's own: a backup of Lifeboat is restored with source.backup, latest, asOf or manifest",
        ));
    }
    check_name(path)
}

/// Refuses a name with empty or parent segments, or letters that no file system and no store would
/// keep as they are.
pub(super) fn check_name(name: &str) -> Result<(), StorageError> {
    if name.len() > NAME_LIMIT {
        return Err(refused(name, "is too long"));
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused(name, "has a control character or a backslash"));
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(refused(name, "has an empty segment, or one that climbs"));
    }
    Ok(())
}

fn refused(name: &str, problem: &str) -> StorageError {
    StorageError::lasting(
        Reason::NotSupported,
        format!(
            "the name {:?} of a vendor's dump {problem}; nothing is read",
            shown(name)
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use object_store::path::Path;
    use object_store::{ObjectStoreExt, memory::InMemory};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn names() {
        for (name, good) in [
            ("dumps/kuzzle/2026-11-20", true),
            ("dumps/&i.c.json", true),
            ("dumps/%kuzzle.users.json.gz", true),
            ("dumps/été 1.json", true),
            ("lifeboats", true),
            ("dumps/lifeboat", true),
            ("lifeboat", false),
            ("lifeboat/v1/prod", false),
            ("", false),
            ("/etc", false),
            ("a/../b", false),
            ("a/./b", false),
            ("a//b", false),
            ("a/", false),
            ("a\\b", false),
            ("a\nb", false),
            (&"a".repeat(800), false),
        ] {
            assert_eq!(check_outside(name).is_ok(), good, "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_directory_is_listed_whole_and_nothing_else() {
        let store = Arc::new(InMemory::new());
        let put = |key: String| {
            let store = Arc::clone(&store);
            async move {
                let path = Path::parse(&key).unwrap();
                store.put(&path, "x".into()).await.unwrap();
            }
        };
        for n in 0..1500 {
            put(format!("prefix/dumps/a/%{n:04}.json")).await;
        }
        put("prefix/dumps/ab/other.json".to_owned()).await;
        put("prefix/lifeboat/v1/x.json".to_owned()).await;
        put("elsewhere/dumps/a/0.json".to_owned()).await;
        let location = Location::on(store);
        let dump = location.outside("dumps/a").unwrap();
        let files = dump.outside_files(2000).await.unwrap();
        assert_eq!(files.len(), 1500);
        assert_eq!(files[7], ("%0007.json".to_owned(), 1));
        assert_eq!(dump.size("%0007.json").await.unwrap(), Some(1));
        let error = dump.outside_files(1499).await.unwrap_err();
        assert!(error.to_string().contains("more than 1499"), "{error}");
        for name in ["../ab/other.json", "lifeboat/../x", "/x"] {
            assert!(dump.size(name).await.is_err(), "{name}");
        }
        assert!(dump.put("x.json", bytes::Bytes::new()).await.is_err());
        assert!(location.outside("lifeboat/v1").is_err());
    }
}
