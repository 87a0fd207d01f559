//! Size and SHA-256 of a stream.

use sha2::{Digest, Sha256};

/// Counts and digests what passes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    size: u64,
    sha256: Sha256,
}

impl Meter {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Size, and SHA-256 in hex.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.size, hex::encode(self.sha256.finalize()))
    }
}
