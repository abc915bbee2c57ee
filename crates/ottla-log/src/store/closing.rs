//! Closing a store.
//!
//! A few logs are closed by syncs of their own files, many by syncs of the whole file system: at
//! six syncs a log, 1,000 logs would take longer than any stop may.

use std::mem;
use std::sync::Arc;

use crate::log::{Checkpoints, Flusher, Way};
use crate::{LogId, StorageError};

use super::report::CloseReport;
use super::stopped::Stopped;
use super::{Found, Inner, Life};

/// From this many open logs on the whole file system is synced instead of each file. Fewer in
/// tests, so that a crash after every operation stays affordable.
const TOGETHER_MIN: usize = if cfg!(test) { 3 } else { 32 };

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

    /// Gives the directory back as a crash does; a new one is removed.
    pub(super) fn abandon(&self) {
        let mut life = self.life.write();
        if matches!(*life, Life::Closed(_)) {
            return;
        }
        self.rounds.refuse_appends();
        self.rounds.forget_logs();
        self.logs.lock().clear();
        if let Life::Open(data) = mem::replace(&mut *life, Life::Closed(CloseReport::default())) {
            data.abandon(&*self.world.vfs);
        }
    }

    fn close_logs(&self) -> CloseReport {
        let mut report = CloseReport::default();
        let is_owed = self.delete_owed().unwrap_or_else(|cause| {
            report.cause = Some(cause);
            true
        });
        // Each log says itself what could not be flushed.
        let _ = self.rounds.wait(self.rounds.round());
        let (checkpoints, left) = self.close_each(&mut report);
        for (id, closed) in &checkpoints {
            report.ends.insert(id.clone(), closed.recovery_point);
        }
        // An append that was under way when the first round began.
        let _ = self.rounds.wait(self.rounds.round());
        if !self.was_clean {
            report.pending = self.found.lock().keys().cloned().collect();
        }
        let may_be_clean = report.pending.is_empty() && !is_owed;
        match self.rounds.finish(&checkpoints, may_be_clean, &left) {
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

    /// Closes the open logs; answers what may be checkpointed of those that could be closed, and
    /// how each log is left.
    fn close_each(&self, report: &mut CloseReport) -> (Vec<(LogId, Checkpoints)>, Stopped) {
        let mut fail = |id: LogId, cause: StorageError| {
            let cause = Arc::new(cause);
            self.rounds.fail(&id, &cause);
            report.failed.push((id, Arc::unwrap_or_clone(cause)));
        };
        let logs = self.open_logs();
        let (vfs, root) = (&*self.world.vfs, &self.shared.root);
        // Done first to learn whether there is such a thing here.
        let has_sync_all = match logs.len() {
            0..TOGETHER_MIN => Ok(false),
            _ => vfs.sync_all(root),
        };
        let mut way = match has_sync_all {
            Ok(false) => Way::Each,
            Ok(true) | Err(_) => Way::Together(Vec::new()),
        };
        if matches!(way, Way::Each) {
            self.rounds.sync_all_replayed();
        }
        let mut closed = Vec::new();
        let mut stopped = self.never_opened();
        for (id, core) in logs {
            match core.close(&mut way) {
                Ok(checkpoints) => {
                    stopped.extend(core.left().map(|left| (id.clone(), Arc::new(left))));
                    closed.push((id, checkpoints));
                }
                Err(cause) => fail(id, cause),
            }
        }
        let finished = has_sync_all
            .map_err(|e| StorageError::io("sync the file system of", root, e))
            .and_then(|_| way.finish(vfs, root));
        if let Err(cause) = finished {
            for (id, _) in closed.drain(..) {
                fail(id, cause.clone());
            }
        }
        (closed, stopped)
    }

    /// The logs that are still as the last clean stop left them.
    fn never_opened(&self) -> Stopped {
        let found = self.found.lock();
        let left = |(id, found): (&LogId, &Found)| Some((id.clone(), found.known.left.clone()?));
        found.iter().filter_map(left).collect()
    }
}
