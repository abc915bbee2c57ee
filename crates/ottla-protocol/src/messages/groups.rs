//! Requests of the members of a group, of the classic protocol, and those of administrators about
//! groups.

use bytes::Bytes;

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Joins a group, or takes part in its next generation.
    pub struct JoinGroupRequest {
        /// The group.
        group_id: StrBytes,
        /// How long the member may be silent.
        session_timeout_ms: i32,
        /// How long a rebalance waits for the member; -1 in version 0, where the session timeout
        /// counts.
        rebalance_timeout_ms: i32 [1+] = -1,
        /// The member's id; empty for a new member.
        member_id: StrBytes,
        /// The name that a static member keeps over restarts; null for a dynamic one.
        group_instance_id: Option<StrBytes> [5+],
        /// What kind of group it is, for example `consumer`.
        protocol_type: StrBytes,
        /// The protocols that the member can follow, the most wanted first.
        protocols: Seq<JoinGroupRequestProtocol>,
        /// Why the member joins.
        reason: Option<StrBytes> [8+],
    }

    /// A protocol that a member can follow.
    pub struct JoinGroupRequestProtocol {
        /// Its name, for example `range`.
        name: StrBytes,
        /// What the member says of itself to the leader, in the protocol's own form.
        metadata: Bytes,
    }
}

fields! {
    /// Asks for the member's assignment; that of the leader brings all of them.
    pub struct SyncGroupRequest {
        /// The group.
        group_id: StrBytes,
        /// The generation.
        generation_id: i32,
        /// The member.
        member_id: StrBytes,
        /// The name of a static member.
        group_instance_id: Option<StrBytes> [3+],
        /// What kind of group the member takes it for; null where it does not say.
        protocol_type: Option<StrBytes> [5+],
        /// The protocol that the member takes for the chosen one; null where it does not say.
        protocol_name: Option<StrBytes> [5+],
        /// The assignments, of the leader.
        assignments: Seq<SyncGroupRequestAssignment>,
    }

    /// What the leader assigns to a member.
    pub struct SyncGroupRequestAssignment {
        /// The member.
        member_id: StrBytes,
        /// The assignment, in the protocol's own form.
        assignment: Bytes,
    }
}

fields! {
    /// Says that the member is alive.
    pub struct HeartbeatRequest {
        /// The group.
        group_id: StrBytes,
        /// The generation.
        generation_id: i32,
        /// The member.
        member_id: StrBytes,
        /// The name of a static member.
        group_instance_id: Option<StrBytes> [3+],
    }
}

fields! {
    /// Members leave, by themselves or removed by an administrator.
    pub struct LeaveGroupRequest {
        /// The group.
        group_id: StrBytes,
        /// The member, before version 3.
        member_id: StrBytes [0-2],
        /// The members.
        members: Seq<MemberIdentity> [3+],
    }

    /// A member that leaves.
    pub struct MemberIdentity {
        /// Its id; empty where the name alone says who.
        member_id: StrBytes [3+],
        /// The name of a static member.
        group_instance_id: Option<StrBytes> [3+],
        /// Why it leaves.
        reason: Option<StrBytes> [5+],
    }
}

fields! {
    /// Describes groups of the classic protocol.
    pub struct DescribeGroupsRequest {
        /// The groups.
        groups: Seq<StrBytes>,
        /// Whether to say what the client may do to each group.
        include_authorized_operations: bool [3+],
    }
}

fields! {
    /// Lists the groups that this broker keeps.
    pub struct ListGroupsRequest {
        /// The states to list; empty for all.
        states_filter: Seq<StrBytes> [4+],
        /// The types of groups to list; empty for all.
        types_filter: Seq<StrBytes> [5+],
    }
}

fields! {
    /// Deletes groups that have no members, with their offsets.
    pub struct DeleteGroupsRequest {
        /// The groups.
        groups_names: Seq<StrBytes>,
    }
}

fields! {
    /// Which groups were deleted.
    pub struct DeleteGroupsResponse {
        /// How long the client was throttled.
        throttle_time_ms: i32,
        /// The groups.
        results: Vec<DeletableGroupResult>,
    }

    /// What became of one group.
    pub struct DeletableGroupResult {
        /// The group.
        group_id: StrBytes,
        /// 0, or why it was not deleted.
        error_code: i16,
        /// The same in words; null where the code says it.
        error_message: Option<StrBytes> [3+, null 3+],
    }
}
