//! Opening a log.

use std::path::PathBuf;

use crate::{LogId, StorageError, TopicId};

/// Why a log cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed, or what it holds is damaged so far that nothing can be served.
    #[error("cannot open the log {id}: {source}")]
    Storage {
        /// Which log.
        id: LogId,
        /// The disk's failure.
        source: StorageError,
    },
    /// The log is known to hold data, yet its directory is missing.
    #[error(
        "the log {id} holds data, yet its directory {dir:?} is missing; put the directory back \
         or delete the topic"
    )]
    DirectoryMissing {
        /// Which log.
        id: LogId,
        /// The directory that should be there.
        dir: PathBuf,
    },
    /// The log is open under another topic id: it was deleted and made anew in between.
    #[error("the log {id} is open with topic id {open}, asked for with {asked}")]
    OtherTopic {
        /// Which log.
        id: LogId,
        /// The id it is open with.
        open: TopicId,
        /// The id it was asked for with.
        asked: TopicId,
    },
    /// The store is closed, or was dropped.
    #[error("the log {id} cannot be opened: its store is closed")]
    Closed {
        /// Which log.
        id: LogId,
    },
}
