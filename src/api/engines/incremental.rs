//! Windows of event time between full exports, for engines that keep time series.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Span;
use crate::api::text;

/// Windows between full exports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incremental {
    /// How far each window reaches back before the last watermark, for points written late. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::span_or_zero")]
    pub overlap: Option<Span>,
    /// How far before now a window ends. Default 0s: a window takes what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::span_or_zero")]
    pub lag: Option<Span>,
    /// A full export when the last is older than this: it catches deletes and points later than the overlap. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_every: Option<Span>,
}
