//! What clients hear about groups, without versions.

use bytes::Bytes;
use ottla_log::{LeaderEpoch, Offset, TopicId};
use ottla_protocol::{ErrorCode, StrBytes};

/// The answer to a [`GroupRequest`](super::GroupRequest): the variant of the same name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "a variant is the answer to the request of its name"
)]
pub enum GroupResponse {
    Join(JoinedGroup),
    Sync(SyncedGroup),
    Heartbeat(ErrorCode),
    Leave(LeftGroup),
    OffsetCommit(CommittedOffsets),
    OffsetFetch(FetchedOffsets),
    OffsetDelete(DeletedOffsets),
    /// `None` where there is no such classic group.
    Describe(Option<DescribedGroup>),
    List(Vec<ListedGroup>),
    Delete(ErrorCode),
}

impl GroupResponse {
    /// The answer where the log did not take what this one tells of. One that refuses anyway stays.
    #[must_use]
    pub fn refused(self, error: ErrorCode) -> Self {
        let verdict = |said: ErrorCode| match said {
            ErrorCode::None => error,
            other => other,
        };
        match self {
            Self::Join(joined) if joined.error == ErrorCode::None => {
                Self::Join(JoinedGroup::refused(error, StrBytes::new()))
            }
            Self::Sync(synced) if synced.error == ErrorCode::None => {
                Self::Sync(SyncedGroup::refused(error))
            }
            Self::Leave(left) => Self::Leave(LeftGroup {
                error: verdict(left.error),
                members: Vec::new(),
            }),
            Self::OffsetCommit(mut committed) => {
                let partitions = committed.topics.iter_mut().flat_map(|(_, all)| all);
                partitions.for_each(|(_, said)| *said = verdict(*said));
                Self::OffsetCommit(committed)
            }
            Self::OffsetDelete(deleted) => Self::OffsetDelete(DeletedOffsets {
                error: verdict(deleted.error),
                topics: Vec::new(),
            }),
            Self::Delete(said) => Self::Delete(verdict(said)),
            other => other,
        }
    }
}

/// The answer to a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGroup {
    /// Whether it joined.
    pub error: ErrorCode,
    /// The generation; -1 with an error.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<StrBytes>,
    /// The protocol of the generation.
    pub protocol_name: Option<StrBytes>,
    /// The leader's id; empty with an error.
    pub leader: StrBytes,
    /// To the leader: the assignment of before still holds; do not send one.
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: StrBytes,
    /// To the leader: all members.
    pub members: Vec<JoinedMember>,
}

impl JoinedGroup {
    /// The answer that refuses a join.
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: StrBytes) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: Some(StrBytes::new()),
            leader: StrBytes::new(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// A member, as told to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: StrBytes,
    /// Its `group.instance.id`.
    pub instance_id: Option<StrBytes>,
    /// What it tells for the protocol of the generation.
    pub metadata: Bytes,
}

/// The answer to a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedGroup {
    /// Whether there is an assignment.
    pub error: ErrorCode,
    /// The group's protocol type; `None` with an error.
    pub protocol_type: Option<StrBytes>,
    /// The protocol of the generation; `None` with an error.
    pub protocol_name: Option<StrBytes>,
    /// The member's assignment.
    pub assignment: Bytes,
}

impl SyncedGroup {
    /// The answer that refuses a sync.
    #[must_use]
    pub const fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// The answer to leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftGroup {
    /// Whether the request as a whole failed.
    pub error: ErrorCode,
    /// Each member as it was asked for, in that order.
    pub members: Vec<LeftMember>,
}

/// One member that was to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// The member id that was asked for.
    pub member_id: StrBytes,
    /// The instance id that was asked for.
    pub instance_id: Option<StrBytes>,
    /// Whether it left.
    pub error: ErrorCode,
}

/// The answer to a commit: each partition, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffsets {
    /// The topics.
    pub topics: Vec<(StrBytes, Vec<(i32, ErrorCode)>)>,
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// The topics, in the order of the request or by name.
    pub topics: Vec<FetchedTopic>,
}

/// What was committed for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic.
    pub topic: StrBytes,
    /// Its partitions, in the order of the request or by number.
    pub partitions: Vec<FetchedPartition>,
}

/// What was committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: i32,
    /// Whether it can be told.
    pub error: ErrorCode,
    /// The offset; -1 where there is none.
    pub offset: Offset,
    /// The leader epoch; `None` where there is none.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The client's note.
    pub metadata: StrBytes,
    /// The topic that it was committed for, where that was written down. It may be another one
    /// than the topic that has the name now.
    pub topic_id: Option<TopicId>,
}

/// The answer to the deletion of offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsets {
    /// Whether the group as a whole refuses.
    pub error: ErrorCode,
    /// The topics, in the order of the request; none with an error.
    pub topics: Vec<(StrBytes, Vec<(i32, ErrorCode)>)>,
}

/// The state of a group, as clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// Without members.
    Empty,
    /// Members join.
    PreparingRebalance,
    /// Members joined and wait for the leader's assignment.
    CompletingRebalance,
    /// Each member has its assignment.
    Stable,
}

impl GroupState {
    /// Kafka's name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its state.
    pub state: GroupState,
    /// Its protocol type; empty for one that only keeps offsets.
    pub protocol_type: StrBytes,
    /// The protocol of its generation; empty while it is not stable.
    pub protocol_name: StrBytes,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: StrBytes,
    /// Its `group.instance.id`.
    pub instance_id: Option<StrBytes>,
    /// Its `client.id`.
    pub client_id: StrBytes,
    /// Where it comes from.
    pub client_host: StrBytes,
    /// What it tells for the protocol; empty while the group is not stable.
    pub metadata: Bytes,
    /// Its assignment, of the generation before while the next one is being formed.
    pub assignment: Bytes,
}

/// A group in the list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group: StrBytes,
    /// Its protocol type; empty for one that only keeps offsets.
    pub protocol_type: StrBytes,
    /// Kafka's name of its state.
    pub state: &'static str,
    /// Kafka's name of its type.
    pub group_type: &'static str,
}
