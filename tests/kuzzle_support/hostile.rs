//! Documents and indices that are hard on whoever copies them.

use std::fmt::Write;

use serde_json::json;

use super::harness::{Lab, document};

/// Makes hostile indices in A; their names.
pub async fn fill(lab: &Lab) -> Vec<String> {
    let mut names = Vec::new();
    for (collection, documents) in [
        ("settings", ids()),
        ("mapping", numbers()),
        ("alias", texts()),
        ("a..b-_+=~!$'(){}[];^`é文@%26", forms()),
        ("empty", String::new()),
    ] {
        let index = lab.index(collection);
        let alias = format!("@{index}");
        let body = json!({
            "settings": {
                "number_of_shards": 3,
                "refresh_interval": "7s",
                "analysis": {"analyzer": {"own": {"type": "custom", "tokenizer": "keyword", "filter": ["lowercase"]}}},
            },
            "mappings": {
                "dynamic": false,
                "_meta": {"allowForce": true, "float": 1.5},
                "properties": {"word": {"type": "text", "analyzer": "own"}, "dotted.name": {"type": "keyword"}},
            },
            "aliases": {
                alias: {},
                format!("{index}~filtered"): {"filter": {"term": {"a": 1}}, "routing": "x"},
            },
        });
        lab.a.make(&index, body).await;
        if !documents.is_empty() {
            lab.a.write(&index, &documents).await;
        }
        names.push(index);
    }
    names
}

fn ids() -> String {
    let mut all = String::new();
    let odd = "\"\\/%26 +?#é文\u{1F600}\u{7f}\t";
    for id in [
        "_",
        ".",
        "..",
        "*",
        "a,b",
        " ",
        odd,
        &"x".repeat(512),
        &"é".repeat(256),
    ] {
        all += &document(id, None, r#"{"a":1}"#);
        all += &document(
            &format!("r{}", &id.chars().take(250).collect::<String>()),
            Some(id),
            r#"{"a":2}"#,
        );
    }
    // One id on several shards.
    for routing in ["1", "2", "3", "4", "5"] {
        all += &document("same", Some(routing), &format!(r#"{{"routed":{routing}}}"#));
    }
    all
}

fn numbers() -> String {
    let mut all = String::new();
    let numbers = [
        "0",
        "-0",
        "-0.0",
        "0.0",
        "1.50",
        "1E2",
        "1e-7",
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        "1.7976931348623157e308",
        "4.9e-324",
        "1e400",
        "-1e400",
    ];
    for (at, number) in numbers.iter().enumerate() {
        all += &document(
            &format!("n{at}"),
            None,
            &format!(r#"{{"n":{number},"l":[{number},{number}]}}"#),
        );
    }
    all
}

fn texts() -> String {
    let mut all = String::new();
    for (at, text) in [
        r#""é文\u00e9\ud83d\ude00\n\"\\\/""#,
        r#""""#,
        r#"" \u0000 \u007f  ""#,
        "\"\u{2028}\u{feff}\"",
        r#""{\"index\":{\"_id\":\"x\"}}\\n""#,
        "null",
        "true",
        "[]",
        "{}",
        "[[[]],{}]",
    ]
    .iter()
    .enumerate()
    {
        all += &document(
            &format!("t{at}"),
            None,
            &format!(r#"{{"t":{text},"word":"Über"}}"#),
        );
    }
    all
}

fn forms() -> String {
    let mut all = document("empty", None, "{}");
    all += &document(
        "keys",
        None,
        r#"{"a.b.c":1,"a":{"b.c":2,"":3},"é文 \"":4,"x_id":5,"x_source":{"hits":{"hits":[{}]}},"$x":6}"#,
    );
    all += &document("order", None, r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#);
    all += &document("spaced", None, "{ \"a\" : [ 1 ,\t2 ] }");
    let (mut open, mut close) = (String::new(), String::new());
    for level in 0..300 {
        write!(open, r#"{{"l{level}":["#).unwrap();
        close.insert_str(0, "]}");
    }
    all += &document("deep", None, &format!("{open}1{close}"));
    let mut wide = String::from("{");
    for key in 0..5000 {
        write!(wide, r#""k{key}":{key},"#).unwrap();
    }
    all += &document("wide", None, &format!(r#"{wide}"end":1}}"#));
    all
}
