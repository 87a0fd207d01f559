//! The keys of a location's Secret.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::ByteString;
use secrecy::SecretString;

use super::StorageError;
use crate::api::conditions::Reason;
use crate::api::storage_location::StorageLocationSpec;

const ACCESS_KEY_ID: &str = "accessKeyId";
const SECRET_ACCESS_KEY: &str = "secretAccessKey";
const SESSION_TOKEN: &str = "sessionToken";
const ACCOUNT_KEY: &str = "accountKey";
const SAS_TOKEN: &str = "sasToken";
const SERVICE_ACCOUNT_KEY: &str = "serviceAccountKey";
/// No key of any store is longer; session tokens of AWS have some 1,000 bytes, a service account's
/// key some 2,500.
const VALUE_LIMIT: usize = 8 * 1024;

/// What a location's Secret holds. `Debug` shows none of the secret values.
#[derive(Clone, Debug)]
pub enum StorageCredentials {
    /// For `s3`.
    S3(S3Keys),
    /// For `azure`.
    Azure(AzureKey),
    /// For `gcs`: a service account's key in `serviceAccountKey`, the JSON that Google Cloud makes.
    Gcs(SecretString),
}

/// The keys of an S3 location: `accessKeyId`, `secretAccessKey`, and where needed `sessionToken`.
#[derive(Clone, Debug)]
pub struct S3Keys {
    /// Names the account. Not a secret, but not logged either.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: SecretString,
    /// Goes with keys that were lent for a time.
    pub session_token: Option<SecretString>,
}

/// What opens an Azure container.
#[derive(Clone, Debug)]
pub enum AzureKey {
    /// `accountKey`: one of the storage account's two keys, in base64.
    Account(SecretString),
    /// `sasToken`: a shared access signature.
    Sas(SecretString),
}

impl StorageCredentials {
    /// Reads a mounted Secret, one file a key, for the location of `spec`.
    pub fn from_dir(spec: &StorageLocationSpec, dir: &Path) -> Result<Self, StorageError> {
        let get = |key: &str| match std::fs::read(dir.join(key)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::passing(
                Reason::InternalError,
                format!(
                    "the key {key} of the mounted Secret can't be read: {}",
                    error.kind()
                ),
            )),
        };
        Self::collect(spec, &Keys("the mounted Secret", &get))
    }

    /// Reads a Secret's `data` for the location of `spec`; `name` is the Secret's, for messages.
    pub fn from_secret_data(
        spec: &StorageLocationSpec,
        name: &str,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<Self, StorageError> {
        let get = |key: &str| Ok(data.get(key).map(|value| value.0.clone()));
        Self::collect(spec, &Keys(&format!("the Secret {name}"), &get))
    }

    fn collect(spec: &StorageLocationSpec, keys: &Keys<'_>) -> Result<Self, StorageError> {
        if spec.azure.is_some() {
            return Self::azure(keys);
        }
        if spec.gcs.is_some() {
            let key = keys.text(SERVICE_ACCOUNT_KEY)?;
            let needs = format!(
                "a GCS location needs {SERVICE_ACCOUNT_KEY}, the JSON key of a service account"
            );
            let key = key.ok_or_else(|| keys.missing(SERVICE_ACCOUNT_KEY, &needs))?;
            return Ok(Self::Gcs(key.into()));
        }
        let needs = format!(
            "an S3 location needs {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY}, and {SESSION_TOKEN} where the keys are lent"
        );
        let needed = |key: &str| keys.word(key)?.ok_or_else(|| keys.missing(key, &needs));
        Ok(Self::S3(S3Keys {
            access_key_id: needed(ACCESS_KEY_ID)?,
            secret_access_key: needed(SECRET_ACCESS_KEY)?.into(),
            session_token: keys.word(SESSION_TOKEN)?.map(Into::into),
        }))
    }

    fn azure(keys: &Keys<'_>) -> Result<Self, StorageError> {
        if let Some(key) = keys.word(ACCOUNT_KEY)? {
            return Ok(Self::Azure(AzureKey::Account(key.into())));
        }
        let needs = format!(
            "an Azure location needs {ACCOUNT_KEY}, or {SAS_TOKEN} with a shared access signature"
        );
        let token = keys.word(SAS_TOKEN)?;
        let token = token.ok_or_else(|| keys.missing(ACCOUNT_KEY, &needs))?;
        Ok(Self::Azure(AzureKey::Sas(token.into())))
    }
}

/// Reads the value of a key, none where it is not there.
type Get<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>, StorageError> + 'a;

/// Where keys are read: its name for messages, and how.
struct Keys<'a>(&'a str, &'a Get<'a>);

impl Keys<'_> {
    /// The value as text, without the newline that `echo` puts at its end.
    fn text(&self, key: &str) -> Result<Option<String>, StorageError> {
        let Some(value) = (self.1)(key)? else {
            return Ok(None);
        };
        if value.len() > VALUE_LIMIT {
            return Err(self.unusable(key, "is too long"));
        }
        let text = String::from_utf8(value).map_err(|_| self.unusable(key, "is not text"))?;
        match text.trim() {
            "" => Err(self.unusable(key, "is empty")),
            text => Ok(Some(text.to_owned())),
        }
    }

    /// As [`Self::text`], for a value that is one word.
    fn word(&self, key: &str) -> Result<Option<String>, StorageError> {
        let text = self.text(key)?;
        if text
            .as_ref()
            .is_some_and(|text| !text.chars().all(|c| c.is_ascii_graphic()))
        {
            return Err(self.unusable(
                key,
                "has spaces, line ends or other characters that no key has",
            ));
        }
        Ok(text)
    }

    fn missing(&self, key: &str, needs: &str) -> StorageError {
        StorageError::lasting(
            Reason::SecretKeyMissing,
            format!("{} lacks the key {key}; {needs}", self.0),
        )
    }

    fn unusable(&self, key: &str, problem: &str) -> StorageError {
        StorageError::lasting(
            Reason::SecretKeyMissing,
            format!(
                "the key {key} of {} {problem}; put the store's key there as plain text",
                self.0
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use secrecy::ExposeSecret;

    use super::*;
    use crate::api::storage_location::{AzureLocation, GcsLocation};

    fn s3() -> StorageLocationSpec {
        StorageLocationSpec::default()
    }

    fn keys(read: StorageCredentials) -> S3Keys {
        match read {
            StorageCredentials::S3(keys) => keys,
            other => panic!("{other:?}"),
        }
    }

    fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())))
            .collect()
    }

    #[test]
    fn reads_keys_and_shows_no_secret() {
        let read = StorageCredentials::from_secret_data(
            &s3(),
            "dr-bucket",
            &data(&[
                ("accessKeyId", b"AKID\n"),
                ("secretAccessKey", b"s3cr3t"),
                ("sessionToken", b"t0k3n"),
            ]),
        )
        .unwrap();
        let read = keys(read);
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
            let error = StorageCredentials::from_secret_data(&s3(), "dr-bucket", &data(&pairs))
                .unwrap_err();
            assert_eq!(error.reason, Reason::SecretKeyMissing);
            assert!(error.message.contains(part), "{}", error.message);
            assert!(!error.retryable);
        }
    }

    #[test]
    fn reads_a_mounted_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("accessKeyId"), "a").unwrap();
        let error = StorageCredentials::from_dir(&s3(), dir.path()).unwrap_err();
        assert!(error.message.contains("secretAccessKey"), "{error}");
        std::fs::write(dir.path().join("secretAccessKey"), "b\n").unwrap();
        let read = keys(StorageCredentials::from_dir(&s3(), dir.path()).unwrap());
        assert_eq!(read.secret_access_key.expose_secret(), "b");
        assert!(read.session_token.is_none());
    }

    #[test]
    fn each_store_has_keys_of_its_own() {
        let azure = StorageLocationSpec {
            azure: Some(AzureLocation::default()),
            ..StorageLocationSpec::default()
        };
        let gcs = StorageLocationSpec {
            gcs: Some(GcsLocation::default()),
            ..StorageLocationSpec::default()
        };
        let read = |spec: &StorageLocationSpec, pairs: &[(&str, &[u8])]| {
            StorageCredentials::from_secret_data(spec, "dr", &data(pairs))
        };
        let account = read(&azure, &[("accountKey", b"a2V5\n")]).unwrap();
        assert!(
            matches!(&account, StorageCredentials::Azure(AzureKey::Account(key)) if key.expose_secret() == "a2V5")
        );
        let sas = read(&azure, &[("sasToken", b"sv=1&sig=x")]).unwrap();
        assert!(matches!(sas, StorageCredentials::Azure(AzureKey::Sas(_))));
        let json = b"{\n  \"client_email\": \"a@b\"\n}\n";
        let key = read(&gcs, &[("serviceAccountKey", json)]).unwrap();
        assert!(!format!("{account:?} {key:?}").contains("a2V5"));
        assert!(matches!(key, StorageCredentials::Gcs(_)));
        for (spec, part) in [
            (&azure, "lacks the key accountKey"),
            (&gcs, "lacks the key serviceAccountKey"),
        ] {
            let error = read(spec, &[("accessKeyId", b"a")]).unwrap_err();
            assert!(error.message.contains(part), "{error}");
        }
    }
}
