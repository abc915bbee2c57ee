//! What is led elsewhere, and what a peer that may nothing is told, over metadata that stand still.

use std::sync::Arc;

use ottla_protocol::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_protocol::messages::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest,
};
use ottla_protocol::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::{ErrorCode, Request, Response, Seq, StrBytes};

use crate::authorizer::{AllowAll, Authorizer, DenyAll};
use crate::connection::Reply;
use crate::handlers::testing::{TOPIC, TOPIC_ID, context};
use crate::handlers::{handle, wire};
use crate::runtime::Runtime;

fn ask(request: impl Into<Request>, version: i16, authorizer: Arc<dyn Authorizer>) -> Response {
    let context = context(version, authorizer);
    let runtime = Runtime::shared().unwrap();
    let request = request.into();
    let handling = async move {
        let mut charge = context.core.budget().charge();
        handle(context, request, &mut charge).await
    };
    let reply = runtime.block_on(handling).unwrap();
    match reply {
        Reply::Now(outgoing) => outgoing.response,
        Reply::Later(later) => runtime.block_on(later).unwrap().response,
        Reply::Nothing | Reply::Close(_) => panic!("no answer"),
    }
}

/// The partitions 0, 1 and 2, which the brokers 1, 2 and 3 lead.
fn fetch() -> FetchRequest {
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    FetchRequest {
        topics: Seq::from([FetchTopic {
            topic_id: wire::uuid(TOPIC_ID),
            partitions: (0..3).map(partition).collect(),
            ..FetchTopic::default()
        }]),
        ..FetchRequest::default()
    }
}

fn fetched(response: &FetchResponse) -> Vec<i16> {
    let partitions = response.responses.iter().flat_map(|t| &t.partitions);
    partitions.map(|p| p.error_code).collect()
}

fn produce() -> ProduceRequest {
    let records = ottla_log::build_batch(
        &[ottla_log::Record::new("value")],
        &ottla_log::BatchOptions::default(),
    );
    let records = records.unwrap();
    let partition = |index| PartitionProduceData {
        index,
        records: Some(records.clone()),
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: Seq::from([TopicProduceData {
            topic_id: wire::uuid(TOPIC_ID),
            partition_data: (0..3).map(partition).collect(),
            ..TopicProduceData::default()
        }]),
        ..ProduceRequest::default()
    }
}

fn produced(response: &ProduceResponse) -> Vec<i16> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|t| &t.partition_responses);
    partitions.map(|p| p.error_code).collect()
}

const MOVED: i16 = ErrorCode::NotLeaderOrFollower as i16;
const DENIED: i16 = ErrorCode::TopicAuthorizationFailed as i16;

#[test]
fn produce_names_the_leaders_elsewhere() {
    let Response::Produce(response) = ask(produce(), 13, Arc::new(AllowAll)) else {
        panic!("another response");
    };
    assert_eq!(produced(&response), [0, MOVED, MOVED]);
    let hints = response
        .responses
        .iter()
        .flat_map(|t| &t.partition_responses);
    let hints: Vec<_> = hints.map(|p| p.current_leader.leader_id).collect();
    assert_eq!(hints, [-1, 2, 3]);
    let endpoints: Vec<_> = response
        .node_endpoints
        .iter()
        .map(|n| n.host.as_str())
        .collect();
    assert_eq!(endpoints, ["broker-2", "broker-3"]);
}

#[test]
fn fetch_names_the_leaders_elsewhere() {
    let Response::Fetch(response) = ask(fetch(), 17, Arc::new(AllowAll)) else {
        panic!("another response");
    };
    assert_eq!(fetched(&response), [0, MOVED, MOVED]);
    assert_eq!(response.node_endpoints.len(), 2);
}

#[test]
fn who_may_nothing_writes_and_reads_nothing() {
    let Response::Produce(response) = ask(produce(), 13, Arc::new(DenyAll)) else {
        panic!("another response");
    };
    assert_eq!(produced(&response), [DENIED; 3]);
    assert!(response.node_endpoints.is_empty(), "told of brokers");
    let Response::Fetch(response) = ask(fetch(), 17, Arc::new(DenyAll)) else {
        panic!("another response");
    };
    assert_eq!(fetched(&response), [DENIED; 3]);
}

#[test]
fn who_may_nothing_sees_no_topic() {
    let all = MetadataRequest::default();
    let Response::Metadata(response) = ask(all, 12, Arc::new(DenyAll)) else {
        panic!("another response");
    };
    assert!(response.topics.is_empty());
    assert_eq!(response.brokers.len(), 3);
    let asked = ListOffsetsRequest {
        replica_id: -1,
        topics: Seq::from([ListOffsetsTopic {
            name: StrBytes::from_static_str(TOPIC),
            partitions: Seq::from([ListOffsetsPartition {
                timestamp: -1,
                ..ListOffsetsPartition::default()
            }]),
        }]),
        ..ListOffsetsRequest::default()
    };
    let Response::ListOffsets(response) = ask(asked, 7, Arc::new(DenyAll)) else {
        panic!("another response");
    };
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.offset), (DENIED, -1));
}
