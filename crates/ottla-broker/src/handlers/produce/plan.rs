//! A Produce request taken apart: one item for each of its partitions, in order, each found in the
//! metadata or refused.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use ottla_log::TopicId;
use ottla_partition::metadata::Topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::produce::{ProduceRequest, TopicProduceData};

use super::{Context, Outcome, refused};
use crate::authorizer::{AclOperation, Resource};
use crate::handlers::wire::topic_id;

/// Everything that a request asks for. Nothing of it shares the request's memory but the records.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
}

/// One partition of a request.
#[derive(Debug)]
pub(super) struct Item {
    /// The name as it was asked for; empty where it was asked for by id.
    pub(super) name: Arc<str>,
    /// The id as it was asked for; zero where it was asked for by name.
    pub(super) id: TopicId,
    pub(super) index: i32,
    /// The topic, if it exists and may be written to.
    pub(super) topic: Option<Arc<Topic>>,
    pub(super) records: Option<Bytes>,
    pub(super) outcome: Option<Outcome>,
}

impl Item {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Refused(_)))
    }
}

impl Plan {
    pub(super) fn new(context: &Context, request: ProduceRequest) -> Self {
        let denied = denied_transaction(context, &request).then_some(
            // The request as a whole: whoever may not use the id may not learn of topics by it.
            ErrorCode::TransactionalIdAuthorizationFailed,
        );
        let mut items = Vec::new();
        for topic in request.topic_data {
            let found = denied.map_or_else(|| find(context, &topic), Err);
            let name: Arc<str> = topic.name.as_str().into();
            for data in topic.partition_data {
                let known = found
                    .as_ref()
                    .ok()
                    .filter(|t| t.partition(data.index).is_some());
                let outcome = match (&found, known) {
                    (Err(code), _) => Some(refused(*code)),
                    (Ok(_), None) => Some(refused(ErrorCode::UnknownTopicOrPartition)),
                    (Ok(_), Some(_)) => None,
                };
                items.push(Item {
                    name: Arc::clone(&name),
                    id: topic_id(&topic.topic_id),
                    index: data.index,
                    topic: known.cloned(),
                    records: data.records,
                    outcome,
                });
            }
        }
        drop_repeated(&mut items);
        Self { items }
    }
}

/// Of several batches for one partition the last one counts, as with Kafka: it appends and answers
/// that one alone. No client sends two.
fn drop_repeated(items: &mut Vec<Item>) {
    fn key(item: &Item) -> (TopicId, &str, i32) {
        (item.id, &item.name, item.index)
    }
    if items.is_sorted_by(|a, b| key(a) < key(b)) {
        return;
    }
    let mut seen = HashSet::with_capacity_and_hasher(items.len(), RandomState::default());
    let mut keep: Vec<bool> = items
        .iter()
        .rev()
        .map(|item| seen.insert(key(item)))
        .collect();
    items.retain(|_| keep.pop().unwrap_or(true));
}

/// Whether the request has transactional batches that its peer may not write: Kafka looks at the
/// batches, not at whether an id is given.
fn denied_transaction(context: &Context, request: &ProduceRequest) -> bool {
    let partitions = request.topic_data.iter().flat_map(|t| &t.partition_data);
    let mut batches = partitions.filter_map(|p| p.records.as_ref());
    if !batches.any(|bytes| is_transactional(bytes)) {
        return false;
    }
    !request
        .transactional_id
        .as_ref()
        .is_some_and(|id| context.allows(AclOperation::Write, Resource::TransactionalId(id)))
}

fn is_transactional(bytes: &[u8]) -> bool {
    ottla_log::BatchHeader::parse(bytes).is_ok_and(|header| header.attributes.is_transactional())
}

/// The topic as the request names it.
fn find(context: &Context, asked: &TopicProduceData) -> Result<Arc<Topic>, ErrorCode> {
    let image = &context.image;
    let topic = if context.version >= 13 {
        let topic = image.topic_by_id(topic_id(&asked.topic_id));
        Some(topic.ok_or(ErrorCode::UnknownTopicId)?)
    } else {
        image.topic(&asked.name)
    };
    let name = topic.map_or(asked.name.as_str(), |topic| topic.name.as_str());
    if !context.allows_topic(AclOperation::Write, name) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    topic.cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
}
