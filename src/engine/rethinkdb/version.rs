//! Versions of the server. Pure.

use super::fault::word;

/// The first version with write hooks.
const OLDEST: [u32; 2] = [2, 4];

/// Whether a version is served. One that can't be read is that of a build of one's own.
pub(super) fn is_served(version: &str) -> bool {
    numbers(version).is_none_or(|numbers| numbers.as_slice() >= OLDEST.as_slice())
}

/// What a person should know before indexes of a server come to one of an earlier version.
pub(super) fn warning(source: &str, target: &str) -> Option<String> {
    (numbers(target)? < numbers(source)?).then(|| {
        format!(
            "the backup is of RethinkDB {}, the target is the earlier {}: it may not take the functions of secondary indexes; set noSecondaryIndexes where the restore fails with them",
            word(source),
            word(target)
        )
    })
}

/// `2.4.4-dirty` as its numbers.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let numbers = version.split(['-', '+', '~', ' ']).next()?.split('.');
    numbers.map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served() {
        for (version, served) in [
            ("2.4.0", true),
            ("2.10.1-dirty", true),
            ("2.3.6~jammy", false),
            ("of my own", true),
        ] {
            assert_eq!(is_served(version), served, "{version}");
        }
    }

    #[test]
    fn an_earlier_target_is_told() {
        for (target, told) in [
            ("2.4.3", true),
            ("2.3.9~jammy", true),
            ("2.4.4", false),
            ("2.4.4-dirty", false),
            ("2.10.0", false),
            ("of my own", false),
        ] {
            assert_eq!(warning("2.4.4", target).is_some(), told, "{target}");
        }
    }
}
