//! The examples and numbers in `docs/format.md` are those of the code.
#![allow(clippy::unwrap_used)]

use super::parts::{MAX_FILE_PATH, MAX_INDEX_LINE};
use super::{
    Commit, HEAD_LIMIT, IndexEncoder, MAX_FILES, MAX_PARTS, MAX_WARNING, MAX_WARNINGS, Part,
};

const PAGE: &str = include_str!("../../docs/format.md");

/// The contents of the fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn the_manifests_are_canonical() {
    let commits: Vec<Commit> = blocks("json")
        .into_iter()
        .zip(["20261120t101500z", "20261120t101600z"])
        .map(|(text, slot)| {
            let key = format!("lifeboat/v1/prod/iot/schedules/telemetry/manifests/{slot}.json");
            let commit = Commit::parse(text.as_bytes(), &key).unwrap();
            let written = String::from_utf8(commit.to_bytes().unwrap()).unwrap();
            assert_eq!(written, text);
            commit
        })
        .collect();
    assert!(matches!(&commits[..], [Commit::Backup(_), Commit::Void(_)]));
}

#[test]
fn the_parts_index_belongs_to_the_manifest() {
    let lines = blocks("jsonl")[0];
    let mut encoder = IndexEncoder::new().unwrap();
    for line in lines.lines() {
        let part: Part = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&part).unwrap(), line);
        encoder.push(&part).unwrap();
    }
    let (_, index, totals) = encoder.finish().unwrap();
    let manifest: super::Manifest = serde_json::from_str(blocks("json")[0]).unwrap();
    assert_eq!(totals, manifest.totals);
    assert_eq!(index.parts, manifest.index.parts);
    assert_eq!(index.plain_size, manifest.index.plain_size);
    assert_eq!(index.plain_size, lines.len() as u64);
}

#[test]
fn the_numbers_are_those_of_the_code() {
    for (number, text) in [
        (HEAD_LIMIT as u64, "At most {} bytes of JSON"),
        (MAX_INDEX_LINE as u64, "A line has at most {} bytes"),
        (MAX_FILE_PATH as u64, "a path has at most {} bytes"),
        (MAX_PARTS, "At most {} parts"),
        (MAX_FILES, "{} files, and"),
        (MAX_WARNINGS as u64, "at most {}, each printable"),
        (MAX_WARNING as u64, "and at most {} bytes |"),
        (
            crate::schedule::MAX_SCHEDULE_NAME as u64,
            "schedule (at most {} bytes, or absent)",
        ),
    ] {
        let text = text.replace("{}", &number.to_string());
        assert!(PAGE.contains(&text), "{text}");
    }
}
