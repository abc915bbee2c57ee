//! CreateTopics, DeleteTopics, CreatePartitions.

use ottla_partition::BrokerId;
use ottla_partition::metadata::config::ConfigEntry;
use ottla_partition::metadata::controller::{
    ApiError, ApiResult, CreateTopics, CreatedTopic, DeleteTopic, DeletedTopic, NewPartitions,
    NewTopic,
};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{
    CreatableTopic, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::Context;
use super::wire::{text, topic_id, topic_name, uuid, verdict};
use crate::authorizer::{AclOperation, Resource};

pub(crate) async fn create(
    context: &Context,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let cluster = context.allows(AclOperation::Create, Resource::Cluster);
    let topic = |topic: &CreatableTopic| NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: (topic.assignments.iter())
            .map(|a| (a.partition_index, broker_ids(&a.broker_ids)))
            .collect(),
        configs: (topic.configs.iter())
            .map(|c| {
                (
                    c.name.to_string(),
                    c.value.as_ref().map(ToString::to_string),
                )
            })
            .collect(),
        may_create: cluster || context.allows_topic(AclOperation::Create, &topic.name),
        may_describe_configs: context.allows_topic(AclOperation::DescribeConfigs, &topic.name),
    };
    let asked = CreateTopics {
        topics: request.topics.iter().map(topic).collect(),
        validate_only: request.validate_only,
    };
    #[expect(
        clippy::needless_collect,
        reason = "`asked` is moved before they are used"
    )]
    let names: Vec<String> = asked.topics.iter().map(|t| t.name.clone()).collect();
    let entropy = context.core.entropy();
    let decided = context
        .core
        .metadata()
        .change(move |c| c.create_topics(&asked, &*entropy));
    let results = match decided.await {
        Ok(created) => created,
        Err(error) => {
            let refused = |name| CreatedTopic {
                name,
                result: Err(error.to_api()),
            };
            names.into_iter().map(refused).collect()
        }
    };
    let answers = results.into_iter().map(|t| created(context.version, t));
    CreateTopicsResponse::default().with_topics(answers.collect())
}

fn created(version: i16, topic: CreatedTopic) -> CreatableTopicResult {
    let (code, message) = verdict(&topic.result);
    let answer = CreatableTopicResult::default()
        .with_name(topic_name(topic.name))
        .with_error_code(code)
        .with_error_message(message)
        .with_num_partitions(-1)
        .with_replication_factor(-1);
    let Ok(done) = topic.result else {
        return answer;
    };
    if version < 5 {
        // Effective settings came with version 5, ids with version 7.
        return answer;
    }
    let answer = answer.with_topic_id(uuid(done.topic_id));
    match done.configs {
        Some(configs) => answer
            .with_num_partitions(done.partitions)
            .with_replication_factor(done.replication_factor)
            .with_configs(Some(configs.iter().map(config).collect())),
        None => answer
            .with_configs(Some(Vec::new()))
            .with_topic_config_error_code(ErrorCode::TopicAuthorizationFailed.code()),
    }
}

fn config(entry: &ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(text(entry.name))
        .with_value(entry.value.as_deref().map(text))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive)
}

pub(crate) async fn delete(
    context: &Context,
    request: &DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let names = request
        .topic_names
        .iter()
        .map(|name| DeleteTopic::by_name(name.as_str()));
    let topics = request.topics.iter().map(|topic| DeleteTopic {
        name: topic.name.as_ref().map(ToString::to_string),
        ..DeleteTopic::by_id(topic_id(&topic.topic_id))
    });
    let mut asked: Vec<DeleteTopic> = names.chain(topics).collect();
    let every_topic = context.allows(AclOperation::Delete, Resource::Cluster);
    for topic in &mut asked {
        let by_id = || Some(context.image.topic_by_id(topic.topic_id)?.name.to_string());
        let name = topic.name.clone().or_else(by_id);
        // An id that is not there now may be there when the controller decides.
        let may = |operation| {
            let of_topic = |name: &String| context.allows_topic(operation, name);
            every_topic || name.as_ref().is_some_and(of_topic)
        };
        topic.may_describe = may(AclOperation::Describe);
        topic.may_delete = may(AclOperation::Delete);
    }
    let refuse = |error: &ApiError| {
        let refused = |topic: &DeleteTopic| DeletedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            result: Err(error.clone()),
        };
        asked.iter().map(refused).collect::<Vec<_>>()
    };
    let results = match deletion_allowed(context) {
        Err(error) => refuse(&error),
        Ok(()) => {
            let topics = asked.clone();
            match context
                .core
                .metadata()
                .change(move |c| c.delete_topics(&topics))
                .await
            {
                Ok(deleted) => deleted,
                Err(error) => refuse(&error.to_api()),
            }
        }
    };
    let result = |topic: DeletedTopic| {
        let (code, message) = verdict(&topic.result);
        DeletableTopicResult::default()
            .with_name(topic.name.map(topic_name))
            .with_topic_id(uuid(topic.topic_id))
            .with_error_code(code)
            .with_error_message(message)
    };
    DeleteTopicsResponse::default().with_responses(results.into_iter().map(result).collect())
}

/// `delete.topic.enable`; the code for it came with version 3.
fn deletion_allowed(context: &Context) -> ApiResult<()> {
    if context.config().broker("delete.topic.enable").boolean() != Some(false) {
        return Ok(());
    }
    let code = if context.version < 3 {
        ErrorCode::InvalidRequest
    } else {
        ErrorCode::TopicDeletionDisabled
    };
    Err(ApiError::new(code, ""))
}

pub(crate) async fn create_partitions(
    context: &Context,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let topic = |topic: &CreatePartitionsTopic| NewPartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments: (topic.assignments.as_ref())
            .map(|all| all.iter().map(|a| broker_ids(&a.broker_ids)).collect()),
        may_alter: context.allows_topic(AclOperation::Alter, &topic.name),
    };
    let asked: Vec<NewPartitions> = request.topics.iter().map(topic).collect();
    #[expect(
        clippy::needless_collect,
        reason = "`asked` is moved before they are used"
    )]
    let names: Vec<String> = asked.iter().map(|t| t.topic.clone()).collect();
    let validate_only = request.validate_only;
    let entropy = context.core.entropy();
    let metadata = context.core.metadata();
    let decided = metadata.change(move |c| c.create_partitions(&asked, validate_only, &*entropy));
    let results: Vec<(String, ApiResult<()>)> = match decided.await {
        Ok(grown) => grown.into_iter().map(|t| (t.topic, t.result)).collect(),
        Err(error) => names
            .into_iter()
            .map(|name| (name, Err(error.to_api())))
            .collect(),
    };
    let result = |(name, result): (String, ApiResult<()>)| {
        let (code, message) = verdict(&result);
        CreatePartitionsTopicResult::default()
            .with_name(topic_name(name))
            .with_error_code(code)
            .with_error_message(message)
    };
    CreatePartitionsResponse::default().with_results(results.into_iter().map(result).collect())
}

fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId::new).collect()
}
