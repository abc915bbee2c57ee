//! Replay: what each record changes in an image.

use std::sync::Arc;

use ottla_log::{Offset, TopicId};

use super::{Broker, Image, Partition, Topic, collision_key};
use crate::metadata::map::SortedMap;
use crate::metadata::record::{
    BrokerRegistrationChangeRecord, ClearElrRecord, ConfigRecord, ConfigResource,
    FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};
use crate::{BrokerEpoch, BrokerId};

/// A record that does not fit the image it is replayed into: the metadata log is damaged, or was
/// not written by this controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The batch begins before the image's end.
    #[error("the metadata batch at offset {found} was replayed into an image that ends at {end}")]
    Offset {
        /// Where the image ends.
        end: Offset,
        /// Where the batch begins.
        found: Offset,
    },
    /// The record names a topic id that the image does not have.
    #[error("metadata record {offset} names the topic id {topic_id}, which does not exist")]
    UnknownTopic {
        /// The record's offset.
        offset: Offset,
        /// The topic id.
        topic_id: TopicId,
    },
    /// The record names a partition that its topic does not have.
    #[error(
        "metadata record {offset} names partition {partition_id} of {topic_id}, which does not \
         exist"
    )]
    UnknownPartition {
        /// The record's offset.
        offset: Offset,
        /// The topic id.
        topic_id: TopicId,
        /// The partition.
        partition_id: i32,
    },
    /// The record creates a topic that exists, by name or by id.
    #[error("metadata record {offset} creates the topic {name:?}, which exists already")]
    TopicExists {
        /// The record's offset.
        offset: Offset,
        /// The topic's name.
        name: String,
    },
    /// The record names a broker, or a registration of it, that the image does not have.
    #[error(
        "metadata record {offset} is about broker {broker_id} in epoch {epoch}, which is not \
         registered"
    )]
    UnknownBroker {
        /// The record's offset.
        offset: Offset,
        /// The broker.
        broker_id: BrokerId,
        /// The registration it names.
        epoch: BrokerEpoch,
    },
    /// The record would hand out producer ids again.
    #[error("metadata record {offset} sets the next producer id back to {next}")]
    ProducerIdsGoBack {
        /// The record's offset.
        offset: Offset,
        /// The id it sets.
        next: i64,
    },
}

impl Image {
    /// The image once `records`, a batch whose first record has the offset `base`, took place.
    ///
    /// # Errors
    /// [`ReplayError`] where a record does not fit. This image stays as it is in any case.
    pub fn replay(&self, base: Offset, records: &[MetadataRecord]) -> Result<Self, ReplayError> {
        if base < self.end {
            return Err(ReplayError::Offset {
                end: self.end,
                found: base,
            });
        }
        let mut next = self.clone();
        next.end = base;
        for record in records {
            next.apply(record)?;
            next.end = next.end.plus(1);
        }
        Ok(next)
    }

    /// The same image at another end: a snapshot's records have no offsets of their own.
    #[must_use]
    pub const fn at_end(mut self, end: Offset) -> Self {
        self.end = end;
        self
    }

    fn apply(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::RegisterBroker(record) => self.register_broker(record),
            MetadataRecord::UnregisterBroker(record) => return self.unregister_broker(record),
            MetadataRecord::BrokerRegistrationChange(record) => return self.change_broker(record),
            MetadataRecord::FeatureLevel(record) => self.set_feature(record),
            MetadataRecord::Topic(record) => return self.create_topic(record),
            MetadataRecord::Partition(record) => return self.create_partition(record),
            MetadataRecord::PartitionChange(record) => return self.change_partition(record),
            MetadataRecord::RemoveTopic(record) => return self.remove_topic(record),
            MetadataRecord::Config(record) => self.set_config(record),
            MetadataRecord::ProducerIds(record) => return self.hand_out_producer_ids(record),
            MetadataRecord::ClearElr(record) => return self.clear_elr(record),
            MetadataRecord::NoOp => {}
        }
        Ok(())
    }

    fn register_broker(&mut self, record: &RegisterBrokerRecord) {
        Arc::make_mut(&mut self.brokers).insert(record.broker_id, Arc::new(Broker::from(record)));
    }

    fn unregister_broker(&mut self, record: &UnregisterBrokerRecord) -> Result<(), ReplayError> {
        self.registered(record.broker_id, record.broker_epoch)?;
        Arc::make_mut(&mut self.brokers).remove(&record.broker_id);
        Ok(())
    }

    fn change_broker(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ReplayError> {
        let mut broker = self
            .registered(record.broker_id, record.broker_epoch)?
            .clone();
        if let Some(fenced) = record.fenced {
            broker.fenced = fenced;
        }
        broker.in_controlled_shutdown |= record.in_controlled_shutdown;
        if let Some(log_dirs) = &record.log_dirs {
            broker.log_dirs.clone_from(log_dirs);
        }
        Arc::make_mut(&mut self.brokers).insert(record.broker_id, Arc::new(broker));
        Ok(())
    }

    fn registered(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Broker, ReplayError> {
        self.broker(id)
            .filter(|broker| broker.epoch == epoch)
            .ok_or(ReplayError::UnknownBroker {
                offset: self.end,
                broker_id: id,
                epoch,
            })
    }

    fn set_feature(&mut self, record: &FeatureLevelRecord) {
        let features = Arc::make_mut(&mut self.features);
        if record.level == 0 {
            features.remove(&record.name);
        } else {
            features.insert(record.name.clone(), record.level);
        }
    }

    fn create_topic(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        let exists =
            self.names.contains_key(&record.name) || self.topics.contains_key(&record.topic_id);
        if exists {
            return Err(ReplayError::TopicExists {
                offset: self.end,
                name: record.name.to_string(),
            });
        }
        self.names.insert(record.name.clone(), record.topic_id);
        let topic = Topic {
            id: record.topic_id,
            name: record.name.clone(),
            partitions: SortedMap::new(),
        };
        self.topics.insert(record.topic_id, Arc::new(topic));
        if let Some(key) = collision_key(record.name.as_str()) {
            let mut colliding = self.collisions.get(&key).cloned().unwrap_or_default();
            colliding.push(record.name.clone());
            colliding.sort();
            self.collisions.insert(key, colliding);
        }
        Ok(())
    }

    fn create_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        self.topic_mut(record.topic_id)?
            .partitions
            .insert(record.partition_id, Partition::from(record));
        Ok(())
    }

    fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let unknown = ReplayError::UnknownPartition {
            offset: self.end,
            topic_id: record.topic_id,
            partition_id: record.partition_id,
        };
        let topic = self.topic_mut(record.topic_id)?;
        let partition = topic
            .partitions
            .get_mut(&record.partition_id)
            .ok_or(unknown)?;
        *partition = partition.changed_by(record);
        Ok(())
    }

    fn remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<(), ReplayError> {
        let topic = self
            .topics
            .remove(&record.topic_id)
            .ok_or(ReplayError::UnknownTopic {
                offset: self.end,
                topic_id: record.topic_id,
            })?;
        self.names.remove(&topic.name);
        self.configs
            .remove(&ConfigResource::topic(topic.name.as_str()));
        if let Some(key) = collision_key(topic.name.as_str()) {
            let mut colliding = self.collisions.remove(&key).unwrap_or_default();
            colliding.retain(|name| *name != topic.name);
            if !colliding.is_empty() {
                self.collisions.insert(key, colliding);
            }
        }
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut Topic, ReplayError> {
        let offset = self.end;
        self.topics
            .get_mut(&id)
            .map(Arc::make_mut)
            .ok_or(ReplayError::UnknownTopic {
                offset,
                topic_id: id,
            })
    }

    fn set_config(&mut self, record: &ConfigRecord) {
        let mut keys = self.configs.remove(&record.resource).unwrap_or_default();
        match &record.value {
            Some(value) => {
                Arc::make_mut(&mut keys).insert(record.name.clone(), value.clone());
            }
            None => {
                Arc::make_mut(&mut keys).remove(&record.name);
            }
        }
        if !keys.is_empty() {
            self.configs.insert(record.resource.clone(), keys);
        }
    }

    fn hand_out_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<(), ReplayError> {
        if record.next_producer_id < self.next_producer_id {
            return Err(ReplayError::ProducerIdsGoBack {
                offset: self.end,
                next: record.next_producer_id.get(),
            });
        }
        self.next_producer_id = record.next_producer_id;
        Ok(())
    }

    fn clear_elr(&mut self, record: &ClearElrRecord) -> Result<(), ReplayError> {
        let ids: Vec<TopicId> = match &record.topic {
            None => self.topics.keys().copied().collect(),
            Some(name) => self.names.get(name).copied().into_iter().collect(),
        };
        for id in ids {
            let clear: Vec<i32> = self
                .topics
                .get(&id)
                .into_iter()
                .flat_map(|topic| topic.partitions.iter())
                .filter(|(_, p)| !p.elr.is_empty() || !p.last_known_elr.is_empty())
                .map(|(number, _)| *number)
                .collect();
            for number in clear {
                self.change_partition(&PartitionChangeRecord {
                    elr: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..PartitionChangeRecord::new(id, number)
                })?;
            }
        }
        Ok(())
    }
}
