//! Sessions: who is silent for too long is out.

use std::time::Duration;

use ottla_protocol::{ErrorCode, StrBytes};

use super::{Live, Phase, Turn};
use crate::group::request::Identity;

impl Live {
    /// A member says that it lives, and learns whether a rebalance wants it.
    pub(in crate::group) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        identity: &Identity,
    ) -> ErrorCode {
        let verdict = self.check_identity(identity);
        if verdict != ErrorCode::None {
            return verdict;
        }
        self.touch(turn, &identity.member_id);
        match self.phase {
            // An empty group has no members, so that the check has refused them all.
            Phase::Empty => ErrorCode::UnknownMemberId,
            Phase::Preparing(_) => ErrorCode::RebalanceInProgress,
            Phase::Completing | Phase::Stable => ErrorCode::None,
        }
    }

    /// Begins the sessions of all members anew: after a load nobody knows when they spoke last.
    pub(in crate::group) fn begin_sessions(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<StrBytes> = self.members.keys().cloned().collect();
        for id in ids {
            self.touch(turn, &id);
        }
    }

    /// A member has spoken: its session lasts for its timeout from now on.
    pub(in crate::group) fn touch(&mut self, turn: &mut Turn<'_>, id: &StrBytes) {
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
        member.deadline = turn.now.monotonic.saturating_add(timeout);
        let deadline = member.deadline;
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
        if let Some(until) = self.pending.get(id).copied() {
            if until <= now {
                self.remove_member(turn, id);
                self.complete_if_all_joined(turn);
            } else {
                turn.set_session_timer(id, Some(until));
            }
            return;
        }
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.timer_at = None;
        if member.deadline > now {
            member.timer_at = Some(member.deadline);
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
