//! What a live group sees of the world while it handles one input, and where it puts what follows.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use crate::group::config::GroupConfig;
use crate::group::decision::{Answer, Decision, MemberKey, Now, TimerChange, TimerKey, WaiterId};
use crate::group::record::{GroupMetadata, Record};
use crate::group::response::{GroupResponse, JoinedGroup, SyncedGroup};
use crate::group::room::Room;

/// One input of one group.
#[derive(Debug)]
pub(in crate::group) struct Turn<'a> {
    pub(in crate::group) now: Now,
    pub(in crate::group) config: &'a GroupConfig,
    /// How much more may be held.
    pub(in crate::group) room: Room,
    /// The group's id.
    pub(in crate::group) group: &'a StrBytes,
    /// The generation that was last recorded.
    pub(in crate::group) recorded: Option<&'a GroupMetadata>,
    pub(in crate::group) decision: &'a mut Decision,
}

impl Turn<'_> {
    pub(in crate::group) fn answer(&mut self, waiter: WaiterId, response: GroupResponse) {
        self.answer_member(waiter, response, None);
    }

    /// Answers, and begins a session when that leaves.
    pub(super) fn answer_member(
        &mut self,
        waiter: WaiterId,
        response: GroupResponse,
        session: Option<MemberKey>,
    ) {
        self.decision.answers.push(Answer {
            waiter,
            response,
            session,
        });
    }

    pub(super) fn refuse_join(&mut self, waiter: WaiterId, error: ErrorCode, member: &StrBytes) {
        let refused = JoinedGroup::refused(error, member.clone());
        self.answer(waiter, GroupResponse::Join(refused));
    }

    pub(super) fn refuse_sync(&mut self, waiter: WaiterId, error: ErrorCode) {
        self.answer(waiter, GroupResponse::Sync(SyncedGroup::refused(error)));
    }

    pub(super) fn record(&mut self, metadata: GroupMetadata) {
        self.decision.records.push(Record::Group {
            group: self.group.clone(),
            metadata: Some(metadata),
        });
    }

    pub(super) fn set_session_timer(&mut self, member: &StrBytes, at: Option<Duration>) {
        self.timer(TimerKey::Session(self.key(member)), at);
    }

    pub(super) fn key(&self, member: &StrBytes) -> MemberKey {
        MemberKey {
            group: self.group.clone(),
            member: member.clone(),
        }
    }

    pub(super) fn set_join_timer(&mut self, at: Option<Duration>) {
        let group = self.group.clone();
        self.timer(TimerKey::Join { group }, at);
    }

    pub(super) fn set_sync_timer(&mut self, at: Option<Duration>) {
        let group = self.group.clone();
        self.timer(TimerKey::Sync { group }, at);
    }

    fn timer(&mut self, key: TimerKey, at: Option<Duration>) {
        self.decision.timers.push(TimerChange { key, at });
    }

    /// The assignment that was recorded for a member.
    pub(super) fn assignment(&self, member: &StrBytes) -> Bytes {
        let recorded = self.recorded.and_then(|m| m.member(member));
        recorded.map(|m| m.assignment.clone()).unwrap_or_default()
    }
}
