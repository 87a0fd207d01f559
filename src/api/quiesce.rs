//! Workloads that stand still while a Restore writes behind their back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::Span;
use super::text;

/// The kinds of workloads that can be scaled to zero and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// A Deployment of `apps/v1`.
    #[default]
    Deployment,
    /// A StatefulSet of `apps/v1`.
    StatefulSet,
}

impl WorkloadKind {
    /// The word that Kubernetes has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

/// A workload of the Restore's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Deployment or StatefulSet.
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// What is scaled to zero before the import, and back after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quiesce {
    /// The workloads. None may be scaled by an autoscaler.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub workloads: Vec<Workload>,
    /// The longest that their pods may take to end. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// A workload that is held at zero, and what it goes back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldWorkload {
    /// The workload.
    #[serde(flatten)]
    pub workload: Workload,
    /// Its replicas before, and after.
    pub replicas: i32,
}

/// What became of `spec.quiesce`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuiesceStatus {
    /// Since when the workloads' pods are, or were, waited for.
    pub start_time: jiff::Timestamp,
    /// When the last of their pods was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_time: Option<jiff::Timestamp>,
    /// The workloads with the replicas that they had. Written before any of them is scaled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub workloads: Vec<HeldWorkload>,
    /// The workload that another hand scaled up during the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub came_back: Option<String>,
}
