//! The messages of the APIs, but for Produce, Fetch and ApiVersions, which have modules of their
//! own.
//!
//! Requests are declared in tables of fields (`fields.rs`) and named as in Kafka's schemas;
//! so are the responses that the independent crate `kafka-protocol` lacks a version of. The other
//! responses are that crate's types: encoding what this broker made is no risk, decoding what a
//! stranger sent with it would be one.
//!
//! A field holds what the wire says: names, ids and numbers are not checked beyond their encoding.
//! Strings and bytes of a request share the memory of its frame: copy them to keep them for longer,
//! or a name of ten bytes holds on to a frame of a hundred megabytes.

mod cluster;
mod configs;
mod groups;
mod offsets;
mod records;
mod security;
mod telemetry;
mod topics;

pub use cluster::{
    DescribableLogDirTopic, DescribeClusterRequest, DescribeLogDirsPartition,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
    DescribeQuorumPartition, DescribeQuorumRequest, DescribeQuorumTopic, ElectLeadersRequest,
    ElectLeadersTopic, FindCoordinatorRequest, InitProducerIdRequest,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
pub use configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig, DescribeConfigsRequest,
    DescribeConfigsResource, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterableConfig, ListConfigResourcesRequest,
};
pub use groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, LeaveGroupRequest,
    ListGroupsRequest, MemberIdentity, SyncGroupRequest, SyncGroupRequestAssignment,
};
pub use offsets::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
pub use records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DescribeProducersRequest,
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition, OffsetForLeaderTopic, TopicRequest as DescribeProducersTopic,
};
pub use security::{
    AclCreation, ComponentData, CreateAclsRequest, DeleteAclsFilter, DeleteAclsRequest,
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, UserName,
};
pub use telemetry::{GetTelemetrySubscriptionsRequest, PushTelemetryRequest};
pub use topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatePartitionsAssignment,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, Cursor, DeleteTopicState,
    DeleteTopicsRequest, DescribeTopicPartitionsRequest, MetadataRequest, MetadataRequestTopic,
    TopicRequest,
};

pub use kafka_protocol::messages::{
    AlterConfigsResponse, CreateAclsResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteAclsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeAclsResponse,
    DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeGroupsResponse, DescribeProducersResponse, DescribeQuorumResponse,
    DescribeTopicPartitionsResponse, DescribeUserScramCredentialsResponse, ElectLeadersResponse,
    FindCoordinatorResponse, GetTelemetrySubscriptionsResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListPartitionReassignmentsResponse,
    MetadataResponse, OffsetDeleteResponse, OffsetForLeaderEpochResponse, PushTelemetryResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse, SyncGroupResponse,
};
pub use kafka_protocol::messages::{
    BrokerId, GroupId, ProducerId, TopicName, TransactionalId, alter_configs_response,
    create_acls_response, create_partitions_response, create_topics_response, delete_acls_response,
    delete_records_response, delete_topics_response, describe_acls_response,
    describe_client_quotas_response, describe_cluster_response, describe_configs_response,
    describe_groups_response, describe_producers_response, describe_quorum_response,
    describe_topic_partitions_response, describe_user_scram_credentials_response,
    elect_leaders_response, find_coordinator_response, incremental_alter_configs_response,
    init_producer_id_response, join_group_response, leave_group_response,
    list_config_resources_response, list_groups_response, list_partition_reassignments_response,
    metadata_response, offset_delete_response, offset_for_leader_epoch_response,
    sasl_authenticate_response, sasl_handshake_response, sync_group_response,
};
