//! When the first timer of each shard is due. One task waits for the first of them all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ShardId;
use crate::timer::Timer;

/// The alarms of all shards, one for each at most.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    plan: Mutex<Plan>,
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    due: BTreeSet<(Duration, ShardId)>,
    by_shard: BTreeMap<ShardId, Duration>,
}

impl Alarms {
    /// Wakes `shard` at `at`, and not when it was to be woken before.
    pub(super) fn set(&self, shard: ShardId, at: Duration) {
        let mut plan = self.plan.lock();
        let is_first = plan.due.first().is_none_or(|(first, _)| at < *first);
        if let Some(planned) = plan.by_shard.insert(shard, at) {
            plan.due.remove(&(planned, shard));
        }
        plan.due.insert((at, shard));
        drop(plan);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Returns when a shard is due.
    pub(super) async fn due(&self, timer: &Timer) {
        loop {
            let first = self.plan.lock().due.first().map(|(at, _)| *at);
            let wait = async {
                match first {
                    Some(at) => timer.until(timer.at(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => return,
                () = self.sooner.notified() => {}
            }
        }
    }

    /// The shards that are due at `now`, which are not planned any more.
    pub(super) fn take_due(&self, now: Duration) -> Vec<ShardId> {
        let mut plan = self.plan.lock();
        let mut taken = Vec::new();
        while let Some((at, shard)) = plan.due.first().copied() {
            if at > now {
                break;
            }
            plan.due.remove(&(at, shard));
            plan.by_shard.remove(&shard);
            taken.push(shard);
        }
        taken
    }
}
