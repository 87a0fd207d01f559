//! What a Job and its pods say about a run. Pure.
//!
//! A pod's words are hostile until they were read: a termination message is at most 4 KiB of
//! anything.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;

use super::job_pod::{CONTAINER, INJECTION};
use crate::api::conditions::Reason;
use crate::api::outcome::{OUTCOME_LIMIT, Outcome, RunResult};

/// A container that is being created for longer than this has a reason that a person should see.
const SLOW_START: SignedDuration = SignedDuration::from_secs(45);
/// The longest text of a pod that is repeated.
const TEXT_LIMIT: usize = 300;
/// The most warnings and phases that are taken from an outcome.
const LIST_LIMIT: usize = 16;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// There is no Job.
    NoJob,
    /// The Job is there, its pod does not run yet.
    Starting,
    /// The pod can't start; it may still, when a person helps.
    NotStarting {
        /// The reason.
        reason: Reason,
        /// What is seen, and what to do.
        message: String,
    },
    /// The container runs.
    Running,
    /// The pod ended and said how.
    EndedByWord(Box<Outcome>),
    /// The run ended without a word.
    EndedSilently(SilentEnd),
}

/// A run that ended without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentEnd {
    /// The reason.
    pub reason: Reason,
    /// What was seen.
    pub message: String,
    /// The kubelet reported that its process has ended, or it never began. Where this is false the
    /// process may still be at work on a node that can't be reached.
    pub known_dead: bool,
    /// The container never ran.
    pub never_ran: bool,
}

impl RunState {
    /// True where the run has ended, one way or the other.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::EndedByWord(_) | Self::EndedSilently(_))
    }
}

/// Reads the state of a run from its Job and the Job's pods.
pub fn assess(job: Option<&Job>, pods: &[Pod], now: Timestamp) -> RunState {
    let Some(job) = job else {
        return RunState::NoJob;
    };
    let pods: Vec<&Pod> = pods
        .iter()
        .filter(|pod| super::children::is_owned_by(*pod, job.uid().as_deref().unwrap_or_default()))
        .collect();
    // One pod speaks for the Job. Were there ever two, one that told its outcome wins.
    if let Some(outcome) = pods.iter().find_map(|pod| outcome_of(pod)) {
        return RunState::EndedByWord(Box::new(outcome));
    }
    let end = JobEnd::of(job);
    let Some(pod) = pods.iter().max_by_key(|pod| pod.creation_timestamp()) else {
        return match end {
            Some(end) => RunState::EndedSilently(end.without_pod()),
            None => without_pod(job, now),
        };
    };
    let view = PodView::of(pod);
    if let Some(terminated) = view.terminated {
        return RunState::EndedSilently(view.ended(terminated, end.as_ref()));
    }
    if view.phase == "Failed" || view.phase == "Succeeded" || end.is_some() {
        return RunState::EndedSilently(view.ended_unseen(end.as_ref()));
    }
    if view.container.is_some_and(is_running) {
        return RunState::Running;
    }
    view.starting(now)
}

/// A Job that has no pod yet: a quota or an admission rule may stand in the way.
fn without_pod(job: &Job, now: Timestamp) -> RunState {
    let age = job
        .creation_timestamp()
        .map_or(SignedDuration::ZERO, |time| now.duration_since(time.0));
    if age <= SLOW_START {
        return RunState::Starting;
    }
    RunState::NotStarting {
        reason: Reason::PodNotStarting,
        message: format!(
            "the Job {} has had no pod for {} s; see its events: a quota or an admission rule may refuse the pod",
            job.name_any(),
            age.as_secs()
        ),
    }
}

/// Why a Job ended, by the Job controller's word.
struct JobEnd {
    reason: String,
}

impl JobEnd {
    fn of(job: &Job) -> Option<Self> {
        let conditions = job.status.as_ref()?.conditions.as_ref()?;
        conditions
            .iter()
            .find(|c| (c.type_ == "Complete" || c.type_ == "Failed") && c.status == "True")
            .map(|c| Self {
                reason: c.reason.clone().unwrap_or_default(),
            })
    }

    fn is_deadline(&self) -> bool {
        self.reason == "DeadlineExceeded"
    }

    fn without_pod(&self) -> SilentEnd {
        let (reason, message) = if self.is_deadline() {
            (
                Reason::TimedOut,
                "the Job passed its deadline and its pod is gone".to_owned(),
            )
        } else {
            (
                Reason::PodLost,
                "the pod was deleted before it told how it ended".to_owned(),
            )
        };
        SilentEnd {
            reason,
            message,
            known_dead: false,
            never_ran: false,
        }
    }
}

struct PodView<'a> {
    pod: &'a Pod,
    phase: &'a str,
    container: Option<&'a ContainerStatus>,
    terminated: Option<&'a ContainerStateTerminated>,
}

impl<'a> PodView<'a> {
    fn of(pod: &'a Pod) -> Self {
        let status = pod.status.as_ref();
        let container = container_of(pod);
        Self {
            pod,
            phase: status
                .and_then(|status| status.phase.as_deref())
                .unwrap_or_default(),
            container,
            terminated: container.and_then(terminated),
        }
    }

    /// The kubelet reported the end of the process.
    fn ended(&self, terminated: &ContainerStateTerminated, end: Option<&JobEnd>) -> SilentEnd {
        let status_reason = self.status_reason();
        let (reason, message) = if terminated.reason.as_deref() == Some("OOMKilled") {
            (
                Reason::OutOfMemory,
                "the pod was killed for its memory; raise spec.job.resources.limits.memory or lower spec.limits.parallelism".to_owned(),
            )
        } else if status_reason == "Evicted" || self.is_disrupted() {
            (
                Reason::PodLost,
                format!("the pod was evicted: {}", self.status_message()),
            )
        } else if end.is_some_and(JobEnd::is_deadline) || status_reason == "DeadlineExceeded" {
            (
                Reason::TimedOut,
                "the run did not end within spec.timeout and was stopped".to_owned(),
            )
        } else if self.pod.metadata.deletion_timestamp.is_some() {
            (Reason::PodLost, "the pod was deleted".to_owned())
        } else {
            (
                Reason::PodLost,
                format!(
                    "the pod ended with exit code {} and no word; its log says more",
                    terminated.exit_code
                ),
            )
        };
        SilentEnd {
            reason,
            message,
            known_dead: true,
            never_ran: false,
        }
    }

    /// The binary could not be copied, so the container never began.
    fn not_injected(&self) -> Option<SilentEnd> {
        let ended = init_container_of(self.pod).and_then(terminated)?;
        (ended.exit_code != 0).then(|| SilentEnd {
            reason: Reason::PodNotStarting,
            message: format!(
                "Lifeboat's binary could not be copied into the pod (exit code {}); the log of the container {INJECTION} says more",
                ended.exit_code
            ),
            known_dead: true,
            never_ran: true,
        })
    }

    /// The pod or Job is over, and the kubelet has not reported the end of the process.
    fn ended_unseen(&self, end: Option<&JobEnd>) -> SilentEnd {
        if let Some(end) = self.not_injected() {
            return end;
        }
        let never_ran = self.container.is_none_or(|status| {
            status.started != Some(true)
                && status
                    .state
                    .as_ref()
                    .is_none_or(|state| state.running.is_none())
        });
        // A pod that was bound to no node has run nowhere.
        let unbound = self
            .pod
            .spec
            .as_ref()
            .is_none_or(|spec| spec.node_name.as_deref().unwrap_or_default().is_empty());
        let (reason, message) = if end.is_some_and(JobEnd::is_deadline) {
            let message = if never_ran {
                "the pod did not start within spec.timeout"
            } else {
                "the run did not end within spec.timeout"
            };
            (Reason::TimedOut, message.to_owned())
        } else if self.status_reason() == "Evicted" || self.is_disrupted() {
            (
                Reason::PodLost,
                format!("the pod was evicted: {}", self.status_message()),
            )
        } else {
            (
                Reason::PodLost,
                format!("the pod is gone: {}", self.status_message()),
            )
        };
        SilentEnd {
            reason,
            message,
            known_dead: never_ran && unbound,
            never_ran,
        }
    }

    fn starting(&self, now: Timestamp) -> RunState {
        let containers = [init_container_of(self.pod), self.container];
        let waiting = containers
            .into_iter()
            .flatten()
            .filter_map(|status| status.state.as_ref()?.waiting.as_ref());
        for waiting in waiting {
            let word = waiting.reason.as_deref().unwrap_or_default();
            let text = clean(waiting.message.as_deref().unwrap_or_default());
            let advice = match word {
                "ErrImagePull"
                | "ImagePullBackOff"
                | "InvalidImageName"
                | "ErrImageNeverPull"
                | "RegistryUnavailable" => {
                    Some("check the image's name and spec.job.imagePullSecrets")
                }
                "CreateContainerConfigError"
                | "CreateContainerError"
                | "RunContainerError"
                | "StartError" => Some("check spec.job"),
                _ => None,
            };
            if let Some(advice) = advice {
                return RunState::NotStarting {
                    reason: Reason::PodNotStarting,
                    message: format!("the pod can't start ({}: {text}); {advice}", clean(word)),
                };
            }
        }
        if let Some(message) = self.unschedulable() {
            return RunState::NotStarting {
                reason: Reason::PodNotStarting,
                message: format!(
                    "no node takes the pod ({message}); check spec.job and the cluster's nodes"
                ),
            };
        }
        let age = self
            .pod
            .creation_timestamp()
            .map_or(SignedDuration::ZERO, |time| now.duration_since(time.0));
        if age > SLOW_START {
            return RunState::NotStarting {
                reason: Reason::PodNotStarting,
                message: format!(
                    "the pod has been created for {} s and its container does not run; see the pod's events",
                    age.as_secs()
                ),
            };
        }
        RunState::Starting
    }

    fn unschedulable(&self) -> Option<String> {
        let conditions = self.pod.status.as_ref()?.conditions.as_ref()?;
        conditions
            .iter()
            .find(|c| {
                c.type_ == "PodScheduled"
                    && c.status == "False"
                    && c.reason.as_deref() == Some("Unschedulable")
            })
            .map(|c| clean(c.message.as_deref().unwrap_or_default()))
    }

    fn is_disrupted(&self) -> bool {
        self.pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref())
            .is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|c| c.type_ == "DisruptionTarget" && c.status == "True")
            })
    }

    fn status_reason(&self) -> &str {
        self.pod
            .status
            .as_ref()
            .and_then(|status| status.reason.as_deref())
            .unwrap_or_default()
    }

    fn status_message(&self) -> String {
        let message = self
            .pod
            .status
            .as_ref()
            .and_then(|status| status.message.as_deref())
            .unwrap_or("no reason was given");
        clean(message)
    }
}

fn container_of(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|status| status.name == CONTAINER)
}

/// The container that copies Lifeboat's binary, where the run has one.
fn init_container_of(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status
        .as_ref()?
        .init_container_statuses
        .as_ref()?
        .iter()
        .find(|status| status.name == INJECTION)
}

fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

fn is_running(status: &ContainerStatus) -> bool {
    status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

/// The pod's own word, if it gave one: valid, and of this very pod.
fn outcome_of(pod: &Pod) -> Option<Outcome> {
    let terminated = terminated(container_of(pod)?)?;
    let message = terminated.message.as_deref()?;
    if message.len() > OUTCOME_LIMIT {
        return None;
    }
    let mut outcome: Outcome = serde_json::from_str(message).ok()?;
    if pod.uid().as_deref() != Some(outcome.run_id.as_str()) {
        return None;
    }
    // A pod that says success and was seen to fail was stopped after its word: the word counts
    // for a failure only.
    if terminated.exit_code != 0 && !matches!(outcome.result, RunResult::Failed(_)) {
        return None;
    }
    if let Some(failure) = outcome.result.failure_mut() {
        failure.message = clean_to(&failure.message, 900);
    }
    outcome.warnings.truncate(LIST_LIMIT);
    for warning in &mut outcome.warnings {
        *warning = clean_to(warning, 500);
    }
    outcome.phases.truncate(LIST_LIMIT);
    for phase in &mut outcome.phases {
        phase.name = clean_to(&phase.name, 32);
    }
    Some(outcome)
}

fn clean(text: &str) -> String {
    clean_to(text, TEXT_LIMIT)
}

/// Bounded, and without control characters.
fn clean_to(text: &str, limit: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests;
