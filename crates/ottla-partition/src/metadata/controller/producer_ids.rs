//! Handing out producer ids.

use ottla_log::ProducerId;
use ottla_protocol::ErrorCode;

use super::error::{ApiError, ApiResult};
use super::{Controller, Decision};
use crate::metadata::record::{MetadataRecord, ProducerIdsRecord};
use crate::{BrokerEpoch, BrokerId};

/// How many ids one block has.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// A block of producer ids that belongs to one broker. Ids of a block that a broker stops with
/// are lost, never handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: ProducerId,
    /// How many.
    pub len: i64,
}

impl ProducerIdBlock {
    /// Takes the next id; `None` once the block is used up.
    pub fn take(&mut self) -> Option<ProducerId> {
        if self.len == 0 {
            return None;
        }
        let id = self.first;
        self.len -= 1;
        self.first = ProducerId::new(id.get() + 1);
        Some(id)
    }
}

impl Controller<'_> {
    /// Decides which ids the broker `id` in its registration `epoch` gets next. They may be used
    /// once the decision is committed, not before: an id must never be handed out twice.
    pub fn allocate_producer_ids(
        &self,
        id: BrokerId,
        epoch: BrokerEpoch,
    ) -> Decision<ApiResult<ProducerIdBlock>> {
        if let Err(error) = self.check_broker_epoch(id, epoch) {
            return Decision::unchanged(Err(error));
        }
        let first = self.image.next_producer_id();
        let Some(next) = first.get().checked_add(PRODUCER_IDS_PER_BLOCK) else {
            return Decision::unchanged(Err(ApiError::new(
                ErrorCode::UnknownServerError,
                "Exhausted all producerIds as the next block's end producerId has exceeded the \
                 int64 type limit",
            )));
        };
        Decision {
            records: vec![MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: id,
                broker_epoch: epoch,
                next_producer_id: ProducerId::new(next),
            })],
            outcome: Ok(ProducerIdBlock {
                first,
                len: PRODUCER_IDS_PER_BLOCK,
            }),
        }
    }

    /// Refuses a broker that is not registered, or not in this epoch.
    pub(super) fn check_broker_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> ApiResult<()> {
        match self.image.broker(id) {
            None => Err(ApiError::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("Broker {id} is not currently registered."),
            )),
            Some(broker) if broker.epoch != epoch => Err(ApiError::new(
                ErrorCode::StaleBrokerEpoch,
                format!(
                    "Expected broker epoch {}, but got broker epoch {epoch}",
                    broker.epoch
                ),
            )),
            Some(_) => Ok(()),
        }
    }
}
