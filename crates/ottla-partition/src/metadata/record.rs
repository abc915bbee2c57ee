//! The records of the metadata log, as plain structs (Kafka's KRaft records).
//!
//! How they lie in bytes is not their business. Fields that Kafka's schema gives a sentinel for
//! "absent" or "unchanged" are `Option`s here.

use std::sync::Arc;

use ottla_log::{LeaderEpoch, ProducerId, TopicId, TopicName};

use crate::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch};

/// One record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataRecord {
    /// A broker joined, or joined again.
    RegisterBroker(RegisterBrokerRecord),
    /// A broker left for good.
    UnregisterBroker(UnregisterBrokerRecord),
    /// A registered broker's state changed.
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    /// A finalized feature level.
    FeatureLevel(FeatureLevelRecord),
    /// A new topic; its partitions follow.
    Topic(TopicRecord),
    /// A new partition.
    Partition(PartitionRecord),
    /// A partition changed.
    PartitionChange(PartitionChangeRecord),
    /// A topic and its configuration are gone.
    RemoveTopic(RemoveTopicRecord),
    /// A configuration key was set or deleted.
    Config(ConfigRecord),
    /// A block of producer ids was handed out.
    ProducerIds(ProducerIdsRecord),
    /// The eligible leader replicas of one topic, or of all, are forgotten.
    ClearElr(ClearElrRecord),
    /// Changes nothing; lets the high watermark advance.
    NoOp,
}

/// A broker joined (record 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// The run of its process.
    pub incarnation_id: IncarnationId,
    /// The registration's epoch: this record's offset.
    pub broker_epoch: BrokerEpoch,
    /// Where clients and brokers reach it, one per listener.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it understands.
    pub features: Vec<BrokerFeature>,
    /// Where it stands, for placement.
    pub rack: Option<String>,
    /// Whether it is fenced: known, but neither a leader nor listed to clients.
    pub fenced: bool,
    /// Whether it is shutting down in an orderly way.
    pub in_controlled_shutdown: bool,
    /// Its data directories that are online.
    pub log_dirs: Vec<DirectoryId>,
}

/// One listener of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    /// The listener's name.
    pub name: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// How to talk to it.
    pub security_protocol: SecurityProtocol,
}

/// The security protocol of a listener, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProtocol {
    /// No encryption, no authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL over plain TCP.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's code.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// The protocol with Kafka's `code`.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::Plaintext),
            1 => Some(Self::Ssl),
            2 => Some(Self::SaslPlaintext),
            3 => Some(Self::SaslSsl),
            _ => None,
        }
    }

    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

/// The levels of one feature that a broker supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFeature {
    /// The feature's name.
    pub name: String,
    /// The lowest level.
    pub min_supported: i16,
    /// The highest level.
    pub max_supported: i16,
}

/// A broker left (record 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnregisterBrokerRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// The registration that ends.
    pub broker_epoch: BrokerEpoch,
}

/// A registered broker's state changed (record 17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// Fenced or unfenced now; `None` leaves it as it was.
    pub fenced: Option<bool>,
    /// Whether it began its controlled shutdown. There is no way back but a new registration.
    pub in_controlled_shutdown: bool,
    /// Its data directories that are online; `None` leaves them as they were.
    pub log_dirs: Option<Vec<DirectoryId>>,
}

/// A finalized feature level (record 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    /// The feature's name.
    pub name: String,
    /// The level; 0 means that the feature is off.
    pub level: i16,
}

/// A new topic (record 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's id.
    pub topic_id: TopicId,
}

/// A new partition, or in a snapshot its whole state (record 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// The partition's number.
    pub partition_id: i32,
    /// Its topic.
    pub topic_id: TopicId,
    /// The replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Replicas on their way out.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas on their way in.
    pub adding_replicas: Vec<BrokerId>,
    /// The leader.
    pub leader: Option<BrokerId>,
    /// Whether the leader came by an unclean election and has not recovered.
    pub recovering: bool,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The registration's epoch.
    pub partition_epoch: PartitionEpoch,
    /// The data directory of each replica, in the order of `replicas`.
    pub directories: Vec<DirectoryId>,
    /// Replicas out of the ISR that still hold every committed record (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Who might be asked when there is neither ISR nor ELR (KIP-966).
    pub last_known_elr: Vec<BrokerId>,
}

/// A partition changed (record 5). `None` leaves a field as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    /// The partition's number.
    pub partition_id: i32,
    /// Its topic.
    pub topic_id: TopicId,
    /// The new ISR.
    pub isr: Option<Vec<BrokerId>>,
    /// The new leader (or none), even where it is the old one: it raises the leader epoch.
    pub leader: Option<Option<BrokerId>>,
    /// The new replicas.
    pub replicas: Option<Vec<BrokerId>>,
    /// The new list of replicas on their way out.
    pub removing_replicas: Option<Vec<BrokerId>>,
    /// The new list of replicas on their way in.
    pub adding_replicas: Option<Vec<BrokerId>>,
    /// Whether the leader is recovering from an unclean election now.
    pub recovering: Option<bool>,
    /// The new directories, in the order of the replicas.
    pub directories: Option<Vec<DirectoryId>>,
    /// The new ELR.
    pub elr: Option<Vec<BrokerId>>,
    /// The new last known ELR.
    pub last_known_elr: Option<Vec<BrokerId>>,
}

impl PartitionChangeRecord {
    /// A change of nothing, to be filled in.
    #[must_use]
    pub const fn new(topic_id: TopicId, partition_id: i32) -> Self {
        Self {
            partition_id,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing_replicas: None,
            adding_replicas: None,
            recovering: None,
            directories: None,
            elr: None,
            last_known_elr: None,
        }
    }

    /// Whether the record changes nothing.
    #[must_use]
    pub fn is_no_op(&self) -> bool {
        *self == Self::new(self.topic_id, self.partition_id)
    }
}

/// A topic is gone (record 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    /// The topic.
    pub topic_id: TopicId,
}

/// A configuration key was set or deleted (record 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// Whose configuration.
    pub resource: ConfigResource,
    /// The key.
    pub name: Arc<str>,
    /// The value as the user gave it; `None` deletes the key.
    pub value: Option<Arc<str>>,
}

/// Whose configuration: Kafka's resource types and names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// The kind of resource.
    pub kind: ConfigResourceKind,
    /// Its name; empty for the default of all brokers.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// A topic's configuration.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self {
            kind: ConfigResourceKind::Topic,
            name: name.into(),
        }
    }

    /// A group's configuration.
    #[must_use]
    pub fn group(name: &str) -> Self {
        Self {
            kind: ConfigResourceKind::Group,
            name: name.into(),
        }
    }

    /// The configuration of a subscription to client metrics.
    #[must_use]
    pub fn client_metrics(name: &str) -> Self {
        Self {
            kind: ConfigResourceKind::ClientMetrics,
            name: name.into(),
        }
    }

    /// One broker's dynamic configuration.
    #[must_use]
    pub fn broker(id: BrokerId) -> Self {
        Self {
            kind: ConfigResourceKind::Broker,
            name: id.to_string().into(),
        }
    }

    /// The dynamic configuration of every broker.
    #[must_use]
    pub fn all_brokers() -> Self {
        Self {
            kind: ConfigResourceKind::Broker,
            name: "".into(),
        }
    }
}

/// The kinds of configuration resources, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResourceKind {
    /// A topic.
    Topic,
    /// A broker, or all of them.
    Broker,
    /// A broker's log levels.
    BrokerLogger,
    /// A client metrics subscription.
    ClientMetrics,
    /// A group.
    Group,
}

impl ConfigResourceKind {
    /// Kafka's code.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The kind with Kafka's `code`.
    #[must_use]
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }

    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

/// A block of producer ids was handed out (record 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    /// The broker that has the block.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// The first id behind the block: no lower one is ever handed out again.
    pub next_producer_id: ProducerId,
}

/// The eligible leader replicas are forgotten (record 28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearElrRecord {
    /// The topic; `None` for all.
    pub topic: Option<TopicName>,
}
