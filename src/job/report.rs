//! Says how a run ended: as the termination message, at most 4 KiB, and as a log line.

use std::io::Write;
use std::path::Path;

use crate::api::outcome::{OUTCOME_LIMIT, Outcome, RunResult};
use crate::secrets::Secrets;

/// The most warnings and the most characters in each that a status takes.
const WARNINGS_LIMIT: usize = 16;
const WARNING_CHARS: usize = 512;
/// The most characters in a message that a status takes.
const MESSAGE_CHARS: usize = 1024;
/// The most phases that a status takes.
const PHASES_LIMIT: usize = 16;
/// The shortest message that is worth keeping while warnings are dropped.
const SHORT_MESSAGE_CHARS: usize = 200;

/// Writes the outcome to `path` for the kubelet, and to the log.
///
/// The termination message is a hint, so a file that can't be written is only logged.
pub(super) fn write(outcome: &Outcome, secrets: &Secrets, path: &Path) {
    let text = encode(&secrets.clean(outcome));
    if matches!(outcome.result, RunResult::Failed(_)) {
        tracing::error!(outcome = %text, "run failed");
    } else {
        tracing::info!(outcome = %text, "run done");
    }
    if let Err(error) = fill(path, &text) {
        tracing::warn!(path = %path.display(), %error, "the outcome could not be written");
    }
}

/// Writes into a file that is there: the kubelet made it, and outside of a pod none is wanted.
fn fill(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// The outcome as JSON of at most [`OUTCOME_LIMIT`] bytes: what is too long is cut, warnings first.
pub(super) fn encode(outcome: &Outcome) -> String {
    let mut outcome = outcome.clone();
    outcome.run_id = cut(&outcome.run_id, 64);
    outcome.phases.truncate(PHASES_LIMIT);
    limit_warnings(&mut outcome.warnings);
    limit_message(&mut outcome.result, MESSAGE_CHARS);
    loop {
        let text = serde_json::to_string(&outcome).unwrap_or_default();
        if text.len() <= OUTCOME_LIMIT {
            return text;
        }
        shrink(&mut outcome);
    }
}

/// Takes away what is missed least. Called until the outcome fits; each call makes it smaller.
fn shrink(outcome: &mut Outcome) {
    let longest = outcome.warnings.iter_mut().max_by_key(|text| text.len());
    if let Some(longest) = longest.filter(|text| text.chars().count() > 80) {
        let half = longest.chars().count() / 2;
        *longest = cut(longest, half);
    } else if !outcome.warnings.is_empty() {
        outcome.warnings.pop();
    } else if message_chars(&mut outcome.result) > SHORT_MESSAGE_CHARS {
        let half = message_chars(&mut outcome.result) / 2;
        limit_message(&mut outcome.result, half);
    } else if !outcome.phases.is_empty() {
        outcome.phases.pop();
    } else if let RunResult::Exported(exported) = &mut outcome.result {
        // A key longer than any of ours; the manifest itself is the truth.
        exported.manifest.path = String::new();
    } else {
        limit_message(&mut outcome.result, 0);
        outcome.run_id = String::new();
    }
}

fn limit_warnings(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(WARNINGS_LIMIT);
    if more > 0 {
        warnings.truncate(WARNINGS_LIMIT - 1);
        warnings.push(format!("and {} more; see the log of the pod", more + 1));
    }
    for warning in warnings {
        *warning = cut(warning, WARNING_CHARS);
    }
}

fn limit_message(result: &mut RunResult, chars: usize) {
    if let Some(failure) = result.failure_mut() {
        failure.message = cut(&failure.message, chars);
    }
}

fn message_chars(result: &mut RunResult) -> usize {
    let failure = result.failure_mut();
    failure.map_or(0, |failure| failure.message.chars().count())
}

/// At most `chars` characters, with an ellipsis where something was cut, and without control
/// characters: each of those takes six bytes in JSON.
fn cut(text: &str, chars: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= chars {
        return text.chars().map(clean).collect();
    }
    let mut short: String = text
        .chars()
        .map(clean)
        .take(chars.saturating_sub(1))
        .collect();
    if chars > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::common::{ManifestRef, PhaseTiming};
    use crate::api::conditions::Reason;
    use crate::api::outcome::{Exported, Failure};

    fn failed(message: &str, warnings: Vec<String>) -> Outcome {
        Outcome {
            run_id: "5ab3".to_owned(),
            result: RunResult::Failed(Failure {
                reason: Reason::RecordsRefused,
                message: message.to_owned(),
                retryable: false,
                applied_parts: 7,
            }),
            phases: vec![],
            warnings,
        }
    }

    #[test]
    fn what_fits_is_not_changed() {
        let outcome = failed("the target refused 3 records", vec!["a warning".to_owned()]);
        let read: Outcome = serde_json::from_str(&encode(&outcome)).unwrap();
        assert_eq!(read, outcome);
    }

    #[test]
    fn warnings_are_counted_where_they_are_cut() {
        let warnings = (0..40).map(|n| format!("warning {n}")).collect();
        let read: Outcome = serde_json::from_str(&encode(&failed("no", warnings))).unwrap();
        assert_eq!(read.warnings.len(), WARNINGS_LIMIT);
        assert_eq!(read.warnings[15], "and 25 more; see the log of the pod");
    }

    #[test]
    fn a_key_of_any_length_fits() {
        let outcome = Outcome {
            run_id: "x".repeat(5000),
            result: RunResult::Exported(Exported {
                manifest: ManifestRef {
                    path: "\u{1}".repeat(1024),
                    sha256: "0".repeat(64),
                },
                adopted: true,
            }),
            phases: vec![
                PhaseTiming {
                    name: "export".to_owned(),
                    start_time: jiff::Timestamp::UNIX_EPOCH,
                    end_time: None,
                };
                50
            ],
            warnings: vec![],
        };
        let text = encode(&outcome);
        assert!(text.len() <= OUTCOME_LIMIT);
        serde_json::from_str::<Outcome>(&text).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_outcome_fits_and_can_be_read(
            message in ".{0,1500}",
            warnings in proptest::collection::vec("(?s).{0,600}", 0..24),
        ) {
            let text = encode(&failed(&message, warnings));
            prop_assert!(text.len() <= OUTCOME_LIMIT);
            let read: Outcome = serde_json::from_str(&text).unwrap();
            prop_assert!(matches!(read.result, RunResult::Failed(f) if f.applied_parts == 7));
        }
    }
}
