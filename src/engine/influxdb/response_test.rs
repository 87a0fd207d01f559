//! Tests of [`super::response`].

use super::response::*;
use super::stand_in::{Pack, failed, nothing};

#[derive(Default)]
struct Words(Vec<String>);

impl Visit for Words {
    fn head(&mut self, head: &Head) -> Result<(), Fault> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tags: Vec<_> = head
            .tags
            .iter()
            .map(|(k, v)| text(k) + "=" + &text(v))
            .collect();
        let columns: Vec<_> = head.columns.iter().map(|column| text(column)).collect();
        let name = text(&head.name);
        self.0.push(format!("{name} {tags:?} {columns:?}"));
        Ok(())
    }
    fn row(&mut self, row: Row<'_>) -> Result<(), Fault> {
        let values: Vec<_> = row.map(|value| format!("{value:?}")).collect();
        self.0.push(values.join(" "));
        Ok(())
    }
}

/// Two documents: a series cut in two, one with a message, and one without a row.
fn answer() -> Vec<u8> {
    Pack::default()
        .result(3, 1)
        .series("m", &[("b", "2"), ("a", "1")], &["time", "v"], 1)
        .array(2)
        .int(5)
        .float(1.5)
        .text("partial")
        .flag(true)
        .map(1)
        .text("results")
        .array(1)
        .map(3)
        .text("statement_id")
        .int(0)
        .text("messages")
        .array(1)
        .map(2)
        .text("level")
        .text("warning")
        .text("text")
        .text("slow")
        .text("series")
        .array(2)
        .series("m", &[("b", "2"), ("a", "1")], &["time", "v"], 2)
        .array(2)
        .int(6)
        .nil()
        .array(2)
        .int(7)
        .text(b"\xff")
        .series("n", &[], &["time"], 0)
        .0
}

fn decode(bytes: &[u8], step: usize) -> (Vec<String>, Result<(), Fault>) {
    let mut words = Words::default();
    let mut decoder = Decoder::new();
    for piece in bytes.chunks(step) {
        if let Err(fault) = decoder.push(piece, &mut words) {
            return (words.0, Err(fault));
        }
    }
    (words.0, decoder.finish(1))
}

#[test]
fn any_cut_gives_the_same_rows() {
    let answer = answer();
    let want = [
        "m [\"a=1\", \"b=2\"] [\"time\", \"v\"]",
        "Int(5) Float(1.5)",
        "m [\"a=1\", \"b=2\"] [\"time\", \"v\"]",
        "Int(6) Nil",
        "Int(7) Str([255])",
        "n [] [\"time\"]",
    ];
    for step in 1..=answer.len() {
        let (words, end) = decode(&answer, step);
        assert_eq!(words, want, "{step}");
        assert_eq!(end, Ok(()), "{step}");
    }
}

#[test]
fn an_answer_without_its_end_is_cut() {
    let answer = answer();
    for len in 0..answer.len() {
        assert_eq!(decode(&answer[..len], 7).1, Err(Fault::Cut), "{len}");
    }
    // Whole documents, but the last says that more follows.
    let more = Pack::default().result(3, 0).text("partial").flag(true).0;
    assert_eq!(decode(&more, 9).1, Err(Fault::Cut));
    // Fewer results than statements.
    let mut decoder = Decoder::new();
    decoder.push(&nothing(), &mut Words::default()).unwrap();
    assert_eq!(decoder.finish(1), Ok(()));
    assert_eq!(decoder.finish(2), Err(Fault::Cut));
}

#[test]
fn errors_are_found_anywhere() {
    let said = || Err(Fault::Said("boom".to_owned()));
    let whole = Pack::default().map(1).text("error").text("boom").0;
    let later = [answer(), failed("boom")].concat();
    for bytes in [whole, failed("boom"), later] {
        for step in [1, 3, 1000] {
            assert_eq!(decode(&bytes, step).1, said());
        }
    }
}

#[test]
fn other_bytes_are_garbled() {
    for (name, bytes) in [
        ("JSON", b"{\"results\":[]}".to_vec()),
        ("another map", Pack::default().map(2).0),
        ("another key", Pack::default().map(1).text("x").0),
        (
            "a short row",
            Pack::default()
                .result(2, 1)
                .series("m", &[], &["time", "v"], 1)
                .array(1)
                .0,
        ),
        (
            "rows before columns",
            Pack::default()
                .result(2, 1)
                .map(1)
                .text("values")
                .array(1)
                .array(1)
                .0,
        ),
        (
            "a huge head",
            Pack::default()
                .result(2, 1)
                .map(1)
                .text("columns")
                .raw(&[0xdd, 0xff, 0xff, 0xff, 0xff])
                .0,
        ),
        (
            "statements out of order",
            Pack::default()
                .map(1)
                .text("results")
                .array(1)
                .map(1)
                .text("statement_id")
                .int(3)
                .0,
        ),
    ] {
        assert!(
            matches!(decode(&bytes, 5).1, Err(Fault::Garbled(_))),
            "{name}"
        );
    }
}

#[test]
fn a_row_without_end_is_refused_before_memory_is_gone() {
    let mut decoder = Decoder::new();
    let head = Pack::default()
        .result(2, 1)
        .series("m", &[], &["time"], 1)
        .array(1);
    let head = head.raw(&[0xdb, 0xff, 0xff, 0xff, 0xff]).0;
    decoder.push(&head, &mut Words::default()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let refused = (0..64).find_map(|_| decoder.push(&piece, &mut Words::default()).err());
    assert_eq!(refused, Some(Fault::Garbled("a row is larger than 8 MiB")));
}
