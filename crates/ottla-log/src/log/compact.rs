//! Compaction: of each key only the newest record stays (`cleanup.policy` has `compact`).
//!
//! A job goes over the log in steps of one segment: first the headers tell which transactions were
//! aborted, then the keys of what was not compacted yet go into a map of bounded size, then the
//! segments are copied without what the map says is outdated, several small ones into one. A copy
//! takes the place of its sources in one moment: a reader has the old file or the new one. Where
//! the map was too small for all keys the next job goes on behind those that had room.
//!
//! Offsets stay. The last batch of each copy stays, if only as an empty one, so that a copy ends
//! where the next segment begins, and a recovery still notices a missing file. Only one log of a
//! store is compacted at a time, so that there is one map.

mod filter;
mod keys;
mod output;
mod plan;
mod steps;
mod swap;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::core::LogCore;
use super::seam::Maintenance;
use crate::{Offset, StorageError, Timestamp};
use plan::Look;
use steps::{Job, Progress};

/// When a log comes back that has to wait for another one's compaction; Kafka's cleaner rests as
/// long (`log.cleaner.backoff.ms`).
const BACKOFF_MS: i64 = 15_000;

/// What is known of a log's compaction.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// Everything below was compacted.
    cleaned: Offset,
    job: Option<Box<Job>>,
}

impl From<Offset> for Compaction {
    fn from(cleaned: Offset) -> Self {
        Self { cleaned, job: None }
    }
}

/// The right to compact, of which a store has one.
#[derive(Debug)]
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn take(taken: &Arc<AtomicBool>) -> Option<Self> {
        let is_free = !taken.swap(true, Ordering::AcqRel);
        is_free.then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl LogCore {
    /// One step of the log's compaction, if it is to be compacted.
    pub(super) fn compact(&self, now: Timestamp) -> Result<Maintenance, StorageError> {
        let config = self.config();
        let mut compaction = self.compaction.lock();
        if !config.compacted || !config.cleaner_enable || self.health.append_fault().is_some() {
            self.give_up(&mut compaction);
            return Ok(Maintenance::default());
        }
        let mut job = match compaction.job.take() {
            Some(job) => job,
            None => match self.look_for_dirt(compaction.cleaned, &config, now)? {
                Look::NotBefore(next) => return Ok(Maintenance { more: false, next }),
                Look::Due(plan) => match Turn::take(&self.shared.compacting) {
                    Some(turn) => Box::new(Job::new(turn, plan, &config, now)),
                    None => {
                        let next = now.get().saturating_add(BACKOFF_MS);
                        return Ok(Maintenance {
                            more: false,
                            next: Some(next.into()),
                        });
                    }
                },
            },
        };
        match job.step(self) {
            Ok(Progress::More) => compaction.job = Some(job),
            Ok(Progress::Done(cleaned)) if cleaned > job.first_dirty() => {
                compaction.cleaned = cleaned;
                self.shared.flusher.cleaned(&self.target(), cleaned);
            }
            Ok(Progress::Done(_)) => {
                tracing::warn!(
                    log = %self.id, offset = %job.first_dirty(),
                    "the log cannot be compacted: the keys of one batch need more memory than \
                     log.cleaner.dedupe.buffer.size allows"
                );
                return Ok(Maintenance::default());
            }
            // The segments changed meanwhile; what is there now is looked at anew.
            Ok(Progress::Overtaken) => job.discard(self),
            // A segment that left the log may have no file any more.
            Err(_) if job.is_overtaken(self) || self.health.gone().is_some() => job.discard(self),
            Err(error) => {
                job.discard(self);
                return Err(error);
            }
        }
        Ok(Maintenance {
            more: true,
            next: None,
        })
    }

    /// Below this everything was compacted.
    #[cfg(test)]
    pub(super) fn cleaned(&self) -> Offset {
        self.compaction.lock().cleaned
    }

    /// Gives up a compaction that is under way: the log is closed, or not to be compacted.
    pub(super) fn stop_compacting(&self) {
        self.give_up(&mut self.compaction.lock());
    }

    fn give_up(&self, compaction: &mut Compaction) {
        if let Some(mut job) = compaction.job.take() {
            job.discard(self);
        }
    }
}

#[cfg(test)]
mod tests;
