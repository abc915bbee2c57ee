//! From one generation to the next: members join until all did or the time is up.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use super::deadline::Deadline;
use super::{FirstJoins, Live, Phase, Turn};
use crate::group::record::{GroupMetadata, MemberMetadata};
use crate::group::response::{GroupResponse, JoinedGroup};

/// How long a group waits at least for static members, none of which is there.
const ABSENT_WAIT_MIN: Duration = Duration::from_secs(1);

impl Live {
    /// Begins a rebalance, or ends the one that runs if this was all it waited for.
    pub(super) fn prepare_or_complete(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Preparing(_)) {
            self.complete_if_all_joined(turn);
        } else {
            self.prepare(turn);
        }
    }

    /// Has all members join again. A group that was empty waits for more of them first.
    pub(in crate::group) fn prepare(&mut self, turn: &mut Turn<'_>) {
        assert!(
            !matches!(self.phase, Phase::Preparing(_)),
            "a rebalance begins while one runs"
        );
        if self.phase == Phase::Completing {
            self.refuse_syncs(turn, ErrorCode::RebalanceInProgress);
        }
        self.unsynced.clear();
        self.set_sync_until(turn, None);
        if self.phase == Phase::Empty {
            self.await_first_members(turn);
            return;
        }
        self.enter(turn, Phase::Preparing(None));
        if self.all_joined() {
            self.complete_join(turn);
        } else {
            self.set_join_until(turn, Some(self.rebalance_timeout()));
        }
    }

    fn await_first_members(&mut self, turn: &mut Turn<'_>) {
        let delay = turn.config.initial_rebalance_delay;
        let first = FirstJoins {
            delay,
            remaining: self.rebalance_timeout().saturating_sub(delay),
            is_extended: false,
        };
        self.enter(turn, Phase::Preparing(Some(first)));
        if delay.is_zero() {
            self.complete_join(turn);
        } else {
            self.set_join_until(turn, Some(delay));
        }
    }

    /// Ends the join phase if everybody is there. The wait for the first members ends by time
    /// alone.
    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Preparing(None) && self.all_joined() {
            self.complete_join(turn);
        }
    }

    /// The time for joining may be up.
    pub(in crate::group) fn join_timer(&mut self, turn: &mut Turn<'_>) {
        let (Phase::Preparing(first), Some(until)) = (self.phase, self.join_until.as_mut()) else {
            return;
        };
        if let Some(again) = until.look(turn.now.monotonic) {
            turn.set_join_timer(Some(again));
            return;
        }
        match first {
            Some(first) if first.is_extended && !first.remaining.is_zero() => {
                let delay = turn.config.initial_rebalance_delay.min(first.remaining);
                self.phase = Phase::Preparing(Some(FirstJoins {
                    delay,
                    remaining: first.remaining.saturating_sub(first.delay),
                    is_extended: false,
                }));
                self.set_join_until(turn, Some(delay));
            }
            _ => self.complete_join(turn),
        }
    }

    /// Begins the next generation with the members that joined. Dynamic members that did not are
    /// out; static ones stay, as they may come back within their session.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.set_join_until(turn, None);
        self.remove_late(turn);
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members, none of which is here: their sessions end or they come back. Who
            // gives them no time shall not have this looked at all the time.
            let wait = self.rebalance_timeout().max(ABSENT_WAIT_MIN);
            self.set_join_until(turn, Some(wait));
            return;
        }
        // -1 means "no generation" to clients: the number must not become negative.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol_name = None;
            self.subscribed = self.subscriptions();
            self.enter(turn, Phase::Empty);
            turn.record(self.to_record(&BTreeMap::new()));
        } else {
            self.protocol_name = self.select_protocol();
            self.subscribed = self.subscriptions();
            self.enter(turn, Phase::Completing);
            self.tell_joined(turn);
            self.set_sync_until(turn, Some(self.rebalance_timeout()));
        }
    }

    /// Takes out the dynamic members that did not join.
    fn remove_late(&mut self, turn: &mut Turn<'_>) {
        let is_late = |(_, member): &(&StrBytes, &super::Member)| {
            member.join.is_none() && !member.is_static()
        };
        let late = self.members.iter().filter(is_late);
        let late: Vec<StrBytes> = late.map(|(id, _)| id.clone()).collect();
        for id in &late {
            self.remove(id);
            turn.set_session_timer(id, None);
        }
    }

    /// Makes a member that joined the leader, unless the leader joined; `false` where nobody did.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(|member| member.join.is_some()) {
            return true;
        }
        let mut joined = self.members.iter().filter(|(_, m)| m.join.is_some());
        let Some((id, _)) = joined.next() else {
            return false;
        };
        self.leader = Some(id.clone());
        true
    }

    /// Tells all members of the new generation, and waits for them to sync.
    fn tell_joined(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<StrBytes> = self.members.keys().cloned().collect();
        for id in ids {
            let mut told = self.joined(&id);
            if self.is_leader(&id) {
                told.members = self.told_members();
            }
            let member = self.members.get_mut(&id).expect("it was just listed");
            member.is_new = false;
            if let Some(waiter) = member.join.take() {
                self.joining -= 1;
                let session = self.speaks(turn, &id);
                turn.answer_member(waiter, GroupResponse::Join(told), session);
            } else {
                self.touch(turn, &id);
            }
            self.unsynced.insert(id);
        }
    }

    /// The answer to a member of the current generation, without the members.
    pub(super) fn joined(&self, member: &StrBytes) -> JoinedGroup {
        JoinedGroup {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member.clone(),
            members: Vec::new(),
        }
    }

    /// The protocol of the next generation: each member votes for the first one in its list that
    /// all support. Of those with the most votes it is the leader's, else the first by name.
    pub(super) fn select_protocol(&self) -> Option<StrBytes> {
        let everyone = self.members.len();
        let is_common = |name: &&StrBytes| self.support.get(*name) == Some(&everyone);
        let mut votes: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        let mut leaders_vote = None;
        for (id, member) in &self.members {
            let vote = member.protocols.iter().map(|p| &p.name).find(is_common);
            let Some(vote) = vote else { continue };
            *votes.entry(vote).or_default() += 1;
            if self.is_leader(id) {
                leaders_vote = Some(vote);
            }
        }
        let most = votes.values().copied().max()?;
        let best = || votes.iter().filter(|(_, n)| **n == most).map(|(v, _)| *v);
        let leaders = best().find(|name| Some(*name) == leaders_vote);
        leaders.or_else(|| best().next()).cloned()
    }

    /// The generation as it is to be recorded, with these assignments; of others it is empty.
    pub(super) fn to_record(&self, assignments: &BTreeMap<&StrBytes, &Bytes>) -> GroupMetadata {
        let members = self.members.iter().map(|(id, member)| MemberMetadata {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: self.chosen_metadata(member),
            assignment: assignments
                .get(id)
                .map(|a| (*a).clone())
                .unwrap_or_default(),
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since,
            members: members.collect(),
        }
    }

    /// Gives members so long to join; `None` where none has to any more.
    fn set_join_until(&mut self, turn: &mut Turn<'_>, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| Deadline::after(turn.now.monotonic, timeout));
        if until.is_some() || self.join_until.is_some() {
            turn.set_join_timer(until.map(Deadline::at));
        }
        self.join_until = until;
    }

    /// Gives members so long to sync; `None` where none has to any more.
    pub(super) fn set_sync_until(&mut self, turn: &mut Turn<'_>, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| Deadline::after(turn.now.monotonic, timeout));
        if until.is_some() || self.sync_until.is_some() {
            turn.set_sync_timer(until.map(Deadline::at));
        }
        self.sync_until = until;
    }
}
