//! Requests of members: join, sync, heartbeat, leave.

use std::time::Duration;

use ottla_protocol::{ErrorCode, StrBytes};

use super::GroupShard;
use crate::group::config::Limits;
use crate::group::decision::{Answer, Decision, Now, WaiterId};
use crate::group::live;
use crate::group::request::{Heartbeat, JoinGroup, LeaveGroup, Protocol, SyncGroup};
use crate::group::response::{GroupResponse, JoinedGroup, LeftGroup, LeftMember, SyncedGroup};

/// The longest text that a record can hold.
pub(super) const TEXT_BYTES_MAX: usize = i16::MAX as usize;

impl GroupShard {
    pub(super) fn join(
        &mut self,
        now: Now,
        waiter: WaiterId,
        mut request: JoinGroup,
        decision: &mut Decision,
    ) {
        drop_repeated(&mut request.protocols);
        let verdict = self.check_join(&request);
        if verdict != ErrorCode::None {
            let refused = JoinedGroup::refused(verdict, request.member_id);
            answer(decision, waiter, GroupResponse::Join(refused));
            return;
        }
        decision.seen = self.hard.seen(&request.group);
        if let Some(hard) = self.hard.group(&request.group)
            && hard.is_foreign()
        {
            // A group of another type that is empty becomes a classic one.
            let tombstones = hard.foreign_tombstones(&request.group);
            decision.records.extend(tombstones);
        }
        let group = request.group.clone();
        self.with_live(now, &group, decision, |live, turn| {
            live.join(turn, waiter, &request);
        });
    }

    /// What is wrong with a join whatever its group does.
    fn check_join(&self, request: &JoinGroup) -> ErrorCode {
        let verdict = check_group(&request.group);
        if verdict != ErrorCode::None {
            return verdict;
        }
        let config = &self.config;
        let allowed = config.session_timeout_min..=config.session_timeout_max;
        let asked = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
        if !asked.is_ok_and(|timeout| allowed.contains(&timeout)) {
            return ErrorCode::InvalidSessionTimeout;
        }
        if !is_within(request, &config.limits) {
            return ErrorCode::InvalidRequest;
        }
        let hard = self.hard.group(&request.group);
        if hard.is_some_and(|group| group.is_foreign() && group.has_foreign_members()) {
            return ErrorCode::InconsistentGroupProtocol;
        }
        let is_known = hard.is_some() || self.soft.groups.contains_key(&request.group);
        if !is_known && !request.member_id.is_empty() {
            return ErrorCode::UnknownMemberId;
        }
        let needs_id = request.requires_member_id && request.member_id.is_empty();
        if needs_id && self.soft.pending >= config.limits.pending_members_max {
            return ErrorCode::CoordinatorNotAvailable;
        }
        ErrorCode::None
    }

    pub(super) fn sync(
        &mut self,
        now: Now,
        waiter: WaiterId,
        request: &SyncGroup,
        decision: &mut Decision,
    ) {
        let verdict = self.check_member_request(&request.group, decision);
        if verdict == ErrorCode::None {
            self.with_live(now, &request.group, decision, |live, turn| {
                live.sync(turn, waiter, request);
            });
        } else {
            let refused = SyncedGroup::refused(verdict);
            answer(decision, waiter, GroupResponse::Sync(refused));
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Now,
        waiter: WaiterId,
        request: &Heartbeat,
        decision: &mut Decision,
    ) {
        let verdict = self.check_member_request(&request.group, decision);
        if verdict == ErrorCode::None {
            self.with_live(now, &request.group, decision, |live, turn| {
                live.heartbeat(turn, waiter, &request.identity);
            });
        } else {
            answer(decision, waiter, GroupResponse::Heartbeat(verdict));
        }
    }

    pub(super) fn leave(
        &mut self,
        now: Now,
        waiter: WaiterId,
        request: &LeaveGroup,
        decision: &mut Decision,
    ) {
        let verdict = self.check_member_request(&request.group, decision);
        let left = match verdict {
            ErrorCode::None => self.with_live(now, &request.group, decision, |live, turn| {
                live.leave(turn, &request.members)
            }),
            // Of an unknown group each member is unknown.
            ErrorCode::UnknownMemberId => {
                let unknown = request.members.iter().map(|member| LeftMember {
                    member_id: member.member_id.clone(),
                    instance_id: member.instance_id.clone(),
                    error: verdict,
                });
                unknown.collect()
            }
            _ => Vec::new(),
        };
        let error = match verdict {
            ErrorCode::UnknownMemberId => ErrorCode::None,
            other => other,
        };
        let left = LeftGroup {
            error,
            members: left,
        };
        answer(decision, waiter, GroupResponse::Leave(left));
    }

    /// What is wrong with a member's request whatever it says. A group without live members has
    /// none that could ask.
    fn check_member_request(&self, group: &StrBytes, decision: &mut Decision) -> ErrorCode {
        let verdict = check_group(group);
        if verdict == ErrorCode::None {
            decision.seen = self.hard.seen(group);
            if !self.soft.groups.contains_key(group) {
                return ErrorCode::UnknownMemberId;
            }
        }
        verdict
    }
}

/// Members need a group with a name that can be written down.
fn check_group(group: &StrBytes) -> ErrorCode {
    if group.is_empty() || group.len() > TEXT_BYTES_MAX {
        ErrorCode::InvalidGroupId
    } else {
        ErrorCode::None
    }
}

/// Whether what a member says of itself can be kept and written down.
fn is_within(request: &JoinGroup, limits: &Limits) -> bool {
    let names = request.protocols.iter().map(|protocol| &protocol.name);
    let mut texts = names
        .chain([
            &request.protocol_type,
            &request.client_id,
            &request.client_host,
        ])
        .chain(request.instance_id.as_ref());
    request.protocols.len() <= limits.protocols_max
        && live::protocols_bytes(&request.protocols) <= limits.member_bytes_max
        && texts.all(|text| text.len() <= TEXT_BYTES_MAX)
}

/// Drops protocols that are listed again: the first of a name counts.
fn drop_repeated(protocols: &mut Vec<Protocol>) {
    let mut seen = std::collections::BTreeSet::new();
    protocols.retain(|protocol| seen.insert(protocol.name.clone()));
}

pub(super) fn answer(decision: &mut Decision, waiter: WaiterId, response: GroupResponse) {
    decision.answers.push(Answer {
        waiter,
        response,
        session: None,
    });
}
