//! Hard state: what the records say. It changes by [`Hard::replay`] and by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_log::Offset;
use ottla_protocol::StrBytes;

use super::record::{CommittedOffset, GroupMetadata, MemberMetadata, Record, UnknownRecord};
use super::room;
use super::text::{own, own_bytes, own_or_none};

/// The type of the keys of members of KIP-848 groups.
const CONSUMER_MEMBER: i16 = 5;
/// The type of the keys of members of share groups.
const SHARE_MEMBER: i16 = 10;
/// The type of the keys of members of streams groups.
const STREAMS_MEMBER: i16 = 19;

/// Everything that the records of a shard say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hard {
    groups: BTreeMap<StrBytes, HardGroup>,
    /// The offset behind the last record.
    end: Offset,
    /// What all of it takes in memory, about.
    bytes: usize,
}

/// What a record adds to what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// How much more memory it takes, about.
    pub(super) bytes: usize,
    /// Whether something is kept already where it goes.
    pub(super) is_known: bool,
}

/// The offsets of a group: by topic, then by partition.
pub(super) type Offsets = BTreeMap<StrBytes, BTreeMap<i32, CommittedOffset>>;

/// What the records say of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HardGroup {
    /// The last generation that was written down; `None` for a group that only keeps offsets.
    pub(super) metadata: Option<GroupMetadata>,
    /// What was committed. No topic is without partitions.
    pub(super) offsets: Offsets,
    /// The keys of records of other types of groups, with their types.
    pub(super) foreign: BTreeSet<(i16, Bytes)>,
    /// The offset behind the last record of this group.
    changed: Offset,
}

impl Hard {
    /// Applies the record at `offset`.
    pub(super) fn replay(&mut self, offset: Offset, record: &Record) {
        self.end = offset.plus(1);
        let Some(id) = record.group() else { return };
        let end = self.end;
        let deletes = match record {
            Record::Offset { committed, .. } => committed.is_none(),
            Record::Group { metadata, .. } => metadata.is_none(),
            Record::Other(other) => other.is_tombstone,
        };
        if deletes && !self.groups.contains_key(id) {
            return;
        }
        if !self.groups.contains_key(id) {
            self.bytes += room::GROUP_BYTES + id.len();
        }
        let group = entry(&mut self.groups, id);
        group.changed = end;
        self.bytes -= group.bytes_under(record);
        match record {
            Record::Offset {
                topic,
                partition,
                committed: Some(committed),
                ..
            } => {
                entry(&mut group.offsets, topic).insert(*partition, own_committed(committed));
            }
            Record::Offset {
                topic, partition, ..
            } => group.forget_offset(topic, *partition),
            Record::Group { metadata, .. } => {
                group.metadata = metadata.as_ref().map(own_metadata);
            }
            Record::Other(other) => group.note_foreign(other),
        }
        self.bytes += group.bytes_under(record);
        if group.is_nothing() {
            self.groups.remove(id);
            self.bytes -= room::GROUP_BYTES + id.len();
        }
    }

    /// What all of it takes in memory, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much more it takes with this offset, about; where an offset before it has brought the
    /// group or the topic already, without that.
    pub(super) fn growth(&self, offset: &Record, has_group: bool, has_topic: bool) -> Growth {
        let Record::Offset {
            group,
            topic,
            partition,
            committed: Some(committed),
        } = offset
        else {
            return Growth::default();
        };
        let mut bytes = room::of_committed(committed);
        let known_group = self.groups.get(group);
        if known_group.is_none() && !has_group {
            bytes += room::GROUP_BYTES + group.len();
        }
        let known_topic = known_group.and_then(|known| known.offsets.get(topic));
        if known_topic.is_none() && !has_topic {
            bytes += room::TOPIC_BYTES + topic.len();
        }
        let known = known_topic.and_then(|partitions| partitions.get(partition));
        Growth {
            bytes: bytes.saturating_sub(known.map_or(0, room::of_committed)),
            is_known: known.is_some(),
        }
    }

    /// The group of this id, if any record speaks of it.
    pub(super) fn group(&self, id: &StrBytes) -> Option<&HardGroup> {
        self.groups.get(id)
    }

    /// All groups, by id.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&StrBytes, &HardGroup)> {
        self.groups.iter()
    }

    /// Whether no record speaks of any group.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The end of what an answer about this group tells of. Of a group that no record speaks of
    /// any more it tells that its records were deleted, which may have been just now.
    pub(super) fn seen(&self, id: &StrBytes) -> Offset {
        self.groups.get(id).map_or(self.end, |group| group.changed)
    }

    /// Checks what is counted. For tests.
    pub(super) fn check(&self) {
        let groups = self.groups.iter();
        let groups = groups.map(|(id, group)| room::GROUP_BYTES + id.len() + group.count());
        assert_eq!(self.bytes, groups.sum::<usize>(), "{self:?}");
    }

    /// The offset behind the last record.
    pub(super) const fn end(&self) -> Offset {
        self.end
    }
}

impl HardGroup {
    /// Whether this is a group of another type than the classic one.
    pub(super) fn is_foreign(&self) -> bool {
        self.metadata.is_none() && !self.foreign.is_empty()
    }

    /// Whether a group of another type has members.
    pub(super) fn has_foreign_members(&self) -> bool {
        let member = |kind: i16| matches!(kind, CONSUMER_MEMBER | SHARE_MEMBER | STREAMS_MEMBER);
        self.foreign.iter().any(|(kind, _)| member(*kind))
    }

    /// Kafka's name of the type of a group of another type, which is its protocol type as well.
    pub(super) fn foreign_type(&self) -> &'static str {
        match self.foreign.first().map(|(kind, _)| *kind) {
            Some(10..=15) => "share",
            Some(17..=23) => "streams",
            _ => "consumer",
        }
    }

    /// The deletions of all records of other types of groups.
    pub(super) fn foreign_tombstones(&self, id: &StrBytes) -> impl Iterator<Item = Record> {
        self.foreign.iter().map(move |(kind, key)| {
            Record::Other(UnknownRecord {
                kind: *kind,
                group: Some(id.clone()),
                key: key.clone(),
                is_tombstone: true,
            })
        })
    }

    /// What was committed for a partition.
    pub(super) fn offset(&self, topic: &StrBytes, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }

    /// What is kept under the key of this record, about.
    fn bytes_under(&self, record: &Record) -> usize {
        match record {
            Record::Offset {
                topic, partition, ..
            } => self.offsets.get(topic).map_or(0, |partitions| {
                let committed = partitions.get(partition).map_or(0, room::of_committed);
                room::TOPIC_BYTES + topic.len() + committed
            }),
            Record::Group { .. } => self.metadata.as_ref().map_or(0, room::of_generation),
            Record::Other(other) => {
                let is_kept = self.foreign.contains(&(other.kind, other.key.clone()));
                usize::from(is_kept) * (room::FOREIGN_BYTES + other.key.len())
            }
        }
    }

    /// What all of it takes, counted anew.
    fn count(&self) -> usize {
        let topics = self.offsets.iter().map(|(topic, partitions)| {
            let offsets = partitions.values().map(room::of_committed);
            room::TOPIC_BYTES + topic.len() + offsets.sum::<usize>()
        });
        let foreign = self.foreign.iter();
        let foreign = foreign.map(|(_, key)| room::FOREIGN_BYTES + key.len());
        let metadata = self.metadata.as_ref().map_or(0, room::of_generation);
        topics.sum::<usize>() + foreign.sum::<usize>() + metadata
    }

    fn forget_offset(&mut self, topic: &StrBytes, partition: i32) {
        let Some(partitions) = self.offsets.get_mut(topic) else {
            return;
        };
        partitions.remove(&partition);
        if partitions.is_empty() {
            self.offsets.remove(topic);
        }
    }

    fn note_foreign(&mut self, record: &UnknownRecord) {
        if record.is_tombstone {
            self.foreign.remove(&(record.kind, record.key.clone()));
        } else {
            self.foreign.insert((record.kind, own_bytes(&record.key)));
        }
    }

    fn is_nothing(&self) -> bool {
        self.metadata.is_none() && self.offsets.is_empty() && self.foreign.is_empty()
    }
}

/// The entry of `key`, which is copied only when it is new.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<StrBytes, V>, key: &StrBytes) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(own(key), V::default());
    }
    map.get_mut(key).expect("it was just put there")
}

fn own_committed(committed: &CommittedOffset) -> CommittedOffset {
    CommittedOffset {
        metadata: own(&committed.metadata),
        ..committed.clone()
    }
}

fn own_metadata(metadata: &GroupMetadata) -> GroupMetadata {
    let members = metadata.members.iter().map(|member| MemberMetadata {
        member_id: own(&member.member_id),
        instance_id: own_or_none(member.instance_id.as_ref()),
        client_id: own(&member.client_id),
        client_host: own(&member.client_host),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        subscription: own_bytes(&member.subscription),
        assignment: own_bytes(&member.assignment),
    });
    GroupMetadata {
        protocol_type: own_or_none(metadata.protocol_type.as_ref()),
        generation: metadata.generation,
        protocol_name: own_or_none(metadata.protocol_name.as_ref()),
        leader: own_or_none(metadata.leader.as_ref()),
        state_since: metadata.state_since,
        members: members.collect(),
    }
}
