//! Requests that describe topics or change which there are.

use uuid::Uuid;

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Asks for brokers, and for topics with their partitions and leaders.
    pub struct MetadataRequest {
        /// The topics asked for; null for all of them, and so is an empty list in version 0.
        topics: Option<Seq<MetadataRequestTopic>> [0+, null 1+],
        /// Whether a topic that is missing may be created for asking.
        allow_auto_topic_creation: bool [4+] = true,
        /// Whether to say what the client may do to the cluster.
        include_cluster_authorized_operations: bool [8-10],
        /// Whether to say what the client may do to each topic.
        include_topic_authorized_operations: bool [8+],
    }

    /// A topic asked for, by id or by name.
    pub struct MetadataRequestTopic {
        /// The id; zero to ask by name.
        topic_id: Uuid [10+],
        /// The name; null to ask by id.
        name: Option<StrBytes> [0+, null 10+],
    }
}

fields! {
    /// Asks for topics in pages (KIP-966).
    pub struct DescribeTopicPartitionsRequest {
        /// The topics asked for; an empty list means all.
        topics: Seq<TopicRequest>,
        /// The most partitions to answer with.
        response_partition_limit: i32 = 2000,
        /// Where the page begins; null for the first one.
        cursor: Option<Cursor>,
    }

    /// A topic to describe.
    pub struct TopicRequest {
        /// The topic's name.
        name: StrBytes,
    }

    /// The partition that a page begins with.
    pub struct Cursor {
        /// The topic's name.
        topic_name: StrBytes,
        /// The partition in it.
        partition_index: i32,
    }
}

fields! {
    /// Creates topics.
    pub struct CreateTopicsRequest {
        /// The topics to create.
        topics: Seq<CreatableTopic>,
        /// How long the client waits.
        timeout_ms: i32 = 60_000,
        /// Whether to check everything and create nothing.
        validate_only: bool,
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// The name.
        name: StrBytes,
        /// How many partitions; -1 for the default, or where `assignments` says it.
        num_partitions: i32,
        /// How many replicas of each; -1 for the default, or where `assignments` says it.
        replication_factor: i16,
        /// Which brokers hold which partition; empty to let the controller choose.
        assignments: Seq<CreatableReplicaAssignment>,
        /// Configs other than the defaults.
        configs: Seq<CreatableTopicConfig>,
    }

    /// The brokers of one partition.
    pub struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32,
        /// The brokers, the preferred leader first.
        broker_ids: Vec<i32>,
    }

    /// A config of a new topic.
    pub struct CreatableTopicConfig {
        /// The config's key.
        name: StrBytes,
        /// Its value.
        value: Option<StrBytes>,
    }
}

fields! {
    /// Deletes topics, by name or (version 6) by id.
    pub struct DeleteTopicsRequest {
        /// The topics to delete.
        topics: Seq<DeleteTopicState> [6+],
        /// Their names, before version 6.
        topic_names: Seq<StrBytes> [0-5],
        /// How long the client waits.
        timeout_ms: i32,
    }

    /// A topic to delete.
    pub struct DeleteTopicState {
        /// The name; null to delete by id.
        name: Option<StrBytes> [6+],
        /// The id; zero to delete by name.
        topic_id: Uuid [6+],
    }
}

fields! {
    /// Adds partitions to topics.
    pub struct CreatePartitionsRequest {
        /// The topics to grow.
        topics: Seq<CreatePartitionsTopic>,
        /// How long the client waits.
        timeout_ms: i32,
        /// Whether to check everything and change nothing.
        validate_only: bool,
    }

    /// A topic to grow.
    pub struct CreatePartitionsTopic {
        /// The topic's name.
        name: StrBytes,
        /// How many partitions it shall have in all.
        count: i32,
        /// Which brokers hold each new partition; null to let the controller choose.
        assignments: Option<Seq<CreatePartitionsAssignment>>,
    }

    /// The brokers of one new partition.
    pub struct CreatePartitionsAssignment {
        /// The brokers, the preferred leader first.
        broker_ids: Vec<i32>,
    }
}
