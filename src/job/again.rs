//! Tries one part again after a fault that may pass by itself.
//!
//! Only so often: an attempt of the whole run costs more, but it is the controller's to decide.

use std::time::Duration;

use super::{JobError, RunClock};
use crate::engine::EngineError;

/// Attempts in all.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt; doubled for the third.
const WAIT: Duration = Duration::from_secs(2);

/// Does `work` until it succeeds, fails for good, or was tried [`ATTEMPTS`] times. It is told the
/// number of the attempt, from 1.
pub(super) async fn try_again<T, F>(
    clock: &RunClock,
    what: &str,
    mut work: impl FnMut(u32) -> F,
) -> Result<T, JobError>
where
    F: Future<Output = Result<T, JobError>>,
{
    let mut attempt = 1;
    loop {
        let error = match work(attempt).await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !may_pass(&error) {
            return Err(error);
        }
        tracing::warn!(%what, %error, attempt, "it is tried again");
        let wait = async {
            tokio::time::sleep(WAIT * attempt).await;
            Ok::<(), JobError>(())
        };
        clock.within(wait).await?;
        attempt += 1;
    }
}

/// Whether the same part may succeed within the same run. Some faults only pass for a new run.
fn may_pass(error: &JobError) -> bool {
    let needs_new_run = matches!(
        error,
        JobError::Stopped
            | JobError::TimedOut { .. }
            | JobError::Engine(
                EngineError::SourceChanged { .. }
                    | EngineError::Command(_)
                    | EngineError::BrokenOff(_)
            )
    );
    !needs_new_run && error.retryable()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::api::conditions::Reason;
    use crate::api::order::Bounds;

    fn error(retryable: bool) -> JobError {
        JobError::Refused {
            reason: Reason::DatabaseError,
            message: "no".to_owned(),
            retryable,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_and_only_so_often() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let bounds = Bounds {
            timeout_seconds: 60,
            not_after: now + jiff::SignedDuration::from_secs(60),
        };
        let clock = RunClock::start(&bounds, now).unwrap();
        // How many attempts fail, whether they may pass, and what comes of it.
        let cases = [
            (0, true, 1, true),
            (2, true, 3, true),
            (3, true, 3, false),
            (1, false, 1, false),
        ];
        for (failing, retryable, attempts, good) in cases {
            let seen = Cell::new(0);
            let result = try_again(&clock, "cpu", |attempt| {
                seen.set(attempt);
                let failed = attempt <= failing;
                async move {
                    if failed {
                        Err(error(retryable))
                    } else {
                        Ok(())
                    }
                }
            })
            .await;
            assert_eq!((seen.get(), result.is_ok()), (attempts, good), "{failing}");
        }
        let seen = Cell::new(0);
        let stopped = try_again(&clock, "cpu", |attempt| {
            seen.set(attempt);
            async { Err::<(), _>(JobError::Stopped) }
        });
        assert!(matches!(stopped.await, Err(JobError::Stopped)));
        assert_eq!(seen.get(), 1);
    }
}
