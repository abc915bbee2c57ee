//! Which files of a log there are.

use std::path::{Path, PathBuf};

use crate::log::dir::{self, Listing};
use crate::vfs::Vfs;
use crate::{Offset, StorageError};

/// A file of a log, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InspectedFile {
    /// `.log`: record batches, from this offset on.
    Segment(Offset),
    /// `.index`: where batches begin.
    OffsetIndex(Offset),
    /// `.timeindex`: the largest timestamps so far.
    TimeIndex(Offset),
    /// `.txnindex`: aborted transactions.
    TxnIndex(Offset),
    /// `.snapshot`: the producers at this offset.
    Producers(Offset),
    /// `leader-epoch-checkpoint`.
    Epochs,
    /// `partition.metadata`.
    Metadata,
}

impl InspectedFile {
    /// What the file at `path` is; `None` where its name is none of a log's.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name {
            dir::EPOCHS => return Some(Self::Epochs),
            dir::METADATA => return Some(Self::Metadata),
            _ => {}
        }
        let (base, suffix) = dir::split(name)?;
        Some(match suffix {
            dir::LOG => Self::Segment(base),
            dir::INDEX => Self::OffsetIndex(base),
            dir::TIME_INDEX => Self::TimeIndex(base),
            dir::TXN_INDEX => Self::TxnIndex(base),
            dir::SNAPSHOT => Self::Producers(base),
            _ => return None,
        })
    }
}

/// The directories of logs at `path`: itself, those in it (Kafka's `log.dirs`), or those of the
/// data directory that it is; in the order of their names.
///
/// # Errors
/// [`StorageError::Io`] where a directory cannot be listed.
pub fn log_dirs(vfs: &dyn Vfs, path: &Path) -> Result<Vec<PathBuf>, StorageError> {
    if is_log(vfs, path)? {
        return Ok(vec![path.to_path_buf()]);
    }
    let inner = path.join("kafka");
    let stat = vfs.stat(&inner);
    let stat = stat.map_err(|e| StorageError::io("look at", &inner, e))?;
    let root = if stat.is_some() { &*inner } else { path };
    let entries = vfs.list(root);
    let entries = entries.map_err(|e| StorageError::io("list", root, e))?;
    let mut dirs = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let dir = root.join(entry.name);
        if is_log(vfs, &dir)? {
            dirs.push(dir);
        }
    }
    dirs.sort();
    Ok(dirs)
}

fn is_log(vfs: &dyn Vfs, path: &Path) -> Result<bool, StorageError> {
    let listing = Listing::read(vfs, path)?;
    Ok(listing.metadata || !listing.segments.is_empty())
}
