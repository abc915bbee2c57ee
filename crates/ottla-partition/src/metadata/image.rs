//! The state that the metadata log adds up to, immutable.
//!
//! An [`Image`] is cheap to clone and shares what a batch leaves alone with its predecessor, so
//! that readers keep theirs while the next one is made. [`Image::replay`] is the only way to
//! change anything; live, at start and from a snapshot it is the same code. The image knows
//! nothing of logs, sockets or the time.

mod broker;
mod delta;
mod replay;
mod snapshot;
mod topic;

#[cfg(test)]
mod tests;

pub use broker::Broker;
pub use delta::Delta;
pub use replay::ReplayError;
pub use topic::{Partition, Topic};

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::{Offset, ProducerId, TopicId, TopicName};

use super::map::SortedMap;
use super::record::ConfigResource;
use crate::BrokerId;

/// The configuration keys of one resource that were set, as the user gave them.
pub type ConfigMap = BTreeMap<Arc<str>, Arc<str>>;

/// What the cluster agrees on at one offset of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    cluster_id: Arc<str>,
    end: Offset,
    features: Arc<BTreeMap<String, i16>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    topics: SortedMap<TopicId, Arc<Topic>>,
    names: SortedMap<TopicName, TopicId>,
    /// Topics by their name with `.` as `_`: the names that metrics could not tell apart.
    collisions: SortedMap<Arc<str>, Vec<TopicName>>,
    configs: SortedMap<ConfigResource, Arc<ConfigMap>>,
    next_producer_id: ProducerId,
}

impl Image {
    /// The image of an empty metadata log.
    #[must_use]
    pub fn new(cluster_id: &str) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            end: Offset::ZERO,
            features: Arc::default(),
            brokers: Arc::default(),
            topics: SortedMap::new(),
            names: SortedMap::new(),
            collisions: SortedMap::new(),
            configs: SortedMap::new(),
            next_producer_id: ProducerId::new(0),
        }
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The offset behind the last record in this image: the offset of the next batch.
    #[must_use]
    pub const fn end(&self) -> Offset {
        self.end
    }

    /// The finalized level of `feature`; 0 where it is off.
    #[must_use]
    pub fn feature_level(&self, feature: &str) -> i16 {
        self.features.get(feature).copied().unwrap_or(0)
    }

    /// The finalized features that are on, by name.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (&**name, *level))
    }

    /// The registered broker `id`, fenced or not.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id).map(|broker| &**broker)
    }

    /// Every registered broker by id, fenced ones too.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values().map(|broker| &**broker)
    }

    /// Whether `id` is registered, unfenced and not about to leave: fit to lead.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(Broker::is_active)
    }

    /// The topic `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic_by_id(self.topic_id(name)?)
    }

    /// The topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// The id of the topic `name`.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// Every topic in the order of names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// The topics from the name `first` on, in the order of names.
    pub fn topics_from(&self, first: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.names
            .range_from(first)
            .filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many topics there are.
    #[must_use]
    pub const fn topics_len(&self) -> usize {
        self.topics.len()
    }

    /// A topic whose name equals `name` once `.` is taken for `_`, other than `name` itself.
    #[must_use]
    pub fn colliding_topic(&self, name: &str) -> Option<&TopicName> {
        let colliding = self.collisions.get(&*collision_key(name)?)?;
        colliding.iter().find(|other| other.as_str() != name)
    }

    /// The keys that were set on `resource`.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.configs.get(resource)
    }

    /// Every resource with keys that were set, in order.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> {
        self.configs.iter()
    }

    /// The first producer id that was never handed out.
    #[must_use]
    pub const fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}

/// `name` with `.` as `_`, where it has either; names without them collide with none.
fn collision_key(name: &str) -> Option<Arc<str>> {
    name.contains(['.', '_'])
        .then(|| name.replace('.', "_").into())
}

/// Whether `name` is one of the topics that the cluster keeps for itself.
#[must_use]
pub fn is_internal_topic(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}
