//! What a configuration (`cluster.hocon`) says that a person should know before it is imported.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The most names that are told.
const SHOWN: usize = 8;
/// Keys whose value is the path of a file that a node reads.
const FILE_KEYS: [&str; 4] = ["cacertfile", "certfile", "keyfile", "path"];
/// What data flows out through once it is imported.
const LIVE: [&str; 4] = ["connectors", "actions", "sources", "bridges"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Settings that name files outside the archive, as `listeners.ssl.default.keyfile (/x/key.pem)`.
    pub(super) outside: Vec<String>,
    /// Connectors and the like that are switched on, as `connectors.http.x`.
    pub(super) live: Vec<String>,
    /// Where each authenticator's passwords have their salt: `password_based:built_in_database` to
    /// `suffix`.
    pub(super) salts: BTreeMap<String, String>,
    /// Whether there are rules of the rule engine.
    pub(super) rules: bool,
}

/// Looks through a configuration. `files` are those in the archive.
pub(super) fn look(configuration: &Map<String, Value>, files: &BTreeSet<String>) -> Findings {
    let mut findings = Findings {
        rules: configuration
            .get("rule_engine")
            .and_then(|engine| engine.get("rules"))
            .and_then(Value::as_object)
            .is_some_and(|rules| !rules.is_empty()),
        ..Findings::default()
    };
    for (key, value) in configuration {
        look_for_files(value, &mut vec![key.clone()], files, &mut findings.outside);
    }
    for root in LIVE {
        let kinds = configuration.get(root).and_then(Value::as_object);
        for (kind, named) in kinds.into_iter().flatten() {
            for (name, one) in named.as_object().into_iter().flatten() {
                if is_on(one) {
                    findings.live.push(format!("{root}.{kind}.{name}"));
                }
            }
        }
    }
    let authenticators = configuration
        .get("authentication")
        .and_then(Value::as_array);
    for authenticator in authenticators.into_iter().flatten() {
        if let (Some(id), Some(salt)) = (id_of(authenticator), salt_of(authenticator)) {
            findings.salts.insert(id, salt.to_owned());
        }
    }
    findings
}

/// An authenticator's id, as the REST API has it in paths.
fn id_of(authenticator: &Value) -> Option<String> {
    let word = |key| authenticator.get(key).and_then(Value::as_str);
    let mechanism = word("mechanism")?;
    Some(match word("backend") {
        Some(backend) => format!("{mechanism}:{backend}"),
        None => mechanism.to_owned(),
    })
}

/// Where an authenticator's passwords have their salt: `prefix`, `suffix` or `disable`.
pub(super) fn salt_of(authenticator: &Value) -> Option<&str> {
    authenticator
        .get("password_hash_algorithm")?
        .get("salt_position")?
        .as_str()
}

fn is_on(one: &Value) -> bool {
    one.is_object() && !matches!(one.get("enable"), Some(Value::Bool(false)))
}

fn look_for_files(
    value: &Value,
    path: &mut Vec<String>,
    files: &BTreeSet<String>,
    found: &mut Vec<String>,
) {
    match value {
        Value::Object(object) if is_on(value) => {
            for (key, inner) in object {
                path.push(key.clone());
                look_for_files(inner, path, files, found);
                path.pop();
            }
        }
        Value::Array(list) => {
            for inner in list {
                look_for_files(inner, path, files, found);
            }
        }
        Value::String(text) => {
            let key = path.last().map_or("", String::as_str);
            // `path` is a file among the sources of authorization, and a URL's path elsewhere.
            let names_file = FILE_KEYS.contains(&key)
                && (key != "path" || path.first().is_some_and(|root| root == "authorization"));
            if names_file && !text.is_empty() && !is_inside(text, files) {
                found.push(format!("{} ({})", path.join("."), super::word(text)));
            }
        }
        _ => {}
    }
}

/// Whether a file is in the archive: its text itself, or a path that ends in one of its entries
/// (`data/certs/…` is stored as `certs/…`).
fn is_inside(text: &str, files: &BTreeSet<String>) -> bool {
    if text.contains("-----BEGIN") {
        return true;
    }
    let mut rest = text;
    loop {
        if files.contains(rest) {
            return true;
        }
        match rest.split_once('/') {
            Some((_, shorter)) => rest = shorter,
            None => return false,
        }
    }
}

/// A few names for a sentence.
pub(super) fn few(names: &[String]) -> String {
    let mut shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = format!("{} more", names.len().saturating_sub(SHOWN));
    if names.len() > SHOWN {
        shown.push(&more);
    }
    shown.join(", ")
}

/// What a backup's warnings say of files outside the archive.
pub(super) fn outside_warning(outside: &[String]) -> Option<String> {
    (!outside.is_empty()).then(|| {
        format!(
            "the export has no files outside EMQX's data directory; copy these to the standby by hand, to the same place: {}",
            few(outside)
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::hocon;
    use super::*;

    #[test]
    fn what_is_told() {
        let text = r#"
authentication = [
  {backend = built_in_database, mechanism = password_based, password_hash_algorithm {name = sha256, salt_position = suffix}}
  {mechanism = jwt, secret = x}
]
authorization { sources = [ {type = file, path = "${EMQX_ETC_DIR}/acl.conf"}, {type = file, enable = false, path = "/gone"} ] }
connectors { http { sink { enable = true, url = "http://x/" }, off { enable = false } } }
actions { http { a { connector = sink, parameters { path = "/y" } } } }
rule_engine { rules { r1 { sql = "SELECT 1" } } }
listeners {
  ssl {
    default { enable = false, ssl_options { keyfile = "/etc/key.pem" } }
    inner { ssl_options { keyfile = "/opt/emqx/data/certs/l/key", certfile = "-----BEGIN CERTIFICATE-----" } }
    outer { ssl_options { keyfile = "/etc/pki/key.pem" } }
  }
}
"#;
        let files = BTreeSet::from(["certs/l/key".to_owned()]);
        let found = look(&hocon::parse(text).unwrap(), &files);
        assert_eq!(
            found.outside,
            [
                "authorization.sources.path (${EMQX_ETC_DIR}/acl.conf)",
                "listeners.ssl.outer.ssl_options.keyfile (/etc/pki/key.pem)",
            ]
        );
        assert_eq!(found.live, ["connectors.http.sink", "actions.http.a"]);
        assert_eq!(
            found.salts,
            BTreeMap::from([(
                "password_based:built_in_database".to_owned(),
                "suffix".to_owned()
            )])
        );
        assert!(found.rules);
        assert!(
            outside_warning(&found.outside)
                .unwrap()
                .contains("acl.conf")
        );
        assert_eq!(outside_warning(&[]), None);
        let many: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert!(few(&many).ends_with("7, 2 more"));
    }
}
