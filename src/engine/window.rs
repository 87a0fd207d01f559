//! Whether an export is full, or a window on top of others.
//!
//! A window takes the records whose event time is not before the last watermark less the overlap.
//! It has no upper bound unless `lag` asks for one, so records that lie a little ahead are in it.
//! What a window can't see: deletes, and records written later than the overlap. A full export every
//! `fullEvery` catches them.
//!
//! A table, or a measurement in a retention policy, that the last backup did not know is read from
//! the beginning of time, within the same increment: its history would lie before every window. So a
//! new database inside "all databases" is whole in the first increment that sees it. For this each
//! manifest's scope carries a short hash of each name; above [`HASH_LIMIT`]
//! names it carries one digest of all names, and then any new name means a full export.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::api::common::Span;
use crate::api::engines::Incremental;
use crate::engine::{ChainPlan, ChainState, EngineError};
use crate::manifest::Part;

/// What was selected.
pub(in crate::engine) const SCOPE_SELECTION: &str = "databases";
/// Which names were there: see the module. Manifests of other engines than InfluxDB use the word too.
pub(in crate::engine) const SCOPE_NAMES: &str = "measurements";

const DEFAULT_OVERLAP: &str = "10m";
const DEFAULT_LAG: &str = "0s";
const DEFAULT_FULL_EVERY: &str = "24h";
/// 16 characters each must fit into a manifest's head.
const HASH_LIMIT: usize = 1000;
const HASHES: &str = "names:";
const DIGEST: &str = "digest:";

/// Three names, from the outermost: database, retention policy and measurement, for example.
pub(in crate::engine) type Key<'a> = (&'a str, &'a str, &'a str);

fn hash((outer, middle, inner): Key<'_>) -> String {
    let text = format!("{outer}\0{middle}\0{inner}");
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// The scope's word for the names that are there.
pub(in crate::engine) fn names_word<'a>(keys: impl IntoIterator<Item = Key<'a>>) -> String {
    let mut hashes: Vec<String> = keys.into_iter().map(hash).collect();
    hashes.sort_unstable();
    if hashes.len() > HASH_LIMIT {
        return format!("{DIGEST}{}", hex::encode(Sha256::digest(hashes.concat())));
    }
    format!("{HASHES}{}", hashes.concat())
}

/// The names that the last backup knew.
#[derive(Debug, Default)]
pub(in crate::engine) struct Known(Option<HashSet<String>>);

impl Known {
    /// From the scope of the last backup.
    pub(in crate::engine) fn of(scope: &BTreeMap<String, String>) -> Self {
        let hashes = scope
            .get(SCOPE_NAMES)
            .and_then(|word| word.strip_prefix(HASHES));
        Self(hashes.map(|text| {
            text.as_bytes()
                .chunks(16)
                .map(|hash| String::from_utf8_lossy(hash).into_owned())
                .collect()
        }))
    }

    /// Whether a name was known. With one digest of all names, all were: else the export is full.
    pub(in crate::engine) fn has(&self, key: Key<'_>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|known| known.contains(&hash(key)))
    }
}

/// Decides whether an export builds on the newest chain.
pub(in crate::engine) fn decide_chain(
    incremental: Option<&Incremental>,
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
        && previous.scope.get(SCOPE_SELECTION) == scope.get(SCOPE_SELECTION)
        && same_names(&previous.scope, scope)
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

fn same_names(previous: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> bool {
    match (previous.get(SCOPE_NAMES), now.get(SCOPE_NAMES)) {
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

/// A part's window, where it has one: an attribute, in nanoseconds.
pub(in crate::engine) const WINDOW_START: &str = "windowStart";
/// See [`WINDOW_START`]; exclusive.
pub(in crate::engine) const WINDOW_END: &str = "windowEnd";

/// The attributes of a part: its window, where the export is one and the part was known before.
pub(in crate::engine) fn attributes(chain: &ChainPlan, known: bool) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    if let ChainPlan::Incremental {
        window_start,
        window_end,
        ..
    } = chain
        && known
    {
        attributes.insert(WINDOW_START.to_owned(), window_start.to_string());
        if let Some(end) = window_end {
            attributes.insert(WINDOW_END.to_owned(), end.to_string());
        }
    }
    attributes
}

/// A bound of a part's window.
pub(in crate::engine) fn bound(part: &Part, key: &str) -> Result<Option<i64>, EngineError> {
    match part.attributes.get(key).map(|text| text.parse()) {
        None => Ok(None),
        Some(Ok(time)) => Ok(Some(time)),
        Some(Err(_)) => Err(EngineError::BadBackup {
            problem: format!("its parts index has a {key} that is no time"),
        }),
    }
}

/// What a spec selects, in few bytes; `text` is the selection in one form whatever the order it is
/// written in.
pub(in crate::engine) fn selection_word(text: String) -> String {
    if text.len() <= 2048 {
        return text;
    }
    format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())))
}

/// A time in nanoseconds, within what 64 bits hold.
pub(in crate::engine) fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < jiff::Timestamp::UNIX_EPOCH {
        i64::MIN + 2
    } else {
        i64::MAX - 1
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn scope(databases: &str, measurements: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (SCOPE_SELECTION.to_owned(), databases.to_owned()),
            (SCOPE_NAMES.to_owned(), measurements.to_owned()),
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

    fn spec(overlap: Option<&str>, lag: Option<&str>, full_every: Option<&str>) -> Incremental {
        Incremental {
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
    fn new_names_are_told_from_known_ones() {
        let known = Known::of(&scope(
            "all",
            &names_word([("d", "r", "m"), ("d", "r", "n")]),
        ));
        assert!(known.has(("d", "r", "m")));
        assert!(!known.has(("d", "r", "o")));
        assert!(!known.has(("e", "r", "m")));
        assert!(!Known::of(&scope("all", &names_word([]))).has(("d", "r", "m")));

        let names: Vec<String> = (0..=HASH_LIMIT).map(|n| n.to_string()).collect();
        let word = names_word(names.iter().map(|name| ("d", "r", name.as_str())));
        assert!(word.starts_with(DIGEST));
        let most = names_word(names[1..].iter().map(|name| ("d", "r", name.as_str())));
        assert!(most.len() < 17_000, "{}", most.len());
    }
}
