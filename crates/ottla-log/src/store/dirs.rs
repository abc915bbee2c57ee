//! The store's two directories, and making the names in them durable.
//!
//! A sync that failed is not asked for again: what it did not write may count as written by then,
//! and the next sync would say that all is well. So the first failure stays the answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::StorageError;
use crate::error::is_too_many_files;
use crate::log::dir;
use crate::vfs::Vfs;

/// A directory whose names are made durable, until that fails.
#[derive(Debug)]
pub(super) struct Dir {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    failed: Mutex<Option<StorageError>>,
}

/// The two of them.
#[derive(Debug)]
pub(super) struct Dirs {
    /// `DIR/kafka`.
    pub(super) kafka: Dir,
    /// `DIR/ottla`.
    pub(super) own: Dir,
}

impl Dirs {
    pub(super) fn new(vfs: &Arc<dyn Vfs>, kafka: &Path, own: &Path) -> Arc<Self> {
        let dir = |path: &Path| Dir {
            vfs: Arc::clone(vfs),
            path: path.to_path_buf(),
            failed: Mutex::default(),
        };
        Arc::new(Self {
            kafka: dir(kafka),
            own: dir(own),
        })
    }
}

impl Dir {
    /// The directory's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        let mut failed = self.failed.lock();
        if let Some(cause) = &*failed {
            return Err(cause.clone());
        }
        let doing = "sync the directory";
        self.vfs.sync_dir(&self.path).map_err(|source| {
            if is_too_many_files(&source) {
                // It was not even opened, let alone synced.
                return StorageError::io(doing, &self.path, source);
            }
            let cause = StorageError::Io {
                doing,
                path: self.path.clone(),
                source: Arc::new(source),
            };
            *failed = Some(cause.clone());
            cause
        })
    }

    /// Removes the file `name` in it, if it is there; for good after [`Dir::sync`].
    pub(super) fn remove(&self, name: &str) -> Result<(), StorageError> {
        dir::remove_if_there(&*self.vfs, &self.path.join(name))
    }

    /// Replaces the file `name` in it by `bytes`; a crash leaves the old one or the new one, and
    /// the new one for sure only after [`Dir::sync`].
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        dir::write_complete(&*self.vfs, &self.path.join(name), bytes)
    }
}
