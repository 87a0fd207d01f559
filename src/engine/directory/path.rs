//! Which paths a file of a backup may have.

use std::path::Path;

/// The longest path, and the longest name in it, in bytes: what Linux takes.
const LONGEST: usize = 4095;
const LONGEST_NAME: usize = 255;
/// The most directories below one another.
const DEEPEST: usize = 64;

/// The path, where it leads to one place below whatever directory it is put: relative, no step
/// upwards or nowhere, no bound of Linux broken. Else what is wrong with it.
pub(super) fn check(path: &str) -> Result<&Path, String> {
    let bad = |problem: &str| {
        let shown: String = path.chars().take(64).flat_map(char::escape_debug).collect();
        Err(format!("the path \"{shown}\" of a file {problem}"))
    };
    if path.is_empty() || path.len() > LONGEST {
        return bad("is empty or too long");
    }
    if path.starts_with('/') {
        return bad("is absolute");
    }
    if path.contains('\0') {
        return bad("holds a NUL");
    }
    let mut names = 0;
    for name in path.split('/') {
        names += 1;
        if name.is_empty() || name == "." || name == ".." {
            return bad("has a step that is empty, . or ..");
        }
        if name.len() > LONGEST_NAME {
            return bad("has a name that is too long");
        }
    }
    if names > DEEPEST {
        return bad("is too deep");
    }
    Ok(Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_below() {
        let (long, deep) = ("x".repeat(256), "d/".repeat(64) + "f");
        let cases = [
            ("a", true),
            ("20261120T101500Z.s1.tar.gz", true),
            ("base/1/16384", true),
            ("..a/b..", true),
            ("a\\..\\b", true),
            ("-rf", true),
            ("日本/a b\n", true),
            ("", false),
            ("/etc/passwd", false),
            ("..", false),
            ("../a", false),
            ("a/../../b", false),
            ("a/..", false),
            ("./a", false),
            ("a//b", false),
            ("a/", false),
            ("a\0b", false),
            (long.as_str(), false),
            (deep.as_str(), false),
        ];
        for (path, good) in cases {
            assert_eq!(check(path).is_ok(), good, "{path:?}: {:?}", check(path));
        }
    }
}
