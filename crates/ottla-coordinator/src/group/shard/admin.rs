//! What administrators ask: describe, list, delete.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::{ErrorCode, StrBytes};

use super::GroupShard;
use super::members::answer;
use super::offsets::tombstone;
use crate::group::decision::{Decision, MemberKey, TimerChange, TimerKey, WaiterId};
use crate::group::record::Record;
use crate::group::request::{DeleteGroup, DescribeGroup, ListGroups};
use crate::group::response::{
    DescribedGroup, DescribedMember, GroupResponse, GroupState, ListedGroup,
};

impl GroupShard {
    pub(super) fn describe(
        &self,
        waiter: WaiterId,
        request: &DescribeGroup,
        decision: &mut Decision,
    ) {
        decision.seen = self.hard.seen(&request.group);
        let described = self.describe_group(&request.group);
        answer(decision, waiter, GroupResponse::Describe(described));
    }

    fn describe_group(&self, group: &StrBytes) -> Option<DescribedGroup> {
        let hard = self.hard.group(group);
        let recorded = hard.and_then(|hard| hard.metadata.as_ref());
        let Some(live) = self.live(group) else {
            let hard = hard.filter(|hard| !hard.is_foreign())?;
            let known = hard.metadata.as_ref();
            return Some(DescribedGroup {
                state: GroupState::Empty,
                protocol_type: known
                    .and_then(|m| m.protocol_type.clone())
                    .unwrap_or_default(),
                protocol_name: StrBytes::new(),
                members: Vec::new(),
            });
        };
        let state = live.state();
        // What members say is of a generation, and told of one that is complete; what they had
        // before is told until they get anew, as Kafka does.
        let is_stable = state == GroupState::Stable;
        let members = live.members().iter().map(|(id, member)| DescribedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if is_stable {
                live.chosen_metadata(member)
            } else {
                Bytes::new()
            },
            assignment: recorded
                .and_then(|recorded| recorded.member(id))
                .map(|recorded| recorded.assignment.clone())
                .unwrap_or_default(),
        });
        let protocol_name = live.protocol_name().filter(|_| is_stable);
        Some(DescribedGroup {
            state,
            protocol_type: live.protocol_type().cloned().unwrap_or_default(),
            protocol_name: protocol_name.cloned().unwrap_or_default(),
            members: members.collect(),
        })
    }

    pub(super) fn list(&self, waiter: WaiterId, request: &ListGroups, decision: &mut Decision) {
        let ids = self.hard.groups().map(|(id, _)| id);
        let ids: BTreeSet<&StrBytes> = ids.chain(self.soft.groups.keys()).collect();
        let is_one_of = |wanted: &[StrBytes], name: &str| {
            let mut wanted = wanted.iter().map(|text| text.trim());
            wanted.len() == 0 || wanted.any(|text| text.eq_ignore_ascii_case(name))
        };
        let listed = ids.into_iter().map(|id| self.listed(id)).filter(|group| {
            is_one_of(&request.states, group.state) && is_one_of(&request.types, group.group_type)
        });
        let listed = listed.collect();
        answer(decision, waiter, GroupResponse::List(listed));
    }

    fn listed(&self, group: &StrBytes) -> ListedGroup {
        let hard = self.hard.group(group);
        if let Some(live) = self.live(group) {
            return ListedGroup {
                group: group.clone(),
                protocol_type: live.protocol_type().cloned().unwrap_or_default(),
                state: live.state().name(),
                group_type: CLASSIC,
            };
        }
        if let Some(foreign) = hard.filter(|hard| hard.is_foreign()) {
            let group_type = foreign.foreign_type();
            let state = match foreign.has_foreign_members() {
                true => GroupState::Stable,
                false => GroupState::Empty,
            };
            return ListedGroup {
                group: group.clone(),
                protocol_type: group_type.into(),
                state: state.name(),
                group_type,
            };
        }
        let recorded = hard.and_then(|hard| hard.metadata.as_ref());
        let protocol_type = recorded.and_then(|m| m.protocol_type.clone());
        ListedGroup {
            group: group.clone(),
            protocol_type: protocol_type.unwrap_or_default(),
            state: GroupState::Empty.name(),
            group_type: CLASSIC,
        }
    }

    pub(super) fn delete_group(
        &mut self,
        waiter: WaiterId,
        request: &DeleteGroup,
        decision: &mut Decision,
    ) {
        let group = &request.group;
        decision.seen = self.hard.seen(group);
        let live = self.live(group);
        let hard = self.hard.group(group);
        let has_members = match (live, hard) {
            (None, None) => {
                let response = GroupResponse::Delete(ErrorCode::GroupIdNotFound);
                answer(decision, waiter, response);
                return;
            }
            (Some(live), _) => live.state() != GroupState::Empty,
            (None, Some(hard)) => hard.has_foreign_members(),
        };
        if has_members {
            let response = GroupResponse::Delete(ErrorCode::NonEmptyGroup);
            answer(decision, waiter, response);
            return;
        }
        self.forget_group(group, decision);
        answer(decision, waiter, GroupResponse::Delete(ErrorCode::None));
    }

    /// Forgets a group without members: its offsets, then itself.
    fn forget_group(&mut self, group: &StrBytes, decision: &mut Decision) {
        if let Some(hard) = self.hard.group(group) {
            for (topic, partitions) in &hard.offsets {
                let tombstones = partitions.keys().map(|p| tombstone(group, topic, *p));
                decision.records.extend(tombstones);
            }
            decision.records.extend(hard.foreign_tombstones(group));
            decision.records.push(group_tombstone(group));
        }
        // Ids that were handed out are worth nothing any more.
        if let Some(live) = self.let_go(group) {
            for member in live.pending_ids() {
                let group = group.clone();
                let member = member.clone();
                decision.timers.push(TimerChange {
                    key: TimerKey::Session(MemberKey { group, member }),
                    at: None,
                });
            }
        }
    }
}

/// The record that forgets a group.
pub(super) fn group_tombstone(group: &StrBytes) -> Record {
    Record::Group {
        group: group.clone(),
        metadata: None,
    }
}

/// Kafka's name of the type of the groups here.
const CLASSIC: &str = "classic";
