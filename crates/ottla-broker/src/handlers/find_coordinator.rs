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
use crate::listener::Endpoint;

/// Kafka's codes of what a key is.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The topic that groups are kept in.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The coordinator, or why there is none, with a text where the code alone does not say it.
type Found = Result<(WireBrokerId, Endpoint), (ErrorCode, Option<&'static str>)>;

pub(crate) fn handle(
    context: &Context,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
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

/// The leader of the partition that the group is kept in; this broker while there is no such
/// partition yet.
fn keeper<'a>(context: &'a Context, group: &str) -> Option<&'a Broker> {
    let image = &context.image;
    let Some(topic) = image.topic(OFFSETS_TOPIC) else {
        return image.broker(context.core.node_id());
    };
    let count = i32::try_from(topic.partitions.len())
        .ok()
        .filter(|n| *n > 0)?;
    let partition = topic.partition(partition_of(group, count))?;
    image
        .broker(partition.leader?)
        .filter(|broker| !broker.fenced)
}

/// The partition that Kafka keeps `group` in: by Java's hash of a text.
fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_kafka_puts_them() {
        // Java: "test".hashCode() is 3556498.
        assert_eq!(partition_of("test", 50), 48);
        assert_eq!(partition_of("", 50), 0);
        // "polygenelubricants".hashCode() is the least number there is.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        // Surrogate pairs count as two.
        assert_eq!(partition_of("\u{1f600}", 50), 1_772_899 % 50);
    }
}
