//! Names made from slots and triggers. The same slot or trigger always gives the same name, so
//! creating it twice is the same object.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// The longest name of a schedule.
pub const MAX_SCHEDULE_NAME: usize = 40;

/// The longest name that Kubernetes takes for an object that becomes a label or a host name.
pub const MAX_NAME: usize = 63;

const SLOT_FORMAT: &str = "%Y%m%dt%H%M%Sz";

/// A slot in a name or a key: UTC, to the second, as `20261120t101500z`. Sorts by time.
pub fn slot_name(slot: Timestamp) -> String {
    slot.to_zoned(TimeZone::UTC)
        .strftime(SLOT_FORMAT)
        .to_string()
}

/// Reads what [`slot_name`] wrote; nothing for anything else.
pub fn parse_slot_name(name: &str) -> Option<Timestamp> {
    let digits = |range: std::ops::Range<usize>| -> Option<i16> {
        let part = name.get(range)?;
        if part.bytes().all(|b| b.is_ascii_digit()) {
            part.parse().ok()
        } else {
            None
        }
    };
    let small = |start: usize| digits(start..start + 2).and_then(|n| i8::try_from(n).ok());
    if name.len() != 16 || name.get(8..9)? != "t" || name.get(15..)? != "z" {
        return None;
    }
    let (hour, minute, second) = (small(9)?, small(11)?, small(13)?);
    jiff::civil::DateTime::new(digits(0..4)?, small(4)?, small(6)?, hour, minute, second, 0)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Eight hex digits that stand for a value of `trigger`.
pub fn trigger_suffix(trigger: &str) -> String {
    short_hash(trigger)
}

/// The trigger that asks for a run now, if it has not been acted on: a new value runs once, also
/// while the schedule is suspended. An empty value asks for nothing. `last` is the value that was
/// last acted on.
pub fn trigger_due<'a>(trigger: Option<&'a str>, last: Option<&str>) -> Option<&'a str> {
    trigger.filter(|value| !value.is_empty() && last != Some(*value))
}

/// The Backup of a slot: `telemetry-20261120t101500z`.
pub fn backup_name(schedule: &str, slot: Timestamp) -> String {
    format!("{}-{}", fit(schedule, MAX_SCHEDULE_NAME), slot_name(slot))
}

/// The Backup of a trigger: `telemetry-manual-1a2b3c4d`.
pub fn manual_backup_name(schedule: &str, trigger: &str) -> String {
    format!(
        "{}-manual-{}",
        fit(schedule, MAX_SCHEDULE_NAME),
        trigger_suffix(trigger)
    )
}

/// A name from a base and a suffix that stays within [`MAX_NAME`]: a base that is too long is cut
/// and gets a hash of the whole, so that two long bases never meet.
pub fn bounded_name(base: &str, suffix: &str) -> String {
    let room = MAX_NAME.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", fit(base, room))
}

/// `name`, or its start and a hash where it is longer than `max` bytes.
fn fit(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let mut keep = max.saturating_sub(9);
    while !name.is_char_boundary(keep) {
        keep -= 1;
    }
    format!(
        "{}-{}",
        name[..keep].trim_end_matches(['-', '.']),
        short_hash(name)
    )
}

fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
}
