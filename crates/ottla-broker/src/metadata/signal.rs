//! Waiting for a log's durable end without blocking a thread.

use std::sync::{Arc, OnceLock};

use ottla_log::{Ends, Log, LogObserver, Offset, StorageError};
use tokio::sync::Notify;

/// Wakes tasks when the durable end of one log moves.
#[derive(Debug, Default)]
pub(super) struct DurableSignal {
    moved: Notify,
    failed: OnceLock<Arc<StorageError>>,
}

impl DurableSignal {
    /// A signal that follows `log`.
    pub(super) fn of(log: &Log) -> Arc<Self> {
        let signal = Arc::new(Self::default());
        let observer: Arc<dyn LogObserver> = Arc::<Self>::clone(&signal);
        log.observe(&observer);
        signal
    }

    /// Waits until everything below `end` of `log` is durable.
    pub(super) async fn reaches(&self, log: &Log, end: Offset) -> Result<(), Arc<StorageError>> {
        loop {
            // Made before the look, so that no move in between is missed.
            let moved = self.moved.notified();
            if log.ends().durable >= end {
                return Ok(());
            }
            if let Some(cause) = self.failed.get() {
                return Err(Arc::clone(cause));
            }
            moved.await;
        }
    }
}

impl LogObserver for DurableSignal {
    fn durable(&self, _: Ends) {
        self.moved.notify_waiters();
    }

    fn failed(&self, cause: &Arc<StorageError>) {
        // The first cause is the one to tell.
        let _ = self.failed.set(Arc::clone(cause));
        self.moved.notify_waiters();
    }
}
