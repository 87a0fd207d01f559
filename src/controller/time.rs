//! Sums of times and durations that stop at the ends of what a timestamp can hold.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A time so much later.
pub fn after(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How long it is until a time: nothing where it has passed.
pub fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or(Duration::ZERO)
}
