//! The CustomResourceDefinitions, made from the types.
//!
//! What schemars writes is almost what Kubernetes wants. The rest is put right here, in one place,
//! so that the types stay plain.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{Backup, BackupSchedule, Restore, RestoreSchedule, StorageLocation};

/// A definition that can't be written down.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The definition does not become JSON, or the tidied JSON is no definition.
    #[error("the definition of {kind} can't be tidied: {source}")]
    Tidy {
        /// Kind of the definition.
        kind: String,
        /// What failed.
        source: serde_json::Error,
    },
    /// The definition does not become YAML.
    #[error("the definition of {kind} can't be written as YAML: {source}")]
    Yaml {
        /// Kind of the definition.
        kind: String,
        /// What failed.
        source: serde_saphyr::ser::Error,
    },
}

/// The definitions of all kinds, in alphabetical order, as they are to be installed.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, GenerateError> {
    [
        (Backup::crd(), Some(&BACKUP)),
        (BackupSchedule::crd(), None),
        (Restore::crd(), Some(&RESTORE)),
        (RestoreSchedule::crd(), None),
        (StorageLocation::crd(), None),
    ]
    .into_iter()
    .map(|(crd, frozen)| finished(crd, frozen))
    .collect()
}

/// A spec that can't be changed, but for a few fields.
struct Frozen {
    but_for: &'static [&'static str],
    message: &'static str,
}

const BACKUP: Frozen = Frozen {
    but_for: &["cancel", "hold"],
    message: "a Backup's spec can't be changed, but for cancel and hold; create a new Backup",
};

const RESTORE: Frozen = Frozen {
    but_for: &["cancel"],
    message: "a Restore's spec can't be changed, but for cancel; create a new Restore",
};

impl Frozen {
    /// Adds the rule to a spec's schema. It is made here and not written beside the type, since it
    /// has to name every field, and since the template of a schedule has the type without the rule.
    fn freeze(&self, spec: &mut Map<String, Value>) {
        let required = spec.get("required").cloned().unwrap_or_default();
        let required = |name: &String| {
            required
                .as_array()
                .is_some_and(|names| names.iter().any(|n| n == name))
        };
        let Some(Value::Object(fields)) = spec.get("properties") else {
            return;
        };
        let same: Vec<String> = fields
            .keys()
            .filter(|name| !self.but_for.contains(&name.as_str()))
            .map(|name| {
                if required(name) {
                    return format!("self.{name} == oldSelf.{name}");
                }
                format!(
                    "has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
                )
            })
            .collect();
        let rule = json!({ "rule": same.join(" && "), "message": self.message });
        match spec.get_mut("x-kubernetes-validations") {
            Some(Value::Array(rules)) => rules.push(rule),
            _ => {
                spec.insert("x-kubernetes-validations".to_owned(), json!([rule]));
            }
        }
    }
}

/// One definition as a YAML document, without a leading `---`.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, GenerateError> {
    let kind = || crd.spec.names.kind.clone();
    // The typed definition keeps bounds as floats; they are written as the integers they are.
    let mut value = serde_json::to_value(crd).map_err(|source| GenerateError::Tidy {
        kind: kind(),
        source,
    })?;
    each_schema(&mut value, tidy);
    serde_saphyr::to_string(&value).map_err(|source| GenerateError::Yaml {
        kind: kind(),
        source,
    })
}

/// All definitions as one YAML stream, for `kubectl apply -f -`.
pub fn crds_yaml() -> Result<String, GenerateError> {
    let mut out = String::new();
    for crd in crds()? {
        out.push_str("---\n");
        out.push_str(&to_yaml(&crd)?);
    }
    Ok(out)
}

fn finished(
    crd: CustomResourceDefinition,
    frozen: Option<&Frozen>,
) -> Result<CustomResourceDefinition, GenerateError> {
    let kind = crd.spec.names.kind.clone();
    serde_json::to_value(crd)
        .and_then(|mut value| {
            each_schema(&mut value, |schema| {
                tidy(schema);
                if let (Some(frozen), Some(Value::Object(spec))) =
                    (frozen, schema.pointer_mut("/properties/spec"))
                {
                    frozen.freeze(spec);
                }
            });
            serde_json::from_value(value)
        })
        .map_err(|source| GenerateError::Tidy { kind, source })
}

fn each_schema(crd: &mut Value, rewrite: impl Fn(&mut Value)) {
    let versions = crd
        .pointer_mut("/spec/versions")
        .and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
            rewrite(schema);
        }
    }
}

/// Rewrites one schema and all below it to what Kubernetes means by it.
///
/// - `nullable` goes: an `Option` is a field that may be absent. Where null were taken, `has()`
///   in a rule would be true for it.
/// - Formats of unsigned integers, which OpenAPI v3 does not know, become `int64`; the minimum of
///   0 stays.
/// - Line breaks within a paragraph of a description, which come from the source's width, go.
fn tidy(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    node.remove("nullable");
    node.remove("title");
    if node.get("default").is_some_and(Value::is_null) {
        node.remove("default");
    }
    if let Some(Value::String(format)) = node.get_mut("format")
        && format.starts_with("uint")
    {
        "int64".clone_into(format);
    }
    if let Some(Value::String(text)) = node.get_mut("description") {
        *text = unwrapped(text);
    }
    for key in ["minimum", "maximum"] {
        if let Some(number) = node.get_mut(key) {
            whole(number);
        }
    }
    below(node);
}

fn below(node: &mut Map<String, Value>) {
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = node.get_mut(key) {
            tidy(child);
        }
    }
}

/// `1.0` as `1`: the bounds of integers pass through a float on their way.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: &mut Value) {
    if let Some(float) = number.as_f64()
        && float.fract() == 0.0
        && float.abs() < 9e15
    {
        *number = Value::from(float as i64);
    }
}

fn unwrapped(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split('\n').collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn tidy_leaves_what_kubernetes_means() {
        let mut schema = json!({
            "type": "object",
            "nullable": true,
            "title": "T",
            "description": "One line\nof a paragraph.\n\nAnother.",
            "default": null,
            "properties": {
                "list": { "items": { "nullable": true, "type": "integer", "format": "uint32", "minimum": 0.0 } },
                "map": { "additionalProperties": { "title": "T", "maximum": 1.5 } },
            },
        });
        tidy(&mut schema);
        let wanted = json!({
            "type": "object",
            "description": "One line of a paragraph.\n\nAnother.",
            "properties": {
                "list": { "items": { "type": "integer", "format": "int64", "minimum": 0 } },
                "map": { "additionalProperties": { "maximum": 1.5 } },
            },
        });
        assert_eq!(schema, wanted);
    }

    #[test]
    fn frozen_names_every_field_but_the_named() {
        let mut spec = json!({
            "required": ["a"],
            "properties": { "a": {}, "b": {}, "hold": {} },
            "x-kubernetes-validations": [{ "rule": "true", "message": "m" }],
        });
        let frozen = Frozen {
            but_for: &["hold"],
            message: "no",
        };
        frozen.freeze(spec.as_object_mut().expect("it is an object"));
        assert_eq!(
            spec["x-kubernetes-validations"],
            json!([
                { "rule": "true", "message": "m" },
                {
                    "rule": "self.a == oldSelf.a && has(self.b) == has(oldSelf.b) && (!has(self.b) || self.b == oldSelf.b)",
                    "message": "no",
                },
            ])
        );
    }

    #[test]
    fn the_template_of_a_schedule_can_be_changed() {
        for crd in crds().expect("the definitions can be made") {
            let name = crd.spec.names.kind.clone();
            let yaml = to_yaml(&crd).expect("a definition can be written");
            // Long texts are folded, anywhere between two words.
            let words: Vec<&str> = yaml.split_whitespace().collect();
            let frozen = words.join(" ").contains("self.source == oldSelf.source");
            assert_eq!(frozen, name == "Backup" || name == "Restore", "{name}");
        }
    }
}
