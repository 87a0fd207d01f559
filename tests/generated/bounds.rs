//! Every string, list and map of the definitions is bounded, and everything has a description.

use serde_json::Value;

/// Ends of the paths whose content is not ours: handed on to Kubernetes, or refused as not built.
const OPEN: [&str; 6] = [
    ".job.affinity",
    ".job.resources",
    ".job.tolerations[]",
    ".job.topologySpreadConstraints[]",
    ".job.volumes[].hostPath",
    ".spec.encryption",
];

/// What Kubernetes may not be told of types: OpenAPI v3 knows no others.
const FORMATS: [&str; 4] = ["int32", "int64", "date-time", "double"];

/// What is wrong with a schema and all below it.
pub(crate) fn faults(path: &str, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(path, schema, &mut found);
    found
}

/// The rules of a schema and of all below it that CEL can't read.
pub(crate) fn unreadable_rules(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(node) => {
            let rules = node.get("x-kubernetes-validations");
            for rule in rules.and_then(Value::as_array).into_iter().flatten() {
                let text = rule["rule"].as_str().unwrap_or_default();
                if !escapes_are_known(text) {
                    found.push(text.to_owned());
                }
            }
            for child in node.values() {
                unreadable_rules(child, found);
            }
        }
        Value::Array(children) => {
            for child in children {
                unreadable_rules(child, found);
            }
        }
        _ => {}
    }
}

/// Within quotes, a backslash stands before one of few letters; a raw string has no escapes.
fn escapes_are_known(rule: &str) -> bool {
    const ESCAPED: &str = "\\'\"`?abfnrtvxuU01234567";
    let mut letters = rule.chars();
    while let Some(letter) = letters.next() {
        let escaped = |next: char| ESCAPED.contains(next);
        if letter == '\\' && !letters.next().is_some_and(escaped) {
            return rule.contains("(r'");
        }
    }
    true
}

fn walk(path: &str, schema: &Value, found: &mut Vec<String>) {
    let mut fault = |text: &str| found.push(format!("{path}: {text}"));
    let has = |key: &str| schema.get(key).is_some();
    for key in [
        "nullable",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "$ref",
        "x-kubernetes-int-or-string",
    ] {
        if has(key) {
            fault(&format!("has {key}"));
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !FORMATS.contains(&format)
    {
        fault(&format!("has the format {format}"));
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => {
            let time = schema.get("format").is_some_and(|f| f == "date-time");
            if !time && !has("enum") && !has("maxLength") {
                fault("is a string without maxLength");
            }
        }
        Some("array") => {
            if !has("maxItems") {
                fault("is a list without maxItems");
            }
            match schema.get("items") {
                Some(items) => walk(&format!("{path}[]"), items, found),
                None => fault("is a list of anything"),
            }
        }
        Some("object") => object(path, schema, found),
        Some("integer" | "boolean") => {}
        other => fault(&format!("has the type {other:?}")),
    }
}

fn object(path: &str, schema: &Value, found: &mut Vec<String>) {
    if let Some(values) = schema.get("additionalProperties") {
        if schema.get("maxProperties").is_none() {
            found.push(format!("{path}: is a map without maxProperties"));
        }
        walk(&format!("{path}{{}}"), values, found);
        return;
    }
    let Some(Value::Object(fields)) = schema.get("properties") else {
        let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        if !(open && may_be_open(path)) {
            found.push(format!("{path}: is an object of anything"));
        }
        return;
    };
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        if field
            .get("description")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            found.push(format!("{path}: has no description"));
        }
        walk(&path, field, found);
    }
}

fn may_be_open(path: &str) -> bool {
    OPEN.iter().any(|end| path.ends_with(end))
}

#[test]
fn the_walk_finds_faults() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "text": { "type": "string", "description": "d" },
            "list": { "type": "array", "items": { "type": "string", "maxLength": 1 }, "description": "d" },
            "map": { "type": "object", "additionalProperties": { "type": "string" }, "description": "d" },
            "open": { "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "d" },
            "null": { "type": "boolean", "nullable": true },
            "count": { "type": "integer", "format": "uint32", "description": "d" },
        },
    });
    let wanted = [
        ".count: has the format uint32",
        ".list: is a list without maxItems",
        ".map: is a map without maxProperties",
        ".map{}: is a string without maxLength",
        ".null: has no description",
        ".null: has nullable",
        ".open: is an object of anything",
        ".text: is a string without maxLength",
    ];
    let mut found = faults("", &schema);
    found.sort();
    assert_eq!(found, wanted);
}
