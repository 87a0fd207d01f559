//! The bounds of a run, kept by the pod's own monotonic clock.
//!
//! The wall clock is read once, at the start: a pod that comes back late (its node was away, its
//! image took an hour to pull) finds its time over and does nothing. From then on only the
//! monotonic clock counts, so a stepped wall clock can neither cut a run short nor let it go on.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::JobError;
use crate::api::order::Bounds;

/// When a run must end, and whether it was told to end before.
#[derive(Clone, Debug)]
pub struct RunClock {
    started: Timestamp,
    begin: Instant,
    deadline: Instant,
    allowed: Duration,
    stop: CancellationToken,
}

impl RunClock {
    /// The clock of a run that starts now, at `now` by the wall clock.
    pub fn start(bounds: &Bounds, now: Timestamp) -> Result<Self, JobError> {
        let too_late = JobError::TooLate {
            started: now,
            not_after: bounds.not_after,
        };
        let Ok(left) = Duration::try_from(bounds.not_after.duration_since(now)) else {
            return Err(too_late);
        };
        if left.is_zero() {
            return Err(too_late);
        }
        let allowed = left.min(Duration::from_secs(bounds.timeout_seconds));
        let begin = Instant::now();
        Ok(Self {
            started: now,
            begin,
            deadline: begin + allowed,
            allowed,
            stop: CancellationToken::new(),
        })
    }

    /// When the run started, by the wall clock.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The time now: the wall clock as it was at the start, plus what went by since.
    pub fn now(&self) -> Timestamp {
        let since = jiff::SignedDuration::try_from(self.begin.elapsed());
        since
            .ok()
            .and_then(|since| self.started.checked_add(since).ok())
            .unwrap_or(self.started)
    }

    /// How long the run may take.
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// Cancelled when the run has to end before its deadline.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// A clock of the same bounds that can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            ..self.clone()
        }
    }

    /// An error once the run's time is over or it was told to stop.
    pub fn check(&self) -> Result<(), JobError> {
        if self.stop.is_cancelled() {
            return Err(JobError::Stopped);
        }
        if Instant::now() >= self.deadline {
            return Err(self.timed_out());
        }
        Ok(())
    }

    /// Waits until the run has to end, and says why.
    pub async fn over(&self) -> JobError {
        tokio::select! {
            () = self.stop.cancelled() => JobError::Stopped,
            () = tokio::time::sleep_until(self.deadline) => self.timed_out(),
        }
    }

    /// Runs `work` until it is done or the run has to end. Work that is cut off is dropped where it
    /// stands: what must be cleaned up belongs around this call.
    pub async fn within<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, JobError>
    where
        JobError: From<E>,
    {
        self.check()?;
        tokio::select! {
            biased;
            error = self.over() => Err(error),
            result = work => Ok(result?),
        }
    }

    fn timed_out(&self) -> JobError {
        JobError::TimedOut {
            seconds: self.allowed.as_secs(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    fn bounds(timeout_seconds: u64, not_after: &str) -> Bounds {
        Bounds {
            timeout_seconds,
            not_after: not_after.parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_ends_at_the_earlier_of_both_bounds() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let cases = [
            (60, "2026-11-20T11:00:00Z", Some(60)),
            (7200, "2026-11-20T10:00:05Z", Some(5)),
            (60, "2026-11-20T10:00:00Z", None),
            (60, "2026-11-20T09:59:59Z", None),
            (60, "2020-01-01T00:00:00Z", None),
        ];
        for (timeout, not_after, expected) in cases {
            let clock = RunClock::start(&bounds(timeout, not_after), now);
            let Some(seconds) = expected else {
                let error = clock.unwrap_err();
                assert_eq!(error.reason(), Reason::TimedOut, "{not_after}");
                assert!(error.to_string().contains("nothing was done"));
                continue;
            };
            let clock = clock.unwrap();
            clock.check().unwrap();
            let begin = Instant::now();
            let error = clock.over().await;
            assert_eq!(begin.elapsed().as_secs(), seconds);
            assert!(matches!(error, JobError::TimedOut { seconds: s } if s == seconds));
            assert!(clock.check().is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_work_at_once() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let clock = RunClock::start(&bounds(60, "2026-11-20T11:00:00Z"), now).unwrap();
        let stop = clock.stop_token().clone();
        let work = clock.within(std::future::pending::<Result<(), JobError>>());
        let (result, ()) = tokio::join!(work, async { stop.cancel() });
        assert!(matches!(result, Err(JobError::Stopped)));
        let again = clock.within(async { Ok::<_, JobError>(()) }).await;
        assert!(matches!(again, Err(JobError::Stopped)));
    }
}
