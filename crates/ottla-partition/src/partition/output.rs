//! What a [`Replica`](super::Replica) tells its broker to do, and why it refuses.

use std::time::Duration;

use ottla_log::{LeaderEpoch, Offset};
use ottla_protocol::ErrorCode;

use super::waiters::WaiterId;
use crate::{BrokerId, PartitionEpoch};

/// Something for the broker to do. In the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Records below this offset may be shown now.
    HighWatermark(Offset),
    /// The term `epoch` of this leader begins at `start`: the log must remember it before its
    /// next append.
    EpochStarts {
        /// The term.
        epoch: LeaderEpoch,
        /// Where the log ends now.
        start: Offset,
    },
    /// Answer this waiter: its condition holds, or never will.
    Answer {
        /// The waiter.
        waiter: WaiterId,
        /// Whether its records are acknowledged.
        result: Result<(), ReplicaError>,
    },
    /// Ask the controller to make this the ISR. The answer comes in as a new registration or as
    /// [`Replica::isr_refused`](super::Replica::isr_refused).
    ProposeIsr {
        /// The ISR to be, sorted.
        isr: Vec<BrokerId>,
        /// The term it is proposed in.
        leader_epoch: LeaderEpoch,
        /// The registration it starts from.
        partition_epoch: PartitionEpoch,
    },
    /// Call [`Replica::timer`](super::Replica::timer) with `key` at `at`. A later one of the same
    /// key takes the place of this one; one that comes after its matter is settled does no harm.
    Timer {
        /// Which timer.
        key: Timer,
        /// When, on the monotonic clock.
        at: Duration,
    },
}

/// The timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// This waiter's time is up.
    Waiter(WaiterId),
    /// See whether every replica in the ISR still keeps up.
    Isr,
}

/// Why a replica refuses, or gives a waiter up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The asker knows an older leader than this one.
    #[error("the leader epoch {asked} is over; it is {current} now")]
    FencedLeaderEpoch {
        /// The term the asker named.
        asked: LeaderEpoch,
        /// The term that is.
        current: LeaderEpoch,
    },
    /// The asker knows a newer leader than this broker does, yet.
    #[error("the leader epoch {asked} is not known here yet; it is {current} so far")]
    UnknownLeaderEpoch {
        /// The term the asker named.
        asked: LeaderEpoch,
        /// The term that is known.
        current: LeaderEpoch,
    },
    /// Another broker leads, or none.
    #[error("this broker does not lead the partition")]
    NotLeader {
        /// Who does, as far as is known.
        leader: Option<BrokerId>,
        /// In which term.
        epoch: LeaderEpoch,
    },
    /// The fetching broker holds no replica, as far as is known.
    #[error("broker {0} holds no replica of the partition")]
    NotReplica(BrokerId),
    /// Too few replicas are in sync to append with acks=all.
    #[error("{isr} replicas are in sync; min.insync.replicas asks for {min_isr}")]
    NotEnoughReplicas {
        /// How many are.
        isr: usize,
        /// How many must be.
        min_isr: usize,
    },
    /// The records were appended and replicated, but too few replicas are in sync by now.
    #[error("the records were appended, but too few replicas are in sync by now")]
    NotEnoughReplicasAfterAppend,
    /// The records were appended, but were not acknowledged by enough replicas in time.
    #[error("the records were not replicated or synced in time")]
    TimedOut,
    /// The disk under the partition failed.
    #[error("the partition is offline since its disk failed; restart the broker once it is well")]
    Offline,
}

impl ReplicaError {
    /// Kafka's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch { .. } | Self::NotReplica(_) => ErrorCode::UnknownLeaderEpoch,
            Self::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::NotEnoughReplicasAfterAppend => ErrorCode::NotEnoughReplicasAfterAppend,
            Self::TimedOut => ErrorCode::RequestTimedOut,
            Self::Offline => ErrorCode::KafkaStorageError,
        }
    }
}
