//! Messages of versions that the independent codec lacks, against the bytes of Kafka's own.

use bytes::Bytes;
use uuid::Uuid;

use super::{golden, header};
use crate::api::find;
use crate::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use crate::messages::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, DescribableLogDirTopic,
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic, ListOffsetsPartition,
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListOffsetsTopicResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
};
use crate::{
    ApiKey, Checked, ErrorCode, Request, RequestHeader, Response, StrBytes, encode_request,
    encode_response,
};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> StrBytes {
    text("t")
}

fn api_versions_request(cluster: Option<&'static str>, node_id: i32) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: text("apache-kafka-java"),
        client_software_version: text("4.4.0"),
        cluster_id: cluster.map(text),
        node_id,
    }
}

fn requests() -> Vec<Request> {
    let unnamed = ApiVersionsRequest {
        client_software_name: text("a"),
        client_software_version: text("1"),
        ..ApiVersionsRequest::default()
    };
    let offsets = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: [ListOffsetsTopic {
            name: topic(),
            partitions: [ListOffsetsPartition {
                partition_index: 2,
                current_leader_epoch: 4,
                timestamp: -6,
            }]
            .into(),
        }]
        .into(),
        timeout_ms: 500,
    };
    let some = DescribableLogDirTopic {
        topic: topic(),
        partitions: vec![0, 1],
    };
    let dirs = DescribeLogDirsRequest {
        topics: Some([some].into()),
    };
    vec![
        api_versions_request(Some("abc"), 7).into(),
        unnamed.into(),
        offsets.into(),
        dirs.into(),
        DescribeLogDirsRequest { topics: None }.into(),
        offset_commit().into(),
        offset_fetch().into(),
        DeleteGroupsRequest {
            groups_names: [text("g"), text("h")].into(),
        }
        .into(),
    ]
}

fn offset_commit() -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 2,
        committed_offset: 9,
        committed_leader_epoch: 4,
        committed_metadata: Some(text("x")),
    };
    let topic = OffsetCommitRequestTopic {
        topic_id: Uuid::from_u64_pair(1, 2),
        partitions: [partition].into(),
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: text("g"),
        generation_id_or_member_epoch: 3,
        member_id: text("m"),
        group_instance_id: Some(text("i")),
        topics: [topic].into(),
        ..OffsetCommitRequest::default()
    }
}

fn offset_fetch() -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics {
        topic_id: Uuid::from_u64_pair(1, 2),
        partition_indexes: vec![0, 1],
        ..OffsetFetchRequestTopics::default()
    };
    let some = OffsetFetchRequestGroup {
        group_id: text("g"),
        member_id: Some(text("m")),
        member_epoch: 5,
        topics: Some([topic].into()),
    };
    let all = OffsetFetchRequestGroup {
        group_id: text("h"),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    OffsetFetchRequest {
        groups: [some, all].into(),
        require_stable: true,
        ..OffsetFetchRequest::default()
    }
}

fn api_versions_response() -> Response {
    ApiVersionsResponse {
        api_keys: vec![ApiVersion {
            api_key: 18,
            min_version: 0,
            max_version: 5,
        }],
        throttle_time_ms: 3,
        supported_features: vec![SupportedFeatureKey {
            name: text("group.version"),
            min_version: 0,
            max_version: 1,
        }],
        finalized_features_epoch: 12,
        finalized_features: vec![FinalizedFeatureKey {
            name: text("metadata.version"),
            max_version_level: 30,
            min_version_level: 30,
        }],
        ..ApiVersionsResponse::default()
    }
    .into()
}

fn responses() -> Vec<Response> {
    let offsets = ListOffsetsResponse {
        throttle_time_ms: 1,
        topics: vec![ListOffsetsTopicResponse {
            name: topic(),
            partitions: vec![ListOffsetsPartitionResponse {
                partition_index: 2,
                error_code: 3,
                timestamp: 9,
                offset: 10,
                leader_epoch: 4,
            }],
        }],
    };
    let dirs = DescribeLogDirsResponse {
        throttle_time_ms: 1,
        error_code: 0,
        results: vec![DescribeLogDirsResult {
            error_code: 0,
            log_dir: text("/d"),
            topics: vec![DescribeLogDirsTopic {
                name: topic(),
                partitions: vec![DescribeLogDirsPartition {
                    partition_index: 1,
                    partition_size: 20,
                    offset_lag: 3,
                    is_future_key: true,
                }],
            }],
            total_bytes: 100,
            usable_bytes: 50,
            is_cordoned: true,
        }],
    };
    let deleted = DeleteGroupsResponse {
        throttle_time_ms: 1,
        results: vec![
            DeletableGroupResult {
                group_id: text("g"),
                error_code: 68,
                error_message: Some(text("not empty")),
            },
            DeletableGroupResult {
                group_id: text("h"),
                ..DeletableGroupResult::default()
            },
        ],
    };
    vec![
        api_versions_response(),
        offsets.into(),
        dirs.into(),
        deleted.into(),
    ]
}

fn newest(key: ApiKey) -> RequestHeader {
    let api = find(key).unwrap();
    header(api, *api.versions.end())
}

/// The lines whose names end like this.
fn lines(end: &str) -> Vec<(&'static str, i16, Bytes)> {
    let mut lines = golden(include_str!("../../testdata/newer.txt"));
    lines.retain(|(name, ..)| name.ends_with(end));
    lines
}

#[test]
fn requests_are_those_that_kafka_writes() {
    let golden = lines("Request");
    assert_eq!(golden.len(), requests().len());
    for (request, (name, version, bytes)) in requests().into_iter().zip(golden) {
        assert_eq!(name, format!("{}Request", request.key()));
        let header = newest(request.key());
        assert_eq!(header.api_version, version, "{name}");
        let frame = encode_request(&header, &request).unwrap();
        assert!(frame.ends_with(&bytes), "{name}");
        let read = Checked::new(&header, bytes).and_then(Checked::decode);
        assert_eq!(read, Ok(request));
    }
}

#[test]
fn responses_are_those_that_kafka_writes() {
    let golden = lines("Response");
    assert_eq!(golden.len(), responses().len());
    for (response, (name, version, bytes)) in responses().into_iter().zip(golden) {
        assert_eq!(name, format!("{}Response", response.key()));
        let header = newest(response.key());
        assert_eq!(header.api_version, version, "{name}");
        let api = find(response.key()).unwrap();
        // The frame's length, the correlation id, and tagged fields where the header has them.
        let before = 8 + api.response_header_version(version) as usize;
        let encoded = encode_response(&header, &response).unwrap().into_bytes();
        assert_eq!(encoded.unwrap().slice(before..), bytes, "{name}");
    }
}

#[test]
fn a_client_that_takes_this_broker_for_another_starts_over() {
    let check = |cluster, node| {
        let request = api_versions_request(cluster, node);
        request.check(5, "abc", 7)
    };
    assert_eq!(check(Some("abc"), 7), ErrorCode::None);
    assert_eq!(check(None, -1), ErrorCode::None);
    assert_eq!(check(Some("abc"), 8), ErrorCode::RebootstrapRequired);
    assert_eq!(check(Some("other"), 7), ErrorCode::RebootstrapRequired);
    assert_eq!(check(Some("abc"), -1), ErrorCode::InvalidRequest);
    assert_eq!(check(None, 7), ErrorCode::InvalidRequest);
}

#[test]
fn a_client_names_its_library_by_the_rule() {
    let check = |name: &'static str, version: &'static str| {
        let request = ApiVersionsRequest {
            client_software_name: text(name),
            client_software_version: text(version),
            ..ApiVersionsRequest::default()
        };
        request.check(3, "abc", 7)
    };
    for good in [
        "a",
        "apache-kafka-java",
        "librdkafka",
        "1.9.0-RC1",
        "a..b--c",
    ] {
        assert_eq!(check(good, good), ErrorCode::None, "{good}");
    }
    for bad in ["", "-a", "a-", ".a", "a.", "a b", "a/b", "caf\u{e9}", "a\n"] {
        assert_eq!(check(bad, "1"), ErrorCode::InvalidRequest, "{bad:?}");
        assert_eq!(check("a", bad), ErrorCode::InvalidRequest, "{bad:?}");
    }
    // Before version 3 there is no name.
    let unnamed = ApiVersionsRequest::default();
    assert_eq!(unnamed.check(2, "abc", 7), ErrorCode::None);
}
