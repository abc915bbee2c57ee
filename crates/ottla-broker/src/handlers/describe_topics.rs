//! DescribeTopicPartitions (KIP-966): topics in pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_log::TopicName;
use ottla_partition::metadata::{Partition, Topic};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::{
    BrokerId as WireBrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};

use super::Context;
use super::cluster::OPERATIONS_NOT_ASKED;
use super::wire::{brokers, topic_name, uuid};
use crate::authorizer::{AclOperation, Resource, TOPIC_OPERATIONS};

pub(crate) fn handle(
    context: &Context,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let first = request
        .cursor
        .as_ref()
        .map(|c| (c.topic_name.to_string(), c.partition_index));
    if first
        .as_ref()
        .is_some_and(|cursor| !is_sound(request, cursor))
    {
        return refuse_all(request, ErrorCode::InvalidRequest);
    }
    let mut page = Page::new(context, request.response_partition_limit, first);
    if request.topics.is_empty() {
        let from = page
            .first
            .as_ref()
            .map_or("", |(name, _)| name.as_str())
            .to_owned();
        for topic in context.image.topics_from(&from) {
            if context.allows_topic(AclOperation::Describe, topic.name.as_str()) && !page.add(topic)
            {
                break;
            }
        }
    } else {
        let names: BTreeSet<&str> = request.topics.iter().map(|t| t.name.as_str()).collect();
        for name in names {
            if page
                .first
                .as_ref()
                .is_some_and(|(first, _)| name < first.as_str())
            {
                continue;
            }
            if !page.add_named(name) {
                break;
            }
        }
    }
    page.answer()
}

/// Whether a page can begin there: at a partition, of a topic that is asked for.
fn is_sound(request: &DescribeTopicPartitionsRequest, (topic, partition): &(String, i32)) -> bool {
    let mut names = request.topics.iter().map(|t| t.name.as_str());
    *partition >= 0 && (request.topics.is_empty() || names.any(|name| name == topic))
}

/// A refusal has its place at the topics that were named; where there are none nothing tells it.
fn refuse_all(
    request: &DescribeTopicPartitionsRequest,
    code: ErrorCode,
) -> DescribeTopicPartitionsResponse {
    let refused = request
        .topics
        .iter()
        .map(|topic| refused(&topic.name, code));
    DescribeTopicPartitionsResponse::default().with_topics(refused.collect())
}

fn refused(name: &str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(topic_name(name)))
        .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
}

/// How many partitions a page has at most, where `asked` are asked for.
pub(crate) fn page_size(context: &Context, asked: i32) -> usize {
    let config = context.config();
    let most = config.broker("max.request.partition.size.limit").number();
    let most = most.and_then(|n| usize::try_from(n).ok()).unwrap_or(2000);
    usize::try_from(asked).unwrap_or(0).clamp(1, most.max(1))
}

/// A page on its way.
struct Page<'a> {
    context: &'a Context,
    /// Where it begins.
    first: Option<(String, i32)>,
    /// How many partitions still fit.
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl<'a> Page<'a> {
    fn new(context: &'a Context, asked: i32, first: Option<(String, i32)>) -> Self {
        Self {
            context,
            first,
            left: page_size(context, asked),
            topics: Vec::new(),
            next: None,
        }
    }

    /// Adds the topic `name`, or why it cannot be described; `false` where the page is full.
    fn add_named(&mut self, name: &str) -> bool {
        if !self.context.allows_topic(AclOperation::Describe, name) {
            // Whether it exists is not for this peer to know.
            self.topics
                .push(refused(name, ErrorCode::TopicAuthorizationFailed));
            return true;
        }
        match self.context.image.topic(name) {
            Some(topic) => self.add(&Arc::clone(topic)),
            None if TopicName::new(name).is_err() => {
                self.miss(name, ErrorCode::InvalidTopicException);
                true
            }
            None => {
                self.miss(name, ErrorCode::UnknownTopicOrPartition);
                true
            }
        }
    }

    /// A topic that the peer may know of, and that is not there.
    fn miss(&mut self, name: &str, code: ErrorCode) {
        let bits = self.operations(name);
        let missed = refused(name, code).with_topic_authorized_operations(bits);
        self.topics.push(missed);
    }

    fn operations(&self, name: &str) -> i32 {
        self.context
            .allowed_bits(TOPIC_OPERATIONS, Resource::Topic(name))
    }

    fn add(&mut self, topic: &Topic) -> bool {
        let name = topic.name.as_str();
        if self.left == 0 {
            self.next = Some(cursor(name, 0));
            return false;
        }
        let start = self
            .first
            .as_ref()
            .filter(|(first, _)| first == name)
            .map_or(0, |(_, p)| *p);
        let mut partitions = Vec::new();
        for (number, partition) in topic.partitions.iter().filter(|(n, _)| **n >= start) {
            if self.left == 0 {
                self.next = Some(cursor(name, *number));
                break;
            }
            partitions.push(self.partition(*number, partition));
            self.left -= 1;
        }
        let bits = self.operations(name);
        let described = DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(topic_name(name)))
            .with_topic_id(uuid(topic.id))
            .with_is_internal(topic.is_internal())
            .with_partitions(partitions)
            .with_topic_authorized_operations(bits);
        self.topics.push(described);
        self.next.is_none()
    }

    fn partition(
        &self,
        number: i32,
        partition: &Partition,
    ) -> DescribeTopicPartitionsResponsePartition {
        let image = &self.context.image;
        let leader = partition.leader.filter(|id| image.is_active(*id));
        let code = match leader {
            Some(_) => ErrorCode::None,
            None => ErrorCode::LeaderNotAvailable,
        };
        let offline: Vec<_> = partition
            .replicas
            .iter()
            .copied()
            .filter(|id| !image.is_active(*id))
            .collect();
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(code.code())
            .with_partition_index(number)
            .with_leader_id(WireBrokerId(
                leader.map_or(-1, ottla_partition::BrokerId::get),
            ))
            .with_leader_epoch(partition.leader_epoch.get())
            .with_replica_nodes(brokers(&partition.replicas))
            .with_isr_nodes(brokers(&partition.isr))
            .with_eligible_leader_replicas(Some(brokers(&partition.elr)))
            .with_last_known_elr(Some(brokers(&partition.last_known_elr)))
            .with_offline_replicas(brokers(&offline))
    }

    fn answer(self) -> DescribeTopicPartitionsResponse {
        DescribeTopicPartitionsResponse::default()
            .with_topics(self.topics)
            .with_next_cursor(self.next)
    }
}

fn cursor(name: &str, partition: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(topic_name(name))
        .with_partition_index(partition)
}
