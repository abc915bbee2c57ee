//! Metadata records as bytes: Kafka's schemas, in the versions of `metadata.version` 30 (4.3-IV0).
//!
//! What has a sentinel there is an `Option` here, and names and codes are checked on the way in: a
//! record that was read is one that an image can be asked to replay.

use bytes::Bytes;
use ottla_log::{LeaderEpoch, ProducerId, TopicId, TopicName};
use ottla_protocol::persisted::{RecordError, metadata as wire};
use uuid::Uuid;

use super::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ClearElrRecord, ConfigRecord,
    ConfigResource, ConfigResourceKind, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, SecurityProtocol,
    TopicRecord, UnregisterBrokerRecord,
};
use crate::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch};

#[cfg(test)]
mod tests;

/// The level of `metadata.version` whose record versions are written.
pub const METADATA_VERSION_LEVEL: i16 = 30;

/// Why a metadata record cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not a record that is known here.
    #[error("a metadata record cannot be read ({0}); it may be from a newer version")]
    Read(#[from] RecordError),
    /// A record's field has no meaning here.
    #[error("a metadata record has {what} {value}, which means nothing here")]
    Meaning {
        /// The field.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// A text or a list of a record is longer than its length can say.
    #[error("a metadata record is too long to be written")]
    TooLong,
}

impl MetadataRecord {
    /// The record with its frame: the value of a record of the metadata log.
    ///
    /// # Errors
    /// [`CodecError::TooLong`]; nothing that a controller lets pass is.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        let record = to_wire(self);
        record
            .encode(record.version_at(METADATA_VERSION_LEVEL))
            .map_err(|_| CodecError::TooLong)
    }

    /// Reads a record with its frame.
    ///
    /// # Errors
    /// [`CodecError`] where it is none, or one that is not known here.
    pub fn decode(bytes: &Bytes) -> Result<Self, CodecError> {
        let (record, _) = wire::Record::decode(bytes)?;
        from_wire(record)
    }
}

fn to_wire(record: &MetadataRecord) -> wire::Record {
    match record {
        MetadataRecord::RegisterBroker(r) => register_to_wire(r).into(),
        MetadataRecord::UnregisterBroker(r) => wire::UnregisterBrokerRecord {
            broker_id: r.broker_id.get(),
            broker_epoch: r.broker_epoch.get(),
        }
        .into(),
        MetadataRecord::BrokerRegistrationChange(r) => wire::BrokerRegistrationChangeRecord {
            broker_id: r.broker_id.get(),
            broker_epoch: r.broker_epoch.get(),
            fenced: r.fenced.map_or(0, |fenced| if fenced { 1 } else { -1 }),
            in_controlled_shutdown: i8::from(r.in_controlled_shutdown),
            log_dirs: r.log_dirs.as_deref().map(directories).unwrap_or_default(),
            cordoned_log_dirs: None,
        }
        .into(),
        MetadataRecord::FeatureLevel(r) => wire::FeatureLevelRecord {
            name: r.name.clone(),
            feature_level: r.level,
        }
        .into(),
        MetadataRecord::Topic(r) => wire::TopicRecord {
            name: r.name.to_string(),
            topic_id: topic_uuid(r.topic_id),
        }
        .into(),
        MetadataRecord::Partition(r) => partition_to_wire(r).into(),
        MetadataRecord::PartitionChange(r) => change_to_wire(r).into(),
        MetadataRecord::RemoveTopic(r) => wire::RemoveTopicRecord {
            topic_id: topic_uuid(r.topic_id),
        }
        .into(),
        MetadataRecord::Config(r) => wire::ConfigRecord {
            resource_type: r.resource.kind.code(),
            resource_name: r.resource.name.to_string(),
            name: r.name.to_string(),
            value: r.value.as_deref().map(str::to_owned),
        }
        .into(),
        MetadataRecord::ProducerIds(r) => wire::ProducerIdsRecord {
            broker_id: r.broker_id.get(),
            broker_epoch: r.broker_epoch.get(),
            next_producer_id: r.next_producer_id.get(),
        }
        .into(),
        MetadataRecord::ClearElr(r) => wire::ClearElrRecord {
            topic_name: r
                .topic
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
        .into(),
        MetadataRecord::NoOp => wire::NoOpRecord {}.into(),
    }
}

fn register_to_wire(r: &RegisterBrokerRecord) -> wire::RegisterBrokerRecord {
    let endpoint = |e: &BrokerEndpoint| wire::BrokerEndpoint {
        name: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
        security_protocol: e.security_protocol.code(),
    };
    let feature = |f: &BrokerFeature| wire::BrokerFeature {
        name: f.name.clone(),
        min_supported_version: f.min_supported,
        max_supported_version: f.max_supported,
    };
    wire::RegisterBrokerRecord {
        broker_id: r.broker_id.get(),
        is_migrating_zk_broker: false,
        incarnation_id: Uuid::from_bytes(r.incarnation_id.to_bytes()),
        broker_epoch: r.broker_epoch.get(),
        end_points: r.endpoints.iter().map(endpoint).collect(),
        features: r.features.iter().map(feature).collect(),
        rack: r.rack.clone(),
        fenced: r.fenced,
        in_controlled_shutdown: r.in_controlled_shutdown,
        log_dirs: directories(&r.log_dirs),
        cordoned_log_dirs: None,
    }
}

fn partition_to_wire(r: &PartitionRecord) -> wire::PartitionRecord {
    // Kafka leaves both out where they are empty.
    let unless_empty = |ids: &[BrokerId]| (!ids.is_empty()).then(|| numbers(ids));
    wire::PartitionRecord {
        partition_id: r.partition_id,
        topic_id: topic_uuid(r.topic_id),
        replicas: numbers(&r.replicas),
        isr: numbers(&r.isr),
        removing_replicas: numbers(&r.removing_replicas),
        adding_replicas: numbers(&r.adding_replicas),
        leader: r.leader.unwrap_or(BrokerId::NONE).get(),
        leader_recovery_state: i8::from(r.recovering),
        leader_epoch: r.leader_epoch.get(),
        partition_epoch: r.partition_epoch.get(),
        directories: directories(&r.directories),
        eligible_leader_replicas: unless_empty(&r.elr),
        last_known_elr: unless_empty(&r.last_known_elr),
    }
}

/// The leader field of a change that leaves the leader as it is.
const NO_LEADER_CHANGE: i32 = -2;

fn change_to_wire(r: &PartitionChangeRecord) -> wire::PartitionChangeRecord {
    let list = |ids: &Option<Vec<BrokerId>>| ids.as_deref().map(numbers);
    wire::PartitionChangeRecord {
        partition_id: r.partition_id,
        topic_id: topic_uuid(r.topic_id),
        isr: list(&r.isr),
        leader: r.leader.map_or(NO_LEADER_CHANGE, |leader| {
            leader.unwrap_or(BrokerId::NONE).get()
        }),
        replicas: list(&r.replicas),
        removing_replicas: list(&r.removing_replicas),
        adding_replicas: list(&r.adding_replicas),
        leader_recovery_state: r.recovering.map_or(-1, i8::from),
        eligible_leader_replicas: list(&r.elr),
        last_known_elr: list(&r.last_known_elr),
        directories: r.directories.as_deref().map(directories),
    }
}

fn from_wire(record: wire::Record) -> Result<MetadataRecord, CodecError> {
    Ok(match record {
        wire::Record::RegisterBroker(r) => MetadataRecord::RegisterBroker(register_from_wire(r)?),
        wire::Record::UnregisterBroker(r) => {
            MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
                broker_id: BrokerId::new(r.broker_id),
                broker_epoch: BrokerEpoch::new(r.broker_epoch),
            })
        }
        wire::Record::BrokerRegistrationChange(r) => {
            MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
                broker_id: BrokerId::new(r.broker_id),
                broker_epoch: BrokerEpoch::new(r.broker_epoch),
                fenced: match r.fenced {
                    -1 => Some(false),
                    0 => None,
                    1 => Some(true),
                    other => return Err(meaning("the fencing", other)),
                },
                in_controlled_shutdown: flag("the controlled shutdown", r.in_controlled_shutdown)?,
                log_dirs: (!r.log_dirs.is_empty()).then(|| directory_ids(&r.log_dirs)),
            })
        }
        wire::Record::FenceBroker(r) => fenced(r.id, r.epoch, true),
        wire::Record::UnfenceBroker(r) => fenced(r.id, r.epoch, false),
        wire::Record::FeatureLevel(r) => MetadataRecord::FeatureLevel(FeatureLevelRecord {
            name: r.name,
            level: r.feature_level,
        }),
        wire::Record::Topic(r) => MetadataRecord::Topic(TopicRecord {
            name: topic_name(&r.name)?,
            topic_id: topic_id(r.topic_id),
        }),
        wire::Record::Partition(r) => MetadataRecord::Partition(partition_from_wire(&r)?),
        wire::Record::PartitionChange(r) => MetadataRecord::PartitionChange(change_from_wire(&r)?),
        wire::Record::RemoveTopic(r) => MetadataRecord::RemoveTopic(RemoveTopicRecord {
            topic_id: topic_id(r.topic_id),
        }),
        wire::Record::Config(r) => MetadataRecord::Config(ConfigRecord {
            resource: ConfigResource {
                kind: ConfigResourceKind::from_code(r.resource_type)
                    .ok_or_else(|| meaning("the resource type", r.resource_type))?,
                name: r.resource_name.into(),
            },
            name: r.name.into(),
            value: r.value.map(Into::into),
        }),
        wire::Record::ProducerIds(r) => MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId::new(r.broker_id),
            broker_epoch: BrokerEpoch::new(r.broker_epoch),
            next_producer_id: ProducerId::new(r.next_producer_id),
        }),
        wire::Record::ClearElr(r) => MetadataRecord::ClearElr(ClearElrRecord {
            topic: match r.topic_name.as_str() {
                "" => None,
                name => Some(topic_name(name)?),
            },
        }),
        wire::Record::NoOp(_) => MetadataRecord::NoOp,
        other => return Err(meaning("the type", other.kind())),
    })
}

/// The older records for what a registration change says today.
fn fenced(id: i32, epoch: i64, fenced: bool) -> MetadataRecord {
    MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
        broker_id: BrokerId::new(id),
        broker_epoch: BrokerEpoch::new(epoch),
        fenced: Some(fenced),
        in_controlled_shutdown: false,
        log_dirs: None,
    })
}

fn register_from_wire(r: wire::RegisterBrokerRecord) -> Result<RegisterBrokerRecord, CodecError> {
    let endpoint = |e: wire::BrokerEndpoint| {
        Ok(BrokerEndpoint {
            security_protocol: SecurityProtocol::from_code(e.security_protocol)
                .ok_or_else(|| meaning("the security protocol", e.security_protocol))?,
            name: e.name,
            host: e.host,
            port: e.port,
        })
    };
    let feature = |f: wire::BrokerFeature| BrokerFeature {
        name: f.name,
        min_supported: f.min_supported_version,
        max_supported: f.max_supported_version,
    };
    let endpoints: Result<_, CodecError> = r.end_points.into_iter().map(endpoint).collect();
    Ok(RegisterBrokerRecord {
        broker_id: BrokerId::new(r.broker_id),
        incarnation_id: IncarnationId::from_bytes(r.incarnation_id.into_bytes()),
        broker_epoch: BrokerEpoch::new(r.broker_epoch),
        endpoints: endpoints?,
        features: r.features.into_iter().map(feature).collect(),
        rack: r.rack,
        fenced: r.fenced,
        in_controlled_shutdown: r.in_controlled_shutdown,
        log_dirs: directory_ids(&r.log_dirs),
    })
}

fn partition_from_wire(r: &wire::PartitionRecord) -> Result<PartitionRecord, CodecError> {
    Ok(PartitionRecord {
        partition_id: partition_number(r.partition_id)?,
        topic_id: topic_id(r.topic_id),
        replicas: ids(&r.replicas),
        isr: ids(&r.isr),
        removing_replicas: ids(&r.removing_replicas),
        adding_replicas: ids(&r.adding_replicas),
        leader: leader(r.leader)?,
        recovering: flag("the leader's recovery", r.leader_recovery_state)?,
        leader_epoch: LeaderEpoch::new(r.leader_epoch),
        partition_epoch: PartitionEpoch::new(r.partition_epoch),
        directories: directory_ids(&r.directories),
        elr: r
            .eligible_leader_replicas
            .as_deref()
            .map(ids)
            .unwrap_or_default(),
        last_known_elr: r.last_known_elr.as_deref().map(ids).unwrap_or_default(),
    })
}

fn change_from_wire(r: &wire::PartitionChangeRecord) -> Result<PartitionChangeRecord, CodecError> {
    let list = |numbers: &Option<Vec<i32>>| numbers.as_deref().map(ids);
    Ok(PartitionChangeRecord {
        partition_id: partition_number(r.partition_id)?,
        topic_id: topic_id(r.topic_id),
        isr: list(&r.isr),
        leader: match r.leader {
            NO_LEADER_CHANGE => None,
            number => Some(leader(number)?),
        },
        replicas: list(&r.replicas),
        removing_replicas: list(&r.removing_replicas),
        adding_replicas: list(&r.adding_replicas),
        recovering: match r.leader_recovery_state {
            -1 => None,
            state => Some(flag("the leader's recovery", state)?),
        },
        directories: r.directories.as_deref().map(directory_ids),
        elr: list(&r.eligible_leader_replicas),
        last_known_elr: list(&r.last_known_elr),
    })
}

fn meaning(what: &'static str, value: impl ToString) -> CodecError {
    CodecError::Meaning {
        what,
        value: value.to_string(),
    }
}

fn flag(what: &'static str, value: i8) -> Result<bool, CodecError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(meaning(what, other)),
    }
}

fn leader(number: i32) -> Result<Option<BrokerId>, CodecError> {
    match number {
        -1 => Ok(None),
        0.. => Ok(Some(BrokerId::new(number))),
        _ => Err(meaning("the leader", number)),
    }
}

/// A partition's number becomes part of a directory's name.
fn partition_number(number: i32) -> Result<i32, CodecError> {
    match number {
        0.. => Ok(number),
        _ => Err(meaning("the partition", number)),
    }
}

fn topic_name(name: &str) -> Result<TopicName, CodecError> {
    TopicName::new(name).map_err(|_| meaning("the topic name", format!("{name:?}")))
}

const fn topic_uuid(id: TopicId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

const fn topic_id(id: Uuid) -> TopicId {
    TopicId::from_bytes(id.into_bytes())
}

fn directories(ids: &[DirectoryId]) -> Vec<Uuid> {
    ids.iter()
        .map(|id| Uuid::from_bytes(id.to_bytes()))
        .collect()
}

fn directory_ids(ids: &[Uuid]) -> Vec<DirectoryId> {
    let id = |id: &Uuid| DirectoryId::from_bytes(*id.as_bytes());
    ids.iter().map(id).collect()
}

fn numbers(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.get()).collect()
}

fn ids(numbers: &[i32]) -> Vec<BrokerId> {
    numbers.iter().copied().map(BrokerId::new).collect()
}
