//! EMQX 5.4 and later as a source and as a target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "emqx";

/// Whose login the Secret holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EmqxLogin {
    /// `username` is the API key, `password` its secret key.
    #[default]
    ApiKey,
    /// `username` and `password` are those of a dashboard user, exchanged for a token.
    DashboardUser,
}

/// An EMQX to export. Archives are gzip files already: `compression` is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmqxSource {
    /// Base URL of the REST API, for example `http://emqx:18083`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`; `login` says whose.
    pub credentials: Credentials,
    /// Whose login the Secret holds: apiKey or dashboardUser. Default apiKey.
    #[serde(default)]
    pub login: EmqxLogin,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Sets of tables to export, `banned` for example (EMQX 5.9 and later). Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::emqx_words")]
    pub table_sets: Vec<String>,
    /// Roots of the configuration to export, `rule_engine` for example (EMQX 5.9 and later). Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::emqx_words")]
    pub root_keys: Vec<String>,
    /// Whether the archive is deleted from the node that made it. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_remote: Option<bool>,
}

/// An EMQX to restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmqxTarget {
    /// Base URL of the REST API, for example `http://emqx:18083`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`; `login` says whose.
    pub credentials: Credentials,
    /// Whose login the Secret holds: apiKey or dashboardUser. Default apiKey.
    #[serde(default)]
    pub login: EmqxLogin,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// True: API keys and dashboard users come too, and replace those of the target. Default false.
    #[serde(default)]
    pub import_credentials: bool,
}

impl EngineSpec for EmqxSource {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl EngineSpec for EmqxTarget {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl TargetEngineSpec for EmqxTarget {
    fn imports(&self, method: &str) -> bool {
        method == "rest"
    }
}
