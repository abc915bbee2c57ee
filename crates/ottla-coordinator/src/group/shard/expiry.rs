//! What is forgotten with time: offsets that nobody needs any more, and groups without any.

use std::time::Duration;

use ottla_log::Timestamp;

use super::GroupShard;
use super::admin::group_tombstone;
use super::offsets::tombstone;
use crate::group::decision::{Decision, Now, TimerChange, TimerKey};
use crate::group::live::{CONSUMER, Live};
use crate::group::record::CommittedOffset;
use crate::group::response::GroupState;
use crate::group::state::HardGroup;

impl GroupShard {
    /// Sets the timer, where it is not set and something is remembered that can grow old.
    pub(super) fn schedule_expiry(&mut self, now: Now, decision: &mut Decision) {
        let has_something = !self.hard.is_empty() || !decision.records.is_empty();
        if has_something && !self.soft.looks_for_old {
            self.soft.looks_for_old = true;
            let interval = self.config.offsets_retention_check_interval;
            decision.timers.push(TimerChange {
                key: TimerKey::Expiry,
                at: Some(now.monotonic.saturating_add(interval)),
            });
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Now, decision: &mut Decision) {
        self.soft.looks_for_old = false;
        for (id, group) in self.hard.groups() {
            if group.is_foreign() {
                continue;
            }
            let live = self.live(id);
            let rule = Rule::of(group, live);
            let mut all_gone = true;
            for (topic, partitions) in &group.offsets {
                let is_needed = live.is_some_and(|live| live.is_subscribed(topic));
                for (partition, committed) in partitions {
                    let retention = self.config.offsets_retention;
                    if !is_needed && rule.is_expired(committed, now.wall, retention) {
                        decision.records.push(tombstone(id, topic, *partition));
                    } else {
                        all_gone = false;
                    }
                }
            }
            if all_gone && live.is_none() {
                decision.records.push(group_tombstone(id));
            }
        }
    }
}

/// From when on the retention of a group's offsets counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// They are kept.
    Keep,
    /// From the commit of each.
    SinceCommit,
    /// From when the group became empty.
    Since(Timestamp),
}

impl Rule {
    /// The rule of Kafka (KIP-211): who only keeps offsets here needs them for so long after the
    /// commit; a group needs them while it has members, and for so long after the last one left;
    /// of consumers it is known which topics they need.
    fn of(group: &HardGroup, live: Option<&Live>) -> Self {
        let recorded = group.metadata.as_ref();
        let protocol_type = match live {
            Some(live) => live.protocol_type(),
            None => recorded.and_then(|m| m.protocol_type.as_ref()),
        };
        let Some(protocol_type) = protocol_type else {
            return Self::SinceCommit;
        };
        match live.map_or(GroupState::Empty, Live::state) {
            GroupState::Empty => {
                let since = recorded.and_then(|m| m.state_since);
                since.map_or(Self::SinceCommit, Self::Since)
            }
            GroupState::Stable
                if protocol_type.as_str() == CONSUMER
                    && live.is_some_and(Live::knows_subscriptions) =>
            {
                Self::SinceCommit
            }
            _ => Self::Keep,
        }
    }

    fn is_expired(self, committed: &CommittedOffset, now: Timestamp, retention: Duration) -> bool {
        let base = match self {
            Self::Keep => return false,
            Self::SinceCommit => committed.committed_at,
            Self::Since(time) => time,
        };
        if let Some(expires_at) = committed.expires_at {
            return now >= expires_at;
        }
        let age = now.get().saturating_sub(base.get());
        u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) >= retention)
    }
}
