//! The storage format, version 1: manifests, the parts index, keys, fingerprints.
//!
//! Pure. Readers treat everything from a bucket as hostile: see [`Manifest::parse`].

pub mod fingerprint;
pub mod head;
pub mod identity;
pub mod parts;

pub use fingerprint::Fingerprint;
pub use head::{Chain, Commit, IndexRef, Manifest, ManifestError, SourceInfo, VoidMarker};
pub use identity::Identity;
pub use parts::{Part, PartFile};
