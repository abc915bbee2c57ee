//! OffsetCommit, OffsetFetch and OffsetDelete.

use std::collections::HashSet;
use std::time::Duration;

use foldhash::fast::RandomState;
use ottla_coordinator::group::request::{
    CommitPartition, CommitTopic, Identity, OffsetCommit, OffsetDelete, OffsetFetch,
    TopicPartitions,
};
use ottla_coordinator::group::response::{
    CommittedOffsets, DeletedOffsets, FetchedOffsets, FetchedPartition, FetchedTopic,
};
use ottla_coordinator::group::{GroupRequest, GroupResponse};
use ottla_log::{LeaderEpoch, Offset, TopicId};
use ottla_partition::metadata::Topic;
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics, TopicName as WireTopicName,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::{ByTopic, allows, answer, own, when_told};
use crate::authorizer::AclOperation;
use crate::connection::Reply;
use crate::groups::{Asked, Told};
use crate::handlers::Context;
use crate::handlers::wire::{epoch, text, topic_id, uuid};

/// From this version on topics are named by their ids.
const TOPIC_IDS: i16 = 10;
/// From this version on a member of a group that is not there is told so.
const NAMES_UNKNOWN_GROUP: i16 = 9;
/// From this version on a group has an error of its own, not one for each partition.
const GROUP_ERRORS: i16 = 2;
/// From this version on many groups are asked about at once.
const MANY_GROUPS: i16 = 8;

/// The results of a commit, by topic.
type Committed = ByTopic<OffsetCommitResponsePartition>;
/// A topic as its request names it, by name or by id, and partitions of it.
type Named = ((StrBytes, TopicId), Vec<i32>);

fn result(partition: i32, code: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition {
        partition_index: partition,
        error_code: code.code(),
    }
}

pub(crate) async fn commit(context: &Context, request: &OffsetCommitRequest) -> Reply {
    let mut results = Committed::new();
    let (mut topics, mut named) = (Vec::new(), Vec::new());
    let is_member = allows(context, AclOperation::Read, &request.group_id);
    for topic in &request.topics {
        let found = match is_member {
            true => known(context, topic),
            false => Err(ErrorCode::GroupAuthorizationFailed),
        };
        let name = (own(&topic.name), topic_id(&topic.topic_id));
        let found = match found {
            Ok(found) => found,
            Err(code) => {
                results.add(name, all(topic, code));
                continue;
            }
        };
        let commits = commits(found, topic, &name, &mut results);
        if !commits.partitions.is_empty() {
            let partitions = commits.partitions.iter().map(|p| p.partition).collect();
            named.push((name, partitions));
            topics.push(commits);
        }
    }
    if topics.is_empty() {
        return committed(results).into();
    }
    let asked = ask_commit(context, request, topics).await;
    when_told(asked, move |told| {
        merge(&mut results, named, answer!(told, OffsetCommit));
        committed(results)
    })
}

async fn ask_commit(
    context: &Context,
    request: &OffsetCommitRequest,
    topics: Vec<CommitTopic>,
) -> Result<Asked, ErrorCode> {
    let kept = u64::try_from(request.retention_time_ms).unwrap_or(0);
    let commit = GroupRequest::OffsetCommit(OffsetCommit {
        group: request.group_id.clone(),
        identity: Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id_or_member_epoch,
        },
        retention: (request.retention_time_ms != -1).then(|| Duration::from_millis(kept)),
        names_unknown_group: context.version >= NAMES_UNKNOWN_GROUP,
        topics,
    });
    let groups = context.core.groups();
    groups
        .ask_anew(&context.core, &context.session, &request.group_id, commit)
        .await
}

fn all(
    topic: &OffsetCommitRequestTopic,
    code: ErrorCode,
) -> impl Iterator<Item = OffsetCommitResponsePartition> {
    let partitions = topic.partitions.iter();
    partitions.map(move |partition| result(partition.partition_index, code))
}

/// The topic, if there is one that the peer may read.
fn known<'a>(
    context: &'a Context,
    topic: &OffsetCommitRequestTopic,
) -> Result<&'a Topic, ErrorCode> {
    let found = match context.version {
        TOPIC_IDS.. => {
            let found = context.image.topic_by_id(topic_id(&topic.topic_id));
            Some(&**found.ok_or(ErrorCode::UnknownTopicId)?)
        }
        _ => context.image.topic(&topic.name).map(|topic| &**topic),
    };
    let name = found.map_or(topic.name.as_str(), |topic| topic.name.as_str());
    if !context.allows_topic(AclOperation::Read, name) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    found.ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// What is to be committed of a topic, without the partitions that it does not have.
fn commits(
    known: &Topic,
    topic: &OffsetCommitRequestTopic,
    name: &(StrBytes, TopicId),
    results: &mut Committed,
) -> CommitTopic {
    let is_there = |p: &&OffsetCommitRequestPartition| known.partition(p.partition_index).is_some();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let missing = topic.partitions.iter().filter(|p| !is_there(p));
    let missing = missing.map(|p| result(p.partition_index, unknown));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        results.add(name.clone(), missing);
    }
    let there = topic.partitions.iter().filter(is_there);
    let partitions = there.map(|partition| CommitPartition {
        partition: partition.partition_index,
        offset: Offset::new(partition.committed_offset),
        leader_epoch: epoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
    });
    CommitTopic {
        topic: text(known.name.as_str()),
        topic_id: Some(known.id),
        partitions: partitions.collect(),
    }
}

/// Adds what became of the topics that the group was asked to commit.
fn merge(results: &mut Committed, named: Vec<Named>, told: Result<CommittedOffsets, ErrorCode>) {
    match told {
        Ok(told) => {
            for ((name, _), (_, partitions)) in named.into_iter().zip(told.topics) {
                let partitions = partitions.into_iter();
                results.add(name, partitions.map(|(number, code)| result(number, code)));
            }
        }
        Err(code) => {
            for (name, partitions) in named {
                results.add(
                    name,
                    partitions.into_iter().map(|number| result(number, code)),
                );
            }
        }
    }
}

fn committed(results: Committed) -> OffsetCommitResponse {
    let topic = |((name, id), partitions)| OffsetCommitResponseTopic {
        name,
        topic_id: uuid(id),
        partitions,
    };
    OffsetCommitResponse {
        topics: results.topics.into_iter().map(topic).collect(),
        ..OffsetCommitResponse::default()
    }
}

/// A group whose offsets are asked for, on the way to its answer.
#[derive(Debug)]
struct Fetching {
    group_id: StrBytes,
    asked: Result<Asked, ErrorCode>,
    /// The topics that the group was asked about; `None` for all.
    named: Option<Vec<Named>>,
    /// What is refused without asking the group.
    refused: Vec<OffsetFetchResponseTopics>,
}

pub(crate) async fn fetch(context: &Context, request: OffsetFetchRequest) -> Reply {
    let mut fetching = Vec::new();
    // All offsets of a group may be much to say: once is enough.
    let mut told_all: HashSet<StrBytes, RandomState> = HashSet::default();
    for group in groups_of(context.version, request) {
        if group.topics.is_some() || told_all.insert(group.group_id.clone()) {
            fetching.push(ask_fetch(context, &group).await);
        }
    }
    let context = context.clone();
    Reply::Later(Box::pin(async move {
        let mut groups = Vec::with_capacity(fetching.len());
        for group in fetching {
            groups.push(group.answer(&context).await);
        }
        fetched(context.version, groups).into()
    }))
}

/// The groups asked about, in the form of the newest version.
fn groups_of(version: i16, request: OffsetFetchRequest) -> Vec<OffsetFetchRequestGroup> {
    if version >= MANY_GROUPS {
        return request.groups.into_iter().collect();
    }
    let topics = request.topics.map(|topics| {
        let topic =
            |topic: ottla_protocol::messages::OffsetFetchRequestTopic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            };
        topics.into_iter().map(topic).collect()
    });
    vec![OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    }]
}

async fn ask_fetch(context: &Context, group: &OffsetFetchRequestGroup) -> Fetching {
    let mut fetching = Fetching {
        group_id: own(&group.group_id),
        asked: Err(ErrorCode::GroupAuthorizationFailed),
        named: group.topics.as_ref().map(|_| Vec::new()),
        refused: Vec::new(),
    };
    let may = allows(context, AclOperation::Describe, &group.group_id);
    let mut topics = group.topics.as_ref().map(|_| Vec::new());
    for topic in group.topics.iter().flatten() {
        let name = match may {
            true => readable(context, topic),
            // Named in the answer all the same, in versions that have no error of the group.
            false => Ok(topic.name.as_str()),
        };
        match (name, &mut topics, &mut fetching.named) {
            (Ok(name), Some(topics), Some(named)) => {
                let partitions = topic.partition_indexes.clone();
                topics.push(TopicPartitions {
                    topic: text(name),
                    partitions: partitions.clone(),
                });
                named.push(((own(&topic.name), topic_id(&topic.topic_id)), partitions));
            }
            (Err(code), ..) => fetching.refused.push(all_of(
                (own(&topic.name), topic_id(&topic.topic_id)),
                &topic.partition_indexes,
                code,
            )),
            (Ok(_), ..) => {}
        }
    }
    if may {
        let asked = GroupRequest::OffsetFetch(OffsetFetch {
            group: group.group_id.clone(),
            topics,
        });
        let groups = context.core.groups();
        fetching.asked = groups
            .ask(&context.core, &context.session, &group.group_id, asked)
            .await;
    }
    fetching
}

/// The topic's name, where the peer may know of it.
fn readable<'a>(
    context: &'a Context,
    topic: &'a OffsetFetchRequestTopics,
) -> Result<&'a str, ErrorCode> {
    let name = match context.version {
        TOPIC_IDS.. => {
            let found = context.image.topic_by_id(topic_id(&topic.topic_id));
            found.ok_or(ErrorCode::UnknownTopicId)?.name.as_str()
        }
        _ => topic.name.as_str(),
    };
    match context.allows_topic(AclOperation::Describe, name) {
        true => Ok(name),
        false => Err(ErrorCode::TopicAuthorizationFailed),
    }
}

fn all_of(
    (name, id): (StrBytes, TopicId),
    partitions: &[i32],
    code: ErrorCode,
) -> OffsetFetchResponseTopics {
    let refused = |number: &i32| OffsetFetchResponsePartitions {
        partition_index: *number,
        committed_offset: -1,
        metadata: Some(StrBytes::default()),
        error_code: code.code(),
        ..OffsetFetchResponsePartitions::default()
    };
    OffsetFetchResponseTopics {
        name,
        topic_id: uuid(id),
        partitions: partitions.iter().map(refused).collect(),
    }
}

impl Fetching {
    async fn answer(self, context: &Context) -> OffsetFetchResponseGroup {
        let told: Told = match self.asked {
            Ok(asked) => asked.answer().await,
            Err(code) => Err(code),
        };
        let mut answer = OffsetFetchResponseGroup {
            group_id: self.group_id,
            ..OffsetFetchResponseGroup::default()
        };
        let told = match answer!(told, OffsetFetch) {
            Ok(FetchedOffsets { topics }) => topics,
            Err(code) => {
                match context.version {
                    GROUP_ERRORS.. => answer.error_code = code.code(),
                    _ => {
                        let named = self.named.into_iter().flatten();
                        let all = named.map(|(name, numbers)| all_of(name, &numbers, code));
                        answer.topics = all.collect();
                    }
                }
                return answer;
            }
        };
        // What the group tells may have been committed after this request came.
        let image = context.core.metadata().image();
        let known = |topic: &FetchedTopic| image.topic(&topic.topic).map(|topic| topic.id);
        answer.topics = match self.named {
            Some(named) => {
                let told = named.into_iter().zip(told);
                let named = told.map(|((name, _), topic)| {
                    let id = match context.version {
                        TOPIC_IDS.. => Some(name.1),
                        _ => known(&topic),
                    };
                    offsets(name, of_topic(topic, id))
                });
                named.collect()
            }
            None => {
                let may = |name: &str| context.allows_topic(AclOperation::Describe, name);
                let shown = told.into_iter().filter(|topic| may(&topic.topic));
                shown
                    .filter_map(|topic| all_offsets(known(&topic)?, topic))
                    .collect()
            }
        };
        answer.topics.extend(self.refused);
        answer
    }
}

/// Whether the offset was committed for the topic of this id; where that was not written down,
/// the name counts.
fn is_of(partition: &FetchedPartition, id: TopicId) -> bool {
    partition.topic_id.is_none_or(|known| known == id)
}

/// The offsets, without those of a former topic of the name; `None` is the id where there is no
/// topic.
fn of_topic(mut topic: FetchedTopic, id: Option<TopicId>) -> FetchedTopic {
    for partition in &mut topic.partitions {
        if !id.is_some_and(|id| is_of(partition, id)) {
            partition.offset = Offset::new(-1);
            partition.leader_epoch = None;
            partition.metadata = StrBytes::default();
        }
    }
    topic
}

/// The offsets of a topic that the request did not name, if it has any.
fn all_offsets(id: TopicId, mut topic: FetchedTopic) -> Option<OffsetFetchResponseTopics> {
    topic.partitions.retain(|partition| is_of(partition, id));
    let name = topic.topic.clone();
    (!topic.partitions.is_empty()).then(|| offsets((name, id), topic))
}

fn offsets((name, id): (StrBytes, TopicId), topic: FetchedTopic) -> OffsetFetchResponseTopics {
    let partition = |partition: FetchedPartition| OffsetFetchResponsePartitions {
        partition_index: partition.partition,
        committed_offset: partition.offset.get(),
        committed_leader_epoch: partition.leader_epoch.map_or(-1, LeaderEpoch::get),
        metadata: Some(partition.metadata),
        error_code: partition.error.code(),
    };
    OffsetFetchResponseTopics {
        name,
        topic_id: uuid(id),
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

fn fetched(version: i16, mut groups: Vec<OffsetFetchResponseGroup>) -> OffsetFetchResponse {
    if version >= MANY_GROUPS {
        return OffsetFetchResponse {
            groups,
            ..OffsetFetchResponse::default()
        };
    }
    let Some(group) = groups.pop() else {
        return OffsetFetchResponse::default();
    };
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

pub(crate) async fn delete_offsets(context: &Context, request: &OffsetDeleteRequest) -> Reply {
    let refused = |code: ErrorCode| OffsetDeleteResponse::default().with_error_code(code.code());
    if !allows(context, AclOperation::Delete, &request.group_id) {
        return refused(ErrorCode::GroupAuthorizationFailed).into();
    }
    if request.group_id.is_empty() {
        return refused(ErrorCode::InvalidGroupId).into();
    }
    let mut results = ByTopic::new();
    let mut topics = Vec::new();
    for topic in &request.topics {
        let numbers = topic.partitions.iter().map(|p| p.partition_index);
        let known = context.image.topic(&topic.name);
        let may = context.allows_topic(AclOperation::Read, &topic.name);
        let is_there = |number: &i32| may && known.is_some_and(|t| t.partition(*number).is_some());
        let code = match may {
            true => ErrorCode::UnknownTopicOrPartition,
            false => ErrorCode::TopicAuthorizationFailed,
        };
        let (there, missing): (Vec<_>, Vec<_>) = numbers.partition(is_there);
        if !missing.is_empty() {
            let missing = missing.into_iter().map(|number| (number, code));
            results.add((own(&topic.name), TopicId::ZERO), missing);
        }
        if !there.is_empty() {
            topics.push(TopicPartitions {
                topic: topic.name.clone(),
                partitions: there,
            });
        }
    }
    let delete = GroupRequest::OffsetDelete(OffsetDelete {
        group: request.group_id.clone(),
        topics,
    });
    let groups = context.core.groups();
    let asked = groups
        .ask(&context.core, &context.session, &request.group_id, delete)
        .await;
    when_told(asked, move |told| match answer!(told, OffsetDelete) {
        Ok(DeletedOffsets {
            error: ErrorCode::None,
            topics,
        }) => {
            for (topic, partitions) in topics {
                results.add((topic, TopicId::ZERO), partitions);
            }
            deleted(results)
        }
        Ok(DeletedOffsets { error: code, .. }) | Err(code) => refused(code),
    })
}

fn deleted(results: ByTopic<(i32, ErrorCode)>) -> OffsetDeleteResponse {
    let partition = |(number, code): (i32, ErrorCode)| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(number)
            .with_error_code(code.code())
    };
    let topic = |((name, _), partitions): ((StrBytes, TopicId), Vec<(i32, ErrorCode)>)| {
        OffsetDeleteResponseTopic::default()
            .with_name(WireTopicName(name))
            .with_partitions(partitions.into_iter().map(partition).collect())
    };
    OffsetDeleteResponse::default().with_topics(results.topics.into_iter().map(topic).collect())
}
