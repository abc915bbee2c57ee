//! The mark of a clean stop: there from a clean stop until the first change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::StorageError;
use crate::checkpoint::{self, CleanShutdown};
use crate::vfs::Vfs;

/// Kafka's name for it.
pub(crate) const MARKER: &str = ".kafka_cleanshutdown";

/// The mark, as far as this process knows.
#[derive(Debug)]
pub(super) struct Marker {
    dir: PathBuf,
    path: PathBuf,
    /// Removed, durably: the answer without a lock.
    is_gone: AtomicBool,
    removal: Mutex<Result<(), Arc<StorageError>>>,
}

impl Marker {
    /// The mark in `kafka`, which `is_there`.
    pub(super) fn new(kafka: &Path, is_there: bool) -> Self {
        Self {
            dir: kafka.to_path_buf(),
            path: kafka.join(MARKER),
            is_gone: AtomicBool::new(!is_there),
            removal: Mutex::new(Ok(())),
        }
    }

    /// Removes the mark, durably, unless it is gone already. To be called before anything that the
    /// mark speaks for is changed.
    pub(super) fn remove(&self, vfs: &dyn Vfs) -> Result<(), Arc<StorageError>> {
        if self.is_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut removal = self.removal.lock();
        // A sync that failed is not asked for again.
        removal.clone()?;
        if self.is_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let removed = match vfs.remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                // Nothing was changed: the next append may try again.
                let error = StorageError::io("remove the clean marker", &self.path, e);
                return Err(Arc::new(error));
            }
            _ => vfs.sync_dir(&self.dir),
        };
        *removal = removed.map_err(|source| {
            Arc::new(StorageError::Io {
                doing: "make durable the removal of",
                path: self.path.clone(),
                source: Arc::new(source),
            })
        });
        self.is_gone.store(removal.is_ok(), Ordering::Release);
        removal.clone()
    }

    /// Whether the mark is still there from the last stop: nothing was changed since.
    pub(super) fn is_there(&self) -> bool {
        !self.is_gone.load(Ordering::Acquire)
    }

    /// Leaves the mark: everything is durable in the partitions' files and checkpoints.
    pub(super) fn leave(&self, vfs: &dyn Vfs) -> Result<(), StorageError> {
        // No broker epoch is known here; Kafka takes -1 for that.
        let bytes = CleanShutdown { broker_epoch: -1 }.encode();
        checkpoint::write_atomically(vfs, &self.path, &bytes)
    }
}
