//! What the answers look like that a client reads: the guard walks them by it before they are
//! decoded, so that a length that lies costs an error and no memory.
//!
//! Where the broker encodes an answer from a table of fields, that table says it for both sides.
//! Only answers that stand here can be decoded.

use kafka_protocol::messages as theirs;
use kafka_protocol::messages::{consumer_protocol_assignment, consumer_protocol_subscription};
use kafka_protocol::protocol::StrBytes;

use crate::ApiKey;
use crate::api_versions::ApiVersionsResponse;
use crate::fetch::FetchResponse;
use crate::messages::{
    DeleteGroupsResponse, ListOffsetsResponse, OffsetCommitResponse, OffsetFetchResponse,
};
use crate::produce::ProduceResponse;
use crate::shape::Kind::{Array, Bytes, Fixed, String, Struct};
use crate::shape::{Element, FieldShape, Kind, Shape};

/// The answer to `key`; `None` where no client here asks for it.
pub(super) fn answer(key: i16) -> Option<&'static Shape> {
    Some(match ApiKey::from_key(key)? {
        ApiKey::Produce => &ProduceResponse::SHAPE,
        ApiKey::Fetch => &FetchResponse::SHAPE,
        ApiKey::ListOffsets => &ListOffsetsResponse::SHAPE,
        ApiKey::Metadata => &METADATA,
        ApiKey::OffsetCommit => &OffsetCommitResponse::SHAPE,
        ApiKey::OffsetFetch => &OffsetFetchResponse::SHAPE,
        ApiKey::FindCoordinator => &FIND_COORDINATOR,
        ApiKey::JoinGroup => &JOIN_GROUP,
        ApiKey::Heartbeat => &HEARTBEAT,
        ApiKey::LeaveGroup => &LEAVE_GROUP,
        ApiKey::SyncGroup => &SYNC_GROUP,
        ApiKey::DescribeGroups => &DESCRIBE_GROUPS,
        ApiKey::ListGroups => &LIST_GROUPS,
        ApiKey::ApiVersions => &ApiVersionsResponse::SHAPE,
        ApiKey::CreateTopics => &CREATE_TOPICS,
        ApiKey::DeleteTopics => &DELETE_TOPICS,
        ApiKey::DeleteRecords => &DELETE_RECORDS,
        ApiKey::DescribeConfigs => &DESCRIBE_CONFIGS,
        ApiKey::DeleteGroups => &DeleteGroupsResponse::SHAPE,
        _ => return None,
    })
}

/// What a member subscribes to.
pub(super) static SUBSCRIPTION: Shape = Shape {
    name: "ConsumerProtocolSubscription",
    memory: size_of::<theirs::ConsumerProtocolSubscription>(),
    fields: &[
        field("topics", 0, Array(&TEXTS)),
        nullable(field("user_data", 0, Bytes), 0),
        field("owned_partitions", 1, Array(&OWNED)),
        field("generation_id", 2, Fixed(4)),
        nullable(field("rack_id", 3, String), 3),
    ],
};

/// What a member is assigned.
pub(super) static ASSIGNMENT: Shape = Shape {
    name: "ConsumerProtocolAssignment",
    memory: size_of::<theirs::ConsumerProtocolAssignment>(),
    fields: &[
        field("assigned_partitions", 0, Array(&ASSIGNED)),
        nullable(field("user_data", 0, Bytes), 0),
    ],
};

static OWNED: Element = each::<consumer_protocol_subscription::TopicPartition>(&TOPIC_PARTITION);
static ASSIGNED: Element = each::<consumer_protocol_assignment::TopicPartition>(&TOPIC_PARTITION);
static TOPIC_PARTITION: Shape = part(
    "TopicPartition",
    &[
        field("topic", 0, String),
        field("partitions", 0, Array(&NUMBERS)),
    ],
);

static METADATA: Shape = Shape {
    name: "MetadataResponse",
    memory: size_of::<theirs::MetadataResponse>(),
    fields: &[
        field("throttle_time_ms", 3, Fixed(4)),
        field("brokers", 0, Array(&BROKER)),
        nullable(field("cluster_id", 2, String), 2),
        field("controller_id", 1, Fixed(4)),
        field("topics", 0, Array(&TOPIC)),
        until(field("cluster_authorized_operations", 8, Fixed(4)), 10),
        field("error_code", 13, Fixed(2)),
    ],
};

static BROKER: Element = each::<theirs::metadata_response::MetadataResponseBroker>(&part(
    "MetadataResponseBroker",
    &[
        field("node_id", 0, Fixed(4)),
        field("host", 0, String),
        field("port", 0, Fixed(4)),
        nullable(field("rack", 1, String), 1),
    ],
));

static TOPIC: Element = each::<theirs::metadata_response::MetadataResponseTopic>(&part(
    "MetadataResponseTopic",
    &[
        field("error_code", 0, Fixed(2)),
        nullable(field("name", 0, String), 12),
        field("topic_id", 10, Fixed(16)),
        field("is_internal", 1, Fixed(1)),
        field("partitions", 0, Array(&PARTITION)),
        field("topic_authorized_operations", 8, Fixed(4)),
    ],
));

static PARTITION: Element = each::<theirs::metadata_response::MetadataResponsePartition>(&part(
    "MetadataResponsePartition",
    &[
        field("error_code", 0, Fixed(2)),
        field("partition_index", 0, Fixed(4)),
        field("leader_id", 0, Fixed(4)),
        field("leader_epoch", 7, Fixed(4)),
        field("replica_nodes", 0, Array(&NUMBERS)),
        field("isr_nodes", 0, Array(&NUMBERS)),
        field("offline_replicas", 5, Array(&NUMBERS)),
    ],
));

static FIND_COORDINATOR: Shape = Shape {
    name: "FindCoordinatorResponse",
    memory: size_of::<theirs::FindCoordinatorResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        until(field("error_code", 0, Fixed(2)), 3),
        nullable(until(field("error_message", 1, String), 3), 1),
        until(field("node_id", 0, Fixed(4)), 3),
        until(field("host", 0, String), 3),
        until(field("port", 0, Fixed(4)), 3),
        field("coordinators", 4, Array(&COORDINATOR)),
    ],
};

static COORDINATOR: Element = each::<theirs::find_coordinator_response::Coordinator>(&part(
    "Coordinator",
    &[
        field("key", 4, String),
        field("node_id", 4, Fixed(4)),
        field("host", 4, String),
        field("port", 4, Fixed(4)),
        field("error_code", 4, Fixed(2)),
        nullable(field("error_message", 4, String), 4),
    ],
));

static JOIN_GROUP: Shape = Shape {
    name: "JoinGroupResponse",
    memory: size_of::<theirs::JoinGroupResponse>(),
    fields: &[
        field("throttle_time_ms", 2, Fixed(4)),
        field("error_code", 0, Fixed(2)),
        field("generation_id", 0, Fixed(4)),
        nullable(field("protocol_type", 7, String), 7),
        nullable(field("protocol_name", 0, String), 7),
        field("leader", 0, String),
        field("skip_assignment", 9, Fixed(1)),
        field("member_id", 0, String),
        field("members", 0, Array(&JOINED)),
    ],
};

static JOINED: Element = each::<theirs::join_group_response::JoinGroupResponseMember>(&part(
    "JoinGroupResponseMember",
    &[
        field("member_id", 0, String),
        nullable(field("group_instance_id", 5, String), 5),
        field("metadata", 0, Bytes),
    ],
));

static SYNC_GROUP: Shape = Shape {
    name: "SyncGroupResponse",
    memory: size_of::<theirs::SyncGroupResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("error_code", 0, Fixed(2)),
        nullable(field("protocol_type", 5, String), 5),
        nullable(field("protocol_name", 5, String), 5),
        field("assignment", 0, Bytes),
    ],
};

static HEARTBEAT: Shape = Shape {
    name: "HeartbeatResponse",
    memory: size_of::<theirs::HeartbeatResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("error_code", 0, Fixed(2)),
    ],
};

static LEAVE_GROUP: Shape = Shape {
    name: "LeaveGroupResponse",
    memory: size_of::<theirs::LeaveGroupResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("error_code", 0, Fixed(2)),
        field("members", 3, Array(&LEFT)),
    ],
};

static LEFT: Element = each::<theirs::leave_group_response::MemberResponse>(&part(
    "MemberResponse",
    &[
        field("member_id", 3, String),
        nullable(field("group_instance_id", 3, String), 3),
        field("error_code", 3, Fixed(2)),
    ],
));

static LIST_GROUPS: Shape = Shape {
    name: "ListGroupsResponse",
    memory: size_of::<theirs::ListGroupsResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("error_code", 0, Fixed(2)),
        field("groups", 0, Array(&LISTED)),
    ],
};

static LISTED: Element = each::<theirs::list_groups_response::ListedGroup>(&part(
    "ListedGroup",
    &[
        field("group_id", 0, String),
        field("protocol_type", 0, String),
        field("group_state", 4, String),
        field("group_type", 5, String),
    ],
));

static DESCRIBE_GROUPS: Shape = Shape {
    name: "DescribeGroupsResponse",
    memory: size_of::<theirs::DescribeGroupsResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("groups", 0, Array(&DESCRIBED)),
    ],
};

static DESCRIBED: Element = each::<theirs::describe_groups_response::DescribedGroup>(&part(
    "DescribedGroup",
    &[
        field("error_code", 0, Fixed(2)),
        nullable(field("error_message", 6, String), 6),
        field("group_id", 0, String),
        field("group_state", 0, String),
        field("protocol_type", 0, String),
        field("protocol_data", 0, String),
        field("members", 0, Array(&MEMBER)),
        field("authorized_operations", 3, Fixed(4)),
    ],
));

static MEMBER: Element = each::<theirs::describe_groups_response::DescribedGroupMember>(&part(
    "DescribedGroupMember",
    &[
        field("member_id", 0, String),
        nullable(field("group_instance_id", 4, String), 4),
        field("client_id", 0, String),
        field("client_host", 0, String),
        field("member_metadata", 0, Bytes),
        field("member_assignment", 0, Bytes),
    ],
));

static CREATE_TOPICS: Shape = Shape {
    name: "CreateTopicsResponse",
    memory: size_of::<theirs::CreateTopicsResponse>(),
    fields: &[
        field("throttle_time_ms", 2, Fixed(4)),
        field("topics", 0, Array(&CREATED)),
    ],
};

static CREATED: Element = each::<theirs::create_topics_response::CreatableTopicResult>(&part(
    "CreatableTopicResult",
    &[
        field("name", 0, String),
        field("topic_id", 7, Fixed(16)),
        field("error_code", 0, Fixed(2)),
        nullable(field("error_message", 1, String), 1),
        tagged(field("topic_config_error_code", 5, Fixed(2)), 0),
        field("num_partitions", 5, Fixed(4)),
        field("replication_factor", 5, Fixed(2)),
        nullable(field("configs", 5, Array(&CREATED_CONFIG)), 5),
    ],
));

static CREATED_CONFIG: Element =
    each::<theirs::create_topics_response::CreatableTopicConfigs>(&part(
        "CreatableTopicConfigs",
        &[
            field("name", 5, String),
            nullable(field("value", 5, String), 5),
            field("read_only", 5, Fixed(1)),
            field("config_source", 5, Fixed(1)),
            field("is_sensitive", 5, Fixed(1)),
        ],
    ));

static DELETE_TOPICS: Shape = Shape {
    name: "DeleteTopicsResponse",
    memory: size_of::<theirs::DeleteTopicsResponse>(),
    fields: &[
        field("throttle_time_ms", 1, Fixed(4)),
        field("responses", 0, Array(&DELETED)),
    ],
};

static DELETED: Element = each::<theirs::delete_topics_response::DeletableTopicResult>(&part(
    "DeletableTopicResult",
    &[
        nullable(field("name", 0, String), 6),
        field("topic_id", 6, Fixed(16)),
        field("error_code", 0, Fixed(2)),
        nullable(field("error_message", 5, String), 5),
    ],
));

static DELETE_RECORDS: Shape = Shape {
    name: "DeleteRecordsResponse",
    memory: size_of::<theirs::DeleteRecordsResponse>(),
    fields: &[
        field("throttle_time_ms", 0, Fixed(4)),
        field("topics", 0, Array(&EMPTIED)),
    ],
};

static EMPTIED: Element = each::<theirs::delete_records_response::DeleteRecordsTopicResult>(&part(
    "DeleteRecordsTopicResult",
    &[
        field("name", 0, String),
        field("partitions", 0, Array(&EMPTIED_PARTITION)),
    ],
));

static EMPTIED_PARTITION: Element =
    each::<theirs::delete_records_response::DeleteRecordsPartitionResult>(&part(
        "DeleteRecordsPartitionResult",
        &[
            field("partition_index", 0, Fixed(4)),
            field("low_watermark", 0, Fixed(8)),
            field("error_code", 0, Fixed(2)),
        ],
    ));

static DESCRIBE_CONFIGS: Shape = Shape {
    name: "DescribeConfigsResponse",
    memory: size_of::<theirs::DescribeConfigsResponse>(),
    fields: &[
        field("throttle_time_ms", 0, Fixed(4)),
        field("results", 0, Array(&CONFIGURED)),
    ],
};

static CONFIGURED: Element =
    each::<theirs::describe_configs_response::DescribeConfigsResult>(&part(
        "DescribeConfigsResult",
        &[
            field("error_code", 0, Fixed(2)),
            nullable(field("error_message", 0, String), 0),
            field("resource_type", 0, Fixed(1)),
            field("resource_name", 0, String),
            field("configs", 0, Array(&CONFIG)),
        ],
    ));

static CONFIG: Element =
    each::<theirs::describe_configs_response::DescribeConfigsResourceResult>(&part(
        "DescribeConfigsResourceResult",
        &[
            field("name", 0, String),
            nullable(field("value", 0, String), 0),
            field("read_only", 0, Fixed(1)),
            field("config_source", 1, Fixed(1)),
            field("is_sensitive", 0, Fixed(1)),
            field("synonyms", 1, Array(&SYNONYM)),
            field("config_type", 3, Fixed(1)),
            nullable(field("documentation", 3, String), 3),
        ],
    ));

static SYNONYM: Element = each::<theirs::describe_configs_response::DescribeConfigsSynonym>(&part(
    "DescribeConfigsSynonym",
    &[
        field("name", 1, String),
        nullable(field("value", 1, String), 1),
        field("source", 1, Fixed(1)),
    ],
));

static TEXTS: Element = Element {
    kind: String,
    memory: size_of::<StrBytes>(),
};

static NUMBERS: Element = Element {
    kind: Fixed(4),
    memory: size_of::<i32>(),
};

/// Elements that are a `shape`, and take the memory of a `T`.
const fn each<T>(shape: &'static Shape) -> Element {
    Element {
        kind: Struct(shape),
        memory: size_of::<T>(),
    }
}

/// A struct inside another one, or in a list that counts its memory.
const fn part(name: &'static str, fields: &'static [FieldShape]) -> Shape {
    Shape {
        name,
        memory: 0,
        fields,
    }
}

/// A field of version `first` and later that is never null.
const fn field(name: &'static str, first: i16, kind: Kind) -> FieldShape {
    FieldShape {
        name,
        first,
        last: i16::MAX,
        null_from: i16::MAX,
        tag: None,
        kind,
    }
}

const fn until(field: FieldShape, last: i16) -> FieldShape {
    FieldShape { last, ..field }
}

const fn nullable(field: FieldShape, null_from: i16) -> FieldShape {
    FieldShape { null_from, ..field }
}

const fn tagged(field: FieldShape, tag: u32) -> FieldShape {
    FieldShape {
        tag: Some(tag),
        ..field
    }
}
