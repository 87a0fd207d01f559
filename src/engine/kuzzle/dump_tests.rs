use std::io::Write;

use bytes::Bytes;

use super::*;
use crate::api::conditions::Reason;
use crate::storage::testing::store_of;
use crate::transfer::Throttle;

const MAPPING_TEXT: &str = r#"{"IDX":{"mappings":{"dynamic":"false"}}}"#;
const SETTINGS_TEXT: &str = r#""{\"IDX\":{\"settings\":{\"index\":{\"creation_date\":\"1\",\"number_of_shards\":\"1\",\"uuid\":\"u\",\"version\":{\"created\":\"7100299\"}}}},\"%26IDX\":{}}""#;
const ALIAS_TEXT: &str = r#""{\"IDX\":{\"aliases\":{\"@IDX\":{}}}}""#;

type Listing = Vec<(String, Bytes)>;

/// What the tool writes of an index.
fn index(name: &str, documents: u32) -> Listing {
    let text = |text: &str| Bytes::from(text.replace("IDX", name) + "\n");
    let line = |n| {
        format!(
            "{{\"_index\":\"{name}\",\"_type\":\"_doc\",\"_id\":\"{n}\",\"_score\":1,\"_source\":{{\"n\":{n}}}}}\n"
        )
    };
    let lines = (0..documents).map(line).collect::<Vec<_>>().concat();
    vec![
        (format!("{name}.json"), lines.into()),
        (format!("{name}.mapping.json"), text(MAPPING_TEXT)),
        (format!("{name}.settings.json"), text(SETTINGS_TEXT)),
        (format!("{name}.alias.json"), text(ALIAS_TEXT)),
        (format!("{name}.template.json"), Bytes::from("\"{}\"\n")),
    ]
}

fn replace(files: &mut Listing, name: &str, content: impl Into<Bytes>) {
    let file = files.iter_mut().find(|(have, _)| have == name).unwrap();
    file.1 = content.into();
}

fn without(files: &mut Listing, name: &str) {
    files.retain(|(have, _)| have != name);
}

fn renamed(files: &mut Listing, from: &str, to: &str) {
    let file = files.iter_mut().find(|(have, _)| have == from).unwrap();
    to.clone_into(&mut file.0);
}

async fn read(files: &Listing) -> Result<ElasticDump, EngineError> {
    let location = store_of("dumps/k", files).await;
    let dump = Dump::find(&location, "dumps/k", Throttle::unlimited()).await?;
    open(dump).await
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

fn documents(dump: &ElasticDump) -> Vec<(String, u64)> {
    let parts = dump.parts().iter();
    parts
        .filter(|part| part.kind == KIND_DOCUMENTS)
        .map(|part| (part.name["index"].clone(), part.records))
        .collect()
}

#[tokio::test]
async fn parts_as_an_export_writes_them() {
    let files = index("&i.c", 3);
    let dump = read(&files).await.unwrap();
    assert_eq!(dump.warnings(), Vec::<String>::new());
    assert_eq!(documents(&dump), [("&i.c".to_owned(), 3)]);
    let definition = &structure::read_all(dump.parts()).unwrap()["&i.c"];
    assert_eq!(definition.mappings.get(), r#"{"dynamic":"false"}"#);
    assert_eq!(
        definition.settings.to_string(),
        r#"{"index":{"number_of_shards":"1"}}"#
    );
    assert!(definition.aliases.contains_key("@&i.c"));
    let part = dump.parts().last().unwrap();
    let mut expected = Fingerprint::default();
    for n in 0..3 {
        let line = format!("{{\"_id\":\"{n}\",\"_source\":{{\"n\":{n}}}}}");
        expected.add(&Hit::parse(line.as_bytes()).unwrap().canonical());
    }
    assert_eq!(part.fingerprint, Some(expected));
    let mut records = dump.records(part).unwrap();
    assert_eq!(records.next().await.unwrap().unwrap(), files[0].1);
}

#[tokio::test]
async fn collections_named_as_the_tool_names_files() {
    let mut files = Vec::new();
    for name in ["&i.settings", "&i.mapping", "&i.alias", "&i.c", "&i.empty"] {
        files.extend(index(
            name,
            u32::from(name != "&i.empty" && name != "&i.alias"),
        ));
    }
    // Packed files, whatever they are called.
    for (name, content) in &mut files {
        if name.starts_with("&i.settings") {
            *content = gzip(content).into();
            name.push_str(".gz");
        }
    }
    let dump = read(&files).await.unwrap();
    let want = [
        ("&i.alias", 0),
        ("&i.c", 1),
        ("&i.empty", 0),
        ("&i.mapping", 1),
        ("&i.settings", 1),
    ];
    assert_eq!(
        documents(&dump),
        want.map(|(index, count)| (index.to_owned(), count))
    );
    let empty = dump
        .parts()
        .iter()
        .find(|part| part.kind == KIND_DOCUMENTS && part.records == 0);
    assert!(empty.unwrap().files.is_empty());
}

#[tokio::test]
async fn what_a_person_should_know() {
    let mut files = index("&i.c", 1);
    without(&mut files, "&i.c.alias.json");
    files.push(("README.md".to_owned(), "x".into()));
    let dump = read(&files).await.unwrap();
    assert!(dump.warnings()[0].contains("README.md"));
    assert!(dump.warnings()[1].contains("the aliases of &i.c"));
}

#[tokio::test]
async fn damage_and_malice_have_a_name() {
    type Damage = fn(&mut Listing);
    let cases: [(&str, &str, Damage); 15] = [
        ("&i.c.mapping.json", "missing", |f| {
            without(f, "&i.c.mapping.json");
        }),
        ("&i.c.settings.json", "missing", |f| {
            without(f, "&i.c.settings.json");
        }),
        ("&i.c.json", "missing", |f| without(f, "&i.c.json")),
        ("&i.c.json", "no end", |f| {
            let whole = f[0].1.clone();
            replace(f, "&i.c.json", whole.slice(..whole.len() - 5));
        }),
        ("&i.c.json", "document 1", |f| {
            replace(f, "&i.c.json", "{\"_index\":\n");
        }),
        ("&i.c.json", "damaged or cut off", |f| {
            let packed = gzip(&f[0].1);
            replace(f, "&i.c.json", packed[..packed.len() - 9].to_vec());
        }),
        ("&i.c.mapping.json", "cut off", |f| {
            replace(f, "&i.c.mapping.json", "{\"&i.c\":");
        }),
        ("&i.c.settings.json", "cut off", |f| {
            replace(f, "&i.c.settings.json", "{}");
        }),
        ("&i.d.json", "of the index \"&i.c\"", |f| {
            f.extend(index("&i.d", 1));
            let other = f[0].1.clone();
            replace(f, "&i.d.json", other);
        }),
        ("&i.d.mapping.json", "renamed", |f| {
            f.extend(index("&i.d", 1));
            replace(f, "&i.d.mapping.json", "{\"&i.c\":{\"mappings\":{}}}");
        }),
        ("&i.c.json", "packed and unpacked", |f| {
            f.push(("&i.c.json".to_owned() + ".gz", "x".into()));
        }),
        ("sub/&i.e.json", "lies in a directory", |f| {
            f.push(("sub/&i.e.json".to_owned(), "x".into()));
        }),
        ("&i.c.split-0.json", "--fileSize", |f| {
            renamed(f, "&i.c.json", "&i.c.split-0.json");
        }),
        ("a*b.json", "no index has such a name", |f| {
            f.push(("a*b.json".to_owned(), "x".into()));
        }),
        ("&i.c.json", "no _source", |f| {
            replace(f, "&i.c.json", "{\"_index\":\"&i.c\",\"_id\":\"1\"}\n");
        }),
    ];
    for (file, problem, damage) in cases {
        let mut files = index("&i.c", 2);
        damage(&mut files);
        let error = read(&files).await.err().unwrap();
        assert_eq!(
            error.reason(),
            Reason::DataCorrupt,
            "{file} {problem}: {error}"
        );
        let text = error.to_string();
        assert!(
            text.contains(file) && text.contains(problem),
            "{file} {problem}: {text}"
        );
    }
}

#[tokio::test]
async fn more_files_than_one_listing_has() {
    let mut files = Vec::new();
    for n in 0..300 {
        files.extend(index(&format!("&i.c{n}"), 1));
    }
    let dump = read(&files).await.unwrap();
    assert_eq!(documents(&dump).len(), 300);
}
