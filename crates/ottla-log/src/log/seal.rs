//! Seals of a log's segments: made in the background once a segment has ended, and at a clean
//! stop; removed, durably, before the bytes that they speak for change.
//!
//! A seal is never synced. One that a crash took, or tore, does not count, and is made again after
//! the batches' own checksums were checked.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::check::Checker;
use super::core::{Appender, LogCore};
use super::dir;
use super::seam::Maintenance;
use crate::seal::{ChunkSums, Seal};
use crate::segment::{Extent, Segment, Wait, seal_dir};
use crate::vfs::{OpenMode, Vfs};
use crate::{Offset, StorageError, Timestamp, TopicId};

/// How much is read in one step.
const STEP_BYTES: u64 = 8 << 20;
/// When a segment is looked at again whose files are not synced yet.
const RETRY_MS: i64 = 300_000;
/// How long a step for a segment that was there at open has.
const PACE_MS: i64 = 1000;
/// The largest active segment that is sealed at a stop, which must not take long.
const CLOSING_BYTES_MAX: u64 = 8 << 20;
/// How much is read at a stop to seal the active segments of all logs of a store.
pub(crate) const STOP_BYTES_MAX: u64 = 64 << 20;

/// A segment that is being read to be sealed.
#[derive(Debug)]
pub(super) struct Sealing {
    segment: Arc<Segment>,
    extent: Extent,
    sums: ChunkSums,
    /// The offset after the last batch that was read.
    next: Offset,
    /// How often the log had been cut: what was read before and after a cut are no one file.
    truncations: u64,
    /// It was there at open, and nobody is in a hurry.
    paced: bool,
}

/// How a step of it ended.
#[derive(Debug)]
pub(super) enum Step {
    More,
    /// All was read.
    Done,
    /// What was read is bad, and noted.
    Bad,
}

impl Sealing {
    pub(super) fn new(log: &LogCore, segment: &Arc<Segment>, paced: bool) -> Self {
        Self {
            // Before the extent: whoever cuts counts first.
            truncations: log.truncations.load(Ordering::Acquire),
            segment: Arc::clone(segment),
            extent: segment.extent(),
            sums: ChunkSums::default(),
            next: segment.base(),
            paced,
        }
    }

    /// Whether what was read so far is still what the segment has.
    pub(super) fn is_current(&self, log: &LogCore) -> bool {
        self.truncations == log.truncations.load(Ordering::Acquire)
            && self.segment.extent() == self.extent
    }

    /// Whether it is of this segment.
    pub(super) fn is_of(&self, segment: &Arc<Segment>) -> bool {
        Arc::ptr_eq(&self.segment, segment)
    }

    /// How much was read.
    pub(super) const fn size(&self) -> u64 {
        self.sums.size()
    }

    /// Reads and checks the next batches, about `bytes_max` of them.
    pub(super) fn step(&mut self, log: &LogCore, bytes_max: u64) -> Result<Step, StorageError> {
        let segment = &self.segment;
        let failed = |e| segment.walk_error(e);
        if self.sums.size() == 0 {
            // Of an earlier seal, which spoke for less: what it does not vouch for gets no new one.
            let touched = segment.touch(0, self.extent.size, Wait::Allowed);
            touched.map_err(failed)?;
            if segment.check_whole().is_err() {
                return Ok(Step::Bad);
            }
        }
        let file = segment.file()?;
        let (size, limits) = (self.extent.size, &log.shared.limits);
        let mut checker = Checker::new(&*file, segment.base(), size, limits);
        let until = size.min(self.sums.size() + bytes_max);
        while self.sums.size() < until {
            match checker.batch_at(self.sums.size(), self.next) {
                Ok((header, batch)) => {
                    self.sums.add(&batch);
                    self.next = header.next_offset();
                }
                Err(stop) if stop.unreadable => {
                    return Err(segment.corrupt(stop.position, stop.why));
                }
                Err(stop) => {
                    segment.condemn(stop.position).map_err(failed)?;
                    return Ok(Step::Bad);
                }
            }
        }
        Ok(if until < size { Step::More } else { Step::Done })
    }

    /// The seal of what was read; `None` where the index files are not known to be right. Of the
    /// transaction index only the shape is: it stays as it is from now on.
    fn finish(self, topic_id: TopicId) -> Option<Seal> {
        let (index, time_index) = self.segment.index_sums()?;
        let txn_index = self.segment.aborted_sum()?;
        Some(Seal {
            topic_id,
            base: self.segment.base(),
            size: self.sums.size(),
            next: self.next,
            index,
            time_index,
            txn_index,
            chunks: self.sums.finish(),
        })
    }
}

impl LogCore {
    /// Reads a part of the next segment that has ended and has no seal, and seals it when all of it
    /// was read. Segments that were there at open without one take their time.
    pub(super) fn seal_step(&self, now: Timestamp) -> Maintenance {
        self.look_for_unsealed();
        let mut sealing = self.sealing.lock();
        let mut job = match sealing.take() {
            Some(job) if job.is_current(self) => job,
            // Cut meanwhile, and maybe grown again.
            Some(stale) => Sealing::new(self, &stale.segment, stale.paced),
            None => match self.next_unsealed() {
                None => return Maintenance::default(),
                Some((segment, paced)) => Sealing::new(self, &segment, paced),
            },
        };
        if !job.segment.is_synced() {
            // The next sync of the log's files brings it there.
            self.pending.lock().unsealed.insert(0, job.segment);
            return after(now, RETRY_MS);
        }
        let paced = job.paced;
        let done = match job.step(self, STEP_BYTES) {
            Ok(Step::More) => {
                *sealing = Some(job);
                Ok(())
            }
            Ok(Step::Done) => {
                let renewed = self.renew_indexes(&job.segment);
                renewed.and_then(|()| self.put_seal(job))
            }
            Ok(Step::Bad) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // Nothing is lost: the batches have checksums of their own, and the scrub comes by.
            tracing::warn!(log = %self.id, %error, "a segment could not be sealed");
        }
        let pending = self.pending.lock();
        let more = sealing.is_some() || !pending.unsealed.is_empty() || !pending.found.is_empty();
        match more {
            true if paced => after(now, PACE_MS),
            more => Maintenance { more, next: None },
        }
    }

    /// Once per open: which segments have ended and have no seal, after a crash or Kafka's own.
    fn look_for_unsealed(&self) {
        if std::mem::replace(&mut self.pending.lock().seals_listed, true) {
            return;
        }
        let dir = seal_dir(&self.shared.seal_dir, &self.dir);
        let names: BTreeSet<String> = match self.shared.vfs.list(&dir) {
            Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => {
                tracing::warn!(log = %self.id, %error, "the seals of a log cannot be listed");
                return;
            }
        };
        let segments = self.segments.load_full();
        let mut pending = self.pending.lock();
        // The last one is added to.
        for segment in segments.iter().rev().skip(1).rev() {
            let is_known = pending.unsealed.iter().any(|s| Arc::ptr_eq(s, segment));
            if !is_known && !names.contains(&dir::name_of(segment.base(), dir::SEAL)) {
                pending.found.push(Arc::clone(segment));
            }
        }
    }

    /// The next segment to be sealed that is still one of the log's, and whether it takes its time.
    fn next_unsealed(&self) -> Option<(Arc<Segment>, bool)> {
        let segments = self.segments.load_full();
        let mut pending = self.pending.lock();
        loop {
            let (segment, paced) = if !pending.unsealed.is_empty() {
                (pending.unsealed.remove(0), false)
            } else if !pending.found.is_empty() {
                (pending.found.remove(0), true)
            } else {
                return None;
            };
            if !segment.is_active() && segments.iter().any(|s| Arc::ptr_eq(s, &segment)) {
                return Some((segment, paced));
            }
        }
    }

    /// Writes the seal of a segment that was read whole.
    pub(super) fn put_seal(&self, job: Sealing) -> Result<(), StorageError> {
        // Nobody may cut or replace the segment while the seal is written.
        let appender = self.appender();
        if self.health.gone().is_some() {
            return Ok(());
        }
        let segment = Arc::clone(&job.segment);
        let is_there = {
            let segments = self.segments.load_full();
            segments.iter().any(|s| Arc::ptr_eq(s, &segment))
        };
        if !is_there || segment.is_active() {
            return Ok(());
        }
        if !job.is_current(self) {
            self.pending.lock().unsealed.push(segment);
            return Ok(());
        }
        self.write_seal(&appender, job)
    }

    fn write_seal(&self, _held: &Appender, job: Sealing) -> Result<(), StorageError> {
        let segment = Arc::clone(&job.segment);
        let vfs = &*self.shared.vfs;
        let Some(seal) = job.finish(self.topic_id) else {
            return Ok(());
        };
        write(vfs, &self.shared.seal_dir, &self.dir, &segment, &seal)?;
        segment.sealed_as(seal);
        Ok(())
    }

    /// At a clean stop, the segment that batches would be added to next: what its batches' own
    /// checksums leave out must not change while nobody looks.
    pub(super) fn seal_active(&self, appender: &Appender) {
        let active = self.active();
        let extent = active.extent();
        if extent.size == 0 || extent.size > CLOSING_BYTES_MAX {
            return;
        }
        if active
            .seal_on_disk()
            .is_some_and(|seal| seal.size == extent.size)
        {
            return;
        }
        let budget = &self.shared.sealed_at_stop;
        let spent = budget.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
            left.checked_sub(extent.size)
        });
        if spent.is_err() {
            return;
        }
        let mut job = Sealing::new(self, &active, false);
        let sealed = match job.step(self, extent.size) {
            Ok(Step::Done) => self.write_seal(appender, job),
            Ok(Step::More | Step::Bad) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = sealed {
            tracing::warn!(log = %self.id, %error, "the active segment could not be sealed");
        }
    }

    /// Removes the seals of `segments`, durably: the bytes that they speak for are about to change.
    pub(super) fn unseal<'a>(
        &self,
        segments: impl IntoIterator<Item = &'a Arc<Segment>>,
    ) -> Result<(), StorageError> {
        let vfs = &*self.shared.vfs;
        let mut removed = false;
        for segment in segments {
            if segment.unsealed() {
                removed |= remove(vfs, &segment.seal_path())?;
            }
        }
        if removed {
            sync(vfs, &seal_dir(&self.shared.seal_dir, &self.dir))?;
        }
        Ok(())
    }
}

fn after(now: Timestamp, wait_ms: i64) -> Maintenance {
    Maintenance {
        more: false,
        next: Some(now.get().saturating_add(wait_ms).into()),
    }
}

/// Writes a seal. What a crash leaves of it does not count unless it is whole.
fn write(
    vfs: &dyn Vfs,
    seals: &Path,
    log_dir: &Path,
    segment: &Segment,
    seal: &Seal,
) -> Result<(), StorageError> {
    let path = segment.seal_path();
    let bytes = seal.encode();
    let put = || {
        let file = match vfs.open(&path, OpenMode::Create) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                for dir in [seals, &seal_dir(seals, log_dir)] {
                    match vfs.create_dir(dir) {
                        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                        _ => {}
                    }
                }
                vfs.open(&path, OpenMode::Create)?
            }
            opened => opened?,
        };
        file.set_len(0)?;
        file.write_all_at(&mut [IoSlice::new(&bytes)], 0)
    };
    put().map_err(|e| StorageError::io("write", &path, e))
}

/// Removes a seal that may be missing; answers whether it was there.
pub(super) fn remove(vfs: &dyn Vfs, path: &Path) -> Result<bool, StorageError> {
    match vfs.remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StorageError::io("delete", path, e)),
    }
}

/// Makes removed seals of the log stay removed.
pub(super) fn sync(vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
    vfs.sync_dir(dir)
        .map_err(|e| StorageError::io("sync the directory", dir, e))
}
