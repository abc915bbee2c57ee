//! ListOffsets and OffsetForLeaderEpoch: where in a log something is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_log::{LeaderEpoch, Offset, ReadError, TimedOffset, Timestamp};
use ottla_partition::metadata::Topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use super::wire::{epoch, text, topic_name};
use super::{Context, codes};
use crate::authorizer::{AclOperation, Resource};
use crate::partition::Partition;
use crate::runtime;

/// Kafka's timestamps with a meaning of their own.
mod special {
    pub(super) const LATEST: i64 = -1;
    pub(super) const EARLIEST: i64 = -2;
    pub(super) const MAX_TIMESTAMP: i64 = -3;
    pub(super) const EARLIEST_LOCAL: i64 = -4;
    pub(super) const LATEST_TIERED: i64 = -5;
    pub(super) const EARLIEST_PENDING_UPLOAD: i64 = -6;

    /// The first version that knows `timestamp`; `None` where none does.
    pub(super) const fn known_from(timestamp: i64) -> Option<i16> {
        match timestamp {
            0.. | LATEST | EARLIEST => Some(1),
            MAX_TIMESTAMP => Some(7),
            EARLIEST_LOCAL => Some(8),
            LATEST_TIERED => Some(9),
            EARLIEST_PENDING_UPLOAD => Some(11),
            _ => None,
        }
    }
}

/// A consumer asks; -2 is a tool that may see what is not committed, and other negative numbers
/// nobody sends.
const CONSUMER: i32 = -1;

/// What was found: nothing, or an offset with what belongs to it.
type Found = Option<(i64, Offset, Option<i32>)>;

pub(crate) async fn handle(context: &Context, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let allowed = |topic: &&ListOffsetsTopic| {
        context.allows_topic(AclOperation::Describe, topic.name.as_str())
    };
    let asked = request.topics.iter().filter(allowed).flat_map(|topic| {
        let numbers = topic.partitions.iter().map(|p| p.partition_index);
        of_topic(context, &topic.name, numbers)
    });
    context.open_together(asked).await;
    let twice = repeated(request);
    let mut answered = BTreeSet::new();
    let mut places = BTreeMap::new();
    let mut topics: Vec<ListOffsetsTopicResponse> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name = topic.name.as_str();
        let is_allowed = context.allows_topic(AclOperation::Describe, name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let key = (name, asked.partition_index);
            let result = if !is_allowed {
                Err(ErrorCode::TopicAuthorizationFailed)
            } else if !twice.contains(&key) {
                offset(context, request, topic, asked).await
            } else if answered.insert(key) {
                Err(ErrorCode::InvalidRequest)
            } else {
                continue;
            };
            partitions.push(answer(context.version, asked.partition_index, result));
        }
        let place = places
            .get(name)
            .and_then(|place: &usize| topics.get_mut(*place));
        match place {
            // A topic has one answer, however its partitions are spread over the request.
            Some(before) if is_allowed => before.partitions.extend(partitions),
            _ if is_allowed && partitions.is_empty() => {}
            _ => {
                places.insert(name, topics.len());
                topics.push(ListOffsetsTopicResponse {
                    name: text(name),
                    partitions,
                });
            }
        }
    }
    ListOffsetsResponse {
        throttle_time_ms: 0,
        topics,
    }
}

/// The partitions `numbers` of the topic `name`, if there is such a topic.
fn of_topic(
    context: &Context,
    name: &str,
    numbers: impl Iterator<Item = i32>,
) -> impl Iterator<Item = (Arc<Topic>, i32)> {
    let topic = context.image.topic(name).cloned();
    numbers.filter_map(move |number| Some((topic.clone()?, number)))
}

/// The partitions that the request names more than once.
fn repeated(request: &ListOffsetsRequest) -> BTreeSet<(&str, i32)> {
    let mut seen = BTreeSet::new();
    let partitions = |topic: &'_ ListOffsetsTopic| topic.partitions.len();
    let all = request.topics.iter().map(partitions).sum::<usize>();
    if all < 2 {
        return seen;
    }
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                twice.insert(key);
            }
        }
    }
    twice
}

fn answer(
    version: i16,
    partition_index: i32,
    result: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let mut answer = ListOffsetsPartitionResponse {
        partition_index,
        ..ListOffsetsPartitionResponse::default()
    };
    match result {
        Ok(None) => {}
        Ok(Some((timestamp, offset, leader_epoch))) => {
            answer.timestamp = timestamp;
            answer.offset = offset.get();
            if version >= 4 {
                answer.leader_epoch = leader_epoch.unwrap_or(-1);
            }
        }
        Err(code) => answer.error_code = code.code(),
    }
    answer
}

async fn offset(
    context: &Context,
    request: &ListOffsetsRequest,
    topic: &ListOffsetsTopic,
    asked: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    if request.replica_id >= 0 {
        // Nobody may just say that it is a replica.
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if !matches!(request.isolation_level, 0 | 1) {
        return Err(ErrorCode::InvalidRequest);
    }
    match special::known_from(asked.timestamp) {
        Some(first) if context.version >= first => {}
        _ => return Err(ErrorCode::UnsupportedVersion),
    }
    let known = context.image.topic(&topic.name).cloned();
    let known = known.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.partition(&known, asked.partition_index).await?;
    let leader = partition.check_leader(epoch(asked.current_leader_epoch));
    leader.map_err(|error| error.code())?;
    find(context, request, &partition, asked.timestamp)
}

fn find(
    context: &Context,
    request: &ListOffsetsRequest,
    partition: &Partition,
    timestamp: i64,
) -> Result<Found, ErrorCode> {
    let view = partition.view();
    let is_consumer = request.replica_id == CONSUMER;
    let last = match (is_consumer, request.isolation_level) {
        (false, _) => view.end,
        (true, 1) => view.last_stable,
        (true, _) => view.high_watermark,
    };
    // Right after a change of leaders the latest committed offset is not known yet (KIP-207).
    let unknown = is_consumer && !partition.knows_latest();
    let not_yet = match context.version {
        5.. => ErrorCode::OffsetNotAvailable,
        _ => ErrorCode::LeaderNotAvailable,
    };
    match timestamp {
        special::LATEST if unknown => Err(not_yet),
        special::LATEST => Ok(Some((-1, last, Some(partition.leader_epoch().get())))),
        special::EARLIEST | special::EARLIEST_LOCAL => {
            let epoch = partition.log().epoch_of(view.start);
            Ok(Some((-1, view.start, epoch.map(LeaderEpoch::get))))
        }
        // Nothing is ever tiered here.
        special::LATEST_TIERED | special::EARLIEST_PENDING_UPLOAD => Ok(None),
        _ => match search(partition, timestamp)? {
            Some(found) if found.offset < last => Ok(Some((
                found.timestamp.get(),
                found.offset,
                Some(found.leader_epoch.get()),
            ))),
            // What was found, or not, may be committed already, or come.
            _ if unknown => Err(not_yet),
            _ => Ok(None),
        },
    }
}

/// Looks through indexes and batches, which may be on the disk.
fn search(partition: &Partition, timestamp: i64) -> Result<Option<TimedOffset>, ErrorCode> {
    let log = partition.log();
    let found: Result<_, ReadError> = runtime::block_in_place(|| match timestamp {
        special::MAX_TIMESTAMP => log.max_timestamp_offset(),
        target => log.offset_for_time(Timestamp::new(target)),
    });
    found.map_err(|error| {
        if codes::is_disk_failure(&error) {
            tracing::error!(partition = %partition.id(), %error, "cannot search by time");
        }
        codes::of_read(&error)
    })
}

pub(crate) async fn for_leader_epoch(
    context: &Context,
    request: &OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let may_all = context.allows(AclOperation::ClusterAction, Resource::Cluster);
    let may = |topic: &str| may_all || context.allows_topic(AclOperation::Describe, topic);
    let asked = request.topics.iter().filter(|topic| may(&topic.topic));
    let asked = asked.flat_map(|topic| {
        let numbers = topic.partitions.iter().map(|p| p.partition);
        of_topic(context, &topic.topic, numbers)
    });
    context.open_together(asked).await;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let may = may(&topic.topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let result = match may {
                true => epoch_end(context, topic, asked).await,
                false => Err(ErrorCode::TopicAuthorizationFailed),
            };
            partitions.push(epoch_answer(asked.partition, result));
        }
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic_name(topic.topic.as_str()))
                .with_partitions(partitions),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

async fn epoch_end(
    context: &Context,
    topic: &OffsetForLeaderTopic,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ErrorCode> {
    let known = context.image.topic(&topic.topic).cloned();
    let known = known.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = context.partition(&known, asked.partition).await?;
    let leader = partition.check_leader(epoch(asked.current_leader_epoch));
    leader.map_err(|error| error.code())?;
    let Some(leader_epoch) = epoch(asked.leader_epoch) else {
        return Ok(None);
    };
    let end = partition.log().end_offset_for_epoch(leader_epoch);
    Ok(end.map(|(epoch, end)| (epoch.get(), end.get())))
}

fn epoch_answer(partition: i32, result: Result<Option<(i32, i64)>, ErrorCode>) -> EpochEndOffset {
    let answer = EpochEndOffset::default()
        .with_partition(partition)
        .with_leader_epoch(-1)
        .with_end_offset(-1);
    match result {
        Ok(None) => answer,
        Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch).with_end_offset(end),
        Err(code) => answer.with_error_code(code.code()),
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::StrBytes;

    use super::*;

    #[test]
    fn each_special_timestamp_has_its_first_version() {
        let known = [-1, -2, -3, -4, -5, -6, -7, i64::MIN, 0, i64::MAX].map(special::known_from);
        let expected = [1, 1, 7, 8, 9, 11].map(Some);
        assert_eq!(known[..6], expected);
        assert_eq!(known[6..8], [None, None]);
        assert_eq!(known[8..], [Some(1), Some(1)]);
    }

    #[test]
    fn partitions_named_twice_are_found() {
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            ..ListOffsetsPartition::default()
        };
        let topic = |name: &'static str, partitions: &[i32]| ListOffsetsTopic {
            name: StrBytes::from_static_str(name),
            partitions: partitions.iter().copied().map(partition).collect(),
        };
        let request = ListOffsetsRequest {
            topics: [
                topic("a", &[0, 1, 0]),
                topic("b", &[0]),
                topic("a", &[2, 1]),
            ]
            .into_iter()
            .collect(),
            ..ListOffsetsRequest::default()
        };
        assert_eq!(repeated(&request), BTreeSet::from([("a", 0), ("a", 1)]));
    }
}
