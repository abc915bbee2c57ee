//! What opening and closing a store found and did, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::LogRecovery;
use crate::{LogId, Offset, StorageError, TopicId};

/// What an open found and did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The directory was made by this open.
    pub new: bool,
    /// The last stop was clean: nothing was recovered.
    pub clean: bool,
    /// Flush rounds that the journal held and that count.
    pub rounds: usize,
    /// Logs that the journal was replayed into.
    pub logs_written: usize,
    /// Bytes that were written to them.
    pub bytes: u64,
    /// Directories that a crash had lost and the journal knew.
    pub directories_made: usize,
    /// Directories that were renamed: of deleted topics, or of other topics of the same name.
    pub set_aside: Vec<String>,
    /// What the journal said and could not be done, with the reason: the log tells more when it
    /// is opened.
    pub problems: Vec<(LogId, String)>,
    /// Logs that hold data and have no directory: they cannot be opened until it is put back.
    pub missing: Vec<LogId>,
    /// Directories that neither this program nor Apache Kafka would make; Kafka would not start
    /// with them.
    pub strangers: Vec<String>,
    /// Files of the store that could not be read, as a whole or in part, with the reason; what is
    /// a checkpoint is made anew.
    pub unreadable: Vec<String>,
    /// What opening each log found, as far as logs were opened.
    pub logs: BTreeMap<LogId, LogRecovery>,
    /// How long the open took.
    pub took: Duration,
}

impl RecoveryReport {
    /// Adds what could not be done for `id`.
    pub(super) fn say(&mut self, id: &LogId, why: String) {
        self.problems.push((id.clone(), why));
    }
}

/// A log that was there when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundLog {
    /// Which log.
    pub id: LogId,
    /// Its topic's id, where that is known.
    pub topic_id: Option<TopicId>,
    /// Its directory is there; if not, it is known to hold data that is missing.
    pub has_directory: bool,
    /// It has not been opened since an unclean stop: its tail is not checked yet.
    pub pending: bool,
}

/// How a store was closed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// The next open has nothing to recover.
    pub clean: bool,
    /// Logs that have not been opened since an unclean stop.
    pub pending: Vec<LogId>,
    /// Logs that are offline or could not be closed.
    pub failed: Vec<(LogId, StorageError)>,
    /// What else was in the way of a clean stop.
    pub cause: Option<StorageError>,
    /// The end of each log that was open.
    pub ends: BTreeMap<LogId, Offset>,
}
