//! What is wrong with a schedule, in words that say what to write instead.

use std::fmt;

/// One of the five fields of a cron expression, by the name a person knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or JAN to DEC.
    Month,
    /// 0 to 7, or SUN to SAT; 0 and 7 are Sunday.
    DayOfWeek,
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// Why a schedule can't be read. The texts quote what the user wrote, cut to a bounded length and
/// escaped, so they may go into a status or an event as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither `cron` nor `every` is set.
    #[error("set cron (for example \"*/15 * * * *\") or every (for example 15m): neither is set")]
    Neither,
    /// Both `cron` and `every` are set.
    #[error("set either cron or every, not both")]
    Both,
    /// The cron expression has more or fewer than five fields.
    #[error(
        "cron has {found} fields, it takes five: minute, hour, day of month, month, day of week \
         (for example \"*/15 * * * *\"){hint}"
    )]
    FieldCount {
        /// How many fields were found.
        found: usize,
        /// More to say, or nothing.
        hint: &'static str,
    },
    /// One field of the cron expression can't be read.
    #[error("cron: the {field} field {text:?} {problem}")]
    Field {
        /// Which field.
        field: CronField,
        /// The field as written, cut.
        text: String,
        /// What is wrong with it and what to write.
        problem: String,
    },
    /// The cron expression carries a zone.
    #[error(
        "cron takes no TZ= or CRON_TZ= prefix: put the zone into timeZone, for example Europe/Berlin"
    )]
    ZonePrefix,
    /// A macro that isn't known.
    #[error(
        "cron macro {text:?} is not known: use one of @hourly, @daily, @midnight, @weekly, @monthly, \
         @yearly, @annually, or five fields; for an interval use every, for example every: 15m"
    )]
    Macro {
        /// The macro as written, cut.
        text: String,
    },
    /// The expression can't be searched, though its fields were read.
    #[error("cron {text:?} can't be used ({problem}): write it in another way")]
    Cron {
        /// The expression as written, cut.
        text: String,
        /// What croner says.
        problem: String,
    },
    /// The expression is longer than anything sensible.
    #[error("cron is longer than {max} characters")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The days and months never meet, as in 30 February.
    #[error(
        "cron names a date that never comes (day of month and month don't meet, as in 30 February)"
    )]
    NeverFires,
    /// `every` can't be read or is out of range.
    #[error(
        "every {text:?} {problem}: write whole numbers with d, h, m or s, from 1s to 366d, for example 15m or 1h30m"
    )]
    Every {
        /// The interval as written, cut.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The zone isn't in the zone database.
    #[error("time zone {text:?} is not known: use an IANA name, for example {suggestion}")]
    Zone {
        /// The zone as written, cut.
        text: String,
        /// A zone that is probably meant, or a common one.
        suggestion: String,
    },
}

impl ScheduleError {
    /// The reason for a condition: which field of the spec to look at.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Neither | Self::Both => "InvalidSchedule",
            Self::FieldCount { .. }
            | Self::Field { .. }
            | Self::ZonePrefix
            | Self::Macro { .. }
            | Self::Cron { .. }
            | Self::TooLong { .. }
            | Self::NeverFires => "InvalidCron",
            Self::Every { .. } => "InvalidInterval",
            Self::Zone { .. } => "UnknownTimeZone",
        }
    }
}

/// The start of what the user wrote, short enough for a message.
pub(super) fn cut(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
