//! Tests of [`super::encode`].

use super::encode::*;
use super::response::Decoder;
use super::stand_in::Pack;

fn encode(pack: Pack) -> Encoder {
    let mut encoder = Encoder::default();
    let mut decoder = Decoder::new();
    decoder.push(&pack.0, &mut encoder).unwrap();
    decoder.finish(1).unwrap();
    encoder
}

#[test]
fn lines() {
    let pack = Pack::default()
        .result(2, 2)
        .series(
            "a b,c",
            &[("t", "x=y"), ("none", ""), ("k,1", "v")],
            &["time", "i", "f", "s", "b"],
            2,
        )
        .array(5)
        .int(-7)
        .int(i64::MIN)
        .float(-0.0)
        .text("say \"\\\"\nx")
        .flag(true)
        .array(5)
        .int(8)
        .nil()
        .nil()
        .text("")
        .nil()
        .series("m", &[], &["time", "z \"q\"", "a=1"], 1)
        .array(3)
        .int(0)
        .float(1e300)
        .float(0.1)
        .0;
    let mut encoder = encode(Pack(pack));
    assert_eq!(
        String::from_utf8(encoder.take()).unwrap(),
        "a\\ b\\,c,k\\,1=v,t=x\\=y b=t,f=-0,i=-9223372036854775808i,s=\"say \\\"\\\\\\\"\nx\" -7\n\
         a\\ b\\,c,k\\,1=v,t=x\\=y s=\"\" 8\n\
         m a\\=1=0.1,z\\ \\\"q\\\"=1e300 0\n"
    );
    assert_eq!(encoder.fingerprint().records(), 3);
}

#[test]
fn series_that_line_protocol_cannot_say_are_counted_and_named() {
    for (name, tags, column, writable) in [
        ("plain", &[("t", "v")][..], "f", true),
        ("a\\b", &[("t", "C:\\x")], "f\\g", true),
        ("#comment", &[], "f", false),
        ("ends\\", &[], "f", false),
        ("m", &[("t", "C:\\")], "f", false),
        ("m", &[("t\\", "v")], "f", false),
        ("m", &[], "f\\", false),
        ("m", &[], "f\\,g", false),
        ("new\nline", &[], "f", false),
        ("escaped\\\nline", &[], "f", true),
        // The server begins to look for quotes at the space and takes the next line too.
        ("m", &[("t\\ x", "a\"b")], "f", false),
    ] {
        let pack = Pack::default()
            .result(2, 1)
            .series(name, tags, &["time", column], 1);
        let mut encoder = encode(Pack(pack.array(2).int(1).int(2).0));
        let (left_out, named) = encoder.unwritable();
        assert_eq!(
            (left_out, named.len()),
            if writable { (0, 0) } else { (1, 1) },
            "{name:?}"
        );
        assert_eq!(encoder.take().is_empty(), !writable, "{name:?}");
    }
}

#[test]
fn canonical_forms_do_not_depend_on_the_order_of_columns_or_pieces() {
    let one = Pack::default()
        .result(2, 1)
        .series("m", &[], &["time", "a", "b"], 2)
        .array(3)
        .int(1)
        .int(10)
        .int(20)
        .array(3)
        .int(2)
        .int(11)
        .nil()
        .0;
    let two = Pack::default()
        .result(2, 2)
        .series("m", &[("none", "")], &["time", "b", "a"], 1)
        .array(3)
        .int(2)
        .nil()
        .int(11)
        .series("m", &[("none", "")], &["time", "b", "a"], 1)
        .array(3)
        .int(1)
        .int(20)
        .int(10)
        .0;
    assert_eq!(
        encode(Pack(one)).fingerprint(),
        encode(Pack(two)).fingerprint()
    );
}
