//! The records of the metadata log (KRaft): the frame around each, and what they say.
//!
//! A record is framed by three varints, the frame's version (1), the record's type and its version.
//! Versions are chosen as Kafka does it, by the level of the feature `metadata.version`.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{RecordError, malformed, read, write};
use crate::field::{EncodeError, Sink};
use crate::fields::fields;
use crate::wire::Cursor;

/// The version of the frame.
const FRAME_VERSION: u32 = 1;

/// The level of `metadata.version` from which replicas have directories (3.7-IV2).
const LEVEL_DIRECTORIES: i16 = 17;
/// The level from which partitions have eligible leader replicas (4.0-IV1).
const LEVEL_ELIGIBLE_LEADERS: i16 = 23;
/// The level from which directories can be cordoned (4.3-IV0).
const LEVEL_CORDONED: i16 = 30;

/// Declares the records: name, number, highest version, struct.
macro_rules! records {
    ($($name:ident = $kind:literal, $max:literal, $type:ty;)+) => {
        /// A record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "a variant is the record of its name")]
        pub enum Record {
            $($name($type),)+
        }

        impl Record {
            /// The number of the record's type.
            #[must_use]
            pub const fn kind(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $kind,)+
                }
            }

            fn write(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {
                match self {
                    $(Self::$name(record) => write(record, version, out),)+
                }
            }

            fn read(kind: u32, version: u32, body: &Bytes) -> Result<Self, RecordError> {
                match kind {
                    $($kind => {
                        let name = stringify!($name);
                        let version = known(name, version, $max)?;
                        read(&<$type>::SHAPE, version, body).map(Self::$name)
                    })+
                    _ => Err(RecordError::UnknownType { kind }),
                }
            }
        }

        $(impl From<$type> for Record {
            fn from(record: $type) -> Self {
                Self::$name(record)
            }
        })+
    };
}

fn known(name: &'static str, version: u32, max: i16) -> Result<i16, RecordError> {
    match i16::try_from(version) {
        Ok(known) if known <= max => Ok(known),
        _ => Err(RecordError::UnknownVersion { name, version, max }),
    }
}

records! {
    RegisterBroker = 0, 4, RegisterBrokerRecord;
    UnregisterBroker = 1, 0, UnregisterBrokerRecord;
    Topic = 2, 0, TopicRecord;
    Partition = 3, 2, PartitionRecord;
    Config = 4, 0, ConfigRecord;
    PartitionChange = 5, 2, PartitionChangeRecord;
    FenceBroker = 7, 0, FenceBrokerRecord;
    UnfenceBroker = 8, 0, UnfenceBrokerRecord;
    RemoveTopic = 9, 0, RemoveTopicRecord;
    FeatureLevel = 12, 0, FeatureLevelRecord;
    ProducerIds = 15, 0, ProducerIdsRecord;
    BrokerRegistrationChange = 17, 3, BrokerRegistrationChangeRecord;
    NoOp = 20, 0, NoOpRecord;
    ClearElr = 28, 0, ClearElrRecord;
}

impl Record {
    /// The version that Kafka writes the record in at a `level` of `metadata.version`.
    #[must_use]
    pub const fn version_at(&self, level: i16) -> i16 {
        match self {
            Self::RegisterBroker(_) if level >= LEVEL_CORDONED => 4,
            Self::RegisterBroker(_) if level >= LEVEL_DIRECTORIES => 3,
            Self::RegisterBroker(_) => 1,
            Self::Partition(_) | Self::PartitionChange(_) if level >= LEVEL_ELIGIBLE_LEADERS => 2,
            Self::Partition(_) | Self::PartitionChange(_) if level >= LEVEL_DIRECTORIES => 1,
            // The lowest version that can say what changed.
            Self::BrokerRegistrationChange(change) => change.version(),
            _ => 0,
        }
    }

    /// The record in `version`, with its frame.
    ///
    /// # Errors
    /// [`EncodeError`] where a string or list is longer than its length can say.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::new();
        out.varint(FRAME_VERSION);
        out.varint(self.kind());
        out.varint(u32::from(version.unsigned_abs()));
        self.write(version, &mut out)?;
        let bytes = out.freeze();
        debug_assert!(
            Self::decode(&bytes).is_ok_and(|(read, _)| read == *self),
            "version {version} loses a part of {self:?}"
        );
        Ok(bytes)
    }

    /// Reads a record with its frame; the second value is its version.
    ///
    /// # Errors
    /// [`RecordError`] where the bytes are no record, or one that is not known here.
    pub fn decode(bytes: &Bytes) -> Result<(Self, i16), RecordError> {
        let mut cursor = Cursor::new(bytes);
        let mut varint = || {
            let read = cursor.varint();
            read.map_err(|fault| malformed("MetadataRecord", fault))
        };
        let (frame, kind, version) = (varint()?, varint()?, varint()?);
        if frame != FRAME_VERSION {
            return Err(RecordError::Frame(frame));
        }
        let body = bytes.slice(bytes.len() - cursor.left()..);
        let record = Self::read(kind, version, &body)?;
        // A version above i16 was refused.
        Ok((record, i16::try_from(version).unwrap_or(i16::MAX)))
    }
}

fields! {
    /// A broker registered, or registered again.
    pub struct RegisterBrokerRecord {
        /// The broker.
        broker_id: i32,
        /// Of the migration from ZooKeeper; always false.
        is_migrating_zk_broker: bool [2+],
        /// The run of the broker's process.
        incarnation_id: Uuid,
        /// The epoch of the registration.
        broker_epoch: i64,
        /// Where the broker can be reached.
        end_points: Vec<BrokerEndpoint>,
        /// What the broker supports.
        features: Vec<BrokerFeature>,
        /// The broker's rack, if it has one.
        rack: Option<String>,
        /// Whether the broker is fenced.
        fenced: bool = true,
        /// Whether the broker is shutting down in an orderly way.
        in_controlled_shutdown: bool [1+],
        /// The broker's directories.
        log_dirs: Vec<Uuid> [3+, tag 0],
        /// The directories that take no new logs; null while the broker has not said.
        cordoned_log_dirs: Option<Vec<Uuid>> [4+, tag 1],
    }

    /// A listener of a broker.
    pub struct BrokerEndpoint {
        /// The listener's name.
        name: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The number of the security protocol.
        security_protocol: i16,
    }

    /// A feature that a broker supports.
    pub struct BrokerFeature {
        /// The feature's name.
        name: String,
        /// The lowest level.
        min_supported_version: i16,
        /// The highest level.
        max_supported_version: i16,
    }
}

fields! {
    /// A broker left for good.
    pub struct UnregisterBrokerRecord {
        /// The broker.
        broker_id: i32,
        /// The epoch of its registration.
        broker_epoch: i64,
    }

    /// A broker is fenced.
    pub struct FenceBrokerRecord {
        /// The broker.
        id: i32,
        /// The epoch of its registration.
        epoch: i64,
    }

    /// A broker is no longer fenced.
    pub struct UnfenceBrokerRecord {
        /// The broker.
        id: i32,
        /// The epoch of its registration.
        epoch: i64,
    }

    /// A part of a broker's registration changed.
    pub struct BrokerRegistrationChangeRecord {
        /// The broker.
        broker_id: i32,
        /// The epoch of its registration.
        broker_epoch: i64,
        /// 1 if it was fenced, -1 if it was unfenced, 0 if neither.
        fenced: i8 [0+, tag 0],
        /// 1 if it began to shut down in an orderly way, 0 if not.
        in_controlled_shutdown: i8 [1+, tag 1],
        /// The broker's directories; empty if they did not change.
        log_dirs: Vec<Uuid> [2+, tag 2],
        /// The directories that take no new logs; null if they did not change.
        cordoned_log_dirs: Option<Vec<Uuid>> [3+, tag 3],
    }
}

impl BrokerRegistrationChangeRecord {
    /// The lowest version that can say what changed.
    const fn version(&self) -> i16 {
        if self.cordoned_log_dirs.is_some() {
            3
        } else if !self.log_dirs.is_empty() {
            2
        } else if self.in_controlled_shutdown != 0 {
            1
        } else {
            0
        }
    }
}

fields! {
    /// A topic; its partitions follow.
    pub struct TopicRecord {
        /// The topic's name.
        name: String,
        /// The topic's id.
        topic_id: Uuid,
    }

    /// A topic and all that belongs to it are gone.
    pub struct RemoveTopicRecord {
        /// The topic's id.
        topic_id: Uuid,
    }

    /// A partition as it is.
    pub struct PartitionRecord {
        /// The partition.
        partition_id: i32 = -1,
        /// The topic's id.
        topic_id: Uuid,
        /// The replicas, the preferred leader first.
        replicas: Vec<i32>,
        /// The replicas in sync.
        isr: Vec<i32>,
        /// The replicas that a reassignment removes.
        removing_replicas: Vec<i32>,
        /// The replicas that a reassignment adds.
        adding_replicas: Vec<i32>,
        /// The leader; -1 for none.
        leader: i32 = -1,
        /// 1 while the leader recovers from an unclean election, else 0.
        leader_recovery_state: i8 [0+, tag 0],
        /// The leader epoch.
        leader_epoch: i32 = -1,
        /// The number of changes to the partition.
        partition_epoch: i32 = -1,
        /// The directory of each replica, in the order of the replicas.
        directories: Vec<Uuid> [1+],
        /// The replicas that may lead although they are not in sync (KIP-966); null for none.
        eligible_leader_replicas: Option<Vec<i32>> [2+, tag 1],
        /// Those that could before; null for none.
        last_known_elr: Option<Vec<i32>> [2+, tag 2],
    }

    /// What changed of a partition; nothing else did.
    pub struct PartitionChangeRecord {
        /// The partition.
        partition_id: i32 = -1,
        /// The topic's id.
        topic_id: Uuid,
        /// The replicas in sync.
        isr: Option<Vec<i32>> [0+, tag 0],
        /// The leader; -1 for none, -2 for no change.
        leader: i32 [0+, tag 1] = -2,
        /// The replicas.
        replicas: Option<Vec<i32>> [0+, tag 2],
        /// The replicas that a reassignment removes.
        removing_replicas: Option<Vec<i32>> [0+, tag 3],
        /// The replicas that a reassignment adds.
        adding_replicas: Option<Vec<i32>> [0+, tag 4],
        /// 1 while the leader recovers from an unclean election, 0 if not, -1 for no change.
        leader_recovery_state: i8 [0+, tag 5] = -1,
        /// The replicas that may lead although they are not in sync (KIP-966).
        eligible_leader_replicas: Option<Vec<i32>> [2+, tag 6],
        /// Those that could before.
        last_known_elr: Option<Vec<i32>> [2+, tag 7],
        /// The directory of each replica.
        directories: Option<Vec<Uuid>> [1+, tag 8],
    }

    /// The eligible leader replicas of a topic's partitions are forgotten.
    pub struct ClearElrRecord {
        /// The topic's name; empty for all topics.
        topic_name: String,
    }
}

fields! {
    /// A config of a resource.
    pub struct ConfigRecord {
        /// What kind of resource it is.
        resource_type: i8,
        /// Its name.
        resource_name: String,
        /// The config's key.
        name: String,
        /// Its value; null for none any more.
        value: Option<String>,
    }

    /// A feature is switched on at a level.
    pub struct FeatureLevelRecord {
        /// The feature's name.
        name: String,
        /// The level; 0 for off.
        feature_level: i16,
    }

    /// A block of producer ids was given to a broker.
    pub struct ProducerIdsRecord {
        /// The broker.
        broker_id: i32,
        /// The epoch of its registration.
        broker_epoch: i64 = -1,
        /// The first producer id after the block.
        next_producer_id: i64,
    }

    /// Nothing changed; the log only moves on.
    pub struct NoOpRecord {}
}
