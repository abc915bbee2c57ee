//! Fetch: where to read, and the records there.
//!
//! A response does not hold records of its log. It names them by number ([`Records::Payload`]) and
//! is encoded into segments around them, so that they can be sent from where they are. Topics are
//! named up to version 12 and identified from version 13.

use bytes::Bytes;
use uuid::Uuid;

use crate::StrBytes;
use crate::field::{EncodeError, Field, Form, Reader, Sink, put_length};
use crate::fields::fields;
pub use crate::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::seq::Seq;
use crate::shape::Kind;
use crate::wire::Fault;

fields! {
    /// Where to read.
    pub struct FetchRequest {
        /// The cluster that the client believes in; null for none.
        cluster_id: Option<StrBytes> [12+, tag 0],
        /// The follower that reads, or -1 for a consumer.
        replica_id: i32 [0-14] = -1,
        /// The follower that reads, from version 15.
        replica_state: ReplicaState [15+, tag 1],
        /// How long to wait for `min_bytes`.
        max_wait_ms: i32,
        /// The bytes to wait for.
        min_bytes: i32,
        /// The most bytes to answer with; the first batch may be larger (KIP-74).
        max_bytes: i32 = i32::MAX,
        /// 0 to see records of open transactions, 1 not to.
        isolation_level: i8,
        /// The fetch session (KIP-227); 0 for none.
        session_id: i32 [7+],
        /// How far the session is; 0 to begin one, -1 for none.
        session_epoch: i32 [7+] = -1,
        /// The topics to read, or of which something changed in the session.
        topics: Seq<FetchTopic>,
        /// The partitions to take out of the session.
        forgotten_topics_data: Seq<ForgottenTopic> [7+],
        /// The rack that the consumer is in (KIP-392); empty for none.
        rack_id: StrBytes [11+],
    }

    /// The follower that reads (KIP-903).
    pub struct ReplicaState {
        /// The follower, or -1 for a consumer.
        replica_id: i32 = -1,
        /// The follower's broker epoch; -1 for none.
        replica_epoch: i64 = -1,
    }

    /// A topic to read.
    pub struct FetchTopic {
        /// The topic's name.
        topic: StrBytes [0-12],
        /// The topic's id.
        topic_id: Uuid [13+],
        /// The partitions.
        partitions: Seq<FetchPartition>,
    }

    /// A partition to read.
    pub struct FetchPartition {
        /// The partition.
        partition: i32,
        /// The leader epoch that the client believes in; -1 for none.
        current_leader_epoch: i32 [9+] = -1,
        /// Where to begin.
        fetch_offset: i64,
        /// The leader epoch of the last record read before; -1 for none.
        last_fetched_epoch: i32 [12+] = -1,
        /// The follower's first offset; -1 from a consumer.
        log_start_offset: i64 [5+] = -1,
        /// The most bytes to answer with; the first batch may be larger.
        partition_max_bytes: i32,
        /// The follower's directory (KIP-858).
        replica_directory_id: Uuid [17+, tag 0],
        /// The high watermark that the follower knows (KIP-1166); the largest number for none.
        high_watermark: i64 [18+, tag 1] = i64::MAX,
    }

    /// A topic with partitions to take out of the session.
    pub struct ForgottenTopic {
        /// The topic's name.
        topic: StrBytes [0-12],
        /// The topic's id.
        topic_id: Uuid [13+],
        /// The partitions.
        partitions: Vec<i32>,
    }
}

fields! {
    /// What was read.
    pub struct FetchResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32,
        /// 0, or why there is no answer, mostly about the session.
        error_code: i16 [7+],
        /// The fetch session; 0 for none.
        session_id: i32 [7+],
        /// The topics.
        responses: Vec<FetchableTopicResponse>,
        /// The brokers that are named as leaders.
        node_endpoints: Vec<NodeEndpoint> [16+, tag 0],
    }

    /// What was read of a topic.
    pub struct FetchableTopicResponse {
        /// The topic's name.
        topic: StrBytes [0-12],
        /// The topic's id.
        topic_id: Uuid [13+],
        /// The partitions.
        partitions: Vec<PartitionData>,
    }

    /// What was read of a partition.
    pub struct PartitionData {
        /// The partition.
        partition_index: i32,
        /// 0, or why nothing was read.
        error_code: i16,
        /// The high watermark.
        high_watermark: i64,
        /// The last stable offset; -1 for none.
        last_stable_offset: i64 = -1,
        /// The first offset of the log; -1 for none.
        log_start_offset: i64 [5+] = -1,
        /// Where the reader's log and this one part (KIP-595).
        diverging_epoch: EpochEndOffset [12+, tag 0],
        /// Who leads the partition, with an error that says that this broker does not.
        current_leader: LeaderIdAndEpoch [12+, tag 1],
        /// The snapshot to read instead, for the metadata log.
        snapshot_id: SnapshotId [12+, tag 2],
        /// The aborted transactions among the records; null unless they were asked for.
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        /// The replica to read from instead (KIP-392); -1 for none.
        preferred_read_replica: i32 [11+] = -1,
        /// The records.
        records: Records,
    }

    /// A leader epoch and where it ends.
    pub struct EpochEndOffset {
        /// The epoch; -1 for none.
        epoch: i32 = -1,
        /// The offset after its last record; -1 for none.
        end_offset: i64 = -1,
    }

    /// A snapshot of the metadata log.
    pub struct SnapshotId {
        /// The offset after the last record in it; -1 for none.
        end_offset: i64 = -1,
        /// The epoch of that record; -1 for none.
        epoch: i32 = -1,
    }

    /// A transaction that was aborted.
    pub struct AbortedTransaction {
        /// Whose it was.
        producer_id: i64,
        /// Its first offset.
        first_offset: i64,
    }
}

impl FetchRequest {
    /// The follower that reads and its broker epoch, wherever the version puts them; -1 and -1 for
    /// a consumer. Whoever is not a broker and claims to be one must be refused.
    #[must_use]
    pub const fn replica(&self) -> (i32, i64) {
        if self.replica_state.replica_id == -1 {
            (self.replica_id, -1)
        } else {
            (
                self.replica_state.replica_id,
                self.replica_state.replica_epoch,
            )
        }
    }
}

/// The records of a partition in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// These bytes. Never null, which some clients take for an error.
    Inline(Bytes),
    /// Bytes that the sender has elsewhere: a range of a file, for example.
    Payload {
        /// Which of the sender's payloads.
        index: usize,
        /// How many bytes it has.
        length: usize,
    },
}

impl Default for Records {
    fn default() -> Self {
        Self::Inline(Bytes::new())
    }
}

impl Field for Records {
    const KIND: Kind = Kind::Bytes;
    // Kafka's schema has null here; it is read as no records and never written.
    const NULLABLE: bool = true;

    fn read(input: &mut Reader<'_>, form: Form) -> Result<Self, Fault> {
        let bytes = Option::<Bytes>::read(input, form)?;
        Ok(Self::Inline(bytes.unwrap_or_default()))
    }

    fn write<S: Sink>(&self, out: &mut S, form: Form) -> Result<(), EncodeError> {
        match self {
            Self::Inline(bytes) => bytes.write(out, form),
            Self::Payload { index, length } => {
                put_length(out, *length, form)?;
                out.payload(*index, *length)
            }
        }
    }
}
