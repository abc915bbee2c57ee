//! InitProducerId: an id for a producer whose batches are to be told apart from repetitions.

use ottla_log::ProducerId;
use ottla_partition::metadata::controller::{ApiError, ProducerIdBlock};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducerId,
};
use tokio::sync::Mutex;

use super::Context;
use crate::authorizer::{AclOperation, Resource};
use crate::core::BrokerCore;

/// The producer ids that this broker may hand out.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    block: Mutex<Option<ProducerIdBlock>>,
}

impl ProducerIds {
    /// The next id, which nobody got before, whatever crashed in between: a block is durable
    /// before the first of its ids is used, and what is left of it after a crash is never used.
    async fn next(&self, core: &BrokerCore) -> Result<ProducerId, ApiError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.as_mut().and_then(ProducerIdBlock::take) {
            return Ok(id);
        }
        let node = core.node_id();
        let image = core.metadata().image();
        let epoch = image.broker(node).map(|broker| broker.epoch);
        let epoch = epoch.ok_or_else(|| ApiError::from(ErrorCode::BrokerIdNotRegistered))?;
        let allocated = core
            .metadata()
            .change(move |controller| controller.allocate_producer_ids(node, epoch))
            .await
            .map_err(|error| error.to_api())??;
        let block = block.insert(allocated);
        let id = block.take();
        id.ok_or_else(|| ApiError::from(ErrorCode::UnknownServerError))
    }
}

pub(crate) async fn init(
    context: &Context,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    match producer_id(context, request).await {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(WireProducerId(id.get()))
            .with_producer_epoch(0),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn producer_id(
    context: &Context,
    request: &InitProducerIdRequest,
) -> Result<ProducerId, ErrorCode> {
    if let Some(id) = &request.transactional_id {
        if !context.allows(AclOperation::Write, Resource::TransactionalId(id)) {
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        // Told at once, and as something that no retry changes: there are no transactions here.
        return Err(ErrorCode::UnsupportedVersion);
    }
    if !may_be_idempotent(context) {
        return Err(ErrorCode::ClusterAuthorizationFailed);
    }
    match (request.producer_id, request.producer_epoch) {
        (-1, -1) => {}
        (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
        // Only a transactional producer keeps its id; this one gets a new one, as in Kafka.
        _ => {}
    }
    let ids = context.core.producer_ids();
    ids.next(&context.core).await.map_err(|error| {
        tracing::warn!(%error, "cannot hand out a producer id");
        ErrorCode::CoordinatorLoadInProgress
    })
}

/// Whether the peer may write idempotently: by right, or because there is a topic that it may
/// write to (KIP-679).
fn may_be_idempotent(context: &Context) -> bool {
    let writes = |name: &str| context.allows_topic(AclOperation::Write, name);
    context.allows(AclOperation::IdempotentWrite, Resource::Cluster)
        || context
            .image
            .topics()
            .any(|topic| writes(topic.name.as_str()))
}
