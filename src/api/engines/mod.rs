//! The engines of a source or target. Adding a system is one file here with its settings, one field
//! and one line in [`SourceSpec`] and in [`TargetSpec`], and one folder in `engine`.

mod cnosdb;
mod command;
mod emqx;
mod incremental;
mod influxdb;
mod kuzzle;
mod rethinkdb;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cnosdb::{
    CnosDbCopyFrom, CnosDbCopyInto, CnosDbDatabase, CnosDbMethod, CnosDbSource, CnosDbTarget,
    CnosDbTenant, CopyConnection, CopyFormat,
};
pub use command::{
    CommandInput, CommandOutput, CommandSource, CommandTarget, CountCommand, ExportCommand,
    ImportCommand,
};
pub use emqx::{EmqxLogin, EmqxSource, EmqxTarget};
pub use incremental::Incremental;
pub use influxdb::{InfluxDbDatabase, InfluxDbMethod, InfluxDbSource, InfluxDbTarget};
pub use kuzzle::{Elasticsearch, KuzzleSource, KuzzleTarget};
pub use rethinkdb::{RethinkDbDatabase, RethinkDbDurability, RethinkDbSource, RethinkDbTarget};

use super::common::{Credentials, Tls};
use super::restore::Verify;

/// What those who don't know an engine may ask of its settings.
pub trait EngineSpec {
    /// The engine's name, as manifests write it.
    fn engine(&self) -> &'static str;

    /// The URL of the server, or what else names it; it names a target in `confirm`.
    fn url(&self) -> &str;

    /// The Secret with the login, where there is one.
    fn credentials(&self) -> Option<&Credentials>;

    /// How TLS is checked.
    fn tls(&self) -> Option<&Tls>;

    /// The vendor's image that a run needs, where it needs one. The pod runs that image, with
    /// Lifeboat's binary copied into it and a scratch directory.
    fn image(&self) -> Option<&str> {
        None
    }
}

/// What those who don't know an engine may ask of the settings of a target.
pub trait TargetEngineSpec: EngineSpec {
    /// Whether the engine imports what was exported with `method`.
    fn imports(&self, method: &str) -> bool;

    /// Whether a backup made with `method` can be checked in this way: one of a vendor's files holds no
    /// records that could be looked up, whatever the engine can do with others.
    fn verifies(&self, method: &str, verify: Verify) -> bool {
        let _ = (method, verify);
        true
    }

    /// Whether the engine can delete what a backup does not hold: `deletions: Mirror`.
    fn mirrors(&self) -> bool {
        false
    }
}

/// What is backed up: exactly one engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.influxdb) ? 1 : 0) + (has(self.emqx) ? 1 : 0) + (has(self.kuzzle) ? 1 : 0) + (has(self.cnosdb) ? 1 : 0) + (has(self.rethinkdb) ? 1 : 0) + (has(self.command) ? 1 : 0) == 1").message("source takes exactly one engine: influxdb, emqx, kuzzle, cnosdb, rethinkdb or command"))]
pub struct SourceSpec {
    /// InfluxDB Enterprise or OSS 1.x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<InfluxDbSource>,
    /// EMQX 5.4 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emqx: Option<EmqxSource>,
    /// Kuzzle, by the Elasticsearch that it keeps everything in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kuzzle: Option<KuzzleSource>,
    /// CnosDB 2.3 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnosdb: Option<CnosDbSource>,
    /// RethinkDB 2.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rethinkdb: Option<RethinkDbSource>,
    /// Any other system, by commands of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandSource>,
}

/// What is restored into: exactly one engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.influxdb) ? 1 : 0) + (has(self.emqx) ? 1 : 0) + (has(self.kuzzle) ? 1 : 0) + (has(self.cnosdb) ? 1 : 0) + (has(self.rethinkdb) ? 1 : 0) + (has(self.command) ? 1 : 0) == 1").message("target takes exactly one engine: influxdb, emqx, kuzzle, cnosdb, rethinkdb or command"))]
pub struct TargetSpec {
    /// InfluxDB Enterprise or OSS 1.x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<InfluxDbTarget>,
    /// EMQX 5.4 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emqx: Option<EmqxTarget>,
    /// Kuzzle, by the Elasticsearch that it keeps everything in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kuzzle: Option<KuzzleTarget>,
    /// CnosDB 2.3 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnosdb: Option<CnosDbTarget>,
    /// RethinkDB 2.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rethinkdb: Option<RethinkDbTarget>,
    /// Any other system, by commands of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandTarget>,
}

impl SourceSpec {
    /// The engine that is named; none where it is not built.
    pub fn named(&self) -> Option<&dyn EngineSpec> {
        let all: [Option<&dyn EngineSpec>; 6] = [
            self.influxdb.as_ref().map(|spec| spec as _),
            self.cnosdb.as_ref().map(|spec| spec as _),
            self.kuzzle.as_ref().map(|spec| spec as _),
            self.rethinkdb.as_ref().map(|spec| spec as _),
            self.emqx.as_ref().map(|spec| spec as _),
            self.command.as_ref().map(|spec| spec as _),
        ];
        all.into_iter().flatten().next()
    }
}

impl TargetSpec {
    /// The engine that is named; none where it is not built.
    pub fn named(&self) -> Option<&dyn TargetEngineSpec> {
        let all: [Option<&dyn TargetEngineSpec>; 6] = [
            self.influxdb.as_ref().map(|spec| spec as _),
            self.cnosdb.as_ref().map(|spec| spec as _),
            self.kuzzle.as_ref().map(|spec| spec as _),
            self.rethinkdb.as_ref().map(|spec| spec as _),
            self.emqx.as_ref().map(|spec| spec as _),
            self.command.as_ref().map(|spec| spec as _),
        ];
        all.into_iter().flatten().next()
    }
}

/// Holds the place of what is not built yet, so that it is refused and never ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct NotBuilt {}
