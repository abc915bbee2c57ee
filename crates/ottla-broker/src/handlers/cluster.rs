//! DescribeCluster, DescribeQuorum, ElectLeaders, ListPartitionReassignments.

use ottla_partition::metadata::controller::{
    ApiError, ApiResult, ElectLeaders, ElectedTopic, ElectionType, RECORDS_PER_REQUEST_MAX,
};
use ottla_partition::metadata::{Broker, BrokerEndpoint, Topic};
use ottla_protocol::ErrorCode;
use ottla_protocol::client::Uuid;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_protocol::messages::{
    BrokerId as WireBrokerId, DescribeClusterRequest, DescribeClusterResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Context;
use super::wire::{brokers, text, topic_name, verdict};
use crate::authorizer::{AclOperation, CLUSTER_OPERATIONS, Resource};
use crate::metadata::METADATA_TOPIC;

/// What an authorized-operations field says where it was not asked for.
pub(crate) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Kafka's codes of the kinds of endpoints.
const ENDPOINT_BROKER: i8 = 1;
const ENDPOINT_CONTROLLER: i8 = 2;

pub(crate) fn describe(
    context: &Context,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let answer = DescribeClusterResponse::default()
        .with_endpoint_type(ENDPOINT_BROKER)
        .with_controller_id(WireBrokerId(-1))
        .with_cluster_authorized_operations(OPERATIONS_NOT_ASKED);
    if let Err(error) = check_endpoint(request.endpoint_type) {
        let answer = answer.with_error_code(error.code.code());
        return answer.with_error_message(Some(text(error.message)));
    }
    let listed = context
        .image
        .brokers()
        .filter(|b| request.include_fenced_brokers || !b.fenced);
    let broker = |broker: &Broker| {
        let endpoint = context.endpoint(broker)?;
        let broker = DescribeClusterBroker::default()
            .with_broker_id(WireBrokerId(broker.id.get()))
            .with_host(text(endpoint.host))
            .with_port(i32::from(endpoint.port))
            .with_rack(broker.rack.as_deref().map(text))
            .with_is_fenced(broker.fenced && context.version >= 2);
        Some(broker)
    };
    let answer = answer
        .with_cluster_id(text(context.image.cluster_id()))
        .with_brokers(listed.filter_map(broker).collect())
        .with_controller_id(controller(context));
    if request.include_cluster_authorized_operations {
        let may_describe = context.allows(AclOperation::Describe, Resource::Cluster);
        let bits = context.allowed_bits(CLUSTER_OPERATIONS, Resource::Cluster);
        return answer.with_cluster_authorized_operations(if may_describe { bits } else { 0 });
    }
    answer
}

/// This is an endpoint of brokers.
fn check_endpoint(asked: i8) -> ApiResult<()> {
    match asked {
        ENDPOINT_BROKER => Ok(()),
        ENDPOINT_CONTROLLER => Err(ApiError::new(
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER",
        )),
        other => {
            let message = format!("Unsupported endpoint type {other}");
            Err(ApiError::new(ErrorCode::UnsupportedEndpointType, message))
        }
    }
}

/// The broker that clients may take for the controller: any that lives takes its requests.
pub(crate) fn controller(context: &Context) -> WireBrokerId {
    let own = context.core.node_id();
    let active = |id| context.image.is_active(id);
    let other = || {
        context
            .image
            .brokers()
            .find(|b| b.is_active())
            .map(|b| b.id)
    };
    WireBrokerId(
        Some(own)
            .filter(|id| active(*id))
            .or_else(other)
            .map_or(-1, ottla_partition::BrokerId::get),
    )
}

pub(crate) fn describe_quorum(
    context: &Context,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    if !context.allows(AclOperation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return DescribeQuorumResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())));
    }
    // Kafka answers for its one partition only where that alone is asked for.
    let asked = request.topics.iter().map(|topic| topic.partitions.len());
    let alone = request.topics.len() == 1 && asked.sum::<usize>() == 1;
    let mut found = false;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partition = |number| {
            if alone && *topic.topic_name == *METADATA_TOPIC && number == 0 {
                found = true;
                quorum_partition(context)
            } else {
                no_quorum(context, number)
            }
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|p| partition(p.partition_index))
            .collect();
        topics.push(
            TopicData::default()
                .with_topic_name(topic_name(topic.topic_name.as_str()))
                .with_partitions(partitions),
        );
    }
    let answer = DescribeQuorumResponse::default().with_topics(topics);
    let own = context.image.broker(context.core.node_id());
    match own.filter(|_| found && context.version >= 2) {
        Some(own) => answer.with_nodes(vec![voter_node(own)]),
        None => answer,
    }
}

/// A voter, and where to reach it: one node is controller and broker on the same listeners.
fn voter_node(broker: &Broker) -> Node {
    let endpoint = |e: &BrokerEndpoint| {
        let listener = Listener::default().with_name(text(e.name.as_str()));
        listener.with_host(text(e.host.as_str())).with_port(e.port)
    };
    Node::default()
        .with_node_id(WireBrokerId(broker.id.get()))
        .with_listeners(broker.endpoints.iter().map(endpoint).collect())
}

fn no_quorum(context: &Context, number: i32) -> PartitionData {
    let code = ErrorCode::UnknownTopicOrPartition;
    let answer = PartitionData::default()
        .with_partition_index(number)
        .with_error_code(code.code());
    if context.version < 2 {
        return answer;
    }
    answer.with_error_message(Some(text(code.message())))
}

/// The quorum: this node, as long as the cluster has only one controller.
fn quorum_partition(context: &Context) -> PartitionData {
    let (end, now) = (context.image.end().get(), context.now().get());
    let own = context.core.node_id();
    let mut voter = ReplicaState::default()
        .with_replica_id(WireBrokerId(own.get()))
        .with_log_end_offset(end);
    if context.version >= 1 {
        voter = voter
            .with_last_fetch_timestamp(now)
            .with_last_caught_up_timestamp(now);
    }
    let directory = context.image.broker(own).and_then(|b| b.log_dirs.first());
    if let Some(directory) = directory.filter(|_| context.version >= 2) {
        voter = voter.with_replica_directory_id(Uuid::from_bytes(directory.to_bytes()));
    }
    PartitionData::default()
        .with_leader_id(WireBrokerId(own.get()))
        .with_leader_epoch(context.core.metadata().leader_epoch().get())
        .with_high_watermark(end)
        .with_current_voters(vec![voter])
}

pub(crate) async fn elect_leaders(
    context: &Context,
    request: &ElectLeadersRequest,
) -> ElectLeadersResponse {
    let refuse = |error: ApiError| elect_none(context, request, &error);
    if !context.allows(AclOperation::Alter, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed.into());
    }
    let named = request.topic_partitions.iter().flatten();
    let named = named.map(|t| t.partitions.len()).sum::<usize>();
    if named > RECORDS_PER_REQUEST_MAX {
        let why = "Unable to perform excessively large batch operation.";
        return refuse(ApiError::new(ErrorCode::PolicyViolation, why));
    }
    let topics = request.topic_partitions.as_ref();
    let topics = topics.map(|all| {
        all.iter()
            .map(|t| (t.topic.to_string(), t.partitions.clone()))
    });
    let topics: Option<Vec<(String, Vec<i32>)>> = topics.map(Iterator::collect);
    let elected = match ElectionType::from_code(request.election_type) {
        Ok(election) => elect(context, ElectLeaders { election, topics }).await,
        Err(error) => Err(error),
    };
    match elected {
        Ok(topics) => {
            let results = topics.into_iter().map(election_result).collect();
            ElectLeadersResponse::default().with_replica_election_results(results)
        }
        Err(error) => refuse(error),
    }
}

/// The refusal of a whole request. Version 0 can say it only for each partition.
fn elect_none(
    context: &Context,
    request: &ElectLeadersRequest,
    error: &ApiError,
) -> ElectLeadersResponse {
    let (code, message) = verdict::<()>(&Err(error.clone()));
    let refused = |number: &i32| {
        PartitionResult::default()
            .with_partition_id(*number)
            .with_error_code(code)
            .with_error_message(message.clone())
    };
    let topics = request.topic_partitions.iter().flatten().map(|topic| {
        ReplicaElectionResult::default()
            .with_topic(topic_name(topic.topic.as_str()))
            .with_partition_result(topic.partitions.iter().map(refused).collect())
    });
    ElectLeadersResponse::default()
        .with_error_code(if context.version == 0 { 0 } else { code })
        .with_replica_election_results(topics.collect())
}

async fn elect(context: &Context, asked: ElectLeaders) -> ApiResult<Vec<ElectedTopic>> {
    let decided = context
        .core
        .metadata()
        .change(move |c| c.elect_leaders(&asked))
        .await;
    decided.map_err(|error| error.to_api())
}

fn election_result(topic: ElectedTopic) -> ReplicaElectionResult {
    let partition = |p: ottla_partition::metadata::controller::ElectedPartition| {
        let (code, message) = verdict(&p.result);
        PartitionResult::default()
            .with_partition_id(p.number)
            .with_error_code(code)
            .with_error_message(message)
    };
    ReplicaElectionResult::default()
        .with_topic(topic_name(topic.topic))
        .with_partition_result(topic.partitions.into_iter().map(partition).collect())
}

pub(crate) fn list_reassignments(
    context: &Context,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    if !context.allows(AclOperation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return ListPartitionReassignmentsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())));
    }
    let ongoing = |topic: &Topic, wanted: Option<&[i32]>| {
        let moving = topic.partitions.iter().filter(|(number, partition)| {
            partition.is_reassigning() && wanted.is_none_or(|all| all.contains(number))
        });
        let moving = moving.map(|(number, partition)| {
            OngoingPartitionReassignment::default()
                .with_partition_index(*number)
                .with_replicas(brokers(&partition.replicas))
                .with_adding_replicas(brokers(&partition.adding_replicas))
                .with_removing_replicas(brokers(&partition.removing_replicas))
        });
        let partitions: Vec<_> = moving.collect();
        let name = topic_name(topic.name.as_str());
        (!partitions.is_empty()).then(|| {
            OngoingTopicReassignment::default()
                .with_name(name)
                .with_partitions(partitions)
        })
    };
    let topics = match &request.topics {
        None => context
            .image
            .topics()
            .filter_map(|topic| ongoing(topic, None))
            .collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|t| ongoing(context.image.topic(&t.name)?, Some(&t.partition_indexes)))
            .collect(),
    };
    // Null, as Kafka has it, where all is well; the schema's default is an empty text.
    ListPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_topics(topics)
}
