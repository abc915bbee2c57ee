//! Metadata: the brokers, and topics with the leaders of their partitions; makes topics that are
//! asked for and missing, where that is allowed.

use ottla_log::{TopicId, TopicName};
use ottla_partition::BrokerId;
use ottla_partition::metadata::{Image, Partition, Topic, is_internal_topic};
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{
    BrokerId as WireBrokerId, MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use ottla_protocol::{ErrorCode, Seq};

use super::cluster::{OPERATIONS_NOT_ASKED, controller};
use super::wire::{broker, brokers, text, topic_id, topic_name, uuid};
use super::{Context, auto_create};
use crate::authorizer::{AclOperation, CLUSTER_OPERATIONS, Resource, TOPIC_OPERATIONS};

pub(crate) async fn handle(mut context: Context, request: MetadataRequest) -> MetadataResponse {
    let named = match &request.topics {
        // Version 0 cannot say null, and means all by an empty list.
        Some(topics) if context.version > 0 || !topics.is_empty() => topics,
        _ => {
            let topics = all_topics(&context, &request);
            return response(&context, &request, topics);
        }
    };
    if let Some(refusal) = unanswerable(&context, named) {
        return refusal;
    }
    let created = if request.allow_auto_topic_creation {
        let missing = missing_topics(&context, named);
        auto_create::create(&mut context, missing).await
    } else {
        auto_create::Outcome::default()
    };
    let topics = named
        .iter()
        .map(|asked| one_topic(&context, &request, asked, &created))
        .collect();
    response(&context, &request, topics)
}

/// The refusal of a request that its version has no answer to.
fn unanswerable(context: &Context, topics: &Seq<MetadataRequestTopic>) -> Option<MetadataResponse> {
    let by_id = |t: &MetadataRequestTopic| t.name.is_none() || !t.topic_id.is_nil();
    if context.version >= 12 || !topics.iter().any(by_id) {
        return None;
    }
    let refused = topics.iter().map(|asked| {
        MetadataResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic_name(asked.name.as_deref().unwrap_or_default())))
            .with_topic_id(asked.topic_id)
    });
    Some(MetadataResponse::default().with_topics(refused.collect()))
}

/// The names that are asked for, allowed to be seen, and not there.
fn missing_topics(context: &Context, asked: &Seq<MetadataRequestTopic>) -> Vec<String> {
    asked
        .iter()
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| context.image.topic(name).is_none())
        .filter(|name| context.allows_topic(AclOperation::Describe, name))
        .map(str::to_owned)
        .collect()
}

fn all_topics(context: &Context, request: &MetadataRequest) -> Vec<MetadataResponseTopic> {
    let topics = context.image.topics();
    topics
        .filter(|topic| context.allows_topic(AclOperation::Describe, topic.name.as_str()))
        .map(|topic| described(context, request, topic))
        .collect()
}

/// What is said of one topic that was asked for.
fn one_topic(
    context: &Context,
    request: &MetadataRequest,
    asked: &MetadataRequestTopic,
    created: &auto_create::Outcome,
) -> MetadataResponseTopic {
    if !asked.topic_id.is_nil() {
        return one_topic_by_id(context, request, topic_id(&asked.topic_id));
    }
    let name = asked.name.as_deref().unwrap_or_default();
    if !context.allows_topic(AclOperation::Describe, name) {
        let denied = ErrorCode::TopicAuthorizationFailed;
        return refused(context, request, Some(name), TopicId::ZERO, denied)
            .with_is_internal(false);
    }
    if let Some(topic) = context.image.topic(name) {
        return described(context, request, topic);
    }
    let code = created.refusal(name).unwrap_or_else(|| {
        if TopicName::new(name).is_ok() {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        }
    });
    refused(context, request, Some(name), TopicId::ZERO, code)
}

fn one_topic_by_id(
    context: &Context,
    request: &MetadataRequest,
    id: TopicId,
) -> MetadataResponseTopic {
    let Some(topic) = context.image.topic_by_id(id) else {
        return refused(context, request, None, id, ErrorCode::UnknownTopicId);
    };
    if !context.allows_topic(AclOperation::Describe, topic.name.as_str()) {
        // The asker knows the id; the name stays hidden.
        let denied = ErrorCode::TopicAuthorizationFailed;
        return refused(context, request, None, id, denied);
    }
    described(context, request, topic)
}

fn refused(
    context: &Context,
    request: &MetadataRequest,
    name: Option<&str>,
    id: TopicId,
    code: ErrorCode,
) -> MetadataResponseTopic {
    let shown = match name {
        // Null is a form of versions 12 and higher, which are those that ask by id.
        None if context.version < 12 => Some(""),
        other => other,
    };
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_name(shown.map(topic_name))
        .with_topic_id(uuid(id))
        .with_is_internal(name.is_some_and(is_internal_topic))
        .with_topic_authorized_operations(operations(context, request, name.unwrap_or_default()))
}

fn described(context: &Context, request: &MetadataRequest, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter();
    let name = topic.name.as_str();
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_topic_id(uuid(topic.id))
        .with_is_internal(topic.is_internal())
        .with_partitions(
            partitions
                .map(|(number, partition)| described_partition(context, *number, partition))
                .collect(),
        )
        .with_topic_authorized_operations(operations(context, request, name))
}

fn operations(context: &Context, request: &MetadataRequest, topic: &str) -> i32 {
    if request.include_topic_authorized_operations {
        context.allowed_bits(TOPIC_OPERATIONS, Resource::Topic(topic))
    } else {
        OPERATIONS_NOT_ASKED
    }
}

fn described_partition(
    context: &Context,
    number: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let is_reachable = |id: &BrokerId| is_reachable(context, *id);
    let offline = |ids: &[BrokerId]| -> Vec<BrokerId> {
        ids.iter().copied().filter(|id| !is_reachable(id)).collect()
    };
    // Version 0 leaves out who cannot be reached, and says so; later ones list them apart.
    let shown = |ids: &[BrokerId]| -> Vec<BrokerId> {
        let all = ids.iter().copied();
        all.filter(|id| context.version > 0 || is_reachable(id))
            .collect()
    };
    let (replicas, isr) = (shown(&partition.replicas), shown(&partition.isr));
    let leader = partition.leader.filter(is_reachable);
    let code = if leader.is_none() {
        let registered = partition.leader.and_then(|id| context.image.broker(id));
        if registered.is_some() && context.version >= 6 {
            ErrorCode::ListenerNotFound
        } else {
            ErrorCode::LeaderNotAvailable
        }
    } else if replicas.len() < partition.replicas.len() || isr.len() < partition.isr.len() {
        ErrorCode::ReplicaNotAvailable
    } else {
        ErrorCode::None
    };
    MetadataResponsePartition::default()
        .with_error_code(code.code())
        .with_partition_index(number)
        .with_leader_id(broker(leader))
        .with_leader_epoch(partition.leader_epoch.get())
        .with_replica_nodes(brokers(&replicas))
        .with_isr_nodes(brokers(&isr))
        .with_offline_replicas(brokers(&offline(&partition.replicas)))
}

/// Whether clients of this listener can reach the broker `id`.
fn is_reachable(context: &Context, id: BrokerId) -> bool {
    let broker = context.image.broker(id);
    broker.is_some_and(|broker| !broker.fenced && context.endpoint(broker).is_some())
}

fn response(
    context: &Context,
    request: &MetadataRequest,
    topics: Vec<MetadataResponseTopic>,
) -> MetadataResponse {
    let image = &context.image;
    let cluster_operations = if !request.include_cluster_authorized_operations {
        OPERATIONS_NOT_ASKED
    } else if context.allows(AclOperation::Describe, Resource::Cluster) {
        context.allowed_bits(CLUSTER_OPERATIONS, Resource::Cluster)
    } else {
        0
    };
    MetadataResponse::default()
        .with_brokers(reachable_brokers(context, image))
        .with_cluster_id(Some(text(image.cluster_id())))
        .with_controller_id(controller(context))
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

fn reachable_brokers(context: &Context, image: &Image) -> Vec<MetadataResponseBroker> {
    let alive = image.brokers().filter(|broker| !broker.fenced);
    alive
        .filter_map(|broker| {
            let endpoint = context.endpoint(broker)?;
            let broker = MetadataResponseBroker::default()
                .with_node_id(WireBrokerId(broker.id.get()))
                .with_host(text(&endpoint.host))
                .with_port(endpoint.port.into())
                .with_rack(broker.rack.as_deref().map(text));
            Some(broker)
        })
        .collect()
}

#[cfg(test)]
mod tests;
