//! The location in the words of `COPY INTO`: a URL and what it takes to open it.
//!
//! Vendor source: `query_server/spi/src/query/logical_planner.rs` of 2.4.2.

use secrecy::{ExposeSecret, SecretString};

use super::super::sql::string;
use crate::api::engines::CopyConnection;
use crate::api::order::paths::LOCAL_STORE;
use crate::api::storage_location::{AzureLocation, GcsLocation, S3Location};
use crate::engine::{EngineError, ServerStore};
use crate::secrets::Secrets;
use crate::storage::{AzureKey, S3Keys, StorageCredentials};

const GOOGLE: &str = "https://storage.googleapis.com";

/// Where the server's files lie, and how it opens that.
#[derive(Debug)]
pub(super) struct External {
    /// URL of the location's root, with a slash at its end.
    root: String,
    options: Vec<(&'static str, SecretString)>,
    secrets: Secrets,
}

impl External {
    /// Of a location, for the nodes of a server.
    pub(super) fn new(
        store: &ServerStore,
        connection: &CopyConnection,
    ) -> Result<Self, EngineError> {
        let spec = &store.spec;
        if let Some(local) = &spec.local {
            let mount = connection.mount_path.as_deref().unwrap_or(LOCAL_STORE);
            return Ok(Self {
                root: root(&format!("file://{mount}"), &local.prefix),
                options: Vec::new(),
                secrets: Secrets::default(),
            });
        }
        match (&spec.s3, &spec.gcs, &spec.azure, &store.credentials) {
            (Some(s3), _, _, Some(StorageCredentials::S3(keys))) => Ok(of_s3(s3, keys)),
            (_, Some(gcs), _, Some(StorageCredentials::Gcs(key))) => of_gcs(gcs, key, connection),
            (_, _, Some(azure), Some(StorageCredentials::Azure(key))) => {
                of_azure(azure, key, connection)
            }
            _ => Err(refuse(
                "the method copyInto gives the location's keys to the server, and this location has none of its own: name a Secret in its spec.credentials.secretRef, or use the method client",
            )),
        }
    }

    fn with(root: String, options: Vec<(&'static str, String, bool)>) -> Self {
        let secret = options.iter().filter(|(_, _, secret)| *secret);
        Self {
            root,
            secrets: secrets_of(secret.map(|(_, value, _)| value.as_str())),
            options: options
                .into_iter()
                .map(|(key, value, _)| (key, value.into()))
                .collect(),
        }
    }

    /// The URL of a directory, quoted.
    pub(super) fn url(&self, directory: &str) -> String {
        string(&format!("{}{directory}/", self.root))
    }

    /// ` CONNECTION = (…)`, or nothing where it takes none. It holds the keys.
    pub(super) fn connection(&self) -> String {
        if self.options.is_empty() {
            return String::new();
        }
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(key, value)| match value.expose_secret() {
                word @ ("true" | "false") => format!("{key} = {word}"),
                text => format!("{key} = {}", string(text)),
            })
            .collect();
        format!(" CONNECTION = ({})", options.join(", "))
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

fn of_s3(s3: &S3Location, keys: &S3Keys) -> External {
    let region = s3.region.as_deref().unwrap_or("us-east-1");
    let mut options = vec![("region", region.to_owned(), false)];
    if let Some(endpoint) = &s3.endpoint {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        options.push(("endpoint_url", endpoint, false));
    }
    options.push(("access_key_id", keys.access_key_id.clone(), false));
    let secret = keys.secret_access_key.expose_secret().to_owned();
    options.push(("secret_key", secret, true));
    if let Some(token) = &keys.session_token {
        options.push(("token", token.expose_secret().to_owned(), true));
    }
    let hosted = !s3.force_path_style;
    options.push(("virtual_hosted_style", hosted.to_string(), false));
    External::with(root(&format!("s3://{}", s3.bucket), &s3.prefix), options)
}

fn of_gcs(
    gcs: &GcsLocation,
    key: &SecretString,
    connection: &CopyConnection,
) -> Result<External, EngineError> {
    #[derive(serde::Deserialize)]
    struct Key {
        client_email: String,
        private_key: String,
    }
    let url = gcs.endpoint.as_deref().unwrap_or(GOOGLE);
    let url = url.trim_end_matches('/').to_owned();
    let mut options = vec![("gcs_base_url", url, false)];
    if connection.disable_oauth == Some(true) {
        options.push(("disable_oauth", "true".to_owned(), false));
    } else {
        let key: Key = serde_json::from_str(key.expose_secret()).map_err(|_| {
            refuse("the key serviceAccountKey of the location's Secret has no client_email or private_key: put the JSON file that Google Cloud made there, as it is")
        })?;
        options.push(("client_email", key.client_email, false));
        options.push(("private_key", key.private_key, true));
    }
    Ok(External::with(
        root(&format!("gcs://{}", gcs.bucket), &gcs.prefix),
        options,
    ))
}

fn of_azure(
    azure: &AzureLocation,
    key: &AzureKey,
    connection: &CopyConnection,
) -> Result<External, EngineError> {
    let emulator = connection.use_emulator == Some(true);
    if azure.endpoint.is_some() && !emulator {
        return Err(refuse(
            "CnosDB reaches Azure only at its own address, and this location has an endpoint: use the method client, or set copyInto.connection.useEmulator where it is an emulator",
        ));
    }
    let mut options = vec![("account", azure.account.clone(), false)];
    match key {
        AzureKey::Account(key) => {
            options.push(("access_key", key.expose_secret().to_owned(), true));
        }
        AzureKey::Sas(_) => {
            return Err(refuse(
                "CnosDB takes no shared access signature: put the account's key into the location's Secret as accountKey, or use the method client",
            ));
        }
    }
    if emulator {
        options.push(("use_emulator", "true".to_owned(), false));
    }
    let url = format!("azblob://{}", azure.container);
    Ok(External::with(root(&url, &azure.prefix), options))
}

fn root(url: &str, prefix: &str) -> String {
    match prefix {
        "" => format!("{url}/"),
        prefix => format!("{url}/{prefix}/"),
    }
}

fn refuse(problem: &str) -> EngineError {
    EngineError::NotSupported {
        problem: problem.to_owned(),
    }
}

/// What must not be shown, in each form in which a server may repeat it: as it is, within a quoted
/// text, and within a URL.
fn secrets_of<'a>(values: impl Iterator<Item = &'a str>) -> Secrets {
    Secrets::from_values(values.flat_map(str::lines).flat_map(|line| {
        let encoded = url::form_urlencoded::byte_serialize(line.as_bytes());
        [line.to_owned(), line.replace('\'', "''"), encoded.collect()]
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::storage_location::{LocalLocation, StorageLocationSpec};

    fn s3(path_style: bool, endpoint: Option<&str>) -> StorageLocationSpec {
        StorageLocationSpec {
            s3: Some(S3Location {
                bucket: "dr".into(),
                prefix: "prod".into(),
                region: None,
                endpoint: endpoint.map(str::to_owned),
                force_path_style: path_style,
            }),
            ..StorageLocationSpec::default()
        }
    }

    fn keys(token: Option<&str>) -> StorageCredentials {
        StorageCredentials::S3(S3Keys {
            access_key_id: "AKID".into(),
            secret_access_key: "it's/secret".to_owned().into(),
            session_token: token.map(|token| token.to_owned().into()),
        })
    }

    fn google(json: &str) -> StorageCredentials {
        StorageCredentials::Gcs(json.to_owned().into())
    }

    fn gcs() -> StorageLocationSpec {
        StorageLocationSpec {
            gcs: Some(GcsLocation {
                bucket: "dr".into(),
                ..GcsLocation::default()
            }),
            ..StorageLocationSpec::default()
        }
    }

    fn azure(endpoint: Option<&str>) -> StorageLocationSpec {
        StorageLocationSpec {
            azure: Some(AzureLocation {
                account: "acc".into(),
                container: "dr".into(),
                endpoint: endpoint.map(str::to_owned),
                ..AzureLocation::default()
            }),
            ..StorageLocationSpec::default()
        }
    }

    fn account() -> StorageCredentials {
        StorageCredentials::Azure(AzureKey::Account("a2V5Cg==".to_owned().into()))
    }

    #[test]
    fn each_store_in_the_words_of_the_vendor() {
        let emulator = CopyConnection {
            use_emulator: Some(true),
            disable_oauth: Some(true),
            mount_path: Some("/backup".into()),
        };
        let local = StorageLocationSpec {
            local: Some(LocalLocation {
                claim_name: "dr".into(),
                prefix: "prod".into(),
            }),
            ..StorageLocationSpec::default()
        };
        let json = "{\"client_email\":\"a@b\",\"private_key\":\"-----BEGIN\\nMIIE\\n\"}";
        let none = CopyConnection::default();
        let cases = [
            (
                s3(true, Some("http://s3:9000/")),
                Some(keys(None)),
                &none,
                "'s3://dr/prod/x/' CONNECTION = (region = 'us-east-1', endpoint_url = 'http://s3:9000', access_key_id = 'AKID', secret_key = 'it''s/secret', virtual_hosted_style = false)",
            ),
            (
                s3(false, None),
                Some(keys(Some("t0k3n"))),
                &none,
                "'s3://dr/prod/x/' CONNECTION = (region = 'us-east-1', access_key_id = 'AKID', secret_key = 'it''s/secret', token = 't0k3n', virtual_hosted_style = true)",
            ),
            (
                gcs(),
                Some(google(json)),
                &none,
                "'gcs://dr/x/' CONNECTION = (gcs_base_url = 'https://storage.googleapis.com', client_email = 'a@b', private_key = '-----BEGIN\nMIIE\n')",
            ),
            (
                gcs(),
                Some(google("{}")),
                &emulator,
                "'gcs://dr/x/' CONNECTION = (gcs_base_url = 'https://storage.googleapis.com', disable_oauth = true)",
            ),
            (
                azure(None),
                Some(account()),
                &none,
                "'azblob://dr/x/' CONNECTION = (account = 'acc', access_key = 'a2V5Cg==')",
            ),
            (
                azure(Some("http://azurite:10000/acc")),
                Some(account()),
                &emulator,
                "'azblob://dr/x/' CONNECTION = (account = 'acc', access_key = 'a2V5Cg==', use_emulator = true)",
            ),
            (local.clone(), None, &emulator, "'file:///backup/prod/x/'"),
            (
                local,
                None,
                &none,
                "'file:///var/lib/lifeboat/store/prod/x/'",
            ),
        ];
        for (spec, credentials, connection, want) in cases {
            let store = ServerStore { spec, credentials };
            let external = External::new(&store, connection).unwrap();
            assert_eq!(external.url("x") + &external.connection(), want);
            let shown = format!("{external:?}");
            assert!(
                !shown.contains("secret'") && !shown.contains("a2V5"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_the_server_could_not_open_is_refused() {
        let sas = StorageCredentials::Azure(AzureKey::Sas("sv=1".to_owned().into()));
        for (spec, credentials, part) in [
            (s3(true, None), None, "name a Secret"),
            (azure(None), Some(sas), "no shared access signature"),
            (azure(Some("http://x")), Some(account()), "useEmulator"),
            (gcs(), Some(google("{}")), "client_email"),
        ] {
            let store = ServerStore { spec, credentials };
            let error = External::new(&store, &CopyConnection::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_each_form() {
        let store = ServerStore {
            spec: s3(true, None),
            credentials: Some(keys(Some("a+b/c="))),
        };
        let external = External::new(&store, &CopyConnection::default()).unwrap();
        let said =
            "a secret_key = 'it''s/secret', it's/secret, it%27s%2Fsecret, a%2Bb%2Fc%3D, AKID";
        assert_eq!(
            external.secrets().mask(said),
            "a secret_key = '[secret]', [secret], [secret], [secret], AKID"
        );
        let lines = secrets_of(["-----BEGIN\nMIIEabc\nxyz0\n"].into_iter());
        assert_eq!(
            lines.mask("key -----BEGIN\\nMIIEabc\\nxyz0"),
            "key [secret]\\n[secret]\\n[secret]"
        );
    }
}
