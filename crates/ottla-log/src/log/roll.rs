//! Where the next batch goes: the directory that is made with the first one, and new segments.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::append::largest_timestamp;
use super::core::{Appender, LogCore};
use super::dir;
use super::errors::AppendError;
use crate::batch::AssignedBatches;
use crate::derived::Derived;
use crate::segment::{Origin, Segment, Wait};
use crate::{Offset, StorageError, Timestamp};

impl LogCore {
    /// Makes the log's directory if this is its first append. Nothing of it is synced here: the
    /// flusher's note that the log has data comes with the data.
    pub(super) fn make_dir(&self, appender: &mut Appender) -> Result<(), StorageError> {
        if appender.has_dir {
            return Ok(());
        }
        dir::create(&*self.shared.vfs, &self.dir, self.topic_id)?;
        self.names_dirty.store(true, Ordering::Release);
        self.new_dir.store(true, Ordering::Release);
        appender.has_dir = true;
        Ok(())
    }

    /// The segment for `batches`: the active one, or a new one where it has to end.
    pub(super) fn segment_for(
        &self,
        appender: &mut Appender,
        batches: &AssignedBatches,
        now: Timestamp,
    ) -> Result<Arc<Segment>, AppendError> {
        let size = batches.bytes().len();
        let segment_bytes = appender.config.segment_bytes;
        if size > segment_bytes as usize {
            return Err(AppendError::LargerThanSegment {
                size,
                segment_bytes,
            });
        }
        self.learn_aborted(&self.segments.load())?;
        let active = self.active();
        active.activate()?;
        let extent = active.extent();
        let out_of_reach = batches.last_offset().get() - active.base().get() > i64::from(i32::MAX);
        let has_to_end = extent.size > 0
            && (extent.size + size as u64 > u64::from(segment_bytes)
                || active.is_index_full()
                || self.is_over_time(appender, &active, batches, now)?);
        let segment = if out_of_reach {
            self.roll(appender, batches.base_offset())?
        } else if has_to_end {
            // At the log end, also where a follower's batch leaves a gap: so two segments that do
            // not meet tell a recovery that something is missing between them.
            self.roll(appender, extent.next)?
        } else {
            active
        };
        if segment.extent().size == 0 {
            let first = batches.headers().first().map(|header| header.max_timestamp);
            appender.first_timestamp = first;
        }
        appender.rolled_at.get_or_insert(now);
        Ok(segment)
    }

    /// Whether the active segment would span more than `segment.ms`: by the timestamps of its
    /// first and the new batches or, where the first has none, by the clock.
    fn is_over_time(
        &self,
        appender: &mut Appender,
        active: &Segment,
        batches: &AssignedBatches,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let newest = largest_timestamp(batches.headers());
        let first = match appender.first_timestamp {
            Some(first) => first,
            None => *appender.first_timestamp.insert(active.first_timestamp()?),
        };
        let rolled_at = *appender.rolled_at.get_or_insert(now);
        let waited = if first >= Timestamp::new(0) {
            newest.get().saturating_sub(first.get())
        } else {
            now.get().saturating_sub(rolled_at.get())
        };
        Ok(waited > time_max(appender))
    }

    /// Ends the active segment and begins a new one at `base`. The old one's index files, the
    /// snapshot of the producers and the syncs are left to the background.
    pub(super) fn roll(
        &self,
        appender: &mut Appender,
        base: Offset,
    ) -> Result<Arc<Segment>, StorageError> {
        let active = self.active();
        let rules = Self::index_rules(&appender.config);
        let next = Segment::new(&self.shared, &self.dir, base, rules, Origin::Fresh);
        next.activate()?;
        let mut segments = Vec::clone(&self.segments.load());
        if active.extent().size > 0 {
            active.seal();
            let snapshot = appender.producers.snapshot();
            let mut pending = self.pending.lock();
            pending.snapshots.push((base, snapshot));
            pending.unsealed.push(Arc::clone(&active));
        } else {
            // Nothing was ever in it.
            segments.pop();
            if active.is_created() {
                active.remove()?;
                active.delete_files()?;
            }
        }
        segments.push(Arc::clone(&next));
        self.segments.store(Arc::new(segments));
        appender.first_timestamp = None;
        appender.rolled_at = None;
        Ok(next)
    }

    /// Ends the active segment where it got its first batch more than `segment.ms` ago, so that
    /// what works on sealed segments gets on with a log that is not written to any more. Answers
    /// whether it did, and when the active segment is due.
    pub(super) fn roll_if_old(
        &self,
        now: Timestamp,
    ) -> Result<(bool, Option<Timestamp>), StorageError> {
        let mut appender = self.appender();
        let extent = self.active().extent();
        if extent.size == 0 || self.health.append_fault().is_some() {
            return Ok((false, None));
        }
        let rolled_at = *appender.rolled_at.get_or_insert(now);
        let due = rolled_at.get().saturating_add(time_max(&appender));
        if now.get() <= due {
            // The end of time needs no timer.
            let at = due.checked_add(1).map(Timestamp::new);
            return Ok((false, at));
        }
        self.roll(&mut appender, extent.next)?;
        Ok((true, None))
    }
}

impl Segment {
    /// The largest timestamp of the first batch.
    pub(super) fn first_timestamp(&self) -> Result<Timestamp, StorageError> {
        let file = self.file()?;
        let size = self.extent().size;
        let mut walk = self.walk(&*file, Wait::Allowed, 0..size);
        let first = walk.next().map_err(|e| self.walk_error(e))?;
        Ok(first.map_or(Timestamp::NONE, |step| step.header.max_timestamp))
    }
}

/// How many milliseconds a segment may span.
fn time_max(appender: &Appender) -> i64 {
    let config = &appender.config;
    let span: Duration = config.segment_ms.saturating_sub(config.segment_jitter);
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
