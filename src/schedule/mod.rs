//! When a schedule fires: cron and intervals, zones, jitter, missed slots, and the names of slots.
//!
//! Pure: no client and no clock. The caller passes `now`.
//!
//! # Daylight saving
//! - An interval (`every`) knows no wall clock: its slots are multiples of it since the epoch.
//! - A cron expression with one time of day (one minute, one hour) fires once on every day that it
//!   names, as RFC 5545 says: 02:30 on a day without it is 03:30 (24 hours after the one before),
//!   and of two 02:30 the first is meant. CronJob skips the one and fires twice on the other; one
//!   backup a day is what such a schedule asks for.
//! - Every other expression (`*/15 * * * *`, `0 2,14 * * *`) follows the wall clock as CronJob
//!   does: times in the gap don't exist, times in the repeated hour come twice.

mod cron;
mod decide;
mod error;
mod every;
mod name;
mod wall;
mod zone;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::api::BackupScheduleSpec;

use cron::CronSlots;
use every::Every;

pub use decide::{Due, ScheduleInput, Slot, decide};
pub use error::{CronField, ScheduleError};
pub use name::{
    MAX_NAME, MAX_SCHEDULE_NAME, backup_name, bounded_name, manual_backup_name, parse_slot_name,
    slot_name, trigger_due, trigger_suffix,
};
pub use zone::{DEFAULT_ZONE, time_zone};

/// Missed slots of a cron expression are counted up to here, then it is "at least". A year of
/// minutes must not hold up the controller.
const MAX_COUNTED: u64 = 10_000;

/// The times at which a schedule fires.
#[derive(Debug, Clone)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Times {
    Cron(Box<CronSlots>),
    Every(Every),
}

/// A number of slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub slots: u64,
    /// There are more: counting stopped.
    pub or_more: bool,
}

impl Count {
    /// One less: that of the slot that is run.
    fn less_one(self) -> Self {
        Self {
            slots: self.slots.saturating_sub(1),
            ..self
        }
    }
}

impl Schedule {
    /// Reads a schedule: exactly one of `cron` (five fields or a macro, as CronJob) and `every`
    /// (`15m`, from one second to 366 days), and an IANA zone, UTC if none is given.
    pub fn parse(
        cron: Option<&str>,
        every: Option<&str>,
        time_zone: Option<&str>,
    ) -> Result<Self, ScheduleError> {
        let times = match (cron, every) {
            (Some(text), None) => Times::Cron(Box::new(CronSlots::parse(text)?)),
            (None, Some(text)) => Times::Every(Every::parse(text)?),
            (None, None) => return Err(ScheduleError::Neither),
            (Some(_), Some(_)) => return Err(ScheduleError::Both),
        };
        Ok(Self {
            times,
            zone: zone::time_zone(time_zone)?,
        })
    }

    /// The schedule of a spec.
    pub fn of(spec: &BackupScheduleSpec) -> Result<Self, ScheduleError> {
        let every = spec.every.as_ref().map(|span| span.0.as_str());
        Self::parse(spec.cron.as_deref(), every, spec.time_zone.as_deref())
    }

    /// The zone in which cron is read and in which retention counts days.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first slot after `t`. Nothing only at the end of time.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Every(every) => Timestamp::from_second(every.next_after(whole_seconds(t))?).ok(),
            Times::Cron(cron) => cron.next_after(floor(t)?, &self.zone),
        }
    }

    /// The last slot that is at or before `t`, if it is not before `not_before`.
    pub fn latest_at_or_before(&self, t: Timestamp, not_before: Timestamp) -> Option<Timestamp> {
        if t < not_before {
            return None;
        }
        let slot = match &self.times {
            Times::Every(every) => Timestamp::from_second(every.last_until(whole_seconds(t))).ok(),
            Times::Cron(cron) => cron.last_until(floor(t)?, &self.zone, not_before),
        };
        slot.filter(|slot| *slot >= not_before)
    }

    /// How many slots are after `after` and not after `until`. Work is bounded: an interval is
    /// divided, a cron expression is counted up to ten thousand.
    pub fn count(&self, after: Timestamp, until: Timestamp) -> Count {
        if let Times::Every(every) = &self.times {
            let slots = every.count(whole_seconds(after), whole_seconds(until));
            return Count {
                slots,
                or_more: false,
            };
        }
        let mut count = Count::default();
        let mut at = after;
        while let Some(slot) = self.next_after(at).filter(|slot| *slot <= until) {
            if count.slots == MAX_COUNTED {
                count.or_more = true;
                break;
            }
            count.slots += 1;
            at = slot;
        }
        count
    }

    /// The shortest time between two slots.
    pub fn min_interval(&self) -> Duration {
        match &self.times {
            Times::Every(every) => every.interval(),
            Times::Cron(cron) => cron.min_gap(),
        }
    }

    /// The delay of one schedule: from 0 up to, not including, `jitter`, and always below the
    /// shortest interval. The same `key` gives the same delay, in whole seconds.
    pub fn jitter_offset(&self, jitter: Duration, key: &str) -> Duration {
        let range = jitter.min(self.min_interval()).as_secs();
        if range == 0 {
            return Duration::ZERO;
        }
        let hash = Sha256::digest(key.as_bytes());
        let number = hash
            .iter()
            .take(8)
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        Duration::from_secs(number % range)
    }

    /// Sixteen hex digits that change when the schedule's times change, and not when the same
    /// times are written in another way. Kept in the status to know since when they hold.
    pub fn digest(&self) -> String {
        let times = match &self.times {
            Times::Cron(cron) => format!("cron {}", cron.plain()),
            Times::Every(every) => format!("every {}", every.interval().as_secs()),
        };
        let zone = self.zone.iana_name().unwrap_or(DEFAULT_ZONE);
        hex::encode(&Sha256::digest(format!("{times} {zone}"))[..8])
    }
}

/// The whole second at or before `t`.
fn floor(t: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(whole_seconds(t)).ok()
}

/// Seconds since the epoch, rounded down. Slots are on whole seconds, so nothing is lost.
fn whole_seconds(t: Timestamp) -> i64 {
    t.as_second() - i64::from(t.subsec_nanosecond() < 0)
}
