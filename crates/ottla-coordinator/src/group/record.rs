//! What a shard remembers, as it means it here and as Kafka writes it down.

use bytes::Bytes;
use ottla_log::{LeaderEpoch, Offset, Timestamp, TopicId};
use ottla_protocol::persisted::offsets::{
    GroupMember, GroupMetadataKey, GroupMetadataValue, Key, OffsetCommitKey, OffsetCommitValue,
};
use ottla_protocol::{EncodeError, StrBytes, persisted};
use uuid::Uuid;

/// A record of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// What a group committed for a partition; `None` forgets it.
    Offset {
        /// The group.
        group: StrBytes,
        /// The topic.
        topic: StrBytes,
        /// The partition.
        partition: i32,
        /// What was committed.
        committed: Option<CommittedOffset>,
    },
    /// A classic group's generation; `None` forgets the group.
    Group {
        /// The group.
        group: StrBytes,
        /// The generation.
        metadata: Option<GroupMetadata>,
    },
    /// Something of another type of group.
    Other(UnknownRecord),
}

/// A record that is not replayed here, but whose group is known to be of another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRecord {
    /// The type of its key.
    pub kind: i16,
    /// The group; `None` where not even the type is known.
    pub group: Option<StrBytes>,
    /// Its key.
    pub key: Bytes,
    /// Whether it deletes what the key names. Other values are not kept.
    pub is_tombstone: bool,
}

/// What was committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, where the client knew it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The client's note.
    pub metadata: StrBytes,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// When it is to be forgotten, where the client said so.
    pub expires_at: Option<Timestamp>,
    /// The topic's id, where it was known.
    pub topic_id: Option<TopicId>,
}

/// A generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer`, `connect` or the like.
    pub protocol_type: Option<StrBytes>,
    /// The generation.
    pub generation: i32,
    /// The protocol; `None` without members.
    pub protocol_name: Option<StrBytes>,
    /// The leader; `None` without members.
    pub leader: Option<StrBytes>,
    /// When the group came into its state, where that is known.
    pub state_since: Option<Timestamp>,
    /// The members, by id.
    pub members: Vec<MemberMetadata>,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Its id.
    pub member_id: StrBytes,
    /// Its `group.instance.id`.
    pub instance_id: Option<StrBytes>,
    /// Its `client.id`.
    pub client_id: StrBytes,
    /// Where it comes from.
    pub client_host: StrBytes,
    /// How long it may take to join again, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// What it told the leader for the generation's protocol.
    pub subscription: Bytes,
    /// What the leader assigned to it.
    pub assignment: Bytes,
}

impl GroupMetadata {
    /// The member with this id.
    #[must_use]
    pub fn member(&self, id: &StrBytes) -> Option<&MemberMetadata> {
        let found = self
            .members
            .binary_search_by(|m| m.member_id.cmp(id))
            .ok()?;
        self.members.get(found)
    }

    /// How many bytes it takes when it is written down, at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<StrBytes>| text.as_ref().map_or(0, |t| t.len());
        let member = |m: &MemberMetadata| {
            let texts = m.member_id.len() + m.client_id.len() + m.client_host.len();
            let opaque = m.subscription.len() + m.assignment.len();
            MEMBER_NUMBERS_BYTES + texts + text(&m.instance_id) + opaque
        };
        let texts = [&self.protocol_type, &self.protocol_name, &self.leader];
        let texts: usize = texts.into_iter().map(text).sum();
        GROUP_NUMBERS_BYTES + texts + self.members.iter().map(member).sum::<usize>()
    }
}

/// What the numbers and lengths of a group take: version, generation, time, three texts, a count.
const GROUP_NUMBERS_BYTES: usize = 2 + 4 + 8 + 3 * 2 + 4;
/// What the numbers and lengths of a member take: two times, four texts, two lots of bytes.
const MEMBER_NUMBERS_BYTES: usize = 2 * 4 + 4 * 2 + 2 * 4;

/// Why bytes are no record that can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Its key has no meaning.
    #[error("a record of __consumer_offsets has a key that cannot be read ({0})")]
    Key(persisted::RecordError),
    /// Its value has no meaning.
    #[error(
        "a record of __consumer_offsets has a value that cannot be read ({0}); it may be from a \
         newer version"
    )]
    Value(persisted::RecordError),
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] where it is none that this version or Kafka 4.4 writes. A key whose type
    /// is unknown is no error: what wrote it knows why it may be passed over.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Self, RecordError> {
        match Key::decode(key).map_err(RecordError::Key)? {
            Key::Offset(OffsetCommitKey {
                group,
                topic,
                partition,
            }) => {
                let value = value.map(OffsetCommitValue::decode).transpose();
                let committed = value.map_err(RecordError::Value)?.map(committed_of);
                Ok(Self::Offset {
                    group,
                    topic,
                    partition,
                    committed,
                })
            }
            Key::Group(GroupMetadataKey { group }) => {
                let value = value.map(GroupMetadataValue::decode).transpose();
                let metadata = value.map_err(RecordError::Value)?.map(metadata_of);
                Ok(Self::Group { group, metadata })
            }
            Key::Other { kind, group } => Ok(Self::Other(UnknownRecord {
                kind,
                group,
                key: key.clone(),
                is_tombstone: value.is_none(),
            })),
            // The enum may grow; what is not known here is passed over like an unknown type.
            _ => Ok(Self::Other(UnknownRecord {
                kind: -1,
                group: None,
                key: key.clone(),
                is_tombstone: value.is_none(),
            })),
        }
    }

    /// The record as bytes: its key, and its value, which is `None` for a tombstone. A record of
    /// another type of group is written as its deletion, whatever it was read as.
    ///
    /// # Errors
    /// [`EncodeError`] where a text is longer than its length can say; no decision of a shard is.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                committed,
            } => {
                let key = OffsetCommitKey {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                };
                let value = committed.as_ref().map(|c| value_of(c).encode());
                Ok((key.encode()?, value.transpose()?))
            }
            Self::Group { group, metadata } => {
                let key = GroupMetadataKey {
                    group: group.clone(),
                };
                let value = metadata.as_ref().map(|m| group_value(m).encode());
                Ok((key.encode()?, value.transpose()?))
            }
            Self::Other(other) => Ok((other.key.clone(), None)),
        }
    }

    /// The group that the record is about.
    #[must_use]
    pub const fn group(&self) -> Option<&StrBytes> {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => Some(group),
            Self::Other(other) => other.group.as_ref(),
        }
    }
}

fn committed_of(value: OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: Offset::new(value.offset),
        leader_epoch: (value.leader_epoch >= 0).then(|| LeaderEpoch::new(value.leader_epoch)),
        metadata: value.metadata,
        committed_at: Timestamp::new(value.commit_timestamp),
        expires_at: known_time(value.expire_timestamp),
        topic_id: topic_of(value.topic_id),
    }
}

fn value_of(committed: &CommittedOffset) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: committed.offset.get(),
        leader_epoch: committed.leader_epoch.unwrap_or(LeaderEpoch::NONE).get(),
        metadata: committed.metadata.clone(),
        commit_timestamp: committed.committed_at.get(),
        expire_timestamp: time_or_none(committed.expires_at),
        topic_id: Uuid::from_bytes(committed.topic_id.unwrap_or(TopicId::ZERO).to_bytes()),
    }
}

/// Members are kept by id: the order in the bytes means nothing.
fn metadata_of(value: GroupMetadataValue) -> GroupMetadata {
    let mut members: Vec<_> = value.members.into_iter().map(member_of).collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    members.dedup_by(|a, b| a.member_id == b.member_id);
    GroupMetadata {
        protocol_type: (!value.protocol_type.is_empty()).then_some(value.protocol_type),
        generation: value.generation,
        protocol_name: value.protocol,
        leader: value.leader,
        state_since: known_time(value.current_state_timestamp),
        members,
    }
}

fn member_of(member: GroupMember) -> MemberMetadata {
    // Before version 1 the session timeout was the time for both.
    let rebalance_timeout_ms = match member.rebalance_timeout {
        -1 => member.session_timeout,
        known => known,
    };
    MemberMetadata {
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription,
        assignment: member.assignment,
    }
}

fn group_value(metadata: &GroupMetadata) -> GroupMetadataValue {
    let members = metadata.members.iter().map(|member| GroupMember {
        member_id: member.member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    });
    GroupMetadataValue {
        protocol_type: metadata.protocol_type.clone().unwrap_or_default(),
        generation: metadata.generation,
        protocol: metadata.protocol_name.clone(),
        leader: metadata.leader.clone(),
        current_state_timestamp: time_or_none(metadata.state_since),
        members: members.collect(),
    }
}

fn topic_of(id: Uuid) -> Option<TopicId> {
    (!id.is_nil()).then(|| TopicId::from_bytes(id.into_bytes()))
}

fn known_time(millis: i64) -> Option<Timestamp> {
    (millis != -1).then(|| Timestamp::new(millis))
}

fn time_or_none(time: Option<Timestamp>) -> i64 {
    time.map_or(-1, Timestamp::get)
}
