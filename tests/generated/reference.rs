//! A page for each kind, made from its definition: every field with its type, default and bounds,
//! and every rule in the words that the API server says.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// The page of a kind.
pub(crate) fn page(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let crd = serde_json::to_value(crd).unwrap();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut out = String::new();
    let short = names.short_names.as_ref().unwrap().join(", ");
    writeln!(out, "# {}\n\n{}\n", names.kind, text(schema)).unwrap();
    writeln!(
        out,
        "`apiVersion: lifeboat.dev/{}`, `kind: {}`; `kubectl get {}`, short `{short}`. [Example](../../config/samples).\n",
        version["name"].as_str().unwrap(),
        names.kind,
        names.plural,
    )
    .unwrap();
    section(&mut out, "spec", schema);
    section(&mut out, "status", schema);
    columns(&mut out, version);
    out
}

fn section(out: &mut String, part: &str, schema: &Value) {
    let root = &schema["properties"][part];
    writeln!(out, "## {part}\n\n{}\n", text(root)).unwrap();
    let mut rows = Vec::new();
    fields("", root, &mut rows);
    writeln!(
        out,
        "| field | type | default | meaning |\n|---|---|---|---|"
    )
    .unwrap();
    for row in rows {
        writeln!(out, "{row}").unwrap();
    }
    out.push('\n');
    if part == "spec" {
        let mut rules = Vec::new();
        if let Some(own) = schema.get("x-kubernetes-validations") {
            add_rules("the object", own, &mut rules);
        }
        rules_below("", root, &mut rules);
        writeln!(
            out,
            "### Rules\n\nWhat the API server says where a rule is broken.\n\n| where | rule |\n|---|---|"
        )
        .unwrap();
        for (path, message) in rules {
            writeln!(out, "| {} | {} |", path, escaped(&message)).unwrap();
        }
        out.push('\n');
    }
}

fn fields(path: &str, schema: &Value, rows: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in properties {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let default = if required.contains(&name.as_str()) {
            "required".to_owned()
        } else {
            field
                .get("default")
                .map(|d| format!("`{}`", plain(d)))
                .unwrap_or_default()
        };
        rows.push(format!(
            "| `{path}` | {} | {default} | {} |",
            kind(field),
            escaped(&[text(field), bounds(field)].join(" ")).trim(),
        ));
        if text(field).starts_with("Not built yet") {
            continue;
        }
        fields(&path, field, rows);
        if let Some(items) = field.get("items") {
            fields(&format!("{path}[]"), items, rows);
        }
    }
}

/// The type in a word.
fn kind(field: &Value) -> String {
    if field.get("enum").is_some() {
        return "one word".to_owned();
    }
    if is_span(field) {
        return "span of time".to_owned();
    }
    match field["type"].as_str().unwrap() {
        "string" if field["format"] == "date-time" => "time".to_owned(),
        "array" => format!("list of {}", kind(&field["items"])),
        "object" if field.get("additionalProperties").is_some() => "map of strings".to_owned(),
        other => other.to_owned(),
    }
}

fn is_span(field: &Value) -> bool {
    field
        .pointer("/x-kubernetes-validations/0/message")
        .and_then(Value::as_str)
        .is_some_and(|message| message.starts_with("write a span of time"))
}

/// The bounds in plain words.
fn bounds(field: &Value) -> String {
    let mut said = Vec::new();
    if is_span(field) {
        return String::new();
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|v| format!("`{}`", plain(v))).collect();
        said.push(format!("One of {}.", values.join(", ")));
    }
    said.extend(between(field, "minimum", "maximum", ""));
    if field.get("enum").is_none() {
        said.extend(between(field, "minLength", "maxLength", " characters"));
    }
    said.extend(between(field, "minItems", "maxItems", " items"));
    said.extend(between(field, "minProperties", "maxProperties", " entries"));
    let inner = field
        .get("items")
        .or_else(|| field.get("additionalProperties"));
    if let Some(inner) = inner
        && inner["type"] != "object"
    {
        let inner = bounds(inner);
        if !inner.is_empty() {
            said.push(format!("Each: {inner}"));
        }
    }
    said.join(" ")
}

fn between(field: &Value, low: &str, high: &str, unit: &str) -> Option<String> {
    match (field.get(low).map(plain), field.get(high).map(plain)) {
        (Some(low), Some(high)) if low == high => Some(format!("Exactly {low}{unit}.")),
        (Some(low), Some(high)) => Some(format!("{low} to {high}{unit}.")),
        (None, Some(high)) => Some(format!("At most {high}{unit}.")),
        (Some(low), None) => Some(format!("At least {low}{unit}.")),
        (None, None) => None,
    }
}

fn rules_below(path: &str, schema: &Value, rules: &mut Vec<(String, String)>) {
    if let Some(own) = schema.get("x-kubernetes-validations") {
        let shown = if path.is_empty() {
            "spec".to_owned()
        } else {
            format!("`{path}`")
        };
        add_rules(&shown, own, rules);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        rules_below(&path, field, rules);
    }
    if let Some(items) = schema.get("items") {
        rules_below(&format!("{path}[]"), items, rules);
    }
}

fn add_rules(path: &str, own: &Value, rules: &mut Vec<(String, String)>) {
    for rule in own.as_array().unwrap() {
        rules.push((path.to_owned(), plain(&rule["message"])));
    }
}

fn columns(out: &mut String, version: &Value) {
    writeln!(
        out,
        "## What `kubectl get` shows\n\n| column | from |\n|---|---|"
    )
    .unwrap();
    for column in version["additionalPrinterColumns"].as_array().unwrap() {
        let wide = if column["priority"].as_i64().unwrap_or_default() > 0 {
            " (with `-o wide`)"
        } else {
            ""
        };
        writeln!(
            out,
            "| {}{wide} | `{}` |",
            plain(&column["name"]),
            plain(&column["jsonPath"])
        )
        .unwrap();
    }
}

fn text(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_f64().is_some_and(|f| f.fract() == 0.0) => {
            format!("{:.0}", number.as_f64().unwrap())
        }
        other => other.to_string(),
    }
}

/// As a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
        .replace("\n\n", " ")
        .replace('<', "&lt;")
}
