//! Replaying the journal into the partitions' files after an unclean stop.
//!
//! It only ever writes bytes where they were written before, makes directories that a journaled
//! round created, and finishes deletions that a round noted: whatever it is cut off in, the next
//! start does the same again. Nothing is truncated, and nothing is synced here: the journal stays
//! as it is until the files are ([`ReplayedFiles::sync`]), in the background or when a log is
//! opened. Another topic's directory is never written to.

mod apply;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{File, Vfs};
use crate::{LogId, StorageError};

pub(super) use apply::{Replay, replay};

/// A log that recovery wrote to.
#[derive(Debug)]
pub(super) struct ReplayedLog {
    pub(super) id: LogId,
    /// What it wrote to.
    pub(super) files: Arc<ReplayedFiles>,
    /// The last round with data of the log in each area of the journal.
    pub(super) live: [Option<u64>; 2],
    /// The log ends with what it wrote: see [`Known::journaled`](crate::log::Known::journaled).
    pub(super) is_end: bool,
    /// How much it wrote.
    pub(super) bytes: u64,
}

/// Files of one log that recovery wrote, not synced yet. They stay open: a failed write-back is
/// told to open files only.
#[derive(Debug)]
pub(super) struct ReplayedFiles {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    new_dir: bool,
    files: Vec<(PathBuf, Arc<dyn File>)>,
}

impl ReplayedFiles {
    /// Makes them durable, and the names in the log's directory.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        for (path, file) in &self.files {
            file.sync_data().map_err(|e| sync_failed(path, e))?;
        }
        self.vfs
            .sync_dir(&self.dir)
            .map_err(|e| sync_failed(&self.dir, e))
    }

    /// Whether the directory's own name may not be durable.
    pub(super) const fn new_dir(&self) -> bool {
        self.new_dir
    }
}

fn sync_failed(path: &Path, source: std::io::Error) -> StorageError {
    StorageError::Io {
        doing: "sync",
        path: path.to_path_buf(),
        source: Arc::new(source),
    }
}
