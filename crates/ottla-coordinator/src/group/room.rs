//! What groups take in memory, about: whoever bounds it goes by these numbers.
//!
//! Each is what an entry takes at most with its share of the maps that it is in, here and in the
//! broker. `ottla-broker/tests/hostile` compares them with counted allocations.

use super::record::{CommittedOffset, GroupMetadata};

/// How much more a shard may come to hold, as its broker says before an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For groups, members and offsets that are not there yet.
    pub for_new: usize,
    /// For more about those that are.
    pub for_known: usize,
}

impl Room {
    /// As much as anybody may want.
    pub const UNLIMITED: Self = Self {
        for_new: usize::MAX,
        for_known: usize::MAX,
    };
}

/// A group that is remembered, with the least that there is of it.
pub(super) const GROUP_BYTES: usize = 1536;
/// A topic that offsets are committed for, with the first of them.
pub(super) const TOPIC_BYTES: usize = 1792;
/// An offset that is committed.
pub(super) const OFFSET_BYTES: usize = 256;
/// A recorded generation.
const GENERATION_BYTES: usize = 256;
/// A member of a recorded generation.
const RECORDED_MEMBER_BYTES: usize = 320;
/// What another type of group remembers.
pub(super) const FOREIGN_BYTES: usize = 256;
/// A group that is live.
pub(super) const LIVE_BYTES: usize = 3072;
/// A member of one, with its timer.
pub(super) const MEMBER_BYTES: usize = 1536;
/// A protocol of a member.
pub(super) const PROTOCOL_BYTES: usize = 320;
/// An id that was handed out, with its timer.
pub(super) const PENDING_BYTES: usize = 768;

pub(super) fn of_committed(committed: &CommittedOffset) -> usize {
    OFFSET_BYTES + committed.metadata.len()
}

pub(super) fn of_generation(metadata: &GroupMetadata) -> usize {
    GENERATION_BYTES + RECORDED_MEMBER_BYTES * metadata.members.len() + metadata.bytes()
}
