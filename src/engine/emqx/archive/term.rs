//! As much of Erlang's external term format as it takes to look into a record.

/// How deep terms may lie in one another.
const DEPTH: u32 = 32;

/// Terms, one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term<'a>(&'a [u8]);

/// The first element of a tuple, an atom's name, and the elements after it.
pub(super) fn record_of(bytes: &[u8]) -> Option<(&[u8], Term<'_>)> {
    let rest = bytes.strip_prefix(&[131, 104])?;
    let rest = rest.get(1..)?;
    let (length, rest) = match rest.split_first()? {
        (100 | 118, rest) => (u16_of(rest)? as usize, rest.get(2..)?),
        (115 | 119, rest) => (usize::from(*rest.first()?), rest.get(1..)?),
        _ => return None,
    };
    Some((rest.get(..length)?, Term(rest.get(length..)?)))
}

impl<'a> Term<'a> {
    /// What follows after so many terms.
    pub(super) fn skip(self, terms: usize) -> Option<Term<'a>> {
        (0..terms).try_fold(self, |term, _| term.after(DEPTH))
    }

    /// The first of the terms, where it is an integer of at most 64 bits.
    pub(super) fn integer(self) -> Option<i64> {
        let (tag, rest) = self.0.split_first()?;
        match tag {
            97 => rest.first().map(|byte| i64::from(*byte)),
            98 => {
                let bytes: [u8; 4] = rest.get(..4)?.try_into().ok()?;
                Some(i64::from(i32::from_be_bytes(bytes)))
            }
            110 => {
                let (length, negative) = (usize::from(*rest.first()?), *rest.get(1)? != 0);
                let digits = rest.get(2..2 + length)?;
                if length > 8 {
                    return None;
                }
                let number = digits
                    .iter()
                    .rev()
                    .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                let number = i64::try_from(number).ok()?;
                Some(if negative { -number } else { number })
            }
            _ => None,
        }
    }

    fn after(self, depth: u32) -> Option<Term<'a>> {
        let depth = depth.checked_sub(1)?;
        let (tag, rest) = self.0.split_first()?;
        let fixed = |bytes: usize| rest.get(bytes..).map(Term);
        let many = |terms: u64, rest: &'a [u8]| {
            let mut term = Term(rest);
            for _ in 0..terms {
                term = term.after(depth)?;
            }
            Some(term)
        };
        match tag {
            97 => fixed(1),
            98 => fixed(4),
            70 => fixed(8),
            106 => fixed(0),
            100 | 107 | 118 => fixed(2 + u16_of(rest)? as usize),
            115 | 119 => fixed(1 + usize::from(*rest.first()?)),
            109 => fixed(4 + u32_of(rest)? as usize),
            110 => fixed(2 + usize::from(*rest.first()?)),
            111 => fixed(5 + u32_of(rest)? as usize),
            104 => many(u64::from(*rest.first()?), rest.get(1..)?),
            105 => many(u64::from(u32_of(rest)?), rest.get(4..)?),
            // A list has a tail after its elements.
            108 => many(u64::from(u32_of(rest)?) + 1, rest.get(4..)?),
            116 => many(u64::from(u32_of(rest)?) * 2, rest.get(4..)?),
            _ => None,
        }
    }
}

fn u16_of(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?))
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let ban = [
            131, 104, 3, 100, 0, 3, b'b', b'a', b'n', 104, 2, 97, 1, 106, 98, 0, 0, 1, 0,
        ];
        let (name, rest) = record_of(&ban).unwrap();
        assert_eq!(name, b"ban");
        assert_eq!(rest.skip(1).unwrap().integer(), Some(256));
        assert!(rest.skip(3).is_none());
        for cut in 0..ban.len() {
            if let Some((_, rest)) = record_of(&ban[..cut]) {
                assert_eq!(rest.skip(1).and_then(Term::integer), None, "{cut}");
            }
        }
    }

    #[test]
    fn hostile_terms_end() {
        let nested = [104, 1].repeat(10_000);
        assert!(Term(&nested).skip(1).is_none());
        assert!(Term(&[108, 255, 255, 255, 255, 106]).skip(1).is_none());
        assert!(Term(&[116, 255, 255, 255, 255, 106]).skip(1).is_none());
        assert!(Term(&[109, 255, 255, 255, 255]).skip(1).is_none());
        assert_eq!(Term(&[110, 1, 1, 7]).integer(), Some(-7));
        assert_eq!(
            Term(&[110, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255]).integer(),
            None
        );
    }
}
