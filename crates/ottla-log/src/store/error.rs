//! Why a store cannot be opened.

use std::path::PathBuf;

use crate::StorageError;

use super::format_file::VERSION;

/// Why a data directory cannot be opened. Nothing was changed in it, and what was made for it is
/// gone again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    #[error("the data directory {dir:?} is in use by another process; stop it or use another one")]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error(
        "the data directory {dir:?} has format version {found}, this program knows versions up to \
         {VERSION}; use the newer program"
    )]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// The version found.
        found: u32,
    },
    /// The directory holds something else.
    #[error("{dir:?} is not a data directory: it holds {found:?}; use an empty or a new one{hint}")]
    NotOurs {
        /// The directory.
        dir: PathBuf,
        /// One of the names in it.
        found: String,
        /// What it may be instead; empty where nothing is known.
        hint: &'static str,
    },
    /// There is a file where the directory should be.
    #[error("{dir:?} is a file, a data directory is needed")]
    NotADirectory {
        /// The path.
        dir: PathBuf,
    },
    /// The directory belongs to another node or cluster.
    #[error(
        "the data directory {dir:?} belongs to {what} {found:?}, not to {expected:?}; change the \
         setting or use another directory"
    )]
    OtherOwner {
        /// The data directory.
        dir: PathBuf,
        /// "node" or "cluster".
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A file that the whole directory depends on is damaged or missing.
    #[error("{path:?} {why}; restore it from a copy")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The journal is damaged where no crash can have damaged it: acknowledged data may be missing
    /// from the partition files.
    #[error(
        "the journal is damaged at byte {position} of {path:?}: {why}; restore the data directory \
         from a copy, or remove the journal's two files to go on with what the partitions hold"
    )]
    JournalDamaged {
        /// Which of the journal's files.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// The disk failed.
    #[error("cannot open the data directory {dir:?}: {source}")]
    Storage {
        /// The data directory.
        dir: PathBuf,
        /// The failure.
        source: StorageError,
    },
}
