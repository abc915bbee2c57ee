//! Calls the store's background work when it is due, and never otherwise.

use std::sync::Arc;

use ottla_log::{MaintenanceAlarm, Store, Timestamp};
use tokio::sync::Notify;

use crate::partitions::Partitions;
use crate::runtime::Runtime;
use crate::stop::Stop;
use crate::timer::Timer;

/// Wakes the maintenance of one store.
#[derive(Debug, Default)]
struct Alarm {
    due: Notify,
}

impl MaintenanceAlarm for Alarm {
    fn due(&self) {
        self.due.notify_one();
    }
}

/// Maintains the store of `partitions`, and the logs among them, until told to stop.
pub(crate) async fn run(
    runtime: Arc<Runtime>,
    partitions: Arc<Partitions>,
    timer: Timer,
    stop: Stop,
) {
    let store = of_store(&runtime, partitions.store(), &timer, stop.clone());
    let logs = partitions.upkeep().run(&runtime, &timer, stop.clone());
    let scrub = scrub(&runtime, partitions.store(), &timer, stop);
    tokio::join!(store, logs, scrub);
}

async fn of_store(runtime: &Runtime, store: &Store, timer: &Timer, mut stop: Stop) {
    let alarm = Arc::new(Alarm::default());
    store.set_alarm(Some(Arc::<Alarm>::clone(&alarm)));
    loop {
        let (worker, now) = (store.clone(), timer.now());
        let step = runtime.spawn_blocking(move || worker.maintain(now));
        // A step that panicked is a bug; the next alarm tries again.
        let done = step.await.unwrap_or_default();
        if done.more && !stop.is_requested() {
            continue;
        }
        let sleep = async {
            match done.next {
                // Never at once: a step that is due and does nothing must not spin.
                Some(next) => timer.until(timer.at_wall(next.max(soon(timer)))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => break,
            () = alarm.due.notified() => {}
            () = sleep => {}
        }
    }
    store.set_alarm(None);
}

/// Scrubs, a step at a time when one is due.
async fn scrub(runtime: &Runtime, store: &Store, timer: &Timer, mut stop: Stop) {
    while let Some(due) = store.scrub_due() {
        tokio::select! {
            biased;
            () = stop.requested() => return,
            () = timer.until(timer.at_wall(due.max(soon(timer)))) => {}
        }
        let (worker, now) = (store.clone(), timer.now());
        // A step that panicked is a bug, and the next one would, too.
        let Ok(Some(_)) = runtime.spawn_blocking(move || worker.scrub(now)).await else {
            return;
        };
    }
}

fn soon(timer: &Timer) -> Timestamp {
    timer.now().get().saturating_add(1).into()
}
