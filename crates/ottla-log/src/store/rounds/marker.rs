//! The mark of a clean stop: there from a clean stop until the first change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::StorageError;
use crate::checkpoint::CleanShutdown;
use crate::vfs::Vfs;

use super::super::dirs::Dirs;
use super::super::seals;

/// Kafka's name for it.
pub(crate) const MARKER: &str = ".kafka_cleanshutdown";

/// The mark, as far as this process knows.
#[derive(Debug)]
pub(super) struct Marker {
    dirs: Arc<Dirs>,
    path: PathBuf,
    /// Removed, durably: the answer without a lock.
    is_gone: AtomicBool,
    removal: Mutex<()>,
}

impl Marker {
    /// The mark in `dirs.kafka`, which `is_there`.
    pub(super) fn new(dirs: Arc<Dirs>, is_there: bool) -> Self {
        Self {
            path: dirs.kafka.path().join(MARKER),
            dirs,
            is_gone: AtomicBool::new(!is_there),
            removal: Mutex::new(()),
        }
    }

    /// Removes the mark, durably, unless it is gone already. To be called before anything that the
    /// mark speaks for is changed.
    pub(super) fn remove(&self, vfs: &dyn Vfs) -> Result<(), Arc<StorageError>> {
        if self.is_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let _turn = self.removal.lock();
        if self.is_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        match vfs.remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                // Nothing was changed: the next append may try again.
                let error = StorageError::io("remove the clean marker", &self.path, e);
                return Err(Arc::new(error));
            }
            _ => self.dirs.kafka.sync().map_err(Arc::new)?,
        }
        // In this order: a note without a mark voids the seals, a mark without a note does not.
        let forgotten = seals::forget_rest(vfs, self.dirs.own.path());
        let forgotten = forgotten.and_then(|()| self.dirs.own.sync());
        forgotten.map_err(Arc::new)?;
        self.is_gone.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the mark is still there from the last stop: nothing was changed since.
    pub(super) fn is_there(&self) -> bool {
        !self.is_gone.load(Ordering::Acquire)
    }

    /// Leaves the mark: everything is durable in the partitions' files and checkpoints, and the
    /// note of rest is.
    pub(super) fn leave(&self) -> Result<(), StorageError> {
        let bytes = CleanShutdown::OURS.encode();
        self.dirs.kafka.replace(MARKER, &bytes)?;
        self.dirs.kafka.sync()
    }
}
