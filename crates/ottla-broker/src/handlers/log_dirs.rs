//! DescribeLogDirs: the data directory, its space, and the sizes of its logs.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_log::LogId;
use ottla_partition::metadata::Topic;
use ottla_protocol::messages::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::{ErrorCode, Seq, messages};

use super::Context;
use super::wire::text;
use crate::authorizer::{AclOperation, Resource};

pub(crate) async fn handle(
    context: &Context,
    request: &DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if !context.allows(AclOperation::Describe, Resource::Cluster) {
        return DescribeLogDirsResponse {
            error_code: ErrorCode::ClusterAuthorizationFailed.code(),
            ..DescribeLogDirsResponse::default()
        };
    }
    let wanted = wanted(context, request.topics.as_ref());
    let mut asked = Vec::new();
    for (topic, numbers) in &wanted {
        asked.extend(numbers.iter().map(|number| (Arc::clone(topic), *number)));
    }
    context.open_together(asked.into_iter()).await;
    let mut topics = Vec::new();
    for (topic, numbers) in wanted {
        let mut partitions = Vec::with_capacity(numbers.len());
        for number in numbers {
            partitions.extend(describe(context, &topic, number).await);
        }
        if !partitions.is_empty() {
            topics.push(DescribeLogDirsTopic {
                name: text(topic.name.as_str()),
                partitions,
            });
        }
    }
    let store = context.core.partitions().store();
    let space = store.space();
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (total_bytes, usable_bytes) =
        space.map_or((-1, -1), |space| (bytes(space.total), bytes(space.usable)));
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: text(store.log_dir().to_string_lossy()),
            topics,
            total_bytes,
            usable_bytes,
            ..DescribeLogDirsResult::default()
        }],
        ..DescribeLogDirsResponse::default()
    }
}

/// The partitions asked for that there are, each once; all of them where none is named.
fn wanted(
    context: &Context,
    asked: Option<&Seq<messages::DescribableLogDirTopic>>,
) -> Vec<(Arc<Topic>, Vec<i32>)> {
    let all = |topic: &Arc<Topic>| topic.partitions.iter().map(|(n, _)| *n).collect();
    let Some(asked) = asked else {
        let topics = context.image.topics();
        return topics.map(|t| (Arc::clone(t), all(t))).collect();
    };
    let known = asked.iter().filter_map(|topic| {
        let known = context.image.topic(&topic.topic)?;
        let numbers: BTreeSet<i32> = topic.partitions.iter().copied().collect();
        let there = numbers
            .into_iter()
            .filter(|n| known.partition(*n).is_some());
        Some((Arc::clone(known), there.collect()))
    });
    known.collect()
}

/// One partition of this broker; `None` where it has no replica, or cannot open it.
async fn describe(
    context: &Context,
    topic: &Topic,
    number: i32,
) -> Option<DescribeLogDirsPartition> {
    let here = context.core.node_id();
    let registration = topic.partition(number)?;
    if !registration.replicas.contains(&here) {
        return None;
    }
    let partitions = context.core.partitions();
    let id = LogId::new(topic.name.clone(), number);
    let size = match partitions.get(topic.id, number) {
        Some(partition) => partition.log().size_bytes(),
        // Nothing was ever appended.
        None if !partitions.is_unopened(&id) => 0,
        None => {
            let opened = context.partition(topic, number).await.ok()?;
            opened.log().size_bytes()
        }
    };
    Some(DescribeLogDirsPartition {
        partition_index: number,
        partition_size: i64::try_from(size).unwrap_or(i64::MAX),
        // The lag of a directory that is being moved here.
        offset_lag: 0,
        is_future_key: false,
    })
}
