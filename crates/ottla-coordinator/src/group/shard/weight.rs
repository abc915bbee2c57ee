//! How much there is to tell, before any of it is gathered or encoded: whoever tells it makes room
//! first.

use ottla_protocol::StrBytes;

use super::GroupShard;
use crate::group::live::Live;
use crate::group::response::{JoinedGroup, SyncedGroup};

/// The size of what could be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// How many entries it has.
    pub entries: usize,
    /// How many bytes of text and data are in them.
    pub bytes: usize,
}

impl Weight {
    /// No entry but these texts.
    fn of<const N: usize>(texts: [Option<&StrBytes>; N]) -> Self {
        let bytes = texts.into_iter().flatten().map(|text| text.len());
        Self {
            entries: 0,
            bytes: bytes.sum(),
        }
    }

    fn add(self, bytes: usize) -> Self {
        Self {
            entries: self.entries + 1,
            bytes: self.bytes + bytes,
        }
    }
}

impl JoinedGroup {
    /// What encoding it takes: until then its parts are the group's own.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let texts = [
            self.protocol_type.as_ref(),
            self.protocol_name.as_ref(),
            Some(&self.leader),
            Some(&self.member_id),
        ];
        let members = self.members.iter().map(|member| {
            let instance = member.instance_id.as_ref().map_or(0, |text| text.len());
            member.member_id.len() + instance + member.metadata.len()
        });
        members.fold(Weight::of(texts), Weight::add)
    }
}

impl SyncedGroup {
    /// What encoding it takes: until then its parts are the group's own.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let texts = [self.protocol_type.as_ref(), self.protocol_name.as_ref()];
        Weight::of(texts).add(self.assignment.len())
    }
}

impl GroupShard {
    /// The members of a group, as DescribeGroups tells of them.
    #[must_use]
    pub fn weigh_members(&self, group: &StrBytes) -> Weight {
        let hard = self.hard.group(group);
        let recorded = hard.and_then(|hard| hard.metadata.as_ref());
        let Some(live) = self.live(group) else {
            return Weight::default();
        };
        let members = live.members().iter();
        members.fold(Weight::default(), |weight, (id, member)| {
            let instance = member.instance_id.as_ref().map_or(0, |text| text.len());
            let names = id.len() + instance + member.client_id.len() + member.client_host.len();
            let assignment = recorded.and_then(|recorded| recorded.member(id));
            let assignment = assignment.map_or(0, |recorded| recorded.assignment.len());
            weight.add(names + live.chosen_metadata(member).len() + assignment)
        })
    }

    /// Everything that is committed of a group, as OffsetFetch tells it.
    #[must_use]
    pub fn weigh_offsets(&self, group: &StrBytes) -> Weight {
        let hard = self.hard.group(group);
        let topics = hard.into_iter().flat_map(|hard| &hard.offsets);
        topics.fold(Weight::default(), |weight, (topic, partitions)| {
            let offsets = partitions.values();
            let weight = weight.add(topic.len());
            offsets.fold(weight, |weight, committed| {
                weight.add(committed.metadata.len())
            })
        })
    }

    /// All groups, as ListGroups tells of them.
    #[must_use]
    pub fn weigh_groups(&self) -> Weight {
        let recorded = self.hard.groups().map(|(id, hard)| {
            let metadata = hard.metadata.as_ref();
            let kind = metadata.and_then(|metadata| metadata.protocol_type.as_ref());
            id.len() + kind.map_or(0, |kind| kind.len())
        });
        let live = self.soft.groups.iter().map(|(id, soft)| {
            let kind = Live::protocol_type(&soft.live);
            id.len() + kind.map_or(0, |kind| kind.len())
        });
        let all = recorded.chain(live);
        all.fold(Weight::default(), Weight::add)
    }
}
