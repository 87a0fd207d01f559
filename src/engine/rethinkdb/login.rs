//! What is mounted beside a spec: the login and the certificates to trust.

use std::sync::Arc;

use secrecy::SecretString;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::engine::{Access, EngineError};

/// The user that every cluster has.
const ADMIN: &str = "admin";
/// The longest of a Secret's values.
const VALUE_LIMIT: usize = 4096;

/// A user and the password.
pub(super) struct Login {
    /// Name of the user.
    pub(super) user: String,
    /// The password; empty where the user has none.
    pub(super) password: SecretString,
}

impl Login {
    /// Reads the mounted Secret. Without one, it is `admin` without a password, as a cluster is made.
    pub(super) fn read(access: &Access) -> Result<Self, EngineError> {
        let Some(directory) = &access.credentials else {
            return Ok(Self {
                user: ADMIN.to_owned(),
                password: String::new().into(),
            });
        };
        let read = |key: &str| match std::fs::read_to_string(directory.join(key)) {
            // Secrets made from files often end in a newline that is not meant.
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refuse(key, &error.kind().to_string())),
        };
        let user = read("username")?.unwrap_or_else(|| ADMIN.to_owned());
        let password = read("password")?.ok_or_else(|| refuse("password", "it is not there"))?;
        if user.is_empty() || user.len() > VALUE_LIMIT || user.contains(char::is_control) {
            return Err(refuse("username", "it is empty, too long or not printable"));
        }
        if password.len() > VALUE_LIMIT {
            return Err(refuse("password", "it is too long"));
        }
        Ok(Self {
            user,
            password: password.into(),
        })
    }
}

fn refuse(key: &str, problem: &str) -> EngineError {
    EngineError::Credentials {
        problem: format!(
            "the database's Secret has no usable key {key} ({problem}); it takes password, and username where it is not {ADMIN}"
        ),
    }
}

/// TLS that trusts the system's certificates and those of the mounted bundle.
pub(super) fn connector(access: &Access) -> Result<TlsConnector, EngineError> {
    let refuse = |problem: String| EngineError::Credentials {
        problem: format!("tls.caBundle of the database can't be used: {problem}"),
    };
    let mut roots = RootCertStore::empty();
    // An image without certificates is as good as one whose certificates vouch for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &access.ca_bundle {
        let pem = std::fs::read(path).map_err(|error| refuse(error.kind().to_string()))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| refuse(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(refuse("it has no certificate".to_owned()));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn logins() {
        let login = Login::read(&Access::default()).unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.expose_secret()),
            ("admin", "")
        );
        let directory = tempfile::tempdir().unwrap();
        let access = Access {
            credentials: Some(directory.path().to_owned()),
            ..Access::default()
        };
        let error = Login::read(&access).err().unwrap().to_string();
        assert!(error.contains("no usable key password"), "{error}");
        std::fs::write(directory.path().join("password"), "hunter2\n").unwrap();
        let login = Login::read(&access).unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.expose_secret()),
            ("admin", "hunter2")
        );
        std::fs::write(directory.path().join("username"), "bob\r\n").unwrap();
        assert_eq!(Login::read(&access).unwrap().user, "bob");
        std::fs::write(directory.path().join("username"), "").unwrap();
        let error = Login::read(&access).err().unwrap().to_string();
        assert!(
            error.contains("username") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn bundles() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let access = Access {
            ca_bundle: Some(file.path().to_owned()),
            ..Access::default()
        };
        let error = connector(&access).err().unwrap();
        assert!(
            error.to_string().contains("it has no certificate"),
            "{error}"
        );
        let certificate = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        std::fs::write(file.path(), certificate.cert.pem()).unwrap();
        connector(&access).unwrap();
    }
}
