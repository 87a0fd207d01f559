//! How `multielasticdump` wants a dump laid out: for each index `IDX.json` with its documents, and
//! beside it `IDX.settings.json`, `IDX.analyzer.json`, `IDX.mapping.json`, `IDX.alias.json` and
//! `IDX.template.json`.

use std::collections::BTreeMap;

use serde_json::json;
use serde_json::value::RawValue;

use super::structure::{self, KIND_DOCUMENTS, KIND_INDEX};
use super::{fault, names};
use crate::engine::{EngineError, VendorFile};
use crate::manifest::Part;

/// The name of the file with the records of a part.
pub(in crate::engine) fn records_file(part: &Part) -> Result<String, EngineError> {
    if part.kind != KIND_DOCUMENTS {
        return Err(EngineError::BadBackup {
            problem: "its parts index has a part of an unknown kind in it".to_owned(),
        });
    }
    Ok(format!(
        "{}.json",
        file_stem(structure::index(&part.name)?)?
    ))
}

/// The files beside them.
pub(in crate::engine) fn other_files(structure: &[Part]) -> Result<Vec<VendorFile>, EngineError> {
    let parts = structure.iter().filter(|part| part.kind == KIND_INDEX);
    let parts: Vec<Part> = parts.cloned().collect();
    let mut files = Vec::new();
    for (index, definition) in structure::read_all(&parts)? {
        let stem = file_stem(&index)?;
        let settings = json!({ &index: {"settings": definition.settings} }).to_string();
        let of_index = |what: &str, value: &str| {
            let text = BTreeMap::from([(&index, BTreeMap::from([(what, raw(value))]))]);
            serde_json::to_string(&text).unwrap_or_default()
        };
        let aliases = serde_json::to_string(&definition.aliases).unwrap_or_default();
        let mapping = match definition.mappings.get() {
            "null" => "{}",
            mapping => mapping,
        };
        // All but the mapping are JSON within a string.
        let quoted = |text: &str| json!(text).to_string();
        let mut all = vec![
            ("settings", quoted(&settings)),
            ("analyzer", quoted(&settings)),
            ("mapping", of_index("mappings", mapping)),
            ("template", quoted("{}")),
        ];
        if !definition.aliases.is_empty() {
            all.push(("alias", quoted(&of_index("aliases", &aliases))));
        }
        for (kind, text) in all {
            files.push(VendorFile {
                name: format!("{stem}.{kind}.json"),
                content: format!("{text}\n").into_bytes(),
            });
        }
        files.push(VendorFile {
            name: format!("{stem}.json"),
            content: Vec::new(),
        });
    }
    Ok(files)
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}

/// The tool takes the index's name from the file's.
fn file_stem(index: &str) -> Result<&str, EngineError> {
    match names::problem(index) {
        None => Ok(index),
        Some(problem) => Err(EngineError::BadBackup {
            problem: format!(
                "{:?} is not the name of an index: {problem}",
                fault::word(index)
            ),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_as_the_tool_writes_them() {
        let answer = r#"{"aliases":{"@&v.an":{}},"mappings":{"properties":{"w":{"type":"text"}}},"settings":{"index":{"number_of_shards":"1"}}}"#;
        let definition: structure::Definition = serde_json::from_str(answer).unwrap();
        let files = other_files(&definition.parts("&v.an", "u")).unwrap();
        let text = |name: &str| {
            let file = files.iter().find(|file| file.name == name).unwrap();
            String::from_utf8(file.content.clone()).unwrap()
        };
        assert_eq!(
            text("&v.an.mapping.json"),
            "{\"&v.an\":{\"mappings\":{\"properties\":{\"w\":{\"type\":\"text\"}}}}}\n"
        );
        assert_eq!(
            text("&v.an.alias.json"),
            "\"{\\\"&v.an\\\":{\\\"aliases\\\":{\\\"@&v.an\\\":{}}}}\"\n"
        );
        assert_eq!(
            text("&v.an.settings.json"),
            "\"{\\\"&v.an\\\":{\\\"settings\\\":{\\\"index\\\":{\\\"number_of_shards\\\":\\\"1\\\"}}}}\"\n"
        );
        assert_eq!(text("&v.an.template.json"), "\"{}\"\n");
        assert_eq!(text("&v.an.json"), "");
    }

    #[test]
    fn a_name_is_no_path() {
        for index in ["../../etc/passwd", "..", "a/b", ""] {
            let part = Part {
                kind: KIND_DOCUMENTS.to_owned(),
                name: structure::name(index),
                ..Part::default()
            };
            assert!(records_file(&part).is_err(), "{index}");
        }
    }
}
