//! What clients ask of groups, without versions.
//!
//! The broker has checked who may ask, that topics exist, and put names in the place of topic
//! ids. It asks each shard only about groups of that shard.

use std::time::Duration;

use bytes::Bytes;
use ottla_log::{LeaderEpoch, Offset, TopicId};
use ottla_protocol::StrBytes;

/// A request about groups.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "a variant is the request of its name")]
pub enum GroupRequest {
    Join(JoinGroup),
    Sync(SyncGroup),
    Heartbeat(Heartbeat),
    Leave(LeaveGroup),
    OffsetCommit(OffsetCommit),
    OffsetFetch(OffsetFetch),
    OffsetDelete(OffsetDelete),
    Describe(DescribeGroup),
    List(ListGroups),
    Delete(DeleteGroup),
}

/// Who asks as a member: which member, in which generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The member's id; empty where it has none yet.
    pub member_id: StrBytes,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<StrBytes>,
    /// The generation that it believes to be in; -1 for none.
    pub generation: i32,
}

/// Take me into the group, or into its next generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinGroup {
    /// The group.
    pub group: StrBytes,
    /// The member's id; empty where it has none yet.
    pub member_id: StrBytes,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<StrBytes>,
    /// `client.id` in the header.
    pub client_id: StrBytes,
    /// Where it comes from: `/` and the address, as Kafka writes it.
    pub client_host: StrBytes,
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long it may take to join again, in milliseconds; version 0 has none and means the
    /// session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` or the like.
    pub protocol_type: StrBytes,
    /// What it supports, what it prefers first.
    pub protocols: Vec<Protocol>,
    /// Chance for the id of a new member: a random UUID as text.
    pub entropy: StrBytes,
    /// A new dynamic member must come back with the id it is given (version 4 and later).
    pub requires_member_id: bool,
    /// The leader understands that it need not assign (version 9 and later).
    pub can_skip_assignment: bool,
}

/// A protocol that a member supports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Its name; of an assignor, for consumers.
    pub name: StrBytes,
    /// What the member tells the leader for it.
    pub metadata: Bytes,
}

/// Here is the assignment, or: tell me mine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group: StrBytes,
    /// The member.
    pub identity: Identity,
    /// The protocol type that the member goes by (version 5 and later).
    pub protocol_type: Option<StrBytes>,
    /// The protocol that the member goes by (version 5 and later).
    pub protocol_name: Option<StrBytes>,
    /// From the leader: each member's assignment.
    pub assignments: Vec<(StrBytes, Bytes)>,
}

/// I live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: StrBytes,
    /// The member.
    pub identity: Identity,
}

/// These members leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group: StrBytes,
    /// The members.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, or is removed by an administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; empty where only the instance id is known.
    pub member_id: StrBytes,
    /// Its `group.instance.id`.
    pub instance_id: Option<StrBytes>,
}

/// Remember these offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The group.
    pub group: StrBytes,
    /// The member; generation -1 and no member for one that only keeps its offsets here.
    pub identity: Identity,
    /// How long to keep them, where the client says so (versions 2 to 4).
    pub retention: Option<Duration>,
    /// The answer to a member of an unknown group says that it is unknown (version 9 and later).
    pub names_unknown_group: bool,
    /// The offsets.
    pub topics: Vec<CommitTopic>,
}

/// The offsets of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic.
    pub topic: StrBytes,
    /// Its id, where the broker knows it.
    pub topic_id: Option<TopicId>,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, where the client knows it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The client's note.
    pub metadata: StrBytes,
}

/// What was committed?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetFetch {
    /// The group.
    pub group: StrBytes,
    /// The partitions; `None` for all that have an offset.
    pub topics: Option<Vec<TopicPartitions>>,
}

/// Some partitions of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: StrBytes,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// Forget these offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetDelete {
    /// The group.
    pub group: StrBytes,
    /// The partitions.
    pub topics: Vec<TopicPartitions>,
}

/// What is this group?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeGroup {
    /// The group.
    pub group: StrBytes,
}

/// Which groups are there?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// Only groups in these states, in any case of letters; none for all.
    pub states: Vec<StrBytes>,
    /// Only groups of these types, in any case of letters; none for all.
    pub types: Vec<StrBytes>,
}

/// Forget this group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group: StrBytes,
}
