//! Compacted files take the place of others, in one moment for a reader and for a recovery.
//!
//! ```text
//! 1  N.log.cleaned written and synced        a crash: deleted, the originals stay
//!    the seals of the originals removed
//! 2  renamed to N.log.swap, the first one    a crash: while the first one is .cleaned, deleted
//!    last, the directory synced before it
//! 3  the directory synced                    from here on a recovery goes on with 4
//! 4  the originals renamed to .deleted       and the directory synced
//! 5  N.log.swap renamed to N.log             and the directory synced
//! ```

use std::sync::Arc;

use super::output::{self, Output};
use crate::log::core::{LogCore, Segments};
use crate::log::dir;
use crate::segment::Segment;
use crate::{Offset, StorageError, Timestamp};

impl LogCore {
    /// Puts `outputs` in the place of `sources`, neighbours in the log that end at `end`; `false`
    /// where one of them has left the log. The outputs are gone afterwards.
    pub(super) fn replace(
        &self,
        sources: &[Arc<Segment>],
        outputs: &mut Vec<Output>,
        end: Offset,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let modified = sources.last().and_then(|last| last.modified().ok());
        let modified = modified.filter(|time| *time > Timestamp::NONE);
        for output in outputs.iter_mut() {
            output.finish(self, modified)?;
        }
        // Nothing may cut or roll the log, and nothing may be appended: the journal must not hold
        // anything that a recovery would write into the files that go.
        let appender = self.appender();
        let segments = self.segments.load_full();
        let Some(at) = place_of(sources, &segments) else {
            return Ok(false);
        };
        if self.health.gone().is_some() || self.health.append_fault().is_some() {
            return Ok(false);
        }
        self.shared
            .flusher
            .settle(&self.target(), self.ends().end)
            .map_err(|e| (*e).clone())?;
        let _syncing = self.syncing.lock();
        let outputs = std::mem::take(outputs);
        let bases: Vec<Offset> = outputs.iter().map(|output| output.base).collect();
        match self.rename(sources, &bases) {
            Ok(()) => {}
            Err(Failed::Undone(error)) => {
                // The scrub will seal the originals anew.
                output::discard(self, &outputs);
                return Err(error);
            }
            Err(Failed::HalfDone(error)) => {
                // A recovery knows what is whole.
                let cause = Arc::new(error);
                self.fail(&cause);
                return Err(StorageError::Offline(cause));
            }
        }

        let nexts = bases.iter().copied().skip(1).chain([end]);
        let compacted = outputs.into_iter().zip(nexts);
        let compacted = compacted.map(|(output, next)| output.into_segment(self, next));
        let compacted: Segments = compacted.collect();
        let unsealed = compacted.clone();
        let mut segments = Vec::clone(&segments);
        segments.splice(at..at + sources.len(), compacted);
        // Before a reader finds the new files: the places are those of the old ones.
        let is_gone = |base: Offset| sources.iter().any(|source| source.base() == base);
        self.boundaries.lock().forget(is_gone);
        self.segments.store(Arc::new(segments));
        let delay = appender.config.file_delete_delay.as_millis();
        let due = now
            .get()
            .saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
        let mut pending = self.pending.lock();
        pending.unsealed.extend(unsealed);
        let is_stale = |offset: Offset| is_gone(offset) && !bases.contains(&offset);
        pending.snapshots.retain(|(offset, _)| !is_stale(*offset));
        let deleted = sources
            .iter()
            .map(|source| (due.into(), Arc::clone(source)));
        pending.deleted.extend(deleted);
        Ok(true)
    }

    fn rename(&self, sources: &[Arc<Segment>], bases: &[Offset]) -> Result<(), Failed> {
        self.unseal(sources)?;
        self.offer(bases)?;
        self.give_way(sources, bases)?;
        Ok(())
    }

    /// Has a recovery, from the end on, put the copies in the place of the originals.
    fn offer(&self, bases: &[Offset]) -> Result<(), Failed> {
        let Some((first, others)) = bases.split_first() else {
            return Ok(());
        };
        let offer = |base: &Offset| self.rename_copy(*base, dir::LOG_CLEANED, dir::LOG_SWAP);
        let undone = |error: StorageError| {
            if !error.is_recoverable() {
                return Failed::HalfDone(error);
            }
            match self.withdraw(others) {
                Ok(()) => Failed::Undone(error),
                Err(failed) => Failed::HalfDone(failed),
            }
        };
        if !others.is_empty() {
            // The name of the first one must not be lost before those of the others are.
            self.sync_copies()?;
            others.iter().try_for_each(offer).map_err(undone)?;
            self.sync_copies()?;
        }
        offer(first).map_err(undone)?;
        self.sync_copies()?;
        Ok(())
    }

    /// Takes back all copies but the first, which still is `.cleaned` and keeps them from counting.
    fn withdraw(&self, others: &[Offset]) -> Result<(), StorageError> {
        for base in others {
            let path = dir::file_in(&self.dir, *base, dir::LOG_SWAP);
            dir::remove_if_there(&*self.shared.vfs, &path)?;
        }
        if others.is_empty() {
            return Ok(());
        }
        self.sync_copies()
    }

    fn rename_copy(&self, base: Offset, from: &str, to: &str) -> Result<(), StorageError> {
        let path = |suffix| dir::file_in(&self.dir, base, suffix);
        let to = path(to);
        let renamed = self.shared.vfs.rename(&path(from), &to);
        renamed.map_err(|e| StorageError::io("rename a compacted segment to", &to, e))
    }

    fn sync_copies(&self) -> Result<(), StorageError> {
        let synced = self.shared.vfs.sync_dir(&self.dir);
        synced.map_err(|e| StorageError::io("sync the directory", &self.dir, e))
    }

    /// The originals go, the copies get their names.
    fn give_way(&self, sources: &[Arc<Segment>], bases: &[Offset]) -> Result<(), StorageError> {
        for source in sources {
            if bases.contains(&source.base()) {
                source.give_way()?;
            } else {
                source.remove()?;
            }
        }
        self.sync_copies()?;
        for base in bases {
            self.rename_copy(*base, dir::LOG_SWAP, dir::LOG)?;
        }
        self.sync_copies()
    }
}

/// How far the renaming came that failed.
enum Failed {
    /// Nothing is different.
    Undone(StorageError),
    HalfDone(StorageError),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::HalfDone(error)
    }
}

/// Where `sources` are among `segments`, one behind the other; `None` where they are not.
fn place_of(sources: &[Arc<Segment>], segments: &Segments) -> Option<usize> {
    let first = sources.first()?;
    let at = segments.iter().position(|s| Arc::ptr_eq(s, first))?;
    let found = segments.get(at..at + sources.len())?;
    let pairs = found.iter().zip(sources);
    pairs
        .into_iter()
        .all(|(a, b)| Arc::ptr_eq(a, b))
        .then_some(at)
}
