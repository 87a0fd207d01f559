//! A shard's files: the tar archive that the server gives and takes, and the gzip around it.
//!
//! Its entries are `<database>/<retention policy>/<shard>/<file>`. Vendor source: `pkg/tar/stream.go`,
//! `tsdb/engine/tsm1/engine.go` (`Backup`, `Restore`). The server writes what comes in to the path that
//! an entry names, so a file's name is checked, and all that is before it is made here. It takes none
//! but `.tsm` files: what was deleted, and stands in `.tombstone` files, comes back.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};

use crate::engine::tar::{Fault, Kind, Reader, Visit};
use crate::tar::Tar;

/// The files with points.
const POINTS: &str = ".tsm";
/// The files that say what of those was deleted.
const DELETED: &str = ".tombstone";
/// The longest name of a file: a generation, a sequence and an ending.
const NAME: usize = 64;
/// Packed bytes that are unpacked at once: deflate makes at most 1,032 bytes out of one.
const STEP: usize = 1024;

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Files.
    pub(super) files: u64,
    /// Whether points of it were deleted, and are in it nevertheless.
    pub(super) deleted: bool,
}

impl Contents {
    fn add(&mut self, name: &str) {
        self.files += 1;
        self.deleted |= name.ends_with(DELETED);
    }
}

impl Visit for Contents {
    fn entry(&mut self, name: &str, kind: Kind, _: u64) -> Result<(), Fault> {
        if kind == Kind::File {
            self.add(name);
        }
        Ok(())
    }
    fn content(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
    fn ended(&mut self) -> Result<(), Fault> {
        Ok(())
    }
    fn blocks(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
    fn last(&mut self) {}
}

/// Packs an archive that comes from a server, and looks into it.
pub(super) struct Packer {
    reader: Reader,
    contents: Contents,
    gzip: GzEncoder<Vec<u8>>,
    plain: u64,
}

impl Packer {
    /// For a new archive.
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::new(),
            contents: Contents::default(),
            // The points are packed already.
            gzip: GzEncoder::new(Vec::new(), Compression::fast()),
            plain: 0,
        }
    }

    /// Takes the next bytes, and gives what came out so far.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        self.reader.push(bytes, &mut self.contents)?;
        self.plain += bytes.len() as u64;
        self.gzip
            .write_all(bytes)
            .map_err(|error| packing(&error))?;
        Ok(std::mem::take(self.gzip.get_mut()))
    }

    /// What was seen so far.
    pub(super) fn contents(&self) -> Contents {
        self.contents
    }

    /// The last bytes, and the size before packing, once the archive came to its end.
    pub(super) fn finish(self) -> Result<(Vec<u8>, u64), Fault> {
        self.reader.finish()?;
        let rest = self.gzip.finish().map_err(|error| packing(&error))?;
        Ok((rest, self.plain))
    }
}

/// Unpacks a stored archive into one that a server takes as another shard.
pub(super) struct Unpacker {
    gzip: GzDecoder<Sorter>,
}

impl Unpacker {
    /// `place` is `<database>/<retention policy>/<shard>` in the target.
    pub(super) fn new(place: String) -> Self {
        Self {
            gzip: GzDecoder::new(Sorter {
                reader: Reader::new(),
                rename: Rename {
                    place,
                    taking: false,
                    tar: Tar::new(Vec::new(), 0),
                },
                fault: None,
            }),
        }
    }

    /// Takes the next packed bytes, and gives what the server is to get.
    pub(super) fn push(&mut self, packed: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        for step in packed.chunks(STEP) {
            let written = self.gzip.write_all(step);
            written.map_err(|error| self.fault(&error))?;
            let _ = self.gzip.flush();
            out.append(self.gzip.get_mut().rename.tar.out());
        }
        Ok(out)
    }

    /// The last bytes, once the archive came to its end.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Fault> {
        let ended = self.gzip.try_finish();
        ended.map_err(|error| self.fault(&error))?;
        let sorter = self.gzip.finish().map_err(|error| packing(&error))?;
        sorter.reader.finish()?;
        sorter.rename.tar.finish().map_err(|error| packing(&error))
    }

    fn fault(&mut self, error: &std::io::Error) -> Fault {
        let own = self.gzip.get_mut().fault.take();
        own.unwrap_or_else(|| {
            Fault::new(format!("it is no gzip file, damaged, or cut off ({error})"))
        })
    }
}

fn packing(error: &std::io::Error) -> Fault {
    Fault::new(format!("it can't be packed ({error})"))
}

/// Takes the plain bytes of an archive.
struct Sorter {
    reader: Reader,
    rename: Rename,
    fault: Option<Fault>,
}

impl Write for Sorter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.reader.push(bytes, &mut self.rename) {
            Ok(()) => Ok(bytes.len()),
            Err(fault) => {
                self.fault = Some(fault);
                Err(std::io::Error::other("refused"))
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes the files with points anew, under the target's names.
struct Rename {
    place: String,
    taking: bool,
    tar: Tar<Vec<u8>>,
}

impl Visit for Rename {
    fn entry(&mut self, name: &str, kind: Kind, size: u64) -> Result<(), Fault> {
        self.taking = kind == Kind::File && name.ends_with(POINTS);
        if !self.taking {
            return Ok(());
        }
        let file = file_name(name).ok_or_else(|| {
            Fault::new("an entry of it is not <database>/<retention policy>/<shard>/<file>.tsm")
        })?;
        let name = format!("{}/{file}", self.place);
        self.tar.file(&name, size).map_err(|error| packing(&error))
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.taking {
            return Ok(());
        }
        self.tar.write(bytes).map_err(|error| packing(&error))
    }

    fn ended(&mut self) -> Result<(), Fault> {
        Ok(())
    }
    fn blocks(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
    fn last(&mut self) {}
}

/// The last of an entry's four names, where it is one that the server gives.
fn file_name(name: &str) -> Option<&str> {
    let mut names = name.split('/');
    let (_, _, _) = (names.next()?, names.next()?, names.next()?);
    let file = names.next()?;
    let stem = file.strip_suffix(POINTS)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let good = !stem.is_empty() && file.len() <= NAME && stem.chars().all(plain);
    (good && names.next().is_none()).then_some(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Tar::new(Vec::new(), 0);
        for (name, content) in entries {
            tar.file(name, content.len() as u64).unwrap();
            tar.write(content).unwrap();
        }
        tar.finish().unwrap()
    }

    fn pack(tar: &[u8], piece: usize) -> Result<(Vec<u8>, Contents), Fault> {
        let mut packer = Packer::new();
        let mut out = Vec::new();
        for bytes in tar.chunks(piece) {
            out.extend(packer.push(bytes)?);
        }
        let contents = packer.contents();
        let (rest, plain) = packer.finish()?;
        assert_eq!(plain, tar.len() as u64);
        out.extend(rest);
        Ok((out, contents))
    }

    fn unpack(packed: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
        let mut unpacker = Unpacker::new("new db/r p/17".to_owned());
        let mut out = Vec::new();
        for bytes in packed.chunks(piece) {
            out.extend(unpacker.push(bytes)?);
        }
        out.extend(unpacker.finish()?);
        Ok(out)
    }

    #[test]
    fn a_shard_gets_the_names_of_the_target() {
        let long = format!("{}/autogen/3/000000001-000000001.tsm", "d".repeat(200));
        let body = vec![7; 1000];
        let tar = archive(&[
            (&long, &body),
            ("d/autogen/3/000000001-000000001.tombstone", b"x"),
            ("d/autogen/3/fields.idx", b"y"),
            ("d/autogen/3/000000002-000000001.tsm", b""),
        ]);
        let want = archive(&[
            ("new db/r p/17/000000001-000000001.tsm", &body),
            ("new db/r p/17/000000002-000000001.tsm", b""),
        ]);
        for piece in [1, 100, 512, 1 << 20] {
            let (packed, contents) = pack(&tar, piece).unwrap();
            assert_eq!(
                contents,
                Contents {
                    files: 4,
                    deleted: true
                }
            );
            assert_eq!(unpack(&packed, piece).unwrap(), want, "{piece}");
        }
        let (empty, contents) = pack(&archive(&[]), 512).unwrap();
        assert_eq!(contents, Contents::default());
        assert_eq!(unpack(&empty, 512).unwrap(), archive(&[]));
    }

    #[test]
    fn what_is_cut_off_or_no_archive_is_refused() {
        let tar = archive(&[("d/r/1/000000001-000000001.tsm", &[7; 1000])]);
        for length in [0, 100, 512, 1024, 1536] {
            assert!(pack(&tar[..length], 512).is_err(), "{length}");
        }
        let (packed, _) = pack(&tar, 512).unwrap();
        for length in [0, 5, packed.len() / 2, packed.len() - 1] {
            assert!(unpack(&packed[..length], 512).is_err(), "{length}");
        }
        assert!(unpack(b"no gzip at all, but long enough to see", 512).is_err());
    }

    #[test]
    fn hostile_names_go_nowhere() {
        for name in [
            "d/r/1/../../../../etc/cron.d/x.tsm",
            "d/r/1/x/y.tsm",
            "/d/r/1/x/y.tsm",
            "d/r/x.tsm",
            "x.tsm",
            "d/r/1/..tsm",
            "d/r/1/a b.tsm",
            "d/r/1/.tsm",
            "d/r/1/\u{e9}.tsm",
        ] {
            let (packed, _) = pack(&archive(&[(name, b"x")]), 512).unwrap();
            assert!(unpack(&packed, 512).is_err(), "{name}");
        }
    }
}
