//! What a backup keeps of an index beside its documents: settings, mappings, aliases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::engine::EngineError;
use crate::manifest::Part;

/// Kind of the parts that hold the definition of an index.
pub(super) const KIND_INDEX: &str = "index";
/// Kind of the parts that hold documents.
pub(super) const KIND_DOCUMENTS: &str = "documents";
/// Entry of a part's name: the index in the source.
pub(super) const NAME_INDEX: &str = "index";
/// Attribute: identity of the index in the source.
pub(super) const UUID: &str = "uuid";

const DEFINITION: &str = "definition";
const PIECE: &str = "piece";
const PIECES: &str = "pieces";
/// Bytes of a definition in one part: a line of the parts index is bounded.
const PIECE_SIZE: usize = 256 * 1024;
/// The most pieces of one definition.
const MAX_PIECES: usize = 128;

/// What a server sets by itself and refuses to be told, or what belongs to one cluster: where an
/// index lies, whether it may be written just now.
const OWN_SETTINGS: [&str; 8] = [
    "creation_date",
    "uuid",
    "provided_name",
    "version",
    "resize",
    "history",
    "verified_before_close",
    "blocks",
];

/// An index without its documents.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Definition {
    /// As `PUT /index` takes them: `{"index": {…}}`.
    #[serde(default)]
    pub(super) settings: Value,
    /// As the server wrote them.
    #[serde(default = "nothing")]
    pub(super) mappings: Box<RawValue>,
    /// By name.
    #[serde(default)]
    pub(super) aliases: BTreeMap<String, Box<RawValue>>,
}

fn nothing() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// `{}`: an alias without settings.
pub(super) fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| nothing())
}

impl Definition {
    /// Takes out of the settings what another server can't be told.
    pub(super) fn strip(&mut self) {
        let Some(index) = self
            .settings
            .get_mut("index")
            .and_then(Value::as_object_mut)
        else {
            return;
        };
        for key in OWN_SETTINGS {
            index.remove(key);
        }
        remove(index, &["routing", "allocation", "initial_recovery"]);
        // Of the vendor's own distribution; others refuse it.
        remove(
            index,
            &["routing", "allocation", "include", "_tier_preference"],
        );
    }

    /// A setting's text.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get("index")?.get(name)?.as_str()
    }

    /// Whether the index keeps its documents whole.
    pub(super) fn source_kept(&self) -> Result<(), &'static str> {
        let mappings: Value = serde_json::from_str(self.mappings.get()).unwrap_or(Value::Null);
        let source = mappings.get("_source");
        let flag = |name: &str| source.and_then(|source| source.get(name));
        if flag("enabled").is_some_and(|on| *on == json!(false) || *on == json!("false")) {
            return Err("it does not keep documents (_source is disabled)");
        }
        if flag("includes").is_some() || flag("excludes").is_some() {
            return Err("it keeps but parts of documents (_source has includes or excludes)");
        }
        if flag("mode").is_some_and(|mode| *mode == json!("synthetic")) {
            return Err("it makes documents up from fields (_source is synthetic)");
        }
        Ok(())
    }

    /// The parts that hold it.
    pub(super) fn parts(&self, index: &str, uuid: &str) -> Vec<Part> {
        let text = serde_json::to_string(self).unwrap_or_default();
        let pieces = cut(&text);
        let count = pieces.len().to_string();
        let part = |(number, piece): (usize, &str)| Part {
            kind: KIND_INDEX.to_owned(),
            name: name(index),
            attributes: BTreeMap::from([
                (UUID.to_owned(), uuid.to_owned()),
                (PIECE.to_owned(), number.to_string()),
                (PIECES.to_owned(), count.clone()),
                (DEFINITION.to_owned(), piece.to_owned()),
            ]),
            ..Part::default()
        };
        pieces.into_iter().enumerate().map(part).collect()
    }
}

fn remove(object: &mut Map<String, Value>, path: &[&str]) {
    let Some((last, way)) = path.split_last() else {
        return;
    };
    let mut object = Some(object);
    for key in way {
        object = object
            .and_then(|object| object.get_mut(*key))
            .and_then(Value::as_object_mut);
    }
    if let Some(object) = object {
        object.remove(*last);
    }
}

fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut at = rest.len().min(PIECE_SIZE);
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (piece, more) = rest.split_at(at);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// The name of a part of an index.
pub(super) fn name(index: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME_INDEX.to_owned(), index.to_owned())])
}

/// The index of a part.
pub(super) fn index(name: &BTreeMap<String, String>) -> Result<&str, EngineError> {
    let found = name.get(NAME_INDEX).map(String::as_str);
    found.ok_or_else(|| bad("a part of it names no index"))
}

/// All indices of a backup with their definitions, by name.
pub(super) fn read_all(structure: &[Part]) -> Result<BTreeMap<String, Definition>, EngineError> {
    let mut texts: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
    for part in structure {
        match part.kind.as_str() {
            // An index without documents has no file.
            KIND_DOCUMENTS => continue,
            KIND_INDEX => {}
            _ => return Err(bad("a part of it is of an unknown kind")),
        }
        let word = |key: &str| part.attributes.get(key);
        let number = |key: &str| word(key)?.parse::<usize>().ok();
        let (Some(at), Some(count), Some(text)) = (number(PIECE), number(PIECES), word(DEFINITION))
        else {
            return Err(bad("a part of it has no definition"));
        };
        if at >= count || count > MAX_PIECES {
            return Err(bad("a definition of it has too many pieces"));
        }
        texts
            .entry(index(&part.name)?)
            .or_default()
            .insert(at, text);
        let pieces = texts.get(index(&part.name)?).map_or(0, BTreeMap::len);
        if pieces > count {
            return Err(bad("a definition of it has too many pieces"));
        }
    }
    let mut all = BTreeMap::new();
    for (name, pieces) in texts {
        let text: String = pieces.into_values().collect();
        let definition: Definition = serde_json::from_str(&text).map_err(|error| {
            bad(&format!(
                "the definition of {name:?} can't be read: {error}"
            ))
        })?;
        all.insert(name.to_owned(), definition);
    }
    Ok(all)
}

fn bad(problem: &str) -> EngineError {
    EngineError::BadBackup {
        problem: super::fault::word(problem),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"aliases":{"@&i.c":{}},"mappings":{"_meta":{"big":123456789012345678901234567890,"float":1.50},"properties":{"é":{"type":"long"}}},"settings":{"index":{"creation_date":"1","number_of_shards":"1","number_of_replicas":"2","uuid":"u","version":{"created":"7100299"},"provided_name":"&i.c","resize":{"source":{}},"routing":{"allocation":{"initial_recovery":{"_id":"x"},"include":{"_tier_preference":"data_content","rack":"1"}}},"blocks":{"write":"true"},"analysis":{"analyzer":{"a":{"type":"custom"}}}}}}"#;

    #[test]
    fn a_definition_goes_round() {
        let mut definition: Definition = serde_json::from_str(ANSWER).unwrap();
        definition.strip();
        let parts = definition.parts("&i.c", "u");
        let all = read_all(&parts).unwrap();
        let again = &all["&i.c"];
        assert_eq!(
            again.settings,
            json!({"index": {"number_of_shards": "1", "number_of_replicas": "2",
                "routing": {"allocation": {"include": {"rack": "1"}}},
                "analysis": {"analyzer": {"a": {"type": "custom"}}}}})
        );
        assert!(
            again
                .mappings
                .get()
                .contains("123456789012345678901234567890,\"float\":1.50")
        );
        assert_eq!(again.aliases.keys().collect::<Vec<_>>(), ["@&i.c"]);
        assert_eq!(again.setting("number_of_replicas"), Some("2"));
        assert_eq!(again.source_kept(), Ok(()));
    }

    #[test]
    fn a_long_definition_has_several_parts() {
        let long = format!(
            r#"{{"mappings":{{"_meta":{{"é":"{}"}}}}}}"#,
            "ö".repeat(400_000)
        );
        let definition: Definition = serde_json::from_str(&long).unwrap();
        let mut parts = definition.parts("&i.c", "u");
        assert_eq!(parts.len(), 4);
        parts.reverse();
        assert_eq!(
            read_all(&parts).unwrap()["&i.c"].mappings.get(),
            definition.mappings.get()
        );
        parts.pop();
        assert!(read_all(&parts).is_err());
    }

    #[test]
    fn indices_that_do_not_keep_documents() {
        for mappings in [
            r#"{"_source":{"enabled":false}}"#,
            r#"{"_source":{"excludes":["a"]}}"#,
            r#"{"_source":{"mode":"synthetic"}}"#,
        ] {
            let text = format!(r#"{{"mappings":{mappings}}}"#);
            let definition: Definition = serde_json::from_str(&text).unwrap();
            assert!(definition.source_kept().is_err(), "{mappings}");
        }
    }

    #[test]
    fn hostile_structure_is_refused() {
        let part = |attributes: &[(&str, &str)]| Part {
            kind: KIND_INDEX.to_owned(),
            name: name("i"),
            attributes: attributes
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            ..Part::default()
        };
        for attributes in [
            &[][..],
            &[("piece", "0"), ("pieces", "1"), ("definition", "[")],
            &[("piece", "1"), ("pieces", "1"), ("definition", "{}")],
            &[
                ("piece", "0"),
                ("pieces", "99999999999"),
                ("definition", "{}"),
            ],
            &[("piece", "0"), ("pieces", "2"), ("definition", "{")],
        ] {
            assert!(read_all(&[part(attributes)]).is_err(), "{attributes:?}");
        }
        let nameless = Part {
            kind: KIND_INDEX.to_owned(),
            ..Part::default()
        };
        assert!(read_all(&[nameless]).is_err());
    }
}
