//! What answers take that tell more than was asked for one by one, as much as there is of it, and
//! what is made for a request.

use std::collections::BTreeSet;

use ottla_coordinator::group::{GroupResponse, Weight};
use ottla_partition::metadata::controller::PARTITIONS_PER_REQUEST_MAX;
use ottla_partition::metadata::{Image, Topic};
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DescribeConfigsRequest,
    DescribeGroupsRequest, DescribeProducersRequest, DescribeTopicPartitionsRequest,
    MetadataRequest, OffsetFetchRequest,
};
use ottla_protocol::{Request, StrBytes};

use super::wire::topic_id;
use super::{Context, configs, describe_topics};
use crate::cost::{self, of_new_topic};
use crate::groups::OFFSETS_TOPIC;

/// So much is charged without a closer look.
const UNCOUNTED: u64 = 1024 * 1024;

/// What an entry takes that is told of a group or a partition: gathered, answered and encoded.
const TOLD_ENTRY_BYTES: u64 = 512;
/// How often its texts and data are held at most.
const TOLD_COPIES: u64 = 4;

/// The most that the state's part of answering `request` takes.
pub(crate) fn of(context: &Context, request: &Request) -> u64 {
    let image = &*context.image;
    match request {
        Request::Metadata(request) => of_metadata(context, request),
        Request::DescribeLogDirs(request) if request.topics.is_none() => all(image),
        Request::DescribeConfigs(request) => of_configs(context, request),
        Request::CreateTopics(request) => of_new_topics(context, request),
        Request::CreatePartitions(request) => of_new_partitions(request),
        Request::DescribeGroups(request) => of_members(context, request),
        Request::ListGroups(_) => of_groups(context),
        Request::OffsetFetch(request) => of_offsets(context, request),
        Request::ListConfigResources(_) => of_resources(image),
        Request::DescribeProducers(request) => of_producers(context, request),
        Request::DescribeTopicPartitions(request) => of_page(context, request),
        Request::DeleteGroups(request) => of_deleted(context, request),
        // Whose first request makes the topic that groups are kept in.
        Request::FindCoordinator(_) | Request::JoinGroup(_) | Request::OffsetCommit(_) => {
            of_offsets_topic(context)
        }
        Request::ElectLeaders(request) if request.topic_partitions.is_none() => all(image),
        Request::ListPartitionReassignments(request) if request.topics.is_none() => all(image),
        // These tell of what they list, as often as they list it, and of nothing else; but Fetch
        // and SyncGroup, which charge what they tell when they know it. No API is left out: what a
        // new one tells has to be thought of.
        Request::AlterConfigs(_)
        | Request::ApiVersions(_)
        | Request::CreateAcls(_)
        | Request::DeleteAcls(_)
        | Request::DeleteRecords(_)
        | Request::DeleteTopics(_)
        | Request::DescribeAcls(_)
        | Request::DescribeClientQuotas(_)
        | Request::DescribeCluster(_)
        | Request::DescribeLogDirs(_)
        | Request::DescribeQuorum(_)
        | Request::DescribeUserScramCredentials(_)
        | Request::ElectLeaders(_)
        | Request::Fetch(_)
        | Request::GetTelemetrySubscriptions(_)
        | Request::Heartbeat(_)
        | Request::IncrementalAlterConfigs(_)
        | Request::InitProducerId(_)
        | Request::LeaveGroup(_)
        | Request::ListOffsets(_)
        | Request::ListPartitionReassignments(_)
        | Request::OffsetDelete(_)
        | Request::OffsetForLeaderEpoch(_)
        | Request::Produce(_)
        | Request::PushTelemetry(_)
        | Request::SaslAuthenticate(_)
        | Request::SaslHandshake(_)
        | Request::SyncGroup(_) => 0,
    }
}

/// A page of topics, which ends with so many partitions.
fn of_page(context: &Context, request: &DescribeTopicPartitionsRequest) -> u64 {
    let mut left = describe_topics::page_size(context, request.response_partition_limit);
    let mut told = 0_u64;
    let mut add = |topic: &Topic| {
        let partitions = topic.partitions.len().min(left);
        left -= partitions;
        told = told.saturating_add(cost::of_told_topic(partitions as u64));
        left > 0
    };
    let image = &context.image;
    if request.topics.is_empty() {
        let first = request.cursor.as_ref();
        let mut topics = image.topics_from(first.map_or("", |c| c.topic_name.as_str()));
        let _all_told = topics.all(|topic| add(topic));
    } else {
        let named: BTreeSet<&str> = request.topics.iter().map(|t| t.name.as_str()).collect();
        let mut topics = named.into_iter().filter_map(|name| image.topic(name));
        let _all_told = topics.all(|topic| add(topic));
    }
    told
}

/// The records that take back what the groups have committed.
fn of_deleted(context: &Context, request: &DeleteGroupsRequest) -> u64 {
    let named: BTreeSet<&StrBytes> = request.groups_names.iter().collect();
    let groups = context.core.groups();
    let weigh = |name: &&StrBytes| {
        let weight = groups.look(&context.image, name, |shard| shard.weigh_offsets(name));
        weight.map_or(0, told)
    };
    named.iter().map(weigh).sum()
}

fn of_offsets_topic(context: &Context) -> u64 {
    if context.image.topic(OFFSETS_TOPIC).is_some() {
        return 0;
    }
    let number = context
        .config()
        .broker("offsets.topic.num.partitions")
        .number();
    of_new_topic(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

/// The most that telling a member takes what other members said. It is not known before the group
/// answers, and nothing but the group's own memory is held until it is encoded.
pub(crate) fn of_member_told(response: &GroupResponse) -> u64 {
    match response {
        GroupResponse::Join(joined) => told(joined.weight()),
        GroupResponse::Sync(synced) => told(synced.weight()),
        _ => 0,
    }
}

/// The most that telling of so many entries takes, with so many bytes of text and data in all.
const fn of_told(entries: u64, bytes: u64) -> u64 {
    let entries = entries.saturating_mul(TOLD_ENTRY_BYTES);
    entries.saturating_add(bytes.saturating_mul(TOLD_COPIES))
}

fn told(weight: Weight) -> u64 {
    of_told(weight.entries as u64, weight.bytes as u64)
}

/// A group is described once, however often it is named.
fn of_members(context: &Context, request: &DescribeGroupsRequest) -> u64 {
    let named: BTreeSet<&StrBytes> = request.groups.iter().collect();
    let groups = context.core.groups();
    let weigh = |name: &&StrBytes| {
        let weight = groups.look(&context.image, name, |shard| shard.weigh_members(name));
        weight.map_or(0, told)
    };
    named.iter().map(weigh).sum()
}

fn of_groups(context: &Context) -> u64 {
    let groups = context.core.groups();
    let weights = groups.look_at_all(ottla_coordinator::group::GroupShard::weigh_groups);
    weights.into_iter().map(told).sum()
}

/// What is asked for by name counts as an element of the request.
fn of_offsets(context: &Context, request: &OffsetFetchRequest) -> u64 {
    let one = Some(&request.group_id).filter(|_| context.version < 8 && request.topics.is_none());
    let many = request.groups.iter();
    let many = many.filter(|group| group.topics.is_none());
    let named: BTreeSet<&StrBytes> = one
        .into_iter()
        .chain(many.map(|group| &group.group_id))
        .collect();
    let groups = context.core.groups();
    let weigh = |name: &&StrBytes| {
        let weight = groups.look(&context.image, name, |shard| shard.weigh_offsets(name));
        weight.map_or(0, told)
    };
    named.iter().map(weigh).sum()
}

fn of_resources(image: &Image) -> u64 {
    let topics = image.topics().map(|topic| topic.name.as_str().len());
    let others = image.configs().map(|(resource, _)| resource.name.len());
    let brokers = 2 * image.brokers().count();
    let (entries, bytes) = topics
        .chain(others)
        .fold((brokers, 0), |(entries, bytes), len| {
            (entries + 1, bytes + len)
        });
    of_told(entries as u64, bytes as u64)
}

/// A partition is told of once, and so many producers in all. What its log knows is known when it
/// is open.
fn of_producers(context: &Context, request: &DescribeProducersRequest) -> u64 {
    let most = context.core.limits().described_producers_max;
    let unknown = context.core.log_limits().producers_max;
    let mut named = BTreeSet::new();
    for topic in &request.topics {
        let known = context.image.topic(&topic.name);
        let known = known.into_iter();
        named.extend(known.flat_map(|t| topic.partition_indexes.iter().map(|n| (t.id, *n))));
    }
    let partitions = context.core.partitions();
    let len = |(topic, number)| match partitions.get(topic, number) {
        Some(partition) => partition.log().producers_len(),
        None => unknown,
    };
    let all = named
        .into_iter()
        .map(len)
        .fold(0_usize, usize::saturating_add);
    of_told(all.min(most) as u64, 0)
}

fn of_configs(context: &Context, request: &DescribeConfigsRequest) -> u64 {
    let image = &*context.image;
    let resources = request.resources.iter();
    let groups = resources.filter(|r| configs::needs_no_resource(r.resource_type));
    let groups = groups.count();
    // Each resource is described once.
    let most = image.topics_len() + image.brokers().count() + 1;
    let others = (request.resources.len() - groups).min(most);
    let groups = groups.min(context.core.limits().described_groups_max);
    ((others + groups) as u64).saturating_mul(cost::CONFIG_BYTES)
}

fn of_metadata(context: &Context, request: &MetadataRequest) -> u64 {
    let image = &*context.image;
    let Some(topics) = request.topics.as_ref().filter(|topics| !topics.is_empty()) else {
        return all(image);
    };
    let (mut there, mut missing) = (0_u64, 0_usize);
    for asked in topics {
        let topic = match &asked.name {
            Some(name) => image.topic(name),
            None => image.topic_by_id(topic_id(&asked.topic_id)),
        };
        match topic {
            Some(topic) => there = there.saturating_add(of_topic(topic)),
            None => missing += 1,
        }
    }
    if there > UNCOUNTED {
        // Topics that are named twice are told once.
        there = there.min(all(image));
    }
    let made = match request.allow_auto_topic_creation {
        true => missing.min(context.core.limits().auto_create_topics_max) as u64,
        false => 0,
    };
    there.saturating_add(made.saturating_mul(of_new_topic(default_partitions(context))))
}

/// What the controller makes at most of a request; what asks for more it refuses whole.
fn of_new_topics(context: &Context, request: &CreateTopicsRequest) -> u64 {
    let default = default_partitions(context);
    let (mut topics, mut partitions) = (0_u64, 0_u64);
    for topic in &request.topics {
        topics += 1;
        let listed = topic.assignments.len() as u64;
        let asked = u64::try_from(topic.num_partitions).unwrap_or(default);
        partitions = partitions.saturating_add(asked.max(listed));
    }
    let most = PARTITIONS_PER_REQUEST_MAX as u64;
    let partitions = partitions.min(most);
    let made = topics.min(most).saturating_mul(of_new_topic(0));
    made.saturating_add(of_new_topic(partitions))
}

fn of_new_partitions(request: &CreatePartitionsRequest) -> u64 {
    let counts = request.topics.iter().map(|topic| topic.count);
    let asked: u64 = counts.map(|count| u64::try_from(count).unwrap_or(0)).sum();
    of_new_topic(asked.min(PARTITIONS_PER_REQUEST_MAX as u64))
}

fn default_partitions(context: &Context) -> u64 {
    let number = context.config().broker("num.partitions").number();
    number.and_then(|n| u64::try_from(n).ok()).unwrap_or(1)
}

fn all(image: &Image) -> u64 {
    image.topics().map(|topic| of_topic(topic)).sum()
}

fn of_topic(topic: &Topic) -> u64 {
    cost::of_told_topic(topic.partitions.len() as u64)
}
