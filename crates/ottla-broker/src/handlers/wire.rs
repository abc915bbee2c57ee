//! Small steps between the types of the wire and ours, the same in many handlers.

use ottla_log::{LeaderEpoch, TopicId};
use ottla_partition::BrokerId;
use ottla_partition::metadata::controller::{ApiError, ApiResult};
use ottla_protocol::client::Uuid;
use ottla_protocol::messages::{BrokerId as WireBrokerId, TopicName as WireTopicName};
use ottla_protocol::{ErrorCode, StrBytes};

/// A text for a response.
pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A topic's name for a response.
pub(crate) fn topic_name(name: impl Into<String>) -> WireTopicName {
    WireTopicName(text(name))
}

/// A topic's id for a response.
pub(crate) fn uuid(id: TopicId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

/// A topic's id out of a request.
pub(crate) fn topic_id(id: &Uuid) -> TopicId {
    TopicId::from_bytes(*id.as_bytes())
}

/// Brokers for a response.
pub(crate) fn brokers(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| WireBrokerId(id.get())).collect()
}

/// The longest text of a refusal. Texts repeat what a client sent; a longer one may not fit its
/// field, and the client has it already.
const REFUSAL_LEN_MAX: usize = 1024;

/// The code and, where there is one, the text of a result.
pub(crate) fn verdict<T>(result: &ApiResult<T>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(ApiError { code, message }) => {
            let shown = message.floor_char_boundary(REFUSAL_LEN_MAX);
            let shown = message.get(..shown).filter(|shown| !shown.is_empty());
            (code.code(), shown.map(text))
        }
    }
}

/// A broker for a response: -1 for none.
pub(crate) fn broker(id: Option<BrokerId>) -> WireBrokerId {
    WireBrokerId(id.unwrap_or(BrokerId::NONE).get())
}

/// The epoch that a client names; a negative one names none.
pub(crate) fn epoch(number: i32) -> Option<LeaderEpoch> {
    (number >= 0).then_some(LeaderEpoch::new(number))
}
