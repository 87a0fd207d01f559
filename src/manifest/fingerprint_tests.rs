#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const ABC: &str = "1:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn of(records: &[Vec<u8>]) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    for record in records {
        fingerprint.add(record);
    }
    fingerprint
}

#[test]
fn known_vectors() {
    let numbers: Vec<Vec<u8>> = (0..1000).map(|n| n.to_string().into_bytes()).collect();
    for (records, text) in [
        (vec![], format!("0:{}", "0".repeat(64))),
        // One record: its SHA-256.
        (vec![b"abc".to_vec()], ABC.to_owned()),
        // The same record twice does not cancel out.
        (
            vec![b"abc".to_vec(), b"".to_vec(), b"abc".to_vec()],
            "3:57a2f1c0b7ffbae91d7e758555ccfe6a87b5032b92ca87850db797df5c54e2af".to_owned(),
        ),
        (
            numbers,
            "1000:295e341b635dbc4dc6fb02ed5ab6ba5602add84d4d9667177a29a64be42b47a7".to_owned(),
        ),
    ] {
        let fingerprint = of(&records);
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(fingerprint.records(), records.len() as u64);
    }
}

#[test]
fn carries_go_through_all_words_and_off_the_end() {
    let most = format!("1:{}", "f".repeat(64));
    let one = format!("1:01{}", "0".repeat(62));
    let low_word = format!("1:{}{}", "f".repeat(16), "0".repeat(48));
    for (a, b, sum) in [
        (&most, &one, format!("2:{}", "0".repeat(64))),
        (&most, &most, format!("2:fe{}", "f".repeat(62))),
        (
            &low_word,
            &one,
            format!("2:{}01{}", "0".repeat(16), "0".repeat(46)),
        ),
        (
            &low_word,
            &most,
            format!("2:fe{}{}", "f".repeat(14), "0".repeat(48)),
        ),
    ] {
        let mut left: Fingerprint = a.parse().unwrap();
        left.merge(&b.parse().unwrap());
        assert_eq!(left.to_string(), sum, "{a} + {b}");
    }
}

#[test]
fn text_that_is_no_fingerprint() {
    for text in [
        "",
        "1",
        ":",
        "1:00",
        &ABC[1..],
        &format!("-{ABC}"),
        &format!("+{ABC}"),
        &format!("{ABC}00"),
        &ABC.to_uppercase(),
        &ABC.replace("1:", "18446744073709551616:"),
        &ABC.replace("ba", "zz"),
    ] {
        assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
    }
    let json = serde_json::to_string(&of(&[b"abc".to_vec()])).unwrap();
    assert_eq!(json, format!("\"{ABC}\""));
    assert_eq!(
        serde_json::from_str::<Fingerprint>(&json).unwrap(),
        of(&[b"abc".to_vec()])
    );
}

#[test]
fn a_hostile_count_does_not_overflow() {
    let text = ABC.replace("1:", "18446744073709551615:");
    let mut most: Fingerprint = text.parse().unwrap();
    most.merge(&text.parse().unwrap());
    most.add(b"one more");
    assert_eq!(most.records(), u64::MAX);
}

proptest! {
    #[test]
    fn order_and_grouping_do_not_matter(
        mut records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = of(&records);
        prop_assert_eq!(whole.to_string().parse::<Fingerprint>(), Ok(whole));
        records.sort();
        let (left, right) = records.split_at(cut.index(records.len() + 1));
        let mut merged = of(right);
        merged.merge(&of(left));
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn another_record_shows(records in prop::collection::vec(any::<u32>(), 1..20), other in any::<u32>()) {
        prop_assume!(!records.contains(&other));
        let bytes = |records: &[u32]| -> Vec<Vec<u8>> {
            records.iter().map(|r| r.to_le_bytes().to_vec()).collect()
        };
        let mut changed = records.clone();
        changed[0] = other;
        prop_assert_ne!(of(&bytes(&records)), of(&bytes(&changed)));
    }
}
