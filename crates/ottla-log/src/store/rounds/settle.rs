//! Notes that somebody waits for: a log is settled before its files change, or deleted.

use std::sync::{Arc, OnceLock};

use crate::log::{FlushTarget, Flusher};
use crate::{LogId, Offset, StorageError, TopicId};

use super::super::journal::{Entry, What};
use super::Rounds;
use super::state::Receipt;

type Cause = Arc<StorageError>;
type Outcome = Result<(), Cause>;

impl Rounds {
    /// See [`Flusher::settle`].
    pub(super) fn settle_log(&self, target: &Arc<dyn FlushTarget>, end: Offset) -> Outcome {
        let id = target.id();
        if self.state.lock().closed {
            return Err(Arc::new(StorageError::Closed));
        }
        self.marker.remove(&*self.vfs)?;
        if self.settle_at_once(target, end)? {
            return Ok(());
        }
        // Everything handed over is in a round before `below` afterwards. Its outcome may be the
        // failure of another log.
        let _ = self.wait(self.round());
        let (below, written_end) = {
            let mut state = self.state.lock();
            state.riding.remove(id);
            let below = state.next_sequence;
            let log = state.known(target).ok_or_else(is_gone)?;
            log.settled += 1;
            (below, log.written_end)
        };
        for (_, synced) in self.sync_logs(std::slice::from_ref(id)) {
            synced?;
        }
        let log_start = {
            let mut state = self.state.lock();
            let log = state.known(target).ok_or_else(is_gone)?;
            // Where nothing is truncated, more may have been appended meanwhile.
            if end < written_end {
                log.recovery_point = end;
                log.written_end = end;
                log.cut_to = Some(end);
            } else {
                log.recovery_point = log.recovery_point.max(end);
            }
            log.durable_end = log.recovery_point;
            let log_start = log.log_start;
            state.changed = true;
            log_start
        };
        if !self.journal.lock().exists() {
            return self.checkpoint().map_err(Arc::new);
        }
        let entry = |what| Entry {
            id: id.clone(),
            topic_id: target.topic_id(),
            what,
        };
        // Files below the log start may go next: it must not be found later than they are gone.
        let started = entry(What::Started { log_start });
        self.note_and_wait(vec![started, entry(What::Settled { below, end })])?;
        let mut state = self.state.lock();
        let log = state.known(target).ok_or_else(is_gone)?;
        let later = log.live.map(|live| live.is_some_and(|live| live >= below));
        log.told = later;
        Ok(())
    }

    /// Answers whether the journal holds no data of the log, a checkpoint no end beyond `end`, and
    /// a start would find where the log starts: then nothing is to be noted.
    fn settle_at_once(&self, target: &Arc<dyn FlushTarget>, end: Offset) -> Result<bool, Cause> {
        let mut state = self.state.lock();
        let finished = state.finished;
        let log = state.known(target).ok_or_else(is_gone)?;
        let told = log.recovery_point.max(log.durable_end);
        let is_gathered = log.last_round > finished;
        let is_told = log.told.contains(&true);
        let is_noted = log.start_noted >= log.log_start;
        let is_quiet = !is_gathered && !is_told && is_noted && log.offline.is_none();
        if !is_quiet || told > end {
            return Ok(false);
        }
        if end < log.written_end {
            // A sync under way knows the end from before.
            log.settled += 1;
            log.written_end = end;
            log.cut_to = Some(end);
        }
        Ok(true)
    }

    /// Makes it durable that logs are deleted. Nobody touches their files once this returned `Ok`:
    /// they may be renamed, and then [`Rounds::forget`] is called. After an error the same may be
    /// asked for again.
    pub(in super::super) fn delete(&self, logs: &[(LogId, TopicId)]) -> Outcome {
        self.marker.remove(&*self.vfs)?;
        let mut running = Vec::new();
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            for (id, _) in logs {
                // From here on no checkpoint names it: were it missing after a crash, that would
                // not be a loss.
                state.has_data.remove(id);
                state.riding.remove(id);
                if let Some(log) = state.logs.get_mut(id) {
                    log.retired = true;
                    // Nobody syncs these bytes any more, and nobody waits for room in vain.
                    state.dirty = state.dirty.saturating_sub(log.dirty);
                    log.dirty = 0;
                    running.push(Arc::clone(&log.syncing));
                }
            }
            state.changed = true;
        }
        for syncing in running {
            drop(syncing.lock());
        }
        let noted = self.note_deleted(logs);
        if noted.is_err() {
            // Nobody syncs their files any more: the journal must not keep its areas, nor itself
            // where it failed, for what is to go. The next attempt may need them.
            let mut state = self.state.lock();
            for (id, _) in logs {
                if let Some(log) = state.logs.get_mut(id) {
                    log.live = [None; 2];
                    log.replayed = None;
                }
            }
        }
        noted
    }

    fn note_deleted(&self, logs: &[(LogId, TopicId)]) -> Outcome {
        if !self.journal.lock().exists() {
            return self.checkpoint().map_err(Arc::new);
        }
        let note = |(id, topic_id): &(LogId, TopicId)| Entry {
            id: id.clone(),
            topic_id: *topic_id,
            what: What::Deleted,
        };
        self.note_and_wait(logs.iter().map(note).collect())
    }

    /// Forgets deleted logs.
    pub(in super::super) fn forget(&self, logs: &[(LogId, TopicId)]) {
        let mut state = self.state.lock();
        for (id, _) in logs {
            if let Some(log) = state.logs.remove(id) {
                state.dirty = state.dirty.saturating_sub(log.dirty);
            }
        }
        self.room.notify_all();
    }

    /// Hands over notes and waits until they are durable.
    fn note_and_wait(&self, entries: Vec<Entry>) -> Outcome {
        let mut receipts: Vec<Receipt> = Vec::new();
        let round = {
            let mut state = self.state.lock();
            for entry in entries {
                let receipt = Arc::new(OnceLock::new());
                receipts.push(Arc::clone(&receipt));
                self.note(&mut state, entry, Some(receipt));
            }
            state.round()
        };
        let outcome = self.wait(round);
        // The round may have failed for the sake of another log.
        let mut answers = receipts.iter().map(|receipt| receipt.get().cloned());
        answers.try_for_each(|answer| answer.unwrap_or_else(|| outcome.clone()))
    }
}

/// The answer to a log that was deleted meanwhile.
fn is_gone() -> Cause {
    Arc::new(StorageError::Closed)
}
