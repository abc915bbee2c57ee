//! Looks after the open logs: ends segments by age, lets old ones go, forgets idle producers,
//! removes files of deleted segments. Each log says when it is due again, or is looked at some
//! time after its next append; nothing wakes up before.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use ottla_log::{Maintenance, Timestamp, TopicId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::partition::Partition;
use crate::runtime::Runtime;
use crate::stop::Stop;
use crate::timer::Timer;

/// How long after it was opened or appended to a log is looked at, unless Kafka would look for
/// old segments more often: a burst of appends is not slowed down.
const APPENDED_MS: i64 = 60_000;
/// When a log is looked at again whose upkeep failed.
const RETRY_MS: i64 = 600_000;

/// When each log is due.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    plan: Mutex<Plan>,
    sooner: Notify,
}

/// One entry for each log at most, in the order of time.
#[derive(Debug, Default)]
struct Plan {
    due: BTreeMap<(Timestamp, Key), Weak<Partition>>,
    by_log: BTreeMap<Key, Timestamp>,
}

/// Which log.
type Key = (TopicId, i32);

impl Upkeep {
    /// Looks at a log some time after an append, the first since it was looked at.
    pub(crate) fn appended(&self, partition: &Arc<Partition>, now: Timestamp) {
        let interval = partition.log().retention_check_interval().as_millis();
        let wait = i64::try_from(interval).map_or(APPENDED_MS, |ms| ms.min(APPENDED_MS));
        self.plan(partition, now.get().saturating_add(wait).into());
    }

    /// Looks at a log at `at`, or when it is planned already if that is sooner.
    pub(crate) fn plan(&self, partition: &Arc<Partition>, at: Timestamp) {
        let key = (partition.topic_id(), partition.id().partition());
        let mut plan = self.plan.lock();
        match plan.by_log.get(&key).copied() {
            Some(planned) if planned <= at => return,
            Some(planned) => {
                plan.due.remove(&(planned, key));
            }
            None => {}
        }
        let is_first = plan.first().is_none_or(|first| at < first);
        plan.by_log.insert(key, at);
        plan.due.insert((at, key), Arc::downgrade(partition));
        drop(plan);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Looks at logs when they are due, until told to stop.
    pub(crate) async fn run(&self, runtime: &Runtime, timer: &Timer, mut stop: Stop) {
        loop {
            let first = self.plan.lock().first();
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.sooner.notified() => {}
                () = until(timer, first) => {}
            }
            while let Some(partition) = self.next_due(timer.now()) {
                if stop.is_requested() {
                    return;
                }
                self.look_after(runtime, timer, partition).await;
            }
        }
    }

    fn next_due(&self, now: Timestamp) -> Option<Arc<Partition>> {
        self.plan.lock().take_due(now)
    }

    async fn look_after(&self, runtime: &Runtime, timer: &Timer, partition: Arc<Partition>) {
        let (worker, now) = (Arc::clone(&partition), timer.now());
        let step = runtime.spawn_blocking(move || worker.maintain(now));
        let next = match step.await {
            Ok(Ok(Maintenance { more: true, .. })) => Some(now),
            Ok(Ok(Maintenance { next, .. })) => next,
            Ok(Err(error)) => {
                tracing::warn!(partition = %partition.id(), %error, "the upkeep of a log failed");
                Some(now.get().saturating_add(RETRY_MS).into())
            }
            // A bug; the next append plans it again.
            Err(_) => None,
        };
        if let Some(at) = next {
            self.plan(&partition, at);
        }
    }
}

impl Plan {
    /// When the first log is due.
    fn first(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next log that is due, if one is.
    fn take_due(&mut self, now: Timestamp) -> Option<Arc<Partition>> {
        loop {
            let entry = self.due.first_entry()?;
            let (at, key) = *entry.key();
            if at > now {
                return None;
            }
            let partition = entry.remove();
            self.by_log.remove(&key);
            // The topic may be gone.
            if let Some(partition) = partition.upgrade() {
                return Some(partition);
            }
        }
    }
}

/// Returns at `at`; never where nothing is planned.
async fn until(timer: &Timer, at: Option<Timestamp>) {
    let Some(at) = at else {
        return std::future::pending().await;
    };
    timer.until(timer.at_wall(at)).await;
}
