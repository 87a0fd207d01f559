//! How long an object waits after a reconcile was stopped by an error.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first wait, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(120));
/// Objects that failed and went are forgotten at this many.
const REMEMBERED: usize = 10_000;

/// Failures in a row, for each object.
#[derive(Debug, Default)]
pub(super) struct Failures {
    counts: Mutex<HashMap<String, u32>>,
    seed: RandomState,
}

impl Failures {
    /// One more failure: how long to wait.
    pub(super) fn add(&self, object: &str) -> Duration {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        let count = counts.entry(object.to_owned()).or_default();
        *count = count.saturating_add(1);
        self.wait(*count)
    }

    /// It went well.
    pub(super) fn clear(&self, object: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(object);
    }

    /// Doubled each time, and up to a half longer: many objects that failed together don't come
    /// back together.
    fn wait(&self, count: u32) -> Duration {
        let (first, longest) = WAITS;
        let wait = first
            .saturating_mul(1 << count.saturating_sub(1).min(16))
            .min(longest);
        let mut hasher = self.seed.build_hasher();
        hasher.write_u32(count);
        hasher.write_u128(
            std::time::UNIX_EPOCH
                .elapsed()
                .unwrap_or_default()
                .as_nanos(),
        );
        let share = u32::try_from(hasher.finish() % 500).unwrap_or(0);
        wait + wait * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_anew() {
        let failures = Failures::default();
        for expected in [
            500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 120_000, 120_000,
        ] {
            let wait = failures.add("a").as_millis();
            assert!(
                (expected..=expected * 3 / 2).contains(&wait),
                "{wait} {expected}"
            );
        }
        assert!(failures.add("b").as_millis() <= 750);
        failures.clear("a");
        assert!(failures.add("a").as_millis() <= 750);
    }
}
