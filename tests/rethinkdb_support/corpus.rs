//! Rows and names that break what is not careful.

use serde_json::{Value, json};

use super::driver::{Driver, table};
use super::lab::fill;

/// `row("customer")("name")`, and a multi index, of places, and a write hook that merges
/// `hooked: true`: as a real server gave them.
pub const BY_NAME: &str = "JHJlcWxfaW5kZXhfZnVuY3Rpb24kCQcHBwAAAAAAAAEBAAAAAAAAAEgAAABbMTcwLFtbMTcwLFtbMTAsW1sxLDEsMTJdXSwxMV0sWzEsImN1c3RvbWVyIiwxM11dLDEwXSxbMSwibmFtZSIsMTRdXSw5XQAJAAAAAAA=";
pub const LOC: &str = "JHJlcWxfaW5kZXhfZnVuY3Rpb24kCQcHBwAAAAAAAAHt/////////ygAAABbMzEsW1sxMCxbWzEsLTE5LDBdXSwwXSxbMSwibG9jIiwwXV0sMF0AAAAAAAAB";
pub const TAGS: &str = "JHJlcWxfaW5kZXhfZnVuY3Rpb24kCQcHBwAAAAAAAAECAAAAAAAAAEAAAABbMTcwLFtbMTcwLFtbMTMsW10sMTFdLFsxLCJjdXN0b21lciIsMTJdXSwxMF0sWzEsInRhZ3MiLDEzXV0sOV0ACQAAAAEA";
pub const HOOK: &str = "JHJlcWxfd3JpdGVfaG9va19mdW5jdGlvbiQAAAAAAAADAwAAAAAAAAAEAAAAAAAAAAUAAAAAAAAAOwAAAFszNSxbWzEwLFtbMSw1LDEyXV0sMTFdLFszLHsiaG9va2VkIjpbMSx0cnVlLDE0XX0sMTNdXSwxMF0ACgAAAA==";

pub fn binary(data: &str) -> String {
    format!(r#"{{"$reql_type$":"BINARY","data":"{data}"}}"#)
}

fn time(epoch: f64, zone: &str) -> Value {
    json!({"$reql_type$": "TIME", "epoch_time": epoch, "timezone": zone})
}

fn bytes(data: &str) -> Value {
    json!({"$reql_type$": "BINARY", "data": data})
}

/// A value within so many arrays and objects.
fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("deep"), |inner, level| {
        if level % 2 == 0 {
            json!([inner])
        } else {
            json!({ "d": inner })
        }
    })
}

/// Rows of every type, with keys of every type.
pub fn types() -> Vec<Value> {
    let long = "AAAA".repeat(60);
    let keys = [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(-9_007_199_254_740_991_i64),
        json!(1e300),
        json!(5e-324),
        json!(""),
        json!("k".repeat(127)),
        json!("日本 \u{1}\"\\/\u{2028}😀"),
        json!(true),
        json!(false),
        json!([]),
        json!([1, "compound", [true, [2.5]]]),
        json!(["a", time(1.0, "+00:00")]),
        time(1_700_000_000.123, "-07:30"),
        time(-1.0, "+00:00"),
        bytes("AP8A"),
        bytes(""),
    ];
    let values = [
        json!(null),
        json!([
            null,
            true,
            false,
            0,
            -0.0,
            1.0,
            0.1,
            1e21,
            1.234_567_890_123_456_8e20
        ]),
        json!({"": {"": []}, "$": 1, "a.b": 2, "z": {}, "a": [], "ä": "ä", "[": "]", "\"": "\\"}),
        json!("line\nbreak\ttab\u{0}nul\u{7f}"),
        json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [-122.4, 37.7]}),
        json!({"$reql_type$": "GEOMETRY", "type": "Polygon",
            "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}),
        bytes(&long),
        time(253_402_300_799.999, "+14:00"),
        deep(90),
        json!("x".repeat(70_000)),
        json!((0..3000).collect::<Vec<_>>()),
    ];
    let rows = keys.iter().enumerate().map(|(at, key)| {
        json!({"id": key, "v": values[at % values.len()], "w": values[(at * 7 + 3) % values.len()]})
    });
    rows.collect()
}

pub fn orders(count: usize) -> Vec<Value> {
    let rows = (0..count).map(|n| {
        json!({"id": n, "customer": {"name": format!("Zoë {n}"), "tags": ["a", "b"]},
            "at": time(1_700_000_000.0, "+00:00"), "hooked": true, "text": "t".repeat(n % 300)})
    });
    rows.collect()
}

/// Fills a cluster.
pub async fn make(driver: &mut Driver) {
    driver.must(r#"[57,["nothing-in-it"]]"#).await;
    fill(driver, "shop", "orders", "id", &orders(2500)).await;
    fill(driver, "shop", "empty", "uid", &[]).await;
    fill(driver, "Types_2", "types", "id", &types()).await;
    let long = "l".repeat(120);
    fill(
        driver,
        &long,
        &format!("-_{long}"),
        "the key",
        &[json!({"the key": [1], "b": 2})],
    )
    .await;
    let big = vec![json!({"id": "big", "blob": "ü".repeat(5_000_000), "list": vec![0.5; 50_000]})];
    fill(driver, "big", "big", "id", &big).await;
    let orders = table("shop", "orders");
    for (name, function) in [("by_name", BY_NAME), ("loc \\\"ö", LOC), ("tags", TAGS)] {
        driver
            .must(&format!(r#"[75,[{orders},"{name}",{}]]"#, binary(function)))
            .await;
    }
    driver.must(&format!("[140,[{orders}]]")).await;
    driver
        .must(&format!("[189,[{orders},{}]]", binary(HOOK)))
        .await;
    // A hook on a table without indexes, which the vendor's restore forgets.
    let empty = table("shop", "empty");
    driver
        .must(&format!("[189,[{empty},{}]]", binary(HOOK)))
        .await;
}
