//! A schedule's spec, read. Pure.

use std::time::Duration;

use kube::ResourceExt;

use crate::api::BackupSchedule;
use crate::api::common::{Span, SpanError};
use crate::api::conditions::Reason;
use crate::retention::Rules;
use crate::schedule::{Schedule, ScheduleError};

/// Why a spec can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadSpec {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// A spec, read.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) times: Schedule,
    pub(super) jitter: Duration,
    pub(super) jitter_key: String,
    pub(super) starting_deadline: Option<Duration>,
    pub(super) rpo: Option<Duration>,
    /// None: nothing is ever pruned.
    pub(super) rules: Option<Rules>,
    pub(super) keep_failed: u32,
}

/// Failed Backups that are kept where the spec does not say.
const KEEP_FAILED: u32 = 3;

impl Spec {
    pub(super) fn read(schedule: &BackupSchedule) -> Result<Self, BadSpec> {
        let spec = &schedule.spec;
        let times = Schedule::parse(
            spec.cron.as_deref(),
            spec.every.as_ref().map(|every| every.0.as_str()),
            spec.time_zone.as_deref(),
        )
        .map_err(|error| BadSpec {
            reason: reason_of(&error),
            message: error.to_string(),
        })?;
        let retention = spec.retention.as_ref();
        let rules = retention
            .map(Rules::try_from)
            .transpose()
            .map_err(|error| bad_span("retention.keepWithin", &error))?;
        Ok(Self {
            times,
            jitter: span("jitter", spec.jitter.as_ref())?.unwrap_or_default(),
            jitter_key: format!(
                "{}/{}/{}",
                schedule.namespace().unwrap_or_default(),
                schedule.name_any(),
                schedule.uid().unwrap_or_default()
            ),
            starting_deadline: span("startingDeadline", spec.starting_deadline.as_ref())?,
            rpo: span(
                "objectives.rpo",
                spec.objectives
                    .as_ref()
                    .and_then(|objectives| objectives.rpo.as_ref()),
            )?,
            rules: rules.filter(|rules| !rules.is_empty()),
            keep_failed: retention
                .and_then(|retention| retention.keep_failed)
                .unwrap_or(KEEP_FAILED),
        })
    }

    /// By how much this schedule starts later than its slots.
    pub(super) fn delay(&self) -> Duration {
        self.times.jitter_offset(self.jitter, &self.jitter_key)
    }
}

fn span(field: &str, span: Option<&Span>) -> Result<Option<Duration>, BadSpec> {
    span.map(Span::get)
        .transpose()
        .map_err(|error| bad_span(field, &error))
}

fn bad_span(field: &str, error: &SpanError) -> BadSpec {
    BadSpec {
        reason: Reason::InvalidSpec,
        message: format!("spec.{field}: {error}"),
    }
}

fn reason_of(error: &ScheduleError) -> Reason {
    match error {
        ScheduleError::FieldCount { .. }
        | ScheduleError::Field { .. }
        | ScheduleError::ZonePrefix
        | ScheduleError::Macro { .. }
        | ScheduleError::Cron { .. }
        | ScheduleError::TooLong { .. }
        | ScheduleError::NeverFires => Reason::InvalidCron,
        ScheduleError::Zone { .. } => Reason::UnknownTimeZone,
        ScheduleError::Neither | ScheduleError::Both | ScheduleError::Every { .. } => {
            Reason::InvalidSpec
        }
    }
}
