//! Where a refused client should go instead: the leaders of partitions that this broker does not
//! lead, and where they are reached (KIP-951).

use std::collections::BTreeMap;

use ottla_partition::BrokerId;
use ottla_partition::metadata::Topic;
use ottla_protocol::produce::{LeaderIdAndEpoch, NodeEndpoint};

use super::Context;
use super::wire::text;

/// The leaders that one answer names.
#[derive(Debug)]
pub(crate) struct Leaders<'a> {
    context: &'a Context,
    endpoints: BTreeMap<BrokerId, NodeEndpoint>,
}

impl<'a> Leaders<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            endpoints: BTreeMap::new(),
        }
    }

    /// The leader of the partition `number` of `topic`, as far as is known.
    pub(crate) fn hint(&mut self, topic: &Topic, number: i32) -> LeaderIdAndEpoch {
        let Some(partition) = topic.partition(number) else {
            return LeaderIdAndEpoch::default();
        };
        let leader = partition
            .leader
            .and_then(|id| self.context.image.broker(id));
        if let Some(broker) = leader
            && let Some(endpoint) = self.context.endpoint(broker)
        {
            self.endpoints.entry(broker.id).or_insert(NodeEndpoint {
                node_id: broker.id.get(),
                host: text(endpoint.host),
                port: endpoint.port.into(),
                rack: broker.rack.as_deref().map(text),
            });
        }
        LeaderIdAndEpoch {
            leader_id: partition.leader.unwrap_or(BrokerId::NONE).get(),
            leader_epoch: partition.leader_epoch.get(),
        }
    }

    /// Where the leaders that were named are reached.
    pub(crate) fn endpoints(self) -> Vec<NodeEndpoint> {
        self.endpoints.into_values().collect()
    }
}
