//! Whether an export is full, or a window on top of others.
//!
//! A window takes the points whose event time is not before the last watermark less the overlap.
//! It has no upper bound unless `lag` asks for one, so points that lie a little ahead are in it.
//! What a window can't see: deletes, and points written later than the overlap. A full export every
//! `fullEvery` catches them.
//!
//! A measurement (in a database and retention policy) that the last backup did not know is read from
//! the beginning of time, within the same increment: its history would lie before every window. So a
//! new database inside "all databases" is whole in the first increment that sees it. For this each
//! manifest's scope carries a short hash of each measurement's name; above [`HASH_LIMIT`]
//! measurements it carries one digest of all names, and then any new name means a full export.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use super::catalog::nanoseconds;
use crate::api::common::Span;
use crate::api::engines::InfluxDbIncremental;
use crate::engine::{ChainPlan, ChainState, EngineError};

/// What was selected.
pub(super) const SCOPE_DATABASES: &str = "databases";
/// Which measurements were there: see the module.
pub(super) const SCOPE_MEASUREMENTS: &str = "measurements";

const DEFAULT_OVERLAP: &str = "10m";
const DEFAULT_LAG: &str = "0s";
const DEFAULT_FULL_EVERY: &str = "24h";
/// 16 characters each must fit into a manifest's head.
const HASH_LIMIT: usize = 1000;
const HASHES: &str = "names:";
const DIGEST: &str = "digest:";

/// Database, retention policy and measurement.
pub(super) type Key<'a> = (&'a str, &'a str, &'a str);

fn hash((database, policy, measurement): Key<'_>) -> String {
    let text = format!("{database}\0{policy}\0{measurement}");
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// The scope's word for the measurements that are there.
pub(super) fn measurements_word<'a>(keys: impl IntoIterator<Item = Key<'a>>) -> String {
    let mut hashes: Vec<String> = keys.into_iter().map(hash).collect();
    hashes.sort_unstable();
    if hashes.len() > HASH_LIMIT {
        return format!("{DIGEST}{}", hex::encode(Sha256::digest(hashes.concat())));
    }
    format!("{HASHES}{}", hashes.concat())
}

/// The measurements that the last backup knew.
#[derive(Debug, Default)]
pub(super) struct Known(Option<HashSet<String>>);

impl Known {
    /// From the scope of the last backup.
    pub(super) fn of(scope: &BTreeMap<String, String>) -> Self {
        let hashes = scope
            .get(SCOPE_MEASUREMENTS)
            .and_then(|word| word.strip_prefix(HASHES));
        Self(hashes.map(|text| {
            text.as_bytes()
                .chunks(16)
                .map(|hash| String::from_utf8_lossy(hash).into_owned())
                .collect()
        }))
    }

    /// Whether a measurement was known. With one digest of all names, all were: else the export is full.
    pub(super) fn has(&self, key: Key<'_>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|known| known.contains(&hash(key)))
    }
}

/// Decides whether an export builds on the newest chain.
pub(super) fn decide_chain(
    incremental: Option<&InfluxDbIncremental>,
    previous: Option<&ChainState>,
    consistency_time: jiff::Timestamp,
    scope: &BTreeMap<String, String>,
    server_id: &str,
) -> Result<ChainPlan, EngineError> {
    let (Some(spec), Some(previous)) = (incremental, previous) else {
        return Ok(ChainPlan::Full);
    };
    let overlap = span(spec.overlap.as_ref(), DEFAULT_OVERLAP)?;
    let lag = span(spec.lag.as_ref(), DEFAULT_LAG)?;
    let full_every = span(spec.full_every.as_ref(), DEFAULT_FULL_EVERY)?;
    let now = nanoseconds(consistency_time);
    let base = nanoseconds(previous.base_consistency);
    let last = nanoseconds(previous.newest_consistency);
    let fits = previous.server_id == server_id
        && previous.scope.get(SCOPE_DATABASES) == scope.get(SCOPE_DATABASES)
        && same_measurements(&previous.scope, scope)
        // A clock that was set back: the watermark can't be trusted.
        && last <= now
        && base <= last
        && now.saturating_sub(base) < full_every;
    if !fits {
        return Ok(ChainPlan::Full);
    }
    let watermark = match &previous.newest_chain {
        ChainPlan::Incremental {
            window_end: Some(end),
            ..
        } => (*end).min(last),
        _ => last.saturating_sub(lag),
    };
    let window_end = (lag > 0).then(|| now.saturating_sub(lag));
    Ok(ChainPlan::Incremental {
        base: previous.base.clone(),
        previous: previous.newest.clone(),
        window_start: watermark.saturating_sub(overlap),
        window_end,
    })
}

fn same_measurements(previous: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> bool {
    match (
        previous.get(SCOPE_MEASUREMENTS),
        now.get(SCOPE_MEASUREMENTS),
    ) {
        (Some(before), Some(now)) => before.starts_with(HASHES) || before == now,
        _ => false,
    }
}

fn span(span: Option<&Span>, default: &str) -> Result<i64, EngineError> {
    let span = span.cloned().unwrap_or_else(|| default.into());
    let duration = span.get().map_err(|error| EngineError::NotSupported {
        problem: error.to_string(),
    })?;
    Ok(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn scope(databases: &str, measurements: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (SCOPE_DATABASES.to_owned(), databases.to_owned()),
            (SCOPE_MEASUREMENTS.to_owned(), measurements.to_owned()),
        ])
    }

    fn at(minutes: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
    }

    fn state() -> ChainState {
        ChainState {
            base: "full".into(),
            base_consistency: at(0),
            newest: "last".into(),
            newest_consistency: at(60),
            newest_chain: ChainPlan::Full,
            scope: scope("all", "names:aaaaaaaaaaaaaaaa"),
            server_id: "h:8086".into(),
        }
    }

    fn spec(
        overlap: Option<&str>,
        lag: Option<&str>,
        full_every: Option<&str>,
    ) -> InfluxDbIncremental {
        InfluxDbIncremental {
            overlap: overlap.map(Span::from),
            lag: lag.map(Span::from),
            full_every: full_every.map(Span::from),
        }
    }

    #[test]
    #[allow(clippy::too_many_lines)] // a table
    fn full_or_window() {
        let word = "names:aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";
        let now = scope("all", word);
        let start = nanoseconds(at(60));
        let window = |window_start, window_end| ChainPlan::Incremental {
            base: "full".into(),
            previous: "last".into(),
            window_start,
            window_end,
        };
        let ended = |end| ChainState {
            newest_chain: window(0, Some(end)),
            ..state()
        };
        let all = spec(None, None, None);
        for (name, spec, previous, time, want) in [
            ("no incremental", None, Some(state()), at(61), None),
            ("first", Some(all.clone()), None, at(61), None),
            (
                "defaults",
                Some(all.clone()),
                Some(state()),
                at(61),
                Some((start - 10 * MINUTE, None)),
            ),
            (
                "overlap",
                Some(spec(Some("0s"), None, None)),
                Some(state()),
                at(61),
                Some((start, None)),
            ),
            (
                "lag",
                Some(spec(Some("1m"), Some("5m"), None)),
                Some(state()),
                at(61),
                Some((start - 6 * MINUTE, Some(start - 4 * MINUTE))),
            ),
            (
                "the last window's end is the watermark",
                Some(spec(Some("1m"), Some("5m"), None)),
                Some(ended(start - 5 * MINUTE)),
                at(61),
                Some((start - 6 * MINUTE, Some(start - 4 * MINUTE))),
            ),
            ("due", Some(all.clone()), Some(state()), at(24 * 60), None),
            (
                "almost due",
                Some(all.clone()),
                Some(state()),
                at(24 * 60 - 1),
                Some((start - 10 * MINUTE, None)),
            ),
            (
                "due by spec",
                Some(spec(None, None, Some("1h"))),
                Some(state()),
                at(61),
                None,
            ),
            (
                "clock set back",
                Some(all.clone()),
                Some(state()),
                at(59),
                None,
            ),
            (
                "other server",
                Some(all.clone()),
                Some(ChainState {
                    server_id: "x:1".into(),
                    ..state()
                }),
                at(61),
                None,
            ),
            (
                "other scope",
                Some(all.clone()),
                Some(ChainState {
                    scope: scope("one", "names:"),
                    ..state()
                }),
                at(61),
                None,
            ),
            (
                "too many names to tell the new ones",
                Some(all.clone()),
                Some(ChainState {
                    scope: scope("all", "digest:1"),
                    ..state()
                }),
                at(61),
                None,
            ),
            (
                "a scope without measurements",
                Some(all),
                Some(ChainState {
                    scope: BTreeMap::new(),
                    ..state()
                }),
                at(61),
                None,
            ),
        ] {
            let found =
                decide_chain(spec.as_ref(), previous.as_ref(), time, &now, "h:8086").unwrap();
            let want = want.map_or(ChainPlan::Full, |(start, end)| window(start, end));
            assert_eq!(found, want, "{name}");
        }
    }

    #[test]
    fn a_bad_span_is_refused() {
        let error = decide_chain(
            Some(&spec(Some("soon"), None, None)),
            Some(&state()),
            at(61),
            &state().scope,
            "h:8086",
        );
        assert!(error.unwrap_err().to_string().contains("not a span"));
    }

    #[test]
    fn new_measurements_are_told_from_known_ones() {
        let known = Known::of(&scope(
            "all",
            &measurements_word([("d", "r", "m"), ("d", "r", "n")]),
        ));
        assert!(known.has(("d", "r", "m")));
        assert!(!known.has(("d", "r", "o")));
        assert!(!known.has(("e", "r", "m")));
        assert!(!Known::of(&scope("all", &measurements_word([]))).has(("d", "r", "m")));

        let names: Vec<String> = (0..=HASH_LIMIT).map(|n| n.to_string()).collect();
        let word = measurements_word(names.iter().map(|name| ("d", "r", name.as_str())));
        assert!(word.starts_with(DIGEST));
        let most = measurements_word(names[1..].iter().map(|name| ("d", "r", name.as_str())));
        assert!(most.len() < 17_000, "{}", most.len());
    }
}
