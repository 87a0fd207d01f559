//! Archives: the recorded one, and those that nobody should import.

use std::io::Write;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::*;

const NAME: &str = "emqx-export-2026-11-20-10-30-42.810.tar.gz";
const BASE: &str = "emqx-export-2026-11-20-10-30-42.810";
const RECORDED: &[u8] = include_bytes!(
    "../../../../e2e/standin/emqx/testdata/emqx-export-2026-11-20-10-30-42.810.tar.gz"
);
const META: &[u8] = b"edition = ce\nversion = \"5.4.1\"\n";

fn look(copy_without: Option<&'static [&'static str]>) -> Look<'static> {
    Look {
        name: NAME,
        ending_before: 0,
        copy_without,
    }
}

async fn scan(packed: &[u8], look: &Look<'_>, step: usize) -> Result<(Contents, Vec<u8>), Fault> {
    let mut scan = Scan::new(look)?;
    let mut copy = Vec::new();
    for piece in packed.chunks(step) {
        scan.push(piece).await?;
        copy.extend(scan.copied());
    }
    let (contents, rest) = scan.finish()?;
    copy.extend(rest);
    Ok((contents, copy))
}

fn header(name: &str, kind: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, content.len());
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(&format!("{BASE}/{name}"), b'0', content)
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut pack = GzEncoder::new(Vec::new(), Compression::default());
    pack.write_all(tar).unwrap();
    pack.finish().unwrap()
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut GzDecoder::new(packed), &mut plain).unwrap();
    plain
}

fn rows(all: u64) -> Option<Rows> {
    Some(Rows { all, ending: 0 })
}

#[tokio::test]
async fn the_recorded_archive_however_it_is_cut() {
    for step in [1, 7, 512, 1000, 1 << 20] {
        let (contents, copy) = scan(RECORDED, &look(None), step).await.unwrap();
        assert!(copy.is_empty());
        assert_eq!(contents.meta, Meta::new("5.4.1", "ce").unwrap());
        assert_eq!(contents.entries, 9);
        let expected = [
            ("emqx_acl", 1),
            ("emqx_admin", 1),
            ("emqx_app", 2),
            ("emqx_authn_mnesia", 5),
            ("emqx_authn_scram_mnesia", 0),
            ("emqx_banned", 1),
            ("emqx_psk", 0),
        ];
        let expected = expected.map(|(name, all)| (name.to_owned(), rows(all)));
        assert_eq!(contents.tables, BTreeMap::from(expected));
        assert!(contents.configuration.unwrap().contains("salt_position"));
    }
}

#[tokio::test]
async fn a_copy_without_some_tables_differs_in_nothing_else() {
    let all = look(Some(&[]));
    let (_, copy) = scan(RECORDED, &all, 100).await.unwrap();
    assert_eq!(unpack(&copy), unpack(RECORDED));

    let without = look(Some(&["emqx_app", "emqx_admin"]));
    let (contents, copy) = scan(RECORDED, &without, 100).await.unwrap();
    assert_eq!(contents.left_out, ["emqx_admin", "emqx_app"]);
    assert_eq!(contents.tables.len(), 7);
    let (again, _) = scan(&copy, &look(None), 100).await.unwrap();
    assert_eq!(again.entries, 7);
    assert!(!again.tables.contains_key("emqx_app"));
    assert_eq!(again.tables["emqx_authn_mnesia"], rows(5));
    assert_eq!(again.configuration, contents.configuration);
}

#[tokio::test]
async fn bans_that_end_are_counted_apart() {
    // The recorded ban ends in November 2027.
    for (time, ending) in [("2027-01-01T00:00:00Z", 0), ("2028-01-01T00:00:00Z", 1)] {
        let time: jiff::Timestamp = time.parse().unwrap();
        let look = Look {
            ending_before: time.as_second(),
            ..look(None)
        };
        let (contents, _) = scan(RECORDED, &look, 512).await.unwrap();
        let expected = Some(Rows { all: 1, ending });
        assert_eq!(contents.tables["emqx_banned"], expected);
    }
}

#[tokio::test]
async fn what_is_refused() {
    let meta = || file("META.hocon", META);
    let deep = format!("{BASE}/../x");
    let long = format!("{BASE}/{}", "x".repeat(60));
    let cases: [(&str, Vec<u8>, &str); 20] = [
        (
            "no META",
            archive(&[file("cluster.hocon", b"a = 1")]),
            "no META.hocon",
        ),
        (
            "renamed",
            archive(&[entry("other/META.hocon", b'0', META)]),
            "was renamed",
        ),
        (
            "a sibling",
            archive(&[meta(), entry(&format!("{BASE}x/y"), b'0', b"")]),
            "was renamed",
        ),
        (
            "at the top",
            archive(&[meta(), entry("META.hocon", b'0', META)]),
            "was renamed",
        ),
        (
            "climbs",
            archive(&[meta(), entry(&deep, b'0', b"x")]),
            "no plain path",
        ),
        (
            "absolute",
            archive(&[meta(), entry("/etc/passwd", b'0', b"x")]),
            "no plain path",
        ),
        (
            "dot",
            archive(&[meta(), file("./x", b"x")]),
            "no plain path",
        ),
        (
            "backslash",
            archive(&[meta(), file("a\\b", b"x")]),
            "no plain path",
        ),
        (
            "a link",
            archive(&[meta(), entry(&long, b'2', b"")]),
            "a link",
        ),
        (
            "a hard link",
            archive(&[meta(), entry(&long, b'1', b"")]),
            "a link",
        ),
        (
            "a device",
            archive(&[meta(), entry(&long, b'3', b"")]),
            "a device",
        ),
        (
            "a pipe",
            archive(&[meta(), entry(&long, b'6', b"")]),
            "a device",
        ),
        (
            "unknown",
            archive(&[meta(), entry(&long, b'S', b"")]),
            "unknown kind",
        ),
        (
            "twice",
            archive(&[meta(), file("x", b""), file("x", b"")]),
            "two entries",
        ),
        ("META twice", archive(&[meta(), meta()]), "two entries"),
        (
            "long META",
            archive(&[file("META.hocon", &[b'#'; 20_000])]),
            "too long",
        ),
        (
            "bad META",
            archive(&[file("META.hocon", b"edition = zz")]),
            "no version or edition",
        ),
        ("no tar", gzip(&[7; 2048]), "no tar archive"),
        (
            "no gzip",
            b"plain text of some length".to_vec(),
            "no gzip file",
        ),
        ("4.x", b"{\"version\": \"4.4\"}".to_vec(), "EMQX 4.x"),
    ];
    for (what, packed, part) in cases {
        let fault = scan(&packed, &look(None), 100)
            .await
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{what}: {fault}");
    }
}

#[tokio::test]
async fn no_cut_archive_is_whole() {
    for cut in (1..40).chain((40..RECORDED.len()).step_by(17)) {
        let result = scan(&RECORDED[..RECORDED.len() - cut], &look(None), 4096).await;
        assert!(result.is_err(), "without its last {cut} bytes");
    }
    let mut more = RECORDED.to_vec();
    more.extend_from_slice(RECORDED);
    assert!(scan(&more, &look(None), 512).await.is_err());
    // The tar's own end.
    let unfinished = gzip(&file("META.hocon", META));
    let fault = scan(&unfinished, &look(None), 512).await.unwrap_err();
    assert!(fault.to_string().contains("cut off"), "{fault}");
}

#[tokio::test]
async fn bombs_go_nowhere() {
    let zeros = vec![0; 24 << 20];
    let packed = archive(&[file("META.hocon", META), file("x", &zeros)]);
    let fault = scan(&packed, &look(None), 4096).await.unwrap_err();
    assert!(fault.to_string().contains("far more"), "{fault}");
    let many: Vec<Vec<u8>> = (0..=ENTRIES).map(|n| file(&n.to_string(), b"")).collect();
    let fault = scan(&archive(&many), &look(None), 4096).await.unwrap_err();
    assert!(fault.to_string().contains("more entries"), "{fault}");
}

#[tokio::test]
async fn long_names() {
    let name = format!("{BASE}/certs/{}", "n".repeat(120));
    let line = format!(" path={name}\n");
    let record = format!("{}{line}", line.len() + 3);
    let pax = [entry("x", b'x', record.as_bytes()), file("short", b"pem")].concat();
    let gnu = [
        entry("././@LongLink", b'L', format!("{name}\0").as_bytes()),
        file("short", b"pem"),
    ]
    .concat();
    for long in [pax, gnu] {
        let packed = archive(&[file("META.hocon", META), long]);
        let (contents, copy) = scan(&packed, &look(Some(&[])), 100).await.unwrap();
        assert!(contents.files.contains(&name[BASE.len() + 1..]));
        assert_eq!(unpack(&copy), unpack(&packed));
    }
    for record in [
        "9 path",
        "x path=y\n",
        "99 path=y\n",
        "0 \n",
        "11 size=12\n",
    ] {
        let packed = archive(&[entry("x", b'x', record.as_bytes()), file("short", b"")]);
        let result = scan(&packed, &look(None), 100).await;
        assert!(
            result.unwrap_err().to_string().contains("PAX"),
            "{record:?}"
        );
    }
}

#[tokio::test]
async fn tables_in_an_unknown_form_are_not_counted() {
    for content in [
        &b"other"[..],
        &[1, 2, 3, 4, 99, 88, 77],
        &[1, 2, 3, 4, 99, 88, 77, 11, 0, 0],
    ] {
        let packed = archive(&[file("META.hocon", META), file("mnesia/emqx_acl", content)]);
        let (contents, _) = scan(&packed, &look(None), 100).await.unwrap();
        assert_eq!(contents.tables["emqx_acl"], None, "{content:?}");
    }
}

#[test]
fn names() {
    for (name, good) in [
        (NAME, true),
        ("a.tar.gz", true),
        (".tar.gz", false),
        ("..tar.gz", false),
        ("a/b.tar.gz", false),
        ("a b.tar.gz", false),
        ("a\".tar.gz", false),
        ("a.json", false),
        ("", false),
    ] {
        assert_eq!(base_name(name).is_ok(), good, "{name:?}");
    }
}
