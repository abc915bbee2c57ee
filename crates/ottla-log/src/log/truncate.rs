//! Cutting a log: at its end, where a follower diverged, and at its start, where records go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Appender, LogCore, Segments};
use super::dir::{self, Listing};
use super::errors::TruncateError;
use super::open::below;
use super::replay::Replay;
use crate::derived::{Derived, Rewind};
use crate::segment::{Extent, Segment, Wait};
use crate::{Offset, StorageError};

impl LogCore {
    /// Cuts off everything from `to` on, and the whole batch that `to` lies within. Only for what
    /// is not committed: a reader bounded by the high watermark never notices.
    pub(crate) fn truncate_to(&self, to: Offset) -> Result<(), TruncateError> {
        let mut appender = self.appender();
        self.check_cuttable()?;
        let ends = self.ends();
        if to >= ends.end {
            return Ok(());
        }
        if to < ends.start {
            return Err(self.no_such_offset(to));
        }
        let segments = self.segments.load_full();
        let index = segments.partition_point(|segment| segment.base() <= to);
        let Some((keep, later)) = segments
            .split_at_checked(index)
            .and_then(|(keep, later)| Some((keep.last()?, later)))
        else {
            return Err(self.no_such_offset(to));
        };
        let mut cut = cut_of(keep, to)?;
        self.learn_aborted(segments.get(..index).unwrap_or_default())?;
        // Where the start lies within the batch that goes, the log goes on there.
        cut.next = cut.next.max(ends.start);
        self.shared
            .flusher
            .settle(&self.target(), cut.next)
            .map_err(|e| (*e).clone())?;
        let kept = segments.get(..index).unwrap_or_default().to_vec();
        let done = self.cut_end(&mut appender, kept, later, cut);
        done.map_err(|error| {
            // Half cut: what the files hold and what is known of them differ.
            let cause = Arc::new(error);
            self.fail(&cause);
            StorageError::Offline(cause)
        })?;
        Ok(())
    }

    fn cut_end(
        &self,
        appender: &mut Appender,
        kept: Segments,
        later: &[Arc<Segment>],
        cut: Extent,
    ) -> Result<(), StorageError> {
        let mut syncing = self.syncing.lock();
        let to = cut.next;
        self.ends.update(|ends| {
            ends.end = to;
            ends.durable = ends.durable.min(to);
        });
        self.boundaries.lock().truncate(to);
        // What comes there next is committed when somebody says so.
        self.high_watermark.fetch_min(to.get(), Ordering::AcqRel);
        let keep = kept.last().map(Arc::clone);
        self.segments.store(Arc::new(kept));
        // From here on a reader that goes by the old ends reads again.
        self.truncations.fetch_add(1, Ordering::AcqRel);

        let cut_into = keep.iter().filter(|keep| {
            let sealed = keep.seal_on_disk().map_or(0, |seal| seal.size);
            sealed > cut.size
        });
        self.unseal(later.iter().chain(cut_into))?;
        for segment in later.iter().rev() {
            segment.remove()?;
            segment.delete_files()?;
        }
        if let Some(keep) = keep {
            keep.activate()?;
            keep.truncate(cut.size, to)?;
            keep.sync()?;
        }
        appender.first_timestamp = None;
        self.rewind(appender, to)?;
        self.names_dirty.store(true, Ordering::Release);
        self.sync_names()?;
        syncing.recovery_point = syncing.recovery_point.min(to);
        self.release_decided(appender);
        Ok(())
    }

    /// Takes back what is derived from batches at or above `to`.
    fn rewind(&self, appender: &mut Appender, to: Offset) -> Result<(), StorageError> {
        {
            let mut epochs = self.epochs.lock();
            epochs.dirty |= epochs.cache.truncate_from_end(to);
        }
        self.pending
            .lock()
            .snapshots
            .retain(|(offset, _)| *offset <= to);
        let mut listing = Listing::read(&*self.shared.vfs, &self.dir)?;
        for above in listing.snapshots.split_off(&to.plus(1)) {
            let path = dir::file_in(&self.dir, above, dir::SNAPSHOT);
            dir::remove_if_there(&*self.shared.vfs, &path)?;
        }
        let undecided = appender.producers.undecided(to);
        if appender.producers.truncate(to) == Rewind::Reload {
            let segments = self.segments.load_full();
            let first = segments.first().map_or(to, |segment| segment.base());
            let mut replay = Replay::load(&self.shared, &self.dir, &listing, first, to);
            replay.catch_up(&segments, to)?;
            appender.producers = replay.producers;
            appender.producers.hold_back(undecided);
        }
        Ok(())
    }

    /// Moves the log start up to `to`, and answers the new start. Whole segments below it leave the
    /// log at once; [`LogCore::maintain`] deletes their files later. Durable with a ticket taken
    /// afterwards.
    pub(crate) fn delete_records(&self, to: Offset) -> Result<Offset, TruncateError> {
        let mut appender = self.appender();
        self.check_cuttable()?;
        let ends = self.ends();
        if to > ends.end {
            return Err(self.no_such_offset(to));
        }
        if to <= ends.start {
            return Ok(ends.start);
        }
        self.start_at(&mut appender, to);
        Ok(to)
    }

    /// Moves the log start up to `to`, and takes whole segments below it out of the log.
    pub(super) fn start_at(&self, appender: &mut Appender, to: Offset) {
        self.ends.update(|ends| ends.start = to);
        self.shared.flusher.started(&self.target(), to);
        {
            let mut epochs = self.epochs.lock();
            epochs.dirty |= epochs.cache.truncate_from_start(to);
        }
        appender.producers.advance_start(to);
        let segments = self.segments.load_full();
        if let Some((gone, stay)) = segments.split_at_checked(below(&segments, to))
            && !gone.is_empty()
        {
            self.pending.lock().removed.extend_from_slice(gone);
            self.segments.store(Arc::new(stay.to_vec()));
        }
    }

    fn check_cuttable(&self) -> Result<(), TruncateError> {
        if let Some(gone) = self.health.gone() {
            return Err(TruncateError::gone(gone, &self.id));
        }
        match self.health.append_fault() {
            None => Ok(()),
            Some(fault) => Err(TruncateError::Storage(fault)),
        }
    }

    fn no_such_offset(&self, asked: Offset) -> TruncateError {
        let ends = self.ends();
        TruncateError::OffsetOutOfRange {
            id: self.id.clone(),
            asked,
            start: ends.start,
            end: ends.end,
        }
    }
}

/// Where `segment` is cut, so that the batch that holds `to` goes: at the end of the last batch
/// that stays, also where there is a gap up to `to`, as a reopened log ends there, too.
fn cut_of(segment: &Segment, to: Offset) -> Result<Extent, StorageError> {
    let failed = |e| segment.walk_error(e);
    let extent = segment.extent();
    let found = segment
        .find(to, extent.size, Wait::Allowed)
        .map_err(failed)?;
    let size = found.map_or(extent.size, |step| step.position);
    let next = segment.end_before(size).map_err(failed)?;
    Ok(Extent { size, next })
}
