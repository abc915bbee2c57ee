//! Room for an append in the store's dirty budget, taken before the append is begun.

use std::sync::Arc;

use super::core::LogCore;
use super::errors::AppendError;
use super::seam::Flusher;

/// Room for one append in the dirty budget of its store: bytes that were written and are not
/// durable yet are bounded. What is not written is given back when dropped.
#[derive(Debug)]
pub struct Room {
    flusher: Arc<dyn Flusher>,
    bytes: u64,
}

impl Room {
    /// `bytes` were written: they belong to the flusher now.
    pub(super) fn spend(mut self, bytes: u64) {
        if bytes > self.bytes {
            self.flusher.reserve_more(bytes - self.bytes);
            self.bytes = bytes;
        }
        self.bytes -= bytes;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.flusher.unreserve(self.bytes);
        }
    }
}

impl LogCore {
    /// Takes room for `bytes` bytes; waits for it, and helps to make it.
    pub(crate) fn room(&self, bytes: usize) -> Result<Room, AppendError> {
        let bytes = bytes as u64;
        let reserved = self.shared.flusher.reserve(bytes);
        reserved.map_err(|cause| self.no_room(&cause))?;
        Ok(self.room_of(bytes))
    }

    /// As [`LogCore::room`]; `None` where it would have to be waited for.
    pub(crate) fn try_room(&self, bytes: usize) -> Result<Option<Room>, AppendError> {
        let bytes = bytes as u64;
        let reserved = self.shared.flusher.try_reserve(bytes);
        let is_there = reserved.map_err(|cause| self.no_room(&cause))?;
        Ok(is_there.then(|| self.room_of(bytes)))
    }

    /// As [`LogCore::room`], above the budget where there is none.
    pub(crate) fn room_at_once(&self, bytes: usize) -> Result<Room, AppendError> {
        if let Some(room) = self.try_room(bytes)? {
            return Ok(room);
        }
        self.shared.flusher.reserve_more(bytes as u64);
        Ok(self.room_of(bytes as u64))
    }

    fn room_of(&self, bytes: u64) -> Room {
        Room {
            flusher: Arc::clone(&self.shared.flusher),
            bytes,
        }
    }

    fn no_room(&self, cause: &crate::StorageError) -> AppendError {
        match self.health.gone() {
            Some(gone) => AppendError::gone(gone, &self.id),
            None => AppendError::Storage(cause.clone()),
        }
    }
}
