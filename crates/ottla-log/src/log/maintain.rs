//! Work that no append waits for, in bounded steps: rolls by time, lets old segments go, compacts,
//! seals, deletes files, forgets producers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::LogCore;
use super::seal;
use super::seam::Maintenance;
use super::way::Way;
use crate::{StorageError, Timestamp};

/// How often producers are looked through that may have been idle for long.
const EXPIRY_INTERVAL_MS: i64 = 10 * 60 * 1000;
/// How many segments one step renames at most.
const REMOVALS_PER_STEP: usize = 16;

impl LogCore {
    /// One bounded step of work that no append waits for.
    pub(crate) fn maintain(&self, now: Timestamp) -> Result<Maintenance, StorageError> {
        if self.health.gone().is_some() || self.health.read_fault().is_some() {
            self.stop_compacting();
            return Ok(Maintenance::default());
        }
        let mut work = Work::default();
        let rolled = self.roll_if_old(now);
        work.add(rolled.map(|(more, next)| Maintenance { more, next }));
        work.add(self.retain(now));
        work.unless_more(|| self.mark_removed(now).map(again));
        work.unless_more(|| self.delete_one(now).map(again));
        if !work.more {
            let compacted = self.compact(now);
            // Much work, which is not to be begun anew with each segment that is sealed.
            let goes_on = compacted.is_ok();
            work.add(compacted);
            if goes_on {
                work.unless_more(|| Ok(self.seal_step(now)));
            }
        }
        let expiry = self.expire_producers(now);
        let pending = self.pending.lock();
        let deletions = pending.deleted.iter().map(|(due, _)| *due);
        work.next = deletions.chain(expiry).chain(work.next).min();
        drop(pending);
        if self.health.read_fault().is_some() {
            work.more = false;
        }
        match work.failed {
            // What can be done is done first: what fails will fail again.
            Some(error) if !work.more => {
                self.stop_compacting();
                Err(error)
            }
            _ => Ok(Maintenance {
                more: work.more,
                next: work.next,
            }),
        }
    }

    /// Forgets producers that were idle for long, and says when to look again.
    fn expire_producers(&self, now: Timestamp) -> Option<Timestamp> {
        let mut appender = self.appender();
        let expiration = appender.config.producer_id_expiration.as_millis();
        let expiration = i64::try_from(expiration).unwrap_or(i64::MAX);
        let since = now.get().saturating_sub(expiration);
        appender.producers.expire(since.into());
        // Not worth a timer of its own for each producer: Kafka looks every ten minutes.
        let again = now.get().saturating_add(EXPIRY_INTERVAL_MS);
        (appender.producers.len() > 0).then(|| again.into())
    }

    /// Gives the files of some segments that left the log the suffix of deleted ones.
    fn mark_removed(&self, now: Timestamp) -> Result<bool, StorageError> {
        if self.pending.lock().removed.is_empty() {
            return Ok(false);
        }
        // Appends wait, so that the log end stays what the flusher settles.
        let appender = self.appender();
        if self.health.gone().is_some() {
            return Ok(false);
        }
        self.shared
            .flusher
            .settle(&self.target(), self.ends().end)
            .map_err(|e| (*e).clone())?;
        let _syncing = self.syncing.lock();
        // What the removed batches told of producers is in a snapshot by now, or is made so.
        match self.write_snapshots(&mut Way::Each) {
            // A full device gets space by this very removal.
            Err(cause) if cause.is_recoverable() => {}
            Err(cause) => return Err(cause),
            Ok(()) => match self.sync_names() {
                Err(cause) if !cause.is_recoverable() => {
                    // Nobody may ask for that sync again.
                    let cause = Arc::new(cause);
                    self.fail(&cause);
                    return Err(StorageError::Offline(cause));
                }
                _ => {}
            },
        }
        let delay = appender.config.file_delete_delay.as_millis();
        let due = now
            .get()
            .saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
        self.names_dirty.store(true, Ordering::Release);
        for _ in 0..REMOVALS_PER_STEP {
            let Some(segment) = self.pending.lock().removed.first().cloned() else {
                break;
            };
            segment.remove()?;
            if segment.unsealed() {
                seal::remove(&*self.shared.vfs, &segment.seal_path())?;
            }
            let mut pending = self.pending.lock();
            pending.removed.remove(0);
            pending.deleted.push((due.into(), segment));
        }
        Ok(true)
    }

    /// Deletes the files of one segment that is due.
    fn delete_one(&self, now: Timestamp) -> Result<bool, StorageError> {
        let (due, segment) = {
            let mut pending = self.pending.lock();
            let due = pending.deleted.iter().position(|(due, _)| *due <= now);
            match due {
                None => return Ok(false),
                Some(index) => pending.deleted.swap_remove(index),
            }
        };
        let deleted = match self.stay() {
            None => return Ok(false),
            Some(_place) => segment.delete_files(),
        };
        if let Err(error) = deleted {
            self.pending.lock().deleted.push((due, segment));
            return Err(error);
        }
        self.names_dirty.store(true, Ordering::Release);
        Ok(true)
    }
}

/// What came of the parts of a step. One that fails keeps no other from its turn.
#[derive(Debug, Default)]
struct Work {
    more: bool,
    next: Option<Timestamp>,
    failed: Option<StorageError>,
}

impl Work {
    fn add(&mut self, done: Result<Maintenance, StorageError>) {
        match done {
            Ok(done) => {
                self.more |= done.more;
                self.next = self.next.into_iter().chain(done.next).min();
            }
            Err(error) => _ = self.failed.get_or_insert(error),
        }
    }

    /// Does what comes after all that is to be done at once.
    fn unless_more(&mut self, work: impl FnOnce() -> Result<Maintenance, StorageError>) {
        if !self.more {
            self.add(work());
        }
    }
}

const fn again(more: bool) -> Maintenance {
    Maintenance { more, next: None }
}

#[cfg(test)]
mod tests;
