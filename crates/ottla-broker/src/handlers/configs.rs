//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources.

use std::collections::BTreeSet;

use ottla_log::TopicName;
use ottla_partition::metadata::config::ConfigEntry;
use ottla_partition::metadata::controller::{
    AlterOp, AlterResource, Altered, ApiError, ApiResult, SetResource,
};
use ottla_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::incremental_alter_configs_response as incremental;
use ottla_protocol::messages::list_config_resources_response::ConfigResource as ListedResource;
use ottla_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::Context;
use super::wire::{text, verdict};
use crate::authorizer::{AclOperation, Resource};

/// Kafka's codes of the kinds of resources that have configs.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const KINDS: &[i8] = &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(crate) fn describe(
    context: &Context,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let kinds = request.resources.iter().map(|r| r.resource_type);
    if kinds.clone().any(|kind| !KINDS.contains(&kind)) {
        return refuse_all(request, ErrorCode::InvalidRequest);
    }
    let mut described = BTreeSet::new();
    let mut groups_left = context.core.limits().described_groups_max;
    let results = request.resources.iter().map(|resource| {
        let (kind, name) = (resource.resource_type, &*resource.resource_name);
        let found = if needs_no_resource(kind) && groups_left == 0 {
            let why = "Too many groups and client metrics at a time; ask in several requests.";
            Err(ApiError::new(ErrorCode::InvalidRequest, why))
        } else if described.insert((kind, name)) {
            groups_left -= usize::from(needs_no_resource(kind));
            entries(context, kind, name)
        } else {
            // Kafka describes it again. A few bytes would stand for many, as often as they come.
            let why = "Each resource must appear at most once.";
            Err(ApiError::new(ErrorCode::InvalidRequest, why))
        };
        let (code, message) = verdict(&found);
        let shown = |entry: &&ConfigEntry| is_wanted(resource, entry.name);
        let all = found.unwrap_or_default();
        let entries = all
            .iter()
            .filter(shown)
            .map(|entry| describe_entry(request, entry));
        DescribeConfigsResult::default()
            .with_error_code(code)
            .with_error_message(Some(message.unwrap_or_default()))
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_configs(entries.collect())
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Whether a resource of this kind has a configuration without being there, so that the state of
/// the cluster does not bound how many can be described.
pub(crate) const fn needs_no_resource(kind: i8) -> bool {
    matches!(kind, GROUP | CLIENT_METRICS)
}

/// The answer to a request that asks for what no version knows: nothing of it is answered.
fn refuse_all(request: &DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse {
    let refused = request.resources.iter().map(|resource| {
        DescribeConfigsResult::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())))
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
    });
    DescribeConfigsResponse::default().with_results(refused.collect())
}

/// Whether `key` was asked for: no list, and an empty one, ask for all.
fn is_wanted(resource: &DescribeConfigsResource, key: &str) -> bool {
    let keys = resource.configuration_keys.as_ref();
    keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|k| k.as_str() == key))
}

fn entries(context: &Context, kind: i8, name: &str) -> ApiResult<Vec<ConfigEntry>> {
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidRequest, message);
    if let Some(code) = denied(context, AclOperation::DescribeConfigs, kind, name) {
        return Err(code.into());
    }
    match kind {
        TOPIC => {
            let checked = TopicName::new(name);
            checked.map_err(|e| ApiError::new(ErrorCode::InvalidTopicException, e.to_string()))?;
            if context.image.topic(name).is_none() {
                return Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, ""));
            }
            Ok(context.config().describe_topic(name))
        }
        BROKER if name.is_empty() => Ok(context.config().describe_all_brokers()),
        BROKER_LOGGER if name.is_empty() => Err(invalid("Broker id must not be empty".to_owned())),
        BROKER | BROKER_LOGGER => {
            let own = context.core.node_id().get();
            let wrong = "Broker id must be an integer, but it is:";
            let id: i32 = name
                .parse()
                .map_err(|_| invalid(format!("{wrong} {name}")))?;
            if id != own {
                let or_all = if kind == BROKER {
                    " or empty string,"
                } else {
                    ""
                };
                let text =
                    format!("Unexpected broker id, expected {own}{or_all} but received {name}");
                return Err(invalid(text));
            }
            // The log filter is the process's, set at its start: no logger has a level of its own.
            Ok(if kind == BROKER {
                context.config().describe_broker()
            } else {
                Vec::new()
            })
        }
        CLIENT_METRICS if name.is_empty() => Err(invalid(
            "Client metrics subscription name must not be empty".to_owned(),
        )),
        CLIENT_METRICS => Ok(context.config().describe_client_metrics(name)),
        GROUP if name.is_empty() => Err(invalid("Group name must not be empty".to_owned())),
        GROUP => Ok(context.config().describe_group(name)),
        _ => Err(invalid(format!("Unsupported resource type: {kind}"))),
    }
}

fn describe_entry(
    request: &DescribeConfigsRequest,
    entry: &ConfigEntry,
) -> DescribeConfigsResourceResult {
    let synonyms = entry
        .synonyms
        .iter()
        .filter(|_| request.include_synonyms)
        .map(|synonym| {
            DescribeConfigsSynonym::default()
                .with_name(text(synonym.name.as_str()))
                .with_value(synonym.value.as_deref().map(text))
                .with_source(synonym.source.code())
        });
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(entry.value.as_deref().map(text))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(entry.kind.code())
        .with_documentation(request.include_documentation.then(|| text(entry.doc)))
}

/// Lists what has configs of its own, and topics and brokers, which always have some.
pub(crate) fn list(
    context: &Context,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let answer = ListConfigResourcesResponse::default();
    if !context.allows(AclOperation::DescribeConfigs, Resource::Cluster) {
        return answer.with_error_code(ErrorCode::ClusterAuthorizationFailed.code());
    }
    let known: &[i8] = if context.version == 0 {
        &[CLIENT_METRICS]
    } else {
        KINDS
    };
    let asked: BTreeSet<i8> = match &*request.resource_types {
        [] => known.iter().copied().collect(),
        asked => asked.iter().copied().collect(),
    };
    if asked.iter().any(|kind| !known.contains(kind)) {
        return answer.with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let listed = asked.into_iter().flat_map(|kind| {
        let names = names_of(context, kind).into_iter();
        names.map(move |name| {
            ListedResource::default()
                .with_resource_name(name)
                .with_resource_type(kind)
        })
    });
    answer.with_config_resources(listed.collect())
}

fn names_of(context: &Context, kind: i8) -> Vec<StrBytes> {
    let image = &*context.image;
    match kind {
        TOPIC => image.topics().map(|t| text(t.name.as_str())).collect(),
        BROKER | BROKER_LOGGER => {
            let active = image.brokers().filter(|broker| broker.is_active());
            active.map(|broker| text(broker.id.to_string())).collect()
        }
        _ => {
            let own = image.configs().filter(|(r, _)| r.kind.code() == kind);
            own.map(|(resource, _)| text(&*resource.name)).collect()
        }
    }
}

pub(crate) async fn alter(
    context: &Context,
    request: &AlterConfigsRequest,
) -> AlterConfigsResponse {
    let resources = request.resources.iter().map(|resource| SetResource {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        configs: (resource.configs.iter())
            .map(|c| (c.name.to_string(), owned(c.value.as_ref())))
            .collect(),
        denied: denied_alter(context, resource.resource_type, &resource.resource_name),
    });
    let asked: Vec<SetResource> = resources.collect();
    let keys: Vec<(i8, String)> = asked.iter().map(|r| (r.kind, r.name.clone())).collect();
    let validate_only = request.validate_only;
    let decided = context
        .core
        .metadata()
        .change(move |c| c.alter_configs(&asked, validate_only));
    let results = all_or_refused(decided.await, keys)
        .into_iter()
        .map(|altered| {
            let (code, message) = verdict(&altered.result);
            AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(altered.kind)
                .with_resource_name(text(altered.name))
        });
    AlterConfigsResponse::default().with_responses(results.collect())
}

pub(crate) async fn incremental_alter(
    context: &Context,
    request: &IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources = request.resources.iter().map(|resource| AlterResource {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        ops: (resource.configs.iter())
            .map(|c| AlterOp {
                name: c.name.to_string(),
                op: c.config_operation,
                value: owned(c.value.as_ref()),
            })
            .collect(),
        denied: denied_alter(context, resource.resource_type, &resource.resource_name),
    });
    let asked: Vec<AlterResource> = resources.collect();
    let keys: Vec<(i8, String)> = asked.iter().map(|r| (r.kind, r.name.clone())).collect();
    let validate_only = request.validate_only;
    let metadata = context.core.metadata();
    let decided = metadata.change(move |c| c.incremental_alter_configs(&asked, validate_only));
    let results = all_or_refused(decided.await, keys)
        .into_iter()
        .map(|altered| {
            let (code, message) = verdict(&altered.result);
            incremental::AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(altered.kind)
                .with_resource_name(text(altered.name))
        });
    IncrementalAlterConfigsResponse::default().with_responses(results.collect())
}

fn all_or_refused(
    decided: Result<Vec<Altered>, crate::metadata::MetadataError>,
    keys: Vec<(i8, String)>,
) -> Vec<Altered> {
    decided.unwrap_or_else(|error| {
        let refused = |(kind, name)| Altered {
            kind,
            name,
            result: Err(error.to_api()),
        };
        keys.into_iter().map(refused).collect()
    })
}

fn owned(value: Option<&StrBytes>) -> Option<String> {
    value.map(ToString::to_string)
}

fn denied_alter(context: &Context, kind: i8, name: &str) -> Option<ErrorCode> {
    denied(context, AclOperation::AlterConfigs, kind, name)
}

/// Why the peer may not do `operation` on the configs of a resource, if it may not.
fn denied(context: &Context, operation: AclOperation, kind: i8, name: &str) -> Option<ErrorCode> {
    let (resource, code) = match kind {
        TOPIC => (Resource::Topic(name), ErrorCode::TopicAuthorizationFailed),
        GROUP => (Resource::Group(name), ErrorCode::GroupAuthorizationFailed),
        _ => (Resource::Cluster, ErrorCode::ClusterAuthorizationFailed),
    };
    (!context.allows(operation, resource)).then_some(code)
}
