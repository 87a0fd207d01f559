#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::items_after_statements
)]

use std::io::Read;

use proptest::prelude::*;

use super::super::samples::{full, part};
use super::*;

/// An index and the manifest that names it.
fn pack(parts: &[Part]) -> (Manifest, Vec<u8>) {
    let mut encoder = IndexEncoder::new().unwrap();
    let mut stored = Vec::new();
    for part in parts {
        stored.extend(encoder.push(part).unwrap());
    }
    let (rest, index, totals) = encoder.finish().unwrap();
    stored.extend(rest);
    let mut manifest = full(0);
    manifest.index = index;
    manifest.totals = totals;
    (manifest, stored)
}

/// Packs lines as they are, and a manifest whose sizes and digest fit.
fn pack_raw(plain: &[u8], parts: u64) -> (Manifest, Vec<u8>) {
    let stored = zstd::encode_all(plain, LEVEL).unwrap();
    let mut manifest = full(0);
    manifest.index.stored_size = stored.len() as u64;
    manifest.index.stored_sha256 = super::super::sha256_hex(&stored);
    manifest.index.plain_size = plain.len() as u64;
    manifest.index.parts = parts;
    manifest.totals = Totals {
        parts,
        records: 1 << 40,
        files: 1 << 20,
        plain_bytes: 1 << 40,
        stored_bytes: 1 << 40,
    };
    (manifest, stored)
}

fn unpack(manifest: &Manifest, stored: &[u8], step: usize) -> Result<Vec<Part>, ManifestError> {
    let mut decoder = IndexDecoder::new(manifest)?;
    let mut parts = Vec::new();
    for chunk in stored.chunks(step) {
        decoder.push(chunk)?;
        while let Some(part) = decoder.next_part()? {
            parts.push(part);
        }
    }
    decoder.finish().map(|()| parts)
}

fn line(part: &Part) -> Vec<u8> {
    to_json_line(part).unwrap()
}

#[test]
fn what_is_written_is_read_in_pieces_of_any_size() {
    let ddl = Part {
        kind: "ddl".to_owned(),
        attributes: [(
            "statement".to_owned(),
            "CREATE DATABASE \"x\ny\"".to_owned(),
        )]
        .into(),
        ..Part::default()
    };
    let many: Vec<Part> = (0..5000).map(|n| part(n, n)).collect();
    for parts in [
        vec![],
        vec![ddl.clone()],
        vec![ddl, part(2, 5), part(1, 7)],
        many,
    ] {
        let (manifest, stored) = pack(&parts);
        assert!(manifest.to_bytes().is_ok(), "the manifest takes it");
        assert_eq!(manifest.index.stored_size, stored.len() as u64);
        for step in [1, 7, 1000, usize::MAX] {
            if step > 1 || parts.len() < 10 {
                assert_eq!(
                    unpack(&manifest, &stored, step).as_ref(),
                    Ok(&parts),
                    "{step}"
                );
            }
        }
        assert_eq!(
            zstd::decode_all(stored.as_slice()).unwrap().len() as u64,
            manifest.index.plain_size
        );
    }
}

#[test]
fn each_line_that_is_refused() {
    type Change = fn(&mut Part);
    let rows: [(&str, Change); 22] = [
        ("the kind \"\" is not a word", |part| part.kind.clear()),
        ("the kind \"a b\" is not a word", |part| {
            part.kind = "a b".to_owned();
        }),
        ("its name: the entry \"x\" is too long", |part| {
            part.name.insert("x".to_owned(), "y".repeat(65 * 1024));
        }),
        ("its name: it has 17 entries", |part| {
            part.name = (0..17).map(|n| (n.to_string(), String::new())).collect();
        }),
        ("it has more than 16384 attributes", |part| {
            part.attributes = (0..16_385)
                .map(|n| (n.to_string(), String::new()))
                .collect();
        }),
        ("it has records but no files", |part| part.files.clear()),
        ("it has 3 records, but its fingerprint is of 0", |part| {
            part.fingerprint = Some(super::super::Fingerprint::default());
        }),
        ("there are more than 9007199254740991 records", |part| {
            part.records = u64::MAX;
        }),
        (
            "the file \"parts/000000.0001.lp.zst\" is too large",
            |part| {
                part.files[0].stored_size = u64::MAX;
            },
        ),
        ("is too large", |part| part.files[0].plain_size = u64::MAX),
        ("is not 64 lower-case hex digits", |part| {
            part.files[0].stored_sha256.clear();
        }),
        ("is not 64 lower-case hex digits", |part| {
            part.files[0].plain_sha256.push('0');
        }),
        (
            "the path \"parts/000000.0001.lp.zst\" is there twice",
            |part| {
                part.files.push(part.files[0].clone());
            },
        ),
        ("its files lie below two part numbers", |part| {
            let mut other = part.files[0].clone();
            other.path = "parts/000001.lp".to_owned();
            part.files.push(other);
        }),
        ("the part number 10000001 is too high", |part| {
            part.files[0].path = "parts/10000001.lp".to_owned();
        }),
        (
            "has an empty segment or one that begins with a dot",
            |part| {
                part.files[0].path = "parts/000000/../../x".to_owned();
            },
        ),
        ("has an empty segment", |part| {
            part.files[0].path = "/parts/000000/x".to_owned();
        }),
        ("has an empty segment", |part| {
            part.files[0].path = "parts/000000//x".to_owned();
        }),
        ("has an empty segment", |part| part.files[0].path.clear()),
        ("has a character that paths never have", |part| {
            part.files[0].path = "parts/000000/a\\b".to_owned();
        }),
        ("has a character that paths never have", |part| {
            part.files[0].path = "parts/000000/a\nb".to_owned();
        }),
        ("is too long", |part| {
            part.files[0].path = format!(
                "parts/000000/{}",
                "a".repeat(super::super::parts::MAX_FILE_PATH)
            );
        }),
    ];
    for (message, change) in rows {
        let mut wrong = part(0, 3);
        change(&mut wrong);
        let (manifest, stored) = pack_raw(&line(&wrong), 1);
        let read = unpack(&manifest, &stored, 1000).unwrap_err().to_string();
        assert!(read.contains(message), "{message}: {read}");
        assert!(
            read.starts_with("the parts index can't be at part 0:"),
            "{read}"
        );
        assert!(
            !read.contains(char::is_control) && read.len() < 400,
            "{read}"
        );
        let written = IndexEncoder::new()
            .unwrap()
            .push(&wrong)
            .unwrap_err()
            .to_string();
        assert_eq!(written, read, "the writer refuses the same");
    }
}

#[test]
fn paths_that_are_no_part_s() {
    for (path, good) in [
        ("parts/000000.0001.lp.zst", true),
        (
            "parts/000007/emqx-export-2026-11-20-10-15-00.000.tar.gz",
            true,
        ),
        ("parts/000007/a/b.c", true),
        ("parts/10000000.lp", true),
        ("parts/000007", false),
        ("parts/7/x", false),
        ("parts/0000+7/x", false),
        ("parts.jsonl.zst", false),
        ("part/000007/x", false),
        ("parts/00000a/x", false),
        ("parts/99999999999999999999999/x", false),
    ] {
        assert_eq!(
            super::super::parts::parse_file_path(path).is_ok(),
            good,
            "{path}"
        );
    }
}

#[test]
fn an_index_that_is_not_what_the_manifest_says() {
    let parts = [part(0, 3), part(1, 4)];
    type Change = fn(&mut Manifest, &mut Vec<u8>);
    let rows: [(&str, Change); 15] = [
        ("it ends after", |_, stored| {
            stored.truncate(stored.len() - 1);
        }),
        ("it ends after 0 of", |_, stored| stored.clear()),
        ("stored bytes, the manifest says", |_, stored| {
            stored.push(0);
        }),
        ("its SHA-256 is", |manifest, _| {
            manifest.index.stored_sha256 = "0".repeat(64);
        }),
        ("it ends after", |manifest, _| {
            manifest.index.stored_size += 1;
        }),
        ("plain bytes, the manifest says", |manifest, _| {
            manifest.index.plain_size -= 1;
        }),
        ("plain bytes, the manifest says", |manifest, _| {
            manifest.index.plain_size += 1;
        }),
        ("it has 2 parts, the manifest says 1", |manifest, _| {
            manifest.totals.parts = 1;
        }),
        ("it has 2 parts, the manifest says 3", |manifest, _| {
            manifest.totals.parts = 3;
        }),
        ("it has 7 records, the manifest says 6", |manifest, _| {
            manifest.totals.records = 6;
        }),
        ("it has 7 records, the manifest says 8", |manifest, _| {
            manifest.totals.records = 8;
        }),
        ("it has 2 files, the manifest says 9", |manifest, _| {
            manifest.totals.files = 9;
        }),
        (
            "plain bytes of files, the manifest says 39",
            |manifest, _| manifest.totals.plain_bytes = 39,
        ),
        (
            "stored bytes of files, the manifest says 21",
            |manifest, _| manifest.totals.stored_bytes = 21,
        ),
        ("bytes follow its end", |manifest, stored| {
            stored.extend(zstd::encode_all(&b"{}\n"[..], LEVEL).unwrap());
            manifest.index.stored_size = stored.len() as u64;
        }),
    ];
    for (message, change) in rows {
        let (mut manifest, mut stored) = pack(&parts);
        change(&mut manifest, &mut stored);
        let error = unpack(&manifest, &stored, 50).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn indexes_that_nobody_wrote() {
    let twice = [line(&part(0, 3)), line(&part(0, 3))].concat();
    let high = line(&part(5, 3));
    let no_end = line(&part(0, 3))[..100].to_vec();
    let cut = [line(&part(0, 3)), b"{\"kind\":\"x\"".to_vec()].concat();
    for (name, plain, parts, message) in [
        (
            "a number twice",
            twice,
            2,
            "the part number 0 is used twice",
        ),
        (
            "a number too high",
            high,
            1,
            "the part number 5 is used, but there are 1 parts",
        ),
        ("no newline", no_end, 1, "its last line has no end"),
        (
            "no newline after the first",
            cut,
            1,
            "its last line has no end",
        ),
        (
            "an empty line",
            b"\n".to_vec(),
            1,
            "can't be at part 0: EOF while parsing",
        ),
        ("no object", b"[[[[\n".to_vec(), 1, "can't be at part 0"),
        (
            "deep",
            [vec![b'['; 10_000], b"\n".to_vec()].concat(),
            1,
            "can't be at part 0",
        ),
        (
            "a long line",
            vec![b' '; MAX_INDEX_LINE + 2],
            3,
            "its line has more than 1048576 bytes",
        ),
    ] {
        let (manifest, stored) = pack_raw(&plain, parts);
        let error = unpack(&manifest, &stored, 1000).unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
    let (manifest, _) = pack(&[]);
    let plain = b"not packed at all";
    assert!(unpack(&manifest, &plain[..13], 5).is_err());
}

#[test]
fn a_bomb_is_not_unpacked() {
    // 1 GiB of zeros in some 32 KiB: not a byte more than the manifest says is unpacked.
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(1 << 30), LEVEL).unwrap();
    let (mut manifest, _) = pack(&[part(0, 3)]);
    manifest.index.stored_size = bomb.len() as u64;
    let mut decoder = IndexDecoder::new(&manifest).unwrap();
    decoder.push(&bomb).unwrap();
    let error = decoder.next_part().unwrap_err().to_string();
    assert!(error.contains("plain bytes, the manifest says"), "{error}");
    assert!(decoder.plain_size <= manifest.index.plain_size + STEP as u64);
}

#[test]
fn a_huge_window_is_refused() {
    use std::io::Write;
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&line(&part(0, 3))).unwrap();
    let stored = encoder.finish().unwrap();
    let (mut manifest, _) = pack(&[part(0, 3)]);
    manifest.index.stored_size = stored.len() as u64;
    let error = unpack(&manifest, &stored, 1000).unwrap_err().to_string();
    assert!(error.contains("can't be packed or unpacked"), "{error}");
}

proptest! {
    #[test]
    fn changed_bytes_never_panic_and_never_pass(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        step in 1usize..200,
    ) {
        let parts: Vec<Part> = (0..20).map(|n| part(n, n)).collect();
        let (manifest, intact) = pack(&parts);
        let mut stored = intact.clone();
        for (index, change) in changes {
            let at = index.index(stored.len());
            stored[at] ^= change;
        }
        let read = unpack(&manifest, &stored, step);
        prop_assert_eq!(read.is_ok(), stored == intact);
    }

    #[test]
    fn changed_lines_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut plain = [line(&part(0, 3)), line(&part(1, 4))].concat();
        for (index, byte) in changes {
            let at = index.index(plain.len());
            plain[at] = byte;
        }
        let (manifest, stored) = pack_raw(&plain, 2);
        let _ = unpack(&manifest, &stored, 64);
    }
}
