//! Compacted files take the place of others, in one moment for a reader and for a recovery.
//!
//! ```text
//! 1  N.log.cleaned written and synced        a crash: deleted, the originals stay
//!    the seals of the originals removed
//! 2  renamed to N.log.swap, from the last     a crash: those behind one that is not, deleted
//! 3  the directory synced                    from here on a recovery goes on with 4
//! 4  the originals renamed to .deleted       and the directory synced
//! 5  N.log.swap renamed to N.log             and the directory synced
//! ```

use std::sync::Arc;

use super::output::Output;
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
        for output in outputs.iter_mut() {
            output.finish(self)?;
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
        self.rename(sources, &bases).map_err(|error| {
            // Half done: a recovery knows what is whole.
            let cause = Arc::new(error);
            self.fail(&cause);
            StorageError::Offline(cause)
        })?;

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

    fn rename(&self, sources: &[Arc<Segment>], bases: &[Offset]) -> Result<(), StorageError> {
        let vfs = &*self.shared.vfs;
        let path = |base, suffix| dir::file_in(&self.dir, base, suffix);
        let rename = |base, from, to| {
            let to = path(base, to);
            vfs.rename(&path(base, from), &to)
                .map_err(|e| StorageError::io("rename a compacted segment to", &to, e))
        };
        let sync = || {
            vfs.sync_dir(&self.dir)
                .map_err(|e| StorageError::io("sync the directory", &self.dir, e))
        };
        self.unseal(sources)?;
        for base in bases.iter().rev() {
            rename(*base, dir::LOG_CLEANED, dir::LOG_SWAP)?;
        }
        sync()?;
        for source in sources {
            if bases.contains(&source.base()) {
                source.give_way()?;
            } else {
                source.remove()?;
            }
        }
        sync()?;
        for base in bases {
            rename(*base, dir::LOG_SWAP, dir::LOG)?;
        }
        sync()
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
