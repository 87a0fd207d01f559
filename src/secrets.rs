//! The last guard: no secret that the pod was given leaves it in its outcome or its log.
//!
//! Errors are made without secrets; a server, a store or a command may still repeat one in its own
//! words.

use std::path::Path;

use crate::api::order::SECRET_ENV;
use crate::api::outcome::Outcome;

/// Shorter values are no secrets, and taking them out would garble every sentence.
const SHORTEST: usize = 4;
/// The most bytes that are read of one file.
const FILE_LIMIT: u64 = 64 * 1024;
/// Keys of a Secret that hold a name.
const NAMES: [&str; 2] = ["username", "accessKeyId"];
const MASK: &str = "[secret]";

/// The values of the Secrets that a pod was given.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads all files of the given directories. What can't be read is left out: whoever needs it
    /// says so.
    pub fn read(directories: &[&Path]) -> Self {
        let mut values = Vec::new();
        for directory in directories {
            let Ok(entries) = std::fs::read_dir(directory) else {
                continue;
            };
            for entry in entries.flatten() {
                // Names are no secrets, and a name such as `telemetry` stands in every sentence.
                if NAMES.iter().any(|name| entry.file_name() == *name) {
                    continue;
                }
                values.extend(read_bounded(&entry.path()));
            }
        }
        Self::from_values(values)
    }

    /// These and the values of the environment variables that [`SECRET_ENV`] names.
    #[must_use]
    pub fn and_environment(mut self, value: impl Fn(&str) -> Option<String>) -> Self {
        let names = value(SECRET_ENV).unwrap_or_default();
        self.0.extend(names.split(',').filter_map(value));
        Self::from_values(self.0)
    }

    /// Takes the values as they are.
    pub fn from_values(values: impl IntoIterator<Item = String>) -> Self {
        // Logs are written line by line, and so would be a key of many lines.
        let mut values: Vec<String> = values
            .into_iter()
            .flat_map(|value| value.lines().map(str::to_owned).collect::<Vec<_>>())
            .map(|value| value.trim().to_owned())
            .filter(|value| value.chars().count() >= SHORTEST)
            .collect();
        // The longest first: one may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// The outcome without any of the values.
    pub fn clean(&self, outcome: &Outcome) -> Outcome {
        let mut outcome = outcome.clone();
        if let Some(failure) = outcome.result.failure_mut() {
            failure.message = self.mask(&failure.message);
        }
        for warning in &mut outcome.warnings {
            *warning = self.mask(warning);
        }
        outcome
    }

    /// A text without any of the values.
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), MASK)
        })
    }
}

fn read_bounded(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(FILE_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;
    use crate::api::outcome::Failure;
    use crate::api::outcome::RunResult;

    #[test]
    fn values_of_mounted_files_are_masked() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("username"), "server").unwrap();
        std::fs::write(dir.path().join("token"), "admin").unwrap();
        std::fs::write(dir.path().join("password"), "admin-s3cr3t\n").unwrap();
        std::fs::write(dir.path().join("tiny"), "a").unwrap();
        let missing = dir.path().join("missing");
        let secrets = Secrets::read(&[dir.path(), &missing]);
        let outcome = Outcome {
            run_id: "r".to_owned(),
            result: RunResult::Failed(Failure {
                reason: Reason::DatabaseError,
                message: "the server said: bad password admin-s3cr3t for admin".to_owned(),
                retryable: false,
                applied_parts: 0,
            }),
            phases: vec![],
            warnings: vec!["u=admin&p=admin-s3cr3t".to_owned()],
        };
        let text = serde_json::to_string(&secrets.clean(&outcome)).unwrap();
        assert!(
            !text.contains("s3cr3t") && !text.contains("admin"),
            "{text}"
        );
        assert!(text.contains("the server said: bad password [secret] for [secret]"));
        assert!(!format!("{secrets:?}").contains("s3cr3t"));
    }

    #[test]
    fn values_of_secret_variables_are_masked() {
        let environment = |name: &str| {
            let value = match name {
                SECRET_ENV => "PGPASSWORD,MISSING",
                "PGPASSWORD" => "pa55w0rd",
                "PGUSER" => "reader",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let secrets = Secrets::default().and_environment(environment);
        let text = "postgresql://reader:pa55w0rd@host";
        assert_eq!(secrets.mask(text), "postgresql://reader:[secret]@host");
        let none = Secrets::default().and_environment(|_| None);
        assert_eq!(none.mask(text), text);
    }
}
