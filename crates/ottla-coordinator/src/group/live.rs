//! Soft state: what a group with members is doing right now.
//!
//! None of it is written down as such. A generation becomes hard when its leader's assignment is
//! recorded; until then a crash takes it back, and nobody has been given anything in it. After a
//! load, [`Live::of`] makes it anew from the last recorded generation.

mod check;
mod deadline;
mod expire;
mod join;
mod leave;
mod member;
mod rebalance;
mod subscription;
mod sync;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ottla_log::Timestamp;
use ottla_protocol::{ErrorCode, StrBytes};

use self::deadline::Deadline;
use self::member::Member;
pub(super) use self::member::bytes as protocols_bytes;
pub(super) use self::turn::Turn;
use super::record::{GroupMetadata, MemberMetadata};
use super::request::{Identity, Protocol};
use super::response::{GroupState, JoinedMember};
use super::room;

/// The protocol type of consumers, whose metadata Kafka looks into.
pub(super) const CONSUMER: &str = "consumer";

/// A group with members, or with ids handed out to members to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Live {
    phase: Phase,
    generation: i32,
    protocol_type: Option<StrBytes>,
    protocol_name: Option<StrBytes>,
    leader: Option<StrBytes>,
    members: BTreeMap<StrBytes, Member>,
    /// The member of each `group.instance.id`.
    statics: BTreeMap<StrBytes, StrBytes>,
    /// The ids that were handed out and not come back with, and until when they may.
    pending: BTreeMap<StrBytes, Deadline>,
    /// The members that have not synced with this generation.
    unsynced: BTreeSet<StrBytes>,
    /// How many members wait for the answer to their join.
    joining: usize,
    /// How many members support each protocol.
    support: BTreeMap<StrBytes, usize>,
    /// What all members' protocols say, in bytes.
    bytes: usize,
    /// What its members and the ids that it handed out take in memory, about.
    held: usize,
    /// The topics of all members; `None` where they are not known.
    subscribed: Option<BTreeSet<StrBytes>>,
    state_since: Option<Timestamp>,
    /// When the time for joining is up.
    join_until: Option<Deadline>,
    /// When the time for syncing is up.
    sync_until: Option<Deadline>,
}

/// Where a group stands between two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    /// Members join; of a group that was empty, first of all for a while.
    Preparing(Option<FirstJoins>),
    Completing,
    Stable,
}

/// The wait for more members of a group that was empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirstJoins {
    /// How long this part of it lasts.
    delay: Duration,
    /// How much longer it may be extended.
    remaining: Duration,
    /// Whether it is extended: somebody joined meanwhile.
    is_extended: bool,
}

impl Live {
    /// The group as its last recorded generation left it, or a new one.
    pub(super) fn of(metadata: Option<&GroupMetadata>) -> Self {
        let mut live = Self {
            phase: Phase::Empty,
            generation: metadata.map_or(0, |m| m.generation),
            protocol_type: metadata.and_then(|m| m.protocol_type.clone()),
            protocol_name: metadata.and_then(|m| m.protocol_name.clone()),
            leader: metadata.and_then(|m| m.leader.clone()),
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            joining: 0,
            support: BTreeMap::new(),
            bytes: 0,
            held: 0,
            subscribed: None,
            state_since: metadata.and_then(|m| m.state_since),
            join_until: None,
            sync_until: None,
        };
        let members = metadata.map_or(&[][..], |m| &m.members);
        for recorded in members {
            live.insert(recorded.member_id.clone(), live.remember(recorded));
        }
        if !live.members.is_empty() {
            live.phase = Phase::Stable;
        }
        live.subscribed = live.subscriptions();
        live
    }

    /// A member as it was recorded: of its protocols only the chosen one is known.
    fn remember(&self, recorded: &MemberMetadata) -> Member {
        let protocol = Protocol {
            name: self.protocol_name.clone().unwrap_or_default(),
            metadata: recorded.subscription.clone(),
        };
        Member {
            instance_id: recorded.instance_id.clone(),
            client_id: recorded.client_id.clone(),
            client_host: recorded.client_host.clone(),
            rebalance_timeout_ms: recorded.rebalance_timeout_ms,
            session_timeout_ms: recorded.session_timeout_ms,
            protocols: vec![protocol],
            ..Member::default()
        }
    }

    // What it is.

    pub(super) const fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing(_) => GroupState::PreparingRebalance,
            Phase::Completing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    /// Whether there is nothing about it that its records do not say.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Empty && self.pending.is_empty()
    }

    pub(super) const fn protocol_type(&self) -> Option<&StrBytes> {
        self.protocol_type.as_ref()
    }

    pub(super) const fn protocol_name(&self) -> Option<&StrBytes> {
        self.protocol_name.as_ref()
    }

    pub(super) const fn members(&self) -> &BTreeMap<StrBytes, Member> {
        &self.members
    }

    /// What it takes in memory, about.
    pub(super) fn bytes_held(&self) -> usize {
        room::LIVE_BYTES + self.held
    }

    /// How many ids were handed out and not come back with.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Those ids.
    pub(super) fn pending_ids(&self) -> impl Iterator<Item = &StrBytes> {
        self.pending.keys()
    }

    fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether the topics of all members are known, so that other topics are known to be nobody's.
    pub(super) const fn knows_subscriptions(&self) -> bool {
        self.subscribed.is_some()
    }

    /// Whether some member is subscribed to `topic`, as far as is known: of consumers whose
    /// subscriptions cannot be read it has to be assumed.
    pub(super) fn is_subscribed(&self, topic: &StrBytes) -> bool {
        let known = self.subscribed.as_ref().map(|all| all.contains(topic));
        known.unwrap_or_else(|| self.is_consumer())
    }

    fn is_leader(&self, member: &StrBytes) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// All members, as told to the leader.
    fn told_members(&self) -> Vec<JoinedMember> {
        let told = self.members.iter().map(|(id, member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: self.chosen_metadata(member),
        });
        told.collect()
    }

    /// What the member says for the protocol of the generation.
    pub(super) fn chosen_metadata(&self, member: &Member) -> Bytes {
        let chosen = self.protocol_name.as_ref();
        chosen.map_or_else(Bytes::new, |name| member.metadata(name))
    }

    /// The longest that any member may take to join again.
    fn rebalance_timeout(&self) -> Duration {
        let longest = self.members.values().map(Member::rebalance_timeout).max();
        longest.unwrap_or_default()
    }

    /// Whether every member waits for the next generation, and nobody else is expected.
    fn all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    // Who may ask.

    /// Refuses an id that is not a member's, and one whose static member is another by now.
    pub(super) fn check_member(&self, id: &StrBytes, instance: Option<&StrBytes>) -> ErrorCode {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return ErrorCode::UnknownMemberId,
                Some(current) if current != id => return ErrorCode::FencedInstanceId,
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) {
            ErrorCode::None
        } else {
            ErrorCode::UnknownMemberId
        }
    }

    /// Refuses, beyond that, any generation but this one.
    pub(super) fn check_identity(&self, identity: &Identity) -> ErrorCode {
        match self.check_member(&identity.member_id, identity.instance_id.as_ref()) {
            ErrorCode::None if identity.generation != self.generation => {
                ErrorCode::IllegalGeneration
            }
            verdict => verdict,
        }
    }

    // Changes of members, with all that is counted about them.

    fn insert(&mut self, id: StrBytes, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.count(&member.protocols);
        self.joining += usize::from(member.join.is_some());
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        self.come_back(&id);
        self.held += member.bytes(&id);
        let before = self.members.insert(id, member);
        assert!(before.is_none(), "a member is added twice");
    }

    /// Takes a member out; the next one leads where it led.
    fn remove(&mut self, id: &StrBytes) -> Option<Member> {
        self.come_back(id);
        self.unsynced.remove(id);
        let member = self.members.remove(id)?;
        self.held -= member.bytes(id);
        self.uncount(&member.protocols);
        self.joining -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Expects somebody to come back with the id.
    fn expect(&mut self, id: StrBytes, until: Deadline) {
        self.held += pending_bytes(&id);
        self.pending.insert(id, until);
    }

    /// Expects nobody with the id any more.
    fn come_back(&mut self, id: &StrBytes) {
        if self.pending.remove(id).is_some() {
            self.held -= pending_bytes(id);
        }
    }

    fn count(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            match self.support.get_mut(&protocol.name) {
                Some(count) => *count += 1,
                None => {
                    self.support.insert(protocol.name.clone(), 1);
                }
            }
        }
        self.bytes += member::bytes(protocols);
    }

    fn uncount(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            if let Some(count) = self.support.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.support.remove(&protocol.name);
                }
            }
        }
        self.bytes -= member::bytes(protocols);
    }

    fn enter(&mut self, turn: &Turn<'_>, phase: Phase) {
        self.phase = phase;
        self.state_since = Some(turn.now.wall);
    }
}

fn pending_bytes(id: &StrBytes) -> usize {
    room::PENDING_BYTES + 3 * id.len()
}
