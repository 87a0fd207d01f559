//! From a `StorageLocation` to an object store, with errors that tell one fault from another.

mod error;

pub use error::StorageError;
