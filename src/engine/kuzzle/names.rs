//! Names of indices and aliases: which are names at all, how they stand in a path, and what they are
//! called in a target.

use super::fault::word;
use crate::engine::{EngineError, ImportPlan};

/// The most bytes of a name.
const MAX_NAME: usize = 255;

/// What Kuzzle puts before an index's name to make its alias.
pub(super) const ALIAS_SIGN: &str = "@";

/// What is wrong with a name, by Elasticsearch's own rules. A name that passes is one name: no
/// pattern, no list, no date expression.
pub(super) fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Some("a name has 1 to 255 bytes");
    }
    if name == "." || name == ".." || name.starts_with(['-', '_', '+']) {
        return Some("a name is not . or .. and does not begin with -, _ or +");
    }
    if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'])
        || name.chars().any(char::is_control)
    {
        return Some("a name has none of \\ / * ? \" < > | , # : and no space");
    }
    None
}

/// What is wrong with the name of an index.
fn index_problem(name: &str) -> Option<&'static str> {
    if name.chars().any(char::is_uppercase) {
        return Some("the name of an index has no upper-case letters");
    }
    problem(name)
}

/// A name as a segment of a path: every byte but letters, digits, `-`, `_` and `.` is escaped.
pub(super) fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(escape).collect()
}

/// A name for an index in the target, where it can be one.
pub(super) fn checked(name: String) -> Result<String, EngineError> {
    match index_problem(&name) {
        None => Ok(name),
        Some(problem) => Err(bad("index", &name, problem)),
    }
}

/// What an index of the backup is called in the target.
pub(super) fn target(plan: &ImportPlan, name: &str) -> Result<String, EngineError> {
    checked(prefixed(plan, renamed(plan, name).unwrap_or(name)))
}

/// What an alias of an index of the backup is called in the target. None: an index that is renamed
/// leaves an alias behind that nobody renamed, since that would then mean two indices.
pub(super) fn target_alias(
    plan: &ImportPlan,
    index: &str,
    alias: &str,
) -> Result<Option<String>, EngineError> {
    let name = match (renamed(plan, alias), renamed(plan, index)) {
        (Some(to), _) => to.to_owned(),
        (None, None) => alias.to_owned(),
        (None, Some(to)) if alias.strip_prefix(ALIAS_SIGN) == Some(index) => {
            format!("{ALIAS_SIGN}{to}")
        }
        (None, Some(_)) => return Ok(None),
    };
    let name = prefixed(plan, &name);
    match problem(&name) {
        None => Ok(Some(name)),
        Some(problem) => Err(bad("alias", &name, problem)),
    }
}

fn renamed<'a>(plan: &'a ImportPlan, name: &str) -> Option<&'a str> {
    let found = plan.remap.iter().find(|remap| remap.from == name);
    found.map(|remap| remap.to.as_str())
}

fn prefixed(plan: &ImportPlan, name: &str) -> String {
    match &plan.drill_prefix {
        Some(prefix) => format!("{prefix}{name}"),
        None => name.to_owned(),
    }
}

fn bad(what: &str, name: &str, problem: &str) -> EngineError {
    EngineError::NotSupported {
        problem: format!(
            "{:?} can't be the name of an {what} in the target: {problem}; give it another with remap",
            word(name)
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::restore::Remap;

    fn plan(prefix: Option<&str>) -> ImportPlan {
        let remap = |from: &str, to: &str| Remap {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        ImportPlan {
            remap: vec![remap("&a.b", "&a.c"), remap("other", "another")],
            drill_prefix: prefix.map(str::to_owned),
            ..ImportPlan::default()
        }
    }

    #[test]
    fn names_in_the_target() {
        for (prefix, name, want) in [
            (None, "&a.b", "&a.c"),
            (None, "%kuzzle.users", "%kuzzle.users"),
            (Some("drill_77_"), "&a.b", "drill_77_&a.c"),
            (Some("drill_77_"), "&a.x", "drill_77_&a.x"),
        ] {
            assert_eq!(target(&plan(prefix), name).unwrap(), want);
        }
        for name in [
            "*",
            "a,b",
            "_all",
            "-a",
            "<a-{now}>",
            "A",
            "a/b",
            "..",
            "",
            "a\u{7f}",
            &"x".repeat(256),
        ] {
            assert!(target(&plan(None), name).is_err(), "{name:?}");
        }
        let error = target(&plan(Some("drill_77_")), &"x".repeat(250)).unwrap_err();
        assert!(error.to_string().contains("255 bytes"), "{error}");
    }

    #[test]
    fn aliases_follow_their_index() {
        for (prefix, index, alias, want) in [
            (None, "&a.x", "@&a.x", Some("@&a.x")),
            (None, "&a.b", "@&a.b", Some("@&a.c")),
            (None, "&a.b", "read", None),
            (None, "&a.b", "other", Some("another")),
            (Some("drill_77_"), "&a.x", "@&a.x", Some("drill_77_@&a.x")),
            (Some("drill_77_"), "&a.b", "@&a.b", Some("drill_77_@&a.c")),
        ] {
            let found = target_alias(&plan(prefix), index, alias).unwrap();
            assert_eq!(found.as_deref(), want, "{index} {alias}");
        }
        assert!(target_alias(&plan(None), "&a.x", "*").is_err());
    }

    #[test]
    fn paths() {
        assert_eq!(escape("@&i.c_1-é"), "%40%26i.c_1-%C3%A9");
        assert_eq!(escape("%kuzzle.users"), "%25kuzzle.users");
    }
}
