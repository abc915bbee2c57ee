//! Why a topic in this process did not do what was asked.

use ottla_log::{LogError, LogId, Offset};

use crate::partition::Refusal;
use crate::partitions::OpenPartitionError;

/// Why a topic was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTopicError {
    /// The broker has ended, or is about to.
    #[error("the topic was not created: its broker has stopped")]
    Stopped,
    /// There is a topic of that name.
    #[error("the topic {name:?} exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// The broker refuses it.
    #[error("the topic {name:?} was not created: {why}")]
    Refused {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
}

/// Why a broker was not reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// The broker has ended, or is about to.
    #[error("the broker was not reset: it has stopped")]
    Stopped,
    /// The metadata did not take the change.
    #[error("the broker was not reset: {0}")]
    Refused(String),
}

impl From<PartitionError> for ResetError {
    fn from(_: PartitionError) -> Self {
        // A reset needs no partition, only the broker.
        Self::Stopped
    }
}

/// Why a partition cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// The broker has ended, or is about to.
    #[error("the broker has stopped")]
    Stopped,
    /// The topic was deleted.
    #[error("the topic {name:?} was deleted")]
    NoTopic {
        /// Its name.
        name: String,
    },
    /// The topic has no such partition.
    #[error("there is no {id}; its topic has {partitions} partitions, from 0 on")]
    NoPartition {
        /// What was asked for.
        id: LogId,
        /// How many there are.
        partitions: usize,
    },
    /// Another broker leads the partition, or none.
    #[error("this broker does not lead {id}")]
    NotLeader {
        /// Which partition.
        id: LogId,
    },
    /// The log of the partition cannot be opened.
    #[error(transparent)]
    Open(#[from] LogError),
}

impl From<OpenPartitionError> for PartitionError {
    fn from(error: OpenPartitionError) -> Self {
        match error {
            OpenPartitionError::Deleted { id } => Self::NoTopic {
                name: id.topic().to_string(),
            },
            OpenPartitionError::Log(error) => Self::Open(error),
        }
    }
}

/// Why records were not appended, or not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The topic belongs to the broker.
    #[error("the topic {name:?} is the broker's own; nobody else writes to it")]
    Internal {
        /// Its name.
        name: String,
    },
    /// The condition of the append does not hold. Nothing was appended.
    #[error("the next offset of {id} is {end}, not {expected} as the append demands")]
    Condition {
        /// Which partition.
        id: LogId,
        /// The next offset that the append demands.
        expected: Offset,
        /// The next offset there is.
        end: Offset,
    },
    /// The log refuses the records. Nothing was appended, unless it says otherwise.
    #[error(transparent)]
    Log(#[from] ottla_log::AppendError),
    /// The partition takes no records now. Nothing was appended.
    #[error("cannot append to {id}: {why}")]
    Refused {
        /// Which partition.
        id: LogId,
        /// Why.
        why: String,
    },
    /// The records were written, but are not known to be as safe as was asked: they may be gone
    /// after a restart.
    #[error("the append to {id} was written, but not acknowledged: {why}")]
    NotAcknowledged {
        /// Which partition.
        id: LogId,
        /// Why.
        why: &'static str,
    },
}

impl AppendError {
    pub(super) fn refused(id: &LogId, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Append(ottla_log::AppendError::Condition { id, expected, end }) => {
                Self::Condition { id, expected, end }
            }
            Refusal::Append(error) => Self::Log(error),
            Refusal::Replica(error) => Self::Refused {
                id: id.clone(),
                why: error.to_string(),
            },
        }
    }
}

/// Why records were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The log cannot give them.
    #[error(transparent)]
    Log(#[from] ottla_log::ReadError),
}

impl From<PartitionError> for CreateTopicError {
    fn from(_: PartitionError) -> Self {
        // Creating a topic needs no partition, only the broker.
        Self::Stopped
    }
}
