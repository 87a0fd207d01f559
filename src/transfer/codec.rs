//! Packs and unpacks, a piece at a time.

use std::io::{self, Write};

use zstd::stream::raw::{CParameter, DParameter, InBuffer, Operation, OutBuffer};

use crate::api::common::Codec;

/// Window of zstd when packing, as a power of two: 1 MiB. The default of level 3 is twice that
/// and of level 19 eight times, for next to nothing on rows of text.
const PACK_WINDOW: u32 = 20;
/// The largest window that is unpacked: 8 MiB. A hostile file could ask for 2 GiB.
const UNPACK_WINDOW: u32 = 23;
/// Plain bytes that come out of the decoder at once.
const OUT: usize = 128 * 1024;
/// Gzip bytes that go into the decoder at once: deflate makes at most 1,032 bytes out of one, so
/// at most 1 MiB comes out.
const GZIP_IN: usize = 1024;

/// The end of a stored file's name, with its dot; empty for `none`.
pub fn extension(codec: Codec) -> &'static str {
    match codec {
        Codec::Zstd => ".zst",
        Codec::Gzip => ".gz",
        Codec::None => "",
    }
}

/// The level where none is asked for.
pub fn default_level(codec: Codec) -> i32 {
    match codec {
        Codec::Zstd => 3,
        Codec::Gzip => 6,
        Codec::None => 0,
    }
}

/// Packs one file.
pub(crate) enum Encoder {
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    None,
}

impl Encoder {
    /// `level` is that of the codec; none: its default.
    pub(crate) fn new(codec: Codec, level: Option<i32>) -> io::Result<Self> {
        let level = level.unwrap_or_else(|| default_level(codec));
        Ok(match codec {
            Codec::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(Vec::new(), level.clamp(1, 19))?;
                encoder.set_parameter(CParameter::WindowLog(PACK_WINDOW))?;
                encoder.include_checksum(true)?;
                Self::Zstd(Box::new(encoder))
            }
            Codec::Gzip => {
                let level = u32::try_from(level.clamp(1, 9)).unwrap_or(6);
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(
                    Vec::new(),
                    flate2::Compression::new(level),
                )))
            }
            Codec::None => Self::None,
        })
    }

    /// Packs some bytes and gives what came out so far; often nothing.
    pub(crate) fn pack<'a>(&'a mut self, plain: &'a [u8]) -> io::Result<&'a [u8]> {
        match self {
            Self::Zstd(encoder) => {
                encoder.get_mut().clear();
                encoder.write_all(plain)?;
                Ok(encoder.get_ref())
            }
            Self::Gzip(encoder) => {
                encoder.get_mut().clear();
                encoder.write_all(plain)?;
                Ok(encoder.get_ref())
            }
            Self::None => Ok(plain),
        }
    }

    /// The last bytes.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(mut encoder) => {
                encoder.get_mut().clear();
                encoder.finish()
            }
            Self::Gzip(mut encoder) => {
                encoder.get_mut().clear();
                encoder.finish()
            }
            Self::None => Ok(Vec::new()),
        }
    }
}

/// Unpacks one file. What comes out of one call is bounded, whatever goes in.
pub(crate) enum Decoder {
    Zstd {
        decoder: zstd::stream::raw::Decoder<'static>,
        /// True between frames.
        at_end: bool,
    },
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    None,
}

impl Decoder {
    pub(crate) fn new(codec: Codec) -> io::Result<Self> {
        Ok(match codec {
            Codec::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(UNPACK_WINDOW))?;
                Self::Zstd {
                    decoder,
                    at_end: true,
                }
            }
            Codec::Gzip => Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            Codec::None => Self::None,
        })
    }

    /// Unpacks from the front of `stored` and says how much of it was used. Call it again with the
    /// rest while any is left or bytes came out.
    pub(crate) fn unpack(&mut self, stored: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        out.clear();
        match self {
            Self::Zstd { decoder, at_end } => {
                out.resize(OUT, 0);
                let mut from = InBuffer::around(stored);
                let mut to = OutBuffer::around(out.as_mut_slice());
                let hint = decoder.run(&mut from, &mut to)?;
                let (used, made) = (from.pos(), to.pos());
                if used > 0 || made > 0 {
                    *at_end = hint == 0;
                }
                out.truncate(made);
                Ok(used)
            }
            Self::Gzip(decoder) => {
                let mut used = 0;
                while used < stored.len() && decoder.get_ref().len() < OUT {
                    let end = stored.len().min(used + GZIP_IN);
                    let taken = decoder.write(&stored[used..end])?;
                    if taken == 0 {
                        return Err(io::Error::other("there are bytes after the end"));
                    }
                    used += taken;
                }
                std::mem::swap(out, decoder.get_mut());
                Ok(used)
            }
            Self::None => {
                let used = stored.len().min(OUT);
                out.extend_from_slice(&stored[..used]);
                Ok(used)
            }
        }
    }

    /// Called once after the last byte: what is left, or an error where the end is missing.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match self {
            Self::Zstd { at_end: true, .. } | Self::None => Ok(()),
            Self::Zstd { .. } => Err(io::Error::other("the end of the zstd frame is missing")),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                std::mem::swap(out, decoder.get_mut());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pack(codec: Codec, level: Option<i32>, plain: &[u8], step: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(codec, level).unwrap();
        let mut stored = Vec::new();
        for chunk in plain.chunks(step) {
            stored.extend_from_slice(encoder.pack(chunk).unwrap());
        }
        stored.extend_from_slice(&encoder.finish().unwrap());
        stored
    }

    fn unpack(codec: Codec, stored: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::new(codec)?;
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        for chunk in stored.chunks(step) {
            let mut rest = chunk;
            loop {
                let used = decoder.unpack(rest, &mut out)?;
                assert!(out.len() <= 2 * 1024 * 1024, "{}", out.len());
                plain.extend_from_slice(&out);
                rest = &rest[used..];
                if rest.is_empty() && out.is_empty() {
                    break;
                }
            }
        }
        decoder.finish(&mut out)?;
        plain.extend_from_slice(&out);
        Ok(plain)
    }

    #[test]
    fn round_trips() {
        let text: Vec<u8> = (0..40_000u32)
            .flat_map(|n| format!("cpu,host=h{} usage={n} {n}\n", n % 7).into_bytes())
            .collect();
        for codec in [Codec::Zstd, Codec::Gzip, Codec::None] {
            for (level, step) in [(None, 1 << 17), (Some(1), 1000), (Some(19), 1 << 17)] {
                let stored = pack(codec, level, &text, step);
                for step in [1000, 65_536, usize::MAX] {
                    assert_eq!(unpack(codec, &stored, step).unwrap(), text, "{codec:?}");
                }
            }
            assert!(
                unpack(codec, &pack(codec, None, b"", 1), 10)
                    .unwrap()
                    .is_empty()
            );
        }
    }

    #[test]
    fn stock_tools_read_it() {
        let text = b"cpu usage=1 1\n".repeat(1000);
        let zst = pack(Codec::Zstd, None, &text, 100);
        assert_eq!(zstd::stream::decode_all(&zst[..]).unwrap(), text);
        let gz = pack(Codec::Gzip, None, &text, 100);
        let mut plain = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gz[..]), &mut plain).unwrap();
        assert_eq!(plain, text);
    }

    #[test]
    fn cut_and_changed_files_are_errors() {
        let text = b"cpu usage=1 1\n".repeat(10_000);
        for codec in [Codec::Zstd, Codec::Gzip] {
            let stored = pack(codec, None, &text, 1 << 17);
            for cut in [1, 5, stored.len() / 2] {
                let end = stored.len() - cut;
                assert!(
                    unpack(codec, &stored[..end], 1 << 16).is_err(),
                    "{codec:?} -{cut}"
                );
            }
            let mut longer = stored.clone();
            longer.extend_from_slice(b"tail");
            assert!(unpack(codec, &longer, 1 << 16).is_err(), "{codec:?} longer");
        }
    }

    #[test]
    fn a_bomb_comes_out_in_small_pieces() {
        let zeros = vec![0; 16 << 20];
        for codec in [Codec::Zstd, Codec::Gzip] {
            let stored = pack(codec, None, &zeros, 1 << 20);
            assert_eq!(
                unpack(codec, &stored, usize::MAX).unwrap().len(),
                zeros.len()
            );
        }
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_parameter(CParameter::WindowLog(27)).unwrap();
        encoder.write_all(&[7; 64]).unwrap();
        encoder.flush().unwrap();
        encoder.write_all(&vec![7; 1 << 20]).unwrap();
        let stored = encoder.finish().unwrap();
        assert!(unpack(Codec::Zstd, &stored, 1 << 16).is_err());
    }
}
