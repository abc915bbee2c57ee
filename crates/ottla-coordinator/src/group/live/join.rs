//! Joining: new members, members that come back, static members that take a place over.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use super::deadline::Deadline;
use super::member::{self, Member, millis};
use super::{Live, Phase, Turn};
use crate::group::decision::WaiterId;
use crate::group::record::GroupMetadata;
use crate::group::request::{JoinGroup, Protocol};
use crate::group::response::{GroupResponse, JoinedGroup};
use crate::group::room;
use crate::group::text::{own, own_bytes, own_or_none};

/// How long a new member may wait for the answer to its join. It cannot send heartbeats, so that
/// one whose client is gone would otherwise stay for ever.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How many bytes of a client's name become part of a member's id.
const NAME_IN_ID_BYTES_MAX: usize = 1024;

impl Live {
    /// Takes a member in, or refuses it, or has it wait for the next generation.
    pub(in crate::group) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        waiter: WaiterId,
        request: &JoinGroup,
    ) {
        let id = &request.member_id;
        if !self.has_room_for(turn, id) {
            if self.is_known(id) {
                self.remove_member(turn, id);
            }
            turn.refuse_join(waiter, ErrorCode::GroupMaxSizeReached, &StrBytes::new());
            self.complete_if_all_joined(turn);
            return;
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            turn.refuse_join(waiter, ErrorCode::InconsistentGroupProtocol, id);
            return;
        }
        let is_too_much = self.bytes_with(request) > turn.config.limits.group_bytes_max;
        if is_too_much || !self.is_room_for(turn, request) {
            turn.refuse_join(waiter, ErrorCode::GroupMaxSizeReached, &StrBytes::new());
            return;
        }
        if id.is_empty() {
            self.join_new(turn, waiter, request);
        } else if self.pending.contains_key(id) && request.instance_id.is_none() {
            self.add(turn, waiter, request, own(id));
        } else {
            self.join_again(turn, waiter, request);
        }
    }

    /// Whether `group.max.size` leaves room. Members that are there stay, save in a rebalance:
    /// there the last ones to join are turned away where the limit was lowered.
    fn has_room_for(&self, turn: &Turn<'_>, id: &StrBytes) -> bool {
        let most = turn.config.members_max;
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing(_) => {
                let waits = self.members.get(id).is_some_and(|m| m.join.is_some());
                waits || self.joining < most
            }
            Phase::Completing | Phase::Stable => {
                self.members.contains_key(id) || self.members.len() < most
            }
        }
    }

    /// Whether the group is of this type and all members support one of the protocols.
    fn supports(&self, protocol_type: &StrBytes, protocols: &[Protocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everyone = self.members.len();
        let support = |p: &Protocol| self.support.get(&p.name).copied().unwrap_or_default();
        self.protocol_type.as_ref() == Some(protocol_type)
            && protocols.iter().any(|p| support(p) == everyone)
    }

    /// What all protocols would take with those of this request.
    fn bytes_with(&self, request: &JoinGroup) -> usize {
        let known = self.members.get(&request.member_id);
        let before = known.map_or(0, |m| member::bytes(&m.protocols));
        self.bytes - before + member::bytes(&request.protocols)
    }

    /// Whether the broker has room for what the member says.
    fn is_room_for(&self, turn: &Turn<'_>, request: &JoinGroup) -> bool {
        let instance = request.instance_id.as_ref();
        let known = instance.and_then(|instance| self.statics.get(instance));
        let known = self.members.get(known.unwrap_or(&request.member_id));
        let says = member::bytes_in_memory(&request.protocols);
        if let Some(known) = known {
            let more = says.saturating_sub(member::bytes_in_memory(&known.protocols));
            return more <= turn.room.for_known;
        }
        let texts = [&request.group, &request.client_id, &request.client_host];
        let texts = texts.into_iter().chain(instance).map(|text| text.len());
        // Names become part of ids, which several maps have.
        let texts = 3 * texts.sum::<usize>();
        room::LIVE_BYTES + room::MEMBER_BYTES + texts + says <= turn.room.for_new
    }

    fn join_new(&mut self, turn: &mut Turn<'_>, waiter: WaiterId, request: &JoinGroup) {
        let id = self.new_member_id(request);
        let instance = request.instance_id.as_ref();
        if let Some(known) = instance.and_then(|instance| self.statics.get(instance)) {
            let old = known.clone();
            self.take_over(turn, waiter, request, &old, id);
        } else if instance.is_none() && request.requires_member_id {
            let timeout = millis(request.session_timeout_ms);
            let until = Deadline::after(turn.now.monotonic, timeout);
            turn.set_session_timer(&id, Some(until.at()));
            turn.refuse_join(waiter, ErrorCode::MemberIdRequired, &id);
            self.expect(id, until);
        } else {
            self.add(turn, waiter, request, id);
        }
    }

    /// The id of a new member: its instance or client, and chance. A broker that was started again
    /// with the same seed may draw what it drew before.
    fn new_member_id(&self, request: &JoinGroup) -> StrBytes {
        let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
        let mut end = name.len().min(NAME_IN_ID_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let (name, _) = name.split_at(end);
        let mut id = format!("{name}-{}", request.entropy.as_str());
        while self.is_known(&StrBytes::from_string(id.clone())) {
            id.push('+');
        }
        StrBytes::from_string(id)
    }

    /// Whether this is the id of a member, or one that was handed out.
    fn is_known(&self, id: &StrBytes) -> bool {
        self.members.contains_key(id) || self.pending.contains_key(id)
    }

    fn add(&mut self, turn: &mut Turn<'_>, waiter: WaiterId, request: &JoinGroup, id: StrBytes) {
        if let Phase::Preparing(Some(first)) = &mut self.phase {
            first.is_extended = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(own(&request.protocol_type));
            self.leader = None;
        }
        let member = Member {
            instance_id: own_or_none(request.instance_id.as_ref()),
            client_id: own(&request.client_id),
            client_host: own(&request.client_host),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: own_protocols(&request.protocols),
            join: Some(waiter),
            is_new: true,
            ..Member::default()
        };
        self.insert(id.clone(), member);
        self.touch_for(turn, &id, NEW_MEMBER_JOIN_TIMEOUT);
        self.prepare_or_complete(turn);
    }

    /// A member that has an id.
    fn join_again(&mut self, turn: &mut Turn<'_>, waiter: WaiterId, request: &JoinGroup) {
        let id = &request.member_id;
        let verdict = self.check_member(id, request.instance_id.as_ref());
        let Some(member) = self.members.get(id).filter(|_| verdict == ErrorCode::None) else {
            let refused = JoinedGroup {
                protocol_name: None,
                ..JoinedGroup::refused(verdict, id.clone())
            };
            turn.answer(waiter, GroupResponse::Join(refused));
            return;
        };
        let is_unchanged = member.protocols == request.protocols;
        let is_leader = self.is_leader(id);
        let known = match self.phase {
            Phase::Empty | Phase::Preparing(_) => false,
            // It may have missed the answer to its join.
            Phase::Completing => is_unchanged,
            // The leader asks for a rebalance by joining, for example when topics grew.
            Phase::Stable => is_unchanged && !is_leader,
        };
        if known {
            let mut told = self.joined(id);
            if is_leader {
                told.members = self.told_members();
            }
            let session = self.speaks(turn, id);
            turn.answer_member(waiter, GroupResponse::Join(told), session);
        } else {
            let id = own(id);
            self.update(&id, request);
            self.wait_for_generation(turn, &id, waiter);
            self.prepare_or_complete(turn);
        }
    }

    /// Replaces what is known of a member by what it says now.
    fn update(&mut self, id: &StrBytes, request: &JoinGroup) {
        let protocols = own_protocols(&request.protocols);
        self.count(&protocols);
        let member = self.members.get_mut(id).expect("its caller looked it up");
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        self.held -= member::bytes_in_memory(&member.protocols);
        self.held += member::bytes_in_memory(&protocols);
        let before = std::mem::replace(&mut member.protocols, protocols);
        self.uncount(&before);
    }

    /// Has a member wait for the next generation. Its client has given up whoever waited before.
    fn wait_for_generation(&mut self, turn: &mut Turn<'_>, id: &StrBytes, waiter: WaiterId) {
        let member = self.members.get_mut(id).expect("its caller looked it up");
        match member.join.replace(waiter) {
            None => self.joining += 1,
            Some(before) => turn.refuse_join(before, ErrorCode::RebalanceInProgress, id),
        }
    }

    /// A static member whose process was restarted takes the place of the member that it was,
    /// which is fenced from now on (KIP-345).
    fn take_over(
        &mut self,
        turn: &mut Turn<'_>,
        waiter: WaiterId,
        request: &JoinGroup,
        old: &StrBytes,
        id: StrBytes,
    ) {
        let leader_before = self.leader.clone();
        self.replace(turn, old, id.clone());
        self.update(&id, request);
        self.touch(turn, &id);
        let unchanged = self.phase == Phase::Stable && self.select_protocol() == self.protocol_name;
        let record = unchanged.then(|| self.take_over_record(turn, old, &id));
        match record.filter(|record| record.bytes() <= turn.config.limits.record_bytes_max) {
            Some(record) => {
                turn.record(record);
                let mut told = self.joined(&id);
                let is_leader = self.is_leader(&id);
                if request.can_skip_assignment {
                    told.skip_assignment = is_leader;
                    if is_leader {
                        told.members = self.told_members();
                    }
                } else {
                    // It must not believe that it leads: it would assign in a generation whose
                    // members do not ask.
                    told.leader = leader_before.unwrap_or_default();
                }
                let session = self.speaks(turn, &id);
                turn.answer_member(waiter, GroupResponse::Join(told), session);
            }
            None => {
                self.wait_for_generation(turn, &id, waiter);
                self.prepare_or_complete(turn);
            }
        }
    }

    /// Puts a static member under a new id, and fences the old one.
    fn replace(&mut self, turn: &mut Turn<'_>, old: &StrBytes, id: StrBytes) {
        let led = self.is_leader(old);
        let was_unsynced = self.unsynced.contains(old);
        let mut member = self.remove(old).expect("an instance id is of a member");
        if let Some(waiter) = member.join.take() {
            let fenced = JoinedGroup {
                protocol_name: None,
                ..JoinedGroup::refused(ErrorCode::FencedInstanceId, old.clone())
            };
            turn.answer(waiter, GroupResponse::Join(fenced));
        }
        if let Some(waiter) = member.sync.take() {
            turn.refuse_sync(waiter, ErrorCode::FencedInstanceId);
        }
        turn.set_session_timer(old, None);
        member.timer_at = None;
        // Answers that are under way are the old one's.
        member.unanswered = 0;
        // Its client knows the group by now: as long as it waits it need not send heartbeats.
        member.is_new = false;
        self.insert(id.clone(), member);
        if was_unsynced {
            self.unsynced.insert(id.clone());
        }
        if led {
            self.leader = Some(id);
        }
    }

    /// The generation with the new id, and with the assignment of the old one.
    fn take_over_record(&self, turn: &Turn<'_>, old: &StrBytes, id: &StrBytes) -> GroupMetadata {
        let assigned = self.members.keys().map(|member| {
            let recorded = if member == id { old } else { member };
            (member, turn.assignment(recorded))
        });
        let assigned: BTreeMap<&StrBytes, Bytes> = assigned.collect();
        let assignments = assigned.iter().map(|(member, bytes)| (*member, bytes));
        self.to_record(&assignments.collect())
    }
}

fn own_protocols(protocols: &[Protocol]) -> Vec<Protocol> {
    let owned = protocols.iter().map(|protocol| Protocol {
        name: own(&protocol.name),
        metadata: own_bytes(&protocol.metadata),
    });
    owned.collect()
}
