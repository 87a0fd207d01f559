//! What every run carries along: its id, its clock, its progress, and what it will report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::progress::Progress;
use super::{JobError, RunClock};
use crate::api::common::PhaseTiming;
use crate::api::order::Bounds;
use crate::api::outcome::{Outcome, RunResult};

/// The most warnings that a run collects; the rest is only logged.
const WARNINGS_LIMIT: usize = 64;

/// What every run carries along.
#[derive(Debug)]
pub struct Run {
    /// The pod's uid.
    pub id: String,
    /// Its bounds.
    pub clock: RunClock,
    /// How far it is.
    pub progress: Arc<Progress>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    phases: Vec<PhaseTiming>,
    warnings: Vec<String>,
}

impl Run {
    /// A run that starts now, at `now` by the wall clock. An error where its time is over already.
    pub fn start(id: String, bounds: &Bounds, now: Timestamp) -> Result<Self, JobError> {
        Ok(Self {
            id,
            clock: RunClock::start(bounds, now)?,
            progress: Arc::new(Progress::default()),
            notes: Mutex::default(),
        })
    }

    /// A phase begins, with so many parts (0: not known); the one before ends.
    pub fn phase(&self, name: &'static str, parts: u64) {
        tracing::info!(phase = name, parts, "phase begins");
        self.progress.begin(name, parts);
        let now = self.clock.now();
        let mut notes = self.notes();
        close(&mut notes.phases, now);
        notes.phases.push(PhaseTiming {
            name: name.to_owned(),
            start_time: now,
            end_time: None,
        });
    }

    /// Something that a person should know.
    pub fn warn(&self, warning: impl Into<String>) {
        let warning = warning.into();
        tracing::warn!(%warning, "note");
        let mut notes = self.notes();
        if notes.warnings.len() < WARNINGS_LIMIT {
            notes.warnings.push(warning);
        }
    }

    /// What was warned of so far.
    pub fn warnings(&self) -> Vec<String> {
        self.notes().warnings.clone()
    }

    /// The run is over: what it reports.
    pub fn outcome(&self, result: Result<RunResult, JobError>) -> Outcome {
        let mut notes = self.notes();
        close(&mut notes.phases, self.clock.now());
        Outcome {
            run_id: self.id.clone(),
            result: result.unwrap_or_else(|error| RunResult::Failed(error.failure())),
            phases: add_up(&notes.phases),
            warnings: notes.warnings.clone(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(phases: &mut [PhaseTiming], now: Timestamp) {
    if let Some(last) = phases.last_mut().filter(|phase| phase.end_time.is_none()) {
        last.end_time = Some(now);
    }
}

/// One entry a name. A chain goes through import and verify once a backup; what counts is the time
/// in each all in all, so the entries are laid end to end from the first one's start.
fn add_up(phases: &[PhaseTiming]) -> Vec<PhaseTiming> {
    let mut sums: Vec<(String, jiff::SignedDuration)> = Vec::new();
    for phase in phases {
        let end = phase.end_time.unwrap_or(phase.start_time);
        let spent = end.duration_since(phase.start_time);
        match sums.iter_mut().find(|(name, _)| *name == phase.name) {
            Some((_, sum)) => *sum += spent,
            None => sums.push((phase.name.clone(), spent)),
        }
    }
    let mut at = phases.first().map(|phase| phase.start_time);
    let mut added = Vec::new();
    for (name, spent) in sums {
        let Some(start_time) = at else { break };
        let end_time = start_time.checked_add(spent).unwrap_or(start_time);
        at = Some(end_time);
        added.push(PhaseTiming {
            name,
            start_time,
            end_time: Some(end_time),
        });
    }
    added
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn phases_that_come_again_are_added_up() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let bounds = Bounds {
            timeout_seconds: 3600,
            not_after: "2026-11-20T12:00:00Z".parse().unwrap(),
        };
        let run = Run::start("r".to_owned(), &bounds, now).unwrap();
        for (name, seconds) in [
            ("fetch", 5),
            ("import", 20),
            ("verify", 4),
            ("import", 2),
            ("verify", 1),
        ] {
            run.phase(name, 0);
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
        let outcome = run.outcome(Err(JobError::Stopped));
        let seen: Vec<(String, String)> = outcome
            .phases
            .iter()
            .map(|p| (p.name.clone(), p.end_time.unwrap().to_string()))
            .collect();
        let expected = [
            ("fetch", "2026-11-20T10:00:05Z"),
            ("import", "2026-11-20T10:00:27Z"),
            ("verify", "2026-11-20T10:00:32Z"),
        ];
        assert_eq!(
            seen,
            expected.map(|(name, end)| (name.to_owned(), end.to_owned()))
        );
    }
}
