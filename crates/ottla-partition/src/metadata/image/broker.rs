//! A registered broker.

use crate::metadata::record::{BrokerEndpoint, BrokerFeature, RegisterBrokerRecord};
use crate::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};

/// A registered broker, fenced or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The broker's node id.
    pub id: BrokerId,
    /// Its registration's epoch.
    pub epoch: BrokerEpoch,
    /// The run of its process.
    pub incarnation_id: IncarnationId,
    /// Where it is reached, one per listener.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it understands.
    pub features: Vec<BrokerFeature>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Known, but neither fit to lead nor listed to clients.
    pub fenced: bool,
    /// On its way out in an orderly way.
    pub in_controlled_shutdown: bool,
    /// Its data directories that are online.
    pub log_dirs: Vec<DirectoryId>,
}

impl Broker {
    /// Whether the broker may lead and may join an ISR.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Where the broker is reached through the listener `name`.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&BrokerEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    /// The directory that a new replica on this broker is recorded in: its only one, or none yet.
    #[must_use]
    pub fn default_directory(&self) -> DirectoryId {
        match self.log_dirs.as_slice() {
            [only] => *only,
            _ => DirectoryId::UNASSIGNED,
        }
    }
}

impl From<&RegisterBrokerRecord> for Broker {
    fn from(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
        }
    }
}

impl From<&Broker> for RegisterBrokerRecord {
    fn from(broker: &Broker) -> Self {
        Self {
            broker_id: broker.id,
            incarnation_id: broker.incarnation_id,
            broker_epoch: broker.epoch,
            endpoints: broker.endpoints.clone(),
            features: broker.features.clone(),
            rack: broker.rack.clone(),
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
            log_dirs: broker.log_dirs.clone(),
        }
    }
}
