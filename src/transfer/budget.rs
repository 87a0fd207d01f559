//! The bound on bytes that are on their way to the store, shared by all parts of a run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::TransferError;

/// Bytes of one piece of an upload: the least that S3 takes for all but the last. 1 GiB, the most
/// that a file has, is 205 pieces; S3 takes 10,000.
pub(crate) const PIECE: usize = 5 * 1024 * 1024;
/// Pieces that may be under way beside those being filled.
const UNDER_WAY: usize = 2;

/// The buffers of a run. There are never more than `writers + 2` of 5 MiB each, and a buffer that
/// was used is used again, so that memory stays flat whatever the allocator does.
///
/// A run can't lock up whose tasks have one open writer each, even with the index beside them, which
/// is open all the time: a writer holds at most one buffer that is not under way, and none while it
/// waits for one. So while any writer waits, the other parts and the index hold at most `writers`
/// buffers that are not under way. Of the two left one is free, or both are under way: and what is
/// under way comes back without need of another buffer.
#[derive(Debug)]
pub struct UploadBudget {
    slots: Arc<Semaphore>,
    free: Mutex<Vec<Vec<u8>>>,
}

impl UploadBudget {
    /// A budget for as many parts as are worked on at once, the run's parallelism, and for the index
    /// beside them.
    pub fn new(writers: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(writers.max(1) + UNDER_WAY)),
            free: Mutex::new(Vec::new()),
        })
    }

    /// Waits for a buffer.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Piece, TransferError> {
        let permit = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| TransferError::Internal("the run's buffers are closed".to_owned()))?;
        let reused = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Ok(Piece {
            bytes: reused.unwrap_or_else(|| Vec::with_capacity(PIECE)),
            budget: self.clone(),
            _permit: permit,
        })
    }

    #[cfg(test)]
    pub(crate) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }
}

/// A buffer; it goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    budget: Arc<UploadBudget>,
    _permit: OwnedSemaphorePermit,
}

impl Piece {
    /// Takes as many bytes as there is room for, and says how many.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(PIECE - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// True where there is no room left.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() == PIECE
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.budget
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn never_more_than_its_bound_and_buffers_come_back() {
        let budget = UploadBudget::new(1);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(budget.take().await.unwrap());
        }
        let mut waiting = Box::pin(budget.take());
        assert!(futures::poll!(&mut waiting).is_pending());
        let mut piece = held.pop().unwrap();
        assert_eq!(piece.fill(&vec![1; PIECE + 7]), PIECE);
        assert!(piece.is_full());
        drop(bytes::Bytes::from_owner(piece));
        let again = waiting.await.unwrap();
        assert!(again.as_ref().is_empty());
        assert_eq!(again.bytes.capacity(), PIECE);
    }
}
