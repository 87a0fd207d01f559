//! The backups in a bucket: finding, reading, committing, deleting.
//!
//! A line is the key that [`crate::manifest::Identity::line`] gives. Nothing here keeps a
//! catalogue: the listing of a line's manifests is the truth, and every manifest that is read is
//! checked before anything in it is used.

mod commit;
mod items;
mod lines;
mod read;
mod replay;
mod sweep;
#[cfg(test)]
mod tests;

pub use commit::{Committed, Voided, commit, put_copy, void};
pub use items::items;
pub use lines::lines;
pub use read::{
    SlotEntry, Stored, as_of, list_slots, newest, newest_chain, read_backup, read_commit,
    read_to_copy, restore_set,
};
pub use replay::next_to_replay;
pub use sweep::{Deleted, RunDir, delete_backup, delete_run, unreferenced_data};

/// The most manifests of one line.
pub const MAX_SLOTS: usize = 50_000;
/// Small reads and deletes that are under way at once.
const AT_ONCE: usize = 8;
