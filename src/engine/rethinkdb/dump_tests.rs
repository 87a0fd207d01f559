use std::io::Write;

use super::*;
use crate::api::conditions::Reason;
use crate::storage::testing::store_of;
use crate::transfer::Throttle;

/// What `rethinkdb-dump` 2.4.10 wrote of a real server.
const RECORDED: &[u8] = include_bytes!("testdata/rethinkdb_dump_2026-11-20T10-27-38.tar.gz");

const INFO: &str = r#"{"id":"u","name":"TABLE","primary_key":"id","indexes":[],"write_hook":null}"#;

fn octal(block: &mut [u8], at: usize, width: usize, number: u64) {
    let text = format!("{number:0width$o}");
    block[at..at + width].copy_from_slice(text.as_bytes());
}

/// An entry, as any tool might write it.
fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    octal(&mut block, 124, 11, content.len() as u64);
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block, 148, 6, sum);
    block[154] = 0;
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let line = format!(" {key}={value}\n");
    let length = line.len() + 2;
    assert!((10..100).contains(&length));
    entry("pax", b'x', format!("{length}{line}").as_bytes())
}

fn table(name: &str, rows: &str) -> Vec<u8> {
    let info = INFO.replace("TABLE", name);
    [
        entry(&format!("d/shop/{name}.json"), b'0', rows.as_bytes()),
        entry(&format!("d/shop/{name}.info"), b'0', info.as_bytes()),
    ]
    .concat()
}

fn ended(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

async fn read(archive: &[u8]) -> Result<RethinkDump, EngineError> {
    let file = ("dump.tar.gz".to_owned(), Bytes::copy_from_slice(archive));
    let location = store_of("dumps", &[file]).await;
    let dump = Dump::find(&location, "dumps/dump.tar.gz", Throttle::unlimited()).await?;
    open(dump).await
}

async fn rows(dump: &RethinkDump, part: &Part) -> String {
    let mut source = dump.records(part).unwrap();
    let mut all = Vec::new();
    while let Some(piece) = source.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

fn rows_of<'a>(dump: &'a RethinkDump, table: &str) -> &'a Part {
    let mut parts = dump.parts().iter();
    let found = parts.find(|part| {
        part.kind == super::super::structure::KIND_ROWS && part.name["table"] == table
    });
    found.unwrap()
}

#[tokio::test]
async fn what_the_vendors_tool_wrote() {
    let dump = read(RECORDED).await.unwrap();
    let counts: Vec<(&str, u64)> = ["orders", "users", "empty"]
        .map(|name| (name, rows_of(&dump, name).records))
        .to_vec();
    assert_eq!(counts, [("orders", 14), ("users", 3), ("empty", 0)]);
    assert!(rows_of(&dump, "empty").files.is_empty());
    assert_eq!(rows_of(&dump, "users").attributes["primaryKey"], "uid");
    let structure = super::super::structure::read_all(dump.parts()).unwrap();
    assert_eq!(structure.databases.len(), 1);
    let orders = structure
        .tables
        .iter()
        .find(|(name, _)| name.table == "orders");
    let indexes = &orders.unwrap().1.indexes;
    assert!(indexes.iter().any(|index| index.name == "loc" && index.geo));
    let users = rows(&dump, rows_of(&dump, "users")).await;
    assert_eq!(users.lines().count(), 3);
    assert!(
        users.starts_with("{\"email\": \"u0@example.com\", \"uid\": \"u0\"}\n"),
        "{users}"
    );
    let totals: u64 = dump
        .parts()
        .iter()
        .flat_map(|part| &part.files)
        .map(|file| file.stored_size)
        .sum();
    assert_eq!(totals, RECORDED.len() as u64);
}

#[tokio::test]
async fn tables_in_any_order_and_at_once() {
    let entries: Vec<Vec<u8>> = (0..9)
        .map(|n| {
            let rows: Vec<String> = (0..2000 * n)
                .map(|row| format!("{{\"id\":{row},\"n\":{n}}}"))
                .collect();
            table(&format!("t{n}"), &format!("[\n{}\n]\n", rows.join(",\n")))
        })
        .collect();
    for archive in [ended(&entries), gzip(&ended(&entries))] {
        let dump = read(&archive).await.unwrap();
        for n in [8, 3, 3, 1, 2, 5, 0, 4, 7] {
            let found = rows(&dump, rows_of(&dump, &format!("t{n}"))).await;
            assert_eq!(found.lines().count(), 2000 * n, "{n}");
            assert!(
                found
                    .lines()
                    .all(|row| row.ends_with(&format!("\"n\":{n}}}")))
            );
        }
        assert!(dump.archive.open().len() <= OPEN);
        let (one, other) = (rows_of(&dump, "t4"), rows_of(&dump, "t6"));
        let (one, other) = tokio::join!(rows(&dump, one), rows(&dump, other));
        assert_eq!((one.lines().count(), other.lines().count()), (8000, 12000));
    }
}

#[tokio::test]
async fn long_names_and_sizes_as_python_writes_them() {
    let name = format!("d/shop/{}.json", "t".repeat(120));
    let info = INFO.replace("TABLE", &"t".repeat(120));
    let long = |name: &str, content: &[u8]| {
        let line = format!(" path={name}\n");
        let length = line.len() + 3;
        let record = format!("{length}{line}21 mtime=1795170.125\n");
        [
            entry("pax", b'x', record.as_bytes()),
            entry("short", b'0', content),
        ]
        .concat()
    };
    let archive = ended(&[
        long(&name, b"[\n{\"id\":1}\n]\n"),
        long(&name.replace(".json", ".info"), info.as_bytes()),
        pax("size", "0012"),
        table("u", "[\n{\"id\":1}]\n"),
    ]);
    let dump = read(&archive).await.unwrap();
    assert_eq!(rows_of(&dump, &"t".repeat(120)).records, 1);
    assert_eq!(rows_of(&dump, "u").records, 1);
}

#[tokio::test]
async fn damage_and_malice_have_a_name() {
    let good = || table("t", "[\n{\"id\":1}\n]\n");
    let rows = |text: &str| ended(&[table("t", text)]);
    let with = |more: Vec<u8>| ended(&[good(), more]);
    let whole = gzip(&ended(&[good()]));
    let bomb = gzip(&ended(&[
        good(),
        entry("d/shop/z.json", b'0', &vec![b' '; 100 << 20]),
    ]));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "is no plain path",
            with(entry("d/../../etc/x.json", b'0', b"[]")),
        ),
        (
            "is no plain path",
            with(entry("/etc/shop/x.json", b'0', b"[]")),
        ),
        (
            "is no plain path",
            with(entry("d/shop\\x.json", b'0', b"[]")),
        ),
        (
            "does not lie where the others do",
            with(entry("e/shop/x.json", b'0', b"[]")),
        ),
        ("is a link", with(entry("d/shop/x.json", b'2', b""))),
        ("is a link", with(entry("d/shop/x.json", b'1', b""))),
        ("is a device", with(entry("d/shop/x.json", b'3', b""))),
        ("unknown kind", with(entry("d/shop/x.json", b'S', b""))),
        ("is there twice", with(good())),
        ("no file of a table", with(entry("d/shop/x.sh", b'0', b""))),
        ("no file of a table", with(entry("d/x.json", b'0', b"[]"))),
        (
            "no table that RethinkDB could have",
            with(entry("d/shop/a b.json", b'0', b"[]")),
        ),
        ("is CSV", with(entry("d/shop/x.csv", b'0', b"a,b"))),
        ("deeper", with(entry("d/shop/a/x.json", b'0', b"[]"))),
        ("has no .info", with(entry("d/shop/x.json", b'0', b"[]"))),
        ("has no .json", with(entry("d/shop/x.info", b'0', b"{}"))),
        ("PAX", with([pax("linkpath", "/etc"), good()].concat())),
        ("PAX", with([pax("GNU.sparse.major", "1"), good()].concat())),
        ("PAX", with([pax("size", "-1234"), good()].concat())),
        (
            "is no plain path",
            with([pax("path", "d/../x/y.json"), good()].concat()),
        ),
        (
            "cut off before its end",
            with(pax("size", "9999999"))[..2048].to_vec(),
        ),
        ("name has no entry", with(pax("mtime", "1795.5"))),
        ("no JSON array", rows("{\"id\":1}\n")),
        ("cut off", rows("[\n{\"id\":1},\n")),
        ("row 1", rows("[\n{\"id\":}\n]")),
        ("a row can't be used", rows("[\n{\"id\":1e999}\n]")),
        ("cut off before its end", good()),
        ("no table", ended(&[])),
        ("no tar archive", vec![b'x'; 2048]),
        ("damaged or cut off", whole[..whole.len() - 5].to_vec()),
        ("times its size", bomb),
    ];
    for (problem, archive) in cases {
        let error = read(&archive)
            .await
            .err()
            .unwrap_or_else(|| panic!("{problem} was taken"));
        assert_eq!(error.reason(), Reason::DataCorrupt, "{problem}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("dump.tar.gz") && text.contains(problem),
            "{problem}: {text}"
        );
    }
    let renamed = entry(
        "d/shop/t.info",
        b'0',
        INFO.replace("TABLE", "other").as_bytes(),
    );
    let archive = ended(&[entry("d/shop/t.json", b'0', b"[]"), renamed]);
    let error = read(&archive).await.err().unwrap().to_string();
    assert!(error.contains("renamed"), "{error}");
}
