//! Intervals: slots at whole multiples of the interval since the unix epoch.
//!
//! Anchoring to the epoch makes the slots a function of the spec alone: no state is needed to know
//! them, two controllers agree on them, and a re-created schedule goes on with the same slots.

use std::time::Duration;

use super::error::{ScheduleError, cut};

/// The longest interval, in seconds: 366 days.
const MAX_SECONDS: u64 = 366 * 24 * 3600;

/// The units in the order in which they have to be written, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// A whole number of seconds between slots, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Every {
    seconds: i64,
}

impl Every {
    /// Reads `15m`, `1h30m`, `5s`, `7d`: each unit once, the larger first.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let error = |problem| ScheduleError::Every {
            text: cut(text),
            problem,
        };
        let mut total = 0_u64;
        let mut units = UNITS.iter();
        let mut rest = text;
        if rest.is_empty() {
            return Err(error("is empty"));
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| error("can't be read"))?;
            let mut after = rest[digits..].chars();
            let unit = after.next().ok_or_else(|| error("lacks a unit"))?;
            let (_, seconds) = units
                .find(|(name, _)| *name == unit)
                .ok_or_else(|| error("has an unknown, repeated or misplaced unit"))?;
            total = number
                .checked_mul(*seconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| error("is too long"))?;
            rest = after.as_str();
        }
        match i64::try_from(total) {
            Ok(0) => Err(error("is too short")),
            Ok(seconds) if total <= MAX_SECONDS => Ok(Self { seconds }),
            _ => Err(error("is too long")),
        }
    }

    /// The first slot after `t`, both in seconds since the epoch.
    pub(super) fn next_after(self, t: i64) -> Option<i64> {
        t.div_euclid(self.seconds)
            .checked_add(1)?
            .checked_mul(self.seconds)
    }

    /// The last slot at or before `t`, both in seconds since the epoch.
    pub(super) fn last_until(self, t: i64) -> i64 {
        t.div_euclid(self.seconds) * self.seconds
    }

    /// How many slots are after `after` and not after `until`, both in seconds since the epoch.
    pub(super) fn count(self, after: i64, until: i64) -> u64 {
        let slots = until.div_euclid(self.seconds) - after.div_euclid(self.seconds);
        u64::try_from(slots).unwrap_or(0)
    }

    /// The interval.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(self.seconds.unsigned_abs())
    }
}
