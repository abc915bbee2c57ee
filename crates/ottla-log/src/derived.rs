//! What can be made anew from a log's batches: one shape for all of it.
//!
//! Leader epochs and producer state have this shape. The transaction index has not: it is cut into
//! segments, and follows from the ends of transactions that the producer state tells of.
//! The log takes in each batch that it appends or replays, and keeps the snapshots.

use crate::{Limits, Offset};

/// State that a log's batches determine.
///
/// For any log, all batches taken in by their order give the same state as `load` of a snapshot
/// taken at some offset and the batches from there on, as far as the snapshot's format can say it.
/// The same batch twice changes nothing.
pub(crate) trait Derived: Sized {
    /// Why a snapshot cannot be loaded; the state is then made anew from the batches.
    type LoadError: std::error::Error;

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
