//! What can go wrong between the log and its disk.
//!
//! The errors of one operation (append, read, open) live beside that operation and carry a
//! [`StorageError`] where the disk is to blame.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use crate::Offset;

/// The disk failed, or what it holds is not what was written.
///
/// Cheap to clone: one failure is told to every waiter.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The device is full. Nothing of the operation stays; it works again once space is free.
    #[error("no space left to {doing} {path:?}; free space and try again")]
    NoSpace {
        /// What was being done, as in "append to".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
    },
    /// The process or the machine has as many files open as it may. Nothing was done; it works
    /// again once some are closed.
    #[error("too many open files to {doing} {path:?}; raise the limit (ulimit -n) or close some")]
    TooManyFiles {
        /// What was being done, as in "open".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
    },
    /// The file system answered with an error.
    #[error("cannot {doing} {path:?}: {source}")]
    Io {
        /// What was being done, as in "append to".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The file system's answer.
        source: Arc<io::Error>,
    },
    /// A file holds bytes that were never written there.
    #[error("{path:?} is corrupt at byte {position}: {why}; restore the file from a copy")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Data that was made durable is not there any more.
    #[error(
        "{path:?} ends at offset {found}, yet everything below {expected} was durable; \
         restore the directory from a copy"
    )]
    Missing {
        /// Which directory.
        path: PathBuf,
        /// The end that was found.
        found: Offset,
        /// The end that was durable.
        expected: Offset,
    },
    /// The store was closed; it takes no change any more.
    #[error("the store is closed")]
    Closed,
    /// An earlier failure took the log offline; it comes back with a restart.
    #[error("the log is offline until a restart, because of an earlier failure: {0}")]
    Offline(Arc<Self>),
}

impl StorageError {
    /// The error of a failed call of the file system.
    #[must_use]
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if is_too_many_files(&source) {
            return Self::TooManyFiles { doing, path };
        }
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { doing, path }
            }
            _ => Self::Io {
                doing,
                path,
                source: Arc::new(source),
            },
        }
    }

    /// Whether the same call may succeed later in this process.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::TooManyFiles { .. })
    }
}

/// Whether a file could not be opened because too many are; no kind of error tells that.
pub(crate) fn is_too_many_files(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}
