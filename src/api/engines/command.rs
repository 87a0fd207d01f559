//! Any other system: commands of one's own, in an image of one's own.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineSpec, TargetEngineSpec};
use crate::api::common::{Credentials, Tls};
use crate::api::text;

const NAME: &str = "command";

/// Where an export command leaves what it exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CommandOutput {
    /// On its standard output, which is streamed: no disk is needed.
    #[default]
    Stdout,
    /// In files of the directory that it is started in, which is empty.
    Directory,
}

/// Where an import command finds what it imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CommandInput {
    /// On its standard input, which it has to read to the end.
    #[default]
    Stdin,
    /// In files of the directory that it is started in.
    Directory,
}

/// The command that exports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportCommand {
    /// Program and arguments. No shell reads them.
    #[schemars(schema_with = "text::argv")]
    pub command: Vec<String>,
    /// Where it leaves what it exports: stdout or directory.
    pub from: CommandOutput,
}

/// The command that imports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportCommand {
    /// Program and arguments. No shell reads them. Run twice, it must leave what it leaves once.
    #[schemars(schema_with = "text::argv")]
    pub command: Vec<String>,
    /// Where it finds what it imports: stdin or directory.
    pub to: CommandInput,
}

/// The command that counts. The last line of its output is a JSON object of whole numbers, such as
/// `{"orders": 17, "users": 4}`; of an empty system `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountCommand {
    /// Program and arguments. No shell reads them.
    #[schemars(schema_with = "text::argv")]
    pub command: Vec<String>,
}

/// A system that commands of one's own export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandSource {
    /// What the commands speak to, a URL without a login for example: a backup keeps it, and is not
    /// restored into a target of the same name.
    #[schemars(schema_with = "text::system_name")]
    pub name: String,
    /// Image with the commands. Lifeboat's binary is copied into its pod.
    #[schemars(schema_with = "text::image")]
    pub image: String,
    /// The command that exports.
    pub export: ExportCommand,
    /// The command that counts, before and after the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountCommand>,
}

/// A system that commands of one's own restore into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandTarget {
    /// What the commands speak to, a URL without a login for example. `confirm` names it, and two
    /// Restores of one name never run at once.
    #[schemars(schema_with = "text::system_name")]
    pub name: String,
    /// Image with the commands. Lifeboat's binary is copied into its pod.
    #[schemars(schema_with = "text::image")]
    pub image: String,
    /// The command that imports.
    pub import: ImportCommand,
    /// The command that counts: whether the target is empty, and whether all came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountCommand>,
}

impl EngineSpec for CommandSource {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.name
    }

    fn credentials(&self) -> Option<&Credentials> {
        None
    }

    fn tls(&self) -> Option<&Tls> {
        None
    }

    fn image(&self) -> Option<&str> {
        Some(&self.image)
    }
}

impl EngineSpec for CommandTarget {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn url(&self) -> &str {
        &self.name
    }

    fn credentials(&self) -> Option<&Credentials> {
        None
    }

    fn tls(&self) -> Option<&Tls> {
        None
    }

    fn image(&self) -> Option<&str> {
        Some(&self.image)
    }
}

impl TargetEngineSpec for CommandTarget {
    /// Those of the other form too: the engine says which form `to` has to name.
    fn imports(&self, method: &str) -> bool {
        method == "stdout" || method == "directory"
    }
}
