//! The controller: every change of cluster state, decided by pure functions over an image.
//!
//! A decision never changes anything itself. It is a batch of records, which the metadata quorum
//! commits whole and which is replayed then, and an outcome, which may be answered only after
//! that. Decisions are made one at a time: the image a decision was made on must be the newest
//! when its batch is appended.
//!
//! Codes and texts of refusals are Kafka's. Quotas, sessions and the wire are not the
//! controller's business; what the asker may not do comes in with the request.

mod change;
mod configs;
mod create;
mod delete;
mod election;
mod error;
mod nodes;
mod partitions;
mod placement;
mod producer_ids;
mod reset;

#[cfg(test)]
mod tests;

pub use configs::{AlterOp, AlterResource, Altered, OpType, SetResource};
pub use create::{CreateTopics, CreatedTopic, NewTopic, TopicCreated};
pub use delete::{DeleteTopic, DeletedTopic};
pub use election::{ElectLeaders, ElectedPartition, ElectedTopic, ElectionType};
pub use error::{ApiError, ApiResult};
pub use nodes::{Registration, bootstrap_features};
pub use partitions::{CreatedPartitions, NewPartitions};
pub use producer_ids::{PRODUCER_IDS_PER_BLOCK, ProducerIdBlock};

use std::collections::BTreeSet;

use super::config::{BrokerConfig, ConfigView};
use super::image::{Image, Topic};
use super::record::MetadataRecord;
use crate::BrokerId;

/// The most partitions that one request may create.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// The most records of one decision that a client asked for.
pub const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// The feature that lets replicas out of the ISR stay eligible to lead (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

/// A decision: records to commit as one batch, and what to answer once they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing has changed before the records are committed and replayed"]
pub struct Decision<T> {
    /// The batch; empty where nothing changes.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub outcome: T,
}

impl<T> Decision<T> {
    /// An answer that changes nothing.
    pub(crate) const fn unchanged(outcome: T) -> Self {
        Self {
            records: Vec::new(),
            outcome,
        }
    }
}

/// The controller on one image.
#[derive(Clone, Copy, Debug)]
pub struct Controller<'a> {
    image: &'a Image,
    node: BrokerId,
    at_start: &'a BrokerConfig,
}

impl<'a> Controller<'a> {
    /// The controller that runs on the node `node`, which was started with `at_start`.
    #[must_use]
    pub const fn new(image: &'a Image, node: BrokerId, at_start: &'a BrokerConfig) -> Self {
        Self {
            image,
            node,
            at_start,
        }
    }

    /// The configuration as this node sees it.
    #[must_use]
    pub fn config(&self) -> ConfigView<'a> {
        ConfigView::new(self.image, self.node, self.at_start)
    }

    /// Whether replicas out of the ISR may stay eligible to lead.
    fn has_elr(&self) -> bool {
        self.image.feature_level(ELIGIBLE_LEADER_REPLICAS) > 0
    }

    /// How many replicas of `topic` must be in sync: never more than it has.
    fn effective_min_isr(&self, topic: &Topic) -> usize {
        let config = self.config().topic_config(topic.name.as_str());
        let min_isr = usize::try_from(config.min_insync_replicas).unwrap_or(usize::MAX);
        min_isr.min(topic.replication_factor())
    }
}

/// The keys that come more than once.
fn repeated<K: Ord + Clone>(keys: impl Iterator<Item = K>) -> BTreeSet<K> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| !seen.insert(key.clone())).collect()
}
