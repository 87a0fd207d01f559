//! Works on parts at once, a few at a time, and stops all of them at the first fault.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{JobError, RunClock};
use crate::api::common::Limits;
use crate::api::conditions::Reason;
use crate::transfer::{Throttle, TransferError};

/// Parts worked on at once where nothing is said.
const DEFAULT_PARALLELISM: u32 = 4;
/// The most parts worked on at once, whatever is asked for.
const MAX_PARALLELISM: u32 = 32;

/// How long tasks may take to clean up once they are told to stop.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// How many parts are worked on at once.
pub(super) fn width(limits: &Limits) -> usize {
    let asked = limits.parallelism.unwrap_or(DEFAULT_PARALLELISM);
    asked.clamp(1, MAX_PARALLELISM) as usize
}

/// The run's bound on bytes a second.
pub(super) fn throttle(limits: &Limits) -> Result<Throttle, JobError> {
    Throttle::parse(limits.max_bytes_per_second.as_deref())
        .map_err(|error| JobError::refused(Reason::InvalidSpec, error.to_string()))
}

/// Tasks that work at once. Each gets [`Pool::clock`], so that it ends, and cleans up after
/// itself, as soon as one of the others failed.
pub(super) struct Pool<T> {
    tasks: JoinSet<Result<T, JobError>>,
    width: usize,
    clock: RunClock,
}

impl<T: Send + 'static> Pool<T> {
    /// A pool of at most `width` tasks within the time of `clock`.
    pub(super) fn new(width: usize, clock: &RunClock) -> Self {
        Self {
            tasks: JoinSet::new(),
            width: width.max(1),
            clock: clock.child(),
        }
    }

    /// The clock of the pool's tasks.
    pub(super) fn clock(&self) -> &RunClock {
        &self.clock
    }

    /// Starts a task, first waiting for another to end where the pool is full. Gives what that
    /// other one made.
    pub(super) async fn spawn(
        &mut self,
        work: impl Future<Output = Result<T, JobError>> + Send + 'static,
    ) -> Result<Option<T>, JobError> {
        let done = if self.tasks.len() >= self.width {
            self.next().await?
        } else {
            None
        };
        self.tasks.spawn(work);
        Ok(done)
    }

    /// What the next task to end made; none when all have ended.
    pub(super) async fn next(&mut self) -> Result<Option<T>, JobError> {
        match self.tasks.join_next().await {
            None => Ok(None),
            Some(Ok(result)) => result.map(Some),
            Some(Err(error)) => Err(JobError::Transfer(TransferError::Internal(format!(
                "a part of the run broke off: {error}"
            )))),
        }
    }

    /// Tells all tasks to stop, and waits until they have cleaned up, but not for ever. Gives what
    /// some of them had done all the same.
    pub(crate) async fn stop(mut self) -> Vec<T> {
        self.clock.stop_token().cancel();
        let mut done = Vec::new();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok(Ok(made)) = ended {
                    done.push(made);
                }
            }
        };
        if tokio::time::timeout(CLEAN_UP, all).await.is_err() {
            tracing::warn!("parts of the run did not clean up in time; they are broken off");
        }
        done
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::api::conditions::Reason;
    use crate::api::order::Bounds;

    fn clock() -> RunClock {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let bounds = Bounds {
            timeout_seconds: 60,
            not_after: now + jiff::SignedDuration::from_secs(60),
        };
        RunClock::start(&bounds, now).unwrap()
    }

    #[test]
    fn width_has_a_default_and_bounds() {
        for (asked, expected) in [(None, 4), (Some(0), 1), (Some(1), 1), (Some(900), 32)] {
            let limits = Limits {
                parallelism: asked,
                ..Limits::default()
            };
            assert_eq!(width(&limits), expected, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn no_more_than_the_width_run_at_once() {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let mut pool = Pool::new(3, &clock());
        let mut sum = 0;
        for n in 0..20u64 {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let work = async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(n)
            };
            sum += pool.spawn(work).await.unwrap().unwrap_or(0);
        }
        while let Some(n) = pool.next().await.unwrap() {
            sum += n;
        }
        assert_eq!(sum, 190);
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn the_first_fault_stops_the_others_and_waits_for_their_clean_up() {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let mut pool = Pool::new(4, &clock());
        for _ in 0..3 {
            let (clock, cleaned) = (pool.clock().clone(), Arc::clone(&cleaned));
            pool.spawn(async move {
                let result = clock
                    .within(std::future::pending::<Result<(), JobError>>())
                    .await;
                cleaned.fetch_add(1, Ordering::SeqCst);
                result
            })
            .await
            .unwrap();
        }
        pool.spawn(async { Err(JobError::refused(Reason::DataCorrupt, "broken")) })
            .await
            .unwrap();
        let error = pool.next().await.unwrap_err();
        assert_eq!(error.reason(), Reason::DataCorrupt);
        pool.stop().await;
        assert_eq!(cleaned.load(Ordering::SeqCst), 3);
    }
}
