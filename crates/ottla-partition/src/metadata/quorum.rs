//! How a decision becomes the state of the cluster.
//!
//! A quorum takes one batch at a time and says when it is committed: on one node that is when the
//! batch is durable in the metadata log, on several when a majority holds it. Which engine does
//! that is nobody else's business; `__cluster_metadata-0` is what comes out of it.

use std::future::Future;

use ottla_log::Offset;

use super::record::MetadataRecord;

/// A batch of records to commit: one decision, whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Where the first record has to stand: the end of the image the decision was made on.
    pub base: Offset,
    /// The records, at least one.
    pub records: Vec<MetadataRecord>,
}

/// Why a batch was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Another batch was there first: decide again, on the newest image.
    #[error("the decision was made at offset {base}, but the metadata log ends at {end}")]
    Stale {
        /// Where the batch would have to stand.
        base: Offset,
        /// Where the log ends.
        end: Offset,
    },
    /// This node does not lead the quorum.
    #[error("this node does not lead the metadata quorum")]
    NotLeader,
    /// The metadata log failed. The node must stop: what it knows and what is on disk may differ.
    #[error("the metadata log failed: {0}")]
    Failed(String),
}

/// Commits batches of metadata records.
pub trait MetadataQuorum: Send + Sync {
    /// Commits `proposal`; answers with the offset behind its last record once it is committed.
    ///
    /// After [`ProposeError::Failed`] the batch may or may not be committed.
    fn propose(
        &self,
        proposal: Proposal,
    ) -> impl Future<Output = Result<Offset, ProposeError>> + Send;
}
