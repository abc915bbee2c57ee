//! Produce: records to append, and where they went.
//!
//! Decoding copies no record: the records of a partition are a slice of the frame, to be checked
//! and appended as they are. Topics are named up to version 12 and identified from version 13.

use bytes::Bytes;
use uuid::Uuid;

use crate::StrBytes;
use crate::fields::fields;
pub use crate::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::seq::Seq;

fields! {
    /// Records to append.
    pub struct ProduceRequest {
        /// The transactional id; null for a producer without transactions.
        transactional_id: Option<StrBytes>,
        /// 0 for no answer, 1 for one when the leader has written, -1 when the in-sync replicas
        /// have too.
        acks: i16,
        /// How long the client waits for the replicas.
        timeout_ms: i32,
        /// The topics.
        topic_data: Seq<TopicProduceData>,
    }

    /// The records of a topic.
    pub struct TopicProduceData {
        /// The topic's name.
        name: StrBytes [0-12],
        /// The topic's id.
        topic_id: Uuid [13+],
        /// The partitions.
        partition_data: Seq<PartitionProduceData>,
    }

    /// The records of a partition.
    pub struct PartitionProduceData {
        /// The partition.
        index: i32,
        /// The record batches, unchecked.
        records: Option<Bytes>,
    }
}

fields! {
    /// Where the records went.
    pub struct ProduceResponse {
        /// The topics.
        responses: Vec<TopicProduceResponse>,
        /// How long the client was throttled.
        throttle_time_ms: i32,
        /// The brokers that are named as leaders.
        node_endpoints: Vec<NodeEndpoint> [10+, tag 0],
    }

    /// Where the records of a topic went.
    pub struct TopicProduceResponse {
        /// The topic's name.
        name: StrBytes [0-12],
        /// The topic's id.
        topic_id: Uuid [13+],
        /// The partitions.
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// Where the records of a partition went.
    pub struct PartitionProduceResponse {
        /// The partition.
        index: i32,
        /// 0, or why the records were not appended.
        error_code: i16,
        /// The offset of the first record; -1 with an error.
        base_offset: i64,
        /// The time that the broker put into the records; -1 where they keep the producer's.
        log_append_time_ms: i64 = -1,
        /// The first offset of the log.
        log_start_offset: i64 [5+] = -1,
        /// Which records are to blame for the error (KIP-467).
        record_errors: Vec<BatchIndexAndErrorMessage> [8+],
        /// What is wrong with them.
        error_message: Option<StrBytes> [8+],
        /// Who leads the partition, with an error that says that this broker does not.
        current_leader: LeaderIdAndEpoch [10+, tag 0],
    }

    /// A record to blame.
    pub struct BatchIndexAndErrorMessage {
        /// Which record of the batch, from 0.
        batch_index: i32,
        /// What is wrong with it.
        batch_index_error_message: Option<StrBytes>,
    }
}
