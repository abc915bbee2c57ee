//! A consumer, as far as the coordinator can tell it from a real one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_log::Offset;
use ottla_protocol::{ErrorCode, StrBytes};

use super::world::{GROUP, PARTITIONS, TOPIC};
use crate::group::WaiterId;
use crate::group::request::{
    CommitPartition, CommitTopic, GroupRequest, Heartbeat, Identity, JoinGroup, OffsetCommit,
    OffsetFetch, Protocol, SyncGroup, TopicPartitions,
};
use crate::group::response::{GroupResponse, JoinedGroup};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: StrBytes,
    /// Two of the clients are static members.
    pub(super) instance: Option<StrBytes>,
    /// One client speaks an old version of the protocol.
    is_old: bool,
    pub(super) id: StrBytes,
    pub(super) generation: i32,
    pub(super) phase: Phase,
    /// What it is subscribed to; changes cause rebalances.
    pub(super) subscription: u8,
    /// The next offset to read of each partition that it owns.
    pub(super) positions: BTreeMap<i32, i64>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Phase {
    /// It has to join.
    Out,
    Joining(WaiterId),
    /// It joined, and has to sync; as the leader, with an assignment for these members.
    Joined(Vec<StrBytes>),
    Syncing(WaiterId),
    /// It asks where to begin with its partitions.
    Fetching(WaiterId),
    Owning,
}

impl Client {
    pub(super) fn new(number: usize) -> Self {
        Self {
            name: StrBytes::from_string(format!("c{number}")),
            instance: (number < 2).then(|| StrBytes::from_string(format!("s{number}"))),
            is_old: number == 1 || number == 2,
            id: StrBytes::new(),
            generation: -1,
            phase: Phase::Out,
            subscription: 0,
            positions: BTreeMap::new(),
        }
    }

    /// The process dies and another takes its place.
    pub(super) fn restart(&mut self) {
        self.id = StrBytes::new();
        self.rejoin();
    }

    /// It has lost its generation.
    pub(super) fn rejoin(&mut self) {
        self.generation = -1;
        self.phase = Phase::Out;
        self.positions.clear();
    }

    /// Its connection is gone, and with it every answer that it waits for.
    pub(super) fn disconnect(&mut self) {
        if matches!(
            self.phase,
            Phase::Joining(_) | Phase::Syncing(_) | Phase::Fetching(_)
        ) {
            self.rejoin();
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            member_id: self.id.clone(),
            instance_id: self.instance.clone(),
            generation: self.generation,
        }
    }

    /// What it asks next, if it does not wait.
    pub(super) fn next(&self, entropy: u64) -> Option<GroupRequest> {
        let group = StrBytes::from_static_str(GROUP);
        match &self.phase {
            Phase::Out => Some(self.join(entropy)),
            Phase::Joined(members) => Some(GroupRequest::Sync(SyncGroup {
                group,
                identity: self.identity(),
                assignments: assign(members),
                ..SyncGroup::default()
            })),
            Phase::Owning => Some(GroupRequest::Heartbeat(Heartbeat {
                group,
                identity: self.identity(),
            })),
            Phase::Joining(_) | Phase::Syncing(_) | Phase::Fetching(_) => None,
        }
    }

    pub(super) fn join(&self, entropy: u64) -> GroupRequest {
        let protocol = |name| Protocol {
            name: StrBytes::from_static_str(name),
            metadata: Bytes::copy_from_slice(&[0, 0, 0, 0, 0, 0, self.subscription]),
        };
        GroupRequest::Join(JoinGroup {
            group: GROUP.into(),
            member_id: self.id.clone(),
            instance_id: self.instance.clone(),
            client_id: self.name.clone(),
            client_host: "/127.0.0.1".into(),
            // Static members outlive rebalances that they do not hear of.
            session_timeout_ms: if self.instance.is_some() {
                100_000
            } else {
                10_000
            },
            rebalance_timeout_ms: 60_000 - 30_000 * i32::from(self.is_old),
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range"), protocol("sticky")],
            entropy: StrBytes::from_string(entropy.to_string()),
            requires_member_id: !self.is_old,
            can_skip_assignment: !self.is_old,
        })
    }

    pub(super) fn fetch(&self) -> GroupRequest {
        GroupRequest::OffsetFetch(OffsetFetch {
            group: GROUP.into(),
            topics: Some(vec![TopicPartitions {
                topic: TOPIC.into(),
                partitions: self.positions.keys().copied().collect(),
            }]),
        })
    }

    /// Commits the next record of a partition, if it owns it.
    pub(super) fn commit(&mut self, partition: i32) -> Option<GroupRequest> {
        if self.phase != Phase::Owning {
            return None;
        }
        let position = self.positions.get_mut(&partition)?;
        *position += 1;
        let position = *position;
        Some(commit(self.identity(), partition, position))
    }

    /// Hears an answer. What it owns now is in `positions`.
    pub(super) fn hear(&mut self, waiter: WaiterId, response: &GroupResponse) {
        match response {
            GroupResponse::Join(joined) if self.phase == Phase::Joining(waiter) => {
                self.joined(joined);
            }
            GroupResponse::Sync(synced) if self.phase == Phase::Syncing(waiter) => {
                if synced.error == ErrorCode::None {
                    let owned = synced.assignment.iter();
                    self.positions = owned.map(|p| (i32::from(*p), 0)).collect();
                    self.phase = Phase::Owning;
                } else {
                    self.refused(synced.error);
                }
            }
            GroupResponse::OffsetFetch(fetched) if self.phase == Phase::Fetching(waiter) => {
                for partition in fetched.topics.iter().flat_map(|topic| &topic.partitions) {
                    let from = partition.offset.get().max(0);
                    self.positions.insert(partition.partition, from);
                }
                self.phase = Phase::Owning;
            }
            GroupResponse::Heartbeat(error) if self.phase == Phase::Owning => {
                self.refused(*error);
            }
            _ => {}
        }
    }

    fn joined(&mut self, joined: &JoinedGroup) {
        match joined.error {
            ErrorCode::None => {
                self.id = joined.member_id.clone();
                self.generation = joined.generation;
                let assigns = joined.leader == self.id && !joined.skip_assignment;
                let members = joined.members.iter().filter(|_| assigns);
                self.phase = Phase::Joined(members.map(|m| m.member_id.clone()).collect());
            }
            ErrorCode::MemberIdRequired => {
                self.id = joined.member_id.clone();
                self.phase = Phase::Out;
            }
            error => self.refused(error),
        }
    }

    fn refused(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::None => {}
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.restart(),
            _ => self.rejoin(),
        }
    }
}

pub(super) fn commit(identity: Identity, partition: i32, offset: i64) -> GroupRequest {
    let partition = CommitPartition {
        partition,
        offset: Offset::new(offset),
        ..CommitPartition::default()
    };
    GroupRequest::OffsetCommit(OffsetCommit {
        group: GROUP.into(),
        identity,
        topics: vec![CommitTopic {
            topic: TOPIC.into(),
            topic_id: None,
            partitions: vec![partition],
        }],
        ..OffsetCommit::default()
    })
}

/// Deals the partitions out to the members: one byte for each partition of a member.
fn assign(members: &[StrBytes]) -> Vec<(StrBytes, Bytes)> {
    let mut dealt: BTreeMap<&StrBytes, Vec<u8>> = BTreeMap::new();
    let unique: BTreeSet<&StrBytes> = members.iter().collect();
    for (partition, member) in (0..PARTITIONS).zip(unique.iter().cycle()) {
        let partition = u8::try_from(partition).unwrap();
        dealt.entry(*member).or_default().push(partition);
    }
    let dealt = dealt.into_iter();
    dealt
        .map(|(id, owned)| (id.clone(), Bytes::from(owned)))
        .collect()
}
