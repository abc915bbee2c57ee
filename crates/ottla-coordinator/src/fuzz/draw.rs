//! Requests from bytes, by members that remember what they were told.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_log::{Offset, TopicId};
use ottla_protocol::{ErrorCode, StrBytes};

use crate::group::request::{
    CommitPartition, CommitTopic, DeleteGroup, DescribeGroup, Heartbeat, Identity, JoinGroup,
    LeaveGroup, LeavingMember, ListGroups, OffsetCommit, OffsetDelete, OffsetFetch, Protocol,
    SyncGroup, TopicPartitions,
};
use crate::group::{GroupRequest, GroupResponse};

/// The longest session and rebalance timeouts that are asked for.
pub(super) const SESSION_SECONDS_MAX: u64 = 400;
pub(super) const REBALANCE_SECONDS_MAX: u64 = 60;

const GROUPS: [&str; 3] = ["g", "h", ""];
const TOPICS: [&str; 2] = ["t", "u"];
const INSTANCES: [Option<&str>; 5] = [None, None, None, Some("s0"), Some("s1")];

/// What the members know by what they were told.
#[derive(Debug, Default)]
pub(super) struct Known {
    groups: BTreeMap<StrBytes, KnownGroup>,
}

#[derive(Debug, Default)]
struct KnownGroup {
    generation: i32,
    /// The ids that were given, the newest last, with the generation that each is in.
    ids: Vec<(StrBytes, i32)>,
    /// Whom the leader was told of.
    members: Vec<StrBytes>,
}

impl Known {
    /// Somebody hears an answer.
    pub(super) fn hear(&mut self, group: &StrBytes, response: &GroupResponse) {
        let GroupResponse::Join(joined) = response else {
            return;
        };
        let is_given = matches!(joined.error, ErrorCode::None | ErrorCode::MemberIdRequired);
        if !is_given {
            return;
        }
        let known = self.groups.entry(group.clone()).or_default();
        known.ids.retain(|(id, _)| *id != joined.member_id);
        let given = (joined.member_id.clone(), joined.generation);
        known.ids.push(given);
        if joined.generation >= 0 {
            known.generation = joined.generation;
        }
        if !joined.members.is_empty() {
            let members = joined.members.iter().map(|m| m.member_id.clone());
            known.members = members.collect();
        }
    }
}

/// Who owns what a member does: the member, or its place where that is static.
pub(super) fn owner(member: &StrBytes) -> StrBytes {
    let instance = INSTANCES.into_iter().flatten();
    let mut instance = instance.filter(|instance| member.starts_with(&format!("{instance}-")));
    instance
        .next()
        .map_or_else(|| member.clone(), StrBytes::from_static_str)
}

/// What is left of the bytes. Where nothing is left, everything is zero.
#[derive(Debug)]
pub(super) struct Draw<'a> {
    bytes: &'a [u8],
}

impl<'a> Draw<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number below `end`, which is at most 256.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                u64::from(*first) % end
            }
            None => 0,
        }
    }

    fn number(&mut self, end: u64) -> i32 {
        i32::try_from(self.below(end)).unwrap_or_default()
    }

    /// One of a few.
    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let drawn = self.below(of.len().clamp(1, 256) as u64);
        usize::try_from(drawn)
            .ok()
            .and_then(|at| of.get(at).cloned())
    }

    fn name(&mut self, of: &[&'static str]) -> StrBytes {
        self.one(of)
            .map(StrBytes::from_static_str)
            .unwrap_or_default()
    }

    fn instance(&mut self) -> Option<StrBytes> {
        self.one(&INSTANCES)
            .flatten()
            .map(StrBytes::from_static_str)
    }

    pub(super) fn topic(&mut self) -> (StrBytes, TopicId) {
        let id = u8::try_from(1 + self.below(3)).unwrap_or_default();
        (self.name(&TOPICS), TopicId::from_bytes([id; 16]))
    }

    /// A request about a group; `entropy` is new with each.
    pub(super) fn request(&mut self, known: &Known, entropy: u64) -> (StrBytes, GroupRequest) {
        let group = self.name(&GROUPS);
        let empty = KnownGroup::default();
        let known = known.groups.get(&group).unwrap_or(&empty);
        let request = match self.below(16) {
            0..=4 => GroupRequest::Join(self.join(&group, known, entropy)),
            5..=8 => GroupRequest::Sync(self.sync(&group, known)),
            9 => GroupRequest::Heartbeat(Heartbeat {
                group: group.clone(),
                identity: self.identity(known),
            }),
            10 => GroupRequest::Leave(self.leave(&group, known)),
            11 | 12 => GroupRequest::OffsetCommit(self.commit(&group, known)),
            13 => GroupRequest::OffsetFetch(OffsetFetch {
                group: group.clone(),
                topics: (self.below(2) == 0).then(|| self.partitions()),
            }),
            14 => GroupRequest::OffsetDelete(OffsetDelete {
                group: group.clone(),
                topics: self.partitions(),
            }),
            _ => self.look(&group),
        };
        (group, request)
    }

    fn look(&mut self, group: &StrBytes) -> GroupRequest {
        let group = group.clone();
        match self.below(4) {
            0 | 1 => GroupRequest::Describe(DescribeGroup { group }),
            2 => GroupRequest::List(ListGroups::default()),
            _ => GroupRequest::Delete(DeleteGroup { group }),
        }
    }

    /// An id that was given, none, or one of nobody's.
    fn member(&mut self, known: &KnownGroup) -> (StrBytes, i32) {
        let newest = known.ids.iter().rev().take(8).cloned();
        let newest: Vec<_> = newest.collect();
        match self.below(8) {
            0 => (StrBytes::new(), -1),
            1 => (StrBytes::from_static_str("nobody"), known.generation),
            _ => self.one(&newest).unwrap_or((StrBytes::new(), -1)),
        }
    }

    fn identity(&mut self, known: &KnownGroup) -> Identity {
        let (member_id, own) = self.member(known);
        let generation = match self.below(8) {
            0 => -1,
            1 => known.generation.wrapping_add(1),
            2 => known.generation,
            _ => own,
        };
        Identity {
            instance_id: self.instance_of(&member_id),
            member_id,
            generation,
        }
    }

    /// The instance of a member, as a rule.
    fn instance_of(&mut self, member: &StrBytes) -> Option<StrBytes> {
        let own = owner(member);
        match self.below(8) {
            0 => self.instance(),
            _ => (own != *member).then_some(own),
        }
    }

    fn join(&mut self, group: &StrBytes, known: &KnownGroup, entropy: u64) -> JoinGroup {
        let (member_id, _) = match self.below(3) {
            0 => (StrBytes::new(), -1),
            _ => self.member(known),
        };
        let instance_id = match member_id.is_empty() {
            true => self.instance(),
            false => self.instance_of(&member_id),
        };
        let says = [
            &[][..],
            b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff",
            b"\0\x01",
            b"any",
        ];
        let says = Bytes::from_static(self.one(&says).unwrap_or_default());
        let listed: &[&[&'static str]] = &[&["r"], &["r", "c"], &["c", "r"], &["c"], &[]];
        let listed = self.one(listed).unwrap_or_default();
        let protocols = listed.iter().map(|name| Protocol {
            name: StrBytes::from_static_str(name),
            metadata: says.clone(),
        });
        JoinGroup {
            group: group.clone(),
            member_id,
            instance_id,
            client_id: StrBytes::from_static_str("c"),
            client_host: StrBytes::from_static_str("/h"),
            session_timeout_ms: self.millis(&[10, 6, 45, SESSION_SECONDS_MAX, 5]),
            rebalance_timeout_ms: self.millis(&[30, REBALANCE_SECONDS_MAX, 5, 0]),
            protocol_type: self.name(&["consumer", "consumer", "consumer", "connect", ""]),
            protocols: protocols.collect(),
            entropy: StrBytes::from_string(entropy.to_string()),
            requires_member_id: self.below(2) == 0,
            can_skip_assignment: self.below(2) == 0,
        }
    }

    fn millis(&mut self, seconds: &[u64]) -> i32 {
        let seconds = self.one(seconds).unwrap_or_default();
        i32::try_from(seconds * 1000).unwrap_or(i32::MAX)
    }

    /// As the leader, a partition for each that it was told of.
    fn sync(&mut self, group: &StrBytes, known: &KnownGroup) -> SyncGroup {
        let skipped = self.below(3);
        let assigned = (0_u8..).zip(&known.members).filter(|_| skipped != 1);
        let assignments = assigned.map(|(partition, id)| {
            let owned = Bytes::copy_from_slice(&[partition]);
            (id.clone(), owned)
        });
        SyncGroup {
            group: group.clone(),
            identity: self.identity(known),
            protocol_type: None,
            protocol_name: (self.below(8) == 0).then(|| StrBytes::from_static_str("r")),
            assignments: assignments.collect(),
        }
    }

    fn leave(&mut self, group: &StrBytes, known: &KnownGroup) -> LeaveGroup {
        let members = (0..=self.below(2)).map(|_| {
            let (member_id, _) = self.member(known);
            LeavingMember {
                instance_id: self.instance_of(&member_id),
                member_id,
            }
        });
        let members = members.collect();
        LeaveGroup {
            group: group.clone(),
            members,
        }
    }

    fn commit(&mut self, group: &StrBytes, known: &KnownGroup) -> OffsetCommit {
        let (topic, id) = self.topic();
        let partition = CommitPartition {
            partition: self.number(4),
            offset: Offset::new(self.number(100).into()),
            leader_epoch: None,
            metadata: self.name(&["", "note", "a longer note"]),
        };
        OffsetCommit {
            group: group.clone(),
            identity: self.identity(known),
            retention: (self.below(8) == 0).then_some(Duration::from_secs(3600)),
            names_unknown_group: self.below(2) == 0,
            topics: vec![CommitTopic {
                topic,
                topic_id: (self.below(2) == 0).then_some(id),
                partitions: vec![partition],
            }],
        }
    }

    fn partitions(&mut self) -> Vec<TopicPartitions> {
        vec![TopicPartitions {
            topic: self.name(&TOPICS),
            partitions: vec![self.number(4), self.number(4)],
        }]
    }
}
