//! Whether a log may be used: an earlier failure, corruption found at open, closed or deleted.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use crate::StorageError;

/// Why a log is out of use for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its store was closed.
    Closed,
    /// Its topic was deleted.
    Deleted,
}

/// The state of a log's health. Only gets worse.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// A write or sync failed.
    offline: OnceLock<Arc<StorageError>>,
    /// Found at open: what is good is served, nothing is appended.
    corrupt: Option<Arc<StorageError>>,
    /// 0: in use, 1: closed, 2: deleted.
    gone: AtomicU8,
}

impl Health {
    /// The health of a log that was found corrupt, if it was.
    pub(crate) fn new(corrupt: Option<StorageError>) -> Self {
        Self {
            corrupt: corrupt.map(Arc::new),
            ..Self::default()
        }
    }

    /// Takes the log offline; `false` where it was already.
    pub(crate) fn fail(&self, cause: &Arc<StorageError>) -> bool {
        self.offline.set(Arc::clone(cause)).is_ok()
    }

    /// Takes the log out of use.
    pub(crate) fn leave(&self, gone: Gone) {
        let number = match gone {
            Gone::Closed => 1,
            Gone::Deleted => 2,
        };
        self.gone.fetch_max(number, Ordering::AcqRel);
    }

    /// Whether the log is out of use for good.
    pub(crate) fn gone(&self) -> Option<Gone> {
        match self.gone.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Gone::Closed),
            _ => Some(Gone::Deleted),
        }
    }

    /// What a reader cannot get past.
    pub(crate) fn read_fault(&self) -> Option<StorageError> {
        let cause = self.offline.get()?;
        Some(StorageError::Offline(Arc::clone(cause)))
    }

    /// What an appender cannot get past.
    pub(crate) fn append_fault(&self) -> Option<StorageError> {
        self.read_fault()
            .or_else(|| self.corrupt.as_deref().cloned())
    }
}
