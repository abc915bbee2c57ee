//! The in-sync replicas: who is in, who is about to come or go, and when to ask for a change
//! (KIP-497).

use std::collections::BTreeSet;
use std::time::Duration;

use super::Replica;
use crate::BrokerId;
use crate::partition::output::{Output, Timer};

/// The ISR as the controller committed it, and a change that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Isr {
    committed: BTreeSet<BrokerId>,
    proposed: Option<BTreeSet<BrokerId>>,
}

impl Isr {
    pub(super) fn committed_as(isr: &[BrokerId]) -> Self {
        Self {
            committed: isr.iter().copied().collect(),
            proposed: None,
        }
    }

    pub(super) const fn committed(&self) -> &BTreeSet<BrokerId> {
        &self.committed
    }

    /// Whether `id` is in the ISR before or after the change that was asked for. Either may turn
    /// out to be what the controller goes by, so both must hold what is committed.
    pub(super) fn maximal_contains(&self, id: BrokerId) -> bool {
        self.committed.contains(&id) || self.proposed.as_ref().is_some_and(|isr| isr.contains(&id))
    }

    /// How many are in the ISR before or after the change that was asked for.
    pub(super) fn maximal_len(&self) -> usize {
        let joins = |isr: &BTreeSet<BrokerId>| isr.difference(&self.committed).count();
        self.committed.len() + self.proposed.as_ref().map_or(0, joins)
    }
}

impl Replica {
    /// The controller refused the change that was asked for. It is asked for again when its
    /// reason comes up again.
    pub fn isr_refused(&mut self) {
        self.isr.proposed = None;
    }

    /// Asks to take the follower `id` in once it has all that is committed, of this term too: what
    /// the leader had when its term began may be committed without its knowing.
    pub(super) fn maybe_expand_isr(&mut self, id: BrokerId) {
        let Some(follower) = self.followers.get(&id) else {
            return;
        };
        let has_all = follower
            .end
            .is_some_and(|end| end >= self.high_watermark && end >= self.epoch_start);
        let may_ask = self.isr.proposed.is_none() && !self.isr.committed.contains(&id);
        if may_ask && has_all && follower.is_eligible {
            let mut isr = self.isr.committed.clone();
            isr.insert(id);
            self.propose(isr);
        }
    }

    /// Asks to drop who does not keep up, and sees to it that this is looked at again.
    pub(super) fn check_isr(&mut self, now: Duration) {
        if self.check_leader().is_err() || self.followers.is_empty() {
            return;
        }
        self.arm_isr_timer(now);
        if self.isr.proposed.is_some() {
            return;
        }
        let (leader_end, lag_max) = (self.ends.end, self.config.lag_max);
        let lags = |id: &BrokerId| {
            self.followers
                .get(id)
                .is_none_or(|follower| !follower.keeps_up(now, leader_end, lag_max))
        };
        let keeps = |id: &&BrokerId| **id == self.me || !lags(id);
        let isr: BTreeSet<BrokerId> = self.isr.committed.iter().filter(keeps).copied().collect();
        if isr != self.isr.committed {
            self.propose(isr);
        }
    }

    pub(super) fn arm_isr_timer(&mut self, now: Duration) {
        self.outputs.push_back(Output::Timer {
            key: Timer::Isr,
            // Half the time a replica may lag: it is dropped at most half as late again.
            at: now.saturating_add(self.config.lag_max / 2),
        });
    }

    fn propose(&mut self, isr: BTreeSet<BrokerId>) {
        self.outputs.push_back(Output::ProposeIsr {
            isr: isr.iter().copied().collect(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
        });
        self.isr.proposed = Some(isr);
    }
}
