//! The answer to a Produce request.

use ottla_log::Timestamp;
use ottla_protocol::ErrorCode;
use ottla_protocol::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use super::plan::Item;
use super::{Context, Outcome, Refused};
use crate::gate::{Gate, Place};
use crate::handlers::leaders::Leaders;
use crate::handlers::wire::{text, uuid};

/// The answer once nothing more is waited for.
pub(super) fn respond(context: &Context, items: Vec<Item>, gate: Option<&Gate>) -> ProduceResponse {
    let mut leaders = Leaders::new(context);
    let mut topics: Vec<TopicProduceResponse> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let partition = one(item, place, gate, &mut leaders);
        let id = uuid(item.id);
        match topics.last_mut() {
            Some(topic) if topic.topic_id == id && *topic.name == *item.name => {
                topic.partition_responses.push(partition);
            }
            _ => topics.push(TopicProduceResponse {
                name: text(&*item.name),
                topic_id: id,
                partition_responses: vec![partition],
            }),
        }
    }
    ProduceResponse {
        responses: topics,
        throttle_time_ms: 0,
        node_endpoints: leaders.endpoints(),
    }
}

fn one(
    item: &Item,
    place: usize,
    gate: Option<&Gate>,
    leaders: &mut Leaders<'_>,
) -> PartitionProduceResponse {
    let mut response = PartitionProduceResponse {
        index: item.index,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    };
    let code = match &item.outcome {
        Some(Outcome::Appended(appended)) => {
            response.base_offset = appended.base_offset.get();
            response.log_append_time_ms = appended.log_append_time.map_or(-1, Timestamp::get);
            response.log_start_offset = appended.log_start.get();
            match gate.map(|gate| gate.place(place)) {
                Some(Place::Settled(code)) => code,
                Some(Place::Pending) => ErrorCode::RequestTimedOut,
                Some(Place::NotAsked) | None => ErrorCode::None,
            }
        }
        Some(Outcome::Refused(refused)) => {
            response.log_start_offset = refused.log_start;
            response.error_message = refused.message.as_deref().map(text);
            response.record_errors = record_errors(refused);
            refused.code
        }
        None => ErrorCode::UnknownServerError,
    };
    response.error_code = code.code();
    if code == ErrorCode::NotLeaderOrFollower
        && let Some(topic) = &item.topic
    {
        response.current_leader = leaders.hint(topic, item.index);
    }
    response
}

fn record_errors(refused: &Refused) -> Vec<BatchIndexAndErrorMessage> {
    let records = refused.records.iter();
    records
        .map(|(index, message)| BatchIndexAndErrorMessage {
            batch_index: *index,
            batch_index_error_message: Some(text(message.as_str())),
        })
        .collect()
}
