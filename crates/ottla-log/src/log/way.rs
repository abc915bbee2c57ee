//! How files become durable: each by a sync of its own, or many at once.
//!
//! A sync for each file is what a single log wants. Where hundreds of logs have a handful of new
//! files each, as at a stop, one sync of the whole file system costs a fraction: their files are
//! written under temporary names, everything is synced, the files get their names, and everything
//! is synced once more.

use std::path::{Path, PathBuf};

use super::dir;
use crate::StorageError;
use crate::vfs::Vfs;

/// How what is written becomes durable.
#[derive(Debug)]
pub(crate) enum Way {
    /// Each file by a sync of its own, at once.
    Each,
    /// All files together, once [`Way::finish`] is called. Kept are the temporary names of complete
    /// files and the names they get.
    Together(Vec<(PathBuf, PathBuf)>),
}

impl Way {
    /// Writes a file of which a reader, after a crash too, sees all or nothing.
    pub(crate) fn write(
        &mut self,
        vfs: &dyn Vfs,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        match self {
            Self::Each => dir::write_complete(vfs, path, bytes),
            Self::Together(renames) => {
                let (tmp, _) = dir::write_tmp(vfs, path, bytes)?;
                renames.push((tmp, path.to_path_buf()));
                Ok(())
            }
        }
    }

    /// Syncs by `sync`, where nothing later does.
    pub(crate) fn sync(
        &self,
        sync: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        match self {
            Self::Each => sync(),
            Self::Together(_) => Ok(()),
        }
    }

    /// Makes durable what was left to the end; `root` lies in the same file system.
    ///
    /// Nobody may ask again after an error: all that was written counts as lost.
    pub(crate) fn finish(self, vfs: &dyn Vfs, root: &Path) -> Result<(), StorageError> {
        let Self::Together(renames) = self else {
            return Ok(());
        };
        sync_all(vfs, root)?;
        for (tmp, path) in &renames {
            dir::rename_complete(vfs, tmp, path)?;
        }
        sync_all(vfs, root)
    }
}

fn sync_all(vfs: &dyn Vfs, root: &Path) -> Result<(), StorageError> {
    let unsupported = || Err(std::io::ErrorKind::Unsupported.into());
    let synced = vfs.sync_all(root);
    synced
        .and_then(|is_done| if is_done { Ok(()) } else { unsupported() })
        .map_err(|e| StorageError::io("sync the file system of", root, e))
}
