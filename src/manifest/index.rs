//! The parts index as bytes: JSON lines in one Zstandard frame, written and read as a stream.

use sha2::{Digest, Sha256};
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::check::{from_json, to_json_line};
use super::parts::{INDEX_PATH, MAX_INDEX_LINE};
use super::tally::Tally;
use super::{IndexRef, Manifest, ManifestError, Part};
use crate::api::common::Totals;

const LEVEL: i32 = 3;
/// 8 MiB: what a reader spends at most on a frame's window. Level 3 writes 2 MiB.
const MAX_WINDOW_LOG: u32 = 23;
const STEP: usize = 64 * 1024;

/// Packs parts into the bytes of an index.
pub struct IndexEncoder {
    encoder: Encoder<'static>,
    tally: Tally,
    plain_size: u64,
    stored_size: u64,
    stored: Sha256,
    block: Vec<u8>,
}

impl IndexEncoder {
    /// An empty index.
    pub fn new() -> Result<Self, ManifestError> {
        let mut encoder = Encoder::new(LEVEL).map_err(|error| packing(&error))?;
        encoder
            .set_parameter(CParameter::ChecksumFlag(true))
            .map_err(|error| packing(&error))?;
        Ok(Self {
            encoder,
            tally: Tally::default(),
            plain_size: 0,
            stored_size: 0,
            stored: Sha256::new(),
            block: vec![0; STEP],
        })
    }

    /// Takes a part and gives the bytes to store next, often none. Refuses what
    /// [`IndexDecoder`] would refuse.
    pub fn push(&mut self, part: &Part) -> Result<Vec<u8>, ManifestError> {
        let number = self.tally.totals().parts;
        let refused = |problem| ManifestError::Part {
            part: number,
            problem,
        };
        let line = to_json_line(part)?;
        if line.len() > MAX_INDEX_LINE + 1 {
            return Err(refused(format!(
                "it takes {} bytes, more than the {MAX_INDEX_LINE} of a line",
                line.len()
            )));
        }
        self.tally.add(part).map_err(refused)?;
        self.plain_size += line.len() as u64;
        let mut packed = Vec::new();
        let mut input = InBuffer::around(&line);
        while input.pos() < line.len() {
            let mut output = OutBuffer::around(self.block.as_mut_slice());
            self.encoder
                .run(&mut input, &mut output)
                .map_err(|error| packing(&error))?;
            packed.extend_from_slice(output.as_slice());
        }
        self.count(&packed);
        Ok(packed)
    }

    /// What the parts so far add up to.
    pub fn totals(&self) -> &Totals {
        self.tally.totals()
    }

    /// The last bytes to store, and what the manifest says of the index.
    pub fn finish(mut self) -> Result<(Vec<u8>, IndexRef, Totals), ManifestError> {
        self.tally.check_end().map_err(ManifestError::Index)?;
        let mut packed = Vec::new();
        let mut left = 1;
        while left > 0 {
            let mut output = OutBuffer::around(self.block.as_mut_slice());
            left = self
                .encoder
                .finish(&mut output, true)
                .map_err(|error| packing(&error))?;
            packed.extend_from_slice(output.as_slice());
        }
        self.count(&packed);
        let totals = self.tally.totals().clone();
        let index = IndexRef {
            path: INDEX_PATH.to_owned(),
            stored_size: self.stored_size,
            stored_sha256: hex::encode(self.stored.finalize()),
            plain_size: self.plain_size,
            parts: totals.parts,
        };
        Ok((packed, index, totals))
    }

    fn count(&mut self, packed: &[u8]) {
        self.stored_size += packed.len() as u64;
        self.stored.update(packed);
    }
}

/// Unpacks and checks an index that anybody may have written, part by part, in bounded memory.
///
/// The digest and the sums can only be compared at the end: nothing may be acted on before one
/// reading has come to [`IndexDecoder::finish`].
pub struct IndexDecoder {
    decoder: Decoder<'static>,
    index: IndexRef,
    totals: Totals,
    tally: Tally,
    input: Vec<u8>,
    taken: usize,
    stored_size: u64,
    stored: Sha256,
    frame_ended: bool,
    plain: Vec<u8>,
    read: usize,
    plain_size: u64,
    line: Vec<u8>,
}

impl IndexDecoder {
    /// Begins to read the index of a manifest.
    pub fn new(manifest: &Manifest) -> Result<Self, ManifestError> {
        let mut decoder = Decoder::new().map_err(|error| packing(&error))?;
        decoder
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
            .map_err(|error| packing(&error))?;
        Ok(Self {
            decoder,
            index: manifest.index.clone(),
            totals: manifest.totals.clone(),
            tally: Tally::default(),
            input: Vec::new(),
            taken: 0,
            stored_size: 0,
            stored: Sha256::new(),
            frame_ended: false,
            plain: Vec::new(),
            read: 0,
            plain_size: 0,
            line: Vec::new(),
        })
    }

    /// Takes stored bytes. Call it when [`IndexDecoder::next_part`] gave none.
    pub fn push(&mut self, stored: &[u8]) -> Result<(), ManifestError> {
        self.stored_size += stored.len() as u64;
        if self.stored_size > self.index.stored_size {
            return Err(differs(
                "stored bytes",
                self.stored_size,
                self.index.stored_size,
            ));
        }
        self.stored.update(stored);
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(stored);
        Ok(())
    }

    /// The next part; none where more stored bytes are needed.
    pub fn next_part(&mut self) -> Result<Option<Part>, ManifestError> {
        loop {
            let fresh = &self.plain[self.read..];
            let end = fresh.iter().position(|byte| *byte == b'\n');
            let piece = &fresh[..end.unwrap_or(fresh.len())];
            if self.line.len() + piece.len() > MAX_INDEX_LINE {
                return Err(ManifestError::Part {
                    part: self.tally.totals().parts,
                    problem: format!("its line has more than {MAX_INDEX_LINE} bytes"),
                });
            }
            self.line.extend_from_slice(piece);
            if end.is_some() {
                self.read += piece.len() + 1;
                return self.take_line().map(Some);
            }
            if !self.unpack()? {
                return Ok(None);
            }
        }
    }

    /// Compares what was read with what the manifest says. Call it after the last stored bytes were
    /// pushed and all parts were taken.
    pub fn finish(self) -> Result<(), ManifestError> {
        if !self.frame_ended || self.stored_size < self.index.stored_size {
            return Err(ManifestError::Index(format!(
                "it ends after {} of {} stored bytes",
                self.stored_size, self.index.stored_size
            )));
        }
        let found = hex::encode(self.stored.clone().finalize());
        if found != self.index.stored_sha256 {
            return Err(ManifestError::Index(format!(
                "its SHA-256 is {found}, not {}",
                self.index.stored_sha256
            )));
        }
        if !self.line.is_empty() {
            return Err(ManifestError::Index("its last line has no end".to_owned()));
        }
        if self.plain_size != self.index.plain_size {
            return Err(differs(
                "plain bytes",
                self.plain_size,
                self.index.plain_size,
            ));
        }
        self.tally.check_end().map_err(ManifestError::Index)?;
        self.compare(|found, said| found != said)
    }

    fn take_line(&mut self) -> Result<Part, ManifestError> {
        let number = self.tally.totals().parts;
        let refused = |problem| ManifestError::Part {
            part: number,
            problem,
        };
        let part: Part = from_json(&self.line).map_err(|error| match error {
            ManifestError::Syntax(problem) => refused(problem),
            other => other,
        })?;
        self.line.clear();
        self.tally.add(&part).map_err(refused)?;
        self.compare(|found, said| found > said)?;
        Ok(part)
    }

    /// Unpacks a step more. False: all that was pushed is unpacked.
    fn unpack(&mut self) -> Result<bool, ManifestError> {
        self.read = 0;
        self.plain.resize(STEP, 0);
        let mut written = 0;
        let mut input = InBuffer::around(&self.input[self.taken..]);
        if !self.frame_ended {
            let mut output = OutBuffer::around(self.plain.as_mut_slice());
            let hint = self
                .decoder
                .run(&mut input, &mut output)
                .map_err(|error| packing(&error))?;
            written = output.pos();
            self.frame_ended = hint == 0;
        }
        self.taken += input.pos();
        self.plain.truncate(written);
        self.plain_size += written as u64;
        if self.plain_size > self.index.plain_size {
            return Err(differs(
                "plain bytes",
                self.plain_size,
                self.index.plain_size,
            ));
        }
        if self.frame_ended && self.taken < self.input.len() {
            return Err(ManifestError::Index("bytes follow its end".to_owned()));
        }
        Ok(written > 0 || self.taken < self.input.len())
    }

    fn compare(&self, differ: impl Fn(u64, u64) -> bool) -> Result<(), ManifestError> {
        let (found, said) = (self.tally.totals(), &self.totals);
        for (what, found, said) in [
            ("parts", found.parts, said.parts),
            ("records", found.records, said.records),
            ("files", found.files, said.files),
            ("plain bytes of files", found.plain_bytes, said.plain_bytes),
            (
                "stored bytes of files",
                found.stored_bytes,
                said.stored_bytes,
            ),
        ] {
            if differ(found, said) {
                return Err(differs(what, found, said));
            }
        }
        Ok(())
    }
}

fn differs(what: &str, found: u64, said: u64) -> ManifestError {
    ManifestError::Index(format!("it has {found} {what}, the manifest says {said}"))
}

fn packing(error: &std::io::Error) -> ManifestError {
    ManifestError::Index(format!("it can't be packed or unpacked: {error}"))
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
