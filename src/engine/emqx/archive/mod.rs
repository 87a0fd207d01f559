//! Looks into an EMQX archive while it goes by: a gzip-packed tar whose entries all lie in a
//! directory of the archive's own name. Memory stays flat: of large entries only counts are kept.
//!
//! What it refuses: entries outside that directory, absolute names, `..`, links, devices, two entries
//! of one name, an archive without `META.hocon`, more entries or bytes than a configuration has, a
//! packing that no configuration has, and anything that is cut off.

mod mnesia;
mod term;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};

pub(super) use mnesia::Rows;

use super::meta::Meta;
pub(super) use crate::engine::tar::Fault;
use crate::engine::tar::{self, Kind, Visit};

/// What every archive's name ends in.
pub(super) const SUFFIX: &str = ".tar.gz";

/// The most entries. Certificates are a few files each.
const ENTRIES: usize = 20_000;
/// The most bytes of all names together.
const NAMES: usize = 1 << 20;
/// The most bytes of one name.
const NAME: usize = 1024;
/// The most plain bytes.
const PLAIN: u64 = 64 << 30;
/// Plain bytes that are taken however well they are packed.
const PLAIN_FREE: u64 = 16 << 20;
/// The most plain bytes for a packed one, above those.
const RATIO: u64 = 250;
/// The most bytes of `META.hocon`.
const META: usize = 16 * 1024;
/// The most bytes of `cluster.hocon` that are read; a longer one is not looked into.
const CONFIGURATION: usize = 1 << 20;
/// Packed bytes that are unpacked before other tasks get their turn. Deflate makes at most 1,032
/// bytes out of one.
const STEP: usize = 4 * 1024;

/// What an archive holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// What made it.
    pub(super) meta: Meta,
    /// Entries, directories too.
    pub(super) entries: usize,
    /// Each table's records; none where its file could not be read.
    pub(super) tables: BTreeMap<String, Option<Rows>>,
    /// `cluster.hocon`; none where there is none, or it is too long.
    pub(super) configuration: Option<String>,
    /// Whether there is a `cluster.hocon` that is too long.
    pub(super) configuration_too_long: bool,
    /// Names of all files, below the archive's own directory.
    pub(super) files: BTreeSet<String>,
    /// Tables that were left out of the copy.
    pub(super) left_out: Vec<String>,
}

/// How an archive is looked at.
pub(super) struct Look<'a> {
    /// The archive's name, with its suffix.
    pub(super) name: &'a str,
    /// Bans that end before this, in seconds since 1970, are counted apart.
    pub(super) ending_before: i64,
    /// Tables to leave out of a copy that is made; none: no copy is made.
    pub(super) copy_without: Option<&'a [&'a str]>,
}

/// Looks at an archive, and copies it where asked to.
pub(super) struct Scan {
    unpack: GzDecoder<Sink>,
    first: Option<u8>,
}

impl Scan {
    /// For the archive of this name.
    pub(super) fn new(look: &Look<'_>) -> Result<Self, Fault> {
        let base = base_name(look.name)?;
        let copy = look.copy_without.map(|tables| Copy {
            pack: GzEncoder::new(Vec::new(), Compression::default()),
            without: tables.iter().map(|table| (*table).to_owned()).collect(),
            skips: false,
        });
        Ok(Self {
            unpack: GzDecoder::new(Sink {
                reader: tar::Reader::new(),
                entries: Entries::new(base, look.ending_before, copy),
                fault: None,
            }),
            first: None,
        })
    }

    /// Takes the next packed bytes.
    pub(super) async fn push(&mut self, packed: &[u8]) -> Result<(), Fault> {
        if self.first.is_none() {
            self.first = packed.first().copied();
            if self.first == Some(b'{') {
                return Err(Fault::new(
                    "it is a JSON file, as EMQX 4.x exports; EMQX 5 can't import it, and the vendor's emqx-data-converter makes an archive of it",
                ));
            }
        }
        for step in packed.chunks(STEP) {
            self.unpack.get_mut().entries.packed += step.len() as u64;
            self.unpack
                .write_all(step)
                .map_err(|error| self.fault(&error))?;
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// What of the copy is ready to be sent.
    pub(super) fn copied(&mut self) -> Vec<u8> {
        let copy = &mut self.unpack.get_mut().entries.copy;
        copy.as_mut()
            .map(|copy| std::mem::take(copy.pack.get_mut()))
            .unwrap_or_default()
    }

    /// The archive has ended: what it holds, and the rest of the copy.
    pub(super) fn finish(mut self) -> Result<(Contents, Vec<u8>), Fault> {
        self.unpack
            .try_finish()
            .map_err(|error| self.fault(&error))?;
        let sink = self.unpack.get_mut();
        sink.reader.finish()?;
        sink.entries.finish()
    }

    fn fault(&mut self, error: &io::Error) -> Fault {
        self.unpack
            .get_mut()
            .fault
            .take()
            .unwrap_or_else(|| match error.kind() {
                io::ErrorKind::WriteZero => Fault::new("there is something after its end"),
                _ => Fault::new(format!("it is no gzip file, damaged, or cut off ({error})")),
            })
    }
}

/// The directory that all entries of an archive lie in: its name without the suffix.
pub(super) fn base_name(name: &str) -> Result<&str, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match name.strip_suffix(SUFFIX) {
        Some(base)
            if !base.is_empty()
                && !base.starts_with('.')
                && base.len() <= 128
                && base.chars().all(plain) =>
        {
            Ok(base)
        }
        _ => Err(Fault::new(format!(
            "its name {:?} is none that EMQX gives: letters, digits, dashes and dots, and {SUFFIX} at the end",
            super::word(name)
        ))),
    }
}

/// Takes unpacked bytes.
struct Sink {
    reader: tar::Reader,
    entries: Entries,
    fault: Option<Fault>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entries.plain += bytes.len() as u64;
        let taken = self
            .entries
            .check_size()
            .and_then(|()| self.reader.push(bytes, &mut self.entries));
        taken.map(|()| bytes.len()).map_err(|fault| {
            self.fault = Some(fault);
            io::Error::from(io::ErrorKind::InvalidData)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Copy {
    pack: GzEncoder<Vec<u8>>,
    without: Vec<String>,
    /// Whether the entry that goes by is left out.
    skips: bool,
}

enum Current {
    Nothing,
    Meta(Vec<u8>),
    Configuration(Vec<u8>),
    Table(String, mnesia::Counter),
}

struct Entries {
    base: String,
    ending_before: i64,
    packed: u64,
    plain: u64,
    names: usize,
    current: Current,
    meta: Option<Vec<u8>>,
    configuration: Option<Vec<u8>>,
    copy: Option<Copy>,
    files: BTreeSet<String>,
    count: usize,
    tables: BTreeMap<String, Option<Rows>>,
    left_out: Vec<String>,
}

impl Entries {
    fn new(base: &str, ending_before: i64, copy: Option<Copy>) -> Self {
        Self {
            base: base.to_owned(),
            ending_before,
            packed: 0,
            plain: 0,
            names: 0,
            current: Current::Nothing,
            meta: None,
            configuration: None,
            copy,
            files: BTreeSet::new(),
            count: 0,
            tables: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    fn check_size(&self) -> Result<(), Fault> {
        if self.plain > PLAIN {
            return Err(Fault::new("it unpacks to more than 64 GiB"));
        }
        if self.plain > PLAIN_FREE + self.packed.saturating_mul(RATIO) {
            return Err(Fault::new(
                "it unpacks to far more than a configuration ever has",
            ));
        }
        Ok(())
    }

    /// The entry's name below the archive's own directory.
    fn inside<'a>(&self, name: &'a str) -> Result<&'a str, Fault> {
        let shown = || super::word(name);
        if name.len() > NAME || name.chars().any(char::is_control) {
            return Err(Fault::new("an entry's name is too long or not printable"));
        }
        let name = name.strip_suffix('/').unwrap_or(name);
        let climbs = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.contains('\\') || name.split('/').any(climbs) {
            return Err(Fault::new(format!(
                "the entry {:?} is no plain path",
                shown()
            )));
        }
        match name.split_once('/') {
            Some((first, rest)) if first == self.base => Ok(rest),
            None if name == self.base => Ok(""),
            _ => Err(Fault::new(format!(
                "the entry {:?} does not lie in the directory {}, as it must: the archive was renamed",
                shown(),
                self.base
            ))),
        }
    }

    fn finish(&mut self) -> Result<(Contents, Vec<u8>), Fault> {
        let Some(meta) = self.meta.take() else {
            return Err(Fault::new("it has no META.hocon"));
        };
        let text = String::from_utf8_lossy(&meta);
        let meta = Meta::parse(&text).map_err(Fault::new)?;
        let too_long = self
            .configuration
            .as_ref()
            .is_some_and(|text| text.len() > CONFIGURATION);
        let rest = match self.copy.take() {
            Some(copy) => copy
                .pack
                .finish()
                .map_err(|error| Fault::new(format!("it can't be packed again: {error}")))?,
            None => Vec::new(),
        };
        let contents = Contents {
            meta,
            entries: self.count,
            tables: std::mem::take(&mut self.tables),
            configuration: self
                .configuration
                .take()
                .filter(|_| !too_long)
                .map(|text| String::from_utf8_lossy(&text).into_owned()),
            configuration_too_long: too_long,
            files: std::mem::take(&mut self.files),
            left_out: std::mem::take(&mut self.left_out),
        };
        Ok((contents, rest))
    }
}

impl Visit for Entries {
    fn entry(&mut self, name: &str, kind: Kind, _size: u64) -> Result<(), Fault> {
        self.count += 1;
        self.names += name.len();
        if self.count > ENTRIES || self.names > NAMES {
            return Err(Fault::new(
                "it has more entries than a configuration ever has",
            ));
        }
        let inside = self.inside(name)?.to_owned();
        let table = inside.strip_prefix("mnesia/").map(str::to_owned);
        if !self.files.insert(inside.clone()) {
            return Err(Fault::new(format!(
                "it has two entries named {:?}",
                super::word(name)
            )));
        }
        if let Some(copy) = &mut self.copy {
            copy.skips = table
                .as_ref()
                .is_some_and(|name| copy.without.contains(name));
        }
        self.current = match (kind, inside.as_str(), table) {
            (Kind::Directory, ..) => Current::Nothing,
            (_, "META.hocon", _) => Current::Meta(Vec::new()),
            (_, "cluster.hocon", _) => Current::Configuration(Vec::new()),
            (_, _, Some(table)) => {
                let counter = mnesia::Counter::new(&table, self.ending_before);
                Current::Table(table, counter)
            }
            _ => Current::Nothing,
        };
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.current {
            Current::Nothing => {}
            Current::Meta(text) => {
                text.extend_from_slice(bytes);
                if text.len() > META {
                    return Err(Fault::new("its META.hocon is too long"));
                }
            }
            Current::Configuration(text) => {
                let room = (CONFIGURATION + 1).saturating_sub(text.len());
                text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Current::Table(_, counter) => counter.push(bytes),
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Nothing => {}
            Current::Meta(text) => self.meta = Some(text),
            Current::Configuration(text) => self.configuration = Some(text),
            Current::Table(name, counter) => {
                if self.copy.as_ref().is_some_and(|copy| copy.skips) {
                    self.left_out.push(name.clone());
                }
                self.tables.insert(name, counter.finish());
            }
        }
        Ok(())
    }

    fn last(&mut self) {
        if let Some(copy) = &mut self.copy {
            copy.skips = false;
        }
    }

    fn blocks(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(copy) = self.copy.as_mut().filter(|copy| !copy.skips) else {
            return Ok(());
        };
        copy.pack
            .write_all(bytes)
            .map_err(|error| Fault::new(format!("it can't be packed again: {error}")))
    }
}
