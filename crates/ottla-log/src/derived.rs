//! What can be made anew from a log's batches: one shape for all of it.
//!
//! Leader epochs and producer state have this shape; the transaction index and a key index will.
//! The log applies each batch it appends or replays, and keeps the snapshots.

use bytes::Bytes;

use crate::batch::{BatchError, BatchHeader};
use crate::{Limits, Offset};

/// State that a log's batches determine.
///
/// For any log, `apply` of all batches gives the same state as `load` of a snapshot taken at some
/// offset and `apply` of the batches from there on, as far as the snapshot's format can say it.
pub(crate) trait Derived: Sized {
    /// Why a snapshot cannot be loaded; the state is then made anew from the batches.
    type LoadError: std::error::Error;

    /// Takes in `batch` with its final offsets, whose header is `header`. Batches come in the
    /// order of their offsets; the same batch twice changes nothing.
    ///
    /// # Errors
    /// Where a control record, which has to be looked into, is malformed.
    fn apply(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
        limits: &Limits,
    ) -> Result<(), BatchError>;

    /// Forgets every batch at or above `to`.
    fn truncate(&mut self, to: Offset) -> Rewind;

    /// The log now starts at `start`: forgets what only mattered below.
    fn advance_start(&mut self, start: Offset);

    /// The state as the bytes of its file in Kafka's format.
    fn snapshot(&self) -> Vec<u8>;

    /// The state of a snapshot that was taken when the log ended at `end`.
    ///
    /// # Errors
    /// Where `bytes` are not what `snapshot` writes.
    fn load(bytes: &[u8], end: Offset, limits: &Limits) -> Result<Self, Self::LoadError>;
}

/// What is left to do after [`Derived::truncate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Rewind {
    /// Nothing.
    Done,
    /// The state cannot go back and is to be replaced: by the newest snapshot at or below the new
    /// end, with the batches from there on applied.
    Reload,
}
