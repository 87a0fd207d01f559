//! Numbers as text, in the one form that fingerprints are made of.

use std::io::Write;

/// As `write!`, in a third of the time: most of a record is integers.
pub(in crate::engine) fn integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        // The remainder is below ten.
        #[allow(clippy::cast_possible_truncation)]
        let digit = (rest % 10) as u8;
        digits[at] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The fewest digits that read back to the same bits. None for what is no number.
pub(in crate::engine) fn float(out: &mut Vec<u8>, number: f64) -> Option<()> {
    if !number.is_finite() {
        return None;
    }
    let size = number.abs();
    // Writing to a Vec can't fail.
    let _ = if size == 0.0 || (1e-5..1e17).contains(&size) {
        write!(out, "{number}")
    } else {
        write!(out, "{number:e}")
    };
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_back_to_the_same_bits() {
        let mut bits = 1u64;
        let mut numbers = vec![
            0.0,
            -0.0,
            1.0,
            0.1,
            1e-5,
            9.999_999e-6,
            1e16,
            1e17,
            123.456,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
        ];
        for _ in 0..2000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            numbers.push(f64::from_bits(bits));
        }
        for number in numbers.into_iter().filter(|number| number.is_finite()) {
            let mut out = Vec::new();
            float(&mut out, number).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                number.to_bits(),
                "{text}"
            );
            assert!(text.len() <= 25, "{text}");
        }
        for (number, want) in [
            (1.0, "1"),
            (1e17, "1e17"),
            (1e-5, "0.00001"),
            (9e-6, "9e-6"),
            (-0.0, "-0"),
        ] {
            let mut out = Vec::new();
            float(&mut out, number).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
        assert!(float(&mut Vec::new(), f64::NAN).is_none());
    }

    #[test]
    fn integers() {
        for number in [0, 9, 10, -1, i64::MAX, i64::MIN, 1_700_000_000_000_000_000] {
            let mut out = Vec::new();
            integer(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
