//! Reads the directory that `multielasticdump --direction=dump` writes: for each index `IDX.json`
//! with its documents, and beside it `IDX.mapping.json`, `IDX.settings.json` and others, packed or
//! not. Vendor source: `bin/multielasticdump` of elasticdump 6.125.
//!
//! Its names say too little: `&i.settings.json` is the settings of `&i`, or the documents of
//! `&i.settings`. So what is in a file decides.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::word;
use super::hit::Hit;
use super::lines::{Lines, Step};
use super::names;
use super::structure::{self, Definition, KIND_DOCUMENTS};
use crate::engine::{EngineError, VendorDump, part_file};
use crate::manifest::{Fingerprint, Part};
use crate::transfer::{Dump, DumpFile, RecordSource, TransferError, bad_dump};

/// The most bytes of a file that holds no documents.
const SMALL: usize = 16 << 20;
/// Small files that are read at once.
const AT_ONCE: usize = 8;
/// What a line with a document begins with. No index has a name that begins with `_`.
const DOCUMENT: &[u8] = b"{\"_index\"";
/// Names in one warning.
const NAMED: usize = 5;

const MAPPING: &str = "mapping";
const SETTINGS: &str = "settings";
const ALIAS: &str = "alias";
const DATA: &str = "data";
/// What the tool writes beside documents.
const KINDS: [&str; 6] = [MAPPING, SETTINGS, ALIAS, "analyzer", "template", "index"];

/// The files of one index, by kind.
type Files<'a> = BTreeMap<&'static str, &'a DumpFile>;

/// A dump that was read once.
pub(super) struct ElasticDump {
    dump: Dump,
    parts: Vec<Part>,
    warnings: Vec<String>,
}

impl VendorDump for ElasticDump {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn records(&self, part: &Part) -> Result<Box<dyn RecordSource>, EngineError> {
        let path = part.files.first().map_or("", |file| file.path.as_str());
        let file = self.dump.file(path).ok_or_else(|| gone(path))?;
        // A line of the tool is a line of a backup.
        Ok(Box::new(self.dump.read(file)))
    }
}

/// Reads all of a dump.
pub(super) async fn open(dump: Dump) -> Result<ElasticDump, EngineError> {
    let mut warnings = Vec::new();
    let indices = sort(&dump, &mut warnings).await?;
    let work = indices
        .iter()
        .map(|(index, files)| definition(&dump, index, files));
    let mut parts: Vec<Part> = some_at_once(work).await?.into_iter().flatten().collect();
    for (index, files) in &indices {
        let file = need(index, files, DATA)?;
        let (fingerprint, plain_size) = measure(&dump, index, file).await?;
        let records = fingerprint.records();
        parts.push(Part {
            kind: KIND_DOCUMENTS.to_owned(),
            name: structure::name(index),
            records,
            fingerprint: Some(fingerprint),
            files: (records > 0)
                .then(|| part_file(file, plain_size))
                .into_iter()
                .collect(),
            ..Part::default()
        });
    }
    let bare = indices
        .iter()
        .filter(|(_, files)| !files.contains_key(ALIAS));
    let bare: Vec<&str> = bare.map(|(index, _)| index.as_str()).collect();
    if !bare.is_empty() {
        warnings.push(format!(
            "the dump says nothing of the aliases of {}; Kuzzle finds a collection by its alias, so make them anew, or dump with --includeType=data,mapping,settings,alias",
            few(&bare)
        ));
    }
    Ok(ElasticDump {
        dump,
        parts,
        warnings,
    })
}

/// Reads some small files at once; what they give, in order.
async fn some_at_once<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, EngineError>>>,
) -> Result<Vec<T>, EngineError> {
    // Made before they are run: the compiler does not see through a stream that makes them.
    let work: Vec<_> = work.collect();
    let results = futures::stream::iter(work).buffered(AT_ONCE);
    results.try_collect().await
}

/// Which file is what of which index.
async fn sort<'a>(
    dump: &'a Dump,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Files<'a>>, EngineError> {
    let mut stems = BTreeMap::new();
    let mut others = Vec::new();
    for file in dump.files() {
        match stem(&file.name) {
            None => others.push(file.name.as_str()),
            Some(stem) => {
                check_stem(file, stem)?;
                if stems.insert(stem, file).is_some() {
                    return Err(bad(file, "it is there packed and unpacked; take one away"));
                }
            }
        }
    }
    if !others.is_empty() {
        warnings.push(format!(
            "left alone, as they do not end in .json or .json.gz: {}",
            few(&others)
        ));
    }
    let known: BTreeSet<&str> = stems.keys().copied().collect();
    let work = stems
        .iter()
        .map(|(stem, file)| kind_of(dump, file, stem, &known));
    let sorted = some_at_once(work).await?;
    let mut indices: BTreeMap<String, Files<'_>> = BTreeMap::new();
    for ((index, kind), file) in sorted.into_iter().zip(stems.into_values()) {
        indices
            .entry(index.to_owned())
            .or_default()
            .insert(kind, file);
    }
    Ok(indices)
}

/// The name of a file without what all of the tool's end in.
fn stem(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.strip_suffix(".json")
}

fn check_stem(file: &DumpFile, stem: &str) -> Result<(), EngineError> {
    if stem.contains('/') {
        return Err(bad(
            file,
            "it lies in a directory of the dump, which the tool never makes; name the directory of the dump itself in source.vendorDump.path",
        ));
    }
    let piece = stem.rsplit_once(".split-").map(|(_, number)| number);
    if piece.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(bad(
            file,
            "it is a piece of a dump that was made with --fileSize; dump without it",
        ));
    }
    match names::problem(stem) {
        None => Ok(()),
        Some(problem) => Err(bad(file, format!("no index has such a name: {problem}"))),
    }
}

/// What a file is, and of which index.
async fn kind_of<'a>(
    dump: &Dump,
    file: &DumpFile,
    stem: &'a str,
    known: &BTreeSet<&str>,
) -> Result<(&'a str, &'static str), EngineError> {
    let named = KINDS.iter().find_map(|kind| {
        let index = stem.strip_suffix(kind)?.strip_suffix('.')?;
        Some((index, *kind)).filter(|_| !index.is_empty())
    });
    let Some((index, kind)) = named else {
        return Ok((stem, DATA));
    };
    let mut begin = Vec::new();
    let mut reader = dump.read(file);
    while begin.len() < DOCUMENT.len()
        && let Some(piece) = reader.next().await?
    {
        begin.extend_from_slice(&piece);
    }
    // An index without documents has an empty file.
    let documents = begin.starts_with(DOCUMENT)
        || (begin.is_empty() && known.contains(format!("{stem}.{MAPPING}").as_str()));
    Ok(if documents {
        (stem, DATA)
    } else {
        (index, kind)
    })
}

fn need<'a>(index: &str, files: &Files<'a>, kind: &str) -> Result<&'a DumpFile, EngineError> {
    files.get(kind).copied().ok_or_else(|| {
        let name = match kind {
            DATA => format!("{index}.json"),
            kind => format!("{index}.{kind}.json"),
        };
        bad_dump(
            &name,
            "it is missing, or holds what another index's file does; dump with --includeType=data,mapping,settings,alias",
        )
        .into()
    })
}

#[derive(Deserialize)]
struct Mapping {
    mappings: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    settings: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Aliases {
    aliases: BTreeMap<String, Box<RawValue>>,
}

/// The parts that hold what an index is made of beside documents.
async fn definition(dump: &Dump, index: &str, files: &Files<'_>) -> Result<Vec<Part>, EngineError> {
    let file = need(index, files, MAPPING)?;
    let text = dump.read_small(file, SMALL).await?;
    let Mapping { mappings } = of_index(file, index, &text)?;
    let file = need(index, files, SETTINGS)?;
    let text = dump.read_small(file, SMALL).await?;
    let Settings { settings } = of_index(file, index, &unquoted(file, &text)?)?;
    let aliases = match files.get(ALIAS) {
        Some(file) => {
            let text = dump.read_small(file, SMALL).await?;
            // Nothing is written where there is no alias.
            if text.is_empty() {
                BTreeMap::new()
            } else {
                of_index::<Aliases>(file, index, &unquoted(file, &text)?)?.aliases
            }
        }
        None => BTreeMap::new(),
    };
    let mut definition = Definition {
        settings,
        mappings,
        aliases,
    };
    definition.source_kept().map_err(|why| {
        bad(
            file,
            format!("the index can't be restored, because {why}; take its files away"),
        )
    })?;
    let uuid = definition.setting("uuid").unwrap_or_default().to_owned();
    definition.strip();
    Ok(definition.parts(index, &uuid))
}

/// All but the mapping are JSON within a string.
fn unquoted(file: &DumpFile, text: &[u8]) -> Result<Vec<u8>, EngineError> {
    let inner: String = serde_json::from_slice(text).map_err(|error| bad(file, no_json(&error)))?;
    Ok(inner.into_bytes())
}

/// What is said of an index. The tool may name it a second time, with its signs escaped.
fn of_index<T: DeserializeOwned>(
    file: &DumpFile,
    index: &str,
    text: &[u8],
) -> Result<T, EngineError> {
    let mut all: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(text).map_err(|error| bad(file, no_json(&error)))?;
    let Some(own) = all.remove(index) else {
        let of = all.into_keys().next().unwrap_or_default();
        return Err(bad(
            file,
            format!(
                "it is of {:?}: the file was renamed; give it back its name, and use remap",
                word(&of)
            ),
        ));
    };
    serde_json::from_str(own.get()).map_err(|error| bad(file, no_json(&error)))
}

fn no_json(error: &serde_json::Error) -> String {
    format!("it is not what the tool writes, or cut off: {error}")
}

/// Reads all documents of an index: their fingerprint, and the plain size of the file.
async fn measure(
    dump: &Dump,
    index: &str,
    file: &DumpFile,
) -> Result<(Fingerprint, u64), EngineError> {
    let mut fingerprint = Fingerprint::default();
    let mut reader = dump.read(file);
    let mut lines = Lines::new(&mut reader);
    while let Some(step) = lines.next().await.map_err(|error| of_file(file, error))? {
        let line = match step {
            Step::Line(line) if !line.is_empty() => line,
            Step::Line(_) | Step::Waiting(_) => continue,
        };
        let number = fingerprint.records() + 1;
        let hit = Hit::parse(&line)
            .map_err(|problem| bad(file, format!("document {number}: {problem}")))?;
        if hit.source.is_none() {
            return Err(bad(
                file,
                format!("document {number} has no _source; dump without --sourceOnly and the like"),
            ));
        }
        if hit.index.as_deref() != Some(index) {
            let of = word(hit.index.as_deref().unwrap_or_default());
            return Err(bad(
                file,
                format!(
                    "document {number} is of the index {of:?}: the file was renamed; give it back its name, and use remap"
                ),
            ));
        }
        fingerprint.add(&hit.canonical());
    }
    Ok((fingerprint, reader.plain_size()))
}

fn of_file(file: &DumpFile, error: EngineError) -> EngineError {
    match error {
        EngineError::BadBackup { problem } => bad(file, problem),
        other => other,
    }
}

fn bad(file: &DumpFile, problem: impl Into<String>) -> EngineError {
    bad_dump(&file.name, problem).into()
}

fn gone(name: &str) -> TransferError {
    bad_dump(name, "it is not in the dump")
}

fn few(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| word(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "dump_tests.rs"]
mod tests;
