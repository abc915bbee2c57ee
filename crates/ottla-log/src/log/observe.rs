//! Who is told when a log's durable end moves, or when the log fails.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::ends::Ends;
use crate::StorageError;

/// Is told what happens to a log. Called without any of the log's locks held, by the thread that
/// flushed or appended; so a call should be short, and may call the log.
pub trait LogObserver: Send + Sync {
    /// The durable end moved.
    fn durable(&self, ends: Ends);

    /// The log went offline; it comes back with a restart.
    fn failed(&self, cause: &Arc<StorageError>);
}

/// The observers of one log; nothing is allocated before the first.
#[derive(Default)]
pub(super) struct Observers {
    list: ArcSwapOption<Vec<Arc<dyn LogObserver>>>,
}

impl Observers {
    /// Adds one, for as long as the log is open.
    pub(super) fn add(&self, observer: &Arc<dyn LogObserver>) {
        self.list.rcu(|list| {
            let mut list = list.as_deref().cloned().unwrap_or_default();
            list.push(Arc::clone(observer));
            Some(Arc::new(list))
        });
    }

    pub(super) fn durable(&self, ends: Ends) {
        self.each(|observer| observer.durable(ends));
    }

    pub(super) fn failed(&self, cause: &Arc<StorageError>) {
        self.each(|observer| observer.failed(cause));
    }

    fn each(&self, tell: impl Fn(&dyn LogObserver)) {
        if let Some(list) = &*self.list.load() {
            for observer in list.iter() {
                tell(&**observer);
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.load().as_ref().map_or(0, |list| list.len());
        write!(f, "Observers({count})")
    }
}
