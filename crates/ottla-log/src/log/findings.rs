//! What was found wrong with files while a store was open: told at once, and kept for who asks.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::inspect::Finding;

/// How many are kept; the oldest are forgotten first.
const KEPT: usize = 1000;

/// The findings of one store.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Mutex<VecDeque<Finding>>,
}

impl Findings {
    /// Tells of `finding`, and keeps it.
    pub(crate) fn note(&self, finding: Finding) {
        tracing::error!(
            path = %finding.path.display(), position = finding.position, what = %finding.what,
            "a file of a log is damaged"
        );
        let mut list = self.list.lock();
        if list.len() == KEPT {
            list.pop_front();
        }
        list.push_back(finding);
    }

    /// Those that are kept, the oldest first.
    pub(crate) fn list(&self) -> Vec<Finding> {
        self.list.lock().iter().cloned().collect()
    }
}
