//! Log lines: JSON for controller and job pods, plain text for people.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Environment variable with the filter, for example `info` or `lifeboat=debug,kube=warn`.
pub const FILTER_ENV: &str = "LIFEBOAT_LOG";

/// What is logged where the variable is not set.
const SERVICE_DEFAULT: &str = "info";
/// A person sees results on standard output, and only faults beside them.
const PEOPLE_DEFAULT: &str = "warn";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line on standard output, for pods.
    Json,
    /// Text on standard error, for people.
    Human,
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// A filter that can't be read does not stop the process: the default is used, and said so.
pub fn init(format: LogFormat) {
    let wanted = std::env::var(FILTER_ENV).ok();
    let (filter, problem) = filter(wanted.as_deref(), format);
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init(),
        LogFormat::Human => builder
            .compact()
            .without_time()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .finish()
            .try_init(),
    };
    if started.is_ok()
        && let Some(problem) = problem
    {
        tracing::warn!(%problem, "{FILTER_ENV} can't be read; the default filter is used");
    }
}

/// The filter, and what is wrong with the one that was asked for.
fn filter(wanted: Option<&str>, format: LogFormat) -> (EnvFilter, Option<String>) {
    let default = match format {
        LogFormat::Json => SERVICE_DEFAULT,
        LogFormat::Human => PEOPLE_DEFAULT,
    };
    match wanted.map(str::trim).filter(|text| !text.is_empty()) {
        None => (EnvFilter::new(default), None),
        Some(text) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(problem) => (EnvFilter::new(default), Some(problem.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_falls_back_to_the_default() {
        let cases = [
            (None, LogFormat::Json, "info", false),
            (None, LogFormat::Human, "warn", false),
            (Some(""), LogFormat::Json, "info", false),
            (Some("  "), LogFormat::Json, "info", false),
            (
                Some("lifeboat=debug"),
                LogFormat::Json,
                "lifeboat=debug",
                false,
            ),
            (Some("lifeboat=loudly"), LogFormat::Json, "info", true),
        ];
        for (wanted, format, expected, has_problem) in cases {
            let (filter, problem) = filter(wanted, format);
            assert_eq!(filter.to_string(), expected, "{wanted:?}");
            assert_eq!(problem.is_some(), has_problem, "{wanted:?}");
        }
    }
}
