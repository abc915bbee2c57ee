//! Requests about the cluster: its brokers, quorum, coordinators, directories, elections, and the
//! producer ids that it gives out.

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Asks for the coordinators of groups or transactional ids.
    pub struct FindCoordinatorRequest {
        /// The one key, before version 4.
        key: StrBytes [0-3],
        /// What the keys are: 0 group ids, 1 transactional ids, 2 share partitions.
        key_type: i8 [1+],
        /// The keys, from version 4.
        coordinator_keys: Seq<StrBytes> [4+],
    }
}

fields! {
    /// Asks for a producer id.
    pub struct InitProducerIdRequest {
        /// The transactional id; null for a producer that is only idempotent.
        transactional_id: Option<StrBytes>,
        /// When the coordinator shall abort a transaction that does not end.
        transaction_timeout_ms: i32,
        /// The id that the producer has already; -1 for none.
        producer_id: i64 [3+] = -1,
        /// The epoch that the producer has already; -1 for none.
        producer_epoch: i16 [3+] = -1,
    }
}

fields! {
    /// Asks for the brokers of the cluster.
    pub struct DescribeClusterRequest {
        /// Whether to say what the client may do to the cluster.
        include_cluster_authorized_operations: bool,
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 [1+] = 1,
        /// Whether to list brokers that are fenced.
        include_fenced_brokers: bool [2+],
    }
}

fields! {
    /// Asks for the state of the metadata quorum (KIP-595).
    pub struct DescribeQuorumRequest {
        /// The topics: only the metadata topic has a quorum.
        topics: Seq<DescribeQuorumTopic>,
    }

    /// A topic asked about.
    pub struct DescribeQuorumTopic {
        /// The topic's name.
        topic_name: StrBytes,
        /// The partitions.
        partitions: Seq<DescribeQuorumPartition>,
    }

    /// A partition asked about.
    pub struct DescribeQuorumPartition {
        /// The partition.
        partition_index: i32,
    }
}

fields! {
    /// Lets leaders be elected (KIP-183, KIP-460).
    pub struct ElectLeadersRequest {
        /// 0 to elect the preferred replica, 1 to elect one that is not in sync if need be.
        election_type: i8 [1+],
        /// The partitions; null for all.
        topic_partitions: Option<Seq<ElectLeadersTopic>>,
        /// How long the client waits.
        timeout_ms: i32 = 60_000,
    }

    /// A topic with partitions to elect leaders of.
    pub struct ElectLeadersTopic {
        /// The topic's name.
        topic: StrBytes,
        /// The partitions.
        partitions: Vec<i32>,
    }
}

fields! {
    /// Asks for the reassignments under way (KIP-455).
    pub struct ListPartitionReassignmentsRequest {
        /// How long the client waits.
        timeout_ms: i32 = 60_000,
        /// The topics; null for all.
        topics: Option<Seq<ListPartitionReassignmentsTopics>>,
    }

    /// A topic asked about.
    pub struct ListPartitionReassignmentsTopics {
        /// The topic's name.
        name: StrBytes,
        /// The partitions.
        partition_indexes: Vec<i32>,
    }
}

fields! {
    /// Asks for the sizes of logs (KIP-113).
    pub struct DescribeLogDirsRequest {
        /// The topics; null for all.
        topics: Option<Seq<DescribableLogDirTopic>>,
    }

    /// A topic asked about.
    pub struct DescribableLogDirTopic {
        /// The topic's name.
        topic: StrBytes,
        /// The partitions.
        partitions: Vec<i32>,
    }
}

fields! {
    /// The broker's log directories and what is in them.
    pub struct DescribeLogDirsResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32,
        /// 0, or why there is no answer.
        error_code: i16 [3+],
        /// The directories.
        results: Vec<DescribeLogDirsResult>,
    }

    /// A log directory.
    pub struct DescribeLogDirsResult {
        /// 0, or what is wrong with it.
        error_code: i16,
        /// Its absolute path.
        log_dir: StrBytes,
        /// The topics with logs in it.
        topics: Vec<DescribeLogDirsTopic>,
        /// The size of its volume; -1 where that is not known.
        total_bytes: i64 [4+] = -1,
        /// What of the volume can still be used; -1 where that is not known.
        usable_bytes: i64 [4+] = -1,
        /// Whether no new logs are put there (KIP-1066).
        is_cordoned: bool [5+],
    }

    /// A topic with logs in a directory.
    pub struct DescribeLogDirsTopic {
        /// The topic's name.
        name: StrBytes,
        /// The partitions with logs there.
        partitions: Vec<DescribeLogDirsPartition>,
    }

    /// A log in a directory.
    pub struct DescribeLogDirsPartition {
        /// The partition.
        partition_index: i32,
        /// The bytes of its segments.
        partition_size: i64,
        /// How many records it is behind the high watermark, or behind the log that it is to
        /// replace.
        offset_lag: i64,
        /// Whether it is to replace the log in another directory.
        is_future_key: bool,
    }
}
