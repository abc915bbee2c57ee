//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup.

use ottla_coordinator::group::request::{
    Heartbeat, Identity, JoinGroup, LeaveGroup, LeavingMember, Protocol, SyncGroup,
};
use ottla_coordinator::group::response::{JoinedGroup, LeftGroup, SyncedGroup};
use ottla_coordinator::group::{GroupRequest, GroupResponse};
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_protocol::messages::leave_group_response::MemberResponse;
use ottla_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::{allows, answer, when_told};
use crate::authorizer::AclOperation;
use crate::budget::Charge;
use crate::connection::Reply;
use crate::cost;
use crate::groups::{Asked, Told};
use crate::handlers::wire::text;
use crate::handlers::{Context, state_cost};

/// From this version on a new member is given its id first, and joins with it then (KIP-394).
const MEMBER_ID_FIRST: i16 = 4;
/// From this version on the type and the name of the protocol may be null.
const PROTOCOL_MAY_BE_NULL: i16 = 7;
/// From this version on a leader need not assign what it assigned before (KIP-814).
const SKIPS_ASSIGNMENT: i16 = 9;
/// From this version on a member says which protocol it goes by (KIP-559).
const NAMES_PROTOCOL: i16 = 5;
/// From this version on several members leave at once.
const LEAVES_TOGETHER: i16 = 3;

/// Joins. Waits as long as the group does: meanwhile this connection reads no further request, as
/// with Kafka.
pub(crate) async fn join(
    context: &Context,
    request: JoinGroupRequest,
    charge: &mut Charge,
) -> JoinGroupResponse {
    if !allows(context, AclOperation::Read, &request.group_id) {
        let code = ErrorCode::GroupAuthorizationFailed;
        return joined(
            context.version,
            JoinedGroup::refused(code, StrBytes::default()),
        );
    }
    if request.group_id.is_empty() {
        let member = request.member_id.clone();
        return joined(
            context.version,
            JoinedGroup::refused(ErrorCode::InvalidGroupId, member),
        );
    }
    let asked = context
        .core
        .groups()
        .ask_anew(
            &context.core,
            &context.session,
            &request.group_id,
            join_of(context, &request),
        )
        .await;
    drop(request);
    let told = match asked {
        Ok(asked) => park(asked, charge).await,
        Err(code) => Err(code),
    };
    let answer = answer!(told, Join);
    joined(
        context.version,
        answer.unwrap_or_else(|code| JoinedGroup::refused(code, StrBytes::default())),
    )
}

/// Waits for the others. What was asked is used up, and not what they wait for. What they said
/// makes the answer as large as it is: that is charged before any of it is copied. The member's
/// session begins after that wait, as nothing is heard of it before.
async fn park(asked: Asked, charge: &mut Charge) -> Told {
    charge.shrink_to(cost::of_answering(0, 0));
    charge.park();
    let held = asked.held_answer().await;
    charge.resume();
    let (told, _begins) = held?;
    let telling = state_cost::of_member_told(&told);
    if telling > 0 {
        charge.grow(telling).await;
    }
    Ok(told)
}

fn join_of(context: &Context, request: &JoinGroupRequest) -> GroupRequest {
    let protocol = |protocol: &ottla_protocol::messages::JoinGroupRequestProtocol| Protocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
    };
    GroupRequest::Join(JoinGroup {
        group: request.group_id.clone(),
        member_id: request.member_id.clone(),
        instance_id: request.group_instance_id.clone(),
        client_id: text(context.client_id.as_deref().unwrap_or_default()),
        client_host: text(format!("/{}", context.session.host())),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match context.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: request.protocol_type.clone(),
        protocols: request.protocols.iter().map(protocol).collect(),
        entropy: text(random_uuid(context)),
        requires_member_id: context.version >= MEMBER_ID_FIRST,
        can_skip_assignment: context.version >= SKIPS_ASSIGNMENT,
    })
}

/// A random UUID (version 4), as text.
fn random_uuid(context: &Context) -> String {
    let mut bytes = [0; 16];
    context.core.entropy().fill(&mut bytes);
    let random = ottla_protocol::client::Uuid::from_bytes(bytes).as_u128();
    let version = random & !(0xf << 76) | (4 << 76);
    let variant = version & !(0b11 << 62) | (0b10 << 62);
    ottla_protocol::client::Uuid::from_u128(variant).to_string()
}

fn joined(version: i16, group: JoinedGroup) -> JoinGroupResponse {
    let member = |member: ottla_coordinator::group::response::JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.instance_id.filter(|_| version >= 5))
            .with_metadata(member.metadata)
    };
    let is_named = version >= PROTOCOL_MAY_BE_NULL;
    JoinGroupResponse::default()
        .with_error_code(group.error.code())
        .with_generation_id(group.generation)
        .with_protocol_type(group.protocol_type.filter(|_| is_named))
        .with_protocol_name(match group.protocol_name {
            None if !is_named => Some(StrBytes::default()),
            // Where there is none, and there may be none.
            Some(name) if is_named && name.is_empty() => None,
            name => name,
        })
        .with_leader(group.leader)
        .with_skip_assignment(group.skip_assignment)
        .with_member_id(group.member_id)
        .with_members(group.members.into_iter().map(member).collect())
}

/// Fetches the assignment. Waits for the leader's, as [`join`] waits for the others.
pub(crate) async fn sync(
    context: &Context,
    request: SyncGroupRequest,
    charge: &mut Charge,
) -> SyncGroupResponse {
    let names = request.protocol_type.is_some() && request.protocol_name.is_some();
    if context.version >= NAMES_PROTOCOL && !names {
        return synced(context.version, Err(ErrorCode::InconsistentGroupProtocol));
    }
    if let Err(code) = check_member(context, &request.group_id) {
        return synced(context.version, Err(code));
    }
    let assignments = request.assignments.iter();
    let asked = GroupRequest::Sync(SyncGroup {
        group: request.group_id.clone(),
        identity: Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.clone(),
        protocol_name: request.protocol_name.clone(),
        assignments: assignments
            .map(|a| (a.member_id.clone(), a.assignment.clone()))
            .collect(),
    });
    let groups = context.core.groups();
    let asked = groups
        .ask(&context.core, &context.session, &request.group_id, asked)
        .await;
    drop(request);
    let told = match asked {
        Ok(asked) => park(asked, charge).await,
        Err(code) => Err(code),
    };
    synced(context.version, answer!(told, Sync))
}

fn synced(version: i16, told: Result<SyncedGroup, ErrorCode>) -> SyncGroupResponse {
    match told {
        Ok(group) => {
            let is_named = version >= NAMES_PROTOCOL;
            SyncGroupResponse::default()
                .with_error_code(group.error.code())
                .with_protocol_type(group.protocol_type.filter(|_| is_named))
                .with_protocol_name(group.protocol_name.filter(|_| is_named))
                .with_assignment(group.assignment)
        }
        Err(code) => SyncGroupResponse::default().with_error_code(code.code()),
    }
}

/// Whether the peer may be a member of the group, and whether it is a group's name at all.
fn check_member(context: &Context, group: &str) -> Result<(), ErrorCode> {
    if !allows(context, AclOperation::Read, group) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    match group.is_empty() {
        true => Err(ErrorCode::InvalidGroupId),
        false => Ok(()),
    }
}

pub(crate) async fn heartbeat(context: &Context, request: &HeartbeatRequest) -> Reply {
    let answer = |code: ErrorCode| HeartbeatResponse::default().with_error_code(code.code());
    if let Err(code) = check_member(context, &request.group_id) {
        return answer(code).into();
    }
    let beat = GroupRequest::Heartbeat(Heartbeat {
        group: request.group_id.clone(),
        identity: Identity {
            member_id: request.member_id.clone(),
            instance_id: request.group_instance_id.clone(),
            generation: request.generation_id,
        },
    });
    let groups = context.core.groups();
    let asked = groups
        .ask(&context.core, &context.session, &request.group_id, beat)
        .await;
    when_told(asked, move |told| match answer!(told, Heartbeat) {
        // The member may well live; it shall not join anew for a load that is soon over.
        Err(ErrorCode::CoordinatorLoadInProgress) => answer(ErrorCode::None),
        Ok(code) | Err(code) => answer(code),
    })
}

pub(crate) async fn leave(context: &Context, request: &LeaveGroupRequest) -> Reply {
    let version = context.version;
    if let Err(code) = check_member(context, &request.group_id) {
        return left(version, Err(code)).into();
    }
    let members = match version {
        LEAVES_TOGETHER.. => request
            .members
            .iter()
            .map(|member| LeavingMember {
                member_id: member.member_id.clone(),
                instance_id: member.group_instance_id.clone(),
            })
            .collect(),
        _ => vec![LeavingMember {
            member_id: request.member_id.clone(),
            instance_id: None,
        }],
    };
    let leave = GroupRequest::Leave(LeaveGroup {
        group: request.group_id.clone(),
        members,
    });
    let groups = context.core.groups();
    let asked = groups
        .ask(&context.core, &context.session, &request.group_id, leave)
        .await;
    when_told(asked, move |told| left(version, answer!(told, Leave)))
}

fn left(version: i16, told: Result<LeftGroup, ErrorCode>) -> LeaveGroupResponse {
    let group = told.unwrap_or_else(|error| LeftGroup {
        error,
        members: Vec::new(),
    });
    if version < LEAVES_TOGETHER {
        // The one member's result is the whole one.
        let of_member = group.members.first().map_or(ErrorCode::None, |m| m.error);
        let code = match group.error {
            ErrorCode::None => of_member,
            error => error,
        };
        return LeaveGroupResponse::default().with_error_code(code.code());
    }
    let member = |member: ottla_coordinator::group::response::LeftMember| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.instance_id)
            .with_error_code(member.error.code())
    };
    LeaveGroupResponse::default()
        .with_error_code(group.error.code())
        .with_members(group.members.into_iter().map(member).collect())
}
