//! DeleteRecords: takes the oldest records out of partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::Offset;
use ottla_partition::metadata::is_internal_topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::wire::topic_name;
use super::{Context, codes};
use crate::authorizer::AclOperation;
use crate::partition::Partition;

/// Asks for everything up to the high watermark to go.
const HIGH_WATERMARK: i64 = -1;
/// What is answered instead of a low watermark where nothing was deleted.
const NO_LOW_WATERMARK: i64 = -1;

pub(crate) async fn handle(
    context: &Context,
    request: &DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    for (name, asked) in wanted(request) {
        let mut partitions = Vec::with_capacity(asked.len());
        for (number, offset) in asked {
            let result = delete(context, name, number, offset).await;
            let (code, low) = match result {
                Ok(low) => (ErrorCode::None, low.get()),
                Err(code) => (code, NO_LOW_WATERMARK),
            };
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(number)
                    .with_low_watermark(low)
                    .with_error_code(code.code()),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic_name(name))
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

/// The offset asked for of each partition, by topic: the last one, where it comes more than once.
fn wanted(request: &DeleteRecordsRequest) -> BTreeMap<&str, BTreeMap<i32, i64>> {
    let mut wanted: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let of_topic = wanted.entry(topic.name.as_str()).or_default();
            of_topic.insert(partition.partition_index, partition.offset);
        }
    }
    wanted
}

/// Deletes below the offset asked for; the least offset that some replica still has.
async fn delete(
    context: &Context,
    name: &str,
    number: i32,
    offset: i64,
) -> Result<Offset, ErrorCode> {
    if !context.allows_topic(AclOperation::Delete, name) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let known = context.image.topic(name).cloned();
    let known = known.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if known.partition(number).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    if is_internal_topic(name) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = context.partition(&known, number).await?;
    if !context.config().topic_config(name).cleanup.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let view = partition.view();
    let to = match offset {
        HIGH_WATERMARK => view.high_watermark,
        offset => Offset::new(offset),
    };
    if to.get() < 0 || to > view.high_watermark {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    if to > view.start {
        cut(context, &partition, to).await?;
        partition.needs_upkeep();
    }
    Ok(partition.start_moved(to.max(view.start)))
}

/// Moves the start of the log and waits until that survives a power cut.
async fn cut(context: &Context, partition: &Arc<Partition>, to: Offset) -> Result<(), ErrorCode> {
    let of_worker = Arc::clone(partition);
    let cutting = context.core.runtime().spawn_blocking(move || {
        let log = of_worker.log();
        log.delete_records(to)
            .map_err(|error| codes::of_truncate(&error))?;
        log.ticket().wait().map_err(|error| {
            tracing::error!(partition = %of_worker.id(), %error, "a deletion is not durable");
            ErrorCode::KafkaStorageError
        })
    });
    cutting.await.unwrap_or(Err(ErrorCode::UnknownServerError))
}
