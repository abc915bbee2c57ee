//! One partition's log as the store holds it.

use std::sync::Arc;

use super::config::{LogConfig, LogOptions};
use super::open::LogError;
use super::seam::{Checkpoints, FlushTarget, Known, LogRecovery, LogShared, SyncedFiles};
use crate::{LogId, Offset, StorageError, TopicId};

/// One partition's log. The store keeps one per open log; [`super::Log`] is a handle to it.
#[derive(Debug)]
pub(crate) struct LogCore {
    id: LogId,
    topic_id: TopicId,
}

impl LogCore {
    /// Opens the log `id`: recovers what its directory holds, or stands for a log that has no
    /// directory yet and gets one with its first append. `options.topic_id` must be set; the
    /// store draws one where its caller named none and the directory holds none.
    pub(crate) fn open(
        _shared: &Arc<LogShared>,
        id: LogId,
        options: LogOptions,
        _known: &Known,
    ) -> Result<(Arc<Self>, LogRecovery), LogError> {
        let topic_id = options.topic_id.unwrap_or_default();
        Ok((Arc::new(Self { id, topic_id }), LogRecovery::default()))
    }

    /// What the store writes to its checkpoint files for this log.
    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints {
            recovery_point: Offset::ZERO,
            log_start: Offset::ZERO,
        }
    }

    /// Whether a directory exists, with at least one append in it.
    pub(crate) fn has_dir(&self) -> bool {
        false
    }

    /// Replaces the settings.
    pub(crate) fn set_config(&self, _config: LogConfig) {}

    /// After the store's last flush round: syncs the files, writes the active segment's indexes
    /// and a producer snapshot, and refuses everything from now on. The answer's
    /// `recovery_point` is the log end.
    pub(crate) fn close(&self) -> Result<Checkpoints, StorageError> {
        Ok(self.checkpoints())
    }

    /// Refuses everything from now on; slices in readers' hands stay readable. The store renames
    /// the directory afterwards.
    pub(crate) fn retire(&self) {}
}

impl FlushTarget for LogCore {
    fn id(&self) -> &LogId {
        &self.id
    }

    fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    fn round_done(&self, _end: Offset) {}

    fn sync_files(&self) -> Result<SyncedFiles, StorageError> {
        Ok(SyncedFiles {
            end: Offset::ZERO,
            new_dir: false,
        })
    }

    fn failed(&self, _cause: &Arc<StorageError>) {}
}
