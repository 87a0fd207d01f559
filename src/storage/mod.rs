//! From a `StorageLocation` to an object store, with errors that tell one fault from another.
//!
//! [`open`] gives a [`Location`]; all keys are below its prefix and begin with `lifeboat/v1/`.

mod credentials;
mod error;
mod fault;
mod http;
mod key;
mod location;
mod open;

pub use credentials::StorageCredentials;
pub use error::StorageError;
pub use key::{ROOT, check_key};
pub use location::{Created, Entry, Location};
pub use open::open;
