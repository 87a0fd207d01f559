//! From a `StorageLocation` to an object store, with errors that tell one fault from another.
//!
//! [`open`] gives a [`Location`]; all keys are below its prefix and begin with `lifeboat/v1/`.
//! What lies beside them is a vendor's, and only read: [`Location::outside`].

mod claims;
mod credentials;
mod error;
mod fault;
mod http;
mod key;
mod listing;
mod location;
mod open;
mod outside;
mod server_copy;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod unfinished;
mod validate;
mod volume;

pub use claims::{Claim, Claimant, Claimed, Verdict, ensure_claim, ensure_two_places, evaluate};
pub use credentials::{AzureKey, S3Keys, StorageCredentials};
pub use error::StorageError;
pub use key::{ROOT, check_key};
pub use listing::Entry;
pub(crate) use location::Opened;
pub use location::{Created, Location};
pub use open::open;
pub(crate) use server_copy::ServerCopy;
pub use unfinished::Unfinished;
pub use validate::{Checked, validate};
