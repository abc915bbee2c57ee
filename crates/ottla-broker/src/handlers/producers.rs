//! DescribeProducers: the producers that partitions know, and the transactions they have open.

use std::collections::BTreeSet;

use ottla_log::inspect::ProducerEntry;
use ottla_log::{Offset, TopicName};
use ottla_partition::metadata::Topic;
use ottla_partition::metadata::controller::{ApiError, ApiResult};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopic, ProducerId,
};

use super::Context;
use super::wire::{topic_name, verdict};
use crate::authorizer::AclOperation;

pub(crate) async fn describe(
    context: &Context,
    request: &DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut left = context.core.limits().described_producers_max;
    let mut described = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = find(context, asked);
        let mut partitions = Vec::with_capacity(asked.partition_indexes.len());
        for number in &asked.partition_indexes {
            let told = match &topic {
                Err(error) => Err(error.clone()),
                // Kafka tells of it again. A few bytes would stand for many.
                Ok(_) if !described.insert((&*asked.name, *number)) => {
                    let why = "Each partition must appear at most once.";
                    Err(ApiError::new(ErrorCode::InvalidRequest, why))
                }
                Ok(topic) => producers(context, topic, *number, &mut left).await,
            };
            partitions.push(answer(*number, told));
        }
        topics.push(
            TopicResponse::default()
                .with_name(topic_name(&*asked.name))
                .with_partitions(partitions),
        );
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn find<'a>(context: &'a Context, asked: &DescribeProducersTopic) -> ApiResult<&'a Topic> {
    let checked = TopicName::new(&asked.name);
    checked.map_err(|e| ApiError::new(ErrorCode::InvalidTopicException, e.to_string()))?;
    if !context.allows_topic(AclOperation::Read, &asked.name) {
        return Err(refusal(ErrorCode::TopicAuthorizationFailed));
    }
    let topic = context.image.topic(&asked.name);
    let topic = topic.ok_or_else(|| refusal(ErrorCode::UnknownTopicOrPartition))?;
    Ok(topic)
}

/// What is wrong with a whole topic is said in words, too.
fn refusal(code: ErrorCode) -> ApiError {
    ApiError::new(code, code.message())
}

async fn producers(
    context: &Context,
    topic: &Topic,
    number: i32,
    left: &mut usize,
) -> ApiResult<Vec<ProducerEntry>> {
    let partition = context.partition(topic, number).await;
    let partition = partition.map_err(|code| ApiError::new(code, ""))?;
    let producers = partition.log().producers();
    if producers.len() > *left {
        let why = "Too many producers at a time; ask in several requests.";
        return Err(ApiError::new(ErrorCode::InvalidRequest, why));
    }
    *left -= producers.len();
    Ok(producers)
}

fn answer(number: i32, told: ApiResult<Vec<ProducerEntry>>) -> PartitionResponse {
    let (code, message) = verdict(&told);
    let state = |producer: &ProducerEntry| {
        ProducerState::default()
            .with_producer_id(ProducerId(producer.producer_id.get()))
            .with_producer_epoch(producer.epoch.get().into())
            .with_last_sequence(producer.last_sequence.get())
            .with_last_timestamp(producer.last_timestamp.get())
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.transaction_start.map_or(-1, Offset::get))
    };
    PartitionResponse::default()
        .with_partition_index(number)
        .with_error_code(code)
        .with_error_message(message)
        .with_active_producers(told.iter().flatten().map(state).collect())
}
