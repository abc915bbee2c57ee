//! The last word of a stop: checkpoints, the journal made void, the clean mark.

use std::sync::Arc;

use crate::log::Checkpoints;
use crate::{LogId, StorageError};

use super::super::journal::Refused;
use super::super::seals;
use super::super::stopped::{self, STOPPED, Stopped};
use super::Rounds;
use super::state::LogState;

impl Rounds {
    /// After all open logs were closed, with `closed` as the answers of those that could be:
    /// writes the checkpoints and, where everything is durable in the logs' own files and
    /// `may_be_clean`, says in `left` how each log is left and leaves the clean mark. Answers
    /// whether it did.
    pub(in super::super) fn finish(
        &self,
        closed: &[(LogId, Checkpoints)],
        may_be_clean: bool,
        left: &Stopped,
    ) -> Result<bool, StorageError> {
        let _step = self.step.lock();
        if !closed.is_empty() {
            self.dirs.kafka.sync()?;
        }
        let is_unfinished = {
            let mut state = self.state.lock();
            for (id, checkpoints) in closed {
                if let Some(log) = state.logs.get_mut(id) {
                    log.closed(*checkpoints);
                    if std::mem::take(&mut log.unnoted) {
                        let topic_id = log.topic_id;
                        state.has_data.insert(id.clone(), topic_id);
                    }
                }
            }
            let unfinished = |log: &LogState| {
                log.offline.is_some() || log.is_live() || log.replayed.is_some() || log.dirty > 0
            };
            state.logs.values().any(unfinished)
        };
        if self.marker.is_there() {
            // Nothing was changed since the last clean stop, unless that could not be begun.
            return Ok(may_be_clean && !is_unfinished);
        }
        self.checkpoint_for_kafka()?;
        if is_unfinished || !may_be_clean || !self.void_journal()? {
            return Ok(false);
        }
        // Durable before the mark, which says that it may be believed.
        seals::note_rest(&*self.vfs, self.dirs.own.path())?;
        self.dirs.own.replace(STOPPED, &stopped::encode(left))?;
        self.dirs.own.sync()?;
        self.marker.leave()?;
        Ok(true)
    }

    /// Declares everything in the journal unneeded; answers whether that could be done.
    fn void_journal(&self) -> Result<bool, StorageError> {
        let mut journal = self.journal.lock();
        if !journal.exists() {
            return Ok(true);
        }
        match journal.void() {
            Ok(()) => Ok(true),
            Err(Refused::NoRoom) => Ok(false),
            Err(Refused::Failed(cause)) => Err(Arc::unwrap_or_clone(cause)),
        }
    }
}

impl LogState {
    /// Takes over what a closed log said: all its files are synced.
    fn closed(&mut self, checkpoints: Checkpoints) {
        self.recovery_point = checkpoints.recovery_point;
        self.log_start = self.log_start.max(checkpoints.log_start);
        self.live = [None; 2];
        self.replayed = None;
        self.dirty = 0;
    }
}
