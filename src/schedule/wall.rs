//! From wall clock times to instants. croner searches the calendar without a zone; what a change
//! of the clock does to a slot is decided here, and only here.
//!
//! croner's own search in a zone is not used: in 4.0.2 a schedule with one time of day whose hour
//! is the last before a gap fires a second time at the end of the gap (`docs/adr/0002-cron-crate.md`).

use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

/// No zone is further from another than this, and no change of the clock is larger.
const MARGIN_DAYS: i64 = 2;

/// The first instant after `t`, on a whole second, at which the wall clock shows a matching time.
/// Times in a gap don't come; times in a repeated hour come twice.
pub(super) fn next_reading(cron: &Cron, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
    let mut offset = zone.to_offset(t);
    let mut from = offset.to_datetime(t);
    let mut inclusive = false;
    // Between two changes of the clock the wall clock is a plain sum, so the stretches are searched
    // one by one.
    for change in zone.following(t) {
        let slot = cron.find_next_occurrence(&from, inclusive).ok()?;
        if let Some(slot) = instant(offset, slot).filter(|slot| *slot < change.timestamp()) {
            return Some(slot);
        }
        offset = change.offset();
        from = offset.to_datetime(change.timestamp());
        inclusive = true;
    }
    instant(offset, cron.find_next_occurrence(&from, inclusive).ok()?)
}

/// The last such instant at or before `t`, if it is not before `not_before`.
pub(super) fn last_reading(
    cron: &Cron,
    zone: &TimeZone,
    t: Timestamp,
    not_before: Timestamp,
) -> Option<Timestamp> {
    let second = SignedDuration::from_secs(1);
    let mut until = t;
    // The changes before `t`, and the one at `t` if there is one.
    for change in zone.preceding(t.checked_add(second).ok()?) {
        let start = change.timestamp();
        if let Some(slot) = last_in_stretch(cron, zone, until).filter(|slot| *slot >= start) {
            return Some(slot);
        }
        until = start.checked_sub(second).ok()?;
        if until < not_before {
            return None;
        }
    }
    last_in_stretch(cron, zone, until)
}

fn last_in_stretch(cron: &Cron, zone: &TimeZone, until: Timestamp) -> Option<Timestamp> {
    let offset = zone.to_offset(until);
    instant(
        offset,
        cron.find_previous_occurrence(&offset.to_datetime(until), true)
            .ok()?,
    )
}

fn instant(offset: Offset, wall: DateTime) -> Option<Timestamp> {
    offset.to_timestamp(wall).ok()
}

/// The first instant after `t` for an expression with one time of day. Each day that it names has
/// exactly one, by the rule of RFC 5545: a time in a gap is as late as it would have been without
/// the gap, and of two the first is meant.
pub(super) fn next_once(cron: &Cron, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
    let mut wall = zone
        .to_datetime(t)
        .checked_sub(Span::new().days(MARGIN_DAYS))
        .ok()?;
    loop {
        wall = cron.find_next_occurrence(&wall, false).ok()?;
        let slot = once(zone, wall)?;
        if slot > t {
            return Some(slot);
        }
    }
}

/// The last such instant at or before `t`.
pub(super) fn last_once(cron: &Cron, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
    let mut wall = zone
        .to_datetime(t)
        .checked_add(Span::new().days(MARGIN_DAYS))
        .ok()?;
    loop {
        wall = cron.find_previous_occurrence(&wall, false).ok()?;
        let slot = once(zone, wall)?;
        if slot <= t {
            return Some(slot);
        }
    }
}

fn once(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(wall).compatible().ok()
}
