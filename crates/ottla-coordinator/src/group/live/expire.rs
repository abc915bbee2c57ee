//! Sessions: who is silent for too long is out.

use std::time::Duration;

use ottla_protocol::{ErrorCode, StrBytes};

use super::deadline::Deadline;
use super::{Live, Phase, Turn};
use crate::group::decision::{MemberKey, Now, WaiterId};
use crate::group::request::Identity;
use crate::group::response::GroupResponse;

impl Live {
    /// A member says that it lives, and learns whether a rebalance wants it.
    pub(in crate::group) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        waiter: WaiterId,
        identity: &Identity,
    ) {
        let mut verdict = self.check_identity(identity);
        let mut session = None;
        if verdict == ErrorCode::None {
            session = self.speaks(turn, &identity.member_id);
            verdict = match self.phase {
                // An empty group has no members, so that the check has refused them all.
                Phase::Empty => ErrorCode::UnknownMemberId,
                Phase::Preparing(_) => ErrorCode::RebalanceInProgress,
                Phase::Completing | Phase::Stable => ErrorCode::None,
            };
        }
        turn.answer_member(waiter, GroupResponse::Heartbeat(verdict), session);
    }

    /// Begins the sessions of all members anew: after a load nobody knows when they spoke last.
    pub(in crate::group) fn begin_sessions(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<StrBytes> = self.members.keys().cloned().collect();
        for id in ids {
            self.touch(turn, &id);
        }
    }

    /// A member has spoken and is answered: its session lasts for its timeout from when the answer
    /// leaves, which is to be told of the key.
    pub(in crate::group) fn speaks(
        &mut self,
        turn: &mut Turn<'_>,
        id: &StrBytes,
    ) -> Option<MemberKey> {
        self.touch(turn, id);
        let member = self.members.get_mut(id)?;
        member.unanswered += 1;
        let (id, _) = self.members.get_key_value(id)?;
        Some(turn.key(id))
    }

    /// An answer to a member has left.
    pub(in crate::group) fn answered(&mut self, now: Now, id: &StrBytes) {
        if let Some(member) = self.members.get_mut(id) {
            member.unanswered = member.unanswered.saturating_sub(1);
            // Its timer is set already, and looks at the deadline when it comes.
            member.session = Deadline::after(now.monotonic, member.session_timeout());
        }
    }

    /// A member's session lasts for its timeout from now on.
    pub(super) fn touch(&mut self, turn: &mut Turn<'_>, id: &StrBytes) {
        if let Some(member) = self.members.get(id) {
            let timeout = member.session_timeout();
            self.touch_for(turn, id, timeout);
        }
    }

    /// A member's session lasts for `timeout` from now on. Its timer is set only where it would
    /// come too late, and looks at the deadline when it comes: a heartbeat moves no timer.
    pub(super) fn touch_for(&mut self, turn: &mut Turn<'_>, id: &StrBytes, timeout: Duration) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.session = Deadline::after(turn.now.monotonic, timeout);
        let deadline = member.session.at();
        if member.timer_at.is_none_or(|at| at > deadline) {
            member.timer_at = Some(deadline);
            if let Some((id, _)) = self.members.get_key_value(id) {
                turn.set_session_timer(id, Some(deadline));
            }
        }
    }

    /// A session may have ended, or the time to come back with an id that was handed out.
    pub(in crate::group) fn session_timer(&mut self, turn: &mut Turn<'_>, id: &StrBytes) {
        let now = turn.now.monotonic;
        if let Some(until) = self.pending.get_mut(id) {
            match until.look(now) {
                Some(again) => turn.set_session_timer(id, Some(again)),
                None => {
                    self.remove_member(turn, id);
                    self.complete_if_all_joined(turn);
                }
            }
            return;
        }
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        if member.unanswered > 0 {
            // The session begins when the answer leaves: not before now.
            let timeout = member.session_timeout();
            member.session = Deadline::after(now, timeout);
        }
        member.timer_at = member.session.look(now);
        if member.timer_at.is_some() {
            turn.set_session_timer(id, member.timer_at);
        } else if !member.is_excused() {
            self.remove_member(turn, id);
            self.after_removal(turn);
        }
    }

    /// What follows when a member is gone.
    pub(super) fn after_removal(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing(_) => self.complete_if_all_joined(turn),
            Phase::Completing | Phase::Stable => self.prepare(turn),
        }
    }
}
