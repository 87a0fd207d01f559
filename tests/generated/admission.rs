//! The tables of the admission tests name the message of every rule, so each rule is tried on a
//! real API server.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// The messages of all rules of a schema and of all below it.
pub(crate) fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(node) => {
            let rules = node
                .get("x-kubernetes-validations")
                .and_then(Value::as_array);
            for rule in rules.into_iter().flatten() {
                let message = rule["message"].as_str();
                found.insert(message.expect("a rule has a message").to_owned());
            }
            node.values().for_each(|child| messages(child, found));
        }
        Value::Array(children) => children.iter().for_each(|child| messages(child, found)),
        _ => {}
    }
}

/// The messages that the tables expect.
pub(crate) fn expected(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let table: Value = serde_saphyr::from_str(&text).unwrap();
            let cases = table["cases"].as_array().unwrap().clone();
            assert!(
                cases.iter().any(|case| case.get("refused").is_none()),
                "a table without a case that is taken proves nothing"
            );
            cases
        })
        .filter_map(|case| case["refused"].as_str().map(str::to_owned))
        .collect()
}
