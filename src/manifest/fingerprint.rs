//! Fingerprint of a part: a count, and the sum mod 2^256 of SHA-256 over each record's canonical form.
//!
//! The sum does not depend on order, so parallel readers can add theirs up, and two records that
//! are equal do not cancel out (as they would with XOR).
//!
//! The canonical form is the engine's to define: two records have the same form exactly when their
//! system holds them to be the same record with the same content. So an engine writes down what its
//! form does with key order, integers beyond 2^53, the text of floats, -0.0 and times with zones,
//! and never changes that for a method: a fingerprint is compared with those of years ago.
//!
//! As text it is the count in decimal, a colon, and the sum in hex. Digest and sum are 256-bit
//! integers whose first byte is the least significant one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A running or finished fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    records: u64,
    sum: [u64; 4],
}

impl Fingerprint {
    /// Adds a record by its canonical form.
    pub fn add(&mut self, canonical: &[u8]) {
        let digest: [u8; 32] = Sha256::digest(canonical).into();
        let mut words = [0u64; 4];
        for (word, bytes) in words.iter_mut().zip(digest.chunks_exact(8)) {
            let mut le = [0u8; 8];
            le.copy_from_slice(bytes);
            *word = u64::from_le_bytes(le);
        }
        self.records = self.records.saturating_add(1);
        self.add_words(words);
    }

    /// Adds all records of another fingerprint.
    pub fn merge(&mut self, other: &Self) {
        self.records = self.records.saturating_add(other.records);
        self.add_words(other.sum);
    }

    /// Records added so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    fn add_words(&mut self, words: [u64; 4]) {
        let mut carry = false;
        for (have, add) in self.sum.iter_mut().zip(words) {
            let (first, over1) = have.overflowing_add(add);
            let (second, over2) = first.overflowing_add(u64::from(carry));
            *have = second;
            carry = over1 || over2;
        }
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.records)?;
        for word in self.sum {
            for byte in word.to_le_bytes() {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A fingerprint that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a fingerprint is a count, a colon and 64 lower-case hex digits")]
pub struct FingerprintError;

impl std::str::FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (records, sum) = text.split_once(':').ok_or(FingerprintError)?;
        let plain = records.bytes().all(|b| b.is_ascii_digit())
            && !sum.bytes().any(|b| b.is_ascii_uppercase());
        if !plain {
            return Err(FingerprintError);
        }
        let records = records.parse().map_err(|_| FingerprintError)?;
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(sum, &mut bytes).map_err(|_| FingerprintError)?;
        let mut words = [0u64; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut le = [0u8; 8];
            le.copy_from_slice(chunk);
            *word = u64::from_le_bytes(le);
        }
        Ok(Self {
            records,
            sum: words,
        })
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
