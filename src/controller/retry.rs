//! When a failed run is tried again. Pure.

use std::time::Duration;

use crate::api::common::{RetryPolicy, Span};

/// How often, and with what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    limit: u32,
    min: Duration,
    max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: 3,
            min: Duration::from_secs(30),
            max: Duration::from_secs(600),
        }
    }
}

impl Retry {
    /// The policy of a spec, with its defaults. A span that can't be read is the default: specs
    /// are checked before.
    pub fn of(policy: Option<&RetryPolicy>) -> Self {
        let default = Self::default();
        let Some(policy) = policy else {
            return default;
        };
        let span = |span: &Option<Span>, default| {
            span.as_ref()
                .and_then(|span| span.get().ok())
                .unwrap_or(default)
        };
        let min = span(&policy.min_backoff, default.min);
        Self {
            limit: policy.limit.unwrap_or(default.limit),
            min,
            max: span(&policy.max_backoff, default.max).max(min),
        }
    }

    /// Attempts in all.
    pub fn attempts(&self) -> u32 {
        self.limit.saturating_add(1)
    }

    /// How long to wait after so many failures, for what is tried for ever.
    pub fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }

    /// How long to wait after attempt `attempt` (from 1) has failed; none where it was the last.
    pub fn wait_after(&self, attempt: u32) -> Option<Duration> {
        (attempt <= self.limit).then(|| self.backoff(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_end() {
        let seconds = |retry: Retry| -> Vec<Option<u64>> {
            (1..=6)
                .map(|attempt| retry.wait_after(attempt).map(|wait| wait.as_secs()))
                .collect()
        };
        let policy = |limit, min: &str, max: &str| RetryPolicy {
            limit: Some(limit),
            min_backoff: Some(min.into()),
            max_backoff: Some(max.into()),
        };
        assert_eq!(
            seconds(Retry::of(None)),
            [Some(30), Some(60), Some(120), None, None, None]
        );
        assert_eq!(
            seconds(Retry::of(Some(&policy(5, "1m", "3m")))),
            [Some(60), Some(120), Some(180), Some(180), Some(180), None]
        );
        assert_eq!(seconds(Retry::of(Some(&policy(0, "1s", "1s")))), [None; 6]);
        // A longest wait below the first one does not shorten it.
        assert_eq!(
            Retry::of(Some(&policy(1, "30s", "1s"))).wait_after(1),
            Some(Duration::from_secs(30))
        );
        assert_eq!(Retry::of(None).attempts(), 4);
    }
}
