//! What a key may look like. Keys come from manifests and listings too, so they are hostile.

use object_store::path::Path;

use super::StorageError;
use crate::api::conditions::Reason;

/// What every key begins with.
pub const ROOT: &str = "lifeboat/v1/";
/// S3's own limit, in bytes, less the longest prefix.
const KEY_LIMIT: usize = 1024 - 257;

/// Refuses a key that does not lie below [`ROOT`], or could mean something else than it says to a
/// store, a file system or a shell.
pub fn check_key(key: &str) -> Result<(), StorageError> {
    if !key.starts_with(ROOT) {
        return Err(refused(key, "does not begin with lifeboat/v1/"));
    }
    check_path(key)
}

/// Refuses a directory that does not lie at or below [`ROOT`].
pub(super) fn check_dir(dir: &str) -> Result<(), StorageError> {
    if dir == ROOT.trim_end_matches('/') {
        return Ok(());
    }
    check_key(dir)
}

/// Refuses a path with empty, hidden or parent segments, or letters beyond a small set.
pub(super) fn check_path(path: &str) -> Result<(), StorageError> {
    if path.len() > KEY_LIMIT {
        return Err(refused(path, "is too long"));
    }
    for segment in path.split('/') {
        if segment.is_empty() || segment.starts_with('.') {
            return Err(refused(
                path,
                "has an empty segment or one that begins with a dot",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=+@,~".contains(c);
        if !segment.chars().all(plain) {
            return Err(refused(path, "has a character that keys never have"));
        }
    }
    Ok(())
}

/// Key below the location's prefix, as the store knows it.
pub(super) fn join(prefix: &str, key: &str) -> Result<Path, StorageError> {
    let full = if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}/{key}")
    };
    Path::parse(&full).map_err(|_| refused(key, "is not a key"))
}

fn refused(key: &str, problem: &str) -> StorageError {
    StorageError::lasting(
        Reason::ManifestInvalid,
        format!(
            "the key {:?} {problem}: it was not written by Lifeboat and is not touched",
            shown(key)
        ),
    )
}

/// The begin of a key, for people.
pub(super) fn shown(key: &str) -> String {
    key.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let long = format!("lifeboat/v1/{}", "a".repeat(1000));
        for (key, good) in [
            (
                "lifeboat/v1/prod/iot/schedules/telemetry/manifests/20261120t101500z.json",
                true,
            ),
            ("lifeboat/v1/prod/claims/1.json", true),
            (
                "lifeboat/v1/a=b/emqx-export-2026-11-20-10-15-00.000.tar.gz",
                true,
            ),
            ("lifeboat/v2/prod", false),
            ("lifeboat/v1", false),
            ("lifeboat/v1/", false),
            ("lifeboat/v1/../../etc/passwd", false),
            ("lifeboat/v1/./x", false),
            ("lifeboat/v1//x", false),
            ("lifeboat/v1/x/", false),
            ("/lifeboat/v1/x", false),
            ("lifeboat/v1/x\\y", false),
            ("lifeboat/v1/x\ny", false),
            ("lifeboat/v1/x%2e%2e", false),
            ("lifeboat/v1/x#1", false),
            ("lifeboat/v1/é", false),
            (long.as_str(), false),
        ] {
            assert_eq!(check_key(key).is_ok(), good, "{key}");
        }
    }
}
