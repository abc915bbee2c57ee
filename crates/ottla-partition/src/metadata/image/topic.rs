//! A topic and the registrations of its partitions.

use ottla_log::{LeaderEpoch, TopicId, TopicName};

use crate::metadata::map::SortedMap;
use crate::metadata::record::{PartitionChangeRecord, PartitionRecord};
use crate::{BrokerId, DirectoryId, PartitionEpoch};

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic's id.
    pub id: TopicId,
    /// The topic's name.
    pub name: TopicName,
    /// The partitions by number.
    pub partitions: SortedMap<i32, Partition>,
}

impl Topic {
    /// The partition `number`.
    #[must_use]
    pub fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(&number)
    }

    /// How many replicas each partition has, after partition 0; 0 where there is none.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.partitions
            .values()
            .next()
            .map_or(0, |partition| partition.replicas.len())
    }

    /// Whether the cluster keeps this topic for itself.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        super::is_internal_topic(self.name.as_str())
    }
}

/// What the cluster has registered of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The data directory of each replica, in the order of `replicas`.
    pub directories: Vec<DirectoryId>,
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
    /// Counts the changes of this registration.
    pub partition_epoch: PartitionEpoch,
    /// Replicas out of the ISR that still hold every committed record (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Who might be asked when there is neither ISR nor ELR (KIP-966).
    pub last_known_elr: Vec<BrokerId>,
}

impl Partition {
    /// The replica that should lead: the first of the list.
    #[must_use]
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// Whether replicas are being added or removed.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas.is_empty() || !self.adding_replicas.is_empty()
    }

    /// The data directory of the replica on `broker`.
    #[must_use]
    pub fn directory(&self, broker: BrokerId) -> Option<DirectoryId> {
        let at = self.replicas.iter().position(|id| *id == broker)?;
        self.directories.get(at).copied()
    }

    /// The registration once `change` took place. Any change raises the partition epoch, one that
    /// names a leader raises the leader epoch too.
    pub(super) fn changed_by(&self, change: &PartitionChangeRecord) -> Self {
        let mut next = self.clone();
        next.partition_epoch = PartitionEpoch::new(self.partition_epoch.get().saturating_add(1));
        if let Some(leader) = change.leader {
            next.leader = leader;
            next.leader_epoch = LeaderEpoch::new(self.leader_epoch.get().saturating_add(1));
        }
        if let Some(recovering) = change.recovering {
            next.recovering = recovering;
        }
        replace(&mut next.replicas, change.replicas.as_ref());
        replace(&mut next.directories, change.directories.as_ref());
        replace(&mut next.isr, change.isr.as_ref());
        replace(
            &mut next.removing_replicas,
            change.removing_replicas.as_ref(),
        );
        replace(&mut next.adding_replicas, change.adding_replicas.as_ref());
        replace(&mut next.elr, change.elr.as_ref());
        replace(&mut next.last_known_elr, change.last_known_elr.as_ref());
        next
    }

    /// The record that carries this registration whole.
    #[must_use]
    pub fn to_record(&self, topic_id: TopicId, partition_id: i32) -> PartitionRecord {
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            recovering: self.recovering,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            elr: self.elr.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }
}

fn replace<T: Clone>(old: &mut Vec<T>, new: Option<&Vec<T>>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}

impl From<&PartitionRecord> for Partition {
    fn from(record: &PartitionRecord) -> Self {
        Self {
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            leader: record.leader,
            recovering: record.recovering,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
        }
    }
}
