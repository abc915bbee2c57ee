//! An image as the shortest list of records that makes it.

use std::sync::Arc;

use ottla_log::ProducerId;

use super::{Broker, ConfigMap, Image, Topic};
use crate::metadata::record::{
    ConfigRecord, ConfigResource, FeatureLevelRecord, MetadataRecord, ProducerIdsRecord,
    RegisterBrokerRecord, TopicRecord,
};
use crate::{BrokerEpoch, BrokerId};

/// The feature whose level says how to read all other records.
const METADATA_VERSION: &str = "metadata.version";

impl Image {
    /// The records that make this image out of an empty one, in Kafka's order: features, the
    /// metadata version first, brokers, topics by id, configuration, producer ids. The same image
    /// always gives the same records.
    pub fn snapshot(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let is_version = |(name, _): &(&str, i16)| *name == METADATA_VERSION;
        let version = self.features().filter(is_version);
        let others = self.features().filter(move |feature| !is_version(feature));
        let features = version.chain(others).map(|(name, level)| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: name.to_owned(),
                level,
            })
        });
        let brokers = self.brokers().map(|broker: &Broker| {
            MetadataRecord::RegisterBroker(RegisterBrokerRecord::from(broker))
        });
        features
            .chain(brokers)
            .chain(self.topics.values().flat_map(topic_records))
            .chain(self.configs().flat_map(config_records))
            .chain(self.producer_ids_record())
    }

    /// Nothing where no id was ever handed out.
    fn producer_ids_record(&self) -> Option<MetadataRecord> {
        (self.next_producer_id > ProducerId::new(0)).then_some(MetadataRecord::ProducerIds(
            ProducerIdsRecord {
                broker_id: BrokerId::NONE,
                broker_epoch: BrokerEpoch::new(-1),
                next_producer_id: self.next_producer_id,
            },
        ))
    }
}

fn topic_records(topic: &Arc<Topic>) -> impl Iterator<Item = MetadataRecord> + '_ {
    let head = MetadataRecord::Topic(TopicRecord {
        name: topic.name.clone(),
        topic_id: topic.id,
    });
    let partitions = topic.partitions.iter().map(|(number, partition)| {
        MetadataRecord::Partition(partition.to_record(topic.id, *number))
    });
    std::iter::once(head).chain(partitions)
}

fn config_records<'a>(
    (resource, keys): (&'a ConfigResource, &'a Arc<ConfigMap>),
) -> impl Iterator<Item = MetadataRecord> + 'a {
    keys.iter().map(|(name, value)| {
        MetadataRecord::Config(ConfigRecord {
            resource: resource.clone(),
            name: name.clone(),
            value: Some(value.clone()),
        })
    })
}
