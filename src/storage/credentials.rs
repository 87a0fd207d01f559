//! The keys of a location's Secret.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::ByteString;
use secrecy::SecretString;

use super::StorageError;
use crate::api::conditions::Reason;

const ACCESS_KEY_ID: &str = "accessKeyId";
const SECRET_ACCESS_KEY: &str = "secretAccessKey";
const SESSION_TOKEN: &str = "sessionToken";
/// No key of any store is longer; session tokens of AWS have some 1,000 bytes.
const VALUE_LIMIT: usize = 8 * 1024;

/// The keys of a location's Secret: `accessKeyId`, `secretAccessKey`, and where needed
/// `sessionToken`. `Debug` shows none of the secret ones.
#[derive(Clone, Debug)]
pub struct StorageCredentials {
    /// Names the account. Not a secret, but not logged either.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: SecretString,
    /// Goes with keys that were lent for a time.
    pub session_token: Option<SecretString>,
}

impl StorageCredentials {
    /// Reads a mounted Secret: one file a key.
    pub fn from_dir(dir: &Path) -> Result<Self, StorageError> {
        Self::collect("the mounted Secret", |key| {
            match std::fs::read(dir.join(key)) {
                Ok(value) => Ok(Some(value)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(StorageError::passing(
                    Reason::InternalError,
                    format!(
                        "the key {key} of the mounted Secret can't be read: {}",
                        error.kind()
                    ),
                )),
            }
        })
    }

    /// Reads a Secret's `data`; `name` is the Secret's, for messages.
    pub fn from_secret_data(
        name: &str,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<Self, StorageError> {
        Self::collect(&format!("the Secret {name}"), |key| {
            Ok(data.get(key).map(|value| value.0.clone()))
        })
    }

    fn collect(
        place: &str,
        mut get: impl FnMut(&str) -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Self, StorageError> {
        let mut text = |key: &str| -> Result<Option<String>, StorageError> {
            get(key)?.map(|value| clean(place, key, value)).transpose()
        };
        let missing = |key: &str| {
            StorageError::lasting(
                Reason::SecretKeyMissing,
                format!(
                    "{place} lacks the key {key}; an S3 location needs {ACCESS_KEY_ID} and \
                     {SECRET_ACCESS_KEY}, and {SESSION_TOKEN} where the keys are lent"
                ),
            )
        };
        Ok(Self {
            access_key_id: text(ACCESS_KEY_ID)?.ok_or_else(|| missing(ACCESS_KEY_ID))?,
            secret_access_key: text(SECRET_ACCESS_KEY)?
                .ok_or_else(|| missing(SECRET_ACCESS_KEY))?
                .into(),
            session_token: text(SESSION_TOKEN)?.map(Into::into),
        })
    }
}

/// The value as text, without the newline that `echo` puts at its end.
fn clean(place: &str, key: &str, value: Vec<u8>) -> Result<String, StorageError> {
    let unusable = |problem: &str| {
        StorageError::lasting(
            Reason::SecretKeyMissing,
            format!("the key {key} of {place} {problem}; put the store's key there as plain text"),
        )
    };
    if value.len() > VALUE_LIMIT {
        return Err(unusable("is too long"));
    }
    let text = String::from_utf8(value).map_err(|_| unusable("is not text"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(unusable("is empty"));
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(unusable(
            "has spaces, line ends or other characters that no key has",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use secrecy::ExposeSecret;

    use super::*;

    fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())))
            .collect()
    }

    #[test]
    fn reads_keys_and_shows_no_secret() {
        let read = StorageCredentials::from_secret_data(
            "dr-bucket",
            &data(&[
                ("accessKeyId", b"AKID\n"),
                ("secretAccessKey", b"s3cr3t"),
                ("sessionToken", b"t0k3n"),
            ]),
        )
        .unwrap();
        assert_eq!(read.access_key_id, "AKID");
        assert_eq!(read.secret_access_key.expose_secret(), "s3cr3t");
        let shown = format!("{read:?}");
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("t0k3n"),
            "{shown}"
        );
    }

    #[test]
    fn names_what_is_wrong() {
        for (pairs, part) in [
            (
                vec![("accessKeyId", &b"a"[..])],
                "lacks the key secretAccessKey",
            ),
            (vec![("secretAccessKey", b"a")], "lacks the key accessKeyId"),
            (
                vec![("AWS_ACCESS_KEY_ID", b"a"), ("secretAccessKey", b"b")],
                "lacks the key accessKeyId",
            ),
            (
                vec![("accessKeyId", b"a"), ("secretAccessKey", b"")],
                "key secretAccessKey of the Secret dr-bucket is empty",
            ),
            (
                vec![("accessKeyId", b"a"), ("secretAccessKey", b"\xff\xfe")],
                "is not text",
            ),
            (
                vec![("accessKeyId", b"a b"), ("secretAccessKey", b"c")],
                "spaces",
            ),
        ] {
            let error =
                StorageCredentials::from_secret_data("dr-bucket", &data(&pairs)).unwrap_err();
            assert_eq!(error.reason, Reason::SecretKeyMissing);
            assert!(error.message.contains(part), "{}", error.message);
            assert!(!error.retryable);
        }
    }

    #[test]
    fn reads_a_mounted_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("accessKeyId"), "a").unwrap();
        let error = StorageCredentials::from_dir(dir.path()).unwrap_err();
        assert!(error.message.contains("secretAccessKey"), "{error}");
        std::fs::write(dir.path().join("secretAccessKey"), "b\n").unwrap();
        let read = StorageCredentials::from_dir(dir.path()).unwrap();
        assert_eq!(read.secret_access_key.expose_secret(), "b");
        assert!(read.session_token.is_none());
    }
}
