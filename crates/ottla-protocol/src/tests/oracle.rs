//! An independent codec of the same messages, to compare with.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, VersionRange};

use crate::ApiKey;

/// What the independent codec makes of some bytes: what it writes for what it read, and how it
/// prints that.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
}

fn judge<M: Decodable + Encodable + std::fmt::Debug>(bytes: &[u8], version: i16) -> Verdict {
    let mut rest = Bytes::copy_from_slice(bytes);
    let message = M::decode(&mut rest, version).expect("the independent codec reads it");
    assert!(
        rest.is_empty(),
        "the independent codec leaves {} bytes",
        rest.len()
    );
    let mut written = BytesMut::new();
    message
        .encode(&mut written, version)
        .expect("what was read can be written");
    Verdict {
        bytes: written.to_vec(),
        text: plain(&format!("{message:?}")),
    }
}

macro_rules! oracles {
    ($($key:ident $request:ident $response:ident)+) => {
        /// Judges a request; `None` where the independent codec lacks the version.
        pub(crate) fn request(key: ApiKey, version: i16, bytes: &[u8]) -> Option<Verdict> {
            use kafka_protocol::protocol::Message as _;
            match key {
                $(ApiKey::$key => known(theirs::$request::VERSIONS, version)
                    .then(|| judge::<theirs::$request>(bytes, version)),)+
                _ => None,
            }
        }

        /// Judges a response; `None` where the independent codec lacks the version.
        pub(crate) fn response(key: ApiKey, version: i16, bytes: &[u8]) -> Option<Verdict> {
            use kafka_protocol::protocol::Message as _;
            match key {
                $(ApiKey::$key => known(theirs::$response::VERSIONS, version)
                    .then(|| judge::<theirs::$response>(bytes, version)),)+
                _ => None,
            }
        }
    };
}

fn known(range: VersionRange, version: i16) -> bool {
    (range.min..=range.max).contains(&version)
}

oracles! {
    Produce ProduceRequest ProduceResponse
    Fetch FetchRequest FetchResponse
    ListOffsets ListOffsetsRequest ListOffsetsResponse
    Metadata MetadataRequest MetadataResponse
    OffsetCommit OffsetCommitRequest OffsetCommitResponse
    OffsetFetch OffsetFetchRequest OffsetFetchResponse
    FindCoordinator FindCoordinatorRequest FindCoordinatorResponse
    JoinGroup JoinGroupRequest JoinGroupResponse
    Heartbeat HeartbeatRequest HeartbeatResponse
    LeaveGroup LeaveGroupRequest LeaveGroupResponse
    SyncGroup SyncGroupRequest SyncGroupResponse
    DescribeGroups DescribeGroupsRequest DescribeGroupsResponse
    ListGroups ListGroupsRequest ListGroupsResponse
    SaslHandshake SaslHandshakeRequest SaslHandshakeResponse
    ApiVersions ApiVersionsRequest ApiVersionsResponse
    CreateTopics CreateTopicsRequest CreateTopicsResponse
    DeleteTopics DeleteTopicsRequest DeleteTopicsResponse
    DeleteRecords DeleteRecordsRequest DeleteRecordsResponse
    InitProducerId InitProducerIdRequest InitProducerIdResponse
    OffsetForLeaderEpoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
    DescribeAcls DescribeAclsRequest DescribeAclsResponse
    CreateAcls CreateAclsRequest CreateAclsResponse
    DeleteAcls DeleteAclsRequest DeleteAclsResponse
    DescribeConfigs DescribeConfigsRequest DescribeConfigsResponse
    AlterConfigs AlterConfigsRequest AlterConfigsResponse
    DescribeLogDirs DescribeLogDirsRequest DescribeLogDirsResponse
    SaslAuthenticate SaslAuthenticateRequest SaslAuthenticateResponse
    CreatePartitions CreatePartitionsRequest CreatePartitionsResponse
    DeleteGroups DeleteGroupsRequest DeleteGroupsResponse
    ElectLeaders ElectLeadersRequest ElectLeadersResponse
    IncrementalAlterConfigs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
    ListPartitionReassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse
    OffsetDelete OffsetDeleteRequest OffsetDeleteResponse
    DescribeClientQuotas DescribeClientQuotasRequest DescribeClientQuotasResponse
    DescribeUserScramCredentials DescribeUserScramCredentialsRequest
        DescribeUserScramCredentialsResponse
    DescribeQuorum DescribeQuorumRequest DescribeQuorumResponse
    DescribeCluster DescribeClusterRequest DescribeClusterResponse
    DescribeProducers DescribeProducersRequest DescribeProducersResponse
    GetTelemetrySubscriptions GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse
    PushTelemetry PushTelemetryRequest PushTelemetryResponse
    ListConfigResources ListConfigResourcesRequest ListConfigResourcesResponse
    DescribeTopicPartitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
}

/// Their names where ours differ: structs that share a name over there, and a reserved word.
const RENAMED: &[(&str, &str)] = &[
    ("IncrementalAlterConfigsResource", "AlterConfigsResource"),
    ("IncrementalAlterableConfig", "AlterableConfig"),
    ("DescribeQuorumTopic", "TopicData"),
    ("DescribeQuorumPartition", "PartitionData"),
    ("ElectLeadersTopic", "TopicPartitions"),
    ("match_name", "_match"),
];

/// Fields of versions that are not served, at the default that they then have, and the container
/// for fields that nobody knows.
const UNSERVED: &[&str] = &[
    ", unknown_tagged_fields: {}",
    ", enable_2_pc: false",
    ", keep_prepared_txn: false",
];

const WRAPPED: &[&str] = &[
    "TopicName(",
    "BrokerId(",
    "TransactionalId(",
    "ProducerId(",
    "GroupId(",
];

/// How they print, without what only they have.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for unserved in UNSERVED {
        text = text.replace(unserved, "");
    }
    for wrapper in WRAPPED {
        while let Some(at) = text.find(wrapper) {
            let inside = at + wrapper.len();
            let end = inside + text[inside..].find(')').expect("the wrapper ends");
            text.replace_range(end..=end, "");
            text.replace_range(at..inside, "");
        }
    }
    text
}

/// Fields of versions that only we have, at the default that they have in the others: the message
/// and how they print.
const NEWER: &[(&str, &str)] = &[
    ("ApiVersionsRequest", ", cluster_id: None, node_id: -1"),
    ("DescribeLogDirsResponse", ", is_cordoned: false"),
    ("DeleteGroupsResponse", ", error_message: None"),
];

/// How we print, with their names and without what only we have.
pub(crate) fn translated(text: &str) -> String {
    let rename = |text: String, (ours, theirs): &(&str, &str)| text.replace(ours, theirs);
    let newer = NEWER
        .iter()
        .filter(|(message, _)| text.starts_with(message));
    let ours = newer.fold(text.to_owned(), |text, (_, field)| text.replace(field, ""));
    RENAMED.iter().fold(ours, rename)
}
