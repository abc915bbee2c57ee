//! What can go wrong with an append, a read, a truncation.

use std::sync::Arc;

use super::health::Gone;
use crate::batch::{BatchError, BuildError};
use crate::producer_state::ProducerError;
use crate::validate::ProduceError;
use crate::{LeaderEpoch, LogId, Offset, StorageError};

/// Why nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The condition of the append does not hold.
    #[error("the next offset of {id} is {end}, not {expected} as the append demands")]
    Condition {
        /// Which log.
        id: LogId,
        /// The next offset that the append demands.
        expected: Offset,
        /// The next offset there is.
        end: Offset,
    },
    /// The producer's epoch or sequence is not the next one.
    #[error("{0}")]
    Producer(#[from] ProducerError),
    /// A client's batch breaks the rules of the format or of its topic.
    #[error("{0}")]
    Invalid(#[from] ProduceError),
    /// A batch is malformed.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// The records do not make a batch.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// The batches do not fit into one segment.
    #[error(
        "{size} bytes of batches do not fit into a segment of {segment_bytes} bytes \
         (segment.bytes); append fewer at once"
    )]
    LargerThanSegment {
        /// How large they are.
        size: usize,
        /// How large a segment may be.
        segment_bytes: u32,
    },
    /// The leader's epoch is older than that of a batch in the log.
    #[error("the leader epoch {asked} is older than {latest}, the latest of {id}")]
    FencedLeaderEpoch {
        /// Which log.
        id: LogId,
        /// The leader's epoch.
        asked: LeaderEpoch,
        /// The latest epoch in the log.
        latest: LeaderEpoch,
    },
    /// A follower's batch does not come after what is there.
    #[error("{id} ends at offset {end}; a batch at {base} does not come after it")]
    OutOfOrder {
        /// Which log.
        id: LogId,
        /// Where the batch begins.
        base: Offset,
        /// Where the log ends.
        end: Offset,
    },
    /// The disk failed, now or earlier. Where the error is recoverable nothing of the append
    /// stays, and a later one may succeed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The data was written, but did not become durable.
    #[error("the append to {id} was written, but is not durable: {cause}")]
    NotDurable {
        /// Which log.
        id: LogId,
        /// Why.
        cause: Arc<StorageError>,
    },
    /// The store was closed.
    #[error("cannot append to {0}: its store is closed")]
    Closed(LogId),
    /// The topic was deleted.
    #[error("cannot append to {0}: it was deleted")]
    Deleted(LogId),
}

/// Why nothing can be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The log does not have the offset.
    #[error("offset {asked} is not within {id}, which has {start} to {end}")]
    OffsetOutOfRange {
        /// Which log.
        id: LogId,
        /// The offset asked for.
        asked: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The bytes at the offset are corrupt. What is before and behind them can be read.
    #[error("offset {asked} cannot be read: {cause}")]
    Corrupt {
        /// The offset asked for.
        asked: Offset,
        /// Which file, where, and what is wrong.
        cause: StorageError,
        /// The first offset behind the corrupt bytes, where it is known.
        next: Option<Offset>,
    },
    /// The disk failed, now or earlier.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A batch's records cannot be decoded, though its checksum holds: its producer encoded them
    /// so.
    #[error("the batch at offset {base} cannot be decoded: {cause}")]
    Batch {
        /// The batch's base offset.
        base: Offset,
        /// What is wrong with it.
        cause: BatchError,
    },
    /// The store was closed.
    #[error("cannot read {0}: its store is closed")]
    Closed(LogId),
    /// The topic was deleted.
    #[error("cannot read {0}: it was deleted")]
    Deleted(LogId),
}

/// Why a log was not cut, at its end or at its start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TruncateError {
    /// The log does not have the offset.
    #[error("offset {asked} is not within {id}, which has {start} to {end}")]
    OffsetOutOfRange {
        /// Which log.
        id: LogId,
        /// The offset asked for.
        asked: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The disk failed, now or earlier.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The store was closed.
    #[error("cannot cut {0}: its store is closed")]
    Closed(LogId),
    /// The topic was deleted.
    #[error("cannot cut {0}: it was deleted")]
    Deleted(LogId),
}

impl AppendError {
    pub(super) fn gone(gone: Gone, id: &LogId) -> Self {
        match gone {
            Gone::Closed => Self::Closed(id.clone()),
            Gone::Deleted => Self::Deleted(id.clone()),
        }
    }
}

impl ReadError {
    pub(super) fn gone(gone: Gone, id: &LogId) -> Self {
        match gone {
            Gone::Closed => Self::Closed(id.clone()),
            Gone::Deleted => Self::Deleted(id.clone()),
        }
    }
}

impl TruncateError {
    pub(super) fn gone(gone: Gone, id: &LogId) -> Self {
        match gone {
            Gone::Closed => Self::Closed(id.clone()),
            Gone::Deleted => Self::Deleted(id.clone()),
        }
    }
}
