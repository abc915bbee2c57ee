//! Requests about the offsets that groups commit.

use uuid::Uuid;

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Commits offsets of a group.
    pub struct OffsetCommitRequest {
        /// The group.
        group_id: StrBytes,
        /// The generation (or, with the newer protocol, the epoch) of the member; -1 for one who
        /// is no member.
        generation_id_or_member_epoch: i32 = -1,
        /// The member; empty for one who is none.
        member_id: StrBytes,
        /// The name of a static member.
        group_instance_id: Option<StrBytes> [7+],
        /// How long to keep the offsets; -1 for as long as the broker keeps them.
        retention_time_ms: i64 [2-4] = -1,
        /// The topics.
        topics: Seq<OffsetCommitRequestTopic>,
    }

    /// A topic with offsets to commit.
    pub struct OffsetCommitRequestTopic {
        /// Its name, before version 10.
        name: StrBytes [0-9],
        /// Its id.
        topic_id: Uuid [10+],
        /// The partitions.
        partitions: Seq<OffsetCommitRequestPartition>,
    }

    /// An offset to commit.
    pub struct OffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32,
        /// The offset of the next record to read.
        committed_offset: i64,
        /// The leader epoch of the last record that was read; -1 for none.
        committed_leader_epoch: i32 [6+] = -1,
        /// What the client keeps with it.
        committed_metadata: Option<StrBytes>,
    }
}

fields! {
    /// Which offsets were committed.
    pub struct OffsetCommitResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32 [3+],
        /// The topics, in the order of the request.
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// A topic whose offsets were to be committed.
    pub struct OffsetCommitResponseTopic {
        /// Its name, before version 10.
        name: StrBytes [0-9],
        /// Its id.
        topic_id: Uuid [10+],
        /// The partitions.
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// What became of one offset.
    pub struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32,
        /// 0, or why it was not committed.
        error_code: i16,
    }
}

fields! {
    /// Asks for committed offsets, from version 8 on of many groups.
    pub struct OffsetFetchRequest {
        /// The group, before version 8.
        group_id: StrBytes [0-7],
        /// The topics, before version 8; null for all.
        topics: Option<Seq<OffsetFetchRequestTopic>> [0-7, null 2+] = Some(Seq::new()),
        /// The groups.
        groups: Seq<OffsetFetchRequestGroup> [8+],
        /// Whether to refuse an offset that an open transaction is about to change.
        require_stable: bool [7+],
    }

    /// A topic asked about, before version 8.
    pub struct OffsetFetchRequestTopic {
        /// Its name.
        name: StrBytes [0-7],
        /// The partitions.
        partition_indexes: Vec<i32> [0-7],
    }

    /// A group whose offsets are asked for.
    pub struct OffsetFetchRequestGroup {
        /// The group.
        group_id: StrBytes [8+],
        /// The member that asks, with the newer protocol.
        member_id: Option<StrBytes> [9+, null 9+],
        /// Its epoch; -1 for none.
        member_epoch: i32 [9+] = -1,
        /// The topics; null for all.
        topics: Option<Seq<OffsetFetchRequestTopics>> [8+, null 8+],
    }

    /// A topic asked about.
    pub struct OffsetFetchRequestTopics {
        /// Its name, before version 10.
        name: StrBytes [8-9],
        /// Its id.
        topic_id: Uuid [10+],
        /// The partitions.
        partition_indexes: Vec<i32> [8+],
    }
}

fields! {
    /// Committed offsets.
    pub struct OffsetFetchResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32 [3+],
        /// The topics, before version 8.
        topics: Vec<OffsetFetchResponseTopic> [0-7],
        /// 0, or why there is no answer; before version 8.
        error_code: i16 [2-7],
        /// The groups.
        groups: Vec<OffsetFetchResponseGroup> [8+],
    }

    /// A topic with offsets, before version 8.
    pub struct OffsetFetchResponseTopic {
        /// Its name.
        name: StrBytes [0-7],
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> [0-7],
    }

    /// A committed offset, before version 8.
    pub struct OffsetFetchResponsePartition {
        /// The partition.
        partition_index: i32 [0-7],
        /// The offset; -1 for none.
        committed_offset: i64 [0-7],
        /// The leader epoch committed with it; -1 for none.
        committed_leader_epoch: i32 [5-7] = -1,
        /// What the client keeps with it.
        metadata: Option<StrBytes> [0-7, null 0+],
        /// 0, or why there is no answer.
        error_code: i16 [0-7],
    }

    /// A group with offsets.
    pub struct OffsetFetchResponseGroup {
        /// The group.
        group_id: StrBytes [8+],
        /// The topics.
        topics: Vec<OffsetFetchResponseTopics> [8+],
        /// 0, or why there is no answer.
        error_code: i16 [8+],
    }

    /// A topic with offsets.
    pub struct OffsetFetchResponseTopics {
        /// Its name, before version 10.
        name: StrBytes [8-9],
        /// Its id.
        topic_id: Uuid [10+],
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartitions> [8+],
    }

    /// A committed offset.
    pub struct OffsetFetchResponsePartitions {
        /// The partition.
        partition_index: i32 [8+],
        /// The offset; -1 for none.
        committed_offset: i64 [8+],
        /// The leader epoch committed with it; -1 for none.
        committed_leader_epoch: i32 [8+] = -1,
        /// What the client keeps with it.
        metadata: Option<StrBytes> [8+, null 8+],
        /// 0, or why there is no answer.
        error_code: i16 [8+],
    }
}

fields! {
    /// Deletes committed offsets of a group (KIP-496).
    pub struct OffsetDeleteRequest {
        /// The group.
        group_id: StrBytes,
        /// The topics.
        topics: Seq<OffsetDeleteRequestTopic>,
    }

    /// A topic whose offsets are to be deleted.
    pub struct OffsetDeleteRequestTopic {
        /// Its name.
        name: StrBytes,
        /// The partitions.
        partitions: Seq<OffsetDeleteRequestPartition>,
    }

    /// A partition whose offset is to be deleted.
    pub struct OffsetDeleteRequestPartition {
        /// The partition.
        partition_index: i32,
    }
}
