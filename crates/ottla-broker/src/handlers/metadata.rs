//! Metadata: the brokers, and topics with the leaders of their partitions; makes topics that are
//! asked for and missing, where that is allowed.

use std::collections::BTreeSet;

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
    let wanted = Wanted::of(named);
    let created = match (&wanted, request.allow_auto_topic_creation) {
        (Wanted::Names(names), true) => {
            let missing = missing_topics(&context, names);
            auto_create::create(&mut context, missing).await
        }
        _ => auto_create::Outcome::default(),
    };
    let topics = match &wanted {
        Wanted::Ids(ids) => topics_by_id(&context, &request, ids),
        Wanted::Names(names) => topics_by_name(&context, &request, names, &created),
    };
    response(&context, &request, topics)
}

/// The topics that a request asks for, each once, in its order. Where it has ids, names beside
/// them do not count.
enum Wanted<'a> {
    Ids(Vec<TopicId>),
    Names(Vec<&'a str>),
}

impl<'a> Wanted<'a> {
    fn of(topics: &'a Seq<MetadataRequestTopic>) -> Self {
        let ids = topics.iter().filter(|topic| !topic.topic_id.is_nil());
        let ids = once(ids.map(|topic| topic_id(&topic.topic_id)));
        if !ids.is_empty() {
            return Self::Ids(ids);
        }
        Self::Names(once(
            topics.iter().filter_map(|topic| topic.name.as_deref()),
        ))
    }
}

fn once<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}

/// The refusal of a request that its version has no answer to.
fn unanswerable(context: &Context, topics: &Seq<MetadataRequestTopic>) -> Option<MetadataResponse> {
    let is_unanswerable = |topic: &MetadataRequestTopic| match context.version {
        12.. => topic.name.is_none() && topic.topic_id.is_nil(),
        _ => topic.name.is_none() || !topic.topic_id.is_nil(),
    };
    if !topics.iter().any(is_unanswerable) {
        return None;
    }
    let refused = topics.iter().map(|asked| {
        MetadataResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic_name(asked.name.as_deref().unwrap_or_default())))
            .with_topic_id(asked.topic_id)
            .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
    });
    let refusal = MetadataResponse::default()
        .with_controller_id(WireBrokerId(-1))
        .with_topics(refused.collect())
        .with_cluster_authorized_operations(OPERATIONS_NOT_ASKED);
    Some(match context.version {
        13.. => refusal.with_error_code(ErrorCode::InvalidRequest.code()),
        _ => refusal,
    })
}

/// The names that are asked for, allowed to be seen, and not there.
fn missing_topics(context: &Context, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter(|name| context.image.topic(name).is_none())
        .filter(|name| context.allows_topic(AclOperation::Describe, name))
        .map(|name| (*name).to_owned())
        .collect()
}

fn all_topics(context: &Context, request: &MetadataRequest) -> Vec<MetadataResponseTopic> {
    let topics = context.image.topics();
    topics
        .filter(|topic| context.allows_topic(AclOperation::Describe, topic.name.as_str()))
        .map(|topic| described(context, request, topic))
        .collect()
}

/// What is said of topics that were asked for by name: those that there are first, as Kafka does.
fn topics_by_name(
    context: &Context,
    request: &MetadataRequest,
    names: &[&str],
    created: &auto_create::Outcome,
) -> Vec<MetadataResponseTopic> {
    let (mut there, mut missing, mut denied) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        if !context.allows_topic(AclOperation::Describe, name) {
            // Whether there is such a topic stays hidden.
            let code = ErrorCode::TopicAuthorizationFailed;
            let topic = refused(context, request, Some(name), TopicId::ZERO, code);
            denied.push(topic.with_is_internal(false));
        } else if let Some(topic) = context.image.topic(name) {
            there.push(described(context, request, topic));
        } else {
            let code = created.refusal(name).unwrap_or_else(|| {
                if TopicName::new(name).is_ok() {
                    ErrorCode::UnknownTopicOrPartition
                } else {
                    ErrorCode::InvalidTopicException
                }
            });
            missing.push(refused(context, request, Some(name), TopicId::ZERO, code));
        }
    }
    there.extend(missing);
    there.extend(denied);
    there
}

/// What is said of topics that were asked for by id: unknown ones first, as Kafka does.
fn topics_by_id(
    context: &Context,
    request: &MetadataRequest,
    ids: &[TopicId],
) -> Vec<MetadataResponseTopic> {
    let (mut unknown, mut there, mut denied) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        match context.image.topic_by_id(*id) {
            None => unknown.push(refused(
                context,
                request,
                None,
                *id,
                ErrorCode::UnknownTopicId,
            )),
            Some(topic) if context.allows_topic(AclOperation::Describe, topic.name.as_str()) => {
                there.push(described(context, request, topic));
            }
            // The asker knows the id; the name stays hidden.
            Some(_) => {
                let code = ErrorCode::TopicAuthorizationFailed;
                denied.push(refused(context, request, None, *id, code));
            }
        }
    }
    unknown.extend(there);
    unknown.extend(denied);
    unknown
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
