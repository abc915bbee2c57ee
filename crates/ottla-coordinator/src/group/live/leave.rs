//! Leaving, by members themselves and by administrators.

use ottla_protocol::{ErrorCode, StrBytes};

use super::{Live, Turn};
use crate::group::request::LeavingMember;
use crate::group::response::LeftMember;

impl Live {
    /// Lets members go; says of each whether it was one.
    pub(in crate::group) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        members: &[LeavingMember],
    ) -> Vec<LeftMember> {
        let left: Vec<LeftMember> = members.iter().map(|m| self.leave_one(turn, m)).collect();
        if left.iter().any(|member| member.error == ErrorCode::None) {
            self.after_removal(turn);
        }
        left
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, leaving: &LeavingMember) -> LeftMember {
        let instance = leaving.instance_id.as_ref();
        let id = if leaving.member_id.is_empty() {
            // An administrator knows the instance alone.
            instance.and_then(|instance| self.statics.get(instance).cloned())
        } else {
            Some(leaving.member_id.clone())
        };
        let error = match id {
            None => ErrorCode::UnknownMemberId,
            Some(id) if self.pending.contains_key(&id) => {
                self.remove_member(turn, &id);
                ErrorCode::None
            }
            Some(id) => {
                let verdict = self.check_member(&id, instance);
                if verdict == ErrorCode::None {
                    self.remove_member(turn, &id);
                }
                verdict
            }
        };
        LeftMember {
            member_id: leaving.member_id.clone(),
            instance_id: leaving.instance_id.clone(),
            error,
        }
    }

    /// Takes the place of `before`, which the log did not let be: keeps the ids that it handed out,
    /// and sends away with `error` who waits for it.
    pub(in crate::group) fn succeed(
        &mut self,
        turn: &mut Turn<'_>,
        before: Self,
        error: ErrorCode,
    ) {
        for member in before.members.values() {
            if let Some(waiter) = member.join {
                turn.refuse_join(waiter, error, &StrBytes::new());
            }
            if let Some(waiter) = member.sync {
                turn.refuse_sync(waiter, error);
            }
        }
        for (id, until) in before.pending {
            self.expect(id, until);
        }
    }

    /// Takes a member out, or an id that was handed out. Whoever waits in its name may join anew.
    pub(super) fn remove_member(&mut self, turn: &mut Turn<'_>, id: &StrBytes) {
        let member = self.remove(id);
        turn.set_session_timer(id, None);
        let Some(member) = member else { return };
        if let Some(waiter) = member.join {
            turn.refuse_join(waiter, ErrorCode::UnknownMemberId, &StrBytes::new());
        }
        if let Some(waiter) = member.sync {
            turn.refuse_sync(waiter, ErrorCode::UnknownMemberId);
        }
    }
}
