//! Committed offsets: commit, fetch, delete.

use ottla_log::{Offset, Timestamp, TopicId};
use ottla_protocol::{ErrorCode, StrBytes};

use super::GroupShard;
use super::members::{TEXT_BYTES_MAX, answer};
use crate::group::decision::{Answer, Decision, Now, WaiterId};
use crate::group::live::{CONSUMER, Live};
use crate::group::record::{CommittedOffset, Record};
use crate::group::request::{
    CommitPartition, CommitTopic, OffsetCommit, OffsetDelete, OffsetFetch, TopicPartitions,
};
use crate::group::response::{
    CommittedOffsets, DeletedOffsets, FetchedOffsets, FetchedPartition, FetchedTopic,
    GroupResponse, GroupState,
};
use crate::group::room::Room;
use crate::group::state::{Growth, HardGroup};

impl GroupShard {
    pub(super) fn commit(
        &mut self,
        now: Now,
        waiter: WaiterId,
        request: &OffsetCommit,
        decision: &mut Decision,
    ) {
        decision.seen = self.hard.seen(&request.group);
        let verdict = self.check_commit(request);
        let mut session = None;
        if verdict == ErrorCode::None {
            // A commit says that the member lives. While the group waits for its leader it is
            // refused anyway.
            self.if_live(now, &request.group, decision, |live, turn| {
                session = live.speaks(turn, &request.identity.member_id);
            });
        }
        let mut room = self.room;
        let mut is_group_paid = false;
        let topics = request.topics.iter().map(|topic| {
            let mut is_topic_paid = false;
            let partitions = topic.partitions.iter().map(|partition| {
                let mut verdict = match verdict {
                    ErrorCode::None => self.check_note(partition),
                    refused => refused,
                };
                if verdict == ErrorCode::None {
                    let record = record(now, request, topic, partition);
                    let growth = self.hard.growth(&record, is_group_paid, is_topic_paid);
                    verdict = take_room(&mut room, growth);
                    if verdict == ErrorCode::None {
                        (is_group_paid, is_topic_paid) = (true, true);
                        decision.records.push(record);
                    }
                }
                (partition.partition, verdict)
            });
            (topic.topic.clone(), partitions.collect())
        });
        let committed = CommittedOffsets {
            topics: topics.collect(),
        };
        decision.answers.push(Answer {
            waiter,
            response: GroupResponse::OffsetCommit(committed),
            session,
        });
    }

    /// Whether the sender may commit for this group.
    fn check_commit(&self, request: &OffsetCommit) -> ErrorCode {
        let identity = &request.identity;
        let hard = self.hard.group(&request.group);
        let live = self.live(&request.group);
        if request.group.len() > TEXT_BYTES_MAX {
            return ErrorCode::InvalidGroupId;
        }
        if hard.is_none() && live.is_none() && identity.generation >= 0 {
            return if request.names_unknown_group {
                ErrorCode::GroupIdNotFound
            } else {
                ErrorCode::IllegalGeneration
            };
        }
        if hard.is_some_and(HardGroup::has_foreign_members) && live.is_none() {
            return ErrorCode::UnknownMemberId;
        }
        let state = live.map_or(GroupState::Empty, Live::state);
        let is_member = identity.generation >= 0
            || !identity.member_id.is_empty()
            || identity.instance_id.is_some();
        match live {
            // Who only keeps offsets here may do so while nobody else does.
            _ if state == GroupState::Empty && identity.generation < 0 => ErrorCode::None,
            Some(live) if is_member => match live.check_identity(identity) {
                ErrorCode::None if state == GroupState::CompletingRebalance => {
                    ErrorCode::RebalanceInProgress
                }
                verdict => verdict,
            },
            _ => ErrorCode::UnknownMemberId,
        }
    }

    fn check_note(&self, partition: &CommitPartition) -> ErrorCode {
        let note = &partition.metadata;
        // Kafka counts in UTF-16 units, of which a text has no more than bytes.
        let most = self.config.offset_metadata_max;
        let is_longer = note.len() > most && note.encode_utf16().count() > most;
        if is_longer || note.len() > TEXT_BYTES_MAX {
            ErrorCode::OffsetMetadataTooLarge
        } else {
            ErrorCode::None
        }
    }

    pub(super) fn fetch(&self, waiter: WaiterId, request: &OffsetFetch, decision: &mut Decision) {
        decision.seen = self.hard.seen(&request.group);
        let hard = self.hard.group(&request.group);
        let topics = match &request.topics {
            Some(topics) => topics
                .iter()
                .map(|asked| fetch_topic(hard, asked))
                .collect(),
            None => hard.map_or_else(Vec::new, fetch_all),
        };
        let fetched = FetchedOffsets { topics };
        answer(decision, waiter, GroupResponse::OffsetFetch(fetched));
    }

    pub(super) fn delete_offsets(
        &self,
        waiter: WaiterId,
        request: &OffsetDelete,
        decision: &mut Decision,
    ) {
        decision.seen = self.hard.seen(&request.group);
        let error = self.check_offset_delete(&request.group);
        let mut topics = Vec::new();
        if error == ErrorCode::None {
            for asked in &request.topics {
                let verdicts = self.delete_topic(&request.group, asked, decision);
                topics.push((asked.topic.clone(), verdicts));
            }
        }
        let deleted = DeletedOffsets { error, topics };
        answer(decision, waiter, GroupResponse::OffsetDelete(deleted));
    }

    fn check_offset_delete(&self, group: &StrBytes) -> ErrorCode {
        let hard = self.hard.group(group);
        let Some(live) = self.live(group) else {
            return match hard {
                None => ErrorCode::GroupIdNotFound,
                Some(_) => ErrorCode::None,
            };
        };
        let is_consumer = live.protocol_type().map(StrBytes::as_str) == Some(CONSUMER);
        if live.state() != GroupState::Empty && !is_consumer {
            return ErrorCode::NonEmptyGroup;
        }
        ErrorCode::None
    }

    fn delete_topic(
        &self,
        group: &StrBytes,
        asked: &TopicPartitions,
        decision: &mut Decision,
    ) -> Vec<(i32, ErrorCode)> {
        let live = self.live(group);
        let hard = self.hard.group(group);
        let is_subscribed = live.is_some_and(|live| live.is_subscribed(&asked.topic));
        let mut verdicts = Vec::with_capacity(asked.partitions.len());
        for partition in &asked.partitions {
            if is_subscribed {
                verdicts.push((*partition, ErrorCode::GroupSubscribedToTopic));
                continue;
            }
            verdicts.push((*partition, ErrorCode::None));
            if hard.is_some_and(|hard| hard.offset(&asked.topic, *partition).is_some()) {
                let tombstone = tombstone(group, &asked.topic, *partition);
                decision.records.push(tombstone);
            }
        }
        verdicts
    }

    /// Forgets what was committed for others than the topics that there are.
    pub(super) fn forget_strangers(
        &self,
        topic_id: impl Fn(&str) -> Option<TopicId>,
        decision: &mut Decision,
    ) {
        for (id, group) in self.hard.groups() {
            for (topic, partitions) in &group.offsets {
                let known = topic_id(topic);
                let strangers = partitions.iter().filter(|(_, c)| !is_of(c, known));
                let tombstones = strangers.map(|(number, _)| tombstone(id, topic, *number));
                decision.records.extend(tombstones);
            }
        }
    }

    /// Forgets what was committed for topics that are gone. An offset whose topic had another id
    /// is of a topic of the same name that is still there.
    pub(super) fn forget_topics(&self, topics: &[(StrBytes, TopicId)], decision: &mut Decision) {
        for (id, group) in self.hard.groups() {
            for (topic, topic_id) in topics {
                let partitions = group.offsets.get(topic).into_iter().flatten();
                for (partition, committed) in partitions {
                    if committed.topic_id.is_none_or(|known| known == *topic_id) {
                        decision.records.push(tombstone(id, topic, *partition));
                    }
                }
            }
        }
    }
}

/// Whether the offset is of the topic of this id; `None` where there is no topic of the name.
/// Takes what an offset needs of the room that is left, if there is as much.
fn take_room(room: &mut Room, growth: Growth) -> ErrorCode {
    let left = if growth.is_known {
        room.for_known
    } else {
        room.for_new
    };
    if growth.bytes > left {
        return ErrorCode::InvalidCommitOffsetSize;
    }
    room.for_known = room.for_known.saturating_sub(growth.bytes);
    room.for_new = room.for_new.saturating_sub(growth.bytes);
    ErrorCode::None
}

fn is_of(committed: &CommittedOffset, topic: Option<TopicId>) -> bool {
    topic.is_some_and(|id| committed.topic_id.is_none_or(|known| known == id))
}

/// The record that forgets an offset.
pub(super) fn tombstone(group: &StrBytes, topic: &StrBytes, partition: i32) -> Record {
    Record::Offset {
        group: group.clone(),
        topic: topic.clone(),
        partition,
        committed: None,
    }
}

fn record(
    now: Now,
    request: &OffsetCommit,
    topic: &CommitTopic,
    partition: &CommitPartition,
) -> Record {
    let expires_at = request.retention.map(|retention| {
        let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        Timestamp::new(now.wall.get().saturating_add(retention))
    });
    Record::Offset {
        group: request.group.clone(),
        topic: topic.topic.clone(),
        partition: partition.partition,
        committed: Some(CommittedOffset {
            offset: partition.offset,
            leader_epoch: partition.leader_epoch,
            metadata: partition.metadata.clone(),
            committed_at: now.wall,
            expires_at,
            // What is written down with a time has no place for the topic's id, as with Kafka.
            topic_id: topic.topic_id.filter(|_| expires_at.is_none()),
        }),
    }
}

fn fetch_topic(hard: Option<&HardGroup>, asked: &TopicPartitions) -> FetchedTopic {
    let partitions = asked.partitions.iter().map(|partition| {
        let committed = hard.and_then(|hard| hard.offset(&asked.topic, *partition));
        fetched(*partition, committed)
    });
    FetchedTopic {
        topic: asked.topic.clone(),
        partitions: partitions.collect(),
    }
}

fn fetch_all(hard: &HardGroup) -> Vec<FetchedTopic> {
    let topics = hard.offsets.iter().map(|(topic, partitions)| FetchedTopic {
        topic: topic.clone(),
        partitions: partitions
            .iter()
            .map(|(p, c)| fetched(*p, Some(c)))
            .collect(),
    });
    topics.collect()
}

/// An offset, or -1 and no error where there is none.
fn fetched(partition: i32, committed: Option<&CommittedOffset>) -> FetchedPartition {
    FetchedPartition {
        partition,
        error: ErrorCode::None,
        offset: committed.map_or(Offset::new(-1), |c| c.offset),
        leader_epoch: committed.and_then(|c| c.leader_epoch),
        metadata: committed.map(|c| c.metadata.clone()).unwrap_or_default(),
        topic_id: committed.and_then(|c| c.topic_id),
    }
}
