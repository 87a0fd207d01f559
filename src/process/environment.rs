//! The variables that a command sees.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::api::order::OWN_ENV;

/// The variables that a command sees: nothing is inherited beyond them. Values may be secrets, so
/// only names are shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What the image and the spec gave the container, without Lifeboat's own variables.
    pub fn of_container(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let own = |name: &OsStr| name.as_encoded_bytes().starts_with(OWN_ENV.as_bytes());
        let vars = vars.into_iter().filter(|(name, _)| !own(name));
        Self(vars.collect())
    }

    /// Sets a variable, whatever it was.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub(super) fn vars(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifeboats_own_variables_stay_with_it() {
        let vars = [
            ("PATH", "/bin"),
            ("LIFEBOAT_RUN_ID", "r"),
            ("LIFEBOAT_SECRET_ENV", "PGPASSWORD"),
            ("PGPASSWORD", "pa55w0rd"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::of_container(vars).with("HOME", "/scratch");
        let seen: Vec<_> = environment.vars().map(|(name, _)| name.clone()).collect();
        assert_eq!(seen, ["HOME", "PATH", "PGPASSWORD"]);
        let shown = format!("{environment:?}");
        assert!(!shown.contains("pa55w0rd"), "{shown}");
    }
}
