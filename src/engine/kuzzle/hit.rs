//! One document: as the server tells it, as a line of a backup, as an action of a bulk request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::canonical::{self, ContentDigest};
use super::split::grow;

/// A document, as a search, a multi-get or a line of a backup has it.
#[derive(Debug, Deserialize)]
pub(super) struct Hit<'a> {
    /// Its id.
    #[serde(rename = "_id", borrow)]
    pub(super) id: Cow<'a, str>,
    /// Its index.
    #[serde(rename = "_index", default, borrow)]
    pub(super) index: Option<Cow<'a, str>>,
    /// What decides on its shard, where that is not the id.
    #[serde(rename = "_routing", default)]
    pub(super) routing: Option<String>,
    /// Its content, byte by byte. None where the index does not keep it.
    #[serde(rename = "_source", default, borrow)]
    pub(super) source: Option<&'a RawValue>,
    /// Whether a multi-get found it.
    #[serde(default)]
    pub(super) found: bool,
    /// Why a multi-get could not look.
    #[serde(default)]
    pub(super) error: Option<super::fault::Said>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_routing", skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
}

/// The key of a document in a bulk request or a multi-get.
#[derive(Serialize)]
pub(super) struct Key<'a> {
    #[serde(rename = "_id")]
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) routing: Option<&'a str>,
}

#[derive(Serialize)]
struct Action<'a> {
    index: Key<'a>,
}

impl<'a> Hit<'a> {
    /// Reads one; what is wrong with it, else.
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    /// Its key.
    pub(super) fn key(&self) -> Key<'_> {
        Key {
            id: &self.id,
            routing: self.routing.as_deref(),
        }
    }

    /// The digest of its content.
    pub(super) fn content(&self) -> ContentDigest {
        canonical::digest(
            self.source
                .map_or(&b""[..], |source| source.get().as_bytes()),
        )
    }

    /// Its canonical form.
    pub(super) fn canonical(&self) -> Vec<u8> {
        canonical::record(&self.id, self.routing.as_deref(), &self.content())
    }

    /// Writes it as a line of a backup. False where it has no content to write.
    pub(super) fn write_line(&self, index: &str, out: &mut Vec<u8>) -> bool {
        let Some(source) = self.source else {
            return false;
        };
        let line = Line {
            index,
            id: &self.id,
            routing: self.routing.as_deref(),
        };
        if serde_json::to_writer(&mut *out, &line).is_err() {
            return false;
        }
        // In place of the closing brace.
        out.pop();
        out.extend_from_slice(b",\"_source\":");
        one_line(source.get().as_bytes(), out);
        out.extend_from_slice(b"}\n");
        true
    }

    /// Writes it as an action of a bulk request and its content. False where it has none.
    pub(super) fn write_action(&self, out: &mut Vec<u8>) -> bool {
        let Some(source) = self.source else {
            return false;
        };
        if serde_json::to_writer(&mut *out, &Action { index: self.key() }).is_err() {
            return false;
        }
        out.push(b'\n');
        one_line(source.get().as_bytes(), out);
        out.push(b'\n');
        true
    }
}

/// Newlines are only white space in JSON: within a string they are escaped.
fn one_line(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    grow(out, json.len() + 2);
    out.extend_from_slice(json);
    without_newlines(&mut out[start..]);
}

fn without_newlines(json: &mut [u8]) {
    for byte in json {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// A document as the server wrote it, as a line of a backup: without a copy, for a large one.
pub(super) fn into_line(mut json: Vec<u8>) -> Vec<u8> {
    without_newlines(&mut json);
    json.reserve_exact(1);
    json.push(b'\n');
    json
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_its_bytes() {
        let json = "{\"_index\":\"x\",\"_type\":\"_doc\",\"_id\":\"a\\\"\\u00e9\",\"_score\":null,\"_routing\":\"r\\n\",\"_source\":{\"a\": 1.50,\n \"b\":9007199254740993123,\"c\":-0.0,\"d\":1e400,\"e\":\"\\ud800\"},\"sort\":[0]}";
        let hit = Hit::parse(json.as_bytes()).unwrap();
        let mut line = Vec::new();
        assert!(hit.write_line("&i.c", &mut line));
        let line = String::from_utf8(line).unwrap();
        assert_eq!(
            line,
            "{\"_index\":\"&i.c\",\"_id\":\"a\\\"é\",\"_routing\":\"r\\n\",\"_source\":{\"a\": 1.50,  \"b\":9007199254740993123,\"c\":-0.0,\"d\":1e400,\"e\":\"\\ud800\"}}\n"
        );
        let again = Hit::parse(line.as_bytes()).unwrap();
        assert_eq!(again.canonical(), hit.canonical());
        let mut action = Vec::new();
        assert!(again.write_action(&mut action));
        let action = String::from_utf8(action).unwrap();
        assert_eq!(
            action.lines().next().unwrap(),
            "{\"index\":{\"_id\":\"a\\\"é\",\"routing\":\"r\\n\"}}"
        );
        assert_eq!(action.lines().count(), 2);
    }

    #[test]
    fn a_document_without_content_is_none() {
        let hit = Hit::parse(b"{\"_id\":\"a\"}").unwrap();
        assert!(!hit.write_line("i", &mut Vec::new()));
        assert!(!hit.write_action(&mut Vec::new()));
        assert!(Hit::parse(b"{\"_source\":{}}").is_err());
    }
}
