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
    let wanted = wanted(request);
    let mut named = Vec::new();
    for (name, asked) in &wanted {
        let topic = context.image.topic(name);
        if let Some(topic) = topic.filter(|_| context.allows_topic(AclOperation::Delete, name)) {
            named.extend(asked.keys().map(|number| (Arc::clone(topic), *number)));
        }
    }
    context.open_together(named.into_iter()).await;
    let mut cuts = Vec::new();
    for (name, asked) in &wanted {
        for (number, offset) in asked {
            cuts.push(check(context, name, *number, *offset).await);
        }
    }
    let mut cut = cut_all(context, cuts).await.into_iter();
    let mut topics = Vec::new();
    for (name, asked) in wanted {
        let mut partitions = Vec::with_capacity(asked.len());
        for number in asked.into_keys() {
            let result = cut.next().unwrap_or(Err(ErrorCode::UnknownServerError));
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

/// What is to go of one partition.
struct Cut {
    partition: Arc<Partition>,
    /// Everything below.
    to: Offset,
    /// Where the log began before.
    start: Offset,
}

/// What goes of a partition below the offset asked for, or why nothing does.
async fn check(context: &Context, name: &str, number: i32, offset: i64) -> Result<Cut, ErrorCode> {
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
    Ok(Cut {
        partition,
        to,
        start: view.start,
    })
}

/// Moves the starts of the logs and waits until that survives a power cut: one sync is enough for
/// all of them. Of each, the least offset that some replica still has.
async fn cut_all(
    context: &Context,
    cuts: Vec<Result<Cut, ErrorCode>>,
) -> Vec<Result<Offset, ErrorCode>> {
    let count = cuts.len();
    let cutting = context.core.runtime().spawn_blocking(move || {
        let begun = cuts.into_iter().map(|cut| cut.and_then(Cut::begin));
        let begun: Vec<_> = begun.collect();
        // A ticket is for the whole store.
        let is_cut = |cut: &&Cut| cut.to > cut.start;
        let last = begun.iter().flatten().rfind(is_cut);
        let durable = last.map_or(Ok(()), |cut| cut.partition.log().ticket().wait());
        let durable = durable.map_err(|error| {
            tracing::error!(%error, "a deletion of records is not durable");
            ErrorCode::KafkaStorageError
        });
        let ended = begun.into_iter().map(|cut| cut?.end(durable));
        ended.collect()
    });
    let unknown = |_| vec![Err(ErrorCode::UnknownServerError); count];
    cutting.await.unwrap_or_else(unknown)
}

impl Cut {
    fn begin(self) -> Result<Self, ErrorCode> {
        if self.to > self.start {
            let cut = self.partition.log().delete_records(self.to);
            cut.map_err(|error| codes::of_truncate(&error))?;
        }
        Ok(self)
    }

    fn end(self, durable: Result<(), ErrorCode>) -> Result<Offset, ErrorCode> {
        let Self {
            partition,
            to,
            start,
        } = self;
        if to > start {
            durable?;
            partition.needs_upkeep();
        }
        Ok(partition.start_moved(to.max(start)))
    }
}
