//! Requests about the offsets of records, and the deletion of records.

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Asks for the offsets that belong to timestamps.
    pub struct ListOffsetsRequest {
        /// The follower that asks, or -1 for a consumer.
        replica_id: i32,
        /// 0 to see records of open transactions, 1 not to.
        isolation_level: i8 [2+],
        /// The topics.
        topics: Seq<ListOffsetsTopic>,
        /// How long the client waits for what only tiered storage knows.
        timeout_ms: i32 [10+],
    }

    /// A topic whose partitions are asked about.
    pub struct ListOffsetsTopic {
        /// The topic's name.
        name: StrBytes,
        /// The partitions.
        partitions: Seq<ListOffsetsPartition>,
    }

    /// A partition asked about.
    pub struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32,
        /// The leader epoch that the client believes in; -1 for none.
        current_leader_epoch: i32 [4+] = -1,
        /// The timestamp, or a negative number with a meaning of its own.
        timestamp: i64,
    }
}

fields! {
    /// The offsets.
    pub struct ListOffsetsResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32 [2+],
        /// The topics.
        topics: Vec<ListOffsetsTopicResponse>,
    }

    /// The offsets in one topic.
    pub struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: StrBytes,
        /// The partitions.
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The offset in one partition.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32,
        /// 0, or why there is no answer.
        error_code: i16,
        /// The timestamp of the record found; -1 for none.
        timestamp: i64 = -1,
        /// Its offset; -1 for none.
        offset: i64 = -1,
        /// Its leader epoch; -1 for none.
        leader_epoch: i32 [4+] = -1,
    }
}

fields! {
    /// Asks where leader epochs ended (KIP-101, KIP-320).
    pub struct OffsetForLeaderEpochRequest {
        /// The follower that asks, -1 for a consumer, -2 for a tool.
        replica_id: i32 [3+] = -2,
        /// The topics.
        topics: Seq<OffsetForLeaderTopic>,
    }

    /// A topic whose partitions are asked about.
    pub struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: StrBytes,
        /// The partitions.
        partitions: Seq<OffsetForLeaderPartition>,
    }

    /// A partition asked about.
    pub struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32,
        /// The leader epoch that the client believes in; -1 for none.
        current_leader_epoch: i32 = -1,
        /// The epoch whose end is asked for.
        leader_epoch: i32,
    }
}

fields! {
    /// Deletes the oldest records of partitions.
    pub struct DeleteRecordsRequest {
        /// The topics.
        topics: Seq<DeleteRecordsTopic>,
        /// How long the client waits.
        timeout_ms: i32,
    }

    /// A topic with records to delete.
    pub struct DeleteRecordsTopic {
        /// The topic's name.
        name: StrBytes,
        /// The partitions.
        partitions: Seq<DeleteRecordsPartition>,
    }

    /// A partition with records to delete.
    pub struct DeleteRecordsPartition {
        /// The partition.
        partition_index: i32,
        /// The first offset to keep; -1 for the high watermark.
        offset: i64,
    }
}

fields! {
    /// Asks for the producers that partitions know (KIP-664).
    pub struct DescribeProducersRequest {
        /// The topics.
        topics: Seq<TopicRequest>,
    }

    /// A topic asked about.
    pub struct TopicRequest {
        /// The topic's name.
        name: StrBytes,
        /// The partitions.
        partition_indexes: Vec<i32>,
    }
}
