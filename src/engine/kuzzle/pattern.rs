//! Which indices are in a backup: regular expressions on their names.

use regex::{RegexSet, RegexSetBuilder};

use super::fault::word;
use crate::engine::EngineError;

/// Kuzzle's own: public collections (`&`) and internal ones (`%`).
const DEFAULT: &str = "^[&%]";
/// The most bytes of a compiled set.
const SIZE_LIMIT: usize = 1 << 20;

/// What is taken and what of it is left out.
#[derive(Debug)]
pub(super) struct Selection {
    include: RegexSet,
    exclude: RegexSet,
}

impl Selection {
    /// Of the patterns of a spec. None to include: all of Kuzzle's.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, EngineError> {
        let default = [DEFAULT.to_owned()];
        let include = if include.is_empty() {
            &default
        } else {
            include
        };
        Ok(Self {
            include: compile("include", include)?,
            exclude: compile("exclude", exclude)?,
        })
    }

    /// Whether an index is taken.
    pub(super) fn takes(&self, index: &str) -> bool {
        self.include.is_match(index) && !self.exclude.is_match(index)
    }

    /// The patterns, as a manifest shows them.
    pub(super) fn show(&self) -> (String, String) {
        (
            self.include.patterns().join(" | "),
            self.exclude.patterns().join(" | "),
        )
    }
}

/// The engine of these expressions takes time that grows with the length of a name only.
fn compile(field: &str, patterns: &[String]) -> Result<RegexSet, EngineError> {
    RegexSetBuilder::new(patterns)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| EngineError::NotSupported {
            problem: format!(
                "kuzzle.{field} has a pattern that can't be used: {}",
                word(&error.to_string())
            ),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (include, exclude, index, taken) in [
            (&[][..], &[][..], "&i.c", true),
            (&[], &[], "%kuzzle.users", true),
            (&[], &[], ".kibana", false),
            (&[], &[], "logs-&", false),
            (&["^&"], &[], "%kuzzle.users", false),
            (
                &["^&iot\\.", "^&shop\\."],
                &["\\.tmp$"],
                "&iot.measures",
                true,
            ),
            (&["^&iot\\.", "^&shop\\."], &["\\.tmp$"], "&iot.tmp", false),
        ] {
            let selection = Selection::new(&words(include), &words(exclude)).unwrap();
            assert_eq!(selection.takes(index), taken, "{include:?} {index}");
        }
    }

    #[test]
    fn bad_patterns_are_refused_with_their_field() {
        for pattern in ["(", "((a{1000}){1000}){1000}", "(?=a)"] {
            let error = Selection::new(&[], &[pattern.to_owned()]).unwrap_err();
            assert!(error.to_string().contains("kuzzle.exclude"), "{error}");
        }
    }
}
