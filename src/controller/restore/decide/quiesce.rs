//! What the workloads of `spec.quiesce` ask for. Pure.

use std::time::Duration;

use super::{POD_CHANGE, Step};
use crate::api::RestoreStatus;
use crate::api::common::ManifestRef;
use crate::api::conditions::{Reason, State};
use crate::api::outcome::Imported;
use crate::api::quiesce::{HeldWorkload, QuiesceStatus};
use crate::api::storage_location::StorageLocationSpec;
use crate::controller::restore::quiesce::{Quieten, Record, Seen};
use crate::controller::restore::state::{Plan, Problem};
use crate::controller::restore::status;
use crate::controller::time::after;

/// How long pods are given to end where the spec does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the workloads are looked at during an import.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// What stands between the workloads and an import.
enum Stand {
    /// Nothing.
    Quiet,
    /// Something that may pass by itself.
    Blocked(Problem),
    /// Something that will not.
    Refused(Problem),
    /// This is to be done first.
    Next(Quieten, String),
}

impl Step<'_> {
    /// Starts the attempt, or does what its workloads need before.
    pub(super) fn start_in_quiet(
        &self,
        mut status: RestoreStatus,
        storage: &StorageLocationSpec,
        manifests: &[ManifestRef],
    ) -> Plan {
        let stand = match &self.seen.workloads {
            Ok(workloads) => judge(workloads),
            Err(problem) => Stand::Blocked(problem.clone()),
        };
        match stand {
            Stand::Refused(problem) => self.fail(status, &problem),
            Stand::Blocked(problem) => self.wait(status, &problem),
            Stand::Next(step, word) if !self.seen.restore.spec.parameters.dry_run => {
                self.quieten(status, step, &word)
            }
            Stand::Quiet | Stand::Next(..) => {
                if let Some(quiesce) = &mut status.quiesce {
                    quiesce.quiet_time.get_or_insert(self.now);
                    let word = Problem::new(Reason::Quiesced, "the workloads stand still");
                    status::quiesced(self.seen, &mut status, State::True, &word, self.now);
                }
                self.start(status, storage, manifests)
            }
        }
    }

    /// A step towards quiet, but not for ever.
    fn quieten(&self, mut status: RestoreStatus, step: Quieten, word: &str) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let quiesce = status.quiesce.get_or_insert_with(|| QuiesceStatus {
            start_time: now,
            ..QuiesceStatus::default()
        });
        // Before a further attempt they have their time again.
        if quiesce.quiet_time.take().is_some() {
            quiesce.start_time = now;
        }
        if step != Quieten::Claim {
            quiesce.workloads = seen.workloads.iter().flatten().filter_map(held).collect();
        }
        let spec = seen.restore.spec.parameters.quiesce.as_ref();
        let timeout = spec
            .and_then(|spec| spec.timeout.as_ref()?.get().ok())
            .unwrap_or(DEFAULT_TIMEOUT);
        if after(quiesce.start_time, timeout) <= now {
            let message = format!(
                "after {} s it still {word}; see what keeps the pods or scales the workload, or lengthen quiesce.timeout",
                timeout.as_secs()
            );
            return self.fail(status, &Problem::new(Reason::WorkloadStays, message));
        }
        let word = Problem::new(Reason::Quiescing, word);
        status::quiesced(seen, &mut status, State::False, &word, now);
        status::progress(seen, &mut status, &word, now);
        let note = status::told(seen, word.reason, word.message);
        Plan {
            quieten: Some(step),
            note: note.filter(|_| step == Quieten::ScaleDown),
            ..status::plan(status, step.then_look())
        }
    }

    /// Says that another hand has scaled a workload up, and writes it into the status.
    pub(super) fn came_back(&self, status: &mut RestoreStatus) -> Option<Problem> {
        let quiesce = status.quiesce.as_mut()?;
        if quiesce.came_back.is_none() {
            quiesce.came_back.clone_from(&self.seen.came_back);
        }
        known_to_be_back(status)
    }

    /// All is in the target; where a workload came back meanwhile, it is not trusted. That is
    /// written before anything is scaled back: afterwards it could not be told any more.
    pub(super) fn imported(&self, mut status: RestoreStatus, imported: &Imported) -> Plan {
        let (seen, now) = (self.seen, self.now);
        let known = known_to_be_back(&status).is_some();
        match self.came_back(&mut status) {
            None => status::complete(seen, status, imported, now),
            Some(problem) if known => self.fail(status, &problem),
            Some(problem) => {
                status::progress(seen, &mut status, &problem, now);
                status::plan(status, Duration::ZERO)
            }
        }
    }
}

impl Quieten {
    fn then_look(self) -> Duration {
        match self {
            Self::Claim => Duration::ZERO,
            Self::ScaleDown | Self::Wait => POD_CHANGE,
        }
    }
}

/// What it means that a workload was scaled up during an import, where the status says so.
pub(super) fn known_to_be_back(status: &RestoreStatus) -> Option<Problem> {
    let workload = status.quiesce.as_ref()?.came_back.as_ref()?;
    Some(Problem::new(
        Reason::WorkloadCameBack,
        format!(
            "the {workload} was scaled up by another hand during the import, so what is in the target can't be trusted; let the tool that does it leave the replicas alone (Argo CD: ignoreDifferences on /spec/replicas; Flux: suspend), then restore again"
        ),
    ))
}

fn held(seen: &Seen) -> Option<HeldWorkload> {
    let Record::Held(replicas) = seen.record else {
        return None;
    };
    Some(HeldWorkload {
        workload: seen.workload.clone(),
        replicas,
    })
}

fn judge(workloads: &[Seen]) -> Stand {
    for seen in workloads {
        let workload = &seen.workload;
        if let Some(autoscaler) = &seen.autoscaler {
            return Stand::Refused(Problem::new(
                Reason::WorkloadAutoscaled,
                format!(
                    "the {workload} is scaled by the HorizontalPodAutoscaler {autoscaler}, which would scale it up during the import; delete it, or pause what made it, and create the Restore again"
                ),
            ));
        }
    }
    for seen in workloads {
        let workload = &seen.workload;
        if seen.replicas.is_none() {
            return Stand::Blocked(Problem::new(
                Reason::WorkloadNotFound,
                format!("there is no {workload} in this namespace; correct quiesce.workloads"),
            ));
        }
        if let Record::Other(holder) = &seen.record {
            return Stand::Blocked(Problem::new(
                Reason::WorkloadBusy,
                format!(
                    "the Restore {holder} holds the {workload} at zero; this one starts when that is over"
                ),
            ));
        }
    }
    let first = |is: fn(&Seen) -> bool| workloads.iter().find(|seen| is(seen));
    if first(|seen| !matches!(seen.record, Record::Held(_))).is_some() {
        let word = "records how many replicas the workloads have".to_owned();
        return Stand::Next(Quieten::Claim, word);
    }
    if let Some(seen) = first(|seen| seen.replicas != Some(0)) {
        let word = format!("scales the {} to zero", seen.workload);
        return Stand::Next(Quieten::ScaleDown, word);
    }
    if let Some(seen) = first(|seen| seen.pods > 0) {
        let word = format!(
            "waits for {} pod(s) of the {} to end",
            seen.pods, seen.workload
        );
        return Stand::Next(Quieten::Wait, word);
    }
    Stand::Quiet
}
