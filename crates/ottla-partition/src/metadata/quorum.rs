//! How a decision becomes the state of the cluster.
//!
//! A quorum takes one batch at a time and says when it is committed: on one node that is when the
//! batch is durable in the metadata log, on several when a majority holds it. Which engine does
//! that is nobody else's business; `__cluster_metadata-0` is what comes out of it.
//!
//! Who changes the state decides on its newest image, proposes the batch, and replays it once it is
//! committed. Reading the log at start is not the quorum's matter.

use std::future::Future;
use std::sync::Arc;

use ottla_log::{Offset, StorageError, Timestamp};

use super::codec::CodecError;
use super::record::MetadataRecord;

/// A batch of records to commit: one decision, whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// Where the first record has to stand: the end of the image the decision was made on.
    pub base: Offset,
    /// The records, at least one.
    pub records: &'a [MetadataRecord],
    /// When the decision was made.
    pub now: Timestamp,
}

/// Why a batch was not committed. But for [`ProposeError::Failed`] nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Another batch was there first: decide again, on the newest image.
    #[error("it was decided at offset {base}, but the metadata log ends at {end}")]
    Stale {
        /// Where the batch would have to stand.
        base: Offset,
        /// Where the log ends.
        end: Offset,
    },
    /// A record says what Kafka's schemas have no place for.
    #[error(transparent)]
    Record(#[from] CodecError),
    /// The records make no batch that the log takes.
    #[error("{0}")]
    Batch(String),
    /// The disk is full. A later batch may find room.
    #[error("{0}")]
    NoSpace(Arc<StorageError>),
    /// The metadata log failed: the batch may or may not be committed. The node must stop, since
    /// what it knows and what is on disk may differ.
    #[error("{0}")]
    Failed(Arc<StorageError>),
}

/// Commits batches of metadata records, one at a time.
pub trait MetadataQuorum: Send {
    /// Commits `proposal`; answers with the offset behind its last record once it is committed.
    fn propose(
        &mut self,
        proposal: Proposal<'_>,
    ) -> impl Future<Output = Result<Offset, ProposeError>> + Send;
}
