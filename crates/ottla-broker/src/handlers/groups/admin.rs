//! DescribeGroups, ListGroups and DeleteGroups.

use std::collections::BTreeSet;

use ottla_coordinator::group::request::{DeleteGroup, DescribeGroup, ListGroups};
use ottla_coordinator::group::response as told;
use ottla_coordinator::group::{GroupRequest, GroupResponse};
use ottla_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, GroupId, ListGroupsRequest, ListGroupsResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::{allows, answer};
use crate::authorizer::{AclOperation, Resource};
use crate::handlers::Context;
use crate::handlers::wire::text;

/// What can be done to a group.
const OPERATIONS: &[AclOperation] = &[
    AclOperation::Read,
    AclOperation::Delete,
    AclOperation::Describe,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
];
/// From this version on an unknown group is an error and not a dead one.
const UNKNOWN_IS_ERROR: i16 = 6;
/// How Kafka calls the state of a group that is not there.
const DEAD: &str = "Dead";

/// Describes each group once, however often it is named: its members may have much to say.
pub(crate) async fn describe(
    context: &Context,
    request: &DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let (may, denied) = distinct(context, AclOperation::Describe, request.groups.iter());
    let denied = denied.into_iter().map(|name| {
        DescribedGroup::default()
            .with_group_id(GroupId(name.clone()))
            .with_error_code(ErrorCode::GroupAuthorizationFailed.code())
    });
    let mut groups: Vec<_> = denied.collect();
    for name in may {
        let asked = GroupRequest::Describe(DescribeGroup {
            group: name.clone(),
        });
        let asked = context
            .core
            .groups()
            .ask(&context.core, &context.session, name, asked)
            .await;
        let told = match asked {
            Ok(asked) => asked.answer().await,
            Err(code) => Err(code),
        };
        let told = answer!(told, Describe);
        groups.push(described(context, request, name, told));
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

/// The groups named, each once: those that the peer may do `operation` on, and the others.
fn distinct<'a>(
    context: &Context,
    operation: AclOperation,
    names: impl Iterator<Item = &'a StrBytes>,
) -> (Vec<&'a StrBytes>, Vec<&'a StrBytes>) {
    let mut seen = BTreeSet::new();
    names
        .filter(|name| seen.insert(name.as_str()))
        .partition(|name| allows(context, operation, name))
}

fn described(
    context: &Context,
    request: &DescribeGroupsRequest,
    name: &StrBytes,
    told: Result<Option<told::DescribedGroup>, ErrorCode>,
) -> DescribedGroup {
    let answer = DescribedGroup::default().with_group_id(GroupId(name.clone()));
    let group = match told {
        Ok(Some(group)) => group,
        Ok(None) if context.version >= UNKNOWN_IS_ERROR => {
            return answer
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(text(format!("Group {name} not found."))))
                .with_group_state(StrBytes::from_static_str(DEAD));
        }
        Ok(None) => {
            let dead = answer.with_group_state(StrBytes::from_static_str(DEAD));
            return with_operations(context, request, name, dead);
        }
        Err(code) => return answer.with_error_code(code.code()),
    };
    let member = |member: told::DescribedMember| {
        DescribedGroupMember::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.instance_id.filter(|_| context.version >= 4))
            .with_client_id(member.client_id)
            .with_client_host(member.client_host)
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    };
    let answer = answer
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(group.protocol_type)
        .with_protocol_data(group.protocol_name)
        .with_members(group.members.into_iter().map(member).collect());
    with_operations(context, request, name, answer)
}

fn with_operations(
    context: &Context,
    request: &DescribeGroupsRequest,
    name: &str,
    answer: DescribedGroup,
) -> DescribedGroup {
    match request.include_authorized_operations {
        true => answer
            .with_authorized_operations(context.allowed_bits(OPERATIONS, Resource::Group(name))),
        false => answer,
    }
}

pub(crate) async fn list(context: &Context, request: &ListGroupsRequest) -> ListGroupsResponse {
    let asked = GroupRequest::List(ListGroups {
        states: request.states_filter.iter().cloned().collect(),
        types: request.types_filter.iter().cloned().collect(),
    });
    let listed = match context
        .core
        .groups()
        .ask_all(&context.core, &context.session, &asked)
        .await
    {
        Ok(asked) => gather(asked).await,
        Err(code) => Err(code),
    };
    let groups = match listed {
        Ok(groups) => groups,
        Err(code) => return ListGroupsResponse::default().with_error_code(code.code()),
    };
    let all = context.allows(AclOperation::Describe, Resource::Cluster);
    let shown = groups
        .into_iter()
        .filter(|group| all || allows(context, AclOperation::Describe, &group.group));
    let listed = |group: told::ListedGroup| {
        ListedGroup::default()
            .with_group_id(GroupId(group.group))
            .with_protocol_type(group.protocol_type)
            .with_group_state(StrBytes::from_static_str(group.state))
            .with_group_type(StrBytes::from_static_str(group.group_type))
    };
    ListGroupsResponse::default().with_groups(shown.map(listed).collect())
}

async fn gather(asked: Vec<crate::groups::Asked>) -> Result<Vec<told::ListedGroup>, ErrorCode> {
    let mut groups = Vec::new();
    for asked in asked {
        match answer!(asked.answer().await, List) {
            Ok(listed) => groups.extend(listed),
            // It has lost its groups since it was asked; as those that it lost before, they are
            // not told of.
            Err(ErrorCode::NotCoordinator) => {}
            Err(code) => return Err(code),
        }
    }
    Ok(groups)
}

pub(crate) async fn delete(
    context: &Context,
    request: &DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let (may, denied) = distinct(context, AclOperation::Delete, request.groups_names.iter());
    // All are asked before the first is waited for: one sync makes many deletions durable.
    let mut asked = Vec::with_capacity(may.len());
    for name in may {
        let delete = GroupRequest::Delete(DeleteGroup {
            group: name.clone(),
        });
        let groups = context.core.groups();
        asked.push((
            name,
            groups
                .ask(&context.core, &context.session, name, delete)
                .await,
        ));
    }
    let result = |name: &StrBytes, code: ErrorCode| DeletableGroupResult {
        group_id: name.clone(),
        error_code: code.code(),
        error_message: None,
    };
    let mut results = Vec::with_capacity(asked.len() + denied.len());
    for (name, asked) in asked {
        let told = match asked {
            Ok(asked) => asked.answer().await,
            Err(code) => Err(code),
        };
        let (Ok(code) | Err(code)) = answer!(told, Delete);
        results.push(result(name, code));
    }
    let denied = denied.into_iter();
    results.extend(denied.map(|name| result(name, ErrorCode::GroupAuthorizationFailed)));
    DeleteGroupsResponse {
        results,
        ..DeleteGroupsResponse::default()
    }
}
