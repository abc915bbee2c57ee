//! What a change of the brokers means for one partition: its ISR, its leader, and who stays
//! eligible to lead (KIP-966).

use ottla_log::TopicId;

use crate::BrokerId;
use crate::metadata::image::Partition;
use crate::metadata::record::PartitionChangeRecord;

/// Who may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica if it is in sync, else as [`Election::Online`].
    Preferred,
    /// The leader where it can stay, else the first replica that is in sync.
    Online,
    /// As [`Election::Online`], else any replica that is up: committed records can be lost.
    Unclean,
}

/// A change of one partition, to be worked out.
pub(super) struct Change<'a> {
    pub(super) topic_id: TopicId,
    pub(super) number: i32,
    pub(super) partition: &'a Partition,
    /// The ISR to be.
    pub(super) isr: Vec<BrokerId>,
    /// A replica that came back without what it had promised to hold.
    pub(super) unclean_shutdown: Option<BrokerId>,
    /// How many replicas must be in sync.
    pub(super) min_isr: usize,
    /// Whether replicas out of the ISR may stay eligible.
    pub(super) has_elr: bool,
    pub(super) election: Election,
    /// Whether a replica's broker can lead.
    pub(super) is_acceptable: &'a dyn Fn(BrokerId) -> bool,
}

/// Who leads next, and whether that can lose records.
struct Elected {
    leader: Option<BrokerId>,
    unclean: bool,
}

impl Change<'_> {
    /// The record of the change; `None` where nothing changes.
    pub(super) fn record(mut self) -> Option<PartitionChangeRecord> {
        let old = self.partition;
        let mut record = PartitionChangeRecord::new(self.topic_id, self.number);
        let mut elr = self.eligible();
        let elected = self.elect(&elr);
        if elected.leader != old.leader {
            record.leader = Some(elected.leader);
            if let Some(leader) = elected.leader.filter(|leader| elr.contains(leader)) {
                self.isr = vec![leader];
                elr.retain(|id| *id != leader);
            }
            if elected.unclean {
                self.isr = elected.leader.into_iter().collect();
                record.recovering = (!old.recovering).then_some(true);
            }
        }
        if elected.unclean && record.leader.is_some() {
            elr.clear();
        }
        if elr != old.elr {
            record.elr = Some(elr);
        }
        // Without ELR the last one stays in the ISR: it would be forgotten who can lead.
        if (self.has_elr || !self.isr.is_empty()) && self.isr != old.isr {
            record.isr = Some(self.isr);
        }
        if self.has_elr {
            record.last_known_elr = last_known_leader(old, record.leader);
        }
        (!record.is_no_op()).then_some(record)
    }

    /// Who stays eligible: nobody while enough replicas are in sync, else whoever was in sync or
    /// eligible until now, less those who are in the ISR or came back unclean.
    fn eligible(&self) -> Vec<BrokerId> {
        if !self.has_elr || self.isr.len() >= self.min_isr {
            return Vec::new();
        }
        let mut eligible: Vec<BrokerId> = self
            .partition
            .elr
            .iter()
            .chain(&self.partition.isr)
            .copied()
            .filter(|id| !self.isr.contains(id) && self.unclean_shutdown != Some(*id))
            .collect();
        eligible.sort_unstable();
        eligible.dedup();
        eligible
    }

    fn elect(&self, elr: &[BrokerId]) -> Elected {
        let old = self.partition;
        let can_lead = |id: &BrokerId| {
            let holds_all = self.isr.contains(id) || self.isr.is_empty() && elr.contains(id);
            holds_all && (self.is_acceptable)(*id)
        };
        let preferred = match self.election {
            Election::Preferred => old.preferred_leader(),
            Election::Online | Election::Unclean => None,
        };
        let clean = preferred
            .filter(can_lead)
            .or_else(|| old.leader.filter(can_lead))
            .or_else(|| old.replicas.iter().copied().find(can_lead));
        if clean.is_some() {
            return Elected {
                leader: clean,
                unclean: false,
            };
        }
        let unclean = self.last_leader(elr).or_else(|| {
            let replicas = old.replicas.iter().copied();
            let mut up = replicas.filter(|id| (self.is_acceptable)(*id));
            (self.election == Election::Unclean).then(|| up.next())?
        });
        Elected {
            leader: unclean,
            unclean: unclean.is_some(),
        }
    }

    /// The last leader, where it is back and nobody is left who could know more than it.
    fn last_leader(&self, elr: &[BrokerId]) -> Option<BrokerId> {
        match self.partition.last_known_elr.as_slice() {
            [last] if self.has_elr && elr.is_empty() && self.isr.is_empty() => {
                Some(*last).filter(|id| (self.is_acceptable)(*id))
            }
            _ => None,
        }
    }
}

/// The new last known ELR, where it changes: the leader that is lost, until there is one again.
fn last_known_leader(old: &Partition, leader: Option<Option<BrokerId>>) -> Option<Vec<BrokerId>> {
    match leader {
        Some(None) if old.last_known_elr.is_empty() => Some(old.leader.into_iter().collect()),
        Some(Some(_)) if !old.last_known_elr.is_empty() => Some(Vec::new()),
        _ => None,
    }
}
