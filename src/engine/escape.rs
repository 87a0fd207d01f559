//! Escapes of line protocol, which several systems read.

/// Appends `text` with a `\` before each of `special`.
pub(in crate::engine) fn escape(out: &mut Vec<u8>, text: &[u8], special: &[u8]) {
    for byte in text {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

/// Takes the `\` before each of `special` away.
pub(in crate::engine) fn unescape(text: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = text[at] == b'\\' && text.get(at + 1).is_some_and(|b| special.contains(b));
        at += usize::from(escaped);
        out.push(text[at]);
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_both_ways() {
        for text in ["", "a", "a,b", "\\", "a\\,b", "= ,", "\"", "\u{fc}\\\\ "] {
            let mut out = Vec::new();
            escape(&mut out, text.as_bytes(), b",= ");
            assert_eq!(unescape(&out, b",= "), text.as_bytes(), "{text:?}");
        }
    }
}
