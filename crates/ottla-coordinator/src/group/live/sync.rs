//! Syncing: the leader's assignment reaches the members.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use super::{Live, Phase, Turn};
use crate::group::decision::WaiterId;
use crate::group::request::SyncGroup;
use crate::group::response::{GroupResponse, SyncedGroup};
use crate::group::room;
use crate::group::text::own_bytes;

impl Live {
    /// Gives a member its assignment, or has it wait for the leader's.
    pub(in crate::group) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        waiter: WaiterId,
        request: &SyncGroup,
    ) {
        let verdict = self.check_sync(request);
        if verdict != ErrorCode::None {
            turn.refuse_sync(waiter, verdict);
            return;
        }
        let id = &request.identity.member_id;
        match self.phase {
            // An empty group has no members, so that the check has refused them all.
            Phase::Empty => turn.refuse_sync(waiter, ErrorCode::UnknownMemberId),
            Phase::Preparing(_) => turn.refuse_sync(waiter, ErrorCode::RebalanceInProgress),
            Phase::Completing => {
                self.wait_for_assignment(turn, id, waiter);
                if self.is_leader(id) {
                    self.assign(turn, &request.assignments);
                }
            }
            Phase::Stable => {
                self.has_synced(turn, id);
                let session = self.speaks(turn, id);
                let synced = self.synced(turn.assignment(id));
                turn.answer_member(waiter, GroupResponse::Sync(synced), session);
            }
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> ErrorCode {
        let verdict = self.check_identity(&request.identity);
        let differs = |said: &Option<StrBytes>, is: &Option<StrBytes>| {
            said.is_some() && is.is_some() && said != is
        };
        if verdict == ErrorCode::None
            && (differs(&request.protocol_type, &self.protocol_type)
                || differs(&request.protocol_name, &self.protocol_name))
        {
            return ErrorCode::InconsistentGroupProtocol;
        }
        verdict
    }

    /// Has a member wait for its assignment. Its client has given up whoever waited before.
    fn wait_for_assignment(&mut self, turn: &mut Turn<'_>, id: &StrBytes, waiter: WaiterId) {
        self.has_synced(turn, id);
        let member = self.members.get_mut(id).expect("the check found it");
        if let Some(before) = member.sync.replace(waiter) {
            turn.refuse_sync(before, ErrorCode::RebalanceInProgress);
        }
    }

    fn has_synced(&mut self, turn: &mut Turn<'_>, id: &StrBytes) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.set_sync_until(turn, None);
        }
    }

    /// Records what the leader assigned, and tells those who wait for it.
    fn assign(&mut self, turn: &mut Turn<'_>, assignments: &[(StrBytes, Bytes)]) {
        let assignments: BTreeMap<&StrBytes, &Bytes> =
            assignments.iter().map(|(id, bytes)| (id, bytes)).collect();
        let record = self.to_record(&assignments);
        let before = turn.recorded.map_or(0, room::of_generation);
        let more = room::of_generation(&record).saturating_sub(before);
        if record.bytes() > turn.config.limits.record_bytes_max || more > turn.room.for_known {
            // The log would not take it, or the memory. The members are told, and try again.
            self.refuse_syncs(turn, ErrorCode::UnknownServerError);
            self.prepare(turn);
            return;
        }
        turn.record(record);
        self.enter(turn, Phase::Stable);
        for (id, waiter) in self.take_syncs() {
            let assignment = assignments.get(&id).map(|bytes| own_bytes(bytes));
            let synced = self.synced(assignment.unwrap_or_default());
            let session = self.speaks(turn, &id);
            turn.answer_member(waiter, GroupResponse::Sync(synced), session);
        }
    }

    /// Sends all who wait for their assignment away.
    pub(super) fn refuse_syncs(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        for (id, waiter) in self.take_syncs() {
            let session = self.speaks(turn, &id);
            let refused = GroupResponse::Sync(SyncedGroup::refused(error));
            turn.answer_member(waiter, refused, session);
        }
    }

    fn take_syncs(&mut self) -> Vec<(StrBytes, WaiterId)> {
        let members = self.members.iter_mut();
        let waiting = members.filter_map(|(id, m)| m.sync.take().map(|w| (id.clone(), w)));
        waiting.collect()
    }

    fn synced(&self, assignment: Bytes) -> SyncedGroup {
        SyncedGroup {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }

    /// The time for syncing may be up: members that did not are out.
    pub(in crate::group) fn sync_timer(&mut self, turn: &mut Turn<'_>) {
        let Some(until) = &mut self.sync_until else {
            return;
        };
        if let Some(again) = until.look(turn.now.monotonic) {
            turn.set_sync_timer(Some(again));
            return;
        }
        self.set_sync_until(turn, None);
        let late: Vec<StrBytes> = self.unsynced.iter().cloned().collect();
        for id in &late {
            self.remove_member(turn, id);
        }
        if !late.is_empty() {
            self.prepare(turn);
        }
    }
}
