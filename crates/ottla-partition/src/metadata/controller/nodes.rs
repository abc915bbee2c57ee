//! Brokers that join, leave and come back, and what that means for the partitions they hold.

use ottla_protocol::ErrorCode;

use super::change::{Change, Election};
use super::error::{ApiError, ApiResult};
use super::{Controller, Decision, ELIGIBLE_LEADER_REPLICAS};
use crate::metadata::image::Topic;
use crate::metadata::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, FeatureLevelRecord,
    MetadataRecord, PartitionChangeRecord, RegisterBrokerRecord,
};
use crate::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};

/// The feature that stands for the format of all metadata records.
const METADATA_VERSION: &str = "metadata.version";

/// The features of a new cluster, the metadata version first as every reader expects: 4.3-IV0,
/// and those of Kafka 4.3's that are implemented.
#[must_use]
pub const fn bootstrap_features() -> &'static [(&'static str, i16)] {
    &[(METADATA_VERSION, 30), (ELIGIBLE_LEADER_REPLICAS, 1)]
}

/// A broker that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its node id.
    pub broker_id: BrokerId,
    /// This run of its process.
    pub incarnation_id: IncarnationId,
    /// Where it is reached.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it understands.
    pub features: Vec<BrokerFeature>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its data directories.
    pub log_dirs: Vec<DirectoryId>,
}

impl Controller<'_> {
    /// The first records of a new cluster; nothing where there are features already.
    pub fn bootstrap(&self) -> Decision<()> {
        if self.image.features().next().is_some() {
            return Decision::unchanged(());
        }
        let features = bootstrap_features().iter().map(|(name, level)| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: (*name).to_owned(),
                level: *level,
            })
        });
        let mut records: Vec<MetadataRecord> = features.collect();
        records.push(MetadataRecord::Config(self.min_isr_at_start()));
        Decision {
            records,
            outcome: (),
        }
    }

    /// Decides about the start of the one node of a cluster, in one batch: it joins, unfenced at
    /// once, and where it did not stop in good order every leader epoch of what it leads rises.
    /// What it may have lost then can no longer be taken for what it has now.
    pub fn start_alone(&self, node: &Registration, clean: bool) -> Decision<BrokerEpoch> {
        let epoch = BrokerEpoch::new(self.image.end().get());
        let mut records = vec![register(node, epoch, false)];
        for topic in self.image.topics() {
            for (number, partition) in topic.partitions.iter() {
                let leads = partition.leader == Some(node.broker_id);
                let lost = partition.leader.is_none() && partition.replicas == [node.broker_id];
                if lost || leads && !clean {
                    let mut change = PartitionChangeRecord::new(topic.id, *number);
                    change.leader = Some(Some(node.broker_id));
                    change.isr =
                        (!partition.isr.contains(&node.broker_id)).then(|| vec![node.broker_id]);
                    change.elr = (!partition.elr.is_empty()).then(Vec::new);
                    change.last_known_elr = (!partition.last_known_elr.is_empty()).then(Vec::new);
                    records.push(MetadataRecord::PartitionChange(change));
                }
            }
        }
        Decision {
            records,
            outcome: epoch,
        }
    }

    /// Decides about a broker that joins a cluster of several. It is fenced until it has caught
    /// up. Where `clean` is false it leaves every ISR and ELR: it may have lost what it held.
    ///
    /// The batch must be appended at the image's end, which is the epoch of the registration.
    pub fn register_broker(
        &self,
        node: &Registration,
        clean: bool,
        is_session_live: bool,
    ) -> Decision<ApiResult<BrokerEpoch>> {
        let id = node.broker_id;
        let mut records = Vec::new();
        if let Some(known) = self.image.broker(id) {
            if known.incarnation_id != node.incarnation_id && is_session_live {
                return Decision::unchanged(Err(ApiError::new(
                    ErrorCode::DuplicateBrokerRegistration,
                    format!("Another broker is registered with that broker id: {id}"),
                )));
            }
            if clean || !self.has_elr() {
                self.change_partitions(&mut records, Some(id), None, None);
            } else {
                self.change_partitions(&mut records, None, None, Some(id));
            }
        }
        let position = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let epoch = BrokerEpoch::new(self.image.end().plus(position).get());
        records.push(register(node, epoch, true));
        Decision {
            records,
            outcome: Ok(epoch),
        }
    }

    /// Decides to let the broker `id` lead: it has caught up. Partitions without a leader that it
    /// may lead get it.
    pub fn unfence_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Decision<ApiResult<()>> {
        if let Err(error) = self.check_broker_epoch(id, epoch) {
            return Decision::unchanged(Err(error));
        }
        if self.image.broker(id).is_some_and(|broker| !broker.fenced) {
            return Decision::unchanged(Ok(()));
        }
        let mut records = vec![fence(id, epoch, false)];
        self.change_partitions(&mut records, None, Some(id), None);
        Decision {
            records,
            outcome: Ok(()),
        }
    }

    /// Decides to keep the broker `id` from leading: it is gone or silent.
    pub fn fence_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Decision<ApiResult<()>> {
        if let Err(error) = self.check_broker_epoch(id, epoch) {
            return Decision::unchanged(Err(error));
        }
        let mut records = Vec::new();
        self.change_partitions(&mut records, Some(id), None, None);
        records.push(fence(id, epoch, true));
        Decision {
            records,
            outcome: Ok(()),
        }
    }

    /// What it means for every partition that a broker goes, comes, or came back unclean.
    fn change_partitions(
        &self,
        records: &mut Vec<MetadataRecord>,
        goes: Option<BrokerId>,
        comes: Option<BrokerId>,
        unclean: Option<BrokerId>,
    ) {
        let is_acceptable = |id: BrokerId| {
            let id = Some(id);
            id != goes
                && id != unclean
                && (id == comes || id.is_some_and(|id| self.image.is_active(id)))
        };
        for topic in self.image.topics() {
            let mut settings = None;
            for (number, partition) in topic.partitions.iter() {
                let is_in = |list: &[BrokerId], id: Option<BrokerId>| {
                    id.is_some_and(|id| list.contains(&id))
                };
                let touched = is_in(&partition.isr, goes)
                    || is_in(&partition.isr, unclean)
                    || is_in(&partition.elr, unclean)
                    || comes.is_some() && partition.leader.is_none();
                if !touched {
                    continue;
                }
                let (min_isr, election) =
                    *settings.get_or_insert_with(|| self.election_settings(topic));
                let left = |id: &BrokerId| Some(*id) != goes && Some(*id) != unclean;
                let change = Change {
                    topic_id: topic.id,
                    number: *number,
                    partition,
                    isr: partition.isr.iter().copied().filter(left).collect(),
                    unclean_shutdown: unclean,
                    min_isr,
                    has_elr: self.has_elr(),
                    election,
                    is_acceptable: &is_acceptable,
                };
                records.extend(change.record().map(MetadataRecord::PartitionChange));
            }
        }
    }

    /// The effective min ISR of `topic`, and whether an election may lose records.
    fn election_settings(&self, topic: &Topic) -> (usize, Election) {
        let config = self.config().topic_config(topic.name.as_str());
        let election = if config.unclean_leader_election {
            Election::Unclean
        } else {
            Election::Online
        };
        (self.effective_min_isr(topic), election)
    }
}

fn register(node: &Registration, epoch: BrokerEpoch, fenced: bool) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: node.broker_id,
        incarnation_id: node.incarnation_id,
        broker_epoch: epoch,
        endpoints: node.endpoints.clone(),
        features: node.features.clone(),
        rack: node.rack.clone(),
        fenced,
        in_controlled_shutdown: false,
        log_dirs: node.log_dirs.clone(),
    })
}

fn fence(id: BrokerId, epoch: BrokerEpoch, fenced: bool) -> MetadataRecord {
    MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
        broker_id: id,
        broker_epoch: epoch,
        fenced: Some(fenced),
        in_controlled_shutdown: false,
        log_dirs: None,
    })
}
