//! FindCoordinator: which broker keeps a group.

use ottla_partition::metadata::Broker;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{
    BrokerId as WireBrokerId, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::Context;
use super::wire::text;
use crate::authorizer::{AclOperation, Resource};
use crate::groups::{OFFSETS_TOPIC, partition_of};
use crate::listener::Endpoint;

/// Kafka's codes of what a key is.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The coordinator, or why there is none, with a text where the code alone does not say it.
type Found = Result<(WireBrokerId, Endpoint), (ErrorCode, Option<&'static str>)>;

pub(crate) async fn handle(
    mut context: Context,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    prepare(&mut context, request).await;
    let context = &context;
    if context.version >= 4 {
        let keys = request.coordinator_keys.iter();
        let found = keys.map(|key| one_of_many(key, &find(context, request.key_type, key)));
        return FindCoordinatorResponse::default().with_coordinators(found.collect());
    }
    let found = find(context, request.key_type, &request.key);
    let (code, message) = verdict(&found);
    let answer = FindCoordinatorResponse::default()
        .with_error_code(code.code())
        .with_error_message(message);
    match found {
        Ok((id, endpoint)) => answer
            .with_node_id(id)
            .with_host(text(endpoint.host))
            .with_port(endpoint.port.into()),
        Err(_) => answer.with_node_id(WireBrokerId(-1)).with_port(-1),
    }
}

/// Sees that there are coordinators to be found: makes the topic of the groups where it is missing,
/// so that no client has to ask twice, and loads the groups that are asked for and kept here.
async fn prepare(context: &mut Context, request: &FindCoordinatorRequest) {
    let one = (context.version < 4).then_some(&request.key);
    let keys = request.coordinator_keys.iter().chain(one);
    let may = |key: &&StrBytes| context.allows(AclOperation::Describe, Resource::Group(key));
    let groups: Vec<_> = match request.key_type {
        GROUP => keys.filter(may).collect(),
        _ => return,
    };
    if groups.is_empty() {
        return;
    }
    if context
        .core
        .groups()
        .ensure_topic(&context.core)
        .await
        .is_err()
    {
        return;
    }
    context.image = context.core.metadata().image();
    let core = &context.core;
    for group in groups {
        let loaded = core.groups().prepare(core, &context.image, group);
        tokio::select! {
            biased;
            () = loaded => {}
            () = context.session.hurried() => return,
        }
    }
}

fn one_of_many(key: &StrBytes, found: &Found) -> Coordinator {
    let (code, message) = verdict(found);
    let answer = Coordinator::default()
        .with_key(text(key.as_str()))
        .with_error_code(code.code())
        .with_error_message(message);
    match found {
        Ok((id, endpoint)) => answer
            .with_node_id(*id)
            .with_host(text(endpoint.host.as_str()))
            .with_port(endpoint.port.into()),
        Err(_) => answer.with_node_id(WireBrokerId(-1)).with_port(-1),
    }
}

fn verdict(found: &Found) -> (ErrorCode, Option<StrBytes>) {
    match found {
        // As Kafka says it.
        Ok(_) => (ErrorCode::None, Some(text(ErrorCode::None.name()))),
        Err((code, message)) => {
            let message = message.unwrap_or_else(|| code.message());
            (*code, Some(text(message)))
        }
    }
}

fn find(context: &Context, key_type: i8, key: &str) -> Found {
    match key_type {
        GROUP => {
            if !context.allows(AclOperation::Describe, Resource::Group(key)) {
                return Err((ErrorCode::GroupAuthorizationFailed, None));
            }
            let broker = keeper(context, key);
            let endpoint = broker.and_then(|b| Some((b.id, context.endpoint(b)?)));
            let (id, endpoint) = endpoint.ok_or((ErrorCode::CoordinatorNotAvailable, None))?;
            Ok((WireBrokerId(id.get()), endpoint))
        }
        TRANSACTION => {
            if !context.allows(AclOperation::Describe, Resource::TransactionalId(key)) {
                return Err((ErrorCode::TransactionalIdAuthorizationFailed, None));
            }
            let message = "this broker has no transactions; remove transactional.id from the \
                           producer's configuration";
            Err((ErrorCode::UnsupportedVersion, Some(message)))
        }
        _ => Err((
            ErrorCode::InvalidRequest,
            Some("the type of the key is not known here"),
        )),
    }
}

/// The leader of the partition that the group is kept in.
fn keeper<'a>(context: &'a Context, group: &str) -> Option<&'a Broker> {
    let image = &context.image;
    let topic = image.topic(OFFSETS_TOPIC)?;
    let partition = topic.partition(partition_of(group, topic)?)?;
    image
        .broker(partition.leader?)
        .filter(|broker| !broker.fenced)
}
