//! Closing a store.

use std::sync::Arc;

use crate::StorageError;
use crate::log::{Checkpoints, Flusher};

use super::report::CloseReport;
use super::{Inner, Life};

impl Inner {
    /// Closes the store, once.
    pub(super) fn close(&self) -> CloseReport {
        let mut life = self.life.write();
        if let Life::Closed(report) = &*life {
            return report.clone();
        }
        self.rounds.refuse_appends();
        let report = self.close_logs();
        self.rounds.forget_logs();
        self.logs.lock().clear();
        // Last: from here on somebody else may open the directory.
        *life = Life::Closed(report.clone());
        report
    }

    fn close_logs(&self) -> CloseReport {
        let mut report = CloseReport::default();
        // Each log says itself what could not be flushed.
        let _ = self.rounds.wait(self.rounds.round());
        let mut checkpoints: Vec<(_, Checkpoints)> = Vec::new();
        for (id, core) in self.open_logs() {
            match core.close() {
                Ok(closed) => {
                    report.ends.insert(id.clone(), closed.recovery_point);
                    checkpoints.push((id, closed));
                }
                Err(cause) => {
                    let cause = Arc::new(cause);
                    self.rounds.fail(&id, &cause);
                    report.failed.push((id, Arc::unwrap_or_clone(cause)));
                }
            }
        }
        // An append that was under way when the first round began.
        let _ = self.rounds.wait(self.rounds.round());
        if !self.was_clean {
            report.pending = self.found.lock().keys().cloned().collect();
        }
        match self.rounds.finish(&checkpoints, report.pending.is_empty()) {
            Ok(clean) => report.clean = clean,
            Err(cause) => report.cause = Some(cause),
        }
        for (id, cause) in self.rounds.all_offline() {
            if !report.failed.iter().any(|(failed, _)| *failed == id) {
                report.failed.push((id, StorageError::clone(&cause)));
            }
        }
        report
    }
}
