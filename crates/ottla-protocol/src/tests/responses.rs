//! Responses that we encode ourselves, and the frame around all of them.

use bytes::Bytes;
use proptest::prelude::*;

use super::filler::{Style, fill};
use super::{header, oracle};
use crate::api::{Listener, find};
use crate::api_versions::{ApiVersionsResponse, Feature};
use crate::fetch::{FetchResponse, FetchableTopicResponse, PartitionData, Records};
use crate::field::{Field, Form, Reader};
use crate::messages::{
    DeleteGroupsResponse, DescribeLogDirsResponse, ListOffsetsResponse, OffsetCommitResponse,
    OffsetFetchResponse,
};
use crate::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use crate::shape::Shape;
use crate::{
    ApiKey, Encoded, ErrorCode, RequestHeader, Response, Segment, StrBytes, encode_response,
    encode_unsupported_version,
};

/// The body of an encoded response, after its frame length, correlation id and tagged fields.
fn body(key: ApiKey, version: i16, encoded: Encoded) -> Bytes {
    let length = encoded.length;
    let bytes = encoded.into_bytes().expect("it has no payloads");
    assert_eq!(bytes.len(), length);
    let claimed = i32::from_be_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(claimed as usize, length - 4, "the frame's length");
    assert_eq!(&bytes[4..8], &7_i32.to_be_bytes(), "the correlation id");
    let tags = find(key).unwrap().response_header_version(version) as usize;
    assert!(bytes[8..8 + tags].iter().all(|b| *b == 0));
    bytes.slice(8 + tags..)
}

fn agree<R>(key: ApiKey, shape: &Shape, seed: u64)
where
    R: Field + PartialEq + std::fmt::Debug,
    Response: From<R>,
{
    let api = find(key).unwrap();
    for version in api.versions.clone() {
        let what = format!("{key} v{version} seed {seed}");
        let style = Style {
            version,
            flexible: api.is_flexible(version),
            elements_max: 3,
            // Kafka has nulls here that we read and do not write.
            nulls: key != ApiKey::Fetch,
            strangers: false,
        };
        let bytes = Bytes::from(fill(shape, style, seed).bytes);
        let form = Form::of(api.encoding(version));
        let response: R = Reader::new(&bytes).only(form).unwrap();
        let print = |r: &R| oracle::translated(&format!("{r:?}").replace("Inline(", "Some("));
        let text = print(&response);
        let encoded = encode_response(&header(api, version), &response.into()).unwrap();
        let ours = body(key, version, encoded);
        let Some(theirs) = oracle::response(key, version, &bytes) else {
            let again: R = Reader::new(&ours).only(form).unwrap();
            assert_eq!(print(&again), text, "{what}");
            continue;
        };
        assert_eq!(text, theirs.text, "{what}");
        assert_eq!(ours, theirs.bytes, "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_independent_codec_agrees_on_our_responses(seed in any::<u64>()) {
        agree::<ProduceResponse>(ApiKey::Produce, &ProduceResponse::SHAPE, seed);
        agree::<FetchResponse>(ApiKey::Fetch, &FetchResponse::SHAPE, seed);
        agree::<ListOffsetsResponse>(ApiKey::ListOffsets, &ListOffsetsResponse::SHAPE, seed);
        agree::<ApiVersionsResponse>(ApiKey::ApiVersions, &ApiVersionsResponse::SHAPE, seed);
        agree::<OffsetCommitResponse>(ApiKey::OffsetCommit, &OffsetCommitResponse::SHAPE, seed);
        agree::<OffsetFetchResponse>(ApiKey::OffsetFetch, &OffsetFetchResponse::SHAPE, seed);
        agree::<DeleteGroupsResponse>(ApiKey::DeleteGroups, &DeleteGroupsResponse::SHAPE, seed);
        let shape = &DescribeLogDirsResponse::SHAPE;
        agree::<DescribeLogDirsResponse>(ApiKey::DescribeLogDirs, shape, seed);
    }
}

fn partition(records: Records) -> PartitionData {
    PartitionData {
        partition_index: 3,
        high_watermark: 9,
        records,
        ..PartitionData::default()
    }
}

fn fetched(partitions: Vec<PartitionData>) -> FetchResponse {
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: StrBytes::from_static_str("t"),
            partitions,
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    }
}

#[test]
fn records_are_sent_from_where_they_are() {
    let api = find(ApiKey::Fetch).unwrap();
    let big = Bytes::from(vec![7; 10_000]);
    let payload = |index, length| Records::Payload { index, length };
    for version in api.versions.clone() {
        let encode = |records: [Records; 4]| {
            let response = fetched(records.into_iter().map(partition).collect());
            encode_response(&header(api, version), &response.into()).unwrap()
        };
        let apart = encode([
            payload(5, 10_000),
            payload(6, 0),
            payload(2, 3),
            Records::default(),
        ]);
        let kinds: Vec<Option<(usize, usize)>> = apart
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Bytes(_) => None,
                Segment::Payload { index, length } => Some((*index, *length)),
            })
            .collect();
        assert_eq!(kinds, [None, Some((5, 10_000)), None, Some((2, 3)), None]);
        let inline = encode([
            Records::Inline(big.clone()),
            Records::default(),
            Records::Inline(Bytes::from_static(b"abc")),
            Records::default(),
        ]);
        assert_eq!(apart.length, inline.length);
        // With the payloads in their places the bytes are the same.
        let mut whole = Vec::new();
        for segment in &apart.segments {
            match segment {
                Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
                Segment::Payload { index: 5, .. } => whole.extend_from_slice(&big),
                Segment::Payload { .. } => whole.extend_from_slice(b"abc"),
            }
        }
        assert_eq!(apart.into_bytes(), None);
        // Large bytes are not copied, unless somebody wants them in one piece.
        let shares = |s: &Segment| matches!(s, Segment::Bytes(b) if b.as_ptr() == big.as_ptr());
        assert!(inline.segments.iter().any(shares));
        assert_eq!(inline.into_bytes().unwrap(), whole);
    }
}

#[test]
fn defaults_of_tagged_fields_are_not_written() {
    let tags_of = |key, response: Response| {
        let api = find(key).unwrap();
        let version = *api.versions.end();
        let encoded = encode_response(&header(api, version), &response).unwrap();
        body(key, version, encoded)
    };
    let produced = ProduceResponse {
        responses: vec![TopicProduceResponse {
            partition_responses: vec![PartitionProduceResponse::default()],
            ..TopicProduceResponse::default()
        }],
        ..ProduceResponse::default()
    };
    let bytes = tags_of(ApiKey::Produce, produced.into());
    // The tagged fields of the partition and the topic, the throttle time, those of the response.
    assert!(bytes.ends_with(&[0, 0, 0, 0, 0, 0, 0]), "{bytes:?}");
    let bytes = tags_of(ApiKey::ApiVersions, ApiVersionsResponse::default().into());
    assert_eq!(bytes, [0, 0, 1, 0, 0, 0, 0, 0][..]);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_the_oldest_form() {
    let header = RequestHeader {
        api_key: ApiKey::ApiVersions,
        api_version: 99,
        correlation_id: 7,
        client_id: None,
    };
    let encoded = encode_unsupported_version(&header).unwrap();
    let expected = [
        &[0, 0, 0, 16, 0, 0, 0, 7][..],
        &[0, 35, 0, 0, 0, 1],
        &[0, 18, 0, 0, 0, 5],
    ]
    .concat();
    assert_eq!(encoded.into_bytes().unwrap(), expected);
}

#[test]
fn features_are_shown_as_each_version_can_read_them() {
    let feature = |name, min, max, level| Feature {
        name,
        min,
        max,
        level,
    };
    let features = [
        feature("metadata.version", 7, 29, 29),
        feature("group.version", 0, 1, 1),
        feature("transaction.version", 0, 2, 0),
    ];
    let names = |version| {
        let response = ApiVersionsResponse::new(version, Listener::Broker, &features, 12);
        let supported = response
            .supported_features
            .iter()
            .map(|f| f.name.to_string());
        let on = response.finalized_features.iter();
        let on = on.map(|f| (f.name.to_string(), f.max_version_level, f.min_version_level));
        assert_eq!(response.finalized_features_epoch, 12);
        (supported.collect::<Vec<_>>(), on.collect::<Vec<_>>())
    };
    let on = [("metadata.version", 29, 29), ("group.version", 1, 1)];
    let on = on.map(|(name, max, min)| (name.to_owned(), max, min));
    assert_eq!(names(3), (vec!["metadata.version".to_owned()], on.to_vec()));
    let all = ["metadata.version", "group.version", "transaction.version"].map(String::from);
    assert_eq!(names(4), (all.to_vec(), on.to_vec()));
}

#[test]
fn the_listener_decides_which_apis_are_named() {
    let keys = |listener| {
        let response = ApiVersionsResponse::new(4, listener, &[], -1);
        response
            .api_keys
            .iter()
            .map(|a| a.api_key)
            .collect::<Vec<_>>()
    };
    let broker = keys(Listener::Broker);
    let unnamed = [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];
    assert_eq!(broker.len() + unnamed.len(), crate::api::APIS.len());
    assert!(unnamed.iter().all(|api| !broker.contains(&api.key())));
    let controller = keys(Listener::Controller);
    assert!(controller.contains(&ApiKey::Fetch.key()));
    assert!(!controller.contains(&ApiKey::Produce.key()));
    let response = ApiVersionsResponse::new(0, Listener::Broker, &[], -1);
    let produce = &response.api_keys[0];
    assert_eq!(
        (produce.api_key, produce.min_version, produce.max_version),
        (0, 0, 13)
    );
}

#[test]
fn a_response_of_another_api_or_an_error_of_the_codec_is_an_error() {
    let api = find(ApiKey::Fetch).unwrap();
    let wrong = encode_response(&header(api, 12), &ProduceResponse::default().into());
    assert!(wrong.unwrap_err().to_string().contains("Produce"));
    let refused = ApiVersionsResponse::refusal(ErrorCode::InvalidRequest);
    assert_eq!(refused.error_code, 42);
    let long = StrBytes::from_string("x".repeat(40_000));
    let mut response = fetched(vec![]);
    response.responses[0].topic = long;
    // A string has the same bound where its length is compact.
    for version in [11, 12] {
        let refused = encode_response(&header(api, version), &response.clone().into());
        assert!(refused.unwrap_err().to_string().contains("40000"));
    }
}

/// Responses as they are by default, one for each API that the independent codec writes.
macro_rules! cold_defaults {
    ($($key:ident $response:ident)+) => {
        [$(Response::$key(crate::messages::$response::default())),+]
    };
}

#[test]
fn every_cold_response_is_encoded_in_every_version() {
    let responses = cold_defaults! {
        Metadata MetadataResponse
        FindCoordinator FindCoordinatorResponse
        JoinGroup JoinGroupResponse
        Heartbeat HeartbeatResponse
        LeaveGroup LeaveGroupResponse
        SyncGroup SyncGroupResponse
        DescribeGroups DescribeGroupsResponse
        ListGroups ListGroupsResponse
        SaslHandshake SaslHandshakeResponse
        CreateTopics CreateTopicsResponse
        DeleteTopics DeleteTopicsResponse
        DeleteRecords DeleteRecordsResponse
        InitProducerId InitProducerIdResponse
        OffsetForLeaderEpoch OffsetForLeaderEpochResponse
        DescribeAcls DescribeAclsResponse
        CreateAcls CreateAclsResponse
        DeleteAcls DeleteAclsResponse
        DescribeConfigs DescribeConfigsResponse
        AlterConfigs AlterConfigsResponse
        SaslAuthenticate SaslAuthenticateResponse
        CreatePartitions CreatePartitionsResponse
        ElectLeaders ElectLeadersResponse
        IncrementalAlterConfigs IncrementalAlterConfigsResponse
        ListPartitionReassignments ListPartitionReassignmentsResponse
        OffsetDelete OffsetDeleteResponse
        DescribeClientQuotas DescribeClientQuotasResponse
        DescribeUserScramCredentials DescribeUserScramCredentialsResponse
        DescribeQuorum DescribeQuorumResponse
        DescribeCluster DescribeClusterResponse
        DescribeProducers DescribeProducersResponse
        GetTelemetrySubscriptions GetTelemetrySubscriptionsResponse
        PushTelemetry PushTelemetryResponse
        ListConfigResources ListConfigResourcesResponse
        DescribeTopicPartitions DescribeTopicPartitionsResponse
    };
    // All but the eight of our own.
    assert_eq!(responses.len() + 8, crate::api::APIS.len());
    for response in responses {
        let api = find(response.key()).unwrap();
        for version in api.versions.clone() {
            let what = format!("{} v{version}", api.name());
            let encoded = encode_response(&header(api, version), &response);
            let bytes = body(
                api.key,
                version,
                encoded.unwrap_or_else(|e| panic!("{what}: {e}")),
            );
            // The independent codec reads what it wrote after our header, to the last byte.
            let judged = oracle::response(api.key, version, &bytes).expect("it knows the version");
            assert_eq!(judged.bytes, bytes, "{what}");
        }
    }
}
