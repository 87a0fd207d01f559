//! Large rows pass one at a time, so that the job's memory is bounded by one of them, however many
//! tables are under way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes above which rows, or answers, are large. Batches are smaller.
const LARGE: usize = 512 * 1024;

/// Whether so many bytes are large.
pub(super) fn is(bytes: usize) -> bool {
    bytes > LARGE
}

/// The right to hold large rows. Who holds it must not wait for another.
pub(super) type Pass = Option<OwnedSemaphorePermit>;

/// Where large rows pass.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    /// An open gate.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Waits until so many bytes may be held; at once where they are few.
    pub(super) async fn enter(&self, bytes: usize) -> Pass {
        if !is(bytes) {
            return None;
        }
        // It is never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}
