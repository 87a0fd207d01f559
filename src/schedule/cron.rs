//! The cron dialect of Kubernetes CronJob, read strictly and handed to croner in plain form.
//!
//! CronJob reads its schedule with `ParseStandard` of robfig/cron v3.0.1. croner understands more
//! (seconds, years, `L`, `W`, `#`, `+`) and reads a few things in another way (`*/2` in a day
//! field), so the fields are read here, bit by bit as robfig does, and croner gets lists of
//! numbers and stars only. What is left to croner is the search through the calendar; zones are
//! the matter of `wall`.
//!
//! Two things are wider than CronJob: `7` is Sunday as well as `0`, and a range may end on Sunday
//! (`SAT-SUN`, `5-7`). One is narrower: a date that never comes is refused, where CronJob would
//! wait for ever.

use std::fmt::Write as _;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::{CronField, ScheduleError, cut};
use super::wall;

/// The longest cron expression that is looked at, in bytes.
const MAX_LEN: usize = 256;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// A cron expression, ready to be searched.
#[derive(Debug, Clone)]
pub(super) struct CronSlots {
    cron: Cron,
    /// One minute and one hour: it fires once on each day that it names.
    once_a_day: bool,
    min_gap: Duration,
}

impl CronSlots {
    /// Reads a five-field expression or one of CronJob's macros.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.len() > MAX_LEN {
            return Err(ScheduleError::TooLong { max: MAX_LEN });
        }
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(ScheduleError::ZonePrefix);
        }
        let expanded = if text.starts_with('@') {
            expand_macro(text)?
        } else {
            text
        };
        let parts: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            let hint = if parts.len() == 6 {
                "; seconds are not part of it, for short intervals use every, for example every: 30s"
            } else {
                ""
            };
            return Err(ScheduleError::FieldCount {
                found: parts.len(),
                hint,
            });
        };
        let minute = Field::parse(CronField::Minute, minute)?;
        let hour = Field::parse(CronField::Hour, hour)?;
        let day = Field::parse(CronField::DayOfMonth, day)?;
        let month = Field::parse(CronField::Month, month)?;
        let weekday = Field::parse(CronField::DayOfWeek, weekday)?;
        if !dates_exist(&day, &month, &weekday) {
            return Err(ScheduleError::NeverFires);
        }
        let plain = [&minute, &hour, &day, &month, &weekday]
            .map(Field::to_plain)
            .join(" ");
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&plain)
            .map_err(|error| ScheduleError::Cron {
                text: cut(text),
                problem: error.to_string(),
            })?;
        let once_a_day = minute.values().count() == 1 && hour.values().count() == 1;
        Ok(Self {
            cron,
            once_a_day,
            min_gap: min_gap(&minute, &hour),
        })
    }

    /// The first slot after `t`, which must be on a whole second.
    pub(super) fn next_after(&self, t: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.once_a_day {
            wall::next_once(&self.cron, zone, t)
        } else {
            wall::next_reading(&self.cron, zone, t)
        }
    }

    /// The last slot at or before `t`, which must be on a whole second. The search may stop once
    /// it is before `not_before`.
    pub(super) fn last_until(
        &self,
        t: Timestamp,
        zone: &TimeZone,
        not_before: Timestamp,
    ) -> Option<Timestamp> {
        if self.once_a_day {
            wall::last_once(&self.cron, zone, t)
        } else {
            wall::last_reading(&self.cron, zone, t, not_before)
        }
    }

    /// The shortest time between two slots on the wall clock.
    pub(super) fn min_gap(&self) -> Duration {
        self.min_gap
    }

    /// The expression as plain numbers: equal for expressions that fire at the same times.
    pub(super) fn plain(&self) -> &str {
        self.cron.as_str()
    }
}

/// The macros that CronJob takes, in lower case only, as there.
fn expand_macro(text: &str) -> Result<&'static str, ScheduleError> {
    Ok(match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(ScheduleError::Macro { text: cut(text) }),
    })
}

/// One field as a set of numbers. `star` is robfig's star bit: it decides whether the two day
/// fields are joined by "and" or by "or".
struct Field {
    bits: u64,
    star: bool,
}

impl Field {
    fn parse(field: CronField, text: &str) -> Result<Self, ScheduleError> {
        let mut all = Self {
            bits: 0,
            star: false,
        };
        for part in text.split(',') {
            let one = parse_part(field, part).map_err(|problem| ScheduleError::Field {
                field,
                text: cut(text),
                problem,
            })?;
            all.bits |= one.bits;
            all.star |= one.star;
        }
        // 7 is Sunday as well.
        if field == CronField::DayOfWeek && all.bits & (1 << 7) != 0 {
            all.bits = (all.bits & !(1 << 7)) | 1;
        }
        Ok(all)
    }

    fn values(&self) -> impl Iterator<Item = u32> + '_ {
        (0..64).filter(|n| self.bits & (1 << n) != 0)
    }

    /// The field for croner: a star, or a list of numbers.
    fn to_plain(&self) -> String {
        if self.star {
            return "*".to_owned();
        }
        let mut list = String::new();
        for value in self.values() {
            if !list.is_empty() {
                list.push(',');
            }
            // Writing to a String can't fail.
            let _ = write!(list, "{value}");
        }
        list
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The lowest number, the highest that a star covers, and the highest that may be written.
fn bounds(field: CronField) -> (u32, u32, u32) {
    match field {
        CronField::Minute => (0, 59, 59),
        CronField::Hour => (0, 23, 23),
        CronField::DayOfMonth => (1, 31, 31),
        CronField::Month => (1, 12, 12),
        CronField::DayOfWeek => (0, 6, 7),
    }
}

/// Reads `*`, `?`, `n`, `a-b`, each with an optional `/step`, as robfig's `getRange`.
fn parse_part(field: CronField, part: &str) -> Result<Field, String> {
    let (min, max, written_max) = bounds(field);
    let (range, step) = match part.split_once('/') {
        None => (part, None),
        Some((range, step)) => {
            let step = number(step).filter(|n| *n > 0);
            (
                range,
                Some(step.ok_or("has a step that is not a whole number from 1")?),
            )
        }
    };
    let star = matches!(range, "*" | "?");
    let (start, end) = if star {
        (min, max)
    } else if let Some((low, high)) = range.split_once('-') {
        let (low, high) = (value(field, low)?, value(field, high)?);
        // A range that ends on SUN means the Sunday at its end.
        let sunday_at_end = field == CronField::DayOfWeek && high == 0 && low > 0;
        (low, if sunday_at_end { 7 } else { high })
    } else {
        let single = value(field, range)?;
        // n/step runs from n to the end, as CronJob reads it.
        (single, if step.is_some() { max } else { single })
    };
    if start < min || end > written_max || start > written_max {
        return Err(format!("is out of range: use {min} to {written_max}"));
    }
    if start > end {
        return Err(format!(
            "has a range that runs backwards: {start} is beyond {end}"
        ));
    }
    let step = step.unwrap_or(1);
    let mut bits = 0_u64;
    let mut at = start;
    while at <= end {
        bits |= 1 << at;
        at = match at.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(Field {
        bits,
        star: star && step == 1,
    })
}

/// A number, or the name of a month or a weekday.
fn value(field: CronField, text: &str) -> Result<u32, String> {
    if let Some(n) = number(text) {
        return Ok(n);
    }
    let (names, first): (&[&str], u32) = match field {
        CronField::Month => (&MONTHS, 1),
        CronField::DayOfWeek => (&WEEKDAYS, 0),
        _ => (&[], 0),
    };
    let lower = text.to_ascii_lowercase();
    (first..)
        .zip(names)
        .find(|(_, name)| **name == lower)
        .map(|(n, _)| n)
        .ok_or_else(|| {
            let (min, _, max) = bounds(field);
            let names = match field {
                CronField::Month => ", or JAN to DEC",
                CronField::DayOfWeek => ", or SUN to SAT",
                _ => "",
            };
            format!("can't be read: use *, numbers from {min} to {max}{names}, with , - and /")
        })
}

/// A short run of digits. No sign, no space, no overflow.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Whether any of the days is in any of the months in some year. When both day fields are
/// restricted a day needs to match only one of them, and weekdays come in every month.
fn dates_exist(day: &Field, month: &Field, weekday: &Field) -> bool {
    const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !day.star && !weekday.star {
        return true;
    }
    let first_day = day.values().next().unwrap_or(u32::MAX);
    (1..)
        .zip(LONGEST)
        .any(|(m, longest)| month.bits & (1 << m) != 0 && first_day <= longest)
}

/// The shortest time between two slots of one day or of two days in a row.
fn min_gap(minute: &Field, hour: &Field) -> Duration {
    let times: Vec<u32> = hour
        .values()
        .flat_map(|h| minute.values().map(move |m| h * 60 + m))
        .collect();
    let over_midnight = match (times.first(), times.last()) {
        (Some(first), Some(last)) => first + MINUTES_PER_DAY - last,
        _ => MINUTES_PER_DAY,
    };
    let within = times.windows(2).map(|pair| pair[1] - pair[0]).min();
    let minutes = within.map_or(over_midnight, |gap| gap.min(over_midnight));
    Duration::from_secs(u64::from(minutes) * 60)
}
