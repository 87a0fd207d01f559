//! Kuzzle as a source and as a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "kuzzle";

/// The Elasticsearch that a Kuzzle keeps everything in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Elasticsearch {
    /// Base URL of Elasticsearch 7 or 8, or of OpenSearch, for example `http://elasticsearch:9200`.
    #[schemars(schema_with = "text::url")]
    pub url: String,
    /// Secret with the keys `username` and `password`. None: the server asks for no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How TLS is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// A Kuzzle to export. Which method is used follows from what is named: `elasticsearch` reads the
/// indices there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KuzzleSource {
    /// The Elasticsearch that it keeps everything in.
    pub elasticsearch: Elasticsearch,
    /// Regular expressions: an index is taken where one of them is found in its name. Empty: `^[&%]`, all that is Kuzzle's. Public collections begin with `&`, users, rights and plugins' stores with `%`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::patterns")]
    pub include: Vec<String>,
    /// Regular expressions: an index is left out where one of them is found in its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::patterns")]
    pub exclude: Vec<String>,
    /// Slices of one large index that are read at once. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub slices: Option<u32>,
}

/// A Kuzzle to restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KuzzleTarget {
    /// The Elasticsearch that it keeps everything in.
    pub elasticsearch: Elasticsearch,
}

impl EngineSpec for KuzzleSource {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.elasticsearch.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.elasticsearch.credentials.as_ref()
    }

    fn tls(&self) -> Option<&Tls> {
        self.elasticsearch.tls.as_ref()
    }
}

impl EngineSpec for KuzzleTarget {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.elasticsearch.url
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.elasticsearch.credentials.as_ref()
    }

    fn tls(&self) -> Option<&Tls> {
        self.elasticsearch.tls.as_ref()
    }
}

impl TargetEngineSpec for KuzzleTarget {
    fn imports(&self, method: &str) -> bool {
        method == "elasticsearch"
    }

    fn mirrors(&self) -> bool {
        true
    }
}
