//! Background work: what the flush rounds, deletions and open files leave to be done later.

use super::{Inner, Life};
use crate::Timestamp;
use crate::log::Maintenance;

/// How long until a deletion that failed is tried again.
const DELETE_AGAIN_MS: i64 = 10_000;

/// How often files that nobody uses are closed.
const SWEEP_INTERVAL_MS: i64 = 60_000;

impl Inner {
    /// One bounded step.
    pub(super) fn maintain(&self, now: Timestamp) -> Maintenance {
        let life = self.life.read();
        if matches!(*life, Life::Closed(_)) {
            return Maintenance::default();
        }
        let handles = &self.shared.handles;
        let too_many_open = handles.len() > self.open_files_max.get();
        let step = self.rounds.background(now, too_many_open);
        let is_owed = self.delete_owed().unwrap_or_else(|cause| {
            tracing::error!(%cause, "a log cannot be deleted yet, and is tried again");
            true
        });
        let again = is_owed.then(|| now.get().saturating_add(DELETE_AGAIN_MS).into());
        let removed = self.remove_one_deleted();
        self.sweep(now);
        Maintenance {
            more: step.more || removed,
            next: [step.next, again].into_iter().flatten().min(),
        }
    }

    /// Closes files that nobody used for a while.
    fn sweep(&self, now: Timestamp) {
        let mut swept = self.swept.lock();
        let due = swept.get().saturating_add(SWEEP_INTERVAL_MS);
        // A clock that was set back counts from where it is now.
        if due <= now.get() || *swept > now {
            *swept = now;
            self.shared.handles.sweep();
        }
    }
}
